/* Every operation, cancelled at every step: after the 0th, 1st, 2nd … turn of a poll handle's loop, until it ends by itself or
 * has come to rest. Each time: one completion, nothing of it stays on the server but what the header says, and the handle works
 * on. The handle is new each time, so that the steps of its connection are among them. */
#include "lib.h"

#include <poll.h>

enum { STEPS_MAX = 60, REST_MS = 40 };

struct run {
    const struct server *server;
    tenure_client *helper; /* a blocking one, to look with */
    tenure_client *c;      /* the one under test */
    tenure_scope *scope;
    int completions, code;
    enum tenure_applied applied;
    int64_t number; /* of this run, in all names */
    char name[64], key[96];
    /* what an operation keeps */
    void *thing;
    int64_t lease;
    tenure_lock *holder;
    tenure_wait *wait;
    bool let_go; /* a release has ended */
};

struct operation {
    const char *what;
    void (*prepare)(struct run *r); /* by the helper; may be NULL */
    int (*begin)(struct run *r, struct tenure_error *err);
    void (*let_go)(struct run *r); /* what it gave, or its object; may be NULL */
    void (*check)(struct run *r);  /* when the handle is closed; may be NULL */
};

/* ---- turns ---- */

/* False: nothing happened for a while, it is at rest. */
static bool turn(tenure_client *c, int patience_ms)
{
    struct pollfd p = {.fd = tenure_fd(c), .events = POLLIN};
    int timeout = tenure_timeout_ms(c);
    bool timer_first = timeout >= 0 && timeout <= patience_ms;
    int n = poll(&p, 1, timer_first ? timeout : patience_ms);
    assert_int_equal(tenure_turn(c), 0);
    return n > 0 || timer_first;
}

static void turn_until(tenure_client *c, const int *count, int wanted)
{
    int64_t until = test_now() + 20000;
    while (*count < wanted && test_now() < until)
        turn(c, 1000);
    assert_int_equal(*count, wanted);
}

/* ---- completions ---- */

static void ended(void *user, int code, const struct tenure_error *err)
{
    struct run *r = user;
    r->completions++;
    r->code = code;
    r->applied = code ? err->applied : TENURE_APPLIED_YES;
}

#define ON(name, type, release)                                                                                        \
    static void name(void *user, int code, type *result, const struct tenure_error *err)                               \
    {                                                                                                                  \
        release(result);                                                                                               \
        ended(user, code, err);                                                                                        \
    }
ON(on_get, struct tenure_get_result, tenure_get_free)
ON(on_put, struct tenure_put_result, tenure_put_free)
ON(on_delete, struct tenure_delete_result, tenure_delete_free)
ON(on_txn, struct tenure_txn_result, tenure_txn_result_free)
ON(on_cas, struct tenure_cas_result, tenure_cas_free)
ON(on_lease_info, struct tenure_lease_info, tenure_lease_info_free)
ON(on_lease_list, struct tenure_lease_list, tenure_lease_list_free)
ON(on_members, struct tenure_member_list, tenure_member_list_free)
ON(on_status, struct tenure_status, tenure_status_free)
ON(on_alarms, struct tenure_alarm_list, tenure_alarm_list_free)
ON(on_names, struct tenure_names, tenure_names_free)
ON(on_value, struct tenure_value_state, tenure_value_state_free)
ON(on_v3_lock, struct tenure_v3_lock, tenure_v3_lock_free)
ON(on_v3_leader, struct tenure_v3_leader, tenure_v3_leader_free)

static void on_number(void *user, int code, int64_t value, const struct tenure_error *err)
{
    (void)value;
    ended(user, code, err);
}

static void on_lease(void *user, int code, int64_t id, int64_t ttl_s, const struct tenure_error *err)
{
    (void)id, (void)ttl_s;
    ended(user, code, err);
}

static void on_health(void *user, int code, bool serving, const struct tenure_error *err)
{
    (void)serving;
    ended(user, code, err);
}

static void on_hash_kv(void *user, int code, const struct tenure_hash_kv *hash, const struct tenure_error *err)
{
    (void)hash;
    ended(user, code, err);
}

