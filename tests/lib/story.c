/* See story.h. One story at a time, in static variables, as the fake client is. */
#include "story.h"

#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ACTORS_MAX = 40, OBJECTS_MAX = 10, NAMES_MAX = 32, WORDS_MAX = 8, TEXT_MAX = 1 << 18 };

struct object { /* a lock of an actor */
    struct actor *actor;
    char label[64], name[64];
    struct lock *lock;
    struct rule asked;
    bool was_shared;
    struct rule rule;                          /* what was asked for, or is had since it was shared */
    bool acquiring, held, was_lost, releasing; /* what was told, or is owed */
    int last_code;
};

struct actor {
    char name[32];
    struct client *client;
    struct session *session;
    struct object objects[OBJECTS_MAX];
    struct election *election;
    char election_name[64];
    bool led;
    struct observer *observer;
    char observed[64];
    tn_lease foreign; /* of one that is not ours */
};

struct token_of {
    char name[64];
    int64_t token;  /* the greatest */
    int64_t whole;  /* the greatest of those that took the whole */
    tn_lease lease; /* of the holder */
};

static struct {
    struct actor actors[ACTORS_MAX];
    size_t n_actors;
    struct token_of tokens[NAMES_MAX];
    size_t n_tokens;
    size_t len; /* of text */
    char *words[WORDS_MAX];
    size_t n_words;
    struct actor *faulty;
    enum fake_fault fault;
    bool skip_verify, skip_rule, herd, proud, meek, tolerate, note_suspensions;
    unsigned begun, acquired, ended, violations;
} st;
static char text[TEXT_MAX], taken[TEXT_MAX];

static uint64_t noted_seed; /* of all stories of the program */

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
    va_list args;
    if (TEXT_MAX - st.len <= 1024)
        st.len = 0; /* nobody takes it: only the end is of interest */
    st.len += (size_t)snprintf(text + st.len, 32, "[%5" PRId64 "] ", fake_now());
    va_start(args, fmt);
    st.len += (size_t)vsnprintf(text + st.len, 900, fmt, args);
    va_end(args);
    text[st.len++] = '\n';
    text[st.len] = 0;
}

static void violated(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void violated(const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    st.violations++;
    if (st.tolerate)
        return;
    printf("%s%s at %" PRId64 " (seed %" PRIu64 ")\n", text, what, fake_now(), noted_seed);
    fail();
}

const char *story_take(void)
{
    memcpy(taken, text, st.len + 1);
    st.len = 0;
    text[0] = 0;
    return taken;
}

/* ---- finding ---- */

static struct actor *find_actor(const char *name)
{
    for (size_t i = 0; i < st.n_actors; i++)
        if (strcmp(st.actors[i].name, name) == 0)
            return &st.actors[i];
    return NULL;
}

static struct actor *actor(const char *name)
{
    struct actor *a = find_actor(name);
    if (a)
        return a;
    assert_true(st.n_actors < ACTORS_MAX);
    a = &st.actors[st.n_actors++];
    snprintf(a->name, sizeof a->name, "%s", name);
    if (isupper((unsigned char)name[0]))
        a->client = fake_client(a->name);
    return a;
}

static struct object *find_object(struct actor *a, const char *label)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++)
        if (a->objects[i].lock && strcmp(a->objects[i].label, label) == 0)
            return &a->objects[i];
    return NULL;
}

static struct object *object_slot(struct actor *a, const char *label)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++)
        if (!a->objects[i].lock) {
            struct object *o = &a->objects[i];
            *o = (struct object){.actor = a, .last_code = 1};
            snprintf(o->label, sizeof o->label, "%s", label);
            snprintf(o->name, sizeof o->name, "%.*s", (int)strcspn(label, "#"), label);
            return o;
        }
    fail_msg("%s has too many locks", a->name);
    return NULL;
}

struct client *story_client(const char *who)
{
    return find_actor(who) ? find_actor(who)->client : NULL;
}

