/* Every call times everybody who may make it: nobody, a wrong token, one that ran out, a user without permission, one that
 * may read the key, one that may write it, root. A call that is missing here fails the test. */
#include "auth_cases.h"
#include "core/call.h"

enum column { NOBODY, WRONG, EXPIRED, NO_PERMISSION, READER, WRITER, ROOT, COLUMNS };

struct row {
    const char *path;
    const char *message; /* about the key "k", lease 5 where one is needed */
    size_t len;
    /* One letter a column: U user name is empty, I invalid token, D permission denied, . not a matter of permission */
    const char *expected;
};
#define ROW(path, message, expected)                                                                                   \
    {                                                                                                                  \
        path, message, sizeof(message) - 1, expected                                                                   \
    }
#define KV(m)          "/etcdserverpb.KV/" m
#define LEASE(m)       "/etcdserverpb.Lease/" m
#define CLUSTER(m)     "/etcdserverpb.Cluster/" m
#define MAINTENANCE(m) "/etcdserverpb.Maintenance/" m
#define ELECTION(m)    "/v3electionpb.Election/" m

#define FREE           "......."
#define TOKEN_ONLY     "UII...."
#define READ_KEY       "UIID.D."
#define WRITE_KEY      "UIIDD.."
#define BOTH_KEY       "UIIDDD."
#define ROOT_ONLY      "UIIDDD."

