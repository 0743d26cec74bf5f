/* Candidates with preferences: each client's process stands in one election, as better or worse as it likes, or as a client of
 * etcd's would, by a key alone. One that led leaves a note on its machine, and the next process goes on with that, with proof that
 * the one before is gone; others try the same, also while it lives.
 *
 *   M1, M2, M5, M6, M7  as of every queue
 *   E1  who is told that he leads has seen nobody better wait behind him; but for one whose patience is over (rank.h)
 *   E2  somebody leads in the end: all come, and each resigns as soon as all others stand, until nobody is left */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "part.h"

#define NAME      "c"
#define PLACES_AT "/election/c/"
#define RANKS_AT  "/election/c\0rank/"
#define RANKS_LEN (sizeof RANKS_AT - 1)
#define TTL_S     2
#define SETTLED   12000 /* from the end of all faults on: nothing that failed before is felt any more */
#define OVER      22000
#define SLACK     3000 /* between what a candidate decides and what becomes of it */

struct candidate {
    struct actor *actor;
    struct election *election;
    struct session *session; /* of one by a key alone, as is the lock */
    struct lock *lock;
    int64_t preference;
    bool foreign, acquired, stopped, session_ended, killed, done;
    char note[48];
    tn_lease resume_lease;
    tn_rev resume_token;
    tn_ms start_at, stop_at;
};

/* ---- the truth ---- */

struct stand { /* a key that stands */
    tn_lease lease;
    tn_rev create;
};
struct stated { /* a rank that stands, or the times at which a lease's owner entered anew */
    tn_lease lease;
    int64_t preference;
    tn_ms since, last;
};
struct noted { /* what a process leaves on its machine's disk */
    bool kept;
    tn_lease lease;
    tn_rev token;
};
struct candidates_truth {
    struct stand *stands;
    struct stated *ranks, *entries;
    struct owner *owners; /* who was first, since which revision */
    size_t n_stands, n_ranks, n_entries, n_owners;
    struct noted notes[CLIENTS_MAX];
    tn_rev last;
    tn_ms healed_at; /* 0 = not yet */
};

static struct candidates_truth *truth_of(struct world *w)
{
    return w->part_truths[PART_CANDIDATES];
}

static void *truth_new(void)
{
    return sim_alloc(sizeof(struct candidates_truth));
}

static void truth_free(void *truth)
{
    struct candidates_truth *t = truth;
    free(t->stands);
    free(t->ranks);
    free(t->entries);
    free(t->owners);
    free(t);
}

static struct stated *stated_by(struct stated *s, size_t n, tn_lease lease)
{
    for (size_t i = 0; i < n; i++)
        if (s[i].lease == lease)
            return &s[i];
    return NULL;
}

static struct stated *state(struct stated **s, size_t *n, tn_lease lease)
{
    struct stated *found = stated_by(*s, *n, lease);
    if (found)
        return found;
    *s = sim_grow(*s, (*n + 1) * sizeof **s);
    (*s)[*n] = (struct stated){.lease = lease};
    return &(*s)[(*n)++];
}

static struct candidate *candidate_of(struct world *w, int i)
{
    return part_state(&w->actors[i], PART_CANDIDATES);
}

static bool leads(const struct candidate *k)
{
    tn_ms now = k->actor->world->now;
    return !k->stopped &&
           ((k->election && election_leads(k->election, now)) || (k->lock && k->acquired && lock_held(k->lock, now)));
}

static bytes key_of(const struct candidate *k)
{
    return k->election ? election_key(k->election) : k->lock ? lock_key(k->lock) : bytes_of(NULL, 0);
}

static tn_rev lowest(const struct candidates_truth *t)
{
    tn_rev low = 0;
    for (size_t i = 0; i < t->n_stands; i++)
        if (low == 0 || t->stands[i].create < low)
            low = t->stands[i].create;
    return low;
}

static void note_owner(struct candidates_truth *t, tn_rev at)
{
    tn_rev low = lowest(t);
    if (low == 0 || (t->n_owners && t->owners[t->n_owners - 1].token == low))
        return;
    t->owners = sim_grow(t->owners, (t->n_owners + 1) * sizeof *t->owners);
    t->owners[t->n_owners++] = (struct owner){.token = low, .from = at};
}

