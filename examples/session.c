/* A worker that hangs must not keep the lock: its session is renewed only while the worker says that it lives.
 *
 *     cc session.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

static const char *const names[] = {"starting", "connected", "suspended", "lost"};

static void on_state(tenure_session *s, enum tenure_session_state state, const struct tenure_error *why, void *user)
{
    (void)s, (void)user;
    if (state == TENURE_SESSION_SUSPENDED || state == TENURE_SESSION_LOST)
        fprintf(stderr, "the session is %s%s%s\n", names[state], why ? ": " : "", why ? why->text : "");
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err); /* NULL: TENURE_ENDPOINTS, or this machine */
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 10, .heartbeat_ms = 5000, .on_state = on_state};
    tenure_session *s = tenure_session_open(c, &so, &err);
    struct tenure_lock_options lo = {.size = sizeof lo, .session = s, .wait_ms = 5000};
    tenure_lock *lock = s ? tenure_lock_acquire(c, "worker", &lo, &err) : NULL;

    for (int job = 1; lock && job <= 3 && tenure_lock_held(lock); job++) {
        tenure_session_beat(s); /* before each job: one that takes longer than 5 s may cost us the lock */
        printf("job %d, under token %" PRId64 "\n", job, tenure_lock_token(lock));
    }

    int rc = lock ? tenure_unlock(lock, &err) : -1;
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    tenure_session_close(s, NULL);
    tenure_close(c);
    return rc < 0 ? 1 : 0;
}
