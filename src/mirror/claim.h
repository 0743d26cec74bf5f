/* Who may copy: what is looked at, on both sides, before and behind the claim. For the claim's own files.
 *
 * Without home records: a prefix of which the source itself holds a copy is refused, and the claim is written before that is
 * looked at for the last time; so of two mirrors against each other at least one sees the other, and there are no loops. What another
 * mirror writes in the destination is refused as well: the claim compares that no record has been made since they were read.
 *
 * With home records (recipes/home.h): both sides must name the same region in the same epoch, and it must be the source's own. Every
 * transaction compares that no home record of the destination has changed. Records of mirrors of an older epoch of their own prefix
 * count for nothing; then the claim compares that no record has changed at all, so that none of those is taken up again meanwhile.
 * Where the source is not the home the carrier waits: a home may move there. One that was the home, and has handed over while the
 * destination does not know yet, is compared once more, at the revision of that or later: the promotion waits for it (region_copies.c).
 *
 * A destination that has keys already and no record of this mirror is refused, unless they may go: --replace, or a home that has
 * moved, whose region's word counts.
 *
 *     claim.c         the looks, and what they find of other mirrors and of the record
 *     claim_homes.c   what home records say             claim_make.c   the claim, and its withdrawal
 */
#ifndef MIRROR_CLAIM_H
#define MIRROR_CLAIM_H

#include "mirror/internal.h"

/* ---- claim.c ---- */

/* All records of mirrors. */
struct key_range claim_mirrors(void);
struct request_op claim_read(struct key_range r);
/* It is n ranges. */
bool claim_answers(const struct client_result *r, size_t n);
const struct range_resp *claim_range(const struct client_result *r, size_t i);
/* Not what was asked: tried again. */
void claim_garbled(struct carrier *c, tn_ms now);

/* ---- claim_homes.c ---- */

/* The home of all that lies below prefix. *ret_has false: nobody has said. A code: what is below it is at home in several places, or a
 * record cannot be read. */
int homes_find(const struct range_resp *homes, bytes prefix, struct home *ret, bool *ret_has, struct tenure_error *err);
bool homes_same(const struct home *a, const struct home *b);
/* 0: the source may be copied to the destination, by homes or because there are none. */
int homes_judge(const struct carrier *c, const struct range_resp *source_region, struct tenure_error *err);

/* Where the source was the home by the destination's word and the record's, and is not any more by its own: since which revision, if
 * all up to there is not copied yet; else 0. */
tn_rev homes_left_at(const struct carrier *c, const struct range_resp *homes, const struct range_resp *source_region);

#endif
