/* Other processes in the same queue, for tests that are programs: etcdctl, or the test program itself in another role. */
#ifndef TESTS_E2E_OTHERS_H
#define TESTS_E2E_OTHERS_H

#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct other {
    pid_t pid;
    FILE *out;
};

/* Runs program (found by PATH), its output in a pipe; it dies with us. */
static inline struct other other_start(const char *const *argv)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(fds[1]);
    return (struct other){.pid = pid, .out = fdopen(fds[0], "r")};
}

static inline void other_says(struct other *o, const char *wanted)
{
    char line[256] = "";
    if (!fgets(line, sizeof line, o->out) || strncmp(line, wanted, strlen(wanted)) != 0)
        fail_msg("another process said '%s', wanted '%s'", line, wanted);
}

static inline void other_end(struct other *o, int signal)
{
    kill(o->pid, signal);
    assert_int_equal(waitpid(o->pid, NULL, 0), o->pid);
    fclose(o->out);
}

/* `etcdctl lock PATH`; says the key when it has it, lets go at SIGINT. */
static inline struct other etcdctl_lock(const struct server *s, const char *path)
{
    char endpoints[128];
    snprintf(endpoints, sizeof endpoints, "--endpoints=%s", server_url(s));
    setenv("ETCDCTL_API", "3", 1);
    return other_start((const char *const[]){"etcdctl", endpoints, "lock", path, NULL});
}

/* The test program again, as "hold WHAT NAME URL"; see holder_main. */
static inline struct other holder(const struct server *s, const char *what, const char *name)
{
    struct other o = other_start((const char *const[]){"/proc/self/exe", "hold", what, name, server_url(s), NULL});
    other_says(&o, "held");
    return o;
}

/* Takes a lock with the least TTL, says so, and waits to be killed. what: read, write, or the weight of a permit of 3. */
static inline _Noreturn void holder_main(char **argv)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = 2};
    tenure_client *c = tenure_open(argv[4], NULL, &err);
    tenure_lock *l = !c                              ? NULL
                     : strcmp(argv[2], "read") == 0  ? tenure_rwlock_read(c, argv[3], &o, &err)
                     : strcmp(argv[2], "write") == 0 ? tenure_rwlock_write(c, argv[3], &o, &err)
                                                     : tenure_semaphore_acquire(c, argv[3], atoi(argv[2]), 3, &o, &err);
    printf("%s\n", l ? "held" : err.text);
    fflush(stdout);
    for (;;)
        pause();
}

/* How many stand in the queue, and how many of them hold. */
static inline size_t queue_of(tenure_client *c, const char *name, size_t *ret_holders)
{
    struct tenure_error err = {0};
    struct tenure_lock_list *list = NULL;
    no_error(tenure_lock_list(c, name, NULL, &list, &err), &err);
    size_t n = list->n;
    *ret_holders = 0;
    for (size_t i = 0; i < n; i++)
        *ret_holders += list->shares[i].holds;
    tenure_lock_list_free(list);
    return n;
}

struct queue_wanted {
    tenure_client *client;
    const char *name;
    size_t n;
};

static inline bool has_so_many(void *user)
{
    struct queue_wanted *q = user;
    size_t holders;
    return queue_of(q->client, q->name, &holders) == q->n;
}

static inline void await_queue(tenure_client *c, const char *name, size_t n)
{
    struct queue_wanted q = {c, name, n};
    assert_true(test_await(has_so_many, &q));
}

static inline void unlock(tenure_lock *l)
{
    struct tenure_error err = {0};
    no_error(tenure_unlock(l, &err), &err);
}

/* A lock that is waited for without a thread. */
struct waiting {
    atomic_int acquired, released, lost;
    int code;
    tenure_token token;
    tenure_lock *lock;
};

static inline void on_waiting_acquired(tenure_lock *l, int code, tenure_token token, const struct tenure_error *err,
                                       void *user)
{
    struct waiting *w = user;
    (void)l, (void)err;
    w->code = code;
    w->token = token;
    atomic_store(&w->acquired, 1);
}

static inline void on_waiting_released(int code, void *user)
{
    struct waiting *w = user;
    w->code = code;
    atomic_store(&w->released, 1);
}

static inline void on_waiting_lost(tenure_lock *l, const struct tenure_error *why, void *user)
{
    struct waiting *w = user;
    (void)why;
    if (!tenure_lock_held(l))
        atomic_store(&w->lost, 1);
}

static inline struct tenure_lock_options waiting_options(struct waiting *w)
{
    return (struct tenure_lock_options){.size = sizeof(struct tenure_lock_options),
                                        .on_acquired = on_waiting_acquired,
                                        .on_released = on_waiting_released,
                                        .on_lost = on_waiting_lost,
                                        .user = w};
}

static inline void await_held(struct waiting *w)
{
    await_flag(&w->acquired);
    assert_int_equal(w->code, 0);
    assert_true(tenure_lock_held(w->lock));
}

#endif
