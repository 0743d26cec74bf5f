/* Learning the members' addresses: see discover_ms in tenure/client.h. Loop thread. */
#ifndef LIB_DISCOVER_H
#define LIB_DISCOVER_H

#include "lib/handle.h"

/* Begins when there is a connection; an object of the handle. */
int lib_discover_start(tenure_client *c, int64_t every_ms, struct tenure_error *err) MUST_USE;

#endif
