/* A load generator for servers of the etcd v3 API: unary calls over HTTP/2 from one thread, a fixed number in flight, spread
 * over some connections. It costs little itself (wire engine and epoll), so what it shows is the server.
 *
 *     load --port N --op put|get|sget --inflight N --conns N --seconds S [--keys K] [--value BYTES]
 *
 * Prints one JSON object: calls, seconds, per second, latency percentiles in microseconds, own CPU per call. Any call that
 * does not end with status OK ends the run with exit code 1, so that no figure hides failures.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "wire/codec.h"
#include "wire/h2.h"

#define SAMPLES_MAX (1 << 22)

struct conn {
    int fd;
    struct h2_conn *h2;
    struct buf out;
    size_t written;
    bool waits_for_room;
};

struct call {
    struct conn *conn;
    int64_t begun_ns;
};

static struct {
    int port, inflight, conns;
    double seconds;
    uint64_t keys;
    size_t value_bytes;
    const char *op;
} opt = {.port = 2379, .inflight = 1, .conns = 1, .seconds = 2, .keys = 10000, .value_bytes = 256, .op = "put"};

static struct {
    int64_t end_ns, measure_from_ns;
    uint64_t calls, calls_all;
    size_t running;
    uint32_t *samples_us;
    size_t n_samples;
    struct rng rng;
    struct buf body;
    uint8_t *value;
} run;

static void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void encode_body(void)
{
    char key[33];
    snprintf(key, sizeof key, "load/%027llu", (unsigned long long)rng_below(&run.rng, opt.keys));
    buf_reset(&run.body);
    if (opt.op[0] == 'p') {
        struct put_req r = {.key = bytes_str(key), .value = bytes_of(run.value, opt.value_bytes)};
        encode_put_req(&r, &run.body);
    } else {
        struct range_req r = {.range.key = bytes_str(key), .serializable = opt.op[0] == 's'};
        encode_range_req(&r, &run.body);
    }
    if (buf_error(&run.body))
        die("out of memory");
}

static void begin(struct conn *c, struct call *call)
{
    call->conn = c;
    call->begun_ns = now_ns();
    encode_body();
    const char *path = opt.op[0] == 'p' ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Range";
    struct h2_stream *st = h2_call(c->h2, path, "localhost", -1, NULL, 0, call);
    if (!st || h2_send_message(st, buf_bytes(&run.body)) || h2_half_close(st))
        die("a call could not begin");
    run.running++;
}

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    (void)user, (void)st, (void)message;
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    struct call *call = h2_stream_user(st);
    (void)user;
    if (status != GRPC_OK) {
        fprintf(stderr, "load: a call ended with status %d: %.*s\n", (int)status, (int)text.len,
                (const char *)text.data);
        exit(1);
    }
    int64_t now = now_ns();
    run.calls_all++;
    if (call->begun_ns >= run.measure_from_ns) {
        run.calls++;
        if (run.n_samples < SAMPLES_MAX)
            run.samples_us[run.n_samples++] = (uint32_t)((now - call->begun_ns) / 1000);
    }
}

static void on_close(void *user, struct h2_stream *st)
{
    struct call *call = h2_stream_user(st);
    struct conn *c = user;
    run.running--;
    if (call && now_ns() < run.end_ns)
        begin(c, call);
}

static const struct h2_callbacks callbacks = {.on_message = on_message, .on_status = on_status, .on_close = on_close};

static void conn_open(struct conn *c)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("nobody answers on that port");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct h2_limits limits = {.streams_max = 1000000};
    c->h2 = h2_client_new(&limits, &callbacks, c);
    buf_init(&c->out);
    if (!c->h2)
        die("out of memory");
}

/* One send for all that is ready. */
static void conn_flush(struct conn *c)
{
    if (c->waits_for_room)
        return;
    if (c->out.len == 0 && h2_output(c->h2, &c->out, 1 << 20))
        die("out of memory");
    while (c->written < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->written, c->out.len - c->written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            c->waits_for_room = true;
            return;
        }
        if (n < 0)
            die("the connection broke");
        c->written += (size_t)n;
    }
    buf_reset(&c->out);
    c->written = 0;
}

