/* Opening a handle for a command, and saying on stderr what failed and what to do next. */
#ifndef CLI_CONNECT_H
#define CLI_CONNECT_H

#include <tenure/tenure.h>

#include "cli/command.h"

/* Before a handle is opened: finds out which server is meant where nothing is configured, and starts one where the command does
 * that (autostart.h). False after having said why not. */
bool connect_prepare(const char *command, const struct global_options *g);
/* A blocking handle by the global options; NULL after having said why. */
tenure_client *connect_open(const char *command, const struct global_options *g);
/* The library's options for g, with logging to stderr when verbose. */
void connect_options(const struct global_options *g, struct tenure_options *ret);

/* "tenure NAME: text", with a hint where one helps; answers the exit code for the error's kind. */
int connect_failed(const char *command, const struct global_options *g, const struct tenure_error *err);

#endif