/* Since which revision it was first; 0 = it never was. */
static tn_rev first_since(const struct candidates_truth *t, tn_rev token)
{
    for (size_t i = t->n_owners; i-- > 0;)
        if (t->owners[i].token == token)
            return t->owners[i].from;
    return 0;
}

/* Who enters anew on the same lease has let somebody pass. */
static void note_entry(struct world *w, tn_lease lease)
{
    struct candidates_truth *t = truth_of(w);
    bool again = stated_by(t->entries, t->n_entries, lease) != NULL;
    struct stated *s = state(&t->entries, &t->n_entries, lease);
    if (again && (s->last == 0 || w->now - s->last > 2 * TTL_S * 1000 + SLACK))
        s->since = w->now;
    if (again)
        s->last = w->now;
}

static void place_row(struct world *w, const struct record *r)
{
    struct candidates_truth *t = truth_of(w);
    tn_lease lease = (tn_lease)strtoull(sim_text(r->key) + strlen(PLACES_AT), NULL, 16);
    size_t i = 0;
    while (i < t->n_stands && t->stands[i].lease != lease)
        i++;
    for (int a = 0; r->tombstone && a < w->n_actors; a++)
        if (candidate_of(w, a) && leads(candidate_of(w, a)) && bytes_equal(key_of(candidate_of(w, a)), r->key))
            world_fail(w, "M5: the key of client %d was deleted while it leads", a);
    if (r->tombstone && i < t->n_stands) {
        t->stands[i] = t->stands[--t->n_stands];
    } else if (!r->tombstone && i == t->n_stands) {
        t->stands = sim_grow(t->stands, (t->n_stands + 1) * sizeof *t->stands);
        t->stands[t->n_stands++] = (struct stand){.lease = lease, .create = r->create_revision};
        note_entry(w, lease);
    }
    note_owner(t, r->main);
}

static void rank_row(struct world *w, const struct record *r)
{
    struct candidates_truth *t = truth_of(w);
    tn_lease lease = (tn_lease)strtoull(sim_text(bytes_of(r->key.data + RANKS_LEN, r->key.len - RANKS_LEN)), NULL, 16);
    struct stated *s = state(&t->ranks, &t->n_ranks, lease);
    if (r->tombstone)
        *s = t->ranks[--t->n_ranks];
    else
        s->preference = sim_number(r->value);
}

static void candidates_row(struct world *w, const struct record *r)
{
    if (sim_under(r->key, PLACES_AT))
        place_row(w, r);
    else if (bytes_has_prefix(r->key, bytes_of(RANKS_AT, RANKS_LEN)))
        rank_row(w, r);
}

/* ---- what they are told ---- */

/* Someone who stood when it became the first, and stands, was in its proof. */
static bool better_waits(const struct candidates_truth *t, tn_rev token, int64_t preference)
{
    tn_rev since = first_since(t, token);
    for (size_t i = 0; i < t->n_stands; i++) {
        const struct stated *rank = stated_by(t->ranks, t->n_ranks, t->stands[i].lease);
        if (t->stands[i].create > token && t->stands[i].create <= since && (rank ? rank->preference : 0) > preference)
            return true;
    }
    return false;
}

/* As far as it can be seen from outside, and not any more when all has been quiet for long. */
static bool has_lost_patience(struct world *w, tn_lease lease)
{
    const struct candidates_truth *t = truth_of(w);
    const struct stated *s = stated_by(t->entries, t->n_entries, lease);
    bool quiet = t->healed_at && w->now > t->healed_at + SETTLED;
    return !quiet && s && s->last && w->now - s->since >= 3 * TTL_S * 1000 - SLACK;
}

