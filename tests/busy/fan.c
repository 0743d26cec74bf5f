/* How long a put takes to those who watch: a writer at a source, and many watches of its key at other servers, on loopback ports.
 *
 *     fan --source PORT --at PORT[,PORT…] [--watches N] [--conns N] [--rate N] [--seconds S] [--value BYTES]
 *
 * Watches and connections are those at each port. Prints "watching" when all stand, and at the end one JSON object: puts a second,
 * and for each port, in microseconds from when a put was sent: [p50, p99, most] to a watch, and to the last watch of all ("all").
 * A watch must be told every put, once and in the order of revisions (a source may take puts in another
 * order than they were sent in): exit code 1 when one was not within 30 s behind the last put.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busy/lag.h"
#include "busy/link.h"
#include "wire/codec.h"

enum { PORTS_MAX = 256, PUTS_MAX = 1 << 22, WAIT_S = 30, INFLIGHT = 256, VALUE_MAX = 1 << 16 };

struct place {
    int port;
    struct lag one, all;
    uint32_t *told; /* of each put: how many watches */
    uint64_t events;
    size_t standing;
    struct watch *watches;
};

struct watch {
    struct place *place;
    tn_rev last; /* that it was told */
};

static struct {
    int source;
    struct place places[PORTS_MAX];
    size_t n_places, watches, conns, value_bytes;
    double rate, seconds;
    struct link *writer;
    uint64_t sent, answered, wrong;
    int64_t *sent_ns;
    size_t running;
    struct arena arena;
    struct buf body;
} run = {.watches = 1, .conns = 1, .rate = 100, .seconds = 2, .value_bytes = 64};

/* ---- watches ---- */

/* A connection has one stream, whose watches have the numbers 1 … n. */
struct stream {
    struct place *place;
    size_t first, n;
};

static void on_up(struct link *l)
{
    struct stream *s = l->user;
    struct h2_stream *st = NULL;
    for (size_t i = 0; s && i < s->n; i++) {
        struct watch_req req = {.kind = WATCH_REQ_CREATE,
                                .create = {.range.key = bytes_str("fan"), .watch_id = (int64_t)i + 1}};
        buf_reset(&run.body);
        encode_watch_req(&req, &run.body);
        if (!st)
            st = link_stream(l, "/etcdserverpb.Watch/Watch", buf_bytes(&run.body), s);
        else if (h2_send_message(st, buf_bytes(&run.body)))
            die("out of memory");
    }
}

static void on_down(struct link *l)
{
    if (l->user)
        die("a server ended a connection of watches");
}

static void told(struct watch *w, const struct event *e, int64_t now)
{
    struct place *p = w->place;
    uint64_t number = strtoull((const char *)e->kv.value.data, NULL, 10);
    if (e->kv.mod_revision <= w->last)
        run.wrong++;
    w->last = e->kv.mod_revision;
    if (number == 0 || number > run.sent)
        return;
    int64_t us = (now - run.sent_ns[number]) / 1000;
    p->events++;
    lag_add(&p->one, us);
    if (++p->told[number] == run.watches)
        lag_add(&p->all, us);
}

static void on_message(struct link *l, void *call, bytes m)
{
    struct stream *s = call;
    struct watch_resp r;
    if (!l->user)
        return;
    if (decode_watch_resp(m, &run.arena, &r) || r.canceled)
        die("a watch was refused");
    s->place->standing += r.created;
    int64_t now = now_ns();
    for (size_t i = 0; i < r.n_events; i++)
        told(&s->place->watches[s->first + (size_t)r.watch_id - 1], &r.events[i], now);
    arena_reset(&run.arena);
}

static void on_end(struct link *l, void *call, enum grpc_status code)
{
    (void)call;
    if (l->user)
        return; /* on_down says it */
    if (code != GRPC_OK)
        die("a put failed");
    run.running--;
    run.answered++;
}

static const struct link_callbacks callbacks = {
    .on_up = on_up, .on_down = on_down, .on_message = on_message, .on_end = on_end};

static void open_place(struct place *p)
{
    p->told = calloc(PUTS_MAX, sizeof p->told[0]);
    p->watches = calloc(run.watches, sizeof p->watches[0]);
    if (!p->told || !p->watches)
        die("out of memory");
    for (size_t i = 0; i < run.watches; i++)
        p->watches[i].place = p;
    for (size_t i = 0; i < run.conns; i++) {
        struct stream *s = malloc(sizeof *s);
        if (!s)
            die("out of memory");
        size_t first = run.watches * i / run.conns;
        *s = (struct stream){p, first, run.watches * (i + 1) / run.conns - first};
        link_new(p->port, &callbacks, s);
    }
}

/* ---- the writer ---- */

