/* Happy path: connected -> /metrics -> /version, each STEP_MS, until the second has changed in an answer. Failure modes: what does not
 * answer, or with something else, is left as it is, and the others go on; the time is bounded for all of them together. */
#include "cli/scrape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "http/get.h"
#include "io/stream.h"
#include "io/timer.h"

#define METRICS_MAX    ((size_t)4 << 20)
#define STEP_MS        40
#define CLOCKS_MS      1500
#define CLOCK_ERROR_US 50000

struct asked {
    struct round *round;
    struct scraped *to;
    struct io_address at;
    char authority[IO_ADDRESS_TEXT_MAX];
    struct io_stream *stream; /* NULL: over */
    struct http_get *get;
    bool is_up, is_waiting; /* for an answer */
    bool has_asked;         /* for the metrics */
    int64_t sent_us;
    tn_ms next;
};

struct round {
    struct io_loop *loop;
    struct io_turn turn;
    struct io_timer *timer;
    struct io_tls *tls;
    struct buf out;
    int64_t wall_us; /* what the wall clock was ahead of the monotonic one: it may be set meanwhile */
    tn_ms until, clocks_until;
    bool clocks;
    size_t n;
    struct asked *all;
};

static int64_t wall_us(const struct round *r)
{
    return io_clock_us() + r->wall_us;
}

static void over(struct asked *a)
{
    a->stream = io_stream_close(a->stream);
    a->get = http_get_free(a->get);
}

static void failed(struct asked *a, const struct tenure_error *why)
{
    a->to->why = *why;
    over(a);
}

static void take_metrics(struct asked *a, const struct http_answer *answer)
{
    buf_append_bytes(&a->to->metrics, answer->body);
    buf_append_byte(&a->to->metrics, 0);
    a->to->has_metrics = !buf_error(&a->to->metrics) && !memchr(answer->body.data, 0, answer->body.len);
}

/* Whether there is more to ask it. */
static bool wants_more(const struct asked *a, const struct http_answer *answer)
{
    return a->round->clocks && answer->stays && answer->date_s >= 0 && !offset_is_within(&a->to->clock, CLOCK_ERROR_US);
}

static void on_answer(struct asked *a, const struct http_answer *answer)
{
    int64_t now_us = wall_us(a->round);
    bool is_first = !a->to->clock.is_known;
    a->is_waiting = false;
    if (answer->date_s >= 0)
        offset_seen(&a->to->clock, a->sent_us, now_us, answer->date_s);
    if (is_first && answer->status == 200 && answer->body.len > 0)
        take_metrics(a, answer);
    else if (is_first)
        error_set(&a->to->why, TENURE_EPROTOCOL, "/metrics: HTTP status %d", answer->status);
    if (wants_more(a, answer))
        a->next = io_now(a->round->loop) + STEP_MS;
    else
        over(a);
}

/* ---- the stream ---- */

static void feed(struct asked *a, bytes in)
{
    struct http_answer answer;
    struct tenure_error err = {0};
    int rc = a->get ? http_get_feed(a->get, in, &answer) : 0;
    if (rc == 1 && a->is_waiting)
        on_answer(a, &answer);
    else if (rc < 0) {
        error_set(&err, rc, "it answers no page of HTTP");
        failed(a, &err);
    }
}

static void on_connect(void *user, const struct tenure_error *error)
{
    struct asked *a = user;
    if (error)
        failed(a, error);
    else
        a->is_up = true;
}

static void on_read(void *user, bytes in)
{
    struct asked *a = user;
    if (a->is_waiting)
        feed(a, in);
}

static void on_end(void *user, const struct tenure_error *error)
{
    struct asked *a = user;
    if (a->is_waiting && error->code == TENURE_ECLOSED)
        feed(a, bytes_of(NULL, 0));
    if (a->stream)
        failed(a, error);
}

static void on_writable(void *user)
{
    (void)user; /* the turn's end writes */
}

static const struct io_stream_callbacks callbacks = {
    .on_connect = on_connect,
    .on_read = on_read,
    .on_end = on_end,
    .on_writable = on_writable,
};

/* ---- asking ---- */

static void ask(struct asked *a)
{
    struct round *r = a->round;
    buf_reset(&r->out);
    http_get_ask(a->get, a->has_asked ? "/version" : "/metrics", a->authority, &r->out);
    a->has_asked = a->is_waiting = true;
    a->sent_us = wall_us(r);
    io_stream_write(a->stream, &r->out);
}

