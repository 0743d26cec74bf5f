/* The row that an event is in a log, but for its place there. Borrows from e. Pure. */
#ifndef STORE_EVENT_ROW_H
#define STORE_EVENT_ROW_H

#include "api/watch.h"
#include "backend/record.h"

static inline struct record event_row(const struct event *e)
{
    struct record row = {.kind = RECORD_KV, .main = e->kv.mod_revision, .key = e->kv.key};
    if (e->type == EVENT_DELETE) {
        row.tombstone = true;
        return row;
    }
    row.value = e->kv.value;
    row.create_revision = e->kv.create_revision;
    row.version = e->kv.version;
    row.lease = e->kv.lease;
    return row;
}

#endif