struct session *story_session(const char *who)
{
    return find_actor(who) ? find_actor(who)->session : NULL;
}

struct lock *story_lock(const char *who, const char *label)
{
    struct object *o = find_actor(who) ? find_object(find_actor(who), label) : NULL;
    return o ? o->lock : NULL;
}

struct election *story_election(const char *who)
{
    return find_actor(who) ? find_actor(who)->election : NULL;
}

int story_last_code(const char *who, const char *label)
{
    struct object *o = find_actor(who) ? find_object(find_actor(who), label) : NULL;
    return o ? o->last_code : 1;
}

unsigned story_acquired(void)
{
    return st.acquired;
}

unsigned story_begun(void)
{
    return st.begun;
}

unsigned story_ended(void)
{
    return st.ended;
}

void story_note_seed(uint64_t seed)
{
    noted_seed = seed;
}

void story_tolerate(void)
{
    st.tolerate = true;
}

unsigned story_violations(void)
{
    return st.violations;
}

/* ---- what must always be true ---- */

/* A lease that was taken over may find its own key, and goes on with the token of before. Who shares may be told in another
 * order than he came in. */
static void token_grows(const char *name, const struct rule *rule, int64_t token, tn_lease lease)
{
    size_t i = 0;
    while (i < st.n_tokens && strcmp(st.tokens[i].name, name) != 0)
        i++;
    if (i == st.n_tokens) {
        assert_true(st.n_tokens < NAMES_MAX);
        snprintf(st.tokens[st.n_tokens++].name, sizeof st.tokens[0].name, "%s", name);
    }
    bool same = token == st.tokens[i].token && lease == st.tokens[i].lease;
    int64_t floor = rule->kind == RULE_WHOLE ? st.tokens[i].token : st.tokens[i].whole;
    if (token <= floor && !same)
        violated("the token %" PRId64 " of %s is not greater than %" PRId64, token, name, floor);
    if (token > st.tokens[i].token)
        st.tokens[i].token = token;
    if (rule->kind == RULE_WHOLE && token > st.tokens[i].whole)
        st.tokens[i].whole = token;
    st.tokens[i].lease = lease;
}

static bool leads(const struct actor *a, const char *name)
{
    return a->election && strncmp(name, "election ", 9) == 0 && strcmp(a->election_name, name + 9) == 0 &&
           election_leads(a->election, fake_now());
}

struct holders {
    unsigned n, n_wholes, n_readers;
    int64_t taken, limit;
};

static void add_holder(struct holders *h, const struct rule *rule)
{
    h->n++;
    h->n_wholes += rule->kind == RULE_WHOLE;
    h->n_readers += rule->kind == RULE_READ;
    h->taken += rule->weight;
    if (rule->kind == RULE_PERMIT && rule->limit < h->limit)
        h->limit = rule->limit;
}

static void add_holders(struct holders *h, const struct actor *a, const char *name)
{
    static const struct rule whole;
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        const struct object *o = &a->objects[i];
        if (o->lock && strcmp(o->name, name) == 0 && lock_held(o->lock, fake_now()))
            add_holder(h, &o->rule);
    }
    if (leads(a, name))
        add_holder(h, &whole);
}

static void holders_agree(const char *name)
{
    struct holders h = {.limit = INT64_MAX};
    for (size_t i = 0; i < st.n_actors; i++)
        add_holders(&h, &st.actors[i], name);
    if (h.n > 1 && (h.n_wholes > 0 || (h.n_readers > 0 && h.n_readers < h.n) || h.taken > h.limit))
        violated("%u hold %s at once: %u whole, %u readers, weights of %" PRId64, h.n, name, h.n_wholes, h.n_readers,
                 h.taken);
}

static void check(void *user)
{
    (void)user;
    for (size_t i = 0; i < st.n_tokens; i++)
        holders_agree(st.tokens[i].name);
    for (size_t i = 0; i < st.n_actors; i++)
        for (size_t k = 0; k < OBJECTS_MAX; k++) {
            const struct object *o = &st.actors[i].objects[k];
            if (o->lock && o->was_lost && lock_held(o->lock, fake_now()))
                violated("%s was told that %s is lost, and holds it", st.actors[i].name, o->label);
        }
}

