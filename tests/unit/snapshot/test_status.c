/* snapshot/status: what lives is counted, and the sum covers all that is in the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "log.h"
#include "snapshot/status.h"

static struct snapshot_status status_of(const struct file *f)
{
    struct bolt_file b;
    struct snapshot_status s;
    struct tenure_error err;
    assert_int_equal(bolt_open(&b, buf_bytes(&f->bytes), &err), 0);
    if (snapshot_status(&b, &s, &err) != 0)
        fail_msg("%s", err.text);
    return s;
}

static void keys_that_live_are_counted(void **state)
{
    (void)state;
    struct log_store l;
    struct file f;
    log_store_init(&l);
    log_put(&l, "a", "1", 0);
    log_put(&l, "b", "1", 0);
    log_put(&l, "a", "2", 0);
    log_put(&l, "c", "1", 0);
    log_delete(&l, "b", "");
    log_export(&l, &f);
    struct snapshot_status s = status_of(&f);
    assert_int_equal(s.keys, 2);
    assert_int_equal(s.revision, 6);
    assert_int_equal(s.size, f.bytes.len);
    assert_true(bytes_equal(s.version, bytes_str("3.7.0")));
    file_fini(&f);
    log_store_fini(&l);
}

static void the_sum_covers_names_keys_and_values(void **state)
{
    (void)state;
    struct file f;
    const char *all = "baabmxy";
    file_init(&f);
    struct bolt_writer *w = file_writer(&f);
    bolt_bucket_begin(w, bytes_str("m"));
    bolt_put(w, bytes_str("x"), bytes_str("y"));
    bolt_bucket_end(w);
    bolt_bucket_begin(w, bytes_str("b"));
    bolt_put(w, bytes_str("a"), bytes_str("ab"));
    bolt_bucket_end(w);
    file_finish(&f, w);
    assert_int_equal(status_of(&f).hash, crc32c(0, all, strlen(all)));
    file_fini(&f);
}

static void a_damaged_file_has_no_status(void **state)
{
    (void)state;
    struct log_store l;
    struct file f;
    struct bolt_file b;
    struct snapshot_status s;
    log_store_init(&l);
    for (int i = 0; i < 500; i++)
        log_put(&l, "a", "some value to fill a page with", 0);
    log_export(&l, &f);
    f.bytes.data[4 * BOLT_PAGE_SIZE] ^= 1;
    assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), NULL), 0);
    assert_int_equal(snapshot_status(&b, &s, NULL), TENURE_ECORRUPT);
    file_fini(&f);
    log_store_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_live_are_counted),
        cmocka_unit_test(the_sum_covers_names_keys_and_values),
        cmocka_unit_test(a_damaged_file_has_no_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
