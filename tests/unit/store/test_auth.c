/* Users, roles and the switch: etcd's rules, undo, what a restart finds, what goes with compaction. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "failmalloc.h"
#include "store/auth.h"
#include "tenure/error.h"

static struct world w;

static int begin(void **state)
{
    (void)state;
    world_open(&w, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

/* ---- short forms ---- */

static enum etcd_error user_add(const char *name, const char *hash)
{
    return store_user_add(w.s, bytes_str(name), bytes_str(hash), false, &w.seq);
}

static enum etcd_error user_del(const char *name)
{
    return store_user_delete(w.s, bytes_str(name), &w.seq);
}

static enum etcd_error password(const char *name, const char *hash)
{
    return store_user_set_password(w.s, bytes_str(name), bytes_str(hash), &w.seq);
}

static enum etcd_error give(const char *user, const char *role)
{
    return store_user_grant_role(w.s, &(struct user_role_req){bytes_str(user), bytes_str(role)}, &w.seq);
}

static enum etcd_error take(const char *user, const char *role)
{
    return store_user_revoke_role(w.s, &(struct user_role_req){bytes_str(user), bytes_str(role)}, &w.seq);
}

static enum etcd_error role_add(const char *name)
{
    return store_role_add(w.s, bytes_str(name), &w.seq);
}

static enum etcd_error role_del(const char *name)
{
    return store_role_delete(w.s, bytes_str(name), &w.seq);
}

static enum etcd_error permit(const char *role, int32_t type, const char *key, const char *range_end)
{
    struct role_grant_req req = {bytes_str(role), true, {type, range_of(key, range_end)}};
    return store_role_grant(w.s, &req, &w.seq);
}

static enum etcd_error forbid(const char *role, const char *key, const char *range_end)
{
    return store_role_revoke(w.s, &(struct role_revoke_req){bytes_str(role), range_of(key, range_end)}, &w.seq);
}

static void enable(void)
{
    assert_int_equal(user_add("root", "h"), ETCD_OK);
    assert_int_equal(give("root", "root"), ETCD_OK);
    assert_int_equal(store_auth_enable(w.s, &w.seq), ETCD_OK);
}

static void dump_user(struct buf *b, const struct store_user *u)
{
    buf_printf(b, " %.*s:%.*s%s[", (int)u->name.len, (const char *)u->name.data, (int)u->hash.len,
               u->hash.len ? (const char *)u->hash.data : "", u->no_password ? "-" : "");
    for (size_t i = 0; i < u->n_roles; i++)
        buf_printf(b, "%s%.*s", i ? " " : "", (int)u->roles[i].len, (const char *)u->roles[i].data);
    buf_append(b, "]", 1);
}

static void dump_role(struct buf *b, const struct store_role *r)
{
    buf_printf(b, " %.*s{", (int)r->name.len, (const char *)r->name.data);
    for (size_t i = 0; i < r->n_permissions; i++) {
        const struct permission *p = &r->permissions[i];
        buf_printf(b, "%s%d %.*s", i ? ", " : "", p->type, (int)p->range.key.len, (const char *)p->range.key.data);
        if (key_range_is_from(p->range))
            buf_append(b, "...", 3);
        else if (!key_range_is_single(p->range))
            buf_printf(b, "..%.*s", (int)p->range.range_end.len, (const char *)p->range.range_end.data);
    }
    buf_append(b, "}", 1);
}

static const char *dump_of(const struct store *s, enum store_view v, struct arena *a)
{
    struct buf b;
    buf_init(&b);
    buf_printf(&b, "%s@%d", store_auth_enabled(s, v) ? "on" : "off", (int)store_auth_revision(s, v));
    for (size_t i = 0; i < store_users(s, v); i++) {
        struct store_user u;
        store_user_at(s, v, i, &u);
        dump_user(&b, &u);
    }
    for (size_t i = 0; i < store_roles(s, v); i++) {
        struct store_role r;
        store_role_at(s, v, i, &r);
        dump_role(&b, &r);
    }
    assert_int_equal(buf_error(&b), 0);
    bytes text = arena_copy(a, buf_bytes(&b));
    buf_fini(&b);
    return (const char *)text.data;
}

static const char *dump(enum store_view v)
{
    return dump_of(w.s, v, &w.a);
}

/* ---- rules ---- */

