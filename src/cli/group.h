/* A process group: the command of `tenure lock` and what it started. Any process. */
#ifndef CLI_GROUP_H
#define CLI_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

/* To all of the group; nothing for pgid 0. A TERM is followed by CONT, so that a stopped process can act on it. */
void group_signal(pid_t pgid, int signal);
/* Whether a process of the group still runs: dead ones that nobody has collected do not count. */
bool group_alive(pid_t pgid);

#endif
