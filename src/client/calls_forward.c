/* Calls that somebody else has made and that are sent on as they are: the request's bytes go out, the answer's bytes come back. What
 * is known of them is which may be repeated and which are streams. */
#include <stdlib.h>

#include "client/calls.h"

static int bytes_answer(bytes in, struct arena *a, struct client_result *r)
{
    (void)a;
    r->message = in;
    return 0;
}

static void piece(const struct client_call *call, bytes message, struct arena *a)
{
    (void)a;
    ((client_message_cb)call->on_piece)(call->user, message);
}

#define KV(name)          .path = "/etcdserverpb.KV/" name, .decode = bytes_answer
#define LEASE(name)       .path = "/etcdserverpb.Lease/" name, .decode = bytes_answer
#define CLUSTER(name)     .path = "/etcdserverpb.Cluster/" name, .decode = bytes_answer
#define MAINTENANCE(name) .path = "/etcdserverpb.Maintenance/" name, .decode = bytes_answer
#define AUTH(name)        .path = "/etcdserverpb.Auth/" name, .decode = bytes_answer
#define LOCK(name)        .path = "/v3lockpb.Lock/" name, .decode = bytes_answer
#define ELECTION(name)    .path = "/v3electionpb.Election/" name, .decode = bytes_answer

static const struct call_kind kinds[] = {
    {KV("Range")},
    {KV("Put"), .is_write = true},
    {KV("DeleteRange"), .is_write = true},
    {KV("Txn"), .is_write = true},
    {KV("Compact"), .is_write = true},
    {.path = "/etcdserverpb.KV/RangeStream", .pieces_join = true, .deliver_piece = piece},
    {LEASE("LeaseGrant"), .is_write = true},
    {LEASE("LeaseRevoke"), .is_write = true},
    {LEASE("LeaseKeepAlive"), .is_stream = true},
    {LEASE("LeaseTimeToLive")},
    {LEASE("LeaseLeases")},
    {CLUSTER("MemberAdd"), .is_write = true},
    {CLUSTER("MemberRemove"), .is_write = true},
    {CLUSTER("MemberUpdate"), .is_write = true},
    {CLUSTER("MemberPromote"), .is_write = true},
    {MAINTENANCE("Alarm"), .is_write = true},
    {MAINTENANCE("MoveLeader"), .is_write = true},
    {MAINTENANCE("Downgrade"), .is_write = true},
    {AUTH("AuthEnable"), .is_write = true},
    {AUTH("AuthDisable"), .is_write = true},
    {AUTH("AuthStatus")},
    {AUTH("Authenticate")},
    {AUTH("UserAdd"), .is_write = true},
    {AUTH("UserGet")},
    {AUTH("UserList")},
    {AUTH("UserDelete"), .is_write = true},
    {AUTH("UserChangePassword"), .is_write = true},
    {AUTH("UserGrantRole"), .is_write = true},
    {AUTH("UserRevokeRole"), .is_write = true},
    {AUTH("RoleAdd"), .is_write = true},
    {AUTH("RoleGet")},
    {AUTH("RoleList")},
    {AUTH("RoleDelete"), .is_write = true},
    {AUTH("RoleGrantPermission"), .is_write = true},
    {AUTH("RoleRevokePermission"), .is_write = true},
    {LOCK("Lock"), .is_write = true},
    {LOCK("Unlock"), .is_write = true},
    {ELECTION("Campaign"), .is_write = true},
    {ELECTION("Proclaim"), .is_write = true},
    {ELECTION("Leader")},
    {ELECTION("Resign"), .is_write = true},
    {.path = "/v3electionpb.Election/Observe", .deliver_piece = piece},
};

static bool is_of(const char *path, const char *service, const char *method)
{
    size_t len = strlen(service);
    return strncmp(path + 1, service, len) == 0 && path[1 + len] == '/' && strcmp(path + len + 2, method) == 0;
}

static const struct call_kind *find(const char *service, const char *method)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (is_of(kinds[i].path, service, method))
            return &kinds[i];
    }
    return NULL;
}

static int keep_token(struct client_call *call, bytes token)
{
    uint8_t *copy = token.data ? malloc(token.len + 1) : NULL;
    call->is_others = true;
    if (!token.data)
        return 0;
    if (!copy)
        return TENURE_ENOMEM;
    if (token.len)
        memcpy(copy, token.data, token.len);
    call->token = bytes_of(copy, token.len);
    return 0;
}

struct client_call *client_forward(struct client *c, const struct client_forward_req *req,
                                   const struct client_call_options *opt, client_message_cb on_message,
                                   client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    const struct call_kind *kind = find(req->service, req->method);
    if (!kind) {
        error_set(err, TENURE_EUNIMPLEMENTED, "%s/%s cannot be sent on", req->service, req->method);
        return NULL;
    }
    struct client_call *call = client_call_new(c, kind, opt, cb, user, err);
    if (!call)
        return NULL;
    if (kind->deliver_piece)
        call->on_piece = (void (*)(void))on_message;
    if (keep_token(call, req->token) != 0) {
        call_release(c, call);
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    buf_append_bytes(&call->request, req->message);
    return call_submit(c, call, now, err);
}