static void on_latch(void *user, int code, const struct tenure_latch_state *state, const struct tenure_error *err)
{
    assert_true(!state == (code != 0));
    ended(user, code, err);
}

static void on_released(int code, void *user)
{
    struct run *r = user;
    (void)code;
    r->let_go = true;
}

/* ---- what is on the server ---- */

static size_t keys_under(tenure_client *c, const char *prefix)
{
    struct tenure_get_options o = {.size = sizeof o, .prefix = true, .keys_only = true};
    struct tenure_get_result *g;
    struct tenure_error err = {0};
    no_error(tenure_get(c, S(prefix), &o, &g, &err), &err);
    size_t n = g->n_kvs;
    tenure_get_free(g);
    return n;
}

struct count {
    tenure_client *c;
    const char *prefix;
    size_t n;
};

static bool has_so_many(void *user)
{
    struct count *k = user;
    return keys_under(k->c, k->prefix) == k->n;
}

static void expect_keys(struct run *r, const char *prefix, size_t n)
{
    struct count k = {r->helper, prefix, n};
    if (!test_await(has_so_many, &k))
        fail_msg("%zu keys under %s, not %zu, after %d (%d)", keys_under(r->helper, prefix), prefix, n, r->code,
                 (int)r->applied);
}

static const char *path(struct run *r, const char *prefix)
{
    snprintf(r->key, sizeof r->key, "%s%s", prefix, r->name);
    return r->key;
}

/* Not applied is never wrong (C2), nor is success. */
static void expect_effect(struct run *r, bool is_there)
{
    if (r->code == 0)
        assert_true(is_there);
    else if (r->applied == TENURE_APPLIED_NO)
        assert_false(is_there);
}

static bool key_stands(struct run *r)
{
    char *value = get(r->helper, r->name);
    free(value);
    return value != NULL;
}

static void check_stands(struct run *r)
{
    expect_effect(r, key_stands(r));
}

static void check_gone(struct run *r)
{
    expect_effect(r, !key_stands(r));
}

static void make_key(struct run *r)
{
    put(r->helper, r->name, "before");
}

/* ---- keys ---- */

static int begin_get(struct run *r, struct tenure_error *err)
{
    return tenure_get_start(r->c, S(r->name), NULL, on_get, r, err);
}

static int begin_put(struct run *r, struct tenure_error *err)
{
    return tenure_put_start(r->c, S(r->name), S("x"), NULL, on_put, r, err);
}

static int begin_delete(struct run *r, struct tenure_error *err)
{
    return tenure_delete_start(r->c, S(r->name), NULL, on_delete, r, err);
}

static int begin_put_if(struct run *r, struct tenure_error *err)
{
    return tenure_put_if_start(r->c, S(r->name), S("x"), 0, NULL, on_cas, r, err);
}

static int begin_txn_of(struct run *r, bool exact, struct tenure_error *err)
{
    tenure_txn *t = tenure_txn_new(r->c);
    tenure_if_version(t, S(r->name), TENURE_EQ, 0);
    tenure_then_put(t, S(r->name), S("x"), 0);
    tenure_txn_exact(t, exact);
    int rc = tenure_txn_start(t, 0, on_txn, r, err);
    tenure_txn_free(t);
    return rc;
}

static int begin_txn(struct run *r, struct tenure_error *err)
{
    return begin_txn_of(r, false, err);
}

static int begin_exact(struct run *r, struct tenure_error *err)
{
    return begin_txn_of(r, true, err);
}

static void check_marks(struct run *r)
{
    check_stands(r);
    expect_keys(r, "/marks/", 0); /* with the handle's close, at the latest */
}

static void make_range(struct run *r)
{
    char key[80];
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "%s/%d", r->name, i);
        put(r->helper, key, "value");
    }
}

static int begin_page(struct run *r, struct tenure_error *err)
{
    struct tenure_range_options o = {.size = sizeof o, .prefix = true, .page_keys = 2};
    r->thing = tenure_range_iter_new(r->c, S(r->name), &o, err);
    return tenure_range_iter_next_start(r->thing, on_get, r, err);
}