static void check_leader(struct candidate *k, tn_rev token, tn_lease lease)
{
    struct world *w = k->actor->world;
    struct candidates_truth *t = truth_of(w);
    bool resumed = k->resume_token && token == k->resume_token;
    SIM_TRACE(w, "client %d (%lld) leads the candidates, token %lld%s", k->actor->index, (long long)k->preference,
              (long long)token, resumed ? ", resumed" : "");
    w->result.acquisitions++;
    w->result.resumed += resumed;
    if (first_since(t, token) == 0)
        world_fail(w, "M6: client %d leads the candidates with token %lld, which never was first", k->actor->index,
                   (long long)token);
    if (resumed ? token < t->last : token <= t->last)
        world_fail(w, "M2: token %lld of the candidates after %lld", (long long)token, (long long)t->last);
    t->last = token;
    if (!resumed && !k->foreign && better_waits(t, token, k->preference) && !has_lost_patience(w, lease))
        world_fail(w, "E1: client %d leads with preference %lld, and a better one waits", k->actor->index,
                   (long long)k->preference);
}

static void on_gained(void *user, int64_t token)
{
    struct candidate *k = user;
    struct world *w = k->actor->world;
    if (election_leads(k->election, w->now))
        check_leader(k, token, election_lease(k->election));
    truth_of(w)->notes[k->actor->index] =
        (struct noted){.kept = true, .lease = election_lease(k->election), .token = token};
    k->resume_token = 0;
    if (!truth_of(w)->healed_at && sim_chance(w, 60))
        k->stop_at = w->now + sim_between(w, 1, 3000);
}

static void on_lost(void *user, const struct tenure_error *why)
{
    struct candidate *k = user;
    SIM_TRACE(k->actor->world, "client %d does not lead the candidates any more: %s", k->actor->index, why->text);
    if (leads(k))
        world_fail(k->actor->world, "L3: leads after the loss was told");
    if (!k->killed)
        truth_of(k->actor->world)->notes[k->actor->index].kept = false;
}

static void on_stopped(void *user, int code, const struct tenure_error *error)
{
    struct candidate *k = user;
    if (code)
        SIM_TRACE(k->actor->world, "client %d has stopped: %s", k->actor->index, error->text);
    k->stopped = true;
}

static void on_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct candidate *k = user;
    struct world *w = k->actor->world;
    (void)error;
    k->acquired = code == 0;
    k->stopped = code != 0;
    if (k->acquired && lock_held(k->lock, w->now))
        check_leader(k, token, session_lease(k->session));
    k->stop_at = w->now + sim_between(w, 1, 2000);
}

static void on_lock_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    ((struct candidate *)user)->stopped = true;
}

static void on_released(void *user, int code)
{
    (void)code;
    ((struct candidate *)user)->stopped = true;
}

static void on_session_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    ((struct candidate *)user)->session_ended = true;
}

static void on_session_closed(void *user, int code)
{
    (void)code;
    ((struct candidate *)user)->session_ended = true;
}

/* ---- standing ---- */

/* A process is gone when another one has taken its place on the machine. */
static bool is_gone(void *user, bytes note)
{
    const struct candidate *k = user;
    const struct world *w = k->actor->world;
    int index = -1;
    unsigned incarnation = 0;
    if (sscanf(sim_text(note), "%d.%u", &index, &incarnation) != 2 || index < 0 || index >= w->n_actors)
        return false;
    return w->config.broken.no_proof || w->actors[index].incarnation != incarnation;
}

static void stand_by_election(struct candidate *k, const struct noted *resume)
{
    static const struct election_callbacks cb = {.on_gained = on_gained, .on_lost = on_lost, .on_stopped = on_stopped};
    struct world *w = k->actor->world;
    struct tenure_error err = {0};
    k->preference = sim_between(w, -2, 3);
    k->resume_lease = resume ? resume->lease : 0;
    k->resume_token = resume ? resume->token : 0;
    snprintf(k->note, sizeof k->note, "%d.%u.%llu", k->actor->index, k->actor->incarnation,
             (unsigned long long)rng_u64(&w->rng));
    struct election_options o = {.ttl_s = TTL_S,
                                 .proposal = bytes_str("p"),
                                 .note = bytes_str(k->note),
                                 .preference = k->preference,
                                 .once = sim_chance(w, 20),
                                 .wait_ms = !w->finishing && sim_chance(w, 20) ? sim_between(w, 50, 5000) : 0,
                                 .resume_lease = k->resume_lease,
                                 .resume_token = k->resume_token,
                                 .is_gone = is_gone,
                                 .broken_unguarded = w->config.broken.unguarded_takeover,
                                 .broken_skip_verify = w->config.broken.skip_verify,
                                 .broken_proud = w->config.broken.proud};
    SIM_TRACE(w, "client %d stands with preference %lld%s", k->actor->index, (long long)k->preference,
              resume ? ", to resume" : "");
    if (election_start(k->actor->client, NAME, &o, &cb, k, w->now, &k->election, &err) != 0)
        world_fail(w, "E2: an election could not start: %s", err.text);
}

