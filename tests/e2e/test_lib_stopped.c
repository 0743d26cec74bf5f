/* Whoever is stopped (SIGSTOP) for twice its TTL is never told "held" beyond safe-until: L2, L3, M2, M5, M9. Everything that can be
 * held, in all three ways in; each holder a process of its own. Times are of CLOCK_BOOTTIME, in memory that all share. */
#include "lib.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define TTL_S     2
#define MARGIN_MS (250 + TTL_S * 10)

enum way { BLOCKING, LIBUV, EPOLL, WAYS };
enum thing { LOCK, WRITER, PERMIT, MULTILOCK, LEADER, SESSION, THINGS };
static const char *const way_names[] = {"blocking", "libuv", "epoll"};
static const char *const thing_names[] = {"lock", "writer", "permit", "multilock", "leader", "session"};

/* What a holder tells of each thing. */
struct told {
    _Atomic(int64_t) last_yes; /* when the last asking began that was answered "held" */
    atomic_int lost;
    atomic_int held_in_loss, held_again; /* never */
    _Atomic(tenure_token) token;
};
struct record {
    atomic_int holds, failed, done;
    struct told told[THINGS];
};

/* ---- the holder: one in each process ---- */

static struct {
    struct record *record;
    tenure_client *handle;
    tenure_lock *locks[3];
    tenure_multilock *multilock;
    tenure_election *election;
    tenure_session *session;
    bool had[THINGS]; /* by completions */
    bool refused;     /* one of them came with an error */
    atomic_int stops_asking;
    char names[2][64];
} me;

static bool is_held(enum thing thing)
{
    switch (thing) {
    case LOCK:
    case WRITER:
    case PERMIT:
        return tenure_lock_held(me.locks[thing]);
    case MULTILOCK:
        return tenure_multilock_held(me.multilock);
    case LEADER:
        return tenure_election_leads(me.election);
    default:
        return tenure_session_state(me.session) != TENURE_SESSION_LOST && tenure_session_remaining_ms(me.session) > 0;
    }
}

static void ask(void)
{
    for (int i = 0; i < THINGS; i++) {
        struct told *t = &me.record->told[i];
        int lost = atomic_load(&t->lost);
        int64_t begun = test_now();
        if (!is_held((enum thing)i))
            continue;
        atomic_store(&t->last_yes, begun);
        if (lost)
            atomic_store(&t->held_again, 1);
    }
}

static void lost(enum thing thing)
{
    if (atomic_load(&me.record->holds) && is_held(thing)) /* else not all of `me` is there yet */
        atomic_store(&me.record->told[thing].held_in_loss, 1);
    atomic_store(&me.record->told[thing].lost, 1);
}

static void on_lock_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    (void)lock, (void)why;
    lost((enum thing)(intptr_t)user);
}

static void on_multilock_lost(tenure_multilock *m, size_t index, const struct tenure_error *why, void *user)
{
    (void)m, (void)index, (void)why, (void)user;
    lost(MULTILOCK);
}

static void on_deposed(tenure_election *e, enum tenure_loss why, void *user)
{
    (void)e, (void)why, (void)user;
    lost(LEADER);
}

static void on_acquired(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    (void)lock, (void)token, (void)err;
    me.had[(enum thing)(intptr_t)user] = code == 0;
    me.refused = me.refused || code != 0;
}

static void on_multilock_acquired(tenure_multilock *m, int code, const struct tenure_error *err, void *user)
{
    (void)m, (void)err, (void)user;
    me.had[MULTILOCK] = code == 0;
    me.refused = me.refused || code != 0;
}

static void on_state(tenure_session *s, enum tenure_session_state state, const struct tenure_error *why, void *user)
{
    (void)s, (void)why, (void)user;
    if (state == TENURE_SESSION_CONNECTED) /* again and again, when it was in doubt in between */
        me.had[SESSION] = true;
    if (state == TENURE_SESSION_LOST)
        lost(SESSION);
}

static atomic_int gained;
static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)user;
    me.had[LEADER] = true;
    atomic_store(&me.record->told[LEADER].token, token);
    atomic_store(&gained, 1);
}

static struct tenure_lock_options lock_options(enum thing thing)
{
    return (struct tenure_lock_options){.size = sizeof(struct tenure_lock_options),
                                        .ttl_s = TTL_S,
                                        .on_lost = on_lock_lost,
                                        .on_acquired = on_acquired,
                                        .user = (void *)(intptr_t)thing};
}

