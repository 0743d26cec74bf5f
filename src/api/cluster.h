/* Plain structs of the Cluster, Maintenance.Status and health services. Pure data; bytes are borrowed. */
#ifndef API_CLUSTER_H
#define API_CLUSTER_H

#include "api/kv.h"

struct member {
    uint64_t id;
    bytes name;
    bytes *peer_urls, *client_urls;
    size_t n_peer_urls, n_client_urls;
    bool is_learner;
};

struct member_list_resp {
    tn_rev revision;
    struct member *members;
    size_t n_members;
};

struct member_add_req {
    bytes *peer_urls;
    size_t n_peer_urls;
    bool is_learner;
};

struct member_add_resp {
    tn_rev revision;
    struct member member; /* the new one */
    struct member *members;
    size_t n_members;
};

struct member_update_req {
    uint64_t id;
    bytes *peer_urls;
    size_t n_peer_urls;
};

struct status_resp {
    struct response_header header;
    bytes version;
    int64_t db_size, db_size_in_use, db_size_quota;
    uint64_t leader, raft_index, raft_term, raft_applied_index;
    bytes *errors;
    size_t n_errors;
    bool is_learner;
    bytes storage_version;
    bool has_downgrade; /* the message about a downgrade is there; it always says that there is none */
};

/* etcdserverpb.SnapshotResponse */
struct snapshot_resp {
    uint64_t remaining_bytes;
    bytes blob, version;
};

/* grpc.health.v1.HealthCheckResponse.ServingStatus */
enum health_status { HEALTH_UNKNOWN = 0, HEALTH_SERVING = 1, HEALTH_NOT_SERVING = 2, HEALTH_SERVICE_UNKNOWN = 3 };

#endif
