/* The file that a copy is kept in: what is written is read, also odd keys; what is damaged is refused; how old it is by which clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cache_file.h"

#define KV(k, v)                                                                                                       \
    {                                                                                                                  \
        .key = {k, sizeof(k) - 1}, .value = {v, sizeof(v) - 1}, .create_revision = 3, .mod_revision = 7, .version = 2, \
        .lease = 0x7a                                                                                                  \
    }

static const struct tenure_kv kvs[] = {KV("/a/", ""), KV("/a/1", "line\nend \"x\""), KV("/a/10", "10"),
                                       KV("/a/\xff\x00z", "\xfe"), KV("/a/\xc3\xa9", "\xc3\xa9\x00.")};
static const struct tenure_cache_list first = {.revision = 41, .n = sizeof kvs / sizeof *kvs, .kvs = kvs},
                                      second = {.revision = 40};
static char folder[] = "/tmp/tenure-cache-XXXXXX", path[64];

static int begin(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/copy", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* The whole of it; the caller frees. */
static char *text_of(const struct cache_time *as_of, size_t *ret_len)
{
    struct buf body;
    buf_init(&body);
    static const char *const prefixes[] = {"/a/", "/b/"};
    const struct tenure_cache_list *lists[] = {&first, &second};
    assert_true(cache_text_write(&body, prefixes, lists, 2));
    char *text = malloc(CACHE_LINE + body.len);
    cache_line_write(text, buf_bytes(&body), as_of);
    memcpy(text + CACHE_LINE, body.data, body.len);
    *ret_len = CACHE_LINE + body.len;
    buf_fini(&body);
    return text;
}

static void write_file(const char *text, size_t len)
{
    FILE *f = fopen(path, "we");
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static struct cache_copy read_fine(void)
{
    struct cache_copy c;
    struct tenure_error err = {0};
    if (cache_copy_read(path, &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

struct seen {
    size_t n;
    const struct tenure_kv *wanted;
};

static void same(void *user, const struct tenure_kv *kv)
{
    struct seen *s = user;
    const struct tenure_kv *w = &s->wanted[s->n++];
    assert_int_equal(kv->key.len, w->key.len);
    assert_memory_equal(kv->key.data, w->key.data, w->key.len);
    assert_int_equal(kv->value.len, w->value.len);
    assert_memory_equal(kv->value.data, w->value.data, w->value.len + 1); /* with a 0 behind */
    assert_int_equal(kv->create_revision, 3);
    assert_int_equal(kv->mod_revision, 7);
    assert_int_equal(kv->version, 2);
    assert_int_equal(kv->lease, 0x7a);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    size_t len;
    struct cache_time as_of = {.wall_ms = 1700000000000, .boot_ms = 12345, .boot = "a-boot"};
    char *text = text_of(&as_of, &len);
    write_file(text, len);
    free(text);
    struct cache_copy c = read_fine();
    assert_int_equal(c.as_of.wall_ms, as_of.wall_ms);
    assert_int_equal(c.as_of.boot_ms, as_of.boot_ms);
    assert_string_equal(c.as_of.boot, "a-boot");
    struct seen all = {.wanted = kvs};
    assert_int_equal(cache_copy_each(&c, tenure_str(""), false, same, &all), first.n);
    for (size_t i = 0; i < first.n; i++) {
        struct seen one = {.wanted = &kvs[i]};
        assert_int_equal(cache_copy_each(&c, kvs[i].key, true, same, &one), 1);
        assert_int_equal(one.n, 1);
    }
    struct seen some = {.wanted = &kvs[1]};
    assert_int_equal(cache_copy_each(&c, tenure_str("/a/1"), false, same, &some), 2);
    struct seen odd = {.wanted = &kvs[3]};
    assert_int_equal(cache_copy_each(&c, tenure_str("/a/\xff"), false, same, &odd), 1);
    assert_int_equal(cache_copy_each(&c, tenure_str("/a/2"), true, same, &some), 0);
    assert_int_equal(cache_copy_revision(&c, "/a/1"), 41);
    assert_int_equal(cache_copy_revision(&c, "/b/"), 40);
    assert_int_equal(cache_copy_revision(&c, "/b"), 0);
    assert_int_equal(cache_copy_revision(&c, ""), 0);
    cache_copy_fini(&c);
}

static void a_byte_that_changed_is_found(void **state)
{
    (void)state;
    size_t len;
    struct cache_time as_of = {.wall_ms = 1, .boot_ms = 1};
    char *text = text_of(&as_of, &len);
    for (size_t i = 0; i < len; i += 7) {
        struct cache_copy c;
        struct tenure_error err = {0};
        if (i >= CACHE_LINE - 20 && i < CACHE_LINE)
            continue; /* of the first line one is enough: each read of it is made many times */
        if (i > 20 && i < CACHE_LINE)
            continue;
        text[i] ^= 4;
        write_file(text, len);
        assert_int_equal(cache_copy_read(path, &c, &err), TENURE_ECORRUPT);
        text[i] ^= 4;
    }
    for (size_t cut = 0; cut < len; cut += 50) {
        struct cache_copy c;
        struct tenure_error err = {0};
        write_file(text, cut);
        assert_int_equal(cache_copy_read(path, &c, &err), TENURE_ECORRUPT);
    }
    free(text);
}

static void what_is_no_copy_is_said(void **state)
{
    (void)state;
    struct cache_copy c;
    struct tenure_error err = {0};
    assert_int_equal(cache_copy_read("/nowhere/at/all", &c, &err), TENURE_ENOTFOUND);
    assert_int_equal(cache_copy_read(folder, &c, &err), TENURE_ECORRUPT);
}

static void a_first_line_is_fixed_in_length(void **state)
{
    (void)state;
    char line[CACHE_LINE];
    uint32_t crc;
    size_t len;
    struct tenure_error err;
    struct cache_time t = {.wall_ms = INT64_MAX, .boot_ms = INT64_MAX}, back;
    memset(t.boot, 'b', sizeof t.boot - 1);
    cache_line_write(line, bytes_str("body"), &t);
    assert_int_equal(line[CACHE_LINE - 1], '\n');
    assert_int_equal(cache_line_read(line, &crc, &len, &back, &err), 0);
    assert_int_equal(len, 4);
    assert_int_equal(back.wall_ms, INT64_MAX);
    assert_string_equal(back.boot, t.boot);
    line[30]++;
    assert_int_equal(cache_line_read(line, &crc, &len, &back, &err), TENURE_ECORRUPT);
}

static void age_is_by_the_clock_that_can_be_compared(void **state)
{
    (void)state;
    struct cache_time then = {.wall_ms = 1000, .boot_ms = 100, .boot = "x"}, now = {5000, 1100, "x"};
    assert_int_equal(cache_time_age(&then, &now), 1000);
    strcpy(now.boot, "y");
    assert_int_equal(cache_time_age(&then, &now), 4000);
    now.wall_ms = 500;
    assert_true(cache_time_age(&then, &now) < 0);
    then.boot[0] = now.boot[0] = 0; /* unknown is not the same */
    now.wall_ms = 3000;
    assert_int_equal(cache_time_age(&then, &now), 2000);
    struct cache_time a = cache_time_now(), b = cache_time_now();
    assert_in_range(cache_time_age(&a, &b), 0, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_byte_that_changed_is_found),
        cmocka_unit_test(what_is_no_copy_is_said),
        cmocka_unit_test(a_first_line_is_fixed_in_length),
        cmocka_unit_test(age_is_by_the_clock_that_can_be_compared),
    };
    return cmocka_run_group_tests_name("cache_file", tests, begin, end);
}