static void conn_read(struct conn *c)
{
    static uint8_t in[1 << 18];
    struct tenure_error err = {0};
    for (;;) {
        ssize_t n = recv(c->fd, in, sizeof in, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            die("the server closed the connection");
        if (h2_feed(c->h2, bytes_of(in, (size_t)n), now_ns() / 1000000, &err)) {
            fprintf(stderr, "load: %s\n", err.text);
            exit(1);
        }
        if ((size_t)n < sizeof in)
            return; /* what arrives later raises a new edge */
    }
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double cpu_us(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void report(double cpu_before_us)
{
    double seconds = (double)(run.end_ns - run.measure_from_ns) / 1e9;
    qsort(run.samples_us, run.n_samples, sizeof *run.samples_us, compare_u32);
    size_t n = run.n_samples ? run.n_samples : 1;
    printf(
        "{\"op\":\"%s\",\"inflight\":%d,\"calls\":%llu,\"calls_all\":%llu,\"seconds\":%.3f,\"per_s\":%.0f,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,"
        "\"client_us_per_call\":%.2f}\n",
        opt.op, opt.inflight, (unsigned long long)run.calls, (unsigned long long)run.calls_all, seconds,
        (double)run.calls / seconds, run.samples_us[n / 2], run.samples_us[n * 99 / 100], run.samples_us[n - 1],
        (cpu_us() - cpu_before_us) / (double)(run.calls_all ? run.calls_all : 1));
}

static void read_options(int argc, char **argv)
{
    static const struct option table[] = {
        {"port", 1, 0, 'p'},    {"op", 1, 0, 'o'},   {"inflight", 1, 0, 'i'}, {"conns", 1, 0, 'c'},
        {"seconds", 1, 0, 's'}, {"keys", 1, 0, 'k'}, {"value", 1, 0, 'v'},    {0, 0, 0, 0}};
    int o;
    while ((o = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (o) {
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'o':
            opt.op = optarg;
            break;
        case 'i':
            opt.inflight = atoi(optarg);
            break;
        case 'c':
            opt.conns = atoi(optarg);
            break;
        case 's':
            opt.seconds = atof(optarg);
            break;
        case 'k':
            opt.keys = strtoull(optarg, NULL, 10);
            break;
        case 'v':
            opt.value_bytes = strtoull(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    if (opt.inflight < 1 || opt.conns < 1 || opt.keys < 1 || !strchr("pgs", opt.op[0]))
        die("expected --op put|get|sget, --inflight, --conns and --keys of at least 1");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    rng_init(&run.rng, 1);
    buf_init(&run.body);
    run.samples_us = calloc(SAMPLES_MAX, sizeof *run.samples_us);
    run.value = malloc(opt.value_bytes + 1);
    struct conn *conns = calloc((size_t)opt.conns, sizeof *conns);
    struct call *calls = calloc((size_t)opt.inflight, sizeof *calls);
    int ep = epoll_create1(0);
    if (!run.samples_us || !run.value || !conns || !calls || ep < 0)
        die("out of memory");
    memset(run.value, 'v', opt.value_bytes + 1);
    int64_t start = now_ns();
    run.measure_from_ns = start + (int64_t)(opt.seconds * 0.2e9); /* a fifth to warm up */
    run.end_ns = run.measure_from_ns + (int64_t)(opt.seconds * 1e9);
    for (int i = 0; i < opt.conns; i++) {
        conn_open(&conns[i]);
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &conns[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &e);
    }
    for (int i = 0; i < opt.inflight; i++)
        begin(&conns[i % opt.conns], &calls[i]);
    double cpu_before = cpu_us();
    while (run.running > 0) {
        struct epoll_event events[64];
        for (int i = 0; i < opt.conns; i++)
            conn_flush(&conns[i]);
        int n = epoll_wait(ep, events, 64, 5000);
        if (n == 0)
            die("no answer for 5 s");
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                c->waits_for_room = false;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_read(c);
        }
    }
    report(cpu_before);
    for (int i = 0; i < opt.conns; i++) {
        conns[i].h2 = h2_free(conns[i].h2);
        buf_fini(&conns[i].out);
        close(conns[i].fd);
    }
    buf_fini(&run.body);
    free(run.samples_us);
    free(run.value);
    free(conns);
    free(calls);
    return 0;
}
