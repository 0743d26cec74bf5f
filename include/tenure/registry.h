/* The registry: programs say which service they are and where, and others find them. (`services.h` is something else: the
 * server's own lock and election calls.)
 *
 * An instance of a service is a key, `/services/<service>/<instance>`, on a lease of its program. Its value is a JSON object:
 * "address" and "port", and where there is something to say "tags", "meta", "weight", "zone", "version", "health" (passing, warning,
 * critical), "draining", "maintenance", "leaving", "host", "pid", "since". Fields that are none of these are kept, by whoever
 * changes the value, and mean nothing. What is no such value is listed with `error` set, and never picked.
 *
 * A registration heals: when its lease was lost it stands again under a new one, with the same identity, as soon as a server can
 * be reached, and when somebody deleted it at once. When the program dies it goes at the end of its TTL, never later.
 *
 * An operator, from any other program, drains an instance, takes it into maintenance, gives it another weight or sends it away:
 * tenure_instance_edit, tenure_deregister. The program hears of it, keeps it, and so it survives a healing too.
 *
 * Go's `naming/endpoints` keeps {"Op":0,"Addr":"host:port","Metadata":…} at `<service>/<address>`. A registration stands there as
 * well when it is asked to (see `grpc`), while it serves; and whatever reads instances here reads Go's, too.
 *
 * Any handle, loop thread for uv and poll, callbacks on the loop's thread, unless something else is said.
 */
#ifndef TENURE_REGISTRY_H
#define TENURE_REGISTRY_H

#include <tenure/group.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- instances ---- */

enum tenure_health {
    TENURE_HEALTH_PASSING = 0,
    TENURE_HEALTH_WARNING = 1, /* still picked */
    TENURE_HEALTH_CRITICAL = 2
};
const char *tenure_health_string(enum tenure_health h); /* "passing", "warning", "critical"; others are "critical" */

struct tenure_meta {
    const char *name, *value;
};

/* One instance. Strings are never NULL, but for error. */
struct tenure_instance {
    const char *service, *name;
    const char *address;
    int32_t port;         /* 0 where there is none */
    const char *endpoint; /* "address:port", "[address]:port" for IPv6; of Go's its Addr as it is */
    const char *const *tags;
    size_t n_tags;
    const struct tenure_meta *meta;
    size_t n_meta;
    int32_t weight; /* 0 … 65535; 0 = is given nothing */
    const char *zone, *version;
    enum tenure_health health; /* what is neither passing nor warning is critical */
    bool draining;             /* finishes what it has, and is to get nothing new */
    bool maintenance;          /* an operator took it out */
    bool leaving;              /* an operator sent it away: its key goes as soon as its program hears of it */
    bool is_grpc;              /* of Go's layout */
    const char *host;          /* of the program; "" where the value says nothing */
    int64_t pid, since_ms;     /* Unix time in milliseconds; 0 where unknown */
    const char *error; /* NULL; else why the value says nothing, and nothing above means anything but the names */
    int64_t create_revision, mod_revision, lease;
    struct tenure_bytes value; /* as it is stored */
};

/* May be given something new: neither error, critical, draining, in maintenance nor leaving, and its weight is not 0. NULL: no.
 * Any thread. */
bool tenure_instance_serves(const struct tenure_instance *i);

struct tenure_instances {
    int64_t revision;
    size_t n;
    const struct tenure_instance *instances; /* by service, then name */
};
void tenure_instances_free(struct tenure_instances *r); /* NULL is fine; any thread */

/* Which ones; all that is set must hold. All zero: all, also those with an error. */
struct tenure_instance_filter {
    const char *const *tags; /* it has each of these */
    size_t n_tags;
    const char *zone, *version; /* NULL = any */
    bool serving;               /* tenure_instance_serves */
};

struct tenure_discover_options {
    size_t size;
    const char *prefix; /* NULL = "/services/"; "" is where Go's registrations usually are */
    struct tenure_instance_filter filter;
};
/* Who is there now, at one revision; nobody is a list with n 0. service NULL: of all services below the prefix (which must not be
 * "" then). NULL on failure: TENURE_EINVALID (an empty name, or one with a slash), … Blocking handles, any thread but the loop's. */
struct tenure_instances *tenure_discover(tenure_client *c, const char *service, const struct tenure_discover_options *o,
                                         struct tenure_error *err);

struct tenure_service_name {
    const char *name;
    size_t instances;
};
struct tenure_service_names {
    int64_t revision;
    size_t n;
    const struct tenure_service_name *services; /* by name */
};
/* Which services have instances. prefix NULL = "/services/". NULL on failure; free it by tenure_service_names_free. As
 * tenure_discover. */
struct tenure_service_names *tenure_services(tenure_client *c, const char *prefix, struct tenure_error *err);
void tenure_service_names_free(struct tenure_service_names *r);

/* ---- registering ---- */

typedef struct tenure_service tenure_service;

