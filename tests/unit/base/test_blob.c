/* blob: counting references. AddressSanitizer sees a blob that is not freed, or used after the last reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/blob.h"
#include "failmalloc.h"
#include "tenure/error.h"

static void a_copy_has_the_same_bytes(void **state)
{
    (void)state;
    char source[] = "a\0b";
    struct blob *b = blob_copy(bytes_of(source, 3));
    assert_non_null(b);
    source[0] = 'x';
    assert_true(bytes_equal(blob_bytes(b), bytes_of("a\0b", 3)));
    assert_null(blob_unref(b));
}

static void a_blob_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct blob *b = blob_new(1);
    assert_non_null(b);
    b->data[0] = 'x';
    assert_ptr_equal(blob_ref(b), b);
    assert_null(blob_unref(b));
    assert_int_equal(b->data[0], 'x');
    assert_int_equal(b->refs, 1);
    assert_null(blob_unref(b));
}

static void an_empty_blob_is_a_blob(void **state)
{
    (void)state;
    struct blob *b = blob_copy(bytes_of(NULL, 0));
    assert_non_null(b);
    assert_int_equal(blob_bytes(b).len, 0);
    assert_null(blob_unref(b));
}

static void no_blob_has_no_bytes_and_needs_no_freeing(void **state)
{
    (void)state;
    assert_int_equal(blob_bytes(NULL).len, 0);
    assert_null(blob_unref(NULL));
}

static void a_length_past_the_address_space_answers_null(void **state)
{
    (void)state;
    assert_null(blob_new(SIZE_MAX));
    assert_null(blob_new(SIZE_MAX - sizeof(struct blob) + 1));
}

static int copy_once(void *user)
{
    (void)user;
    struct blob *b = blob_copy(bytes_str("text"));
    int rc = b ? 0 : TENURE_ENOMEM;
    blob_unref(b);
    return rc;
}

static void a_copy_without_memory_answers_null(void **state)
{
    (void)state;
    assert_int_equal(failmalloc_sweep(copy_once, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_has_the_same_bytes),
        cmocka_unit_test(a_blob_lives_until_its_last_reference),
        cmocka_unit_test(an_empty_blob_is_a_blob),
        cmocka_unit_test(no_blob_has_no_bytes_and_needs_no_freeing),
        cmocka_unit_test(a_length_past_the_address_space_answers_null),
        cmocka_unit_test(a_copy_without_memory_answers_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
