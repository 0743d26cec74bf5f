/* A guarded transaction of which it is known, in the end, whether it was applied: once, or not at all.
 *
 * Guards alone do not say it. When an answer is lost and the request is sent again, a failed guard may mean that somebody
 * else wrote, or that we did; and a guard "the key is absent" may hold a second time. So each commit also moves a *mark*: a
 * key of ours alone, `<prefix><lease in hex>/<n>`, from the mod_revision that we know to a value that is drawn for this
 * commit. That makes it safe to send again, by the client as often as it likes. A failed answer brings the mark along:
 *
 *     it holds our value          applied, at its mod_revision
 *     it is where it was          not applied; when more than one copy was sent, the mark is moved first (the fence), so
 *                                 that no late copy can be applied any more; then it ends as it would have without the doubt:
 *                                 by the guard that failed, or by the failure that nobody was there, say
 *     it was moved by an older    sent again from there: a commit that used this mark before us, ended as maybe, and landed
 *     it is gone                  the lease ended: not applied, or maybe, when more than one copy was sent
 *
 * Marks hang on a session's lease and go with it; each is used by one commit at a time, and used again. So the price is one
 * more row a commit, and no round trip but for the first (the grant), and, where the grant was in doubt, for the first use of
 * each mark, which is put before: an absent one would be absent again if the lease came back to life by a late copy of its
 * grant. Without marks (marks NULL) a lost answer stays a maybe.
 *
 *     commit_start -> WAITING (for the lease) -> [MAKING] -> SENT -> [FENCING] -> done, once, never within commit_start
 *
 * Bounds: COMMIT_MARKS_MAX commits at a time on one struct marks; parts as many as the server allows, less one.
 * Pure; thread: the client's.
 */
#ifndef RECIPES_COMMIT_H
#define RECIPES_COMMIT_H

#include "recipes/object.h"

enum { COMMIT_MARKS_MAX = 4096, COMMIT_PREFIX_MAX = 1024 };

#define MARKS_PREFIX "/marks/" /* where none is given */

struct marks;

/* Marks on the session, which must be freed after them or tell them so (session_free). prefix is copied, NULL = "/marks/".
 * TENURE_ENOMEM; also for one of more than COMMIT_PREFIX_MAX bytes. */
int marks_new(struct session *s, const char *prefix, struct marks **ret) MUST_USE;
/* Commits under way end unseen; from then on they are not usable. NULL is fine; NULL. */
struct marks *marks_free(struct marks *m);
/* Who goes on naming them while no commit of his is under way holds them: then marks_free leaves the memory, in which it only
 * says that they have ended, until the last has let go. NULL is fine for both; unref answers NULL. */
struct marks *marks_ref(struct marks *m);
struct marks *marks_unref(struct marks *m);
/* Commits can begin: the session lives or is being started. */
bool marks_usable(const struct marks *m, tn_ms now);
bool marks_busy(const struct marks *m); /* a commit is under way */

enum commit_outcome {
    COMMIT_APPLIED,  /* once */
    COMMIT_CONFLICT, /* a guard failed: not applied, and never will be */
    COMMIT_FAILED    /* error says why, and whether it may have been applied */
};

struct commit_result {
    enum commit_outcome outcome;
    tn_rev revision; /* APPLIED: where; CONFLICT: of the answer */
    /* APPLIED: what the request's success branch was answered; NULL when that answer was lost. Borrowed */
    const struct response_op *answers;
    size_t n_answers;
    const struct response_op *others; /* CONFLICT: what the request's failure branch was answered; borrowed */
    size_t n_others;
    int code; /* FAILED: TENURE_ELOST when the lease of the marks has ended; the text of TENURE_EDENIED says which key */
    const struct tenure_error *error;
    bool lease_is_gone; /* FAILED: the servers say that there is no lease of the session's */
};
typedef void (*commit_done)(void *owner, const struct commit_result *r);

struct commit_options {
    tn_ms until; /* the client gives up then */
    /* A maybe is not good enough: go on behind `until`, until it is known or the session has ended. Needs marks. */
    bool settle;
};

struct commit;

/* Copies req, which has plain operations only. *slot is set while it is under way. TENURE_ENOMEM, TENURE_ELIMIT,
 * TENURE_ELOST (the session has ended). */
int commit_start(struct commit **slot, struct client *c, struct marks *m, const struct txn_req *req,
                 const struct commit_options *opt, commit_done done, void *owner, tn_ms now, struct tenure_error *err)
    MUST_USE;
/* Ends it soon: done still comes. With `settle` it is known then what became of it. */
void commit_cancel(struct commit **slot, tn_ms now);
/* The same, and done does not come. Empties the slot. */
void commit_drop(struct commit **slot, tn_ms now);

#endif
