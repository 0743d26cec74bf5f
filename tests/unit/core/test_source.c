/* A copy of another's keys: which calls are answered here, which wait, which are sent on, and how old the copy is said to be. */
#include "cases.h"

/* The source, as the core sees it. */
static struct {
    unsigned asked;
    struct core_forward *sent[8];
    char method[8][64], token[8][64];
    int64_t timeout_ms[8];
    size_t n_sent, n_cancelled;
    enum etcd_error refuses; /* with that */
} src;

static void *on_forward(void *user, const struct core_forward_req *req, struct core_forward *f,
                        enum etcd_error *ret_why)
{
    (void)user;
    if (src.refuses) {
        *ret_why = src.refuses;
        return NULL;
    }
    size_t i = src.n_sent++;
    snprintf(src.method[i], sizeof src.method[i], "%s/%s", req->service, req->method);
    snprintf(src.token[i], sizeof src.token[i], "%.*s", (int)req->token.len, (const char *)req->token.data);
    src.timeout_ms[i] = req->timeout_ms;
    src.sent[i] = f;
    return f;
}

static void on_cancel(void *user, void *handle)
{
    (void)user, (void)handle;
    src.n_cancelled++;
}

static void on_ask(void *user)
{
    (void)user;
    src.asked++;
}

static void on_describe(void *user, struct buf *out, tn_ms now)
{
    (void)user, (void)now;
    buf_append_bytes(out, bytes_str("state=follows\n"));
}

static const struct core_source source = {
    .forward = on_forward, .cancel = on_cancel, .ask = on_ask, .describe = on_describe};

static void begin(int64_t staleness_ms_max, bool forward_when_stale)
{
    const struct world_options o = {.store = {.follows = true},
                                    .core = {.source = &source,
                                             .source_cluster = 0x50,
                                             .staleness_ms_max = staleness_ms_max,
                                             .forward_when_stale = forward_when_stale}};
    memset(&src, 0, sizeof src);
    restart(&o);
}

/* The source makes a revision, and the copy follows. */
static void follow(const char *key, const char *value)
{
    struct tenure_error err;
    tn_rev revision = store_revision_planned(here.w->store) + 1;
    struct event e = {.type = EVENT_PUT,
                      .kv = {.key = bytes_str(key),
                             .value = bytes_str(value),
                             .create_revision = revision,
                             .mod_revision = revision,
                             .version = 1}};
    assert_int_equal(core_follow(here.w->core, &e, 1, here.w->now, &err), 0);
}

static struct call *read_of(const char *key, bool serializable)
{
    struct buf message;
    struct range_req req = {.range = {.key = bytes_str(key)}, .serializable = serializable};
    buf_init(&message);
    encode_range_req(&req, &message);
    return client_ask(here.c, "/etcdserverpb.KV/Range", &message);
}

static void a_serializable_read_is_answered_at_once(void **state)
{
    (void)state;
    begin(0, false);
    follow("a", "1");
    world_settle(here.w);
    struct call *r = read_of("a", true);
    world_settle(here.w);
    assert_int_equal(got_range(r).n_kvs, 1);
    assert_int_equal(src.asked, 0);
}

static void another_waits_for_a_round_that_begins_behind_it(void **state)
{
    (void)state;
    begin(0, false);
    core_ask_begins(here.w->core);
    struct call *r = read_of("a", false);
    world_settle(here.w);
    assert_int_equal(src.asked, 1);
    core_ask_answered(here.w->core, 1, here.w->now, here.w->now); /* of the round before it */
    world_settle(here.w);
    assert_waits(r);
    core_ask_begins(here.w->core);
    core_ask_answered(here.w->core, 2, here.w->now, here.w->now);
    world_settle(here.w);
    assert_waits(r); /* the copy has 1 */
    follow("a", "1");
    world_settle(here.w);
    assert_int_equal(got_range(r).n_kvs, 1);
}

/* What is planned is not what the copy has. */
static void it_waits_until_the_revision_is_durable(void **state)
{
    (void)state;
    begin(0, false);
    here.w->log_held = true;
    struct call *r = read_of("a", false);
    world_settle(here.w);
    core_ask_begins(here.w->core);
    core_ask_answered(here.w->core, 2, here.w->now, here.w->now);
    follow("a", "1");
    world_settle(here.w);
    assert_waits(r);
    assert_int_equal(core_staleness(here.w->core, here.w->now), -1);
    world_release(here.w, CORE_APPLIED);
    world_settle(here.w);
    assert_int_equal(got_range(r).n_kvs, 1);
    assert_int_equal(core_staleness(here.w->core, here.w->now), 0);
}

