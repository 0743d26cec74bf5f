/* Plain structs of etcd's services for locks and elections. Pure data; bytes are borrowed. */
#ifndef API_LOCK_H
#define API_LOCK_H

#include "api/kv.h"

struct lock_req {
    bytes name;
    tn_lease lease; /* 0 = one of 60 s is made, which nobody keeps alive */
};
struct lock_resp {
    tn_rev revision;
    bytes key;
};

struct campaign_req {
    bytes name;
    tn_lease lease; /* as of a lock */
    bytes value;
};

struct leader_key {
    bytes name, key;
    tn_rev rev; /* create revision of the key */
    tn_lease lease;
};

struct campaign_resp {
    tn_rev revision;
    struct leader_key leader;
};

struct proclaim_req {
    bool has_leader;
    struct leader_key leader;
    bytes value;
};

struct resign_req {
    bool has_leader;
    struct leader_key leader;
};

struct leader_resp {
    tn_rev revision;
    struct kv kv;
};

#endif
