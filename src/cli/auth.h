/* The parts of `tenure auth`: one table of actions each. */
#ifndef CLI_AUTH_H
#define CLI_AUTH_H

#include <tenure/tenure.h>

#include "cli/command.h"

/* Options of all actions, filled for one run. */
struct auth_options {
    bool prefix, from_key, no_password;
    const char *range_end;
};
extern struct auth_options auth_opt;

struct auth_action {
    const char *name;
    int words_min, words_max; /* behind the name */
    const char *synopsis;
    int (*run)(tenure_client *c, const struct global_options *g, char **words);
};

extern const struct auth_action auth_user_actions[], auth_role_actions[]; /* NULL-named at the end */

/* Says what was done: "user", "alice", "added". */
int auth_done(const struct global_options *g, int rc, const struct tenure_error *err, const char *what,
              const char *name, const char *verb);
/* Prints names, a line each, or as {"what": […]}. */
int auth_print_names(const struct global_options *g, const char *what, struct tenure_names *names);

#endif
