/* `tenure lock --list`, of `rwlock` and `sem` as well: who holds a lock and who waits for it. */
#ifndef CLI_LOCK_LIST_H
#define CLI_LOCK_LIST_H

#include "cli/command.h"

/* command: for messages. whole_key: name is the key's beginning itself. Answers the exit code. */
int lock_list_print(const char *command, const struct global_options *g, const char *name, bool whole_key);

#endif
