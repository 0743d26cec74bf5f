/* From the program's options to the requests of src/api; shared by single calls and transactions. Pure. */
#ifndef LIB_REQUEST_H
#define LIB_REQUEST_H

#include <tenure/kv.h>

#include "api/kv.h"
#include "base/arena.h"
#include "base/error.h"

/* Borrow key, value and range_end, or copy what lies below ns; what is made new is in a. o: as options_take left it. TENURE_EINVALID, TENURE_ENOMEM. */
int request_get(bytes ns, struct tenure_bytes key, const struct tenure_get_options *o, struct arena *a,
                struct range_req *ret, struct tenure_error *err) MUST_USE;
int request_put(bytes ns, struct tenure_bytes key, struct tenure_bytes value, const struct tenure_put_options *o,
                struct arena *a, struct put_req *ret, struct tenure_error *err) MUST_USE;
int request_delete(bytes ns, struct tenure_bytes key, const struct tenure_delete_options *o, struct arena *a,
                   struct delete_req *ret, struct tenure_error *err) MUST_USE;

#endif
