/* A program with its configuration: typed values, defaults, and what changes while it runs; ends by SIGTERM.
 *
 *     cc config.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <signal.h>
#include <stdio.h>

#include <tenure/tenure.h>

/* On the handle's own thread: each new state, once. */
static void on_change(tenure_config *v, int64_t revision, const struct tenure_config_change *changes, size_t n,
                      void *user)
{
    (void)v, (void)revision, (void)user;
    for (size_t i = 0; i < n; i++)
        printf("%s is %s now\n", changes[i].key, changes[i].now ? changes[i].now->value : "gone");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    sigset_t term;
    int number;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);

    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    /* Two keys at once, or none. Usually this is `tenure config set` of somebody else. */
    struct tenure_config_write first[] = {{.key = "example/conns", .value = "12"},
                                          {.key = "example/wait", .value = "1m30s"}};
    if (tenure_config_apply(c, first, 2, NULL, NULL, &err) < 0)
        return fprintf(stderr, "%s\n", err.text), 1;

    struct tenure_config_options o = {.size = sizeof o, .service = "example", .on_change = on_change};
    tenure_config *v = tenure_config_open(c, "example/", &o, &err);
    if (!v)
        return fprintf(stderr, "%s\n", err.text), 1;
    int64_t conns = tenure_config_int(v, "example/conns", 50, &err);
    int64_t wait_ms = tenure_config_duration_ms(v, "example/wait", 2000, &err);
    bool debug = tenure_config_bool(v, "example/debug", false, &err);
    printf("%d connections, %d ms, debug %s\n", (int)conns, (int)wait_ms, debug ? "on" : "off");

    /* The service's own layer overrides the default. */
    if (tenure_config_set(c, "example/conns", "20", TENURE_CONFIG_SERVICE, 0, &o, NULL, &err) < 0)
        return fprintf(stderr, "%s\n", err.text), 1;

    sigwait(&term, &number);
    tenure_config_close(v);
    tenure_close(c);
    return 0;
}
