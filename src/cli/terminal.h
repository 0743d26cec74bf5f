/* The controlling terminal, and whose it is: as a shell does with a job, `tenure lock` hands it to its command's group and
 * takes it back. SIGTTOU must be blocked. One thread.
 *
 * It is handed over at once when tenure is in the foreground with input and output on the terminal; in a pipeline, where
 * the neighbours share tenure's group and may need the terminal, only when the command asks for it (it stops by SIGTTIN).
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

struct terminal {
    int fd; /* -1 = there is none */
    pid_t own;
    pid_t given; /* to this group; 0 = not */
    bool eager;
    struct termios modes; /* when it was handed over first */
    bool has_modes;
};

void terminal_open(struct terminal *t);
void terminal_close(struct terminal *t);

/* Tenure's own group is in the foreground. */
bool terminal_is_ours(const struct terminal *t);
/* Hands it to the group, if it is ours. */
void terminal_give(struct terminal *t, pid_t pgid);
/* Takes it back, unless somebody else (the shell) has it by now. */
void terminal_take(struct terminal *t);
/* The modes as they were before the command, when it can no longer restore them itself. Only while it is ours. */
void terminal_restore(struct terminal *t);

#endif
