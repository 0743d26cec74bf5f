/* Lanes, and the undoing of places; see lane.h. */
#include "recipes/lane.h"

#include <assert.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/delay.h"

enum { RETRY_MIN_MS = 50, RETRY_MAX_MS = 1000 };

enum lane_state { LANE_FREE, LANE_TAKEN, LANE_ENDING, LANE_LEAVING };

struct lane {
    struct session_object object;
    enum lane_state state;
    size_t users;
    struct list waiting; /* struct lane_user.in_lane */
    struct rule rule;
    struct lane_user *turn; /* whose turn it is, or whose place is being undone; NULL = nobody is to be told */
    tn_rev fence;

    /* of the place being undone */
    struct op *op;
    tn_rev create, record;
    int64_t claim_ms;
    bool broken_all;
    bool doubtful, only_first, noted;
    bool asked_early; /* the last try to undo was sent before the lease was known to be granted */
    int64_t preference;
    tn_ms give_up_at;
    struct backoff backoff;
    struct rng rng;
    char path[]; /* 0-terminated */
};

/* Next: FREE:    TAKEN when somebody's turn comes.
 *       TAKEN:   FREE when nothing is to be undone; ENDING when its request to enter is under way; LEAVING.
 *       ENDING:  the request was cancelled: LEAVING when it was or may be carried out, FREE when not.
 *       LEAVING: a transaction undoes the place, until it has: FREE. */
static void lane_move(struct lane *lane, enum lane_state to)
{
    static const unsigned allowed[] = {
        [LANE_FREE] = 1u << LANE_TAKEN,
        [LANE_TAKEN] = 1u << LANE_FREE | 1u << LANE_ENDING | 1u << LANE_LEAVING,
        [LANE_ENDING] = 1u << LANE_LEAVING | 1u << LANE_FREE,
        [LANE_LEAVING] = 1u << LANE_FREE,
    };
    assert(allowed[lane->state] & 1u << to);
    lane->state = to;
}

static struct client *lane_client(const struct lane *lane)
{
    return session_client(lane->object.session);
}

/* ---- life ---- */

static void lane_free(struct lane *lane)
{
    session_detach(&lane->object);
    free(lane);
}

/* A fence must be remembered as long as the session lives. */
static void free_if_idle(struct lane *lane)
{
    if (lane->users == 0 && lane->state == LANE_FREE && lane->fence == 0)
        lane_free(lane);
}

static void lane_on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    (void)why;
    struct lane *lane = CONTAINER_OF(o, struct lane, object);
    op_drop(&lane->op, now);
    session_set_timer(o, TN_MS_NEVER);
}

static void lane_on_dropped(struct session_object *o)
{
    struct lane *lane = CONTAINER_OF(o, struct lane, object);
    op_forget(&lane->op);
    free(lane);
}

static void leave_timer(struct session_object *o, tn_ms now);

static void nothing_to_deliver(struct session_object *o)
{
    (void)o;
}

static const struct session_object_ops lane_ops = {
    .on_ended = lane_on_ended,
    .on_timer = leave_timer,
    .on_dropped = lane_on_dropped,
    .deliver = nothing_to_deliver,
};

static bool is_for(const struct lane *lane, const char *path, const struct rule *rule)
{
    if (strcmp(lane->path, path) != 0 || !rule_same(&lane->rule, rule))
        return false;
    return rule->kind == RULE_WHOLE || (lane->users == 0 && lane->state == LANE_FREE);
}

/* The one, or of those that readers and permits have one that nobody uses. */
static struct lane *lane_find(struct session *s, const char *path, const struct rule *rule)
{
    LIST_FOREACH(it, session_objects(s))
    {
        struct session_object *o = LIST_ENTRY(it, struct session_object, in_session);
        struct lane *lane = CONTAINER_OF(o, struct lane, object);
        if (o->ops == &lane_ops && is_for(lane, path, rule))
            return lane;
    }
    return NULL;
}

/* Behind those that there are, from 1 on: a program that takes a lease over and asks for what it had finds its keys. */
static struct rule numbered(struct session *s, const char *path, const struct rule *rule)
{
    struct rule own = *rule;
    LIST_FOREACH(it, session_objects(s))
    {
        struct session_object *o = LIST_ENTRY(it, struct session_object, in_session);
        struct lane *lane = CONTAINER_OF(o, struct lane, object);
        if (o->ops == &lane_ops && lane->rule.number > own.number && rule_same(&lane->rule, rule) &&
            strcmp(lane->path, path) == 0)
            own.number = lane->rule.number;
    }
    own.number += own.kind != RULE_WHOLE;
    return own;
}

static struct lane *lane_new(struct session *s, const char *path, const struct rule *rule)
{
    size_t size = strlen(path) + 1;
    struct lane *lane = calloc(1, sizeof *lane + size);
    if (!lane)
        return NULL;
    memcpy(lane->path, path, size);
    lane->rule = numbered(s, path, rule);
    list_init(&lane->waiting);
    backoff_init(&lane->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&lane->rng, client_random(session_client(s)));
    if (session_attach(s, &lane->object, &lane_ops)) {
        free(lane);
        return NULL;
    }
    return lane;
}

