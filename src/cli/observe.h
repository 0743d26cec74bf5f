/* `tenure elect --observe`: who leads. */
#ifndef CLI_OBSERVE_H
#define CLI_OBSERVE_H

#include "cli/command.h"

/* Prints each leader as it comes, until a signal; once: the present one only, EXIT_FAILED when nobody leads. Answers the
 * exit code. */
int observe(const struct global_options *g, const char *name, bool whole_key, bool once);

#endif