static void stand_by_key(struct candidate *k)
{
    static const struct session_callbacks session_cb = {.on_lost = on_session_lost, .on_closed = on_session_closed};
    static const struct lock_callbacks cb = {
        .on_acquired = on_acquired, .on_lost = on_lock_lost, .on_released = on_released};
    struct world *w = k->actor->world;
    struct session_options so = {.ttl_s = TTL_S};
    struct lock_options o = {.prefix = "/election/", .value = bytes_str("go")};
    k->preference = 0;
    if (session_open(k->actor->client, &so, &session_cb, k, w->now, &k->session, NULL) != 0 ||
        lock_new(k->session, NAME, &o, &cb, k, &k->lock, NULL) != 0 || lock_acquire(k->lock, w->now, NULL) != 0)
        abort();
    SIM_TRACE(w, "client %d stands by a key alone", k->actor->index);
}

/* Its own notes, or, seldom, what somebody else has noted, who may live. */
static const struct noted *to_resume(struct candidate *k)
{
    struct world *w = k->actor->world;
    struct candidates_truth *t = truth_of(w);
    const struct noted *own = &t->notes[k->actor->index];
    if (own->kept && sim_chance(w, 80))
        return own;
    const struct noted *other = &t->notes[rng_below(&w->rng, (uint64_t)w->n_actors)];
    return other->kept && sim_chance(w, 30) ? other : NULL;
}

static bool is_free(const struct candidate *k)
{
    return !k->election && !k->session && k->actor->paused_until <= k->actor->world->now;
}

static void begin(struct candidate *k, const struct noted *resume)
{
    struct world *w = k->actor->world;
    struct noted n = resume ? *resume : (struct noted){0};
    k->stopped = k->acquired = k->session_ended = k->foreign = false;
    k->stop_at = !w->finishing && sim_chance(w, 30) ? w->now + sim_between(w, 1, 6000) : TN_MS_NEVER;
    truth_of(w)->notes[k->actor->index].kept = false;
    if (!resume && !w->finishing && sim_chance(w, 20)) {
        k->foreign = true;
        stand_by_key(k);
    } else {
        stand_by_election(k, resume ? &n : NULL);
    }
}

/* And, with something to resume, somebody else who has nothing to do tries at the same time. */
static void begin_with_rival(struct candidate *k)
{
    struct world *w = k->actor->world;
    const struct noted *found = w->finishing ? NULL : to_resume(k);
    struct noted n = found ? *found : (struct noted){0};
    begin(k, found ? &n : NULL);
    for (int i = 0; found && i < w->n_actors; i++)
        if (candidate_of(w, i) && is_free(candidate_of(w, i)) && sim_chance(w, 50)) {
            begin(candidate_of(w, i), &n);
            return;
        }
}

static void clean_up(struct candidate *k)
{
    struct world *w = k->actor->world;
    if (k->session && k->stopped && !k->session_ended)
        session_close(k->session, w->now);
    if (k->foreign ? !(k->stopped && k->session_ended) : !k->stopped)
        return;
    k->election = election_free(k->election);
    k->lock = lock_free(k->lock);
    k->session = session_free(k->session);
    k->stopped = k->foreign = false;
    k->stop_at = TN_MS_NEVER;
    k->start_at = w->finishing ? w->now : w->now + sim_between(w, 1, 2000);
}

static void stop(struct candidate *k)
{
    struct world *w = k->actor->world;
    k->stop_at = TN_MS_NEVER;
    SIM_TRACE(w, "client %d stands down", k->actor->index);
    truth_of(w)->notes[k->actor->index].kept = false;
    if (k->election)
        election_stop(k->election, w->now);
    else if (k->lock)
        lock_release(k->lock, w->now);
}

