/* A lane: what the locks of one session with one name share. A session and a name have one key, so at most one of them
 * may stand in the server's queue at a time; the others wait here, in the order in which they came. Readers and permits have
 * a key each (rule.h), and so a lane each: theirs is the undoing only.
 *
 *   lane_join -> on_turn: it may enter the server's queue -> lane_leave: its key is undone, and only then the next has
 *   its turn, with a key and a token of its own.
 *
 * Leaving is the lane's work, so that whoever gives up can be told, and freed, at once. A request to enter may still be
 * under way then: its end is awaited (it was cancelled, so that is soon), and if it may yet be carried out later the
 * place is left by moving the fence (see queue.h). It is tried until it is settled. What cannot be settled within a TTL
 * would block the name for everybody as long as the session lives: then the session is given up.
 *
 * Freed when nobody names it, nothing is to be undone and it has no fence to remember; or with the session.
 * Pure; thread: the client's.
 */
#ifndef RECIPES_LANE_H
#define RECIPES_LANE_H

#include "recipes/object.h"
#include "recipes/op.h"
#include "recipes/queue.h"

struct lane;

struct lane_user {
    struct list in_lane;
    void (*on_turn)(struct lane_user *u, tn_ms now);
    /* After lane_leave that had to wait: the key is gone. Not when the session ended. */
    void (*on_left)(struct lane_user *u, tn_ms now);
};

/* What is known of a place that is left. */
struct lane_place {
    tn_rev create;     /* of the own key; 0 = it does not stand, as far as is known */
    bool doubtful;     /* a request to enter may still be carried out */
    struct op **enter; /* a request to enter under way, which the lane takes over; its slot, may be empty or NULL */
    /* What its answer means. */
    bool only_first, noted;
    int64_t preference; /* other than 0: a rank was put as well */
    tn_rev record;      /* the mod_revision of the lock's record (delay.h), which goes along; 0 = not known */
    int64_t claim_ms;   /* a request to put one, with this delay, may have been, or be, carried out; 0 = none */
    bool broken_all;    /* tests only: every place goes */
};

/* The lane of that path on the session, made when there is none; for readers and permits one that nobody uses, with a number
 * of its own. Counts a user more. path is copied. TENURE_ENOMEM. */
int lane_use(struct session *s, const char *path, const struct rule *rule, struct lane **ret) MUST_USE;
void lane_unuse(struct lane *lane);

/* May call u->on_turn at once. */
void lane_join(struct lane *lane, struct lane_user *u, tn_ms now);
/* Takes u, whose turn has not come, out of the line; nothing when it is not in it. */
void lane_quit(struct lane_user *u);
/* Ends u's turn and undoes its place. true: there was nothing to undo, it is done. Else u->on_left follows, unless
 * forget is set, in which case u is not touched again. */
bool lane_leave(struct lane *lane, struct lane_user *u, const struct lane_place *place, bool forget, tn_ms now);
/* u is not to be told any more. */
void lane_forget(struct lane *lane, struct lane_user *u);

/* Whether some other object of this process stands or waits in the lane (one that is leaving does not count). */
bool lane_is_taken(const struct lane *lane, const struct lane_user *but);
/* The fence's mod_revision; 0 = none. It is moved by an answer that shows another one. */
tn_rev lane_fence(const struct lane *lane);
void lane_set_fence(struct lane *lane, tn_rev fence);
const char *lane_path(const struct lane *lane);
/* With the number that tells it from others of the session. */
const struct rule *lane_rule(const struct lane *lane);

#endif