/* ---- what the recipes tell ---- */

static void on_alive(void *user, tn_lease lease)
{
    struct actor *a = user;
    assert_int_equal(lease, session_lease(a->session));
    say("%s is alive, TTL %" PRId64, a->name, session_ttl_s(a->session));
}

static void on_session_lost(void *user, const struct tenure_error *why)
{
    struct actor *a = user;
    (void)why;
    say("%s is lost", a->name);
}

static void on_closed(void *user, int code)
{
    struct actor *a = user;
    if (code)
        say("%s is closed: %s", a->name, tenure_error_string(code));
    else
        say("%s is closed", a->name);
}

static void on_suspended(void *user, bool suspended)
{
    struct actor *a = user;
    if (st.note_suspensions)
        say("%s is %s", a->name, suspended ? "suspended" : "answered again");
}

static void on_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct object *o = user;
    if (!o->acquiring)
        violated("an end of no acquire of %s by %s", o->label, o->actor->name);
    o->acquiring = false;
    o->last_code = code;
    st.ended++;
    if (code) {
        assert_int_equal(error->code, code);
        say("%s does not get %s: %s", o->actor->name, o->label, error->text);
        return;
    }
    st.acquired++;
    o->held = true;
    o->was_lost = false;
    assert_int_equal(token, lock_token(o->lock));
    say("%s holds %s, token %" PRId64, o->actor->name, o->label, token);
    token_grows(o->name, &o->rule, token, session_lease(o->actor->session));
}

static void on_lost(void *user, const struct tenure_error *why)
{
    struct object *o = user;
    if (!o->held)
        violated("a loss of %s that %s did not hold", o->label, o->actor->name);
    o->held = false;
    o->was_lost = true;
    say("%s loses %s: %s", o->actor->name, o->label, why->text);
}

static void on_released(void *user, int code)
{
    struct object *o = user;
    if (!o->releasing)
        violated("an end of no release of %s by %s", o->label, o->actor->name);
    o->releasing = false;
    say("%s released %s%s", o->actor->name, o->label, code ? ", perhaps" : "");
}

static void on_shared(void *user, int code)
{
    struct object *o = user;
    say("%s shares %s%s", o->actor->name, o->label, code ? ", perhaps" : "");
}

static void on_gained(void *user, int64_t token)
{
    struct actor *a = user;
    char name[80];
    if (a->led)
        violated("%s gains what it has", a->name);
    a->led = true;
    snprintf(name, sizeof name, "election %s", a->election_name);
    say("%s leads %s, token %" PRId64, a->name, a->election_name, token);
    static const struct rule whole;
    token_grows(name, &whole, token, election_lease(a->election));
}

static void on_leadership_lost(void *user, const struct tenure_error *why)
{
    struct actor *a = user;
    if (!a->led)
        violated("%s loses what it has not", a->name);
    a->led = false;
    say("%s leads %s no more%s%s", a->name, a->election_name, why->code ? ": " : "", why->code ? why->text : "");
}

static void remove_election(struct actor *a)
{
    fake_remove_ticker(a->election);
    a->election = election_free(a->election);
    a->led = false;
}

static void on_stopped(void *user, int code, const struct tenure_error *error)
{
    struct actor *a = user;
    say("%s stopped%s%s", a->name, code ? ": " : "", code ? error->text : "");
    remove_election(a);
}

static const char *who_has(tn_lease lease)
{
    static char unknown[32];
    for (size_t i = 0; i < st.n_actors; i++) {
        const struct actor *a = &st.actors[i];
        if (lease && (a->foreign == lease || (a->session && session_lease(a->session) == lease) ||
                      (a->election && election_lease(a->election) == lease)))
            return a->name;
    }
    snprintf(unknown, sizeof unknown, "(a lease of the past)");
    return unknown;
}

