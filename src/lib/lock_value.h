/* What a lock's key says of who stands there: small JSON, {"host": …, "pid": …, "since": …, "purpose": …, "boot": …, "spaces":
 * …, "start": …}, the last three with pid to tell later whether the process is gone (process.h); a reader's begins
 * with "mode", a permit's with "mode", "weight", "limit", for people to read: what counts is in the key (recipes/rule.h). */
#ifndef LIB_LOCK_VALUE_H
#define LIB_LOCK_VALUE_H

#include "base/bytes.h"
#include "lib/process.h"
#include "recipes/rule.h"

/* Of this process; since_ms: Unix time, now. Malloc'd, 0-terminated; NULL when out of memory. Text that is no UTF-8 is cut where it ends to be. */
char *lock_value_new(const char *purpose, int64_t since_ms) MUST_USE;
/* The same for one that shares. shared: of a writer that has become a reader, for rule_is_shared. */
char *lock_value_new_share(const char *purpose, int64_t since_ms, const struct rule *rule, bool shared) MUST_USE;
/* The same with what a place with a rule of its own says to others like it. */
char *lock_value_new_custom(const char *purpose, int64_t since_ms, const char *says) MUST_USE;

/* The same for a place that is taken over, unlike any other by its mark. */
char *lock_value_new_mark(const char *purpose, int64_t since_ms, uint64_t mark) MUST_USE;

struct lock_words {
    char *host, *purpose, *says; /* malloc'd; NULL where nothing is said */
    int64_t pid, since_ms;
    struct process process; /* pid again, with what tells whether it is gone */
};
/* Reads what it finds of these; anything else (etcdctl's empty value, other programs' text) leaves them empty. */
void lock_value_read(bytes value, struct lock_words *ret);
/* Whether the process that wrote it is gone for sure; of what says nothing of one it is not known. user: not used. */
bool lock_value_is_gone(void *user, bytes value);
void lock_words_fini(struct lock_words *w);

#endif