static void name_parts(const char *way, struct tenure_multilock_part parts[2], char names[2][64])
{
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "stopped-multi-%s-%d", way, i);
        parts[i] = (struct tenure_multilock_part){.size = sizeof parts[i], .name = names[i]};
    }
}

static const char *name_of(enum thing thing, const char *way)
{
    static char name[64];
    snprintf(name, sizeof name, "stopped-%s-%s", thing_names[thing], way);
    return name;
}

static struct tenure_election *stand(const char *way)
{
    struct tenure_election_options o = {
        .size = sizeof o, .ttl_s = TTL_S, .once = true, .on_gained = on_gained, .on_lost = on_deposed};
    return tenure_election_start(me.handle, name_of(LEADER, way), &o, NULL);
}

/* By calls that wait. */
static bool take_blocking(const char *way)
{
    struct tenure_lock_options o[] = {lock_options(LOCK), lock_options(WRITER), lock_options(PERMIT)};
    struct tenure_multilock_options mo = {.size = sizeof mo, .ttl_s = TTL_S, .on_lost = on_multilock_lost};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = TTL_S, .on_state = on_state};
    struct tenure_multilock_part parts[2];
    name_parts(way, parts, me.names);
    me.locks[LOCK] = tenure_lock_acquire(me.handle, name_of(LOCK, way), &o[LOCK], NULL);
    me.locks[WRITER] = tenure_rwlock_write(me.handle, name_of(WRITER, way), &o[WRITER], NULL);
    me.locks[PERMIT] = tenure_semaphore_acquire(me.handle, name_of(PERMIT, way), 1, 1, &o[PERMIT], NULL);
    me.multilock = tenure_multilock_acquire(me.handle, parts, 2, &mo, NULL);
    me.session = tenure_session_open(me.handle, &so, NULL);
    me.election = stand(way);
    return me.locks[LOCK] && me.locks[WRITER] && me.locks[PERMIT] && me.multilock && me.session && me.election &&
           test_await(is_set, &gained);
}

/* By completions; they come from the loop. */
static bool take_by_completions(const char *way)
{
    struct tenure_lock_options o[] = {lock_options(LOCK), lock_options(WRITER), lock_options(PERMIT)};
    struct tenure_multilock_options mo = {
        .size = sizeof mo, .ttl_s = TTL_S, .on_lost = on_multilock_lost, .on_acquired = on_multilock_acquired};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = TTL_S, .on_state = on_state};
    struct tenure_multilock_part parts[2];
    name_parts(way, parts, me.names);
    me.locks[LOCK] = tenure_lock_start(me.handle, name_of(LOCK, way), &o[LOCK], NULL);
    me.locks[WRITER] = tenure_rwlock_write_start(me.handle, name_of(WRITER, way), &o[WRITER], NULL);
    me.locks[PERMIT] = tenure_semaphore_start(me.handle, name_of(PERMIT, way), 1, 1, &o[PERMIT], NULL);
    me.multilock = tenure_multilock_start(me.handle, parts, 2, &mo, NULL);
    me.session = tenure_session_start(me.handle, &so, NULL);
    me.election = stand(way);
    return me.locks[LOCK] && me.locks[WRITER] && me.locks[PERMIT] && me.multilock && me.session && me.election;
}

static bool has_all(void)
{
    for (int i = 0; i < THINGS; i++)
        if (!me.had[i])
            return false;
    return true;
}

static bool all_lost(void)
{
    for (int i = 0; i < THINGS; i++)
        if (!atomic_load(&me.record->told[i].lost))
            return false;
    return true;
}