static void on_leader(void *user, const struct kv *kv, tn_rev revision)
{
    struct actor *a = user;
    (void)revision;
    if (kv->key.len == 0)
        say("%s sees nobody lead %s", a->name, a->observed);
    else
        say("%s sees '%.*s' lead %s, token %" PRId64, a->name, (int)kv->value.len, (const char *)kv->value.data,
            a->observed, kv->create_revision);
}

static void on_observer_end(void *user, int code, const struct tenure_error *error)
{
    struct actor *a = user;
    (void)code;
    say("%s sees no more: %s", a->name, error->text);
}

static void on_proclaimed(void *user, const struct client_result *r)
{
    struct actor *a = user;
    say("%s proclaimed%s%s", a->name, r->code ? " in vain: " : "", r->code ? r->error->text : "");
}

/* ---- sentences ---- */

static bool is(size_t i, const char *word)
{
    return i < st.n_words && (strcmp(word, "*") == 0 || strcmp(st.words[i], word) == 0);
}

static long long number(size_t i)
{
    return i < st.n_words ? strtoll(st.words[i], NULL, 10) : 0;
}

static void say_refused(const struct actor *a, const struct tenure_error *err)
{
    say("%s is refused: %s", a->name, err->text);
}

static tn_ms session_due(const void *s)
{
    return session_deadline(s);
}

static void session_do(void *s, tn_ms now)
{
    session_tick(s, now);
}

static tn_ms election_due(const void *e)
{
    return election_deadline(e);
}

static void election_do(void *e, tn_ms now)
{
    election_tick(e, now);
}

static void drop_session(struct actor *a)
{
    if (!a->session)
        return;
    fake_remove_ticker(a->session);
    a->session = session_free(a->session);
}

static void free_locks(struct actor *a)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++)
        a->objects[i].lock = lock_free(a->objects[i].lock);
}

static void opens(struct actor *a)
{
    static const struct session_callbacks cb = {on_alive, on_session_lost, on_closed, on_suspended};
    struct session_options opt = {.ttl_s = number(2)};
    struct tenure_error err;
    if (is(3, "lease"))
        opt.resume = (tn_lease)strtoull(st.words[4], NULL, 16);
    if (is(3, "heartbeat"))
        opt.heartbeat_ms = number(4);
    free_locks(a);
    drop_session(a);
    if (session_open(a->client, &opt, &cb, a, fake_now(), &a->session, &err))
        say_refused(a, &err);
    else
        fake_add_ticker(a->client, session_due, session_do, a->session);
}

static void closes(struct actor *a)
{
    if (a->session)
        session_close(a->session, fake_now());
}

static void leaves_session(struct actor *a)
{
    if (a->session)
        session_leave(a->session, fake_now());
}

static void beats(struct actor *a)
{
    if (a->session)
        session_beat(a->session, fake_now(), fake_now());
}

static struct rule asked_rule(void)
{
    struct rule rule = {.kind = is(1, "reads") ? RULE_READ : is(1, "takes") ? RULE_PERMIT : RULE_WHOLE};
    if (rule.kind == RULE_PERMIT) {
        rule.weight = number(3);
        rule.limit = number(4);
    }
    return rule;
}

static void shares(struct object *o)
{
    struct tenure_error err;
    if (lock_share(o->lock, bytes_str(RULE_SHARED_VALUE), fake_now(), &err))
        say_refused(o->actor, &err);
    else
        o->was_shared = true;
    if (o->was_shared)
        o->rule.kind = RULE_READ;
}

