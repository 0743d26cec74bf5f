/* What a source did, revision by revision, as a watch of all its keys told: what watchers elsewhere are judged against. Pure.
 *
 * Every revision of a server of this API has a change, so a hole is an error here. Values are kept as a number of 64 bits. Out of
 * memory ends the program: this is a part of tests.
 */
#ifndef BUSY_HISTORY_H
#define BUSY_HISTORY_H

#include "api/watch.h"
#include "base/map.h"

/* One change. */
struct fact {
    tn_rev revision, create_revision;
    int64_t version;
    tn_lease lease;
    uint64_t value;
    uint32_t key; /* of history.keys */
    bool is_delete;
    int64_t before; /* index of the key's last change before, or -1 */
};

struct history {
    struct fact *facts;
    size_t n, room;
    bytes *keys;
    int64_t *newest; /* of each key: its last fact */
    size_t n_keys, keys_room;
    struct map by_hash; /* of the key's bytes: its index + 1 */
    tn_rev first, last; /* whole revisions; last 0 = nothing yet */
};

void history_init(struct history *h);
void history_fini(struct history *h);
uint64_t history_hash(bytes b);
/* Whole revisions, the next ones. NULL, or what is wrong with them: static text. */
const char *history_add(struct history *h, const struct event *events, size_t n);
/* The first fact at that revision or behind it. */
size_t history_find(const struct history *h, tn_rev revision);

#endif