int lane_use(struct session *s, const char *path, const struct rule *rule, struct lane **ret)
{
    struct rule plain = {.kind = rule->kind, .weight = rule->weight, .limit = rule->limit};
    struct lane *lane = lane_find(s, path, &plain);
    if (!lane)
        lane = lane_new(s, path, &plain);
    if (!lane)
        return TENURE_ENOMEM;
    lane->users++;
    *ret = lane;
    return 0;
}

void lane_unuse(struct lane *lane)
{
    assert(lane->users > 0);
    lane->users--;
    free_if_idle(lane);
}

/* ---- the line ---- */

static void next_turn(struct lane *lane, tn_ms now)
{
    if (lane->state != LANE_FREE || list_empty(&lane->waiting))
        return;
    struct lane_user *u = LIST_ENTRY(lane->waiting.next, struct lane_user, in_lane);
    list_remove(&u->in_lane);
    lane->turn = u;
    lane_move(lane, LANE_TAKEN);
    u->on_turn(u, now);
}

void lane_join(struct lane *lane, struct lane_user *u, tn_ms now)
{
    list_push_back(&lane->waiting, &u->in_lane);
    next_turn(lane, now);
}

void lane_quit(struct lane_user *u)
{
    list_remove(&u->in_lane);
}

void lane_forget(struct lane *lane, struct lane_user *u)
{
    if (lane->turn == u)
        lane->turn = NULL;
}

bool lane_is_taken(const struct lane *lane, const struct lane_user *but)
{
    if (lane->state == LANE_TAKEN && lane->turn != but)
        return true;
    return !list_empty(&lane->waiting) && lane->waiting.next != &but->in_lane;
}

/* ---- undoing a place ---- */

/* The last thing that is done with the lane: it may be freed behind it. */
static void settled(struct lane *lane, tn_ms now)
{
    struct lane_user *u = lane->turn;
    lane->turn = NULL;
    session_set_timer(&lane->object, TN_MS_NEVER);
    backoff_success(&lane->backoff);
    lane_move(lane, LANE_FREE);
    if (u)
        u->on_left(u, now);
    next_turn(lane, now);
    free_if_idle(lane);
}

static void try_later(struct lane *lane, tn_ms now)
{
    tn_ms at = now + backoff_failure(&lane->backoff, &lane->rng);
    session_set_timer(&lane->object, at < lane->give_up_at ? at : lane->give_up_at);
}

static void undo(struct lane *lane, tn_ms now);

/* Of a session that starts it is not gone, but not there yet, nor when the request has overtaken the grant, whose answer may come
 * first. One that revokes it has undone the place so. */
static void no_lease(struct lane *lane, tn_ms now)
{
    struct tenure_error why;
    if (session_leaving(lane->object.session)) {
        settled(lane, now);
        return;
    }
    if (lane->asked_early) {
        if (session_state(lane->object.session) == SESSION_STARTING)
            try_later(lane, now);
        else
            undo(lane, now);
        return;
    }
    error_set(&why, TENURE_ELOST, "the lease of '%.100s' was revoked or has ended", lane->path);
    session_give_up(lane->object.session, &why, now);
}

static void on_undone_fenced(struct lane *lane, const struct client_result *r, tn_ms now)
{
    struct queue none = {0};
    struct queue_view v;
    if (queue_left_fenced(&none, r->txn, &v, NULL)) {
        try_later(lane, now);
        return;
    }
    bool was_done_before = v.answer == QUEUE_MOVED && v.fence != 0 && v.fence != lane->fence;
    lane->fence = v.fence;
    if (v.answer == QUEUE_OUT || was_done_before)
        settled(lane, now);
    else
        undo(lane, now); /* somebody deleted the fence key: again from there */
}

/* With a record that somebody else wrote nothing was left; again without it. */
static bool record_refused(struct lane *lane, const struct client_result *r)
{
    struct queue none = {0};
    bool had_record = lane->record != 0;
    if (r->txn->succeeded)
        return false;
    lane->record = 0;
    return had_record && (lane->doubtful || queue_stands(&none, lane->create, r->txn));
}

static void on_undone(void *owner, const struct client_result *r)
{
    struct lane *lane = owner;
    struct session *s = lane->object.session;
    tn_ms now = client_now(session_client(s));
    if (r->etcd == ETCD_LEASE_NOT_FOUND)
        no_lease(lane, now);
    else if (r->code)
        try_later(lane, now);
    else if (record_refused(lane, r))
        undo(lane, now);
    else if (lane->doubtful)
        on_undone_fenced(lane, r, now);
    else
        settled(lane,
                now); /* also when the compare failed: the key is not there any more, by an earlier copy or by others */
    session_flush(s);
}

