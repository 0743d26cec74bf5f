/* Processes that the command started and that left its group (setsid, a shell's job, another `tenure lock`): those whose
 * parents lead up to a given process, and those that carry the lease in their environment. Each is held by a descriptor of its
 * own, so that a signal can never reach another process that has got its number. One process, one thread. */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <stdint.h>
#include <sys/types.h>

#define TREE_MAX 256 /* more are not followed */

struct tree {
    int n;
    struct {
        pid_t pid;
        int fd;
    } members[TREE_MAX];
};

/* Adds what runs below root (0 = none) or under the lease (0 = none), but for `except` with all below it, and for what is in the group. */
void tree_collect(struct tree *t, pid_t root, pid_t except, pid_t group, int64_t lease);
/* To each that was collected; a TERM is followed by CONT. */
void tree_signal(const struct tree *t, int signal);
void tree_clear(struct tree *t);

#endif
