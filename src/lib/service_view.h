/* What a view of the registry holds, for those who read it on other threads: pickers, and whatever answers queries from it.
 *
 * The table is shared by the view, which alone changes it, on the loop, and its readers; it lives as long as one of them. */
#ifndef LIB_SERVICE_VIEW_H
#define LIB_SERVICE_VIEW_H

#include <pthread.h>
#include <tenure/picker.h>

#include "base/types.h"
#include "lib/instance.h"

struct instance_table {
    atomic_uint refs;
    pthread_mutex_t mutex; /* the rest: under it */
    struct instance **all; /* one reference each; by service, then name */
    size_t n, cap;
    int64_t revision; /* 0 = nothing was listed yet */
    tn_ms current_at; /* see replica.h; 0 = there is none yet */
    uint64_t changes; /* how often it changed */
};

struct instance_table *instance_table_new(void) MUST_USE; /* NULL when out of memory */
struct instance_table *instance_table_ref(struct instance_table *t);
struct instance_table *instance_table_unref(struct instance_table *t); /* NULL is fine; NULL */
/* Under the mutex. Takes i, in the place of one of the same name; counts uses on. TENURE_ENOMEM, and i is let go. */
int instance_table_put(struct instance_table *t, struct instance *i) MUST_USE;
/* Under the mutex. Nothing when it is not there. */
void instance_table_remove(struct instance_table *t, const char *service, const char *name);
/* Under the mutex; borrowed; NULL = not there. */
struct instance *instance_table_find(const struct instance_table *t, const char *service, const char *name);

struct instance_table *service_view_table(tenure_service_view *v);
/* A number for a seed, and the clock's; any thread on a blocking handle. */
tenure_client *service_view_handle(const tenure_service_view *v);

#endif