static void a_source_that_is_silent_ends_those_who_wait(void **state)
{
    (void)state;
    begin(0, false);
    struct call *first = read_of("a", false);
    world_settle(here.w);
    core_ask_begins(here.w->core);
    struct call *second = read_of("a", false);
    world_settle(here.w);
    core_ask_failed(here.w->core, here.w->now);
    world_settle(here.w);
    assert_error(first, ETCD_SOURCE_GONE);
    assert_waits(second);
    world_pass(here.w, 10001); /* nobody ever asks */
    assert_error(second, ETCD_SOURCE_GONE);
}

static void the_age_counts_from_the_question(void **state)
{
    (void)state;
    struct core *k = here.w->core;
    begin(0, false);
    k = here.w->core;
    tn_ms sent_at = here.w->now;
    world_pass(here.w, 300);
    core_ask_begins(k);
    core_ask_answered(k, 1, sent_at, here.w->now);
    assert_int_equal(core_staleness(k, here.w->now), 300);
    world_pass(here.w, 100);
    core_ask_begins(k);
    core_ask_answered(k, 3, here.w->now, here.w->now); /* which the copy does not have */
    world_pass(here.w, 100);
    assert_int_equal(core_staleness(k, here.w->now), 500);
    follow("a", "1");
    follow("b", "1");
    world_settle(here.w);
    assert_int_equal(core_staleness(k, here.w->now), 100);
}

static void a_copy_that_is_too_old_refuses(void **state)
{
    (void)state;
    begin(200, false);
    struct call *r = read_of("a", true);
    world_settle(here.w);
    assert_error(r, ETCD_STALE); /* its age is not known */
    core_ask_begins(here.w->core);
    core_ask_answered(here.w->core, 1, here.w->now, here.w->now);
    r = read_of("a", true);
    world_settle(here.w);
    assert_ok(r);
    world_pass(here.w, 201);
    r = read_of("a", true);
    world_settle(here.w);
    assert_error(r, ETCD_STALE);
}

static void or_sends_the_read_on(void **state)
{
    (void)state;
    begin(200, true);
    struct call *r = read_of("a", true);
    world_settle(here.w);
    assert_string_equal(src.method[0], "etcdserverpb.KV/Range");
    core_forward_end(src.sent[0], GRPC_OK, "", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_ok(r);
}

static void writes_are_sent_on_and_their_errors_come_back(void **state)
{
    (void)state;
    begin(0, false);
    struct call *p = client_put(here.c, "a", "1");
    struct call *d = client_delete(here.c, "a", "");
    struct call *g = client_grant(here.c, 1, 10);
    world_settle(here.w);
    assert_int_equal(src.n_sent, 3);
    assert_string_equal(src.method[0], "etcdserverpb.KV/Put");
    assert_string_equal(src.method[1], "etcdserverpb.KV/DeleteRange");
    assert_string_equal(src.method[2], "etcdserverpb.Lease/LeaseGrant");
    assert_waits(p);
    struct buf answer;
    struct put_resp resp = {.revision = 9};
    struct response_header h = {.cluster_id = 0x50};
    buf_init(&answer);
    encode_put_resp(&h, &resp, &answer);
    core_forward_end(src.sent[0], GRPC_OK, "", buf_bytes(&answer));
    buf_fini(&answer);
    core_forward_end(src.sent[1], GRPC_PERMISSION_DENIED, "etcdserver: permission denied", bytes_of(NULL, 0));
    core_forward_end(src.sent[2], GRPC_UNAVAILABLE, "any words", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_int_equal(got_put(p, &h).revision, 9);
    assert_status(d, GRPC_PERMISSION_DENIED, "etcdserver: permission denied");
    assert_status(g, GRPC_UNAVAILABLE, "any words");
    assert_int_equal(store_revision(here.w->store), 1);
}

static void a_call_that_ends_is_cancelled_there(void **state)
{
    (void)state;
    begin(0, false);
    struct buf message;
    struct put_req req = {.key = bytes_str("a")};
    buf_init(&message);
    encode_put_req(&req, &message);
    struct call *p = client_call(here.c, "/etcdserverpb.KV/Put", 500);
    call_say(p, &message);
    world_settle(here.w);
    assert_in_range(src.timeout_ms[0], 1, 500);
    world_pass(here.w, 501);
    assert_error(p, ETCD_DEADLINE_EXCEEDED);
    assert_int_equal(src.n_cancelled, 1);
    client_put(here.c, "a", "1");
    world_settle(here.w);
    client_cut(here.c);
    world_settle(here.w);
    assert_int_equal(src.n_cancelled, 2);
}

static void what_cannot_be_sent_on_is_refused(void **state)
{
    (void)state;
    begin(0, false);
    static const enum etcd_error words[] = {ETCD_TOO_MANY_REQUESTS, ETCD_OUT_OF_MEMORY, ETCD_SOURCE_GONE};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        src.refuses = words[i];
        struct call *p = client_put(here.c, "a", "1");
        world_settle(here.w);
        assert_error(p, words[i]);
    }
}

/* A request that cannot be read is for nobody: not for want of memory either, when its method might read it the next moment. */
static void what_cannot_be_read_is_answered_nowhere(void **state)
{
    (void)state;
    static const char *const paths[] = {"/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn"};
    begin(0, false);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct buf message;
        buf_init(&message);
        buf_append_bytes(&message, bytes_str("\x0a\x7f"));
        struct call *call = client_ask(here.c, paths[i], &message);
        world_settle(here.w);
        assert_status(call, GRPC_INTERNAL, "grpc: error unmarshalling request: not a valid protobuf message");
    }
    assert_int_equal(src.n_sent + src.asked, 0);
}