static int send_undo(struct lane *lane, tn_ms now)
{
    struct queue q;
    struct queue_txn t;
    char record[DELAY_RECORD_MAX];
    struct client_call_options opt = {.repeatable = true};
    int rc = queue_init(&q, lane->path, &lane->rule, session_lease_drawn(lane->object.session));
    if (rc)
        return rc;
    if (lane->doubtful)
        queue_leave_fenced(&q, lane->fence, &t);
    else
        queue_leave(&q, lane->create, &t);
    if (lane->broken_all && !lane->doubtful)
        t.success[0].del.range = (struct key_range){q.dir, q.dir_end};
    if (lane->noted)
        queue_leave_note(&q, &t);
    if (lane->preference)
        queue_leave_rank(&q, &t);
    if (lane->record)
        queue_leave_record(&q, lane->record, &t);
    else if (lane->claim_ms && lane->create)
        queue_leave_claim(&q, delay_record(lane->create, lane->claim_ms, record), &t);
    lane->asked_early = session_state(lane->object.session) == SESSION_STARTING;
    rc = op_txn(&lane->op, lane_client(lane), &t.req, &opt, on_undone, lane, now, NULL);
    queue_fini(&q);
    return rc;
}

static void undo(struct lane *lane, tn_ms now)
{
    if (send_undo(lane, now))
        try_later(lane, now);
}

static void give_up(struct lane *lane, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_ELOST, "session given up: a place in '%.100s' could not be undone within the TTL",
              lane->path);
    session_give_up(lane->object.session, &why, now);
}

/* Between two tries, or when the time is over. A try under way is not cut short by the former. */
static void leave_timer(struct session_object *o, tn_ms now)
{
    struct lane *lane = CONTAINER_OF(o, struct lane, object);
    if (now >= lane->give_up_at) {
        give_up(lane, now);
        return;
    }
    session_set_timer(o, lane->give_up_at);
    if (lane->state == LANE_LEAVING && !lane->op)
        undo(lane, now);
}

static void begin_undo(struct lane *lane, tn_ms now)
{
    lane_move(lane, LANE_LEAVING);
    undo(lane, now);
}

/* The request to enter, cancelled, has ended. */
static void on_enter_ended(void *owner, const struct client_result *r)
{
    struct lane *lane = owner;
    struct session *s = lane->object.session;
    tn_ms now = client_now(session_client(s));
    struct queue none = {.rule = {.kind = lane->rule.kind}, .noted = lane->noted, .preference = lane->preference};
    struct queue_view v = {0};
    if (r->code)
        lane->doubtful = lane->doubtful || op_may_be_applied(r);
    else if (queue_entered(&none, r->txn, lane->only_first, &v, NULL) == 0 && v.answer == QUEUE_IN)
        lane->create = v.create;
    else if (v.answer != QUEUE_TAKEN && v.answer != QUEUE_MOVED)
        lane->doubtful = true; /* it was in already: take the way that is right whatever stands there */
    if (lane->doubtful || lane->create)
        begin_undo(lane, now);
    else
        settled(lane, now);
    session_flush(s);
}

static tn_ms give_up_time(const struct lane *lane, tn_ms now)
{
    return now + session_ttl_s(lane->object.session) * 1000;
}

/* Answers whether there was nothing to undo. */
static bool start_undo(struct lane *lane, const struct lane_place *place, tn_ms now)
{
    if (place->enter && *place->enter) {
        lane_move(lane, LANE_ENDING);
        op_move(place->enter, &lane->op, on_enter_ended, lane);
        op_cancel(&lane->op, now);
        return false;
    }
    if (!place->doubtful && place->create == 0)
        return true;
    begin_undo(lane, now);
    return false;
}

bool lane_leave(struct lane *lane, struct lane_user *u, const struct lane_place *place, bool forget, tn_ms now)
{
    assert(lane->state == LANE_TAKEN);
    assert(lane->turn == u);
    lane->create = place->create;
    lane->doubtful = place->doubtful;
    lane->only_first = place->only_first;
    lane->noted = place->noted;
    lane->preference = place->preference;
    lane->record = place->record;
    lane->claim_ms = place->claim_ms;
    lane->broken_all = place->broken_all;
    lane->give_up_at = give_up_time(lane, now);
    session_object_set_context(&lane->object, client_context_now(lane_client(lane))); /* it is u's place */
    session_set_timer(&lane->object, lane->give_up_at);
    lane->turn = forget ? NULL : u;
    if (!start_undo(lane, place, now))
        return false;
    lane->turn = NULL;
    session_set_timer(&lane->object, TN_MS_NEVER);
    lane_move(lane, LANE_FREE);
    next_turn(lane, now);
    return true;
}

/* ---- what is known ---- */

tn_rev lane_fence(const struct lane *lane)
{
    return lane->fence;
}

void lane_set_fence(struct lane *lane, tn_rev fence)
{
    lane->fence = fence;
}

const char *lane_path(const struct lane *lane)
{
    return lane->path;
}

const struct rule *lane_rule(const struct lane *lane)
{
    return &lane->rule;
}
