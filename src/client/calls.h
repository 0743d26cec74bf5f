/* What the files of calls share: each call is a kind (path, nature, decoder) and a function that encodes its request. */
#ifndef CLIENT_CALLS_H
#define CLIENT_CALLS_H

#include "client/internal.h"

/* A decoder for call_kind: puts the answer into the arena and r->field at it. */
#define DECODE_INTO(name, type, field, decode_fn)                                                                      \
    static int name(bytes in, struct arena *a, struct client_result *r)                                                \
    {                                                                                                                  \
        struct type *resp = arena_zalloc(a, sizeof *resp);                                                             \
        if (!resp)                                                                                                     \
            return TENURE_ENOMEM;                                                                                      \
        r->field = resp;                                                                                               \
        return decode_fn(in, a, &r->header, resp);                                                                     \
    }

/* A function of client.h: encodes req and submits. */
#define CALL_FUNCTION(name, req_type, kind, encode_fn)                                                                 \
    struct client_call *client_##name(struct client *c, const req_type *req, const struct client_call_options *opt,    \
                                      client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)              \
    {                                                                                                                  \
        struct client_call *call = client_call_new(c, kind, opt, cb, user, err);                                       \
        if (!call)                                                                                                     \
            return NULL;                                                                                               \
        encode_fn(req, &call->request);                                                                                \
        return call_submit(c, call, now, err);                                                                         \
    }

/* client_call_new for a call that names an endpoint, or SIZE_MAX. TENURE_EINVALID for one that is not there. */
struct client_call *client_call_new_at(struct client *c, size_t endpoint, const struct call_kind *kind,
                                       const struct client_call_options *opt, client_done_cb cb, void *user,
                                       struct tenure_error *err) MUST_USE;

#endif