static void enabling_needs_a_root_user_with_the_root_role(void **state)
{
    (void)state;
    assert_int_equal(store_auth_enable(w.s, &w.seq), ETCD_ROOT_USER_NOT_EXIST);
    assert_int_equal(user_add("root", "h"), ETCD_OK);
    assert_int_equal(store_auth_enable(w.s, &w.seq), ETCD_ROOT_ROLE_NOT_EXIST);
    assert_int_equal(give("root", "root"), ETCD_OK); /* that role need not be there */
    assert_int_equal(store_auth_enable(w.s, &w.seq), ETCD_OK);
    assert_string_equal(dump(STORE_PLANNED), "on@3 root:h[root]");
    assert_string_equal(dump(STORE_DURABLE), "off@1");
    world_commit(&w);
    assert_string_equal(dump(STORE_DURABLE), "on@3 root:h[root]");
}

static void the_auth_revision_grows_with_changes_only(void **state)
{
    (void)state;
    assert_int_equal(store_auth_disable(w.s, &w.seq), ETCD_OK); /* off already: nothing happens */
    assert_int_equal(store_auth_revision(w.s, STORE_PLANNED), 1);
    assert_true(store_outbox_empty(w.s));
    enable();
    assert_int_equal(store_auth_revision(w.s, STORE_PLANNED), 3); /* enabling does not count */
    assert_int_equal(store_auth_enable(w.s, &w.seq), ETCD_OK);
    assert_int_equal(give("root", "root"), ETCD_OK); /* granted already */
    assert_int_equal(store_auth_revision(w.s, STORE_PLANNED), 3);
    assert_int_equal(role_add("r"), ETCD_OK);
    assert_int_equal(permit("r", PERMISSION_READ, "a", NULL), ETCD_OK);
    assert_int_equal(permit("r", PERMISSION_READ, "a", NULL), ETCD_OK); /* the same again counts */
    assert_int_equal(store_auth_revision(w.s, STORE_PLANNED), 6);
    assert_int_equal(store_auth_disable(w.s, &w.seq), ETCD_OK);
    assert_int_equal(store_auth_revision(w.s, STORE_PLANNED), 7);
    assert_int_equal(store_revision_planned(w.s), 1);
}

static void users_have_etcds_errors(void **state)
{
    (void)state;
    assert_int_equal(user_add("", "h"), ETCD_USER_EMPTY);
    assert_int_equal(user_add("a", "h"), ETCD_OK);
    assert_int_equal(user_add("a", "h"), ETCD_USER_ALREADY_EXIST);
    assert_int_equal(user_del("b"), ETCD_USER_NOT_FOUND);
    assert_int_equal(password("b", "h"), ETCD_USER_NOT_FOUND);
    assert_int_equal(give("b", "r"), ETCD_USER_NOT_FOUND);
    assert_int_equal(give("a", "r"), ETCD_ROLE_NOT_FOUND);
    assert_int_equal(take("b", "r"), ETCD_USER_NOT_FOUND);
    assert_int_equal(take("a", "r"), ETCD_ROLE_NOT_GRANTED);
    assert_string_equal(dump(STORE_PLANNED), "off@2 a:h[]");
}

/* etcd would end on it. */
static void a_name_that_no_snapshot_could_hold_is_refused(void **state)
{
    static char name[AUTH_NAME_MAX + 2];
    (void)state;
    memset(name, 'n', AUTH_NAME_MAX + 1);
    assert_int_equal(user_add(name, "h"), ETCD_REQUEST_TOO_LARGE);
    assert_int_equal(role_add(name), ETCD_REQUEST_TOO_LARGE);
    name[AUTH_NAME_MAX] = 0;
    assert_int_equal(user_add(name, "h"), ETCD_OK);
    assert_int_equal(role_add(name), ETCD_OK);
}