static const struct row rows[] = {
    ROW(KV("Range"), "\x0a\x01k", READ_KEY),
    ROW(KV("RangeStream"), "\x0a\x01k", READ_KEY),
    ROW(KV("Put"), "\x0a\x01k\x12\x01v", WRITE_KEY),
    ROW(KV("Put"), "\x0a\x01k\x20\x01", BOTH_KEY),  /* prev_kv */
    ROW(KV("Put"), "\x0a\x01k\x18\x05", WRITE_KEY), /* with the lease of the key */
    ROW(KV("DeleteRange"), "\x0a\x01k", WRITE_KEY),
    ROW(KV("DeleteRange"), "\x0a\x01k\x18\x01", BOTH_KEY),
    ROW(KV("Txn"), "", ".II...."),                                          /* an empty one */
    ROW(KV("Txn"), "\x0a\x03\x1a\x01k", READ_KEY),                          /* a compare */
    ROW(KV("Txn"), "\x12\x05\x0a\x03\x0a\x01k", READ_KEY),                  /* a range if it holds */
    ROW(KV("Txn"), "\x1a\x05\x12\x03\x0a\x01k", WRITE_KEY),                 /* a put if not */
    ROW(KV("Txn"), "\x12\x09\x22\x07\x12\x05\x12\x03\x0a\x01k", WRITE_KEY), /* a put in a nested one */
    ROW(KV("Txn"), "\x12\x05\x1a\x03\x0a\x01k", WRITE_KEY),                 /* a delete */
    ROW(KV("Txn"), "\x12\x07\x1a\x05\x0a\x01k\x18\x01", BOTH_KEY),          /* a delete with prev_kv */
    ROW(KV("Txn"), "\x0a\x03\x1a\x01k\x12\x05\x12\x03\x0a\x01k", BOTH_KEY), /* compare and put */
    ROW(KV("Compact"), "\x08\x02", ROOT_ONLY),
    ROW(LEASE("LeaseGrant"), "\x08\x3c", TOKEN_ONLY),
    ROW(LEASE("LeaseRevoke"), "\x08\x05", WRITE_KEY),
    ROW(LEASE("LeaseRevoke"), "\x08\x63", TOKEN_ONLY), /* an unknown one */
    ROW(LEASE("LeaseKeepAlive"), "\x08\x05", WRITE_KEY),
    ROW(LEASE("LeaseTimeToLive"), "\x08\x05", TOKEN_ONLY),
    ROW(LEASE("LeaseTimeToLive"), "\x08\x05\x10\x01", READ_KEY),
    ROW(LEASE("LeaseLeases"), "", READ_KEY),
    ROW("/etcdserverpb.Watch/Watch", "\x0a\x03\x0a\x01k", READ_KEY),
    ROW("/etcdserverpb.Watch/Watch", "\x0a\x00", ROOT_ONLY), /* all keys */
    ROW(CLUSTER("MemberList"), "", TOKEN_ONLY),
    ROW(CLUSTER("MemberAdd"), "\x0a\x0fhttp://a.b:2380", ROOT_ONLY),
    ROW(CLUSTER("MemberRemove"), "\x08\x07", ROOT_ONLY),
    ROW(CLUSTER("MemberUpdate"), "\x08\x07\x12\x0fhttp://a.b:2380", ROOT_ONLY),
    ROW(CLUSTER("MemberPromote"), "\x08\x07", ROOT_ONLY),
    ROW(MAINTENANCE("Status"), "", TOKEN_ONLY),
    ROW(MAINTENANCE("Alarm"), "", TOKEN_ONLY),
    ROW(MAINTENANCE("Alarm"), "\x08\x02\x18\x01", ROOT_ONLY), /* disarm */
    ROW(MAINTENANCE("Defragment"), "", ROOT_ONLY),
    ROW(MAINTENANCE("Hash"), "", ROOT_ONLY),
    ROW(MAINTENANCE("HashKV"), "", ROOT_ONLY),
    ROW(MAINTENANCE("Snapshot"), "", ROOT_ONLY),
    ROW(MAINTENANCE("MoveLeader"), "\x08\x07", ROOT_ONLY),
    ROW(MAINTENANCE("Downgrade"),
        "\x12\x03"
        "3.6",
        ROOT_ONLY),
    ROW(AUTH "AuthEnable", "", ROOT_ONLY),
    ROW(AUTH "AuthDisable", "", ROOT_ONLY),
    ROW(AUTH "AuthStatus", "", ".II...."),
    ROW(AUTH "Authenticate", "\x0a\x04root\x12\x04root", FREE),
    ROW(AUTH "UserAdd", "\x0a\x01z\x12\x01p", ROOT_ONLY),
    ROW(AUTH "UserAdd", "\x0a\x01z\x1a\x02\x08\x01", ROOT_ONLY),
    ROW(AUTH "UserGet", "\x0a\x06reader", "UIID.D."), /* itself, or root */
    ROW(AUTH "UserList", "", ROOT_ONLY),
    ROW(AUTH "UserDelete", "\x0a\x04none", ROOT_ONLY),
    ROW(AUTH "UserChangePassword", "\x0a\x04none\x12\x01p", ROOT_ONLY),
    ROW(AUTH "UserGrantRole", "\x0a\x04none\x12\x04read", ROOT_ONLY),
    ROW(AUTH "UserRevokeRole", "\x0a\x06reader\x12\x04read", ROOT_ONLY),
    ROW(AUTH "RoleAdd", "\x0a\x01z", ROOT_ONLY),
    ROW(AUTH "RoleGet", "\x0a\x04read", "UIID.D."), /* who has it, or root */
    ROW(AUTH "RoleList", "", ROOT_ONLY),
    ROW(AUTH "RoleDelete", "\x0a\x04read", ROOT_ONLY),
    ROW(AUTH "RoleGrantPermission", "\x0a\x04read\x12\x03\x12\x01x", ROOT_ONLY),
    ROW(AUTH "RoleRevokePermission", "\x0a\x04read\x12\x01k", ROOT_ONLY),
    ROW("/v3lockpb.Lock/Lock", "\x0a\x01k\x10\x05", ROOT_ONLY), /* its key would be k/5 */
    ROW("/v3lockpb.Lock/Lock", "\x0a\x01k", ROOT_ONLY),
    ROW("/v3lockpb.Lock/Unlock", "\x0a\x01k", WRITE_KEY),
    ROW(ELECTION("Campaign"), "\x0a\x01k\x10\x05", ROOT_ONLY),
    ROW(ELECTION("Proclaim"), "\x0a\x0a\x0a\x01k\x12\x01k\x18\x02\x20\x05", BOTH_KEY),
    ROW(ELECTION("Resign"), "\x0a\x0a\x0a\x01k\x12\x01k\x18\x02\x20\x05", BOTH_KEY),
    ROW(ELECTION("Leader"), "\x0a\x01k", ROOT_ONLY), /* the keys below k/ */
    ROW(ELECTION("Observe"), "\x0a\x01k", ROOT_ONLY),
    ROW("/grpc.health.v1.Health/Check", "", FREE),
    ROW("/grpc.health.v1.Health/Watch", "", FREE),
    ROW("/tenure.Replica/Status", "", FREE), /* of a replica, whose source has no authentication */
};