/* Often, and not so often that nobody else gets to run. */
static void ask_and_rest(void)
{
    ask();
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* From another thread than the loop's, all the time. */
static void *ask_all_the_time(void *arg)
{
    (void)arg;
    while (!atomic_load(&me.stops_asking))
        ask_and_rest();
    return NULL;
}

/* Everything is held: from now on it may be stopped. */
static pthread_t begin_to_ask(void)
{
    pthread_t thread;
    for (int i = 0; i < 3; i++)
        atomic_store(&me.record->told[i].token, tenure_lock_token(me.locks[i]));
    atomic_store(&me.record->told[MULTILOCK].token, tenure_multilock_token(me.multilock, 0));
    ask();
    pthread_create(&thread, NULL, ask_all_the_time, NULL);
    atomic_store(&me.record->holds, 1);
    return thread;
}

static void end_asking(pthread_t thread)
{
    for (int i = 0; i < 200; i++)
        ask_and_rest();
    atomic_store(&me.stops_asking, 1);
    pthread_join(thread, NULL);
    atomic_store(&me.record->done, 1);
}

static void turn_epoll(int epoll)
{
    struct epoll_event event;
    int timeout = tenure_timeout_ms(me.handle);
    epoll_wait(epoll, &event, 1, timeout < 0 || timeout > 20 ? 20 : timeout);
    tenure_turn(me.handle);
}

static bool hold_on_epoll(const char *url)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    me.handle = tenure_open_poll(url, NULL, NULL);
    if (!me.handle || epoll_ctl(epoll, EPOLL_CTL_ADD, tenure_fd(me.handle), &event) != 0 ||
        !take_by_completions(way_names[EPOLL]))
        return false;
    while (!has_all())
        if (turn_epoll(epoll), me.refused)
            return false;
    pthread_t thread = begin_to_ask();
    while (!all_lost()) {
        turn_epoll(epoll);
        ask();
    }
    end_asking(thread);
    tenure_close(me.handle);
    close(epoll);
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static bool hold_on_libuv(const char *url)
{
    uv_loop_t loop;
    uv_timer_t timer;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_timer, 20, 20);
    me.handle = tenure_open_uv(&loop, url, NULL, NULL);
    if (!me.handle || !take_by_completions(way_names[LIBUV]))
        return false;
    while (!has_all())
        if (uv_run(&loop, UV_RUN_ONCE), me.refused)
            return false;
    pthread_t thread = begin_to_ask();
    while (!all_lost()) {
        uv_run(&loop, UV_RUN_ONCE);
        ask();
    }
    end_asking(thread);
    uv_close((uv_handle_t *)&timer, NULL);
    tenure_close_start(me.handle, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0;
}

static bool hold_blocking(const char *url)
{
    me.handle = tenure_open(url, NULL, NULL);
    if (!me.handle || !take_blocking(way_names[BLOCKING]))
        return false;
    pthread_t thread = begin_to_ask();
    while (!all_lost())
        ask_and_rest();
    end_asking(thread);
    tenure_close(me.handle);
    return true;
}

static pid_t start_holder(const char *url, enum way way, struct record *record)
{
    static bool (*const holders[])(const char *url) = {hold_blocking, hold_on_libuv, hold_on_epoll};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    me.record = record;
    bool is_well = holders[way](url);
    atomic_store(&record->failed, !is_well);
    _exit(is_well ? 0 : 1);
}

/* ---- the next one ---- */

struct next {
    tenure_lock *locks[3];
    tenure_multilock *multilock;
    tenure_election *election;
    tenure_token tokens[THINGS];
    int64_t at[THINGS]; /* when it was told "held", at the latest */
    atomic_int leads;
};

static void on_next_gained(tenure_election *e, tenure_token token, void *user)
{
    struct next *n = user;
    (void)e;
    n->tokens[LEADER] = token;
    n->at[LEADER] = test_now();
    atomic_store(&n->leads, 1);
}

/* In line behind the stopped one for everything; waits for it all. */
static void take_over(tenure_client *c, const char *way, struct next *n)
{
    struct tenure_election_options eo = {.size = sizeof eo, .on_gained = on_next_gained, .user = n};
    struct tenure_multilock_part parts[2];
    char names[2][64];
    name_parts(way, parts, names);
    n->election = tenure_election_start(c, name_of(LEADER, way), &eo, NULL);
    n->locks[LOCK] = tenure_lock_acquire(c, name_of(LOCK, way), NULL, NULL);
    n->at[LOCK] = test_now();
    n->locks[WRITER] = tenure_rwlock_write(c, name_of(WRITER, way), NULL, NULL);
    n->at[WRITER] = test_now();
    n->locks[PERMIT] = tenure_semaphore_acquire(c, name_of(PERMIT, way), 1, 1, NULL, NULL);
    n->at[PERMIT] = test_now();
    n->multilock = tenure_multilock_acquire(c, parts, 2, NULL, NULL);
    n->at[MULTILOCK] = test_now();
    assert_true(n->election && n->locks[LOCK] && n->locks[WRITER] && n->locks[PERMIT] && n->multilock);
    await_flag(&n->leads);
    for (int i = 0; i < 3; i++)
        n->tokens[i] = tenure_lock_token(n->locks[i]);
    n->tokens[MULTILOCK] = tenure_multilock_token(n->multilock, 0);
}

static void let_go(struct next *n)
{
    for (int i = 0; i < 3; i++)
        assert_int_equal(tenure_unlock(n->locks[i], NULL), 0);
    assert_int_equal(tenure_multilock_unlock(n->multilock, NULL), 0);
    tenure_election_stop(n->election);
}

/* ---- the test ---- */

static bool is_past(void *user)
{
    return test_now() >= *(int64_t *)user;
}

static void judge(enum way way, const struct record *r, const struct next *n, int64_t safe_until)
{
    for (int i = 0; i < THINGS; i++) {
        const struct told *t = &r->told[i];
        if (t->last_yes > safe_until)
            fail_msg("%s, %s: told 'held' %" PRId64 " ms beyond safe-until", way_names[way], thing_names[i],
                     t->last_yes - safe_until);
        if (t->held_in_loss || t->held_again || t->last_yes == 0)
            fail_msg("%s, %s: held in its loss %d, again %d, first %d", way_names[way], thing_names[i], t->held_in_loss,
                     t->held_again, t->last_yes != 0);
        if (i == SESSION)
            continue;
        if (t->last_yes >= n->at[i])
            fail_msg("%s, %s: held beside the next one", way_names[way], thing_names[i]);
        if (t->token == 0 || n->tokens[i] <= t->token)
            fail_msg("%s, %s: token %" PRId64 " behind %" PRId64, way_names[way], thing_names[i], n->tokens[i],
                     t->token);
    }
}

static bool holds_or_failed(void *user)
{
    struct record *r = user;
    return atomic_load(&r->holds) || atomic_load(&r->failed);
}

/* All hold, and all are stopped. False, and they are gone: on this machine one lost before it was stopped. */
static bool all_stopped(const char *url, struct record r[WAYS], pid_t pids[WAYS])
{
    int status, lost = 0;
    memset(r, 0, WAYS * sizeof *r);
    for (int i = 0; i < WAYS; i++)
        pids[i] = start_holder(url, (enum way)i, &r[i]);
    for (int i = 0; i < WAYS; i++)
        assert_true(test_await(holds_or_failed, &r[i]));
    for (int i = 0; i < WAYS; i++)
        assert_int_equal(kill(pids[i], SIGSTOP), 0); /* one that has ended is not collected yet */
    for (int i = 0; i < WAYS; i++) {
        assert_int_equal(waitpid(pids[i], &status, WUNTRACED), pids[i]);
        bool has_ended = !WIFSTOPPED(status);
        for (int k = 0; k < THINGS; k++)
            has_ended = has_ended || atomic_load(&r[i].told[k].lost);
        lost += has_ended;
        if (!WIFSTOPPED(status))
            pids[i] = 0;
    }
    for (int i = 0; i < WAYS && lost; i++)
        if (pids[i] != 0) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], &status, 0);
        }
    return lost == 0;
}