static void roles_have_etcds_errors(void **state)
{
    (void)state;
    assert_int_equal(role_add(""), ETCD_ROLE_EMPTY);
    assert_int_equal(role_add("r"), ETCD_OK);
    assert_int_equal(role_add("r"), ETCD_ROLE_ALREADY_EXIST);
    assert_int_equal(role_del("s"), ETCD_ROLE_NOT_FOUND);
    assert_int_equal(store_role_grant(w.s, &(struct role_grant_req){.role = bytes_str("r")}, &w.seq),
                     ETCD_PERMISSION_NOT_GIVEN);
    assert_int_equal(permit("r", 0, "", NULL), ETCD_INVALID_AUTH_MGMT);
    assert_int_equal(permit("r", 0, "b", "a"), ETCD_INVALID_AUTH_MGMT);
    assert_int_equal(permit("r", 0, "b", "b"), ETCD_INVALID_AUTH_MGMT);
    assert_int_equal(permit("s", 0, "b", "a"), ETCD_INVALID_AUTH_MGMT); /* before the role is looked for */
    assert_int_equal(permit("s", 0, "b", WORLD_FROM), ETCD_ROLE_NOT_FOUND);
    assert_int_equal(forbid("s", "b", NULL), ETCD_ROLE_NOT_FOUND);
    assert_int_equal(forbid("r", "b", NULL), ETCD_PERMISSION_NOT_GRANTED);
    assert_string_equal(dump(STORE_PLANNED), "off@2 r{}");
}

static void root_cannot_be_taken_away_while_it_counts(void **state)
{
    (void)state;
    assert_int_equal(role_add("root"), ETCD_OK);
    enable();
    assert_int_equal(user_del("root"), ETCD_INVALID_AUTH_MGMT);
    assert_int_equal(role_del("root"), ETCD_INVALID_AUTH_MGMT);
    assert_int_equal(take("root", "root"), ETCD_INVALID_AUTH_MGMT);
    assert_int_equal(store_auth_disable(w.s, &w.seq), ETCD_OK);
    assert_int_equal(take("root", "root"), ETCD_OK);
    assert_int_equal(role_del("root"), ETCD_OK);
    assert_int_equal(user_del("root"), ETCD_OK);
}

static void roles_and_permissions_are_sorted_and_each_is_there_once(void **state)
{
    (void)state;
    user_add("u", "h");
    role_add("b");
    role_add("c");
    role_add("a");
    give("u", "b");
    give("u", "c");
    give("u", "a");
    permit("a", PERMISSION_READ, "k", NULL);
    permit("a", PERMISSION_WRITE, "c", "d");
    permit("a", PERMISSION_READWRITE, "k", WORLD_FROM);
    permit("a", PERMISSION_READWRITE, "k", NULL); /* etcd 3.7 looks at one permission of a key only */
    permit("a", PERMISSION_READ, "k", WORLD_FROM);
    assert_string_equal(dump(STORE_PLANNED), "off@13 u:h[a b c] a{1 c..d, 2 k, 0 k...} b{} c{}");
    assert_int_equal(forbid("a", "k", NULL), ETCD_OK);
    assert_int_equal(take("u", "b"), ETCD_OK);
    assert_string_equal(dump(STORE_PLANNED), "off@15 u:h[a c] a{1 c..d, 0 k...} b{} c{}");
    assert_int_equal(role_del("a"), ETCD_OK);
    assert_string_equal(dump(STORE_PLANNED), "off@16 u:h[c] b{} c{}");
}

static void a_user_without_password_has_none_ever(void **state)
{
    (void)state;
    assert_int_equal(store_user_add(w.s, bytes_str("n"), bytes_str("h"), true, &w.seq), ETCD_OK);
    assert_int_equal(password("n", "h2"), ETCD_OK);
    assert_string_equal(dump(STORE_PLANNED), "off@3 n:-[]");
}

static void only_a_new_password_is_a_new_login(void **state)
{
    (void)state;
    struct store_user u;
    user_add("u", "h");
    world_commit(&w);
    store_user_find(w.s, STORE_DURABLE, bytes_str("u"), &u);
    tn_seq login = u.login;
    role_add("r");
    give("u", "r");
    world_commit(&w);
    store_user_find(w.s, STORE_DURABLE, bytes_str("u"), &u);
    assert_int_equal(u.login, login);
    password("u", "h");
    world_commit(&w);
    store_user_find(w.s, STORE_DURABLE, bytes_str("u"), &u);
    assert_true(u.login > login);
}

