/* A lock whose home wants authority: the word that it may be held, asked for before it is, and again and again while it is
 * (authority.h). See lock_machine.h.
 *
 * One transaction compares that the own key stands and that home has an authority at all, and asks, by a put; the answer is a later
 * word that has seen it, on a watch from there on. It counts from the moment before it was asked for, less one percent for clocks that run
 * at other rates. When it is over the lock is lost, whatever the session says, and by its own clock, so also for one who hears nothing. */
#include "recipes/lock_machine.h"

enum { ANSWER_MS = 5000, AGAIN_MS = 500, LEFT_MIN_MS = 20 };

static void authority_gone(struct lock *l, const char *what, tn_ms now)
{
    struct tenure_error why;
    if (l->state == LOCK_HELD) {
        error_set(&why, TENURE_ELOST, "'%.100s': %s", lane_path(l->lane), what);
        lock_home_gone(l, why.text, now);
        return;
    }
    error_set(&why, TENURE_ECONFLICT, "'%.100s': %s", lane_path(l->lane), what);
    lock_end_acquire(l, &why, now);
}

static void none_there(struct lock *l, tn_ms now)
{
    authority_gone(
        l,
        "its home has no authority now, and wants it: tenure region hold does not run there, or reaches too few of "
        "the other regions",
        now);
}

/* ---- the answer ---- */

/* What was said last answers what was asked last. */
static void take_word(struct lock *l, tn_ms now)
{
    if (!l->asked || l->word.seen < l->asked || l->word.home.epoch != l->epoch)
        return;
    tn_ms until = l->asked_at + l->word.left_ms - l->word.left_ms / 100;
    l->ask_at = l->asked_at + l->word.left_ms / 4;
    l->asked = 0;
    l->answer_by = TN_MS_NEVER;
    if (until > l->believed_until) {
        l->believed_until = until;
        lock_post_believed(l);
    }
    if (l->state == LOCK_VERIFYING && until - LEFT_MIN_MS > now)
        lock_become_first(l, now);
    else if (l->state == LOCK_VERIFYING)
        none_there(l, now);
    else
        lock_arm(l);
}

static void on_word_events(void *user, const struct client_watch_events *e)
{
    struct lock *l = user;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    bool gone = false;
    for (size_t i = 0; i < e->n_events; i++) {
        struct home_word w;
        gone = e->events[i].type == EVENT_DELETE;
        if (!gone && home_word_parse(e->events[i].kv.value, &w) == 0)
            l->word = w;
    }
    if (gone)
        none_there(l, now);
    else if (e->n_events)
        take_word(l, now);
    session_flush(s);
}

/* What it missed does not count: it is asked again. */
static void on_word_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    (void)compact_revision;
    struct lock *l = user;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    client_watch_stop(session_client(s), l->watch_word, now);
    l->watch_word = NULL;
    l->asked = 0;
    l->answer_by = TN_MS_NEVER;
    l->ask_at = now + AGAIN_MS;
    if (l->state == LOCK_HELD)
        lock_arm(l);
    else if (l->state == LOCK_VERIFYING && code == TENURE_ECOMPACTED)
        lock_retry_soon(l, now);
    else if (l->state == LOCK_VERIFYING)
        lock_fail_acquire(l, error, now);
    session_flush(s);
}

static bool watch_word(struct lock *l, tn_rev seen, tn_ms now)
{
    static const struct client_watch_callbacks cb = {.on_events = on_word_events, .on_end = on_word_end};
    struct watch_create_req req = {.range.key = buf_bytes(&l->word_key), .start_revision = seen + 1};
    if (!l->watch_word)
        l->watch_word = client_watch_start(lock_client(l), &req, &cb, l, now, NULL);
    return l->watch_word;
}

/* ---- the question ---- */

static void ask_failed(struct lock *l, const struct client_result *r, tn_ms now)
{
    if (l->state == LOCK_HELD) {
        l->ask_at = now + AGAIN_MS; /* up to the end of what was said */
        lock_arm(l);
    } else if (op_may_retry(r)) {
        lock_retry_later(l, now); /* looks who is before it, and asks again */
    } else {
        lock_fail_acquire(l, r->error, now);
    }
}

/* Nothing was put: one of the two does not stand. */
static void refused(struct lock *l, const struct txn_resp *t, tn_ms now)
{
    bool is_own = t->n_responses == 1 && t->responses[0].kind == OP_RANGE && t->responses[0].range.n_kvs > 0 &&
                  t->responses[0].range.kvs[0].create_revision == l->create;
    if (is_own)
        none_there(l, now);
    else
        lock_own_key_gone(l, now);
}