static struct lease_keepalive_resp renewed(struct call *stream, tn_lease id)
{
    struct buf answer;
    struct response_header h = {0};
    struct lease_keepalive_resp resp = {.id = id, .ttl_s = 10};
    buf_init(&answer);
    encode_lease_keepalive_resp(&h, &resp, &answer);
    core_forward_end(src.sent[src.n_sent - 1], GRPC_OK, "", buf_bytes(&answer));
    buf_fini(&answer);
    world_settle(here.w);
    return got_keepalive(stream);
}

static void renewals_are_sent_on_one_by_one(void **state)
{
    (void)state;
    begin(0, false);
    struct call *stream = client_keepalive(here.c);
    call_keepalive(stream, 5);
    world_settle(here.w);
    assert_int_equal(renewed(stream, 5).ttl_s, 10);
    call_keepalive(stream, 6);
    call_half_close(stream);
    world_settle(here.w);
    assert_false(stream->has_status);
    assert_int_equal(renewed(stream, 6).id, 6);
    assert_ok(stream);
}

static void watchers_are_told_what_is_followed(void **state)
{
    (void)state;
    begin(0, false);
    struct call *stream = client_watch(here.c);
    struct watch_create_req req = {.range = {.key = bytes_str("a")}, .start_revision = 1};
    call_watch(stream, &req);
    world_settle(here.w);
    assert_true(got_watch(stream).created);
    follow("a", "1");
    world_settle(here.w);
    struct watch_resp got = got_watch(stream);
    assert_int_equal(got.n_events, 1);
    assert_int_equal(got.header.cluster_id, 0x50);
    assert_int_equal(got.events[0].kv.mod_revision, 2);
}

static void compactions_are_taken_over_once(void **state)
{
    (void)state;
    begin(0, false);
    follow("a", "1");
    follow("b", "1");
    assert_false(core_follow_compaction(here.w->core, 4, here.w->now));
    assert_true(core_follow_compaction(here.w->core, 3, here.w->now));
    assert_true(core_follow_compaction(here.w->core, 2, here.w->now));
    world_settle(here.w);
    assert_int_equal(store_compacted(here.w->store), 3);
}

static void a_full_disk_takes_nothing(void **state)
{
    (void)state;
    struct tenure_error err;
    begin(0, false);
    here.w->outcome = CORE_NOT_APPLIED;
    follow("a", "1");
    world_settle(here.w);
    assert_int_equal(store_revision_planned(here.w->store), 1);
    struct event e = {.type = EVENT_PUT,
                      .kv = {.key = bytes_str("a"), .create_revision = 2, .mod_revision = 2, .version = 1}};
    assert_int_equal(core_follow(here.w->core, &e, 1, here.w->now, &err), TENURE_ELIMIT);
    here.w->outcome = CORE_APPLIED;
    world_pass(here.w, 1001);
    follow("a", "1");
    world_settle(here.w);
    assert_int_equal(store_revision(here.w->store), 2);
}

static void it_says_how_it_stands(void **state)
{
    (void)state;
    struct buf none;
    buf_init(&none);
    struct call *s = client_ask(here.c, "/tenure.Replica/Status", &none); /* the world's own server is none */
    world_settle(here.w);
    assert_status(s, GRPC_UNIMPLEMENTED, "unknown service tenure.Replica");
    begin(0, false);
    buf_init(&none);
    s = client_ask(here.c, "/tenure.Replica/Status", &none);
    world_settle(here.w);
    bytes text = call_next(s);
    assert_true(bytes_has_prefix(text, bytes_str("revision=1\ncompacted=-1\nstaleness_ms=-1\nstate=follows\n")));
}