static struct object *locks_object(struct actor *a, const char *label)
{
    static const struct lock_callbacks cb = {
        .on_acquired = on_acquired, .on_lost = on_lost, .on_released = on_released, .on_shared = on_shared};
    struct tenure_error err;
    struct object *o = find_object(a, label);
    struct rule rule = asked_rule();
    if (o && lock_state(o->lock) != LOCK_LOST && rule_same(&o->asked, &rule) && !o->was_shared)
        return o;
    if (o)
        o->lock = lock_free(o->lock);
    o = object_slot(a, label);
    o->rule = o->asked = rule;
    struct lock_options opt = {.value = bytes_str(a->name),
                               .rule = rule,
                               .try_only = is(1, "tries") || is(3, "try") || is(5, "try"),
                               .broken_skip_verify = st.skip_verify,
                               .broken_rule = st.skip_rule,
                               .broken_herd = st.herd};
    if (is(3, "delay"))
        opt.delay_ms = number(4);
    opt.homed = is(3, "home");
    if (is(1, "resumes"))
        opt.resume = number(3);
    if (is(3, "within") || is(5, "within"))
        opt.wait_ms = number(is(3, "within") ? 4 : 6);
    if (lock_new(a->session, o->name, &opt, &cb, o, &o->lock, &err) == 0)
        return o;
    say_refused(a, &err);
    return NULL;
}

static void locks(struct actor *a)
{
    struct tenure_error err;
    struct object *o = a->session ? locks_object(a, st.words[2]) : NULL;
    if (!o)
        return;
    st.begun++;
    o->acquiring = true;
    if (lock_acquire(o->lock, fake_now(), &err) == 0)
        return;
    o->acquiring = false;
    st.begun--;
    say_refused(a, &err);
}

/* Where that word stands, from the ith on; 0 = nowhere. */
static size_t word_from(size_t i, const char *word)
{
    for (; i < st.n_words; i++)
        if (is(i, word))
            return i;
    return 0;
}

static void campaigns(struct actor *a)
{
    static const struct election_callbacks cb = {
        .on_gained = on_gained, .on_lost = on_leadership_lost, .on_stopped = on_stopped};
    size_t prefers = word_from(4, "prefers"), within = word_from(4, "within");
    struct election_options opt = {.proposal = bytes_str(st.n_words > 3 ? st.words[3] : ""),
                                   .note = bytes_str(prefers ? a->name : ""),
                                   .preference = prefers ? number(prefers + 1) : 0,
                                   .once = word_from(4, "once") != 0,
                                   .wait_ms = within ? number(within + 1) : 0,
                                   .session = word_from(4, "here") ? a->session : NULL,
                                   .broken_skip_verify = st.skip_verify,
                                   .broken_proud = st.proud,
                                   .broken_meek = st.meek};
    struct tenure_error err;
    snprintf(a->election_name, sizeof a->election_name, "%s", st.words[2]);
    if (election_start(a->client, a->election_name, &opt, &cb, a, fake_now(), &a->election, &err))
        say_refused(a, &err);
    else
        fake_add_ticker(a->client, election_due, election_do, a->election);
}

static void observes(struct actor *a)
{
    static const struct observer_callbacks cb = {.on_leader = on_leader, .on_end = on_observer_end};
    struct tenure_error err;
    snprintf(a->observed, sizeof a->observed, "%s", st.words[2]);
    if (observer_start(a->client, a->observed, NULL, &cb, a, fake_now(), &a->observer, &err))
        say_refused(a, &err);
}

static void foreign_locks(struct actor *a)
{
    char key[256];
    if (!a->foreign)
        a->foreign = fake_grant(1000000);
    snprintf(key, sizeof key, "/locks/%s/%" PRIx64, st.words[2], (uint64_t)a->foreign);
    fake_put(key, "", a->foreign);
}

static void foreign_leaves(struct actor *a)
{
    char key[256];
    snprintf(key, sizeof key, "/locks/%s/%" PRIx64, st.words[2], (uint64_t)a->foreign);
    fake_delete(bytes_str(key));
}

static void delete_key(struct actor *a, const char *label)
{
    struct object *o = find_object(a, label);
    bytes key = o ? lock_key(o->lock) : election_key(a->election);
    if (!fake_delete(key))
        say("there is no key of %s", a->name);
}

