/* What calls cost from where it runs: the median of a few of each, in milliseconds, or why it failed.
 *
 *     costs ENDPOINTS CALL_TIMEOUT_MS          prints lines `open 12.3`, `read 4.5`, … `write -` and, on stderr, why
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenure/tenure.h>
#include <time.h>
#include <unistd.h>

enum { TIMES = 3 };

static tenure_client *client;
static const char *endpoints;
static struct tenure_options options = {.size = sizeof options};
static struct tenure_error err;

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A new program's first read. */
static int open_and_read(void)
{
    tenure_client *c = tenure_open(endpoints, &options, &err);
    int rc = c ? tenure_get(c, tenure_str("costs"), NULL, NULL, &err) : err.code;
    tenure_close(c);
    return rc;
}

static int read_newest(void)
{
    return tenure_get(client, tenure_str("costs"), NULL, NULL, &err);
}

static int read_serializable(void)
{
    struct tenure_get_options o = {.size = sizeof o, .serializable = true};
    return tenure_get(client, tenure_str("costs"), &o, NULL, &err);
}

static int write_one(void)
{
    return tenure_put(client, tenure_str("costs"), tenure_str("1"), NULL, NULL, &err);
}

/* Taken, not given back. */
static int lock(void)
{
    static int n;
    char name[64];
    snprintf(name, sizeof name, "costs-%d-%d", getpid(), n++);
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = options.call_timeout_ms};
    return tenure_lock_acquire(client, name, &o, &err) ? 0 : err.code;
}

static int elect(void)
{
    static int n;
    char name[64];
    snprintf(name, sizeof name, "costs-%d-%d", getpid(), n++);
    struct tenure_election_options o = {.size = sizeof o, .wait_ms = options.call_timeout_ms};
    tenure_election *e = tenure_election_start(client, name, &o, &err);
    return e ? tenure_election_await(e, options.call_timeout_ms, &err) : err.code;
}

static int discover(void)
{
    struct tenure_instances *found = tenure_discover(client, "costs", NULL, &err);
    tenure_instances_free(found);
    return found ? 0 : err.code;
}

static void measure(const char *what, int (*call)(void))
{
    double took[TIMES];
    for (int i = 0; i < TIMES; i++) {
        double begun = now_ms();
        if (call() != 0) {
            printf("%s - %.1f\n", what, now_ms() - begun);
            fprintf(stderr, "%s: %s\n", what, err.text);
            return;
        }
        took[i] = now_ms() - begun;
    }
    qsort(took, TIMES, sizeof took[0], by_size);
    printf("%s %.1f\n", what, took[TIMES / 2]);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    endpoints = argv[1];
    options.call_timeout_ms = atoi(argv[2]);
    client = tenure_open(endpoints, &options, &err);
    if (!client)
        return fprintf(stderr, "%s\n", err.text), 1;
    tenure_get(client, tenure_str("costs"), NULL, NULL, NULL); /* connected, when it can be */
    measure("open", open_and_read);
    measure("read", read_newest);
    measure("serializable", read_serializable);
    measure("write", write_one);
    measure("lock", lock);
    measure("election", elect);
    measure("discovery", discover);
    fflush(stdout);
    _Exit(0); /* what it holds is of no more interest */
}