/* A page that was cancelled comes again: none is lost. */
static void read_the_rest(struct run *r)
{
    int code = r->code, pages = r->completions = code == 0 ? 1 : 0;
    for (; r->code != TENURE_ENOTFOUND; pages++) {
        struct tenure_error err = {0};
        int rc = tenure_range_iter_next_start(r->thing, on_get, r, &err);
        if (rc == TENURE_ENOTFOUND)
            break;
        no_error(rc, &err);
        turn_until(r->c, &r->completions, pages + 1);
        assert_int_equal(r->code, 0);
    }
    assert_int_equal(pages, 3);
    r->completions = 1;
    tenure_range_iter_free(r->thing);
}

/* ---- leases ---- */

static void make_lease(struct run *r)
{
    struct tenure_error err = {0};
    no_error(tenure_lease_grant(r->helper, 60, 0, &r->lease, NULL, &err), &err);
}

static bool lease_lives(struct run *r)
{
    struct tenure_lease_info *info = NULL;
    struct tenure_error err = {0};
    int rc = tenure_lease_ttl(r->helper, r->lease, false, &info, &err);
    bool lives = rc == 0 && info->ttl_s >= 0;
    tenure_lease_info_free(info);
    return lives;
}

static int begin_grant(struct run *r, struct tenure_error *err)
{
    r->lease = 0x7e57000 + r->number;
    return tenure_lease_grant_start(r->c, 60, r->lease, on_lease, r, err);
}

static void check_lease_lives(struct run *r)
{
    expect_effect(r, lease_lives(r));
}

static int begin_revoke(struct run *r, struct tenure_error *err)
{
    return tenure_lease_revoke_start(r->c, r->lease, ended, r, err);
}

static void check_lease_gone(struct run *r)
{
    expect_effect(r, !lease_lives(r));
}

static int begin_keepalive(struct run *r, struct tenure_error *err)
{
    return tenure_lease_keepalive_start(r->c, r->lease, on_lease, r, err);
}

static int begin_ttl(struct run *r, struct tenure_error *err)
{
    return tenure_lease_ttl_start(r->c, r->lease, true, on_lease_info, r, err);
}

static int begin_leases(struct run *r, struct tenure_error *err)
{
    return tenure_lease_list_start(r->c, on_lease_list, r, err);
}

/* ---- the servers ---- */

static int begin_members(struct run *r, struct tenure_error *err)
{
    return tenure_member_list_start(r->c, false, 0, on_members, r, err);
}

static int begin_status(struct run *r, struct tenure_error *err)
{
    return tenure_status_start(r->c, 0, 0, on_status, r, err);
}

static int begin_health(struct run *r, struct tenure_error *err)
{
    return tenure_health_start(r->c, 0, 0, on_health, r, err);
}

static int begin_alarms(struct run *r, struct tenure_error *err)
{
    return tenure_alarm_list_start(r->c, 0, on_alarms, r, err);
}

static int begin_hash(struct run *r, struct tenure_error *err)
{
    return tenure_hash_kv_start(r->c, 0, 0, 0, on_hash_kv, r, err);
}

static int on_piece(void *user, const void *data, size_t len, uint64_t remaining)
{
    (void)data, (void)len, (void)remaining;
    assert_int_equal(((struct run *)user)->completions, 0);
    return 0;
}

static int begin_snapshot(struct run *r, struct tenure_error *err)
{
    return tenure_snapshot_start(r->c, 0, 0, on_piece, ended, r, err);
}

static int begin_users(struct run *r, struct tenure_error *err)
{
    return tenure_user_list_start(r->c, on_names, r, err);
}

static int begin_role_add(struct run *r, struct tenure_error *err)
{
    return tenure_role_add_start(r->c, r->name, ended, r, err);
}

static void check_role(struct run *r)
{
    struct tenure_permissions *p = NULL;
    expect_effect(r, tenure_role_get(r->helper, r->name, &p, NULL) == 0);
    tenure_permissions_free(p);
}

/* ---- the servers' own locks ---- */

