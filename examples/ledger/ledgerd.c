/* A ledger that survives its machines: one of several instances books, all others stand ready.
 *
 *     ledgerd --name ledger-1 --listen 127.0.0.1:8081 --database "host=/run/postgresql dbname=ledger"
 *
 *     --advertise IPV4:PORT   where others find it, if that is another address
 *     --endpoints URLS        of the coordination servers (default: the environment's TENURE_ENDPOINTS)
 *     --ttl SECONDS           of leadership and registration (default 10)
 *     --cache FILE            keeps the last known configuration there
 *
 * What is where:
 *
 *     ledgerd.c        begin, end, health        http.c     requests and answers
 *     coordination.c   all there is of Tenure    writer.c   the queue, and the one thread that writes
 *     store.c          the two transactions      book.c     the rules (pure)
 *     schema.sql       tables behind the fence   pg.c       PostgreSQL with deadlines
 *
 * Ends by TERM or INT: it is found no more, finishes what it has, lets somebody else lead, closes. Exit codes: 0; 1 it could not begin; 2
 * wrong usage.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "coordination.h"
#include "http.h"
#include "pg.h"
#include "say.h"
#include "writer.h"

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flockfile(stderr);
    fprintf(stderr, "%" PRId64 " ", now_ms());
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(args);
}

struct settings {
    const char *name, *listen, *advertise, *database, *endpoints, *cache;
    int64_t ttl_s;
};

static int read_settings(int argc, char **argv, struct settings *s)
{
    static const struct option options[] = {
        {"name", 1, NULL, 'n'},      {"listen", 1, NULL, 'l'}, {"advertise", 1, NULL, 'a'}, {"database", 1, NULL, 'd'},
        {"endpoints", 1, NULL, 'e'}, {"ttl", 1, NULL, 't'},    {"cache", 1, NULL, 'c'},     {NULL, 0, NULL, 0}};
    for (int word; (word = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (word) {
        case 'n':
            s->name = optarg;
            break;
        case 'l':
            s->listen = optarg;
            break;
        case 'a':
            s->advertise = optarg;
            break;
        case 'd':
            s->database = optarg;
            break;
        case 'e':
            s->endpoints = optarg;
            break;
        case 't':
            s->ttl_s = strtoll(optarg, NULL, 10);
            break;
        case 'c':
            s->cache = optarg;
            break;
        default:
            return -1;
        }
    }
    if (!s->advertise)
        s->advertise = s->listen;
    return s->name && s->listen && s->database && optind == argc ? 0 : -1;
}

/* Waits up to a second for TERM or INT, which are blocked in all threads: true, it came. */
static bool is_to_end(const sigset_t *signals)
{
    return sigtimedwait(signals, NULL, &(struct timespec){.tv_sec = 1}) > 0;
}

/* Without rules nothing can be booked; who starts the daemon need not care in which order things start. NULL: told to end. */
static struct coordination *await_coordination(const struct coordination_options *o, const sigset_t *signals)
{
    struct coordination *c = NULL;
    do
        c = coordination_open(o);
    while (!c && !is_to_end(signals));
    return c;
}

/* Until told to end; keeps the registry informed of whether this instance is of any use. */
static void live(struct coordination *c, struct http *http, const sigset_t *signals)
{
    do
        coordination_set_healthy(c, http_database_answers(http));
    while (!is_to_end(signals));
}

/* In this order: no new clients; what is under way; the leadership, which somebody else takes at once; those who still ask. */
static void end(struct coordination *c, struct http *http, struct writer *writer)
{
    say("ends");
    coordination_drain(c);
    writer_stop(writer);
    coordination_resign(c);
    http_end(http);
    coordination_close(c);
    say("ended");
}

static int run(const struct settings *s, struct coordination_options *o, struct writer *writer, const sigset_t *signals)
{
    struct coordination *c = await_coordination(o, signals);
    if (!c)
        return 0;
    struct http *http = http_begin(s->listen, s->name, s->database, writer, c);
    if (!http || coordination_begin(c) < 0 || writer_begin(writer, c) < 0) {
        http_end(http);
        coordination_close(c);
        return 1;
    }
    live(c, http, signals);
    end(c, http, writer);
    return 0;
}

int main(int argc, char **argv)
{
    struct settings s = {.name = NULL};
    char address[64];
    int port = 0;
    if (read_settings(argc, argv, &s) < 0 || sscanf(s.advertise, "%63[^:]:%d", address, &port) != 2) {
        fprintf(stderr, "usage: ledgerd --name NAME --listen IPV4:PORT --database CONNINFO [--advertise IPV4:PORT] "
                        "[--endpoints URLS] [--ttl SECONDS] [--cache FILE]\n");
        return 2;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before there is a second thread */
    signal(SIGPIPE, SIG_IGN);

    struct writer *writer = writer_new(s.database);
    if (!writer)
        return 1;
    struct coordination_options o = {.name = s.name,
                                     .address = address,
                                     .port = port,
                                     .endpoints = s.endpoints,
                                     .cache = s.cache,
                                     .ttl_s = s.ttl_s,
                                     .on_lead = writer_wake,
                                     .user = writer};
    int rc = run(&s, &o, writer, &signals);
    writer_free(writer);
    return rc;
}