static void what_is_kept_is_etcds_message(void **state)
{
    (void)state;
    struct store_user u;
    struct store_role r;
    user_add("u", "h");
    role_add("r");
    give("u", "r");
    permit("r", PERMISSION_READWRITE, "k", "l");
    permit("r", PERMISSION_READ, "m", NULL);
    store_user_find(w.s, STORE_PLANNED, bytes_str("u"), &u);
    assert_int_equal(u.encoded.len, 11);
    assert_memory_equal(u.encoded.data, "\x0a\x01u\x12\x01h\x1a\x01r\x22\x00", 11);
    store_role_find(w.s, STORE_PLANNED, bytes_str("r"), &r);
    assert_int_equal(r.encoded.len, 18);
    assert_memory_equal(r.encoded.data, "\x0a\x01r\x12\x08\x08\x02\x12\x01k\x1a\x01l\x12\x03\x12\x01m", 18);
}

/* ---- what one may do ---- */

static struct auth_user who(const char *name)
{
    return (struct auth_user){bytes_str(name), store_auth_revision(w.s, STORE_PLANNED)};
}

static enum etcd_error reads(const char *name, const char *key, const char *range_end)
{
    return store_auth_check_read(w.s, STORE_PLANNED, who(name), range_of(key, range_end));
}

static enum etcd_error writes(const char *name, const char *key, const char *range_end)
{
    return store_auth_check_write(w.s, STORE_PLANNED, who(name), range_of(key, range_end));
}

static void two_roles(void)
{
    user_add("u", "h");
    user_add("none", "h");
    role_add("r1");
    role_add("r2");
    give("u", "r1");
    give("u", "r2");
    permit("r1", PERMISSION_READ, "b", "d");
    permit("r2", PERMISSION_READWRITE, "d", "f");
    permit("r2", PERMISSION_READWRITE, "c", "e");
    permit("r2", PERMISSION_WRITE, "k", NULL);
    permit("r1", PERMISSION_READ, "x", WORLD_FROM);
    permit("r1", 7, "q", NULL); /* a type that nobody knows */
    enable();
}

