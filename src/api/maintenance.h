/* Plain structs of the Maintenance service, Status apart (cluster.h). Pure data; bytes are borrowed. */
#ifndef API_MAINTENANCE_H
#define API_MAINTENANCE_H

#include "api/kv.h"

enum alarm_type { ALARM_NONE = 0, ALARM_NOSPACE = 1, ALARM_CORRUPT = 2 }; /* other numbers are kept as they come */
enum alarm_action { ALARM_GET = 0, ALARM_ACTIVATE = 1, ALARM_DEACTIVATE = 2 };

struct alarm {
    uint64_t member_id;
    int32_t type;
};

struct alarm_req {
    int32_t action;
    struct alarm alarm; /* of GET only the type counts, and NONE means all */
};

struct alarm_resp {
    tn_rev revision;
    struct alarm *alarms; /* GET: all that fit; else the one that the request was about, or none */
    size_t n_alarms;
};

struct hash_kv_resp {
    tn_rev revision; /* header: the newest when the work began */
    uint32_t hash;
    tn_rev compact_revision; /* -1 = nothing was ever compacted */
    tn_rev hash_revision;
};

enum downgrade_action { DOWNGRADE_VALIDATE = 0, DOWNGRADE_ENABLE = 1, DOWNGRADE_CANCEL = 2 };

struct downgrade_req {
    int32_t action;
    bytes version;
};

#endif
