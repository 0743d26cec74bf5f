/* What a test reads and writes by itself, past all clients: in the store, at once. */
#include <string.h>

#include "lib/handle.h"
#include "lib/request.h"
#include "lib/result.h"
#include "testkit/kit.h"

#define ARENA_MAX ((size_t)256 << 20)

static int failed(enum etcd_error e, struct tenure_error *err)
{
    struct client_verdict v = client_classify(etcd_error_status(e), bytes_str(etcd_error_text(e)), false);
    return error_set(err, v.code, "%s", etcd_error_text(e));
}

static bool is_bytes(struct tenure_bytes s)
{
    return s.data || s.len == 0;
}

/* valid: what must not be NULL is not. */
static int enter(const tenure_testkit *kit, bool valid, struct tenure_error *err)
{
    if (!kit || !valid)
        return error_set(err, TENURE_EINVALID, kit ? "an argument is NULL" : "the test kit is NULL");
    return kit->store ? 0 : error_set(err, TENURE_EUNAVAILABLE, "the test kit's server is down");
}

/* Borrows from the store and the arena. */
static int range(tenure_testkit *kit, struct tenure_bytes key, const struct tenure_get_options *options,
                 struct arena *a, struct range_resp *ret, struct tenure_error *err)
{
    struct tenure_get_options o;
    struct range_req req;
    int rc = enter(kit, is_bytes(key), err);
    rc = rc < 0 ? rc : options_take(&o, sizeof o, options, "get", err);
    rc = rc < 0 ? rc : request_get(bytes_of(NULL, 0), key, &o, a, &req, err);
    if (rc < 0)
        return rc;
    enum etcd_error e = store_range(kit->store, &req, a, ret);
    return e == ETCD_OK ? 0 : failed(e, err);
}

int tenure_testkit_get(tenure_testkit *kit, struct tenure_bytes key, const struct tenure_get_options *o,
                       struct tenure_get_result **ret, struct tenure_error *err)
{
    struct arena a;
    struct range_resp resp;
    if (!ret)
        return enter(kit, false, err);
    arena_init(&a, ARENA_MAX);
    int rc = range(kit, key, o, &a, &resp, err);
    struct tenure_get_result *r = rc == 0 ? result_get(&resp) : NULL;
    arena_fini(&a);
    if (rc == 0 && !r)
        rc = error_set(err, TENURE_ENOMEM, "get: out of memory");
    *ret = r;
    return rc;
}

int tenure_testkit_put(tenure_testkit *kit, struct tenure_bytes key, struct tenure_bytes value, int64_t lease,
                       struct tenure_error *err)
{
    struct arena a;
    struct put_req req = {.key = result_bytes_in(key), .value = result_bytes_in(value), .lease = lease};
    struct put_resp resp;
    tn_seq seq;
    int rc = enter(kit, is_bytes(key) && is_bytes(value), err);
    if (rc < 0)
        return rc;
    arena_init(&a, ARENA_MAX);
    enum etcd_error e = store_put(kit->store, &req, &a, &resp, &seq);
    arena_fini(&a);
    kit_wake_server(kit);
    return e == ETCD_OK ? 0 : failed(e, err);
}

int tenure_testkit_delete(tenure_testkit *kit, struct tenure_bytes key, struct tenure_error *err)
{
    struct arena a;
    struct delete_req req = {.range = {.key = result_bytes_in(key)}};
    struct delete_resp resp = {0};
    tn_seq seq;
    int rc = enter(kit, is_bytes(key), err);
    if (rc < 0)
        return rc;
    arena_init(&a, ARENA_MAX);
    enum etcd_error e = store_delete(kit->store, &req, &a, &resp, &seq);
    arena_fini(&a);
    kit_wake_server(kit);
    if (e != ETCD_OK)
        return failed(e, err);
    return resp.deleted ? 0 : error_set(err, TENURE_ENOTFOUND, "delete: there is no such key");
}

int tenure_testkit_compact(tenure_testkit *kit, int64_t revision, struct tenure_error *err)
{
    struct compact_req req = {.revision = revision};
    struct compact_resp resp;
    tn_seq seq;
    int rc = enter(kit, true, err);
    if (rc < 0)
        return rc;
    if (revision == 0)
        req.revision = store_revision_planned(kit->store);
    enum etcd_error e = store_compact(kit->store, &req, &resp, &seq);
    kit_wake_server(kit);
    return e == ETCD_OK ? 0 : failed(e, err);
}

int64_t tenure_testkit_revision(const tenure_testkit *kit)
{
    return kit && kit->store ? store_revision(kit->store) : 0;
}