struct tenure_service_options {
    size_t size;
    const char *prefix;            /* NULL = "/services/" */
    int64_t ttl_s;                 /* 0 = 10 */
    enum tenure_conflict conflict; /* when an instance of that name lives */
    const char *const *tags;
    size_t n_tags;
    const struct tenure_meta *meta;
    size_t n_meta;
    int32_t weight; /* 0 = 1; at most 65535 */
    const char *zone, *version;
    enum tenure_health health;
    bool draining;
    /* Also stands at "<grpc><service>/<address:port>" for Go's resolver, while it serves. NULL = no; "" = where Go's own
     * registrations usually are. Its Metadata is text (JSON of tags, zone and so on), or null. */
    const char *grpc;
    /* Each may be NULL. It stands for the first time. */
    void (*on_registered)(tenure_service *s, void *user);
    /* It does not stand, and will be healed: the lease was lost (told at safe-until, network or not), or somebody deleted or has
     * it. */
    void (*on_lost)(tenure_service *s, const struct tenure_error *why, void *user);
    /* It stands again. */
    void (*on_healed)(tenure_service *s, void *user);
    /* An operator changed it: this is what it is now. Borrowed for the call. */
    void (*on_edited)(tenure_service *s, const struct tenure_instance *now, void *user);
    /* It has ended: 0 = by tenure_service_stop or a close; else TENURE_EEXISTS (refused), TENURE_ELOST (taken over),
     * TENURE_ENOTFOUND (sent away by tenure_deregister), TENURE_EDENIED, …, and waits for tenure_service_stop. The last callback. */
    void (*on_ended)(tenure_service *s, int code, const struct tenure_error *err, void *user);
    void *user;
};

/* Registers this program and waits until it stands, at most for the handle's call timeout. instance NULL = "<address>:<port>".
 * Copies. port 0 = none. NULL: TENURE_EEXISTS (an instance of that name lives), TENURE_EINVALID (a name that is empty or has a
 * slash, text that is no UTF-8, a weight or port that is none), TENURE_ETIMEOUT, … and nothing of it is left. Gone with
 * tenure_service_stop, with the handle, or with the program. Blocking handles, any thread but the loop's. */
tenure_service *tenure_register(tenure_client *c, const char *service, const char *instance, const char *address,
                                int32_t port, const struct tenure_service_options *o, struct tenure_error *err);
/* Begins to, and goes on while no server can be reached; the callbacks say what comes of it. NULL when it could not begin. */
tenure_service *tenure_register_start(tenure_client *c, const char *service, const char *instance, const char *address,
                                      int32_t port, const struct tenure_service_options *o, struct tenure_error *err);
/* Waits until it stands with what was set last. TENURE_ETIMEOUT (it goes on trying), or why it has ended. timeout_ms 0 = the
 * handle's. Blocking handles, any thread but the loop's. */
int tenure_service_await(tenure_service *s, int64_t timeout_ms, struct tenure_error *err);
/* True only while it stands with what was set last, and its lease is safe. No I/O; any thread. */
bool tenure_service_stands(const tenure_service *s);
/* What it says of itself, changed in place, under the same lease. On a blocking handle: any thread. TENURE_EINVALID,
 * TENURE_ENOMEM, TENURE_ECLOSED (it has ended). */
int tenure_service_set_health(tenure_service *s, enum tenure_health h, struct tenure_error *err);
int tenure_service_set_draining(tenure_service *s, bool draining, struct tenure_error *err);
int tenure_service_set_weight(tenure_service *s, int32_t weight, struct tenure_error *err);
/* Takes it out of the registry, bounded by the call timeout, and frees s; on_ended follows unless it came before. On a blocking
 * handle, from another thread than the loop's, waits until it is done. NULL is fine. */
void tenure_service_stop(tenure_service *s);

/* ---- the operator's part: blocking handles, any thread but the loop's ---- */

enum tenure_edit { TENURE_KEEP = 0, TENURE_SET = 1, TENURE_CLEAR = 2 };
struct tenure_instance_edit {
    size_t size;
    const char *prefix; /* NULL = "/services/" */
    enum tenure_edit draining, maintenance;
    int32_t weight; /* 0 = as it is; -1 = none: it is given nothing */
};
/* Changes somebody's instance, on its lease; it goes on to live as long as its program. TENURE_ENOTFOUND: there is none.
 * TENURE_ECORRUPT: its value is none of ours (Go's have no room for it). */
int tenure_instance_edit(tenure_client *c, const char *service, const char *instance,
                         const struct tenure_instance_edit *e, struct tenure_error *err);
/* Sends an instance away: it is not picked from now on, and its key goes when its program has heard of it, which gets
 * TENURE_ENOTFOUND, or with its lease. What stands on no lease, or is none of ours, is deleted at once. TENURE_ENOTFOUND: there is
 * none. */
int tenure_deregister(tenure_client *c, const char *prefix, const char *service, const char *instance,
                      struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
