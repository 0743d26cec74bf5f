/* Endpoints by DNS: see discovery_srv in tenure/client.h. Loop thread. */
#ifndef LIB_SRV_H
#define LIB_SRV_H

#include "io/srv.h"
#include "lib/handle.h"

/* The domain that the environment names. NULL: none. */
const char *lib_srv_default(void);
/* Begins to look for o->discovery_srv, at once and again. Errors as tenure_open. */
int lib_srv_start(tenure_client *c, const struct tenure_options *o, struct tenure_error *err) MUST_USE;

/* The order in which records are tried (RFC 2782): those with TLS first, then by priority, in one by chance according to their
 * weights. Pure. */
void lib_srv_order(struct io_srv_record *records, size_t n, struct rng *rng);

#endif
