/* A shared value as an object of a handle: what value.c (the copy and reads of it) and value_write.c share. */
#ifndef LIB_VALUE_H
#define LIB_VALUE_H

#include <tenure/value.h>

#include "base/buf.h"
#include "lib/ask.h"
#include "recipes/replica.h"

/* What another thread is shown. Never changed; counted. */
struct value_shown {
    atomic_uint refs;
    struct kv kv; /* version 0 = there is no such key */
    uint8_t data[];
};

struct tenure_value {
    struct object object;
    struct replica *replica;
    struct tenure_value_options o;
    bytes key;      /* below its namespace; this and marks behind the struct */
    char *marks;    /* the same */
    unsigned users; /* reads that wait and writes under way */
    bool is_stopped, has_ended;
    int fd;

    pthread_mutex_t mutex;     /* of the rest, which the loop writes */
    struct value_shown *shown; /* NULL = there is none yet */
    tn_rev revision;
    tn_ms current_at;
    int code; /* of its end */
    struct tenure_error why;
};

/* The state of kv; NULL: out of memory. Any thread. */
struct tenure_value_state *value_state_new(const struct kv *kv, tn_rev revision, int64_t stale_ms) MUST_USE;
/* What the time since then is called. */
static inline int64_t value_stale_ms(tn_ms now, tn_ms since)
{
    return now - since + 1;
}
/* At the door: not NULL, not of another process. */
int value_enter(const tenure_value *v, bool blocks, struct tenure_error *err) MUST_USE;
/* A call that the value must outlive has ended. Loop thread. */
void value_left(tenure_value *v);

#endif
