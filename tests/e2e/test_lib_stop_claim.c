/* A process that is stopped (SIGSTOP) for longer than its lease in the middle of a claim: of several locks, of which it has the
 * first and waits for the second; of a permit, for which it waits; of an item, which it has taken. Continued, it has none of them
 * while others have them, queues again, and gets its turn (M1, M2, M9, Q3, L2). */
#include "lib.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TTL_S 2

struct record {
    atomic_int begin, taken, acknowledge, acked, failed; /* acked: 1 when ack has answered */
    atomic_int ack_code;
    _Atomic(int64_t) several_at, permit_at; /* when each was had; 0 = not yet */
    _Atomic(tenure_token) first_token, permit_token;
};

struct child {
    tenure_client *handle;
    struct record *record;
};

static void *give_up(struct child *c)
{
    atomic_store(&c->record->failed, 1);
    return NULL;
}

static void *claim_several(void *arg)
{
    struct child *c = arg;
    struct tenure_multilock_part parts[2] = {{.size = sizeof parts[0], .name = "claim-a"},
                                             {.size = sizeof parts[0], .name = "claim-b"}};
    struct tenure_multilock_options o = {.size = sizeof o, .ttl_s = TTL_S};
    tenure_multilock *m = tenure_multilock_acquire(c->handle, parts, 2, &o, NULL);
    if (!m)
        return give_up(c);
    atomic_store(&c->record->first_token, tenure_multilock_token(m, 0));
    atomic_store(&c->record->several_at, test_now());
    tenure_multilock_unlock(m, NULL);
    return NULL;
}

static void *claim_permit(void *arg)
{
    struct child *c = arg;
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = TTL_S};
    tenure_lock *l = tenure_semaphore_acquire(c->handle, "claim-p", 1, 1, &o, NULL);
    if (!l)
        return give_up(c);
    atomic_store(&c->record->permit_token, tenure_lock_token(l));
    atomic_store(&c->record->permit_at, test_now());
    tenure_unlock(l, NULL);
    return NULL;
}

static tenure_queue *queue_of(tenure_client *c)
{
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_WORK, .ttl_s = TTL_S};
    return tenure_queue_open(c, "claim-q", &o, NULL);
}

static void *claim_item(void *arg)
{
    struct child *c = arg;
    tenure_queue *q = queue_of(c->handle);
    struct tenure_queue_item *item = NULL;
    if (!q || tenure_queue_take(q, 0, &item, NULL) != 0)
        return give_up(c);
    atomic_store(&c->record->taken, 1);
    await_flag(&c->record->acknowledge);
    atomic_store(&c->record->ack_code, tenure_queue_ack(q, item, NULL));
    atomic_store(&c->record->acked, 1);
    tenure_queue_item_free(item);
    tenure_queue_close(q);
    return NULL;
}

static void claim_all(const struct server *s, struct record *r)
{
    void *(*const claims[])(void *) = {claim_several, claim_permit, claim_item};
    pthread_t threads[3];
    await_flag(&r->begin);
    struct child c = {tenure_open(server_url(s), NULL, NULL), r};
    if (!c.handle)
        _exit(1);
    for (int i = 0; i < 3; i++)
        if (pthread_create(&threads[i], NULL, claims[i], &c) != 0)
            _exit(1);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    tenure_close(c.handle);
    _exit(atomic_load(&r->failed));
}

static pid_t start_child(const struct server *s, struct record *r)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        claim_all(s, r);
    }
    return pid;
}

/* ---- the others ---- */

struct stand {
    tenure_client *handle;
    const char *name;
    size_t n;
};

static bool stand_there(void *user)
{
    struct stand *s = user;
    struct tenure_lock_list *list = NULL;
    struct tenure_error err = {0};
    no_error(tenure_lock_list(s->handle, s->name, NULL, &list, &err), &err);
    bool there = list->n == s->n;
    tenure_lock_list_free(list);
    return there;
}

static void await_standing(tenure_client *c, const char *name, size_t n)
{
    assert_true(test_await(stand_there, &(struct stand){c, name, n}));
}

static tenure_lock *lock(tenure_client *c, const char *name)
{
    struct tenure_error err = {0};
    tenure_lock *l = tenure_lock_acquire(c, name, NULL, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static tenure_lock *permit(tenure_client *c)
{
    struct tenure_error err = {0};
    tenure_lock *l = tenure_semaphore_acquire(c, "claim-p", 1, 1, NULL, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static void unlock(tenure_lock *l)
{
    struct tenure_error err = {0};
    no_error(tenure_unlock(l, &err), &err);
}

static bool has_both(void *user)
{
    struct record *r = user;
    return atomic_load(&r->several_at) && atomic_load(&r->permit_at);
}

/* What the stopped one had or waited for goes to the next ones when its leases end, and no earlier. */
static void a_claim_is_stopped_in_its_middle_and_has_nothing_when_it_goes_on(void **state)
{
    struct server *s = *state;
    struct tenure_error err = {0};
    struct tenure_queue_item *item = NULL;
    int status;
    struct record *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(r != MAP_FAILED);
    pid_t pid = start_child(s, r); /* before there is a thread here */
    tenure_client *c = open_on(s);
    tenure_lock *b = lock(c, "claim-b"), *p = permit(c);
    tenure_queue *q = queue_of(c);
    assert_non_null(q);
    no_error(tenure_queue_put(q, S("work"), NULL, &err), &err);
    atomic_store(&r->begin, 1);
    await_standing(c, "claim-a", 1);
    await_standing(c, "claim-b", 2);
    await_standing(c, "claim-p", 2);
    await_flag(&r->taken);

    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid); /* it has stopped by now */
    assert_true(WIFSTOPPED(status));
    unlock(b);
    unlock(p);
    tenure_lock *a = lock(c, "claim-a");
    p = permit(c);
    no_error(tenure_queue_take(q, 0, &item, &err), &err);
    assert_int_equal(item->deliveries, 2);
    assert_int_equal(atomic_load(&r->several_at), 0);
    atomic_store(&r->acknowledge, 1);
    kill(pid, SIGCONT);

    await_flag(&r->acked);
    assert_int_equal(atomic_load(&r->ack_code), TENURE_ELOST);
    no_error(tenure_queue_ack(q, item, &err), &err);
    await_standing(c, "claim-a", 2); /* it queues again, behind us */
    await_standing(c, "claim-p", 2);
    assert_int_equal(atomic_load(&r->several_at), 0);
    assert_int_equal(atomic_load(&r->permit_at), 0);
    tenure_token token_a = tenure_lock_token(a), token_p = tenure_lock_token(p);
    assert_true(tenure_lock_held(a) && tenure_lock_held(p));
    int64_t from = test_now();
    unlock(a);
    unlock(p);
    assert_true(test_await(has_both, r));
    assert_true(atomic_load(&r->several_at) >= from && atomic_load(&r->permit_at) >= from);
    assert_true(atomic_load(&r->first_token) > token_a && atomic_load(&r->permit_token) > token_p);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    tenure_queue_item_free(item);
    tenure_queue_close(q);
    tenure_close(c);
    munmap(r, sizeof *r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_claim_is_stopped_in_its_middle_and_has_nothing_when_it_goes_on),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
