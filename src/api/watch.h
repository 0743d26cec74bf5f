/* Plain structs of the Watch service. Pure data; bytes are borrowed. */
#ifndef API_WATCH_H
#define API_WATCH_H

#include "api/kv.h"

enum event_type { EVENT_PUT = 0, EVENT_DELETE = 1 };

struct event {
    enum event_type type;
    struct kv kv; /* a delete carries key and mod_revision only */
    bool has_prev_kv;
    struct kv prev_kv;
};

struct watch_create_req {
    struct key_range range; /* an empty key counts as a single 0 byte */
    tn_rev start_revision;  /* 0 = from now on; < 0 is refused as compacted */
    bool progress_notify, prev_kv, fragment;
    bool no_put, no_delete; /* the filters */
    int64_t watch_id;       /* 0 = the server draws one */
};

enum watch_req_kind { WATCH_REQ_NONE = 0, WATCH_REQ_CREATE, WATCH_REQ_CANCEL, WATCH_REQ_PROGRESS };

struct watch_req {
    enum watch_req_kind kind;
    struct watch_create_req create;
    int64_t cancel_id;
};

struct watch_resp {
    struct response_header header;
    int64_t watch_id;
    bool created, canceled, fragment;
    tn_rev compact_revision;
    bytes cancel_reason;
    struct event *events;
    size_t n_events;
};

#endif
