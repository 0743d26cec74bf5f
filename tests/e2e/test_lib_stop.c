/* A holder that is stopped (SIGSTOP) for longer than its TTL, and continued: L2, L3, M2. The holder is a process of its own;
 * both sides record times on CLOCK_BOOTTIME in memory that they share. */
#include "lib.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TTL_S 2

struct record {
    atomic_int holds, lost, leading, deposed, failed, done;
    _Atomic(tenure_token) token, election_token;
    _Atomic(int64_t) last_held, last_led; /* the last time at which an asking began that was answered "yes" */
    atomic_int successes_before_loss;     /* calls whose success was told after the stop, but before the loss */
    atomic_int held_after_loss;
};

static void on_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    struct record *r = user;
    (void)why;
    atomic_store(&r->held_after_loss, tenure_lock_held(lock));
    atomic_store(&r->lost, 1);
}

static void on_leading(tenure_election *e, tenure_token token, void *user)
{
    struct record *r = user;
    (void)e;
    if (atomic_load(&r->leading))
        return; /* again, after the loss */
    atomic_store(&r->election_token, token);
    atomic_store(&r->leading, 1);
}

static void on_deposed(tenure_election *e, enum tenure_loss why, void *user)
{
    struct record *r = user;
    (void)why;
    if (tenure_election_leads(e))
        atomic_store(&r->held_after_loss, 1);
    atomic_store(&r->deposed, 1);
}

static void on_got(void *user, int code, struct tenure_get_result *g, const struct tenure_error *err);

struct reader {
    tenure_client *handle;
    struct record *record;
};

/* Each one after the other, so that several are under way whenever the stop comes. */
#define READERS 16
static void read_again(struct reader *r)
{
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = 60000};
    if (!atomic_load(&r->record->done))
        tenure_get_start(r->handle, S("stop/any"), &o, on_got, r, NULL);
}

/* Behind the stop, which is longer than the TTL, the loss must have been told first. */
static void on_got(void *user, int code, struct tenure_get_result *g, const struct tenure_error *err)
{
    struct reader *r = user;
    (void)err;
    tenure_get_free(g);
    if (code == 0 && test_now() > atomic_load(&r->record->last_held) + TTL_S * 1000 && !atomic_load(&r->record->lost))
        atomic_fetch_add(&r->record->successes_before_loss, 1);
    read_again(r);
}

static void ask(struct record *r, tenure_lock *l, tenure_election *e)
{
    int64_t begun = test_now();
    if (tenure_lock_held(l))
        atomic_store(&r->last_held, begun);
    begun = test_now();
    if (atomic_load(&r->deposed) == 0 && tenure_election_leads(e))
        atomic_store(&r->last_led, begun);
}

static void hold(const struct server *s, struct record *r)
{
    struct tenure_lock_options lo = {.size = sizeof lo, .ttl_s = TTL_S, .on_lost = on_lost, .user = r};
    struct tenure_election_options eo = {
        .size = sizeof eo, .ttl_s = TTL_S, .on_gained = on_leading, .on_lost = on_deposed, .user = r};
    tenure_client *c = tenure_open(server_url(s), NULL, NULL);
    struct reader reader = {c, r};
    tenure_lock *l = c ? tenure_lock_acquire(c, "stop", &lo, NULL) : NULL;
    tenure_election *e = l ? tenure_election_start(c, "stop", &eo, NULL) : NULL;
    if (!e || !test_await(is_set, &r->leading)) {
        atomic_store(&r->failed, 1);
        _exit(1);
    }
    atomic_store(&r->token, tenure_lock_token(l));
    atomic_store(&r->last_held, test_now());
    for (int i = 0; i < READERS; i++)
        read_again(&reader);
    atomic_store(&r->holds, 1);
    while (!atomic_load(&r->lost) || !atomic_load(&r->deposed))
        ask(r, l, e);
    for (int i = 0; i < 1000; i++)
        ask(r, l, e);
    atomic_store(&r->done, 1);
    tenure_unlock(l, NULL);
    tenure_close(c);
    _exit(0);
}

static pid_t start_holder(const struct server *s, struct record *r)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        hold(s, r);
    }
    return pid;
}

struct next_leader {
    atomic_int gained;
    tenure_token token;
    int64_t at;
};

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    struct next_leader *n = user;
    (void)e;
    n->token = token;
    n->at = test_now();
    atomic_store(&n->gained, 1);
}

static void a_stopped_holder_never_answers_held_beside_the_next_one(void **state)
{
    struct server *s = *state;
    struct tenure_error err = {0};
    struct record *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(r != MAP_FAILED);
    pid_t pid = start_holder(s, r); /* before there is a thread here */
    await_flag(&r->holds);
    int status;
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid); /* it stands by now */
    assert_true(WIFSTOPPED(status));

    tenure_client *c = open_on(s);
    struct next_leader leader = {0};
    struct tenure_election_options o = {.size = sizeof o, .on_gained = on_gained, .user = &leader};
    tenure_election *e = tenure_election_start(c, "stop", &o, &err);
    tenure_lock *l = tenure_lock_acquire(c, "stop", NULL, &err); /* waits for the stopped one's lease to end */
    int64_t taken_at = test_now();
    assert_non_null(l);
    await_flag(&leader.gained);
    assert_int_equal(atomic_load(&r->lost), 0);
    kill(pid, SIGCONT);

    await_flag(&r->done);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(tenure_lock_token(l) > r->token);
    assert_true(leader.token > r->election_token);
    assert_true(r->last_held < taken_at);
    assert_true(r->last_led < leader.at);
    assert_int_equal(r->held_after_loss, 0);
    /* The stop may come when a completion is being called already; of those behind it none. */
    assert_true(r->successes_before_loss <= 1);
    assert_true(tenure_lock_held(l));
    tenure_election_stop(e);
    assert_int_equal(tenure_unlock(l, &err), 0);
    tenure_close(c);
    munmap(r, sizeof *r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_holder_never_answers_held_beside_the_next_one),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
