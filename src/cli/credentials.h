/* The credential file, as curl's .netrc: paths_config "credentials", or TENURE_CREDENTIALS.
 *
 *     machine etcd1.example.org:2379 login ci password s3cret
 *     default login reader password other
 *
 * An entry is for a server whose host, or host and port, is the machine's; for a context of that name; `default` for all. Words are
 * separated by blanks and lines; one with blanks or '#' stands in double quotes, where '\' protects the next character; '#' begins a
 * comment. The first entry that fits counts. A file that others can read is refused.
 */
#ifndef CLI_CREDENTIALS_H
#define CLI_CREDENTIALS_H

#include "cli/command.h"

/* Fills g->password, and g->user when none is named, where there is an entry. False after having said on stderr, for the command
 * `who`, what is wrong with the file. */
bool credentials_find(const char *who, struct global_options *g);

#endif
