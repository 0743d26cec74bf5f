/* Ranges page by page: which call reads a page, where each begins, what happens when one fails. */
#include "cases.h"

#include "client/pager.h"

static struct client_pager *pager;

struct page {
    struct told told;
    char first[16], last[16];
    bool more, free_it;
};

static void on_page(void *user, const struct client_result *r)
{
    struct page *p = user;
    note(&p->told, r);
    p->told.n = r->code ? 0 : r->range->n_kvs;
    p->more = !r->code && r->range->more;
    if (p->told.n) {
        bytes first = r->range->kvs[0].key, last = r->range->kvs[p->told.n - 1].key;
        snprintf(p->first, sizeof p->first, "%.*s", (int)first.len, (const char *)first.data);
        snprintf(p->last, sizeof p->last, "%.*s", (int)last.len, (const char *)last.data);
    }
    if (p->free_it)
        pager = client_pager_free(pager, w.now);
}

static void make(struct client_pager_options opt)
{
    struct tenure_error err;
    opt.range.range = (struct key_range){bytes_str("p/"), bytes_str("p0")};
    assert_int_equal(client_pager_new(w.client, &opt, &pager, &err), 0);
}

static struct page next(void)
{
    struct tenure_error err;
    struct page p = {0};
    int rc = client_pager_next(pager, NULL, on_page, &p, w.now, &err);
    if (rc)
        fail_msg("%s", err.text);
    assert_true(world_until(&w, &p.told.done, 10000));
    assert_int_equal(p.told.times, 1);
    return p;
}

static void fill(int n)
{
    char key[16];
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "p/%03d", i);
        mock_put(&w, key, "0123456789");
    }
    mock_put(&w, "q", "outside");
}

static void end(void)
{
    struct tenure_error err;
    struct page p = {0};
    assert_true(client_pager_at_end(pager));
    assert_int_equal(client_pager_next(pager, NULL, on_page, &p, w.now, &err), TENURE_ENOTFOUND);
    pager = client_pager_free(pager, w.now);
}

static void the_first_page_is_a_range_and_the_others_are_streams(void **state)
{
    (void)state;
    fill(10);
    make((struct client_pager_options){.page_keys = 4});
    struct page p = next();
    assert_string_equal(p.first, "p/000");
    assert_string_equal(p.last, "p/003");
    assert_true(p.more);
    assert_int_equal(client_pager_revision(pager), w.revision);
    p = next();
    assert_string_equal(p.first, "p/004");
    assert_int_equal(p.told.n, 4);
    p = next();
    assert_string_equal(p.last, "p/009");
    assert_false(p.more);
    assert_int_equal(mock_count_requests(&w, "/Range", -1), 1);
    assert_int_equal(mock_count_requests(&w, "/RangeStream", -1), 2);
    end();
}

static void a_page_ends_when_its_bytes_are_full(void **state)
{
    (void)state;
    fill(10);
    make((struct client_pager_options){.range = {.revision = 11}, .page_bytes = 40}); /* 15 bytes each */
    struct page p = next();
    assert_string_equal(p.last, "p/002");
    assert_true(p.more);
    p = next();
    assert_string_equal(p.first, "p/003");
    assert_string_equal(p.last, "p/005");
    assert_int_equal(mock_count_requests(&w, "/Range", -1), 0);
    pager = client_pager_free(pager, w.now);
}

static void a_server_without_streams_is_asked_for_ranges(void **state)
{
    (void)state;
    struct mock_rule *r = mock_on(&w, "/RangeStream", -1, MOCK_ANSWER);
    r->status = GRPC_UNIMPLEMENTED;
    r->text = "unknown method RangeStream for service etcdserverpb.KV";
    fill(10);
    make((struct client_pager_options){.page_keys = 3});
    next();
    struct page p = next();
    assert_int_equal(p.told.code, 0);
    assert_string_equal(p.first, "p/003");
    next();
    p = next();
    assert_string_equal(p.last, "p/009");
    assert_int_equal(mock_count_requests(&w, "/RangeStream", -1), 1);
    assert_int_equal(mock_count_requests(&w, "/Range", -1), 4);
    end();
}

static void descending_pages_go_down(void **state)
{
    (void)state;
    fill(5);
    make((struct client_pager_options){.page_keys = 2, .descending = true});
    struct page p = next();
    assert_string_equal(p.first, "p/004");
    p = next();
    assert_string_equal(p.first, "p/002");
    p = next();
    assert_string_equal(p.first, "p/000");
    assert_int_equal(mock_count_requests(&w, "/RangeStream", -1), 0);
    end();
}