static void candidate_step(void *p)
{
    struct candidate *k = p;
    struct world *w = k->actor->world;
    clean_up(k);
    if (k->stop_at <= w->now)
        stop(k);
    else if (!k->election && !k->session && !k->done && k->start_at <= w->now)
        begin_with_rival(k);
}

/* ---- for the actor ---- */

static void *candidate_start(struct actor *a)
{
    struct candidate *k = sim_alloc(sizeof *k);
    k->actor = a;
    k->start_at = a->world->now + sim_between(a->world, 0, 1000);
    k->stop_at = TN_MS_NEVER;
    return k;
}

static void candidate_tick(void *p)
{
    struct candidate *k = p;
    tn_ms now = k->actor->world->now;
    if (k->election && election_deadline(k->election) <= now)
        election_tick(k->election, now);
    if (k->session && session_deadline(k->session) <= now)
        session_tick(k->session, now);
}

static tn_ms candidate_next(const void *p)
{
    const struct candidate *k = p;
    tn_ms at = k->stop_at;
    at = sim_earlier(at, k->election ? election_deadline(k->election) : TN_MS_NEVER);
    at = sim_earlier(at, k->session ? session_deadline(k->session) : TN_MS_NEVER);
    return !k->election && !k->session && !k->done ? sim_earlier(at, k->start_at) : at;
}

/* They stay, or come, as candidates of ours; those who stand by a key alone go and come again. */
static void candidate_finish(void *p)
{
    struct candidate *k = p;
    struct world *w = k->actor->world;
    truth_of(w)->healed_at = w->now;
    k->stop_at = k->foreign ? w->now : TN_MS_NEVER;
    k->start_at = w->now;
}

static bool candidate_idle(const void *p)
{
    const struct candidate *k = p;
    return k->done && !k->election && !k->session;
}

static void candidate_kill(void *p)
{
    struct candidate *k = p;
    struct tenure_error why = {.code = TENURE_ELOST, .kind = TENURE_KIND_LOST};
    k->killed = true;
    if (k->session && session_state(k->session) != SESSION_LOST)
        session_give_up(k->session, &why, k->actor->world->now);
    if (k->election && !k->stopped)
        election_stop(k->election, k->actor->world->now);
}

static void candidate_free(void *p)
{
    struct candidate *k = p;
    election_free(k->election);
    lock_free(k->lock);
    session_free(k->session);
    free(k);
}

/* ---- what holds at each instant, and in the end ---- */

/* When all who have not led yet stand, and one of them leads, he resigns: the best of the others is to follow. */
static void let_them_lead(struct world *w)
{
    struct candidates_truth *t = truth_of(w);
    struct candidate *leader = NULL;
    size_t left = 0;
    for (int i = 0; i < w->n_actors; i++) {
        struct candidate *k = candidate_of(w, i);
        left += !k->done;
        if (k->election && leads(k))
            leader = k;
    }
    if (w->now > t->healed_at + OVER && left > 0)
        world_fail(w, "E2: all is well, and %zu of the candidates have not led", left);
    if (!leader || leader->done || t->n_stands != left || w->now <= t->healed_at + SETTLED)
        return;
    leader->done = true;
    stop(leader);
}

static void candidates_check(struct world *w)
{
    int leader = -1;
    for (int i = 0; i < w->n_actors; i++) {
        if (!candidate_of(w, i) || !leads(candidate_of(w, i)))
            continue;
        if (leader >= 0)
            world_fail(w, "M1: clients %d and %d lead the candidates", leader, i);
        leader = i;
    }
    if (truth_of(w)->healed_at)
        let_them_lead(w);
}

static void candidates_check_end(struct world *w)
{
    struct candidates_truth *t = truth_of(w);
    if (t->n_stands || t->n_ranks)
        world_fail(w, "M7: %zu keys and %zu ranks of candidates are left", t->n_stands, t->n_ranks);
}

const struct part_ops candidates_part = {
    .name = "candidates",
    .start = candidate_start,
    .tick = candidate_tick,
    .step = candidate_step,
    .next = candidate_next,
    .finish = candidate_finish,
    .idle = candidate_idle,
    .kill = candidate_kill,
    .free = candidate_free,
    .row = candidates_row,
    .check = candidates_check,
    .check_end = candidates_check_end,
    .truth_new = truth_new,
    .truth_free = truth_free,
};