static void a_holder_stopped_for_twice_its_ttl_is_not_told_held(void **state)
{
    struct server *s = *state;
    static struct next next[WAYS];
    pid_t pids[WAYS];
    int status;
    struct record *r = mmap(NULL, WAYS * sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(r != MAP_FAILED);
    int tries = 0;
    while (!all_stopped(server_url(s), r, pids)) /* before there is a thread here */
        assert_true(++tries < 5);
    int64_t stopped = test_now(), until = stopped + 2 * TTL_S * 1000;

    tenure_client *c = open_on(s);
    for (int i = 0; i < WAYS; i++)
        take_over(c, way_names[i], &next[i]);
    assert_true(test_await(is_past, &until));
    for (int i = 0; i < WAYS; i++)
        assert_int_equal(kill(pids[i], SIGCONT), 0);
    for (int i = 0; i < WAYS; i++) {
        await_flag(&r[i].done);
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
        /* Nothing that was sent behind the stop was answered within it: that is as late as safe-until can be. */
        judge((enum way)i, &r[i], &next[i], stopped + TTL_S * 1000 - MARGIN_MS);
    }
    for (int i = 0; i < WAYS; i++) { /* what the stopped ones let go of was theirs */
        assert_true(tenure_lock_held(next[i].locks[LOCK]) && tenure_lock_held(next[i].locks[WRITER]));
        assert_true(tenure_lock_held(next[i].locks[PERMIT]) && tenure_multilock_held(next[i].multilock));
        assert_true(tenure_election_leads(next[i].election));
        let_go(&next[i]);
    }
    tenure_close(c);
    munmap(r, WAYS * sizeof *r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_holder_stopped_for_twice_its_ttl_is_not_told_held),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
