/* One change of a number (recipes/number.h) as a call of the program: what counters and ids share. */
#ifndef LIB_NUMBER_H
#define LIB_NUMBER_H

#include "lib/ask.h"
#include "recipes/number.h"

struct number_words {
    const char *what; /* "counter": in error texts */
    bytes ns;         /* of the view, borrowed */
    const char *prefix, *name;
    const char *marks;
    bool unmarked;
    int64_t timeout_ms;
};
/* k->b is the result at its end, also where it failed by a conflict. Errors as ask_new, and TENURE_EINVALID for a name that is
 * empty or longer than 4,096 bytes. */
struct ask *number_ask(tenure_client *c, const struct ask_type *type, const struct number_words *words,
                       const struct number_change *change, struct tenure_error *err) MUST_USE;
/* For ask_type.begin. */
int number_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err);
/* For ask_type.cancel. */
void number_cancel(struct ask *k, tn_ms now);

#endif