static void on_turn(void *user, tn_ms now)
{
    struct round *r = user;
    tn_ms at = r->until;
    size_t left = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct asked *a = &r->all[i];
        if (a->stream && a->to->clock.is_known && now >= r->clocks_until)
            over(a);
        if (!a->stream)
            continue;
        left++;
        if (!a->is_up || a->is_waiting || !io_stream_writable(a->stream))
            continue;
        if (a->next > now)
            at = a->next < at ? a->next : at;
        else
            ask(a);
    }
    if (left == 0 || now >= r->until)
        io_loop_stop(r->loop);
    else
        io_timer_set(r->timer, at < r->clocks_until || now >= r->clocks_until ? at : r->clocks_until);
}

static void on_timer(void *user)
{
    (void)user; /* there is a turn now */
}

static void begin(struct round *r, struct asked *a, struct scraped *to)
{
    struct tenure_error err = {0};
    *a = (struct asked){.round = r, .to = to};
    if (!to->endpoint || io_address_parse(to->endpoint, 2379, &a->at, &to->why) < 0)
        return;
    if (a->at.tls && !r->tls) /* the reason is there already */
        return;
    io_address_authority(&a->at, a->authority, sizeof a->authority);
    a->get = http_get_new(METRICS_MAX);
    if (!a->get)
        error_set(&to->why, TENURE_ENOMEM, "out of memory");
    else if (io_stream_connect_tls(r->loop, &a->at, a->at.tls ? r->tls : NULL, &callbacks, a, &a->stream, &err) < 0)
        failed(a, &err);
}

static const char *given_or(const char *given, const char *variable)
{
    const char *text = given ? given : variable ? getenv(variable) : NULL;
    return text && text[0] ? text : NULL;
}

/* As the library takes them, for those that are reached by TLS. */
static void load_tls(struct round *r, struct scraped *all, size_t n, const struct global_options *g)
{
    bool own = g->cert_file || g->key_file; /* half of a pair is not completed from elsewhere */
    struct io_tls_config config = {
        .ca_file = given_or(g->ca_file, "TENURE_CACERT"),
        .cert_file = given_or(g->cert_file, own ? NULL : "TENURE_CERT"),
        .key_file = given_or(g->key_file, own ? NULL : "TENURE_KEY"),
        .server_name = g->discovery_srv,
        .insecure_skip_verify = g->skip_verify,
        .is_http1 = true,
    };
    struct tenure_error err = {0};
    bool is_needed = false;
    for (size_t i = 0; i < n; i++) {
        struct io_address at;
        is_needed = is_needed || (all[i].endpoint && io_address_parse(all[i].endpoint, 0, &at, &err) == 0 && at.tls);
    }
    if (!is_needed || io_tls_new(&config, &r->tls, &err) == 0)
        return;
    for (size_t i = 0; i < n; i++)
        all[i].why = err;
}

void scrape(struct scraped *all, size_t n, const struct global_options *g, int64_t timeout_ms, bool clocks)
{
    struct tenure_error err = {0};
    struct round r = {.clocks = clocks, .n = n, .all = calloc(n ? n : 1, sizeof *r.all)};
    struct timespec wall;
    for (size_t i = 0; i < n; i++) {
        buf_init(&all[i].metrics);
        all[i].has_metrics = false;
        all[i].clock = (struct offset){0};
        all[i].why = (struct tenure_error){0};
    }
    buf_init(&r.out);
    clock_gettime(CLOCK_REALTIME, &wall);
    r.wall_us = wall.tv_sec * INT64_C(1000000) + wall.tv_nsec / 1000 - io_clock_us();
    r.until = io_clock() + timeout_ms;
    r.clocks_until = io_clock() + (CLOCKS_MS < timeout_ms ? CLOCKS_MS : timeout_ms);
    if (r.all && io_loop_new(NULL, &r.loop, &err) == 0 && io_timer_new(r.loop, on_timer, &r, &r.timer, &err) == 0) {
        load_tls(&r, all, n, g);
        for (size_t i = 0; i < n; i++)
            begin(&r, &r.all[i], &all[i]);
        io_turn_start(r.loop, &r.turn, on_turn, &r);
        io_turn_request(r.loop);
        io_loop_run(r.loop);
        io_turn_stop(&r.turn);
    }
    for (size_t i = 0; r.all && i < n; i++) {
        if (r.all[i].stream && !all[i].clock.is_known)
            error_set(&all[i].why, TENURE_ETIMEOUT, "no answer within %" PRId64 " ms", timeout_ms);
        over(&r.all[i]);
    }
    io_timer_close(r.timer);
    io_tls_unref(r.tls);
    io_loop_free(r.loop);
    buf_fini(&r.out);
    free(r.all);
}

void scrape_free(struct scraped *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_fini(&all[i].metrics);
}