static void ranges_of_all_roles_count_together(void **state)
{
    (void)state;
    two_roles();
    static const struct {
        const char *key, *end;
        bool read, write;
    } cases[] = {
        {"a", NULL, false, false},      {"b", NULL, true, false},    {"c", NULL, true, true},
        {"f", NULL, false, false},      {"b", "f", true, false},     {"b", "f\1", false, false},
        {"a\xff", "c", false, false},   {"c", "f", true, true},      {"d", "c", true, true}, /* empty: its key counts */
        {"d", "d", true, true},         {"f", "c", false, false},    {"b", WORLD_FROM, false, false},
        {"x", WORLD_FROM, true, false}, {"y", "z", true, false},     {"k", NULL, false, true},
        {"k", "k\1", false, false},     {"k\1", NULL, false, false}, {"q", NULL, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum etcd_error r = reads("u", cases[i].key, cases[i].end), wr = writes("u", cases[i].key, cases[i].end);
        if ((r == ETCD_OK) != cases[i].read || (wr == ETCD_OK) != cases[i].write)
            fail_msg("%s: read %d write %d", cases[i].key, (int)r, (int)wr);
        assert_int_equal(reads("none", cases[i].key, cases[i].end), ETCD_PERMISSION_DENIED);
        assert_int_equal(writes("root", cases[i].key, cases[i].end), ETCD_OK);
    }
}

static void a_key_and_the_one_right_behind_it_are_one_range(void **state)
{
    (void)state;
    uint8_t next[] = {'k', 0};
    user_add("u", "h");
    role_add("r");
    give("u", "r");
    permit("r", PERMISSION_READ, "k", NULL);
    struct role_grant_req req = {bytes_str("r"), true, {PERMISSION_READ, {bytes_of(next, 2), bytes_str("m")}}};
    assert_int_equal(store_role_grant(w.s, &req, &w.seq), ETCD_OK);
    enable();
    assert_int_equal(reads("u", "k", "m"), ETCD_OK);
    assert_int_equal(reads("u", "k", "n"), ETCD_PERMISSION_DENIED);
    assert_int_equal(forbid("r", "k", NULL), ETCD_OK);
    assert_int_equal(reads("u", "k", "m"), ETCD_PERMISSION_DENIED);
}

/* The range of one key, written as a range. */
static void a_range_of_a_single_key_is_that_key(void **state)
{
    (void)state;
    struct key_range as_range = {bytes_str("k"), bytes_of("k\0", 2)}, two = {bytes_str("k"), bytes_of("k\0\0", 3)};
    user_add("u", "h");
    role_add("r");
    give("u", "r");
    permit("r", PERMISSION_READ, "k", NULL);
    enable();
    assert_int_equal(store_auth_check_read(w.s, STORE_PLANNED, who("u"), as_range), ETCD_OK);
    assert_int_equal(store_auth_check_read(w.s, STORE_PLANNED, who("u"), two), ETCD_PERMISSION_DENIED);
    struct role_grant_req req = {bytes_str("r"), true, {PERMISSION_WRITE, as_range}};
    assert_int_equal(store_role_grant(w.s, &req, &w.seq), ETCD_OK);
    assert_int_equal(writes("u", "k", NULL), ETCD_OK);
    assert_int_equal(store_auth_check_write(w.s, STORE_PLANNED, who("u"), as_range), ETCD_OK);
}

static void nobody_and_somebody_of_an_old_revision_are_told_so(void **state)
{
    (void)state;
    struct key_range key = range_of("b", NULL);
    struct auth_user old = {bytes_str("u"), 1};
    assert_int_equal(store_auth_check_read(w.s, STORE_PLANNED, (struct auth_user){0}, key), ETCD_OK);
    two_roles();
    assert_int_equal(store_auth_check_read(w.s, STORE_PLANNED, (struct auth_user){0}, key), ETCD_USER_EMPTY);
    assert_int_equal(store_auth_check_read(w.s, STORE_PLANNED, old, key), ETCD_AUTH_OLD_REVISION);
    assert_int_equal(store_auth_check_read(w.s, STORE_PLANNED, who("gone"), key), ETCD_PERMISSION_DENIED);
    assert_int_equal(store_auth_check_read(w.s, STORE_DURABLE, (struct auth_user){0}, key), ETCD_OK); /* not yet */
    assert_int_equal(store_auth_check_admin(w.s, STORE_PLANNED, (struct auth_user){0}), ETCD_USER_EMPTY);
    assert_int_equal(store_auth_check_admin(w.s, STORE_PLANNED, who("gone")), ETCD_USER_NOT_FOUND);
    assert_int_equal(store_auth_check_admin(w.s, STORE_PLANNED, who("u")), ETCD_PERMISSION_DENIED);
    assert_int_equal(store_auth_check_admin(w.s, STORE_PLANNED, who("root")), ETCD_OK);
}

static enum etcd_error puts_it(const char *key, tn_lease lease, bool prev_kv)
{
    struct put_req req = {.key = bytes_str(key), .lease = lease, .prev_kv = prev_kv};
    return store_auth_check_put(w.s, who("u"), &req);
}

static enum etcd_error deletes_it(const char *key, bool prev_kv)
{
    struct delete_req req = {.range = range_of(key, NULL), .prev_kv = prev_kv};
    return store_auth_check_delete(w.s, who("u"), &req);
}

static void previous_values_need_reading_and_leases_all_their_keys(void **state)
{
    (void)state;
    two_roles();
    grant(&w, 5, 60);
    grant(&w, 6, 60);
    put_lease(&w, "c", "", 5);
    put_lease(&w, "z", "", 6);
    assert_int_equal(puts_it("", 0, false), ETCD_EMPTY_KEY); /* what is wrong with it by itself comes first */
    assert_int_equal(puts_it("a", 0, false), ETCD_PERMISSION_DENIED);
    assert_int_equal(puts_it("k", 0, false), ETCD_OK);
    assert_int_equal(puts_it("k", 0, true), ETCD_PERMISSION_DENIED);
    assert_int_equal(puts_it("c", 0, true), ETCD_OK);
    assert_int_equal(puts_it("k", 5, false), ETCD_OK);
    assert_int_equal(puts_it("k", 6, false), ETCD_PERMISSION_DENIED);
    assert_int_equal(puts_it("k", 7, false), ETCD_OK); /* no such lease: told when it is put */
    assert_int_equal(deletes_it("k", false), ETCD_OK);
    assert_int_equal(deletes_it("k", true), ETCD_PERMISSION_DENIED);
    assert_int_equal(store_auth_check_lease_write(w.s, STORE_PLANNED, who("u"), 5), ETCD_OK);
    assert_int_equal(store_auth_check_lease_write(w.s, STORE_PLANNED, who("u"), 6), ETCD_PERMISSION_DENIED);
    assert_int_equal(store_auth_check_lease_read(w.s, STORE_PLANNED, who("u"), 6), ETCD_OK); /* "z" lies behind "x" */
    assert_int_equal(store_auth_check_lease_write(w.s, STORE_PLANNED, who("root"), 6), ETCD_OK);
    assert_int_equal(store_auth_check_lease_write(w.s, STORE_PLANNED, who("u"), 7), ETCD_OK);
}

static enum etcd_error runs(const struct txn_req *t)
{
    return store_auth_check_txn(w.s, who("u"), t, &w.a);
}

static void a_transaction_is_judged_by_all_that_it_may_do(void **state)
{
    (void)state;
    two_roles();
    world_commit(&w);
    struct compare readable = {.range = {bytes_str("b"), {0}}}, unreadable = {.range = {bytes_str("k"), {0}}};
    struct request_op put_k = {.kind = OP_PUT, .put = {.key = bytes_str("k")}};
    struct request_op put_a = {.kind = OP_PUT, .put = {.key = bytes_str("a")}};
    struct request_op get_a = {.kind = OP_RANGE, .range = {.range = range_of("a", NULL)}};
    struct request_op del_prev = {.kind = OP_DELETE, .del = {.range = range_of("k", NULL), .prev_kv = true}};
    struct txn_req inner = {.success = &get_a, .n_success = 1};
    struct request_op nested = {.kind = OP_TXN, .txn = &inner};
    assert_int_equal(runs(&(struct txn_req){0}), ETCD_OK); /* an empty one needs nothing */
    assert_int_equal(runs(&(struct txn_req){.compares = &readable, .n_compares = 1}), ETCD_OK);
    assert_int_equal(runs(&(struct txn_req){.compares = &unreadable, .n_compares = 1}), ETCD_PERMISSION_DENIED);
    assert_int_equal(runs(&(struct txn_req){.success = &put_k, .n_success = 1}), ETCD_OK);
    assert_int_equal(runs(&(struct txn_req){.failure = &put_a, .n_failure = 1}), ETCD_PERMISSION_DENIED);
    assert_int_equal(runs(&(struct txn_req){.success = &del_prev, .n_success = 1}), ETCD_PERMISSION_DENIED);
    assert_int_equal(runs(&(struct txn_req){.failure = &nested, .n_failure = 1}), ETCD_PERMISSION_DENIED);
    struct request_op twice[] = {put_a, put_a};
    assert_int_equal(runs(&(struct txn_req){.success = twice, .n_success = 2}), ETCD_DUPLICATE_KEY);
}

static void reads_are_judged_by_the_very_revision(void **state)
{
    (void)state;
    two_roles();
    world_commit(&w);
    struct range_req req = {.range = range_of("b", NULL)};
    struct auth_user u = who("u"), ahead = {u.name, u.revision + 1};
    assert_int_equal(store_auth_check_range(w.s, u, &req), ETCD_OK);
    assert_int_equal(store_auth_check_range(w.s, ahead, &req), ETCD_AUTH_OLD_REVISION);
    assert_int_equal(store_auth_check_txn(w.s, ahead, &(struct txn_req){0}, &w.a), ETCD_AUTH_OLD_REVISION);
    role_add("planned");
    assert_int_equal(store_auth_check_range(w.s, u, &req), ETCD_OK); /* reads see what is durable */
}

/* ---- undo, restart, trim ---- */

static uint32_t drawn(uint32_t n)
{
    static uint32_t x = 12345;
    x = x * 1103515245 + 12345;
    return (x >> 16) % n;
}

static void any_command(void)
{
    static const char *const users[] = {"root", "u", "v"}, *const roles[] = {"root", "r", "s"};
    const char *user = users[drawn(3)], *role = roles[drawn(3)];
    switch (drawn(10)) {
    case 0:
        (void)user_add(user, drawn(2) ? "h" : "g");
        break;
    case 1:
        (void)user_del(user);
        break;
    case 2:
        (void)password(user, "x");
        break;
    case 3:
        (void)give(user, role);
        break;
    case 4:
        (void)take(user, role);
        break;
    case 5:
        (void)role_add(role);
        break;
    case 6:
        (void)role_del(role);
        break;
    case 7:
        (void)permit(role, (int32_t)drawn(3), drawn(2) ? "a" : "b", drawn(2) ? NULL : "c");
        break;
    case 8:
        (void)forbid(role, "a", NULL);
        break;
    default:
        if (drawn(2))
            (void)!store_auth_enable(w.s, &w.seq);
        else
            (void)!store_auth_disable(w.s, &w.seq);
        break;
    }
    if (drawn(8) == 0)
        put(&w, "k", "v");
}

static void what_is_not_durable_is_undone_whatever_it_was(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        for (uint32_t n = drawn(6); n > 0; n--)
            any_command();
        world_commit_some(&w, 1 + drawn(3));
        uint64_t digest = store_digest(w.s);
        const char *durable = dump(STORE_DURABLE);
        if (round % 2) {
            for (uint32_t n = drawn(20); n > 0; n--)
                any_command();
            store_rollback(w.s);
            assert_string_equal(dump(STORE_PLANNED), durable);
            assert_string_equal(dump(STORE_DURABLE), durable);
            assert_int_equal(store_digest(w.s), digest);
        }
    }
}

