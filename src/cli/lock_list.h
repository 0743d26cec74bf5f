/* `tenure lock --list`, of `rwlock`, `sem` and `elect` as well: who holds, or leads, and who waits. */
#ifndef CLI_LOCK_LIST_H
#define CLI_LOCK_LIST_H

#include "cli/command.h"

struct lock_list_of {
    const char *command; /* for messages */
    const char *name;
    bool whole_key;     /* name is the key's beginning itself */
    const char *region; /* where to ask, "home" = where the name's home is; NULL = here */
};

/* Answers the exit code. */
int lock_list_print(const struct global_options *g, const struct lock_list_of *of);

/* For other lists. How long ago that was, into out; what another program wrote, "-" for nothing, into out, of LOCK_LIST_TEXT_MAX
 * bytes. Each answers out. */
enum { LOCK_LIST_TEXT_MAX = 256 };
const char *lock_list_since(int64_t since_ms, char *out, size_t size);
const char *lock_list_printable(const char *text, char *out);

/* The same of an election. */
int election_list_print(const struct global_options *g, const struct lock_list_of *of);

#endif
