/* 64 writers for the crash test: they put unique keys and renew leases until the connection breaks, and write down what was
 * acknowledged; afterwards, against the server started again, they check that all of it is there.
 *
 *     crash_writers run PORT FILE TAG     prints "writing" after the first answers; ends with 0 when the server is gone
 *     crash_writers check PORT FILE       0 = everything acknowledged is there; prints what is not
 *
 * FILE has a line for each acknowledgement: "key NAME REVISION" or "lease ID SENT_MS TTL_S" (CLOCK_BOOTTIME).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire/codec.h"
#include "wire/h2.h"

#define WRITERS     64
#define LEASES      4
#define LEASE_TTL_S 5

enum kind { PUT, GRANT, RENEW, GET, TTL };

struct call {
    enum kind kind;
    uint64_t number; /* of the key, or the lease's index */
    int64_t sent_ms;
    char key[64];
    int64_t wanted; /* revision, or milliseconds the lease must have left */
};

static struct {
    int fd;
    struct h2_conn *h2;
    FILE *file;
    const char *tag;
    uint64_t next, acked;
    tn_lease leases[LEASES];
    size_t running, missing;
    bool checking, said;
    struct arena arena;
    struct buf body;
} run;

static void die(const char *what)
{
    fprintf(stderr, "crash_writers: %s\n", what);
    exit(2);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void send_call(struct call *c, const char *path)
{
    if (buf_error(&run.body))
        die("out of memory");
    struct h2_stream *st = h2_call(run.h2, path, "localhost", -1, NULL, 0, c);
    if (!st || h2_send_message(st, buf_bytes(&run.body)) || h2_half_close(st))
        die("a call could not begin");
    c->sent_ms = now_ms();
    run.running++;
}

static void put_next(struct call *c)
{
    c->kind = PUT;
    snprintf(c->key, sizeof c->key, "crash/%s/%" PRIu64, run.tag, run.next++);
    struct put_req r = {.key = bytes_str(c->key), .value = bytes_str(c->key)};
    buf_reset(&run.body);
    encode_put_req(&r, &run.body);
    send_call(c, "/etcdserverpb.KV/Put");
}

static void grant(struct call *c)
{
    struct lease_grant_req r = {.ttl_s = LEASE_TTL_S};
    c->kind = GRANT;
    buf_reset(&run.body);
    encode_lease_grant_req(&r, &run.body);
    send_call(c, "/etcdserverpb.Lease/LeaseGrant");
}

static void renew(struct call *c)
{
    struct lease_keepalive_req r = {.id = run.leases[c->number]};
    c->kind = RENEW;
    buf_reset(&run.body);
    encode_lease_keepalive_req(&r, &run.body);
    send_call(c, "/etcdserverpb.Lease/LeaseKeepAlive");
}

/* ---- answers ---- */

static void acked_put(struct call *c, bytes m)
{
    struct response_header h;
    struct put_resp r;
    if (decode_put_resp(m, &run.arena, &h, &r))
        die("a broken answer");
    fprintf(run.file, "key %s %" PRId64 "\n", c->key, h.revision);
    run.acked++;
}

static void acked_grant(struct call *c, bytes m)
{
    struct response_header h;
    struct lease_grant_resp r;
    if (decode_lease_grant_resp(m, &run.arena, &h, &r))
        die("a broken answer");
    run.leases[c->number] = r.id;
    fprintf(run.file, "lease %" PRId64 " %" PRId64 " %" PRId64 "\n", r.id, c->sent_ms, r.ttl_s);
}

static void acked_renewal(struct call *c, bytes m)
{
    struct response_header h;
    struct lease_keepalive_resp r;
    if (decode_lease_keepalive_resp(m, &run.arena, &h, &r) || r.ttl_s <= 0)
        die("a renewal was refused");
    fprintf(run.file, "lease %" PRId64 " %" PRId64 " %" PRId64 "\n", r.id, c->sent_ms, r.ttl_s);
}

static void got_key(struct call *c, bytes m)
{
    struct response_header h;
    struct range_resp r;
    if (decode_range_resp(m, &run.arena, &h, &r))
        die("a broken answer");
    if (r.n_kvs == 1 && r.kvs[0].mod_revision == c->wanted && bytes_equal(r.kvs[0].value, bytes_str(c->key)))
        return;
    run.missing++;
    printf("lost: %s at revision %" PRId64 "\n", c->key, c->wanted);
}

/* The remaining time is told in whole seconds, cut off. */
static void got_ttl(struct call *c, bytes m)
{
    struct response_header h;
    struct lease_ttl_resp r;
    if (decode_lease_ttl_resp(m, &run.arena, &h, &r))
        die("a broken answer");
    int64_t must_have_ms = c->wanted - now_ms() - 1000;
    if (must_have_ms <= 0 || r.ttl_s * 1000 >= must_have_ms)
        return;
    run.missing++;
    printf("lost: lease %" PRIu64 " has %" PRId64 " s left, renewed for %" PRId64 " ms more\n", c->number, r.ttl_s,
           must_have_ms);
}

static void on_message(void *user, struct h2_stream *st, bytes m)
{
    static void (*const answers[])(struct call *, bytes) = {
        [PUT] = acked_put, [GRANT] = acked_grant, [RENEW] = acked_renewal, [GET] = got_key, [TTL] = got_ttl};
    struct call *c = h2_stream_user(st);
    (void)user;
    answers[c->kind](c, m);
    arena_reset(&run.arena);
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    (void)user, (void)st;
    if (status != GRPC_OK && run.checking) {
        fprintf(stderr, "crash_writers: %.*s\n", (int)text.len, (const char *)text.data);
        exit(2);
    }
}

static void on_close(void *user, struct h2_stream *st)
{
    struct call *c = h2_stream_user(st);
    (void)user;
    run.running--;
    if (run.checking)
        free(c);
    else if (c->kind == PUT)
        put_next(c);
    else
        renew(c);
    if (!run.said && run.acked > WRITERS) {
        run.said = true;
        puts("writing");
        fflush(stdout);
    }
}

/* ---- the connection ---- */

static void connect_to(int port)
{
    static const struct h2_callbacks callbacks = {
        .on_message = on_message, .on_status = on_status, .on_close = on_close};
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    run.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (run.fd < 0 || connect(run.fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("nobody answers on that port");
    run.h2 = h2_client_new(NULL, &callbacks, NULL);
    if (!run.h2)
        die("out of memory");
}

static bool flush_out(void)
{
    struct buf out;
    bool ok = true;
    buf_init(&out);
    while (h2_wants_output(run.h2) && h2_output(run.h2, &out, 1 << 20) == 0 && out.len > 0 && ok) {
        size_t at = 0;
        while (ok && at < out.len) {
            ssize_t n = send(run.fd, out.data + at, out.len - at, MSG_NOSIGNAL);
            ok = n > 0;
            at += ok ? (size_t)n : 0;
        }
        buf_reset(&out);
    }
    buf_fini(&out);
    return ok;
}

/* False when the connection has ended. */
static bool turn(void)
{
    static uint8_t in[1 << 17];
    struct tenure_error err = {0};
    if (!flush_out())
        return false;
    ssize_t n = recv(run.fd, in, sizeof in, 0);
    return n > 0 && h2_feed(run.h2, bytes_of(in, (size_t)n), now_ms(), &err) == 0;
}

static void run_writers(void)
{
    static struct call calls[WRITERS + LEASES];
    for (size_t i = 0; i < LEASES; i++) {
        calls[i].number = i;
        grant(&calls[i]);
    }
    for (size_t i = 0; i < WRITERS; i++)
        put_next(&calls[LEASES + i]);
    while (turn())
        ;
}

static void check_line(const char *line, int64_t *lease_until)
{
    struct call *c = calloc(1, sizeof *c);
    int64_t a, b;
    tn_lease id;
    if (!c)
        die("out of memory");
    buf_reset(&run.body);
    if (sscanf(line, "key %63s %" SCNd64, c->key, &a) == 2) {
        struct range_req r = {.range.key = bytes_str(c->key)};
        c->kind = GET;
        c->wanted = a;
        encode_range_req(&r, &run.body);
        send_call(c, "/etcdserverpb.KV/Range");
    } else if (sscanf(line, "lease %" SCNd64 " %" SCNd64 " %" SCNd64, &id, &a, &b) == 3 && lease_until) {
        struct lease_ttl_req r = {.id = id};
        c->kind = TTL;
        c->number = (uint64_t)id;
        c->wanted = a + b * 1000;
        encode_lease_ttl_req(&r, &run.body);
        send_call(c, "/etcdserverpb.Lease/LeaseTimeToLive");
    } else {
        free(c);
    }
}

static void run_check(void)
{
    char line[256];
    int64_t until = 0;
    run.checking = true;
    while (fgets(line, sizeof line, run.file)) {
        check_line(line, &until);
        while (run.running > 1000)
            if (!turn())
                die("the server ended during the check");
    }
    while (run.running > 0)
        if (!turn())
            die("the server ended during the check");
}

int main(int argc, char **argv)
{
    bool writes = argc == 5 && strcmp(argv[1], "run") == 0;
    if (!writes && !(argc == 4 && strcmp(argv[1], "check") == 0))
        die("expected: run PORT FILE TAG, or check PORT FILE");
    run.file = fopen(argv[3], writes ? "a" : "r");
    if (!run.file)
        die("the file cannot be opened");
    arena_init(&run.arena, 0);
    buf_init(&run.body);
    connect_to(atoi(argv[2]));
    if (writes) {
        run.tag = argv[4];
        run_writers();
    } else {
        run_check();
        printf("%zu lost\n", run.missing);
    }
    if (fclose(run.file) != 0)
        die("the file cannot be written");
    return run.missing > 0;
}
