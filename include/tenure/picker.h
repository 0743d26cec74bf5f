/* A live copy of the registry (registry.h), and choosing among the instances in it.
 *
 * A view is an exact copy of the instances of one service, or of all: listed at one revision, then changed as they change. What
 * was missed (a long absence, a compaction) is told as the difference. It goes on while no server can be reached, with what it
 * has; how old that may be is what tenure_service_view_staleness_ms says.
 *
 * A picker chooses instances of a view, without I/O, in microseconds, also among a thousand: in turn, at random, by weight, the least
 * used, or by a key. Those that do not serve are never chosen (unless nobody else is there and that was asked for), those of the
 * nearest zone that has some are preferred.
 *
 * Views and pickers: any handle, loop thread for uv and poll; callbacks on the loop's thread. What is marked so: any thread.
 */
#ifndef TENURE_PICKER_H
#define TENURE_PICKER_H

#include <tenure/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- views ---- */

typedef struct tenure_service_view tenure_service_view;
enum tenure_service_change { TENURE_SERVICE_CAME = 1, TENURE_SERVICE_CHANGED = 2, TENURE_SERVICE_WENT = 3 };

struct tenure_service_view_options {
    size_t size;
    const char *prefix;                   /* NULL = "/services/" */
    struct tenure_instance_filter filter; /* copied; one that matches no more has gone */
    /* How often the view asks whether it still is the newest state; 0 = each 5 s, -1 = never: then staleness only grows. */
    int64_t check_ms;
    /* Each may be NULL. First: who is there, at one revision. Borrowed for the call, as are instances below. */
    void (*on_list)(tenure_service_view *v, const struct tenure_instances *list, void *user);
    /* Then each change, in order. Of one that went, `instance` is what was there. */
    void (*on_change)(tenure_service_view *v, enum tenure_service_change change, const struct tenure_instance *instance,
                      int64_t revision, void *user);
    /* It ended by itself: denied, closed, no memory, more than 100,000 keys. What it has stays as it is. */
    void (*on_end)(tenure_service_view *v, int code, const struct tenure_error *err, void *user);
    void *user;
};
/* service NULL: all below the prefix (which must not be "" then). Begins at once, and goes on while no server can be reached.
 * Free it by tenure_service_view_stop. NULL: TENURE_EINVALID, TENURE_ENOMEM, … */
tenure_service_view *tenure_service_view_start(tenure_client *c, const char *service,
                                               const struct tenure_service_view_options *o, struct tenure_error *err);
/* Waits for the first list. TENURE_ETIMEOUT (it goes on), or why it has ended. timeout_ms 0 = the handle's. Blocking handles, any
 * thread but the loop's. */
int tenure_service_view_await(tenure_service_view *v, int64_t timeout_ms, struct tenure_error *err);
/* What the copy holds now; NULL when out of memory. Any thread. */
struct tenure_instances *tenure_service_view_list(tenure_service_view *v, struct tenure_error *err);
/* The revision it is of; 0 = nothing was listed yet. Any thread. */
int64_t tenure_service_view_revision(const tenure_service_view *v);
/* So long ago it was asked for what proved the copy to be the newest state: everything that was acknowledged before that is in it.
 * -1 = nothing was listed yet. Any thread. */
int64_t tenure_service_view_staleness_ms(const tenure_service_view *v);
/* Readable from each change on (an eventfd): read its 8 bytes, then look at the list. Owned by the view. Any thread. */
int tenure_service_view_fd(const tenure_service_view *v);
/* Ends and frees; pickers of it go on with what there was. No callback comes after it has returned, except to the very
 * callback that called it. NULL is fine. */
void tenure_service_view_stop(tenure_service_view *v);

/* ---- pickers ---- */

enum tenure_policy {
    TENURE_PICK_ROUND_ROBIN = 0,
    TENURE_PICK_RANDOM = 1,
    TENURE_PICK_WEIGHTED = 2, /* as likely as its weight is large */
    TENURE_PICK_LEAST_USED =
        3, /* the fewest picks not done yet, for its weight; those of all pickers of the view count */
    /* By the key: each program picks the same for the same key. One that comes takes over its own share of the keys, of one that
     * goes only its own keys move. */
    TENURE_PICK_CONSISTENT = 4
};

struct tenure_picker_options {
    size_t size;
    enum tenure_policy policy;
    /* Nearest first: those in zones[0] while one of them serves, else those in zones[1], …, else any. */
    const char *const *zones;
    size_t n_zones;
    struct tenure_instance_filter filter; /* what is never picked otherwise; serving is implied */
    /* When none serves: also those that are draining, critical, in maintenance or of weight 0. Not those with an error or
     * leaving. */
    bool any_if_none;
    uint64_t seed; /* 0 = at random */
};

typedef struct tenure_picker tenure_picker;
/* Copies. NULL: TENURE_EINVALID, TENURE_ENOMEM. */
tenure_picker *tenure_picker_new(tenure_service_view *v, const struct tenure_picker_options *o,
                                 struct tenure_error *err);
/* Chooses. The instance is the caller's until tenure_pick_done, however it changes meanwhile. key: of TENURE_PICK_CONSISTENT, ignored
 * else. NULL: TENURE_ENOTFOUND (none can be picked), TENURE_EUNAVAILABLE (nothing was listed yet), TENURE_ENOMEM. Any thread. */
const struct tenure_instance *tenure_pick(tenure_picker *p, struct tenure_bytes key, struct tenure_error *err);
/* It is used no more. Once for each pick, also when the picker and its view are gone. NULL is fine. Any thread. */
void tenure_pick_done(const struct tenure_instance *i);
/* NULL is fine. Before or behind its view. */
void tenure_picker_free(tenure_picker *p);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
