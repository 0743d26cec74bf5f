/* etcd's paths of the JSON gateway, and the RPCs they stand for. Pure. */
#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"

enum route_kind {
    ROUTE_UNARY,
    ROUTE_SERVER_STREAM, /* one request, many answers */
    ROUTE_BOTH_STREAM    /* many requests, while the answers come */
};

struct route {
    const char *path; /* "/v3/kv/put" */
    const char *rpc;  /* "/etcdserverpb.KV/Put" */
    enum route_kind kind;
    const ProtobufCMessageDescriptor *request, *response;
};

/* NULL: etcd has no such path. */
const struct route *route_find(bytes path);
/* All of them, for tests. */
const struct route *route_list(size_t *ret_n);

#endif
