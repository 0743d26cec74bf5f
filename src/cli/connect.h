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
/* The exit code for the connect_prepare or connect_open that failed last: no server could be started (EXIT_UNAVAILABLE), or what
 * says where they are, and as whom, is wrong (EXIT_USAGE). */
int connect_code(void);
/* Says why the library opened no handle; answers connect_code(). */
int connect_refused(const char *command, const struct global_options *g, const struct tenure_error *err);
/* The library's options for g, with logging to stderr when verbose. */
void connect_options(const struct global_options *g, struct tenure_options *ret);

/* "tenure NAME: text", with a hint where one helps; answers the exit code: EXIT_UNAVAILABLE when no server answered, EXIT_USAGE when
 * the library refused the call before one was asked, else EXIT_FAILED. */
int connect_failed(const char *command, const struct global_options *g, const struct tenure_error *err);

/* What is to be said when nobody answered: the words, and what the endpoints failed with, which is why. */
void connect_silence(tenure_client *c, const char *words, struct tenure_error *ret);

/* What the error says, without the command's name in front, which the library's words may begin with too. Borrows. */
const char *connect_text(const char *command, const struct tenure_error *err);
/* The same of any text. */
const char *connect_bare(const char *command, const char *text);

#endif
