/* Watch: requests and responses come back; an event encoded once is a field of any response. */
#include "rpc.pb-c.h"
#include "sample.h"

static struct event sample_event(struct sample *s)
{
    struct event e = {
        .type = sample_bool(s) ? EVENT_PUT : EVENT_DELETE,
        .kv = sample_kv(s),
        .has_prev_kv = sample_bool(s),
    };
    if (e.has_prev_kv)
        e.prev_kv = sample_kv(s);
    return e;
}

static struct watch_resp sample_resp(struct sample *s, size_t n_events)
{
    struct watch_resp r = {
        .header = sample_header(s),
        .watch_id = sample_int(s),
        .created = sample_bool(s),
        .canceled = sample_bool(s),
        .fragment = sample_bool(s),
        .compact_revision = sample_int(s),
        .cancel_reason = sample_text(s),
        .events = sample_array(s, n_events, sizeof(struct event)),
        .n_events = n_events,
    };
    for (size_t i = 0; i < n_events; i++)
        r.events[i] = sample_event(s);
    return r;
}

static bool same_event(const struct event *a, const struct event *b)
{
    return a->type == b->type && same_kv(&a->kv, &b->kv) && a->has_prev_kv == b->has_prev_kv &&
           same_kv(&a->prev_kv, &b->prev_kv);
}

static bool same_resp(const struct watch_resp *a, const struct watch_resp *b)
{
    if (!same_header(&a->header, a->header.revision, &b->header) || a->n_events != b->n_events)
        return false;
    for (size_t i = 0; i < a->n_events; i++)
        if (!same_event(&a->events[i], &b->events[i]))
            return false;
    return a->watch_id == b->watch_id && a->created == b->created && a->canceled == b->canceled &&
           a->fragment == b->fragment && a->compact_revision == b->compact_revision &&
           bytes_equal(a->cancel_reason, b->cancel_reason);
}

static void a_create_request_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 30);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct watch_req b, a = {
                                .kind = WATCH_REQ_CREATE,
                                .create =
                                    {
                                        .range = sample_range(&s),
                                        .start_revision = sample_int(&s),
                                        .progress_notify = sample_bool(&s),
                                        .prev_kv = sample_bool(&s),
                                        .fragment = sample_bool(&s),
                                        .no_put = sample_bool(&s),
                                        .no_delete = sample_bool(&s),
                                        .watch_id = sample_int(&s),
                                    },
                            };
        encode_watch_req(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__watch_request__descriptor);
        assert_int_equal(decode_watch_req(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_int_equal(b.kind, WATCH_REQ_CREATE);
        const struct watch_create_req *x = &a.create, *y = &b.create;
        assert_true(same_range(x->range, y->range) && x->start_revision == y->start_revision);
        assert_true(x->progress_notify == y->progress_notify && x->prev_kv == y->prev_kv);
        assert_true(x->fragment == y->fragment && x->watch_id == y->watch_id);
        assert_true(x->no_put == y->no_put && x->no_delete == y->no_delete);
    }
    sample_fini(&s);
}

static void the_other_requests_come_back(void **state)
{
    (void)state;
    struct sample s;
    struct watch_req b;
    sample_init(&s, 31);
    const struct watch_req cancel = {.kind = WATCH_REQ_CANCEL, .cancel_id = -5};
    encode_watch_req(&cancel, &s.out);
    expect_canonical(&s, &etcdserverpb__watch_request__descriptor);
    assert_int_equal(decode_watch_req(buf_bytes(&s.out), &s.arena, &b), 0);
    assert_true(b.kind == WATCH_REQ_CANCEL && b.cancel_id == -5);

    buf_reset(&s.out);
    const struct watch_req progress = {.kind = WATCH_REQ_PROGRESS};
    encode_watch_req(&progress, &s.out);
    expect_canonical(&s, &etcdserverpb__watch_request__descriptor);
    assert_int_equal(decode_watch_req(buf_bytes(&s.out), &s.arena, &b), 0);
    assert_int_equal(b.kind, WATCH_REQ_PROGRESS);

    buf_reset(&s.out);
    const struct watch_req none = {.kind = WATCH_REQ_NONE};
    encode_watch_req(&none, &s.out);
    assert_int_equal(s.out.len, 0);
    assert_int_equal(decode_watch_req(buf_bytes(&s.out), &s.arena, &b), 0);
    assert_int_equal(b.kind, WATCH_REQ_NONE);
    sample_fini(&s);
}