static void on_asked(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    if (r->code) {
        ask_failed(l, r, now);
    } else if (!r->txn->succeeded) {
        refused(l, r->txn, now);
    } else if (!watch_word(l, r->txn->revision, now)) {
        l->ask_at = now + AGAIN_MS;
        lock_retry_later(l, now);
    } else {
        l->asked = r->txn->revision;
        l->asked_at = l->asking_at;
        l->answer_by = now + ANSWER_MS;
        lock_arm(l);
        take_word(l, now); /* its event may have come before this answer */
    }
    session_flush(s);
}

void lock_ask_authority(struct lock *l, tn_ms now)
{
    struct compare compares[2] = {
        {.target = COMPARE_CREATE, .result = COMPARE_EQUAL, .range.key = l->queue.own, .number = l->create},
        {.target = COMPARE_CREATE, .result = COMPARE_GREATER, .range.key = buf_bytes(&l->word_key)}};
    struct request_op put = {.kind = OP_PUT, .put = {.key = buf_bytes(&l->asks_key), .value = l->queue.own}};
    struct request_op look = {.kind = OP_RANGE, .range.range.key = l->queue.own};
    struct txn_req req = {
        .compares = compares, .n_compares = 2, .success = &put, .n_success = 1, .failure = &look, .n_failure = 1};
    struct client_call_options opt = {.repeatable = true};
    if (l->op_ask || (l->asked && l->state != LOCK_HELD))
        return; /* under way */
    if (l->state != LOCK_VERIFYING && l->state != LOCK_HELD)
        lock_move(l, LOCK_VERIFYING);
    l->asking_at = now;
    l->ask_at = l->answer_by = TN_MS_NEVER;
    l->asked = 0;
    if (op_txn(&l->op_ask, lock_client(l), &req, &opt, on_asked, l, now, NULL)) {
        l->ask_at = now + AGAIN_MS;
        if (l->state != LOCK_HELD)
            lock_retry_later(l, now);
    }
    lock_arm(l);
}

/* ---- the machine's side ---- */

int lock_want_authority(struct lock *l, bytes prefix)
{
    l->wants_authority = true;
    l->believed_until = 0;
    l->word = (struct home_word){.seen = 0};
    buf_reset(&l->word_key);
    buf_reset(&l->asks_key);
    buf_append_bytes(&l->word_key, bytes_str(HOME_AUTHORITY_KEYS));
    buf_append_bytes(&l->word_key, prefix);
    buf_append_bytes(&l->asks_key, bytes_str(HOME_ASKS_KEYS));
    buf_append_bytes(&l->asks_key, prefix);
    return buf_error(&l->word_key) ? buf_error(&l->word_key) : buf_error(&l->asks_key);
}

bool lock_has_authority(const struct lock *l, tn_ms now)
{
    return !l->wants_authority || now < l->believed_until;
}

void lock_drop_authority(struct lock *l, tn_ms now)
{
    op_drop(&l->op_ask, now);
    if (l->watch_word)
        client_watch_stop(lock_client(l), l->watch_word, now);
    l->watch_word = NULL;
    l->wants_authority = false;
    l->believed_until = 0;
    l->asked = 0;
    l->ask_at = l->answer_by = TN_MS_NEVER;
    l->tell_believed = false;
}

tn_ms lock_authority_deadline(const struct lock *l)
{
    if (!l->wants_authority)
        return TN_MS_NEVER;
    tn_ms at = l->state == LOCK_VERIFYING ? l->answer_by : TN_MS_NEVER;
    if (l->state == LOCK_HELD) {
        tn_ms next = l->ask_at < l->answer_by ? l->ask_at : l->answer_by;
        next = l->op_ask ? TN_MS_NEVER : next;
        at = l->believed_until < next ? l->believed_until : next;
    }
    return at;
}

bool lock_authority_timer(struct lock *l, tn_ms now)
{
    if (!l->wants_authority)
        return true;
    if (l->state == LOCK_HELD && now >= l->believed_until) {
        authority_gone(l, "the authority of its home was not renewed in time, or the home could not be asked", now);
        return false;
    }
    if (l->state == LOCK_HELD && (now >= l->ask_at || now >= l->answer_by))
        lock_ask_authority(l, now);
    if (l->state == LOCK_VERIFYING && now >= l->answer_by) {
        authority_gone(l, "nobody answers for the authority of its home: is tenure region hold running there?", now);
        return false;
    }
    return true;
}
