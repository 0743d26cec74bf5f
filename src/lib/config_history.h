/* The versions of configuration keys: `/config-history/<layer and key>/@/<version>`, each JSON:
 *
 *     {"value": "…", "was": 41, "who": "ann@db-1", "at": 1732783504000, "comment": "…", "id": "5f0c…"}
 *
 * `deleted` true in place of the value where the key was deleted, `hex` where the value is no UTF-8, `revision` where it was
 * written past this library and found by the next write. id tells whose write a record is, when its answer was lost.
 */
#ifndef LIB_CONFIG_HISTORY_H
#define LIB_CONFIG_HISTORY_H

#include "lib/config_place.h"

enum { CONFIG_VERSION_DIGITS = 16, CONFIG_ID_SIZE = 33 };

struct config_record {
    bytes value; /* data NULL = deleted */
    int64_t revision, was, at_ms;
    const char *who, *comment, *id; /* NULL = not said */
};
/* malloc'd JSON; NULL: out of memory. */
char *config_record_write(const struct config_record *r) MUST_USE;
/* Strings and value are copied to the arena. false: it is none. */
bool config_record_read(bytes text, struct arena *a, struct config_record *ret) MUST_USE;

/* The key of a version, and back; 0 = it is none. prefix as config_place_history made it. */
const char *config_version_key(struct arena *a, const char *prefix, int64_t version);
int64_t config_version_of(bytes key, size_t prefix_len);
/* Asks for the newest versions first; other keys that somebody put there are none. limit 0 = all. */
void config_get_versions(tenure_txn *t, struct arena *a, const char *prefix, int64_t limit);

#endif