static int begin_v3_lock(struct run *r, struct tenure_error *err)
{
    return tenure_v3_lock_start(r->c, S(r->name), r->lease, 0, on_v3_lock, r, err);
}

/* Waits behind another key of the name. */
static void make_v3_held(struct run *r)
{
    snprintf(r->key, sizeof r->key, "%s/1", r->name);
    put(r->helper, r->key, "held");
    make_lease(r);
}

static int begin_v3_campaign(struct run *r, struct tenure_error *err)
{
    return tenure_v3_campaign_start(r->c, S(r->name), r->lease, S("me"), 0, on_v3_leader, r, err);
}

/* The server takes the waiter's key back when the stream is reset; etcd, only once its request has put it there. */
static void check_v3_waiter(struct run *r)
{
    struct tenure_error err = {0};
    if (server_is_etcd(r->server))
        no_error(tenure_lease_revoke(r->helper, r->lease, &err), &err);
    snprintf(r->key, sizeof r->key, "%s/", r->name);
    expect_keys(r, r->key, 1);
}

/* ---- locks ---- */

static void hold(struct run *r)
{
    struct tenure_error err = {0};
    r->holder = tenure_lock_acquire(r->helper, r->name, NULL, &err);
    if (!r->holder)
        fail_msg("%s", err.text);
}

static void on_acquired(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    (void)lock, (void)token;
    ended(user, code, err);
}

static struct tenure_lock_options lock_options(struct run *r)
{
    return (struct tenure_lock_options){
        .size = sizeof(struct tenure_lock_options), .on_acquired = on_acquired, .on_released = on_released, .user = r};
}

static int thing_or_error(struct run *r, void *thing, const struct tenure_error *err)
{
    r->thing = thing;
    return thing ? 0 : err->code;
}

static int begin_lock(struct run *r, struct tenure_error *err)
{
    struct tenure_lock_options o = lock_options(r);
    return thing_or_error(r, tenure_lock_start(r->c, r->name, &o, err), err);
}

static int begin_own_lock(struct run *r, struct tenure_error *err)
{
    struct tenure_lock_options o = lock_options(r);
    o.ttl_s = 20;
    o.delay_ms = 1000;
    return thing_or_error(r, tenure_lock_start(r->c, r->name, &o, err), err);
}

static int begin_read(struct run *r, struct tenure_error *err)
{
    struct tenure_lock_options o = lock_options(r);
    return thing_or_error(r, tenure_rwlock_read_start(r->c, r->name, &o, err), err);
}

static int begin_permit(struct run *r, struct tenure_error *err)
{
    struct tenure_lock_options o = lock_options(r);
    return thing_or_error(r, tenure_semaphore_start(r->c, r->name, 2, 3, &o, err), err);
}

static void unlock(struct run *r)
{
    if (!r->thing)
        return;
    r->let_go = false;
    tenure_unlock_start(r->thing);
    int64_t until = test_now() + 20000;
    while (!r->let_go && test_now() < until)
        turn(r->c, 1000);
    assert_true(r->let_go);
}

/* The holder's place alone, or none, at once: not when a lease ends. */
static void check_queue(struct run *r)
{
    snprintf(r->key, sizeof r->key, "/locks/%s/", r->name);
    expect_keys(r, r->key, r->holder ? 1 : 0);
    tenure_unlock(r->holder, NULL);
}

static void on_all_acquired(tenure_multilock *m, int code, const struct tenure_error *err, void *user)
{
    (void)m;
    ended(user, code, err);
}

/* The first is free, the second is not. */
static int begin_multilock(struct run *r, struct tenure_error *err)
{
    char first[80];
    snprintf(first, sizeof first, "%s-a", r->name);
    snprintf(r->key, sizeof r->key, "%s", r->name);
    struct tenure_multilock_part parts[] = {{.size = sizeof parts[0], .name = first},
                                            {.size = sizeof parts[0], .name = r->name}};
    struct tenure_multilock_options o = {
        .size = sizeof o, .on_acquired = on_all_acquired, .on_released = on_released, .user = r};
    return thing_or_error(r, tenure_multilock_start(r->c, parts, 2, &o, err), err);
}

