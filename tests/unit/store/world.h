/* A store with the log and the clock that a test plays for it: rows that were handed out are copied when they are
 * committed, and a second store can be made from them at any time. */
#ifndef TESTS_UNIT_STORE_WORLD_H
#define TESTS_UNIT_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store.h"

struct world_row {
    struct record record; /* owns key and value */
    bool deleted;
};

struct world {
    struct store *s;
    struct store_config config;
    struct arena a;
    tn_ms now;
    tn_seq seq; /* of the last command */
    struct world_row *log;
    size_t log_len, log_cap;
};

/* A store that is ready, its identity durable. config may be NULL. */
void world_open(struct world *w, const struct store_config *config);
void world_close(struct world *w);

/* Hands out, copies and commits everything that is planned. */
void world_commit(struct world *w);
/* The same for whole commands of at most max rows. Answers how many rows. */
size_t world_commit_some(struct world *w, size_t max);
/* Trims at most max rows and deletes them from the log; answers how many. */
size_t world_trim(struct world *w, size_t max);
void world_trim_all(struct world *w);
/* A new store from the log: what a restart finds. 0 or the error of replay or ready. */
int world_replay(const struct world *w, struct store **ret, struct tenure_error *err);
/* Ends the store and goes on with a new one from the log. */
void world_restart(struct world *w);
/* The row of the log with that sequence. */
struct record *world_row(struct world *w, tn_seq seq);
void world_delete_row(struct world *w, tn_seq seq);

/* ---- commands that must succeed, with C strings; they answer the revision ---- */
tn_rev put(struct world *w, const char *key, const char *value);
tn_rev put_lease(struct world *w, const char *key, const char *value, tn_lease lease);
int64_t del(struct world *w, const char *key, const char *range_end); /* how many */
void compact(struct world *w, tn_rev revision);
void grant(struct world *w, tn_lease id, int64_t ttl_s);
void revoke(struct world *w, tn_lease id);

/* range_end: NULL or "" = single, "\0" is written as WORLD_FROM. */
#define WORLD_FROM ((const char *)1)
struct key_range range_of(const char *key, const char *range_end);
/* "key=value key=value …" of a durable read at revision (0 = newest); the error's name is in <>. Lives in the arena. */
const char *get(struct world *w, const char *key, const char *range_end, tn_rev revision);
const char *read_text(struct world *w, const struct range_req *req);

/* ---- watches ---- */
struct store_watcher *watch(struct world *w, const char *key, const char *range_end, tn_rev start, const char *name);
/* Every batch until none is ready, as text: "name: PUT a=1@2 DEL b@3; name2: …", with the watcher's name as given. A
 * compacted one is "name: COMPACTED 5". Lives in the arena. */
const char *drain(struct world *w);
const char *drain_by(struct world *w, size_t events_max);
/* One batch, "" when there is none. */
const char *next_batch(struct world *w, size_t events_max);

#endif