/* ---- some keys alone ---- */

static void begin_partly(bool forward_others)
{
    static const struct key_range parts[] = {{{(const uint8_t *)"a/", 2}, {(const uint8_t *)"a0", 2}},
                                             {{(const uint8_t *)"c/", 2}, {(const uint8_t *)"c0", 2}}};
    const struct world_options o = {.store = {.follows = true, .has_holes = true},
                                    .core = {.source = &source,
                                             .source_cluster = 0x50,
                                             .source_parts = parts,
                                             .n_source_parts = ARRAY_LEN(parts),
                                             .source_parts_text = "the keys that begin with a/ or c/",
                                             .forward_others = forward_others}};
    memset(&src, 0, sizeof src);
    restart(&o);
}

static struct call *ask_range(bytes key, bytes range_end)
{
    struct buf message;
    struct range_req req = {.range = {key, range_end}, .serializable = true};
    buf_init(&message);
    encode_range_req(&req, &message);
    return client_ask(here.c, "/etcdserverpb.KV/Range", &message);
}

static struct call *ask_txn(struct txn_req req)
{
    struct buf message;
    buf_init(&message);
    encode_txn_req(&req, &message);
    return client_ask(here.c, "/etcdserverpb.KV/Txn", &message);
}

static void assert_not_held(struct call *call)
{
    world_settle(here.w);
    assert_status(
        call, GRPC_FAILED_PRECONDITION,
        "tenure: not done, this replica holds the keys that begin with a/ or c/, and no others: ask its source");
}

static void what_is_not_held_is_refused(void **state)
{
    (void)state;
    static const char *const ranges[][2] = {{"b", ""},   {"a", ""},    {"a0", ""},  {"d", ""}, {"a/", "a1"},
                                            {"a", "a0"}, {"a/", "c0"}, {"b", "b0"}, {"", "a0"}};
    begin_partly(false);
    for (size_t i = 0; i + 1 < ARRAY_LEN(ranges); i++)
        assert_not_held(ask_range(bytes_str(ranges[i][0]), bytes_str(ranges[i][1])));
    assert_not_held(ask_range(bytes_str("a/"), bytes_of("\0", 1)));
    assert_not_held(ask_range(bytes_of("\0", 1), bytes_of("\0", 1)));
    struct call *r = ask_range(bytes_str(""), bytes_str("a0"));
    world_settle(here.w);
    assert_error(r, ETCD_EMPTY_KEY);
    static const char *const held[][2] = {{"a/", "a0"}, {"a/x", ""}, {"a/x", "a/y"}, {"c/", "c0"}};
    for (size_t i = 0; i < ARRAY_LEN(held); i++) {
        r = ask_range(bytes_str(held[i][0]), bytes_str(held[i][1]));
        world_settle(here.w);
        assert_ok(r);
    }
    assert_int_equal(src.n_sent, 0);
}

static void a_transaction_is_held_whole_or_not_at_all(void **state)
{
    (void)state;
    struct request_op here_op = {.kind = OP_RANGE, .range = {.range = {.key = bytes_str("a/1")}, .serializable = true}};
    struct request_op there_op = {.kind = OP_RANGE, .range = {.range = {.key = bytes_str("b")}, .serializable = true}};
    struct request_op put_op = {.kind = OP_PUT, .put = {.key = bytes_str("b")}};
    struct compare of_here = {.range = {.key = bytes_str("a/1")}}, of_there = {.range = {.key = bytes_str("b")}};
    struct txn_req inner = {.success = &there_op, .n_success = 1};
    struct request_op nested = {.kind = OP_TXN, .txn = &inner};
    begin_partly(false);
    assert_not_held(
        ask_txn((struct txn_req){.success = &here_op, .n_success = 1, .failure = &there_op, .n_failure = 1}));
    assert_not_held(ask_txn((struct txn_req){.compares = &of_there, .n_compares = 1}));
    assert_not_held(ask_txn((struct txn_req){.success = &nested, .n_success = 1}));
    struct call *r = ask_txn((struct txn_req){.compares = &of_here,
                                              .n_compares = 1,
                                              .success = &here_op,
                                              .n_success = 1,
                                              .failure = &here_op,
                                              .n_failure = 1});
    world_settle(here.w);
    assert_ok(r);
    assert_int_equal(src.n_sent, 0);
    ask_txn((struct txn_req){.compares = &of_there, .n_compares = 1, .success = &put_op, .n_success = 1});
    world_settle(here.w);
    assert_int_equal(src.n_sent, 1); /* it writes: it is the source's in any case */
}