static void unlock_all(struct run *r)
{
    if (!r->thing)
        return;
    r->let_go = false;
    tenure_multilock_unlock_start(r->thing);
    int64_t until = test_now() + 20000;
    while (!r->let_go && test_now() < until)
        turn(r->c, 1000);
    assert_true(r->let_go);
}

static void check_both_queues(struct run *r)
{
    check_queue(r);
    snprintf(r->key, sizeof r->key, "/locks/%s-a/", r->name);
    expect_keys(r, r->key, 0);
}

/* ---- barriers ---- */

static void hold_barrier(struct run *r)
{
    struct tenure_error err = {0};
    no_error(tenure_barrier_hold(r->helper, r->name, NULL, &err), &err);
}

static int begin_barrier_hold(struct run *r, struct tenure_error *err)
{
    return tenure_barrier_hold_start(r->c, r->name, NULL, ended, r, err);
}

static void check_barrier(struct run *r)
{
    expect_effect(r, keys_under(r->helper, path(r, "/barriers/")) == 1);
}

static int wait_or_error(struct run *r, tenure_wait *w, const struct tenure_error *err)
{
    r->wait = w;
    return w ? 0 : err->code;
}

static void stop_wait(struct run *r)
{
    tenure_wait_stop(r->wait);
}

static int begin_barrier_wait(struct run *r, struct tenure_error *err)
{
    return wait_or_error(r, tenure_barrier_wait_start(r->c, r->name, NULL, ended, r, err), err);
}

static int begin_arrive(struct run *r, struct tenure_error *err)
{
    return tenure_latch_arrive_start(r->c, r->name, 3, "me", NULL, on_latch, r, err);
}

static int begin_latch_wait(struct run *r, struct tenure_error *err)
{
    return wait_or_error(r, tenure_latch_wait_start(r->c, r->name, NULL, ended, r, err), err);
}

static void on_entered(tenure_double_barrier *b, int code, const struct tenure_error *err, void *user)
{
    (void)b;
    ended(user, code, err);
}

static void on_left(int code, const struct tenure_error *err, void *user)
{
    (void)err;
    on_released(code, user);
}

static int begin_enter(struct run *r, struct tenure_error *err)
{
    struct tenure_double_barrier_options o = {
        .size = sizeof o, .on_entered = on_entered, .on_left = on_left, .user = r};
    return thing_or_error(r, tenure_double_barrier_enter_start(r->c, r->name, 2, &o, err), err);
}

static void leave(struct run *r)
{
    if (!r->thing)
        return;
    tenure_double_barrier_leave_start(r->thing, 0);
    int64_t until = test_now() + 20000;
    while (!r->let_go && test_now() < until)
        turn(r->c, 1000);
    assert_true(r->let_go);
}

static void check_nobody_in(struct run *r)
{
    snprintf(r->key, sizeof r->key, "/barriers/%s/waiters/", r->name);
    expect_keys(r, r->key, 0); /* its fence may stand */
}

/* ---- queues ---- */

static tenure_queue *open_queue(struct run *r, tenure_client *c, enum tenure_queue_kind kind)
{
    struct tenure_queue_options o = {.size = sizeof o, .kind = kind};
    struct tenure_error err = {0};
    tenure_queue *q = tenure_queue_open(c, r->name, &o, &err);
    if (!q)
        fail_msg("%s", err.text);
    return q;
}

static void close_queue(struct run *r)
{
    tenure_wait_stop(r->wait);
    tenure_queue_close(r->thing);
}

static int begin_queue_put(struct run *r, struct tenure_error *err)
{
    r->thing = open_queue(r, r->c, TENURE_QUEUE_FIFO);
    return tenure_queue_put_start(r->thing, S("item"), NULL, ended, r, err);
}

static int64_t length_of(struct run *r, enum tenure_queue_kind kind)
{
    tenure_queue *q = open_queue(r, r->helper, kind);
    struct tenure_error err = {0};
    int64_t n = -1;
    no_error(tenure_queue_length(q, &n, &err), &err);
    tenure_queue_close(q);
    return n;
}

