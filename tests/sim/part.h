/* Parts of a client's process that one may add to the world (sim_config.parts): a recipe or two, with what checks them. An actor
 * starts, ticks and kills its parts alike; a part keeps its state per actor, and its truth, from the rows that are durable, once.
 */
#ifndef SIM_PART_H
#define SIM_PART_H

#include "recipes/commit.h"
#include "world.h"

struct part_ops {
    const char *name;
    void *(*start)(struct actor *a);
    void (*tick)(void *p); /* before the client's completions, as a driver does */
    void (*step)(void *p); /* behind them */
    tn_ms (*next)(const void *p);
    void (*finish)(void *p); /* all is healed: no new work */
    bool (*idle)(const void *p);
    void (*kill)(void *p); /* the process is gone: what is under way is told to nobody */
    void (*free)(void *p); /* its client has ended all calls */
    void (*row)(struct world *w, const struct record *r);
    void (*check)(struct world *w);     /* at each instant; may be NULL */
    void (*check_end)(struct world *w); /* may be NULL */
    void *(*truth_new)(void);
    void (*truth_free)(void *truth);
};

extern const struct part_ops memory_part, lines_part, keeper_part, copies_part, candidates_part;

/* For the part's own functions. */
void *part_state(const struct actor *a, int part);

/* A session, which comes back after its end, with marks on it. */
struct footing {
    struct actor *actor;
    struct session *session;
    struct marks *marks;
    bool ended, closing;
};
/* Whether work can begin on it. in_use: somebody holds on to the one that has ended. */
bool footing_ready(struct footing *f, bool in_use);
void footing_tick(struct footing *f);
tn_ms footing_next(const struct footing *f);
void footing_close(struct footing *f);
void footing_kill(struct footing *f);
void footing_free(struct footing *f);

/* What this client's clock shows, in Unix ms: each is off by up to a second. */
int64_t sim_wall(const struct actor *a);

static inline bool sim_under(bytes key, const char *prefix)
{
    return bytes_has_prefix(key, bytes_str(prefix));
}
/* The digits at the start of the value. */
int64_t sim_number(bytes value);
static inline tn_ms sim_earlier(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

#endif
