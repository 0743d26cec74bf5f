/* The authority of a home over a prefix: a lease that it holds in other regions, and its word at home of how long it lasts.
 *
 * In each other region it keeps a place (authority_place.h): /federation/authority<prefix> there, on a lease. With as many places as make,
 * the home itself counted, a majority of all regions (of 2: the other one; of 3: one other; of 4 or 5: two) it has authority, up to the
 * moment at which it would have too few. Whoever promotes another region needs a majority of all regions, without the home, in which no
 * place of it lives (of 2 the other one): one of them is always among those that the authority rests on.
 *
 * At home, /federation/authority<prefix> on a lease of two thirds of the time says so: who acquires something compares that it is there. What a
 * holder may believe does not hang on that lease, which a server may end late, but on an answer:
 *
 *     holder                                        authority
 *       put /federation/asks<prefix>  ── seen ──►   clock read then, time left reckoned
 *       believes for left_ms from the    ◄── put ── {"left_ms":13800,"seen":<revision of the ask>}
 *       moment before it asked
 *
 * So all is counted from moments before something was asked, on clocks that count suspend, with the margins of session.h for their
 * rates; nobody needs the time of day, nor a server that is in time. One answer serves all who have asked up to it.
 *
 * Several processes may do this for one home: the places are the home's, each answer true. One leads (authority_lead), for the traffic.
 *
 * Pure: clients of one thread; told the time, but for the reckoning, which reads the clock behind what it has seen.
 */
#ifndef RECIPES_AUTHORITY_H
#define RECIPES_AUTHORITY_H

#include "recipes/authority_place.h"

enum { AUTHORITY_REGIONS_MAX = 15, AUTHORITY_TTL_MIN_S = 4, AUTHORITY_TTL_MAX_S = 3600 };

enum authority_state {
    AUTHORITY_STANDBY,   /* another process leads, or it is not known yet what the home is */
    AUTHORITY_ELSEWHERE, /* this region is not the home, or the home wants none */
    AUTHORITY_SEEKING,   /* too few places */
    AUTHORITY_HELD
};

struct authority_region {
    const char *name;      /* borrowed */
    struct client *client; /* outlives it; NULL: cannot be reached */
};

struct authority_config {
    const char *region; /* the own one; borrowed */
    bytes prefix;       /* copied */
    int64_t ttl_s;      /* AUTHORITY_TTL_MIN_S … AUTHORITY_TTL_MAX_S */
    struct client *home;
    size_t n_others;
    struct authority_region others[AUTHORITY_REGIONS_MAX];
    tn_ms (*clock)(void *user); /* read now */
    void (*asked)(void *user);  /* something was asked of a client, or is due: all need a turn, and authority_run */
    void *user;
};

/* How many of the others it takes. */
size_t authority_needs(size_t n_others);

struct authority;
/* NULL when out of memory. Does nothing before authority_lead. */
struct authority *authority_new(const struct authority_config *config);
/* What stands, here and there, ends by its leases. NULL is fine; NULL. */
struct authority *authority_free(struct authority *a, tn_ms now);
void authority_lead(struct authority *a, bool leads, tn_ms now);
void authority_run(struct authority *a, tn_ms now);
tn_ms authority_deadline(const struct authority *a);

struct authority_view {
    enum authority_state state;
    struct home home; /* as its cluster says; epoch 0: none, or not known yet */
    tn_ms until;      /* of the authority; 0 = none */
    size_t had, needed;
    bool is_told;            /* and home has its word */
    struct tenure_error why; /* what is wrong at home; code 0 = nothing */
};
void authority_look(const struct authority *a, tn_ms now, struct authority_view *ret);
/* The i-th of the others: until when its place lives, 0 = not at all; why not. Borrowed. */
tn_ms authority_place(const struct authority *a, size_t i, const struct tenure_error **ret_why);

#endif