static void put_next(void)
{
    static char value[VALUE_MAX];
    int n = snprintf(value, sizeof value, "%" PRIu64 " ", ++run.sent);
    memset(value + n, 'v', run.value_bytes - (size_t)n);
    struct put_req req = {.key = bytes_str("fan"), .value = bytes_of(value, run.value_bytes)};
    buf_reset(&run.body);
    encode_put_req(&req, &run.body);
    run.sent_ns[run.sent] = now_ns();
    if (run.sent + 1 == PUTS_MAX || !link_call(run.writer, "/etcdserverpb.KV/Put", buf_bytes(&run.body), &run))
        die("the source cannot be written to");
    run.running++;
}

static bool turn_until(bool (*done)(void), int64_t until)
{
    bool ignored;
    while (!done() && now_ns() < until)
        links_turn(5, -1, &ignored);
    return done();
}

static bool all_stand(void)
{
    for (size_t i = 0; i < run.n_places; i++) {
        if (run.places[i].standing < run.watches)
            return false;
    }
    return run.writer->up;
}

static bool all_told(void)
{
    for (size_t i = 0; i < run.n_places; i++) {
        if (run.places[i].events < run.sent * run.watches)
            return false;
    }
    return run.running == 0;
}

/* ---- the end ---- */

static void say_lag(const char *name, const struct lag *l)
{
    printf("\"%s\": [%" PRId64 ", %" PRId64 ", %" PRId64 "]", name, lag_quantile(l, 0.5), lag_quantile(l, 0.99),
           lag_quantile(l, 1));
}

static void say(double seconds)
{
    printf("{\"puts\": %" PRIu64 ", \"rate\": %.1f, \"watches\": %zu, \"wrong\": %" PRIu64 ", \"at\": [", run.sent,
           (double)run.sent / seconds, run.watches, run.wrong);
    for (size_t i = 0; i < run.n_places; i++) {
        printf("%s{\"port\": %d, \"events\": %" PRIu64 ", ", i ? ", " : "", run.places[i].port, run.places[i].events);
        say_lag("one", &run.places[i].one);
        printf(", ");
        say_lag("all", &run.places[i].all);
        printf("}");
    }
    printf("]}\n");
}

static int measure(void)
{
    bool ignored;
    int64_t begun = now_ns(), due = begun, end = begun + (int64_t)(run.seconds * 1e9), each = (int64_t)(1e9 / run.rate);
    while (now_ns() < end) {
        int64_t now = now_ns();
        if (now - due > 200000000)
            due = now; /* what could not be sent is not made up for */
        for (; due <= now && run.running < INFLIGHT; due += each)
            put_next();
        int64_t wait = due - now_ns();
        links_turn(wait > 1000000 ? (int)(wait / 1000000) : 0, -1, &ignored);
    }
    double seconds = (double)(now_ns() - begun) / 1e9;
    bool all = turn_until(all_told, now_ns() + WAIT_S * INT64_C(1000000000));
    say(seconds);
    return all && run.wrong == 0 ? 0 : 1;
}

/* ---- options ---- */

static void parse_places(char *text)
{
    for (char *one; (one = strsep(&text, ",")) && run.n_places < PORTS_MAX;)
        run.places[run.n_places++].port = atoi(one);
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {{"source", 1, NULL, 's'}, {"at", 1, NULL, 'a'},   {"watches", 1, NULL, 'w'},
                                            {"conns", 1, NULL, 'c'},  {"rate", 1, NULL, 'r'}, {"seconds", 1, NULL, 't'},
                                            {"value", 1, NULL, 'v'},  {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's':
            run.source = atoi(optarg);
            break;
        case 'a':
            parse_places(optarg);
            break;
        case 'w':
            run.watches = (size_t)atoll(optarg);
            break;
        case 'c':
            run.conns = (size_t)atoll(optarg);
            break;
        case 'r':
            run.rate = atof(optarg);
            break;
        case 't':
            run.seconds = atof(optarg);
            break;
        case 'v':
            run.value_bytes = (size_t)atoll(optarg);
            break;
        default:
            die("see the head of fan.c for the options");
        }
    }
    if (!run.source || !run.n_places || run.rate <= 0 || run.value_bytes < 24 || run.value_bytes > VALUE_MAX)
        die("expected --source PORT --at PORT,…");
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    run.sent_ns = calloc(PUTS_MAX, sizeof run.sent_ns[0]);
    if (!run.sent_ns)
        die("out of memory");
    for (size_t i = 0; i < run.n_places; i++)
        open_place(&run.places[i]);
    run.writer = link_new(run.source, &callbacks, NULL);
    if (!turn_until(all_stand, now_ns() + 120 * INT64_C(1000000000)))
        die("not every watch came about");
    puts("watching");
    fflush(stdout);
    return measure();
}