/* Older writers put each filter into a field of its own; both forms are allowed. */
static void filters_are_read_packed_and_unpacked(void **state)
{
    (void)state;
    struct sample s;
    struct watch_req b;
    sample_init(&s, 32);
    assert_int_equal(decode_watch_req(bytes_of("\x0a\x04\x2a\x02\x00\x01", 6), &s.arena, &b), 0);
    assert_true(b.create.no_put && b.create.no_delete);
    assert_int_equal(decode_watch_req(bytes_of("\x0a\x02\x28\x01", 4), &s.arena, &b), 0);
    assert_true(!b.create.no_put && b.create.no_delete);
    assert_int_equal(decode_watch_req(bytes_of("\x0a\x02\x28\x09", 4), &s.arena, &b), 0); /* no filter of ours */
    assert_true(!b.create.no_put && !b.create.no_delete);
    sample_fini(&s);
}

static void a_response_comes_back(void **state)
{
    (void)state;
    struct sample s;
    sample_init(&s, 33);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s)) {
        struct watch_resp a = sample_resp(&s, sample_below(&s, 4)), b;
        encode_watch_resp(&a, &s.out);
        expect_canonical(&s, &etcdserverpb__watch_response__descriptor);
        assert_int_equal(decode_watch_resp(buf_bytes(&s.out), &s.arena, &b), 0);
        assert_true(same_resp(&a, &b));
    }
    sample_fini(&s);
}

static void events_encoded_by_themselves_complete_a_response_without_any(void **state)
{
    (void)state;
    struct sample s;
    struct buf whole;
    sample_init(&s, 34);
    buf_init(&whole);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s), buf_reset(&whole)) {
        struct watch_resp r = sample_resp(&s, 3);
        encode_watch_resp(&r, &whole);
        struct watch_resp head = r;
        head.n_events = 0;
        encode_watch_resp(&head, &s.out);
        for (size_t n = 0; n < r.n_events; n++)
            encode_event_field(&r.events[n], &s.out);
        assert_true(bytes_equal(buf_bytes(&whole), buf_bytes(&s.out)));
    }
    buf_fini(&whole);
    sample_fini(&s);
}

static void any_response_means_the_same_when_encoded_again(void **state)
{
    (void)state;
    struct sample s;
    struct buf again;
    sample_init(&s, 35);
    buf_init(&again);
    for (int i = 0; i < SAMPLES; i++, sample_reset(&s), buf_reset(&again)) {
        struct watch_resp a, b;
        sample_message(&s, &etcdserverpb__watch_response__descriptor, 4, &s.out);
        assert_int_equal(decode_watch_resp(buf_bytes(&s.out), &s.arena, &a), 0);
        encode_watch_resp(&a, &again);
        assert_int_equal(decode_watch_resp(buf_bytes(&again), &s.arena, &b), 0);
        assert_true(same_resp(&a, &b));
    }
    buf_fini(&again);
    sample_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_create_request_comes_back),
        cmocka_unit_test(the_other_requests_come_back),
        cmocka_unit_test(filters_are_read_packed_and_unpacked),
        cmocka_unit_test(a_response_comes_back),
        cmocka_unit_test(events_encoded_by_themselves_complete_a_response_without_any),
        cmocka_unit_test(any_response_means_the_same_when_encoded_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