/* A second store from the log as it is. */
static void assert_restart_finds_the_same(void)
{
    struct store *again;
    struct tenure_error err = {0};
    if (world_replay(&w, &again, &err) != 0)
        fail_msg("replay: %s", err.text);
    assert_string_equal(dump_of(again, STORE_DURABLE, &w.a), dump(STORE_DURABLE));
    assert_string_equal(dump_of(again, STORE_PLANNED, &w.a), dump(STORE_DURABLE));
    assert_int_equal(store_digest(again), store_digest(w.s));
    store_free(again);
}

static void a_restart_finds_it_again_after_any_slice_of_trimming(void **state)
{
    (void)state;
    size_t trimmed = 0;
    for (int round = 0; round < 60; round++) {
        for (int n = 0; n < 12; n++)
            any_command();
        world_commit(&w);
        assert_restart_finds_the_same();
        put(&w, "k", "v");
        world_commit(&w);
        compact(&w, store_revision(w.s));
        world_commit(&w);
        for (size_t n; (n = world_trim(&w, 1)) > 0; trimmed += n)
            assert_restart_finds_the_same();
        if (round % 7 == 0)
            world_restart(&w);
    }
    assert_true(trimmed > 300);
    size_t left = 0;
    for (size_t i = 0; i < w.log_len; i++)
        left += !w.log[i].deleted;
    assert_true(left < 40); /* bounded by what there is, not by what there was */
}

