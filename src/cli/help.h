/* Help and man pages, both from the command table. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "cli/command.h"

extern const struct option_spec *global_option_table(struct global_options *g);

void help_overview(FILE *to);
void help_command(FILE *to, const struct command *c);
/* The table of exit codes. */
void help_exits(FILE *to);
/* roff: "tenure" itself for NULL. */
void help_man(FILE *to, const struct command *c);

#endif
