/* Calls that are given up together: a lock that somebody else has, asked for in a scope that another thread cancels, and
 * in one with a deadline.
 *
 *     cc scope.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <pthread.h>
#include <stdio.h>

#include <tenure/tenure.h>

/* Stands for the user who has lost patience. */
static void *interrupt(void *scope)
{
    tenure_scope_cancel(scope);
    return NULL;
}

/* All that a request needs; nothing in here knows of the scope. */
static int serve_request(tenure_client *c, struct tenure_error *err)
{
    tenure_lock *lock = tenure_lock_acquire(c, "example/scope", NULL, err);
    if (!lock)
        return err->code;
    return tenure_unlock(lock, err);
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    pthread_t thread;
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    tenure_lock *held = c ? tenure_lock_acquire(c, "example/scope", NULL, &err) : NULL;
    tenure_scope *request = held ? tenure_scope_new(NULL, &err) : NULL;
    struct tenure_scope_options o = {.size = sizeof o, .timeout_ms = 100};
    tenure_scope *short_one = request ? tenure_scope_new(&o, &err) : NULL;
    if (!short_one || pthread_create(&thread, NULL, interrupt, request) != 0)
        return fprintf(stderr, "%s\n", err.text), 1;

    tenure_scope *before = tenure_scope_use(request);
    int rc = serve_request(c, &err);
    printf("cancelled: %s\n", rc == TENURE_ECANCELLED ? "yes" : err.text);

    tenure_scope_use(short_one);
    rc = serve_request(c, &err);
    printf("timed out: %s\n", rc == TENURE_ETIMEOUT ? "yes" : err.text);
    tenure_scope_use(before);

    pthread_join(thread, NULL);
    tenure_scope_free(request);
    tenure_scope_free(short_one);
    rc = tenure_unlock(held, &err);
    if (rc == 0)
        rc = serve_request(c, &err);
    printf("served: %s\n", rc == 0 ? "yes" : err.text);
    tenure_close(c);
    return rc == 0 ? 0 : 1;
}
