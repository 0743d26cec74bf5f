/* Starts the command of `tenure lock` in a process group of its own, in two steps: it is made, so that its number can be
 * published and the terminal handed over, and only the word "go" lets it run. Without that word it ends by itself, also
 * when tenure dies in between. One thread. */
#ifndef CLI_SPAWN_H
#define CLI_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct spawn {
    pid_t pid;    /* also the number of its group; 0 = none */
    int go_fd;    /* -1 once it may run */
    int error_fd; /* says why the command could not be executed */
};

struct spawn_variable {
    const char *name, *value;
};

struct spawn_how {
    const struct spawn_variable *variables; /* added to the environment, ended by a NULL name; NULL: spawn_tell them */
    bool pristine;        /* they are all of it (the command is still looked for in this program's PATH) */
    const sigset_t *mask; /* the signals that it starts with blocked */
    int input, output;    /* become its standard input, its standard output and error; -1 = this program's */
};

/* argv: NULL-terminated. False (errno says why) when it cannot be made. */
bool spawn_make_as(struct spawn *s, char **argv, const struct spawn_how *how);
/* With this program's input and outputs; the second with no other environment than that. */
bool spawn_make(struct spawn *s, char **argv, const struct spawn_variable *variables, const sigset_t *mask);
bool spawn_make_in(struct spawn *s, char **argv, const struct spawn_variable *variables, bool pristine,
                   const sigset_t *mask);
/* Its variables, when it was made without: once, before it may run. False (errno says why): it never will. */
bool spawn_tell(struct spawn *s, const struct spawn_variable *variables);
void spawn_go(struct spawn *s);
/* It shall not run. Nothing when it was let go, or of a zeroed one. */
void spawn_cancel(struct spawn *s);
/* After its end: the errno with which it could not be executed, 0 when it was, ECANCELED when it was never let go. */
int spawn_error(const struct spawn *s);
void spawn_fini(struct spawn *s); /* of a zeroed one as well */

/* Whether standard signals were ignored when this program began: a child inherits that, not what this program made of it.
 * Call it first in main. */
void spawn_remember_sigpipe(void);

#endif