/* ---- one cell ---- */

static void become(enum column who)
{
    static const char *const names[] = {
        [EXPIRED] = "root", [NO_PERMISSION] = "none", [READER] = "reader", [WRITER] = "writer", [ROOT] = "root"};
    here.c->token = NULL;
    if (who == WRONG)
        here.c->token = "abcdefghijklmnop.1";
    else if (who != NOBODY)
        here.c->token = token_for(names[who]);
    if (who == EXPIRED)
        world_pass(here.w, 300000);
}

static char letter_of(enum etcd_error e)
{
    switch (e) {
    case ETCD_USER_EMPTY:
        return 'U';
    case ETCD_INVALID_AUTH_TOKEN:
        return 'I';
    case ETCD_PERMISSION_DENIED:
        return 'D';
    default:
        return '.';
    }
}

/* Of a status, or of a watch that is refused in its stream. */
static char answer_of(struct call *call, const struct row *row)
{
    static const char prefix[] = "rpc error: code = ";
    if (call->has_status)
        return letter_of(etcd_error_find(bytes_str(call->text)));
    if (strcmp(row->path, "/etcdserverpb.Watch/Watch") != 0)
        return '.';
    struct watch_resp r = got_watch(call);
    assert_true(r.created);
    if (!r.canceled)
        return '.';
    assert_int_equal(r.watch_id, -1);
    assert_true(bytes_has_prefix(r.cancel_reason, bytes_str(prefix)));
    const char *text = strstr((const char *)arena_copy(&here.w->arena, r.cancel_reason).data, "desc = ");
    return letter_of(etcd_error_find(bytes_str(text + strlen("desc = "))));
}

static bool is_there(const char *path)
{
    const struct core_method *m;
    for (size_t i = 0; (m = dispatch_method(i)); i++) {
        char own[128];
        snprintf(own, sizeof own, "/%s/%s", m->service, m->name);
        if (strcmp(own, path) == 0)
            return true;
    }
    return false;
}

static void check_cell(const struct row *row, enum column who)
{
    restart(NULL);
    put("k", "v");
    grant(5, 1000);
    put_leased("k", 5);
    begin_auth();
    become(who);
    struct call *call = ask_raw(here.c, row->path, bytes_of(row->message, row->len));
    char got = answer_of(call, row);
    if (got != row->expected[who])
        fail_msg("%s as column %d: got %c (status %d \"%s\"), expected %s", row->path, (int)who, got, (int)call->status,
                 call->text, row->expected);
}

static void every_call_asks_who_makes_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int who = 0; who < COLUMNS && is_there(rows[i].path); who++)
            check_cell(&rows[i], (enum column)who);
    }
}

static void every_call_has_a_row(void **state)
{
    (void)state;
    const struct core_method *m;
    for (size_t i = 0; (m = dispatch_method(i)); i++) {
        char path[128];
        bool found = false;
        snprintf(path, sizeof path, "/%s/%s", m->service, m->name);
        for (size_t k = 0; k < ARRAY_LEN(rows); k++)
            found |= strcmp(rows[k].path, path) == 0;
        if (!found)
            fail_msg("%s: who may call it? It has no row in test_auth_matrix.c", path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_call_asks_who_makes_it),
        CASE(every_call_has_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
