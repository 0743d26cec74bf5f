/* Plain structs of the Lease service. Pure data; bytes are borrowed. TTLs are in seconds. */
#ifndef API_LEASE_H
#define API_LEASE_H

#include "api/kv.h"

#define LEASE_TTL_MAX_S INT64_C(9000000000)

struct lease_grant_req {
    int64_t ttl_s;
    tn_lease id; /* 0 = the server draws a positive one */
};
struct lease_grant_resp {
    tn_rev revision;
    tn_lease id;
    int64_t ttl_s; /* as granted: raised to the server's minimum */
};
struct lease_revoke_req {
    tn_lease id;
};
struct lease_revoke_resp {
    tn_rev revision;
};
struct lease_keepalive_req {
    tn_lease id;
};
struct lease_keepalive_resp {
    tn_rev revision;
    tn_lease id;
    int64_t ttl_s; /* 0 = the lease is unknown */
};
struct lease_ttl_req {
    tn_lease id;
    bool keys;
};
struct lease_ttl_resp {
    tn_rev revision;
    tn_lease id;
    int64_t ttl_s; /* remaining; -1 = the lease is unknown */
    int64_t granted_ttl_s;
    bytes *keys;
    size_t n_keys;
};
struct lease_list_resp {
    tn_rev revision;
    tn_lease *ids; /* by expiry, soonest first */
    size_t n_ids;
};

#endif
