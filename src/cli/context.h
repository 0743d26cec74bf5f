/* Contexts: clusters under names of one's own, in paths_config "contexts.json" (or TENURE_CONTEXTS):
 *
 *     {"current": "prod", "contexts": {"prod": {"endpoints": "https://a:2379,https://b:2379", "user": "ci", "cacert": "/…"}}}
 *
 * No secrets: passwords are in the credential file (credentials.h).
 *
 * Which one counts: --context, then TENURE_CONTEXT; these win over the environment. Else the current one, when neither options nor
 * environment name servers. Options always win over what a context says.
 */
#ifndef CLI_CONTEXT_H
#define CLI_CONTEXT_H

#include <jansson.h>

#include "cli/command.h"

/* Fills g; strings stay until the process ends. False after having said on stderr, for the command `who`, what is wrong. */
bool context_apply(const char *who, struct global_options *g);

/* ---- the file, for `tenure context` ---- */

/* What may stand in a context, ended by a NULL name; the place in g it goes to. */
struct context_field {
    const char *name;
    const char *(*get)(const struct global_options *g);
};
extern const struct context_field context_fields[];

/* The whole file, or {"contexts": {}} when there is none; NULL after having said what is wrong. */
json_t *context_load(const char *who);
/* Replaces the file at once or not at all. False after having said why. */
bool context_save(const char *who, const json_t *all);
/* Letters, digits, '.', '_', '-'; at most 64. */
bool context_name_is_good(const char *name);

#endif
