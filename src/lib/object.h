/* What lives on a handle: sessions, locks, elections, observers, watches. Embedded at the start of each. Loop thread.
 *
 * An object is freed at the end of a turn, once it is over: whoever is in the middle of calling it is done by then.
 * A turn walks the sessions and elections only, so that many locks do not make it slow; all objects are looked through
 * when one has changed in a way that may end it (object_changed).
 */
#ifndef LIB_OBJECT_H
#define LIB_OBJECT_H

#include <tenure/client.h>

#include "base/list.h"
#include "base/types.h"

struct object;

struct object_type {
    /* Of those that time moves: when tick is due, TN_MS_NEVER; what is due; telling other threads what is true now. All
     * three or none (a lock is moved by its session). */
    tn_ms (*deadline)(const struct object *o);
    void (*tick)(struct object *o, tn_ms now);
    void (*publish)(struct object *o);
    /* The handle closes: end what can be ended, as if its stop function had been called. Also called again. */
    void (*close)(struct object *o, tn_ms now);
    /* The engine's calls have all ended and no more will: end at once. May be NULL. */
    void (*abort)(struct object *o, tn_ms now);
    /* It may go: nothing under way, nobody waits. last_word then calls the program a last time; may be NULL. */
    bool (*is_over)(const struct object *o);
    /* A close does not wait for it: it is told of its end by the engine's end. */
    bool is_passive;
    void (*last_word)(struct object *o);
    void (*free)(struct object *o);
};

struct object {
    struct list in_handle;
    struct list in_timed; /* alone unless type->deadline */
    tenure_client *handle;
    const struct object_type *type;
};

void object_init(struct object *o, tenure_client *c, const struct object_type *type);
/* In front of all others: is ticked before them and freed after them. For sessions, whatever locks come to hang on them. */
void object_init_first(struct object *o, tenure_client *c, const struct object_type *type);
/* It may be over now. */
void object_changed(struct object *o);

/* Answers whether any was due: it may have asked something of the engine. */
bool objects_tick(tenure_client *c, tn_ms now);
tn_ms objects_deadline(const tenure_client *c);
void objects_publish(tenure_client *c);
void objects_close(tenure_client *c, tn_ms now);
void objects_abort(tenure_client *c, tn_ms now);
/* Frees what is over; answers whether there was any. */
bool objects_reap(tenure_client *c);
/* Frees all, over or not, without a word. */
void objects_free(tenure_client *c);
/* Whether a close has something to wait for. */
bool objects_busy(const tenure_client *c);

#endif
