/* Instances of services, read from their keys: immutable blocks that several may hold, and lists of them.
 *
 * Counted by instance_ref and instance_unref, any thread; everything else pure. */
#ifndef LIB_INSTANCE_H
#define LIB_INSTANCE_H

#include <stdatomic.h>
#include <tenure/registry.h>

#include "base/bytes.h"

/* How often an instance is used now: shared by all blocks that say what the same key said one after the other. */
struct instance_use {
    atomic_uint refs, uses;
};

struct instance {
    struct tenure_instance pub; /* first: what a program is given points here */
    atomic_uint refs;
    struct instance_use *use; /* NULL but in a copy of the registry (service_view.h) */
};

static inline struct instance *instance_of(const struct tenure_instance *pub)
{
    return (struct instance *)pub;
}
struct instance *instance_ref(struct instance *i);
struct instance *instance_unref(struct instance *i); /* NULL is fine; NULL */

bool instance_matches(const struct tenure_instance *i, const struct tenure_instance_filter *f);

/* Shares them; NULL when out of memory. */
struct tenure_instances *instance_list(struct instance *const *all, size_t n, int64_t revision) MUST_USE;

/* A name without a slash, that is not empty nor too long. */
bool instance_is_name(const char *name);
/* The same; TENURE_EINVALID names it, as what it is ("service", "instance"), and its fault. */
int instance_name_check(const char *what, const char *name, struct tenure_error *err) MUST_USE;
/* "<prefix><service>/<instance>", malloc'd; prefix NULL = "/services/". service "" = all below the prefix, then instance is ""
 * as well. Or NULL with err filled. */
char *instance_path(const char *prefix, const char *service, const char *instance, struct tenure_error *err) MUST_USE;
/* What a key says behind the prefix, "<service>/<instance>", with nothing further; false for what is no instance's. */
bool instance_split(bytes rest, bytes *ret_service, bytes *ret_name);

#endif