static void a_stream_that_is_cut_ends_a_short_page(void **state)
{
    (void)state;
    fill(10);
    make((struct client_pager_options){.page_keys = 4});
    next();
    w.chunks_max = 1;
    struct page p = next();
    assert_int_equal(p.told.code, 0);
    assert_int_equal(p.told.n, 2);
    assert_true(p.more);
    w.chunks_max = 0;
    p = next();
    assert_string_equal(p.first, "p/006");
    assert_string_equal(p.last, "p/009");
    pager = client_pager_free(pager, w.now);
}

static void a_compaction_is_told_until_the_end(void **state)
{
    (void)state;
    fill(10);
    make((struct client_pager_options){.page_keys = 3, .no_stream = true});
    next();
    mock_put(&w, "x", "1");
    mock_compact(&w, w.revision);
    struct page p = next();
    assert_int_equal(p.told.code, TENURE_ECOMPACTED);
    assert_non_null(strstr(p.told.error.text, "begin again"));
    pager = client_pager_free(pager, w.now);
}

static void a_limit_counts_over_all_pages(void **state)
{
    (void)state;
    fill(10);
    make((struct client_pager_options){.range = {.limit = 5}, .page_keys = 3});
    next();
    struct page p = next();
    assert_int_equal(p.told.n, 2);
    assert_false(p.more);
    end();
}

static void one_page_at_a_time(void **state)
{
    struct tenure_error err;
    struct page p = {0};
    (void)state;
    fill(3);
    make((struct client_pager_options){0});
    assert_int_equal(client_pager_next(pager, NULL, on_page, &p, w.now, &err), 0);
    assert_int_equal(client_pager_next(pager, NULL, on_page, &p, w.now, &err), TENURE_EBUSY);
    pager = client_pager_free(pager, w.now); /* ends it */
    assert_true(world_until(&w, &p.told.done, 4000));
    assert_int_equal(p.told.code, TENURE_ECANCELLED);
}

/* Whatever of it has come. */
static void a_page_that_is_cancelled_comes_again(void **state)
{
    (void)state;
    struct tenure_error err;
    fill(10);
    for (int stream = 0; stream < 2; stream++) {
        for (int ms = 0; ms < 6; ms++) {
            struct page p = {0};
            make((struct client_pager_options){.range = {.revision = stream ? 11 : 0}, .page_keys = 4});
            assert_int_equal(client_pager_next(pager, NULL, on_page, &p, w.now, &err), 0);
            world_run(&w, ms);
            client_pager_cancel(pager, w.now);
            assert_true(world_until(&w, &p.told.done, 4000));
            assert_int_equal(p.told.times, 1);
            if (p.told.code != 0) {
                assert_int_equal(p.told.code, TENURE_ECANCELLED);
                p = next();
            }
            assert_string_equal(p.first, "p/000");
            assert_int_equal(p.told.n, 4);
            client_pager_cancel(pager, w.now); /* none is under way */
            p = next();
            assert_string_equal(p.first, "p/004");
            pager = client_pager_free(pager, w.now);
        }
    }
    client_pager_cancel(NULL, w.now);
}

static void it_may_be_freed_in_its_callback(void **state)
{
    (void)state;
    struct tenure_error err;
    fill(10);
    for (int stream = 0; stream < 2; stream++) {
        struct page p = {.free_it = true};
        make((struct client_pager_options){.range = {.revision = stream ? 5 : 0}, .page_keys = 3});
        assert_int_equal(client_pager_next(pager, NULL, on_page, &p, w.now, &err), 0);
        assert_true(world_until(&w, &p.told.done, 4000));
        assert_int_equal(p.told.n, 3);
        assert_null(pager);
    }
}

static void a_chunk_that_cannot_be_read_fails_the_page(void **state)
{
    (void)state;
    fill(10);
    make((struct client_pager_options){.range = {.revision = 5}});
    mock_on(&w, "/RangeStream", -1, MOCK_BAD_MESSAGE);
    struct page p = next();
    assert_int_equal(p.told.code, TENURE_EPROTOCOL);
    pager = client_pager_free(pager, w.now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_1(the_first_page_is_a_range_and_the_others_are_streams),
        CASE_1(a_page_ends_when_its_bytes_are_full),
        CASE_1(a_server_without_streams_is_asked_for_ranges),
        CASE_1(descending_pages_go_down),
        CASE_2(a_stream_that_is_cut_ends_a_short_page),
        CASE_1(a_compaction_is_told_until_the_end),
        CASE_1(a_limit_counts_over_all_pages),
        CASE_1(one_page_at_a_time),
        CASE_1(a_page_that_is_cancelled_comes_again),
        CASE_1(it_may_be_freed_in_its_callback),
        CASE_1(a_chunk_that_cannot_be_read_fails_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
