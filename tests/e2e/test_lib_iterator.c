/* Ranges page by page, on a server with RangeStream and on one without. */
#include "lib.h"

#define KEYS 257

static void fill(tenure_client *c, const char *prefix, int n, size_t value_len)
{
    struct tenure_error err = {0};
    char key[64];
    char *value = calloc(1, value_len + 1);
    memset(value, 'v', value_len);
    for (int at = 0; at < n;) {
        tenure_txn *t = tenure_txn_new(c);
        for (int i = 0; i < 64 && at < n; i++, at++) {
            snprintf(key, sizeof key, "%s%04d", prefix, at);
            tenure_then_put(t, S(key), (struct tenure_bytes){value, value_len}, 0);
        }
        no_error(tenure_txn_commit(t, 0, NULL, &err), &err);
        tenure_txn_free(t);
    }
    free(value);
}

/* What all pages of an iterator held. */
struct sum {
    int keys, pages, pages_with_more;
    size_t keys_max, bytes_max;
    int64_t revision;
    char first[64], last[64];
};

static void add_page(struct sum *s, const struct tenure_get_result *r, bool descending)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->n_kvs; i++) {
        const char *key = r->kvs[i].key.data;
        if (s->keys == 0)
            snprintf(s->first, sizeof s->first, "%s", key);
        else
            assert_true(descending ? strcmp(key, s->last) < 0 : strcmp(key, s->last) > 0);
        snprintf(s->last, sizeof s->last, "%s", key);
        bytes += r->kvs[i].key.len + r->kvs[i].value.len;
        s->keys++;
    }
    if (s->pages == 0)
        s->revision = r->revision;
    s->pages++;
    s->pages_with_more += r->more;
    s->keys_max = r->n_kvs > s->keys_max ? r->n_kvs : s->keys_max;
    s->bytes_max = bytes > s->bytes_max ? bytes : s->bytes_max;
    assert_int_equal(r->count, r->n_kvs);
}

static struct sum read_all(tenure_client *c, const char *key, const struct tenure_range_options *o)
{
    struct tenure_error err = {0};
    struct sum s = {0};
    struct tenure_get_result *page = NULL;
    tenure_range_iter *it = tenure_range_iter_new(c, S(key), o, &err);
    assert_non_null(it);
    while (no_error(tenure_range_iter_next(it, &page, &err), &err), page) {
        add_page(&s, page, o->descending);
        tenure_get_free(page);
    }
    assert_int_equal(err.code, 0);
    tenure_range_iter_free(it);
    assert_int_equal(s.pages_with_more, s.pages - 1);
    return s;
}

static void every_key_comes_once_in_order(void **state)
{
    tenure_client *c = open_on(*state);
    fill(c, "iter/", KEYS, 10);
    for (int i = 0; i < 8; i++) {
        struct tenure_range_options o = {
            .size = sizeof o, .prefix = true, .descending = i & 1, .no_stream = i & 2, .page_keys = i & 4 ? 10 : 0};
        struct sum s = read_all(c, "iter/", &o);
        assert_int_equal(s.keys, KEYS);
        assert_string_equal(o.descending ? s.last : s.first, "iter/0000");
        assert_string_equal(o.descending ? s.first : s.last, "iter/0256");
        assert_true(s.keys_max <= (o.page_keys ? o.page_keys : 1000));
        assert_true(s.pages > (o.page_keys ? 25 : 1));
    }
    tenure_close(c);
}

static void pages_have_about_the_bytes_asked_for(void **state)
{
    tenure_client *c = open_on(*state);
    fill(c, "big/", 300, 4000);
    for (int i = 0; i < 2; i++) {
        struct tenure_range_options o = {.size = sizeof o, .prefix = true, .no_stream = i, .page_bytes = 100000};
        struct sum s = read_all(c, "big/", &o);
        assert_int_equal(s.keys, 300);
        assert_true(s.pages >= 6);
        assert_true(s.keys_max <= 100); /* the first, of which nothing is known; behind it 25 */
    }
    tenure_close(c);
}

static void all_pages_are_of_one_revision(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct sum s = {0};
    struct tenure_range_options o = {.size = sizeof o, .prefix = true, .page_keys = 10};
    struct tenure_get_result *page = NULL;
    fill(c, "same/", 50, 10);
    tenure_range_iter *it = tenure_range_iter_new(c, S("same/"), &o, &err);
    for (int i = 0; no_error(tenure_range_iter_next(it, &page, &err), &err), page; i++) {
        char key[64];
        snprintf(key, sizeof key, "same/%04d", 49 - i);
        struct tenure_delete_options none = {.size = sizeof none};
        no_error(tenure_delete(c, S(key), &none, NULL, &err), &err);
        snprintf(key, sizeof key, "same/00%02dx", 40 + i);
        put(c, key, "late");
        add_page(&s, page, false);
        tenure_get_free(page);
    }
    tenure_range_iter_free(it);
    assert_int_equal(s.keys, 50);
    tenure_close(c);
}

