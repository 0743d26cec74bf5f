/* A line of shell that a command runs beside its work and waits for: a check, a reload. One thread. */
#ifndef CLI_SHELL_H
#define CLI_SHELL_H

#include <stdint.h>
#include <stdio.h>

#include "cli/signals.h"
#include "cli/spawn.h"

enum {
    SHELL_FAILED = -1,      /* it could not be started; errno says why */
    SHELL_TIMEOUT = -2,     /* it took too long and was killed */
    SHELL_INTERRUPTED = -3, /* this program was told to end meanwhile: so was the line */
};

/* Runs `sh -c line` in a process group of its own, with the variables (ended by a NULL name) in its environment. Answers its exit
 * code (128 + signal), or one of the above. Signals that arrive at s meanwhile are taken from it; one that asks to end is
 * answered by SHELL_INTERRUPTED (ret_signal, may be NULL: which), others are passed on. */
int shell_run(const char *line, const struct spawn_variable *variables, const struct signals *s, int64_t timeout_ms,
              int *ret_signal);

/* Prints text as one word of a shell: as it is where nothing in it means anything to one, else within single quotes. */
void shell_print_word(FILE *to, const char *text);

#endif
