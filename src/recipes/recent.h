/* The value of a mark that many programs move, each with one request: the ids of the newest requests that were carried out, the
 * last one first. So who lost the answer to its own finds out that it was carried out, also when others came behind it.
 * RECENT_MAX are kept; who comes too late for that is told so (recent_covers), and cannot know. Pure.
 */
#ifndef RECIPES_RECENT_H
#define RECIPES_RECENT_H

#include "base/bytes.h"

enum { RECENT_ID_LEN = 16, RECENT_MAX = 16, RECENT_VALUE_MAX = RECENT_MAX * (RECENT_ID_LEN + 1) };

/* A request and what its mark showed when it was sent first. */
struct recent {
    char id[RECENT_ID_LEN + 1];     /* of this request: unlike all others */
    char before[RECENT_ID_LEN + 1]; /* the newest id then; "" = there was none */
    bool sent;
};

/* Called before each sending, with the mark as it stands: what to put there. out holds it. */
bytes recent_send(struct recent *r, bytes mark, char out[RECENT_VALUE_MAX]);
/* Whether the request was carried out, as the mark shows. */
bool recent_done(const struct recent *r, bytes mark);
/* Whether the mark would show it: nothing was sent, or all that was carried out since then is in it. */
bool recent_covers(const struct recent *r, bytes mark);

#endif
