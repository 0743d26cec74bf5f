/* Which resource a request's path names, for a proxy that fences by path. Pure. */
#ifndef HTTP_FENCE_PATH_H
#define HTTP_FENCE_PATH_H

#include "base/bytes.h"

/* The first `parts` parts of the path of an origin-form target ("/orders/7?x" with 1: "orders"), in one spelling: what needs no %XX has
 * none; "/" where there are none. NULL, or why two readers of the path could mean different resources (an empty part, "." and "..", an
 * encoded slash or zero, a backslash; a ";" within the resource), or that it does not fit into size. */
const char *fence_path_resource(bytes target, unsigned parts, char *ret, size_t size) MUST_USE;

#endif
