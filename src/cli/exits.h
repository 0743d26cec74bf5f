/* The one table of exit codes, from which `tenure help exits`, --help and the man pages are written; docs/commands.md has the same,
 * and a test compares them. */
#ifndef CLI_EXITS_H
#define CLI_EXITS_H

#include <stddef.h>

struct exit_row {
    const char *code; /* "0", "128 + N", "other" */
    const char *text;
};

/* Ends with a code that is NULL. The first EXITS_COMMON are those of every command that talks to servers. */
enum { EXITS_COMMON = 4 };
extern const struct exit_row exit_rows[];

#endif