static void check_put_item(struct run *r)
{
    expect_effect(r, length_of(r, TENURE_QUEUE_FIFO) == 1);
}

static void on_item(void *user, int code, struct tenure_queue_item *item, const struct tenure_error *err)
{
    tenure_queue_item_free(item);
    ended(user, code, err);
}

static int begin_take(struct run *r, struct tenure_error *err)
{
    r->thing = open_queue(r, r->c, TENURE_QUEUE_FIFO);
    return wait_or_error(r, tenure_queue_take_start(r->thing, 0, on_item, r, err), err);
}

static void put_item(struct run *r, enum tenure_queue_kind kind)
{
    tenure_client *other = open_on(r->server);
    struct tenure_error err = {0};
    no_error(tenure_queue_put(open_queue(r, other, kind), S("item"), NULL, &err), &err);
    tenure_close(other);
}

static void make_item(struct run *r)
{
    put_item(r, TENURE_QUEUE_FIFO);
}

/* An item that was not given to anybody is there still. */
static void check_item(struct run *r)
{
    expect_effect(r, length_of(r, TENURE_QUEUE_FIFO) == 0);
}

static void check_no_line(struct run *r)
{
    snprintf(r->key, sizeof r->key, "/queues/%s", r->name);
    expect_keys(r, r->key, 0);
}

static void make_work(struct run *r)
{
    put_item(r, TENURE_QUEUE_WORK);
}

static int begin_claim(struct run *r, struct tenure_error *err)
{
    r->thing = open_queue(r, r->c, TENURE_QUEUE_WORK);
    return wait_or_error(r, tenure_queue_take_start(r->thing, 0, on_item, r, err), err);
}

/* Whoever it was claimed for, it can be had again when that handle is closed. */
static void check_claim(struct run *r)
{
    struct tenure_queue_item *item = NULL;
    struct tenure_error err = {0};
    tenure_client *other = open_on(r->server); /* whose marks go with it */
    tenure_queue *q = open_queue(r, other, TENURE_QUEUE_WORK);
    no_error(tenure_queue_take(q, 20000, &item, &err), &err);
    no_error(tenure_queue_ack(q, item, &err), &err);
    tenure_queue_item_free(item);
    tenure_close(other);
}

/* ---- numbers ---- */

static int begin_counter(struct run *r, struct tenure_error *err)
{
    return tenure_counter_add_start(r->c, r->name, 1, NULL, on_number, r, err);
}

static void check_counter(struct run *r)
{
    int64_t value = -1;
    struct tenure_error err = {0};
    no_error(tenure_counter_get(r->helper, r->name, NULL, &value, &err), &err);
    expect_effect(r, value == 1);
    expect_keys(r, "/marks/", 0);
}

static int stm_body(tenure_stm_view *v, void *arg)
{
    struct run *r = arg;
    int rc = tenure_stm_get(v, S("/never"), NULL);
    return rc == TENURE_ENOTFOUND ? tenure_stm_put(v, S(r->name), S("x"), 0) : rc;
}

static void on_stm(void *user, int code, int64_t revision, int64_t attempts, const struct tenure_error *err)
{
    (void)revision, (void)attempts;
    ended(user, code, err);
}

static int begin_stm(struct run *r, struct tenure_error *err)
{
    return wait_or_error(r, tenure_stm_start(r->c, NULL, stm_body, r, on_stm, r, err), err);
}

static int begin_value_set(struct run *r, struct tenure_error *err)
{
    tenure_value *v = tenure_value_open(r->c, S(r->name), NULL, err);
    return v ? tenure_value_set_start(v, S("x"), NULL, on_value, r, err) : err->code;
}

static void check_value(struct run *r)
{
    char *value = get(r->helper, r->name);
    expect_effect(r, value != NULL);
    free(value);
    expect_keys(r, "/marks/", 0);
}