static int by_create(const void *x, const void *y)
{
    const struct kv *a = x, *b = y;
    return a->create_revision < b->create_revision ? -1 : a->create_revision > b->create_revision;
}

static void queue(const char *name)
{
    char dir[80], line[1024];
    struct kv kvs[64], kv;
    size_t n = 0, len;
    snprintf(dir, sizeof dir, "/locks/%s/", name);
    for (size_t i = 0; fake_key(i, &kv); i++)
        if (bytes_has_prefix(kv.key, bytes_str(dir)))
            kvs[n++] = kv;
    qsort(kvs, n, sizeof kvs[0], by_create);
    len = (size_t)snprintf(line, sizeof line, "%s:", name);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(line + len, sizeof line - len, " %s", who_has(kvs[i].lease));
    say("%s%s", line, n ? "" : " nobody");
}

static void keys(void)
{
    struct kv kv;
    if (fake_keys() == 0)
        say("no keys");
    for (size_t i = 0; fake_key(i, &kv); i++)
        say("%s", memchr(kv.key.data, 0, kv.key.len) ? "a fence" : (const char *)kv.key.data);
}

/* One fault, at the next call of one process. */
static enum fake_fault judge(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user;
    (void)n;
    (void)what;
    if (!st.faulty || st.faulty->client != c)
        return FAKE_FINE;
    st.faulty = NULL;
    return st.fault;
}

static void fault(enum fake_fault f)
{
    assert_true(st.n_words == 4);
    st.faulty = actor(st.words[3]);
    st.fault = f;
    fake_set_judge(judge, NULL);
}

/* Its calls are refused from now on; its renewals are answered. */
static enum fake_fault judge_all(void *user, struct client *c, unsigned n, const char *what)
{
    (void)n;
    (void)what;
    return c == user ? FAKE_UNAVAILABLE : FAKE_FINE;
}

static void refuse_all(struct actor *a)
{
    fake_set_judge(judge_all, a->client);
}

static bool world_sentence(void)
{
    if (is(0, "wait"))
        fake_run(number(1));
    else if (is(0, "cut"))
        fake_cut(actor(st.words[1])->client, true);
    else if (is(0, "restore"))
        fake_cut(actor(st.words[1])->client, false);
    else if (is(0, "stop"))
        fake_pause(actor(st.words[1])->client, true);
    else if (is(0, "continue"))
        fake_pause(actor(st.words[1])->client, false);
    else if (is(0, "slow"))
        fake_slow_replies(actor(st.words[1])->client, number(2));
    else if (is(0, "compact"))
        fake_compact();
    else if (is(0, "least"))
        fake_set_ttl_min(number(2));
    else if (is(0, "overflow"))
        fake_overflow_watches(actor(st.words[1])->client);
    else if (is(0, "delete"))
        delete_key(actor(st.words[1]), st.words[2]);
    else if (is(0, "revoke"))
        fake_revoke(actor(st.words[1])->session ? session_lease(actor(st.words[1])->session)
                                                : election_lease(actor(st.words[1])->election));
    else if (is(0, "garble"))
        fault(FAKE_GARBLED);
    else if (is(0, "lose"))
        fault(is(1, "request") ? FAKE_LOSE_REQUEST : FAKE_LOSE_REPLY);
    else if (is(0, "delay"))
        fault(FAKE_LATE);
    else if (is(0, "refuse") && is(1, "all"))
        refuse_all(actor(st.words[3]));
    else if (is(0, "refuse"))
        fault(FAKE_UNAVAILABLE);
    else if (is(0, "deny"))
        fault(FAKE_DENIED);
    else if (is(0, "note"))
        st.note_suspensions = true;
    else if (is(0, "skip") && is(1, "rule"))
        st.skip_rule = true;
    else if (is(0, "skip"))
        st.skip_verify = true;
    else if (is(0, "be") && is(1, "proud"))
        st.proud = true;
    else if (is(0, "be") && is(1, "meek"))
        st.meek = true;
    else if (is(0, "be"))
        st.herd = true;
    else if (is(0, "queue"))
        queue(st.words[1]);
    else if (is(0, "keys"))
        keys();
    else
        return false;
    return true;
}

