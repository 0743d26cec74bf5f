/* bolt/check: what bbolt's own check would find, ours finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "file.h"

static struct file sample;

static int make(void **state)
{
    (void)state;
    file_init(&sample);
    struct bolt_writer *w = file_writer(&sample);
    put_many(w, "key", 700, 40);
    put_many(w, "lease", 300, 20);
    file_finish(&sample, w);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    file_fini(&sample);
    return 0;
}

static uint8_t *first_page(uint16_t kind)
{
    for (size_t at = 2 * BOLT_PAGE_SIZE; at < sample.bytes.len; at += BOLT_PAGE_SIZE) {
        if (bolt_get16(sample.bytes.data + at + 8) == kind)
            return sample.bytes.data + at;
    }
    fail();
    return NULL;
}

static void expect(const char *text)
{
    struct bolt_file b;
    struct tenure_error err = {0};
    file_reseal(&sample);
    assert_int_equal(bolt_open(&b, buf_bytes(&sample.bytes), &err), 0);
    int rc = bolt_check(&b, &err);
    if (!text) {
        assert_int_equal(rc, 0);
        return;
    }
    assert_int_equal(rc, TENURE_ECORRUPT);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static void a_whole_file_has_no_fault(void **state)
{
    (void)state;
    expect(NULL);
}

static void a_page_that_nobody_uses_is_found(void **state)
{
    (void)state;
    uint8_t page[BOLT_PAGE_SIZE] = {0};
    buf_append(&sample.bytes, page, sizeof page);
    for (size_t i = 0; i < 2; i++) {
        uint8_t *pages = sample.bytes.data + i * BOLT_PAGE_SIZE + BOLT_PAGE_HEADER + BOLT_META_PAGES;
        bolt_put64(pages, bolt_get64(pages) + 1);
    }
    expect("neither used nor free");
    /* In the list of free pages it is in its place. */
    uint8_t *list = sample.bytes.data + 2 * (size_t)BOLT_PAGE_SIZE;
    bolt_put16(list + 10, 1);
    bolt_put64(list + BOLT_PAGE_HEADER, sample.bytes.len / BOLT_PAGE_SIZE - 1);
    expect(NULL);
    bolt_put16(list + 10, 0xffff); /* the number in front */
    bolt_put64(list + BOLT_PAGE_HEADER, 1);
    bolt_put64(list + BOLT_PAGE_HEADER + 8, sample.bytes.len / BOLT_PAGE_SIZE - 1);
    expect(NULL);
    bolt_put64(list + BOLT_PAGE_HEADER, UINT64_MAX / 8);
    expect("lists more free pages");
}

static void a_page_that_is_free_and_used_is_found(void **state)
{
    (void)state;
    uint8_t *list = sample.bytes.data + 2 * (size_t)BOLT_PAGE_SIZE;
    bolt_put16(list + 10, 1);
    bolt_put64(list + BOLT_PAGE_HEADER, 4);
    expect("is used twice");
}

static void a_child_that_two_name_is_found(void **state)
{
    (void)state;
    uint8_t *children = first_page(BOLT_PAGE_BRANCH) + BOLT_PAGE_HEADER;
    bolt_put64(children + BOLT_BRANCH_ELEMENT + 8, bolt_get64(children + 8));
    expect("is used twice");
}

static void children_out_of_order_are_found(void **state)
{
    (void)state;
    uint8_t *branch = first_page(BOLT_PAGE_BRANCH), *third = branch + BOLT_PAGE_HEADER + 2 * BOLT_BRANCH_ELEMENT;
    memcpy(third + bolt_get32(third), "key0000000", 10);
    expect("its place");
}

static void a_leaf_in_the_wrong_place_is_found(void **state)
{
    (void)state;
    uint8_t *child = first_page(BOLT_PAGE_BRANCH) + BOLT_PAGE_HEADER + 8, page[8];
    memcpy(page, child, 8);
    memcpy(child, child + BOLT_BRANCH_ELEMENT, 8);
    memcpy(child + BOLT_BRANCH_ELEMENT, page, 8);
    expect("its place");
}

static void keys_out_of_order_are_found(void **state)
{
    (void)state;
    uint8_t *second = first_page(BOLT_PAGE_LEAF) + BOLT_PAGE_HEADER + BOLT_LEAF_ELEMENT;
    memcpy(second + bolt_get32(second + 4), "key0000000", 10);
    expect("keys out of order");
}

static void a_page_under_another_number_is_found(void **state)
{
    (void)state;
    first_page(BOLT_PAGE_LEAF)[0] ^= 1;
    expect("says that it is another one");
}

static void a_page_of_another_kind_is_found(void **state)
{
    (void)state;
    first_page(BOLT_PAGE_LEAF)[8] = BOLT_PAGE_FREELIST;
    expect("neither a leaf nor a branch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_file_has_no_fault, make, drop),
        cmocka_unit_test_setup_teardown(a_page_that_nobody_uses_is_found, make, drop),
        cmocka_unit_test_setup_teardown(a_page_that_is_free_and_used_is_found, make, drop),
        cmocka_unit_test_setup_teardown(a_child_that_two_name_is_found, make, drop),
        cmocka_unit_test_setup_teardown(children_out_of_order_are_found, make, drop),
        cmocka_unit_test_setup_teardown(a_leaf_in_the_wrong_place_is_found, make, drop),
        cmocka_unit_test_setup_teardown(keys_out_of_order_are_found, make, drop),
        cmocka_unit_test_setup_teardown(a_page_under_another_number_is_found, make, drop),
        cmocka_unit_test_setup_teardown(a_page_of_another_kind_is_found, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