static void a_compaction_in_the_middle_is_told(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_range_options o = {.size = sizeof o, .prefix = true, .page_keys = 10};
    struct tenure_get_result *page = NULL;
    struct tenure_put_result *p = NULL;
    fill(c, "gone/", 50, 10);
    tenure_range_iter *it = tenure_range_iter_new(c, S("gone/"), &o, &err);
    no_error(tenure_range_iter_next(it, &page, &err), &err);
    tenure_get_free(page);
    put(c, "gone/0001", "1");
    no_error(tenure_put(c, S("gone/0001"), S("2"), NULL, &p, &err), &err);
    no_error(tenure_compact(c, p->revision, false, 0, &err), &err);
    tenure_put_free(p);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tenure_range_iter_next(it, &page, &err), TENURE_ECOMPACTED);
        assert_null(page);
        assert_non_null(strstr(err.text, "begin again"));
    }
    tenure_range_iter_free(it);
    tenure_close(c);
}

static void limits_ranges_and_single_keys_end_where_they_should(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    fill(c, "lim/", 30, 1);
    struct tenure_range_options o = {.size = sizeof o, .prefix = true, .limit = 12, .page_keys = 5};
    struct sum s = read_all(c, "lim/", &o);
    assert_int_equal(s.keys, 12);
    assert_int_equal(s.pages, 3);
    o = (struct tenure_range_options){.size = sizeof o, .range_end = S("lim/0020"), .page_keys = 7, .keys_only = true};
    s = read_all(c, "lim/0010", &o);
    assert_int_equal(s.keys, 10);
    assert_string_equal(s.last, "lim/0019");
    assert_int_equal(s.bytes_max, 7 * 8);
    o = (struct tenure_range_options){.size = sizeof o, .serializable = true};
    s = read_all(c, "lim/0003", &o);
    assert_int_equal(s.keys, 1);
    assert_int_equal(s.pages, 1);
    o.prefix = true;
    s = read_all(c, "lim/none", &o);
    assert_int_equal(s.keys, 0);
    assert_int_equal(s.pages, 1);
    o = (struct tenure_range_options){.size = sizeof o, .prefix = true, .revision = -1};
    assert_null(tenure_range_iter_new(c, S("lim/"), &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_range_iter_new(c, S(""), NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

struct told {
    tenure_range_iter *it;
    atomic_int done, code;
    int keys;
};

/* One a page, though a page is asked for with less than one, and all in one where it is asked for with more. */
static void the_largest_values_come_whole(void **state)
{
    enum { N = 4 };
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_bytes values[N];
    for (int i = 0; i < N; i++) {
        char key[32];
        snprintf(key, sizeof key, "large/%d", i);
        values[i] = large_value((char)('0' + i), LARGEST_VALUE);
        no_error(tenure_put(c, S(key), values[i], NULL, NULL, &err), &err);
    }
    for (int way = 0; way < 4; way++) {
        struct tenure_range_options o = {.size = sizeof o,
                                         .prefix = true,
                                         .no_stream = way & 1,
                                         .page_bytes = way & 2 ? (size_t)N * 2 * LARGEST_VALUE : 0};
        struct tenure_get_result *page = NULL;
        tenure_range_iter *it = tenure_range_iter_new(c, S("large/"), &o, &err);
        int seen = 0;
        assert_non_null(it);
        do {
            no_error(tenure_range_iter_next(it, &page, &err), &err);
            for (size_t i = 0; page && i < page->n_kvs; i++)
                assert_true(is_same(page->kvs[i].value, values[seen++]));
            tenure_get_free(page);
        } while (page);
        assert_int_equal(seen, N);
        tenure_range_iter_free(it);
    }
    for (int i = 0; i < N; i++)
        free((void *)values[i].data);
    tenure_close(c);
}

static void on_page(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct told *t = user;
    (void)err;
    t->keys += r ? (int)r->n_kvs : 0;
    bool more = r && r->more;
    tenure_get_free(r);
    if (more && tenure_range_iter_next_start(t->it, on_page, t, NULL) == 0)
        return;
    atomic_store(&t->code, code);
    atomic_store(&t->done, 1);
}

static void pages_follow_each_other_by_completions(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_range_options o = {.size = sizeof o, .prefix = true, .page_keys = 10};
    fill(c, "cb/", 45, 1);
    struct told t = {.it = tenure_range_iter_new(c, S("cb/"), &o, &err)};
    no_error(tenure_range_iter_next_start(t.it, on_page, &t, &err), &err);
    await_flag(&t.done);
    assert_int_equal(t.code, 0);
    assert_int_equal(t.keys, 45);
    tenure_range_iter_free(t.it);
    tenure_range_iter_free(NULL);
    assert_non_null(tenure_range_iter_new(c, S("cb/"), &o, &err)); /* freed with the handle */
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_values_come_whole),
        cmocka_unit_test(every_key_comes_once_in_order),
        cmocka_unit_test(pages_have_about_the_bytes_asked_for),
        cmocka_unit_test(all_pages_are_of_one_revision),
        cmocka_unit_test(a_compaction_in_the_middle_is_told),
        cmocka_unit_test(limits_ranges_and_single_keys_end_where_they_should),
        cmocka_unit_test(pages_follow_each_other_by_completions),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
