/* What the files about a copy of another's keys share: source.c whose a call is, and reads that wait; source_part.c which keys are
 * here; source_users.c who may read. */
#ifndef CORE_SOURCE_H
#define CORE_SOURCE_H

#include "core/call.h"

enum answer { ANSWER_HERE, ANSWER_READ, ANSWER_TXN, ANSWER_THERE };

enum forward_kind {
    FORWARD_SENT,   /* or a read that waits */
    FORWARD_LEARNS, /* Authenticate; message: the name */
    FORWARD_ASKS    /* about a token, for a message; or a message behind such a one */
};

struct core_forward {
    struct list in_call;
    struct list in_core; /* core.source.waiting, of a read that waits */
    struct core_call *call;
    enum forward_kind kind;
    void *handle;   /* the driver's, of what was sent on; NULL: it waits */
    uint64_t round; /* the one that tells the revision to wait for; LEARNS, ASKS: store_auth_changes when it was sent */
    tn_rev revision; /* to wait for; 0 = not known yet */
    tn_ms until;
    size_t len;
    uint8_t message[];
};

/* ---- source.c ---- */
/* NULL: no memory, and the call has ended. */
struct core_forward *forward_new(struct core_call *call, bytes kept) MUST_USE;
/* Sends a request on for the call's client. An error: nothing was sent, and f is gone. */
enum etcd_error forward_as(struct core_forward *f, const char *service, const char *method, bytes message, tn_ms now)
    MUST_USE;
void source_send_on(struct core_call *call, bytes in, tn_ms now);

/* ---- source_part.c ---- */
/* Whether the message was taken, because it is about keys, or about all, that are not here. */
bool source_part_take(struct core_call *call, enum answer answer, bytes in, tn_ms now) MUST_USE;

/* The lines of how it stands that tell what is here. */
void source_part_describe(const struct core *c, struct buf *out);

/* ---- source_users.c ---- */
/* Whether the message was taken: it is refused, sent on, or waits until the source has said whether its token counts. */
bool source_users_take(struct core_call *call, enum answer answer, bytes in, tn_ms now) MUST_USE;
/* The end of what was asked about a token. f is gone. */
void source_asked(struct core_forward *f, enum grpc_status status, const char *text);
/* The answer to Authenticate. */
void source_learn(struct core_forward *f, bytes answer);

#endif