static void memory_is_given_back_with_the_rows(void **state)
{
    (void)state;
    compact(&w, 1);
    world_commit(&w);
    int64_t before = store_memory(w.s);
    for (int i = 0; i < 50; i++) {
        user_add("u", "some hash that is long enough to be seen");
        user_del("u");
    }
    store_rollback(w.s);
    assert_int_equal(store_memory(w.s), before);
    for (int i = 0; i < 50; i++) {
        user_add("u", "some hash that is long enough to be seen");
        user_del("u");
    }
    world_commit(&w);
    assert_true(store_memory(w.s) > before);
    put(&w, "k", "v");
    world_commit(&w);
    compact(&w, 2);
    world_commit(&w);
    world_trim_all(&w);
    user_add("v", ""); /* the newest row stays, so one more */
    world_commit(&w);
    put(&w, "k", "v");
    world_commit(&w);
    compact(&w, 3);
    world_commit(&w);
    world_trim_all(&w);
    assert_true(store_memory(w.s) < before + 1500);
}

static void changes_alone_are_compacted_by_the_policy(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++) {
        user_add("u", "h");
        user_del("u");
    }
    world_commit(&w);
    assert_false(store_trim_pending(w.s));
    assert_int_equal(store_auto_compact(w.s, 2000, 3600000), 0);
    world_commit(&w);
    assert_true(store_trim_pending(w.s));
    world_trim_all(&w);
    assert_restart_finds_the_same();
    assert_int_equal(store_revision(w.s), 1);
}

/* ---- damage ---- */

static void refuse_replay(const char *why)
{
    struct store *again = NULL;
    struct tenure_error err = {0};
    assert_int_equal(world_replay(&w, &again, &err), TENURE_ECORRUPT);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" is not about \"%s\"", err.text, why);
}