static void or_its_reads_are_sent_on(void **state)
{
    (void)state;
    begin_partly(true);
    struct call *r = ask_range(bytes_str("b"), bytes_str(""));
    world_settle(here.w);
    assert_int_equal(src.n_sent, 1);
    core_forward_end(src.sent[0], GRPC_OK, "", bytes_of(NULL, 0));
    world_settle(here.w);
    assert_ok(r);
}

static void a_watch_of_others_is_refused_in_its_stream(void **state)
{
    (void)state;
    begin_partly(true); /* watches are not sent on */
    struct call *stream = client_watch(here.c);
    struct watch_create_req all = {.range = {.range_end = bytes_of("\0", 1)}},
                            some = {.range = {.key = bytes_str("a/1")}};
    call_watch(stream, &all);
    world_settle(here.w);
    struct watch_resp got = got_watch(stream);
    assert_true(got.created && got.canceled && got.watch_id == -1);
    assert_true(bytes_has_prefix(got.cancel_reason, bytes_str("rpc error: code = FailedPrecondition desc = tenure: ")));
    call_watch(stream, &some);
    world_settle(here.w);
    got = got_watch(stream);
    assert_true(got.created && !got.canceled);
}

static void of_some_there_is_neither_hash_nor_snapshot(void **state)
{
    (void)state;
    static const char *const paths[] = {"/etcdserverpb.Maintenance/Hash", "/etcdserverpb.Maintenance/HashKV",
                                        "/etcdserverpb.Maintenance/Snapshot"};
    begin_partly(true);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct buf none;
        buf_init(&none);
        struct call *call = client_ask(here.c, paths[i], &none);
        world_settle(here.w);
        assert_status(
            call, GRPC_FAILED_PRECONDITION,
            "tenure: not done, this replica was copied by ranges, without the past, and holds the keys that begin "
            "with a/ or c/: ask its source");
    }
}

static void the_revision_goes_on_without_them(void **state)
{
    (void)state;
    begin_partly(false);
    struct call *r = read_of("a/1", false);
    world_settle(here.w);
    core_ask_begins(here.w->core);
    core_ask_answered(here.w->core, 50, here.w->now, here.w->now);
    world_settle(here.w);
    assert_waits(r);
    assert_int_equal(core_follow_to(here.w->core, 50, here.w->now), 0);
    world_settle(here.w);
    assert_int_equal(got_range(r).revision, 50);
    assert_int_equal(core_staleness(here.w->core, here.w->now), 0);
    here.w->outcome = CORE_NOT_APPLIED;
    assert_int_equal(core_follow_to(here.w->core, 60, here.w->now), 0);
    world_settle(here.w);
    assert_int_equal(store_revision_planned(here.w->store), 50);
    assert_int_equal(core_follow_to(here.w->core, 60, here.w->now), TENURE_ELIMIT);
    struct buf none;
    buf_init(&none);
    struct call *s = client_ask(here.c, "/tenure.Replica/Status", &none);
    world_settle(here.w);
    bytes text = call_next(s);
    assert_non_null(memmem(text.data, text.len, "\nranges=612f-6130,632f-6330\n", 28));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_serializable_read_is_answered_at_once),
        CASE(another_waits_for_a_round_that_begins_behind_it),
        CASE(it_waits_until_the_revision_is_durable),
        CASE(a_source_that_is_silent_ends_those_who_wait),
        CASE(the_age_counts_from_the_question),
        CASE(a_copy_that_is_too_old_refuses),
        CASE(or_sends_the_read_on),
        CASE(writes_are_sent_on_and_their_errors_come_back),
        CASE(a_call_that_ends_is_cancelled_there),
        CASE(what_cannot_be_sent_on_is_refused),
        CASE(what_cannot_be_read_is_answered_nowhere),
        CASE(renewals_are_sent_on_one_by_one),
        CASE(watchers_are_told_what_is_followed),
        CASE(compactions_are_taken_over_once),
        CASE(a_full_disk_takes_nothing),
        CASE(it_says_how_it_stands),
        CASE(what_is_not_held_is_refused),
        CASE(a_transaction_is_held_whole_or_not_at_all),
        CASE(or_its_reads_are_sent_on),
        CASE(a_watch_of_others_is_refused_in_its_stream),
        CASE(of_some_there_is_neither_hash_nor_snapshot),
        CASE(the_revision_goes_on_without_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
