/* The driver of the fencing proxy (http/fence_proxy.h): sockets around it. Blocks until SIGTERM or SIGINT. */
#ifndef CLI_FENCE_SERVE_H
#define CLI_FENCE_SERVE_H

#include <stddef.h>
#include <stdint.h>
#include <tenure/error.h>

struct fence_serve_options {
    const char *listen, *upstream; /* addresses of io/address.h, without TLS */
    const char *resource;          /* NULL: by_path */
    unsigned by_path;
    uint64_t methods;
    int missing_allowed;
    const char *state; /* folder; NULL = in memory alone */
    int64_t timeout_ms;
    size_t connections_max;
    /* It takes connections there. */
    void (*on_listening)(void *user, const char *address);
    void *user;
};

/* 0 when it was told to end; else why it could not begin. */
int fence_serve(const struct fence_serve_options *o, struct tenure_error *err);

#endif