static void rows_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    user_add("u", "h");
    role_add("r");
    give("u", "r");
    role_del("r");
    user_del("u");
    enable();
    world_commit(&w);
    assert_restart_finds_the_same();
    struct record good;
#define BREAK(n, change, why)                                                                                          \
    do {                                                                                                               \
        struct record *r = world_row(&w, n);                                                                           \
        good = *r;                                                                                                     \
        change;                                                                                                        \
        refuse_replay(why);                                                                                            \
        *r = good;                                                                                                     \
    } while (0)
    BREAK(2, r->version = 3, "auth revision");
    BREAK(2, r->version = 0, "auth revision");
    BREAK(2, r->key = bytes_str("v"), "no message");
    BREAK(2, r->value.len--, "no message");
    BREAK(2, r->key.len = 0, "no user and no role");
    BREAK(2, r->main = 5, "revision");
    BREAK(3, r->kind = RECORD_AUTH_SWITCH, "neither on nor off");
    BREAK(5, r->last_of_command = true; world_row(&w, 6)->kind = RECORD_AUTH_ROLE, "no message");
    world_row(&w, 6)->kind = RECORD_AUTH_USER;
    BREAK(7, r->tombstone = false, "no message");
    BREAK(7, r->key = bytes_str("x"), "not there");
    BREAK(10, r->sub = 2, "neither on nor off");
    BREAK(10, r->last_of_command = false, "must end");
    world_delete_row(&w, 4);
    refuse_replay("is missing");
#undef BREAK
}

/* ---- memory ---- */

static enum etcd_error some_of_all(void)
{
    enum etcd_error e = ETCD_OK, all[] = {
                                     user_add("root", "h"),
                                     give("root", "root"),
                                     user_add("u", "h"),
                                     role_add("r"),
                                     give("u", "r"),
                                     permit("r", PERMISSION_READ, "a", "b"),
                                     password("u", "g"),
                                     store_auth_enable(w.s, &w.seq),
                                     forbid("r", "a", "b"),
                                     user_add("v", "h"),
                                     give("v", "r"),
                                     role_del("r"),
                                     take("root", "root"),
                                     user_del("u"),
                                     store_auth_disable(w.s, &w.seq),
                                 };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i] == ETCD_OUT_OF_MEMORY)
            e = all[i];
    }
    return e;
}

static void a_command_without_memory_changes_nothing(void **state)
{
    (void)state;
    size_t at = 1, failed = 0;
    for (bool hit = true; hit; at++) {
        world_close(&w);
        world_open(&w, NULL);
        failmalloc_at(at);
        enum etcd_error e = some_of_all();
        hit = failmalloc_hit();
        failmalloc_off();
        failed += e == ETCD_OUT_OF_MEMORY;
        assert_true(hit || e == ETCD_OK);
        world_commit(&w);
        assert_restart_finds_the_same();
    }
    assert_true(failed > 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(enabling_needs_a_root_user_with_the_root_role),
        TEST(the_auth_revision_grows_with_changes_only),
        TEST(users_have_etcds_errors),
        TEST(a_name_that_no_snapshot_could_hold_is_refused),
        TEST(roles_have_etcds_errors),
        TEST(root_cannot_be_taken_away_while_it_counts),
        TEST(roles_and_permissions_are_sorted_and_each_is_there_once),
        TEST(a_user_without_password_has_none_ever),
        TEST(only_a_new_password_is_a_new_login),
        TEST(what_is_kept_is_etcds_message),
        TEST(ranges_of_all_roles_count_together),
        TEST(a_key_and_the_one_right_behind_it_are_one_range),
        TEST(a_range_of_a_single_key_is_that_key),
        TEST(nobody_and_somebody_of_an_old_revision_are_told_so),
        TEST(previous_values_need_reading_and_leases_all_their_keys),
        TEST(a_transaction_is_judged_by_all_that_it_may_do),
        TEST(reads_are_judged_by_the_very_revision),
        TEST(what_is_not_durable_is_undone_whatever_it_was),
        TEST(a_restart_finds_it_again_after_any_slice_of_trimming),
        TEST(memory_is_given_back_with_the_rows),
        TEST(changes_alone_are_compacted_by_the_policy),
        TEST(rows_that_do_not_fit_are_refused),
        TEST(a_command_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
