/* The inside of a view of a configuration, shared by config.c (its life), config_tell.c (its states) and config_wait.c (who waits
 * for them). Loop thread, but what is under the mutex. */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include <pthread.h>

#include "lib/config_list.h"
#include "lib/config_place.h"
#include "lib/config_schema.h"
#include "lib/config_seal.h"
#include "lib/post.h"
#include "recipes/ranges.h"

struct config_saving;
struct io_work;

struct tenure_config {
    struct object object;
    struct ranges *engine;          /* NULL when it follows no more */
    struct tenure_config_options o; /* its strings are the place's */
    struct config_place place;
    const char *keys;
    struct config_part parts[CONFIG_PARTS_MAX];
    size_t n_parts;
    const char *above[CONFIG_SCHEMAS_MAX]; /* keys above these, which may have schemas */
    size_t n_above;
    size_t
        n_ranges; /* of the engine: parts, schemas of keys above, and those of these keys and below (unless these are one) */
    size_t strip; /* of a namespace: how much of the keys is not shown */
    struct config_seal *seal;
    struct list waiters;
    bool is_stopped, has_ended, is_live, is_told,
        is_refused;          /* live: the servers answered; told: there was a first state */
    struct tenure_error why; /* of the end; of the refusal at the opening */
    uint64_t connections;    /* the one over which the newest was read last */
    uint64_t asked;          /* for the newest, over that connection */
    uint64_t bytes_in;
    size_t newest; /* reads of the newest, as ranges_newest counts them */
    tn_ms look_at; /* when config_look is due */

    const char *view;     /* which one it is, in its copy on disk */
    tn_ms copy_at;        /* when that is taken, should nothing have come; TN_MS_NEVER = not */
    struct io_work *work; /* writes it; NULL = nothing does */
    struct config_saving *saving, *next_saving;

    pthread_mutex_t mutex;
    struct tenure_config_list *list; /* never NULL */
    enum tenure_config_state state;
    int64_t told; /* the revision of the state told last */
    bool changed;
    int fd;             /* -1 = nobody asked for it */
    tn_ms heard_at;     /* the servers, with nothing newer */
    int64_t written_ms; /* Unix time of the copy, while that is what there is */
};

/* ---- config_tell.c ---- */
/* The engine's copy has changed. */
void config_changed(tenure_config *v, tn_rev revision);
/* Follows no more; why is copied. */
void config_end(tenure_config *v, int code, const struct tenure_error *why);
/* What the program is told next. Takes list. */
void config_adopt(tenure_config *v, struct tenure_config_list *list, enum tenure_config_state state);
/* What a schema in the store says against a list. */
int config_check_view(const tenure_config *v, const struct tenure_config_list *list, struct tenure_error *err) MUST_USE;
/* Whether the servers are heard; whether that is to be said anew; saying it, and asking for what was missed. */
bool config_is_heard(const tenure_config *v);
bool config_wants_look(const tenure_config *v);
void config_look(tenure_config *v, tn_ms now);

/* ---- config_wait.c ---- */
/* Waits for a state newer than revision (-1: any), until the time. The caller's thread. */
int config_wait(tenure_config *v, int64_t revision, tn_ms until, struct tenure_error *err) MUST_USE;
/* Ends those that have what they wait for, or will not get it. */
void config_wake(tenure_config *v, tn_ms now);
tn_ms config_wait_deadline(const tenure_config *v);
/* All, with the view's end. */
void config_wake_all(tenure_config *v, int code, const struct tenure_error *why);

#endif