static void releases(struct object *o)
{
    o->releasing = o->releasing || lock_state(o->lock) == LOCK_HELD || lock_state(o->lock) == LOCK_LOST;
    o->held = o->held && lock_state(o->lock) != LOCK_HELD;
    lock_release(o->lock, fake_now());
}

/* A lock that could not be made (for want of memory, perhaps) is neither released nor freed. */
static bool lock_sentence(struct actor *a)
{
    struct object *o = st.n_words > 2 ? find_object(a, st.words[2]) : NULL;
    bool known = is(1, "shares") || is(1, "releases") || is(1, "cancels") || is(1, "frees");
    if (is(1, "locks") || is(1, "resumes") || is(1, "tries") || is(1, "reads") || is(1, "takes"))
        locks(a);
    else if (!known || !o)
        return known;
    else if (is(1, "shares"))
        shares(o);
    else if (is(1, "releases"))
        releases(o);
    else if (is(1, "cancels"))
        lock_cancel(o->lock, fake_now());
    else
        o->lock = lock_free(o->lock);
    return true;
}

static void proclaims(struct actor *a)
{
    struct tenure_error err;
    if (election_proclaim(a->election, bytes_str(st.words[2]), on_proclaimed, a, fake_now(), &err))
        say_refused(a, &err);
}

static void resigns(struct actor *a)
{
    if (a->election)
        election_stop(a->election, fake_now());
}

static bool actor_sentence(struct actor *a)
{
    if (is(1, "opens"))
        opens(a);
    else if (is(1, "closes"))
        closes(a);
    else if (is(1, "leaves"))
        leaves_session(a);
    else if (is(1, "beats"))
        beats(a);
    else if (is(1, "drops"))
        drop_session(a);
    else if (is(1, "campaigns"))
        campaigns(a);
    else if (is(1, "proclaims"))
        proclaims(a);
    else if (is(1, "resigns"))
        resigns(a);
    else if (is(1, "forgets"))
        remove_election(a);
    else if (is(1, "observes"))
        observes(a);
    else if (is(1, "looks"))
        a->observer = observer_stop(a->observer, fake_now());
    else
        return lock_sentence(a);
    return true;
}

static bool foreign_sentence(void)
{
    if (is(1, "locks"))
        foreign_locks(actor(st.words[0]));
    else if (is(1, "leaves"))
        foreign_leaves(actor(st.words[0]));
    else
        return false;
    return true;
}

static bool understood(void)
{
    if (st.n_words == 0 || world_sentence())
        return true;
    if (islower((unsigned char)st.words[0][0]))
        return foreign_sentence();
    return actor_sentence(actor(st.words[0]));
}

void story(const char *sentence)
{
    char line[512];
    snprintf(line, sizeof line, "%s", sentence);
    st.n_words = 0;
    for (char *rest = line, *word; (word = strsep(&rest, " "));)
        if (*word && st.n_words < WORDS_MAX)
            st.words[st.n_words++] = word;
    if (!understood())
        fail_msg("what does it mean: %s", sentence);
    check(NULL);
}

const char *story_tell(const char *sentence)
{
    story(sentence);
    return story_take();
}

/* ---- begin and end ---- */

void story_begin(void)
{
    memset(&st, 0, sizeof st);
    text[0] = 0;
    fake_begin();
    fake_on_step(check, NULL);
}

void story_end(void)
{
    for (size_t i = 0; i < st.n_actors; i++) {
        struct actor *a = &st.actors[i];
        if (a->client)
            fake_pause(a->client, false);
        free_locks(a);
        remove_election(a);
        drop_session(a);
        a->observer = observer_stop(a->observer, fake_now());
    }
    fake_run(2 * FAKE_CALL_TIMEOUT_MS); /* what was cancelled, or runs on unseen, comes to its end */
    fake_end();
}
