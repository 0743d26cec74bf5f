/* Preference in a queue: whoever comes to its front looks at those behind, and when a better one waits there he lets him pass,
 * by leaving and entering anew, at the end. Places keep to the order of their keys, so all that is true of a queue stays so;
 * who has not been told that he leads yet gives up nothing.
 *
 * Who states a preference other than 0 puts it beside his key (queue.h), with his TTL; who puts none, etcd's own clients too,
 * counts as 0. Of equals the first is first.
 *
 * Does it end? The best who waits never yields, and of those before him each yields once: then they all are behind. Whoever
 * comes to the front again finds the better ones that he had seen gone: they led, or died, or left. So yields follow on each
 * other without end only while ever new better ones come and none of them stays to lead: a program that is started, dies and
 * is started again, whose keys stand until their leases end. Therefore patience: one who has yielded on end for three TTLs, with
 * no more than two between one yield and the next, goes on instead. (A key whose owner is dead stands in the way for one TTL; if
 * somebody was waited for longer, he led.) TTL is the longest of those concerned.
 *
 * Pure; thread: any (no state).
 */
#ifndef RECIPES_RANK_H
#define RECIPES_RANK_H

#include "base/bytes.h"
#include "base/types.h"

enum { RANK_TEXT_MAX = 48, RANK_TTL_MAX_S = 3600 };

struct rank {
    int64_t preference; /* higher is better */
    int64_t ttl_s;      /* 0 … RANK_TTL_MAX_S; 0 where it is not known */
};

/* What is put beside the key: in out. */
bytes rank_write(const struct rank *r, char out[RANK_TEXT_MAX]);
/* Anybody may have written it: what is not a rank is one of 0. */
struct rank rank_read(bytes text);

/* Of one who waits; all zero at first. */
struct patience {
    tn_ms since, last; /* of the yields on end; 0 = none yet */
};
/* Whether he yields now, where better ones wait. ttl_s: the longest of those concerned, his own too. */
bool patience_yields(struct patience *p, int64_t ttl_s, tn_ms now);

#endif
