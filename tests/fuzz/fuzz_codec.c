/* Every decoder on any bytes. The first byte chooses the message. What is accepted must survive being encoded and
 * decoded again, and be encoded to the same bytes then. */
#include <stdlib.h>

#include "wire/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ARENA_BYTES_MAX = 256 << 20 };

/* Decodes in and encodes what came of it. */
typedef int (*again_fn)(bytes in, struct arena *a, struct buf *out);

#define REQUEST(name, type)                                                                                            \
    static int again_##name(bytes in, struct arena *a, struct buf *out)                                                \
    {                                                                                                                  \
        type r;                                                                                                        \
        int rc = decode_##name(in, a, &r);                                                                             \
        if (!rc)                                                                                                       \
            encode_##name(&r, out);                                                                                    \
        return rc;                                                                                                     \
    }

#define RESPONSE(name, type)                                                                                           \
    static int again_##name(bytes in, struct arena *a, struct buf *out)                                                \
    {                                                                                                                  \
        struct response_header h;                                                                                      \
        type r;                                                                                                        \
        int rc = decode_##name(in, a, &h, &r);                                                                         \
        if (!rc)                                                                                                       \
            encode_##name(&h, &r, out);                                                                                \
        return rc;                                                                                                     \
    }

REQUEST(range_req, struct range_req)
REQUEST(put_req, struct put_req)
REQUEST(delete_req, struct delete_req)
REQUEST(txn_req, struct txn_req)
REQUEST(compact_req, struct compact_req)
RESPONSE(range_resp, struct range_resp)
RESPONSE(put_resp, struct put_resp)
RESPONSE(delete_resp, struct delete_resp)
RESPONSE(txn_resp, struct txn_resp)
RESPONSE(compact_resp, struct compact_resp)
REQUEST(watch_req, struct watch_req)
REQUEST(watch_resp, struct watch_resp)
REQUEST(lease_grant_req, struct lease_grant_req)
REQUEST(lease_revoke_req, struct lease_revoke_req)
REQUEST(lease_keepalive_req, struct lease_keepalive_req)
REQUEST(lease_ttl_req, struct lease_ttl_req)
RESPONSE(lease_grant_resp, struct lease_grant_resp)
RESPONSE(lease_revoke_resp, struct lease_revoke_resp)
RESPONSE(lease_keepalive_resp, struct lease_keepalive_resp)
RESPONSE(lease_ttl_resp, struct lease_ttl_resp)
RESPONSE(lease_list_resp, struct lease_list_resp)
RESPONSE(member_list_resp, struct member_list_resp)
REQUEST(status_resp, struct status_resp)
REQUEST(user_role_req, struct user_role_req)
REQUEST(authenticate_req, struct authenticate_req)
REQUEST(user_add_req, struct user_add_req)
REQUEST(user_password_req, struct user_password_req)
REQUEST(role_grant_req, struct role_grant_req)
REQUEST(role_revoke_req, struct role_revoke_req)
RESPONSE(auth_status_resp, struct auth_status_resp)
RESPONSE(authenticate_resp, struct authenticate_resp)
RESPONSE(auth_names_resp, struct auth_names_resp)
RESPONSE(role_get_resp, struct role_get_resp)

REQUEST(member_add_req, struct member_add_req)
REQUEST(member_update_req, struct member_update_req)
REQUEST(alarm_req, struct alarm_req)
RESPONSE(alarm_resp, struct alarm_resp)
RESPONSE(hash_kv_resp, struct hash_kv_resp)
REQUEST(downgrade_req, struct downgrade_req)
REQUEST(lock_req, struct lock_req)
RESPONSE(lock_resp, struct lock_resp)
REQUEST(campaign_req, struct campaign_req)
RESPONSE(campaign_resp, struct campaign_resp)
REQUEST(proclaim_req, struct proclaim_req)
REQUEST(resign_req, struct resign_req)
RESPONSE(leader_resp, struct leader_resp)

static int again_range_stream_resp(bytes in, struct arena *a, struct buf *out)
{
    struct response_header h;
    struct range_resp r;
    int rc = decode_range_stream_resp(in, a, &h, &r);
    if (!rc)
        encode_range_stream_resp(&h, &r, in.len, out);
    return rc;
}

static int again_auth_name_req(bytes in, struct arena *a, struct buf *out)
{
    bytes name;
    int rc = decode_auth_name_req(in, a, &name);
    if (!rc)
        encode_auth_name_req(name, out);
    return rc;
}

static int again_member_list_req(bytes in, struct arena *a, struct buf *out)
{
    bool linearizable;
    int rc = decode_member_list_req(in, a, &linearizable);
    if (!rc)
        encode_member_list_req(linearizable, out);
    return rc;
}

static int again_health_req(bytes in, struct arena *a, struct buf *out)
{
    bytes service;
    int rc = decode_health_req(in, a, &service);
    if (!rc)
        encode_health_req(service, out);
    return rc;
}

static int again_health_resp(bytes in, struct arena *a, struct buf *out)
{
    enum health_status status;
    int rc = decode_health_resp(in, a, &status);
    if (!rc)
        encode_health_resp(status, out);
    return rc;
}

static int again_empty(bytes in, struct arena *a, struct buf *out)
{
    (void)out;
    int rc = decode_lease_list_req(in, a);
    if (!rc)
        rc = decode_status_req(in, a);
    return rc ? rc : decode_auth_empty_req(in, a);
}

static const again_fn kinds[] = {
    again_range_req,
    again_put_req,
    again_delete_req,
    again_txn_req,
    again_compact_req,
    again_range_resp,
    again_put_resp,
    again_delete_resp,
    again_txn_resp,
    again_compact_resp,
    again_watch_req,
    again_watch_resp,
    again_lease_grant_req,
    again_lease_revoke_req,
    again_lease_keepalive_req,
    again_lease_ttl_req,
    again_lease_grant_resp,
    again_lease_revoke_resp,
    again_lease_keepalive_resp,
    again_lease_ttl_resp,
    again_lease_list_resp,
    again_member_list_resp,
    again_status_resp,
    again_member_list_req,
    again_health_req,
    again_health_resp,
    again_empty,
    again_auth_name_req,
    again_user_role_req,
    again_authenticate_req,
    again_user_add_req,
    again_user_password_req,
    again_role_grant_req,
    again_role_revoke_req,
    again_auth_status_resp,
    again_authenticate_resp,
    again_auth_names_resp,
    again_role_get_resp,
    again_member_add_req,
    again_member_update_req,
    again_alarm_req,
    again_alarm_resp,
    again_hash_kv_resp,
    again_downgrade_req,
    again_lock_req,
    again_lock_resp,
    again_campaign_req,
    again_campaign_resp,
    again_proclaim_req,
    again_resign_req,
    again_leader_resp,
    again_range_stream_resp,
};

static void must(bool what)
{
    if (!what)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena a;
    struct buf once, twice;
    if (len == 0)
        return 0;
    again_fn again = kinds[data[0] % ARRAY_LEN(kinds)];
    arena_init(&a, ARENA_BYTES_MAX);
    buf_init(&once);
    buf_init(&twice);
    if (again(bytes_of(data + 1, len - 1), &a, &once) == 0) {
        must(buf_error(&once) == 0);
        must(again(buf_bytes(&once), &a, &twice) == 0);
        must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    }
    buf_fini(&twice);
    buf_fini(&once);
    arena_fini(&a);
    return 0;
}
