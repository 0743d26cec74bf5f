/* Presences as objects of a handle: for those that are built on them. */
#ifndef LIB_PRESENCE_H
#define LIB_PRESENCE_H

#include <tenure/group.h>

#include "lib/handle.h"

/* As tenure_presence_start, behind its door (view_of, handle_enter). */
tenure_presence *lib_presence_start(tenure_client *c, bytes ns, bytes key, bytes value,
                                    const struct tenure_presence_options *options, struct tenure_error *err) MUST_USE;
/* When it was started: Unix time in milliseconds. */
int64_t lib_presence_since(const tenure_presence *p);
/* The safe-until of what it stands on with the newest value, as last published; 0 = it does not stand. */
tn_ms lib_presence_stands_until(const tenure_presence *p);
tenure_client *lib_presence_handle(const tenure_presence *p);

#endif