static int begin_value_get(struct run *r, struct tenure_error *err)
{
    struct tenure_value_get_options o = {.size = sizeof o, .linearizable = true};
    tenure_value *v = tenure_value_open(r->c, S(r->name), NULL, err);
    return v ? tenure_value_get_start(v, &o, on_value, r, err) : err->code;
}

static int begin_ids(struct run *r, struct tenure_error *err)
{
    return tenure_ids_take_start(r->c, r->name, 10, NULL, on_number, r, err);
}

/* ---- the sweep ---- */

static tenure_client *open_poll_on(const struct server *s)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open_poll(server_url(s), NULL, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static void on_proof(void *user, int code, struct tenure_put_result *result, const struct tenure_error *err)
{
    tenure_put_free(result);
    no_error(code, err);
    ++*(int *)user;
}

static void still_works(struct run *r)
{
    struct tenure_error err = {0};
    int done = 0;
    no_error(tenure_put_start(r->c, S("proof"), S("x"), NULL, on_proof, &done, &err), &err);
    turn_until(r->c, &done, 1);
}

static size_t count_leases(struct run *r)
{
    struct tenure_lease_list *list;
    struct tenure_error err = {0};
    no_error(tenure_lease_list(r->helper, &list, &err), &err);
    size_t n = list->n;
    tenure_lease_list_free(list);
    return n;
}

/* Answers whether it came to its end, or to rest, before its turns were over. */
static bool cancel_after(const struct operation *op, struct run *r, int steps)
{
    struct tenure_error err = {0};
    bool at_rest = false;
    size_t n_leases = count_leases(r);
    r->c = open_poll_on(r->server);
    r->scope = tenure_scope_new(NULL, &err);
    assert_non_null(r->scope);
    assert_null(tenure_scope_use(r->scope));
    no_error(op->begin(r, &err), &err);
    assert_ptr_equal(tenure_scope_use(NULL), r->scope);
    assert_int_equal(tenure_scope_calls(r->scope), 1);
    for (int i = 0; i < steps && r->completions == 0 && !at_rest; i++)
        at_rest = !turn(r->c, REST_MS);
    bool by_itself = r->completions > 0;
    assert_true(!by_itself || r->code == 0);
    tenure_scope_cancel(r->scope);
    turn_until(r->c, &r->completions, 1);
    assert_true(r->code == 0 || r->code == TENURE_ECANCELLED);
    assert_int_equal(tenure_scope_calls(r->scope), 0);
    tenure_scope_free(r->scope);
    if (op->let_go)
        op->let_go(r);
    still_works(r);
    assert_int_equal(r->completions, 1);
    tenure_close(r->c);
    assert_int_equal(r->completions, 1);
    /* What a grant says its check looks at; and etcd may carry a revoke out before the grant that was cancelled. */
    if (op->begin != begin_grant && !server_is_etcd(r->server))
        assert_true(count_leases(r) <= n_leases);
    if (op->check)
        op->check(r);
    return by_itself || at_rest;
}

static const struct operation operations[] = {
    {"get", make_key, begin_get, NULL, NULL},
    {"put", NULL, begin_put, NULL, check_stands},
    {"delete", make_key, begin_delete, NULL, check_gone},
    {"put_if", NULL, begin_put_if, NULL, check_marks},
    {"txn", NULL, begin_txn, NULL, check_stands},
    {"exact txn", NULL, begin_exact, NULL, check_marks},
    {"page", make_range, begin_page, read_the_rest, NULL},
    {"grant", NULL, begin_grant, NULL, check_lease_lives},
    {"revoke", make_lease, begin_revoke, NULL, check_lease_gone},
    {"keepalive", make_lease, begin_keepalive, NULL, NULL},
    {"ttl", make_lease, begin_ttl, NULL, NULL},
    {"leases", NULL, begin_leases, NULL, NULL},
    {"members", NULL, begin_members, NULL, NULL},
    {"status", NULL, begin_status, NULL, NULL},
    {"health", NULL, begin_health, NULL, NULL},
    {"alarms", NULL, begin_alarms, NULL, NULL},
    {"hash", NULL, begin_hash, NULL, NULL},
    {"snapshot", NULL, begin_snapshot, NULL, NULL},
    {"users", NULL, begin_users, NULL, NULL},
    {"role add", NULL, begin_role_add, NULL, check_role},
    {"v3 lock", make_lease, begin_v3_lock, NULL, NULL},
    {"v3 lock, held", make_v3_held, begin_v3_lock, NULL, check_v3_waiter},
    {"v3 campaign, led", make_v3_held, begin_v3_campaign, NULL, check_v3_waiter},
    {"lock", NULL, begin_lock, unlock, check_queue},
    {"lock with a delay", NULL, begin_own_lock, unlock, check_queue},
    {"lock, held", hold, begin_lock, unlock, check_queue},
    {"read lock, written", hold, begin_read, unlock, check_queue},
    {"permit", NULL, begin_permit, unlock, check_queue},
    {"permit, none left", hold, begin_permit, unlock, check_queue},
    {"several locks, one held", hold, begin_multilock, unlock_all, check_both_queues},
    {"barrier hold", NULL, begin_barrier_hold, NULL, check_barrier},
    {"barrier wait, held", hold_barrier, begin_barrier_wait, stop_wait, NULL},
    {"latch arrive", NULL, begin_arrive, NULL, NULL},
    {"latch wait", NULL, begin_latch_wait, stop_wait, NULL},
    {"double barrier", NULL, begin_enter, leave, check_nobody_in},
    {"queue put", NULL, begin_queue_put, close_queue, check_put_item},
    {"queue take", make_item, begin_take, close_queue, check_item},
    {"queue take, empty", NULL, begin_take, close_queue, check_no_line},
    {"work take", make_work, begin_claim, close_queue, check_claim},
    {"counter", NULL, begin_counter, NULL, check_counter},
    {"value set", NULL, begin_value_set, NULL, check_value},
    {"stm", NULL, begin_stm, stop_wait, check_value},
    {"value get", NULL, begin_value_get, NULL, NULL},
    {"ids", NULL, begin_ids, NULL, NULL},
};

static void sweep(const struct operation *op, const struct server *s, tenure_client *helper)
{
    static int64_t number;
    bool done = false;
    int steps = 0;
    for (; !done && steps < STEPS_MAX; steps++) {
        struct run r = {.server = s, .helper = helper, .number = ++number};
        snprintf(r.name, sizeof r.name, "run-%" PRId64, r.number);
        if (op->prepare)
            op->prepare(&r);
        done = cancel_after(op, &r, steps);
    }
    if (!done || steps < 3)
        fail_msg("%s: %d steps", op->what, steps);
}

static void each_operation_can_be_cancelled_at_each_step(void **state)
{
    tenure_client *helper = open_on(*state);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        sweep(&operations[i], *state, helper);
    tenure_close(helper);
}

/* ---- a server that stands still ---- */

static void turn_some(tenure_client *c)
{
    for (int i = 0; i < 3; i++)
        turn(c, 2);
}

static bool has_no_lease_more(void *user)
{
    struct run *r = user;
    return count_leases(r) <= (size_t)r->number;
}

/* It is sent all of it at once, and carries it out in any order: the grant behind its revoke would stay, with the lock's key. */
static void a_lock_given_up_while_the_server_stands_still_leaves_no_lease(void **state)
{
    tenure_client *helper = open_on(*state);
    for (int i = 0; i < 30; i++) {
        struct run r = {.server = *state, .helper = helper};
        struct tenure_error err = {0};
        snprintf(r.name, sizeof r.name, "still-%d", i);
        r.number = (int64_t)count_leases(&r);
        r.c = open_poll_on(*state);
        still_works(&r); /* connected */
        server_pause(*state);
        no_error(begin_own_lock(&r, &err), &err);
        turn_some(r.c);
        tenure_unlock_start(r.thing);
        turn_some(r.c);
        server_resume(*state);
        tenure_close(r.c);
        check_queue(&r);
        assert_true(test_await(has_no_lease_more, &r));
    }
    tenure_close(helper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_can_be_cancelled_at_each_step),
        cmocka_unit_test(a_lock_given_up_while_the_server_stands_still_leaves_no_lease),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
