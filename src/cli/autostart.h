/* Nothing configured, one machine: the commands start a server of this user by themselves, as build servers do.
 *
 * Which server is meant when neither option, environment nor context names one:
 *
 *     1. that of this user behind its socket (paths_runtime "auto/serve.sock"), when it answers
 *     2. 127.0.0.1:2379, when somebody listens there; that it was used is noted (paths_state "auto/uses-2379")
 *     3. one that is started now, behind the socket, with the data of paths_state "auto/data"; it says so once, and stops
 *        when it was not used for ten minutes
 *
 * Two processes that exclude each other must not mean different servers. So a socket whose server died is served again
 * before 2379 is looked at; and where 2379 was used once and does not answer now, nothing is started: a lock may be held there.
 */
#ifndef CLI_AUTOSTART_H
#define CLI_AUTOSTART_H

#include "cli/command.h"

/* Puts the socket's address into TENURE_ENDPOINTS, for this process and those that it runs, where that server is the one.
 * may_start: else only looks. False after having said on stderr, for the command `who`, why it could not be started. */
bool autostart(const char *who, const struct global_options *g, bool may_start);

/* Whether nothing was started because 2379 had been used before: a hint for whoever finds nobody there. */
const char *autostart_hint(void);

#endif
