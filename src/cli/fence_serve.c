/* See fence_serve.h.
 *
 * Happy path: a connection is accepted, what comes goes into the engine, and at each turn's end every connection's bytes are carried on:
 * one write a turn and side. Over: its last bytes go out, we say that no more will come, and wait a moment for the client to close, so
 * that a reset does not take them with it.
 *
 * The end: nobody is accepted any more, what is under way has END_MS to end. Failure modes are the engine's; one more than
 * connections_max is closed at once. */
#include "cli/fence_serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/fence_state.h"
#include "http/fence_proxy.h"
#include "io/listener.h"
#include "io/signal.h"
#include "io/stream.h"
#include "io/timer.h"

#define WRITE_MAX  65536
#define LINGER_MS  1000
#define END_MS     10000
#define ROUNDS_MAX 4

struct served {
    struct list link;
    struct serve *serve;
    struct fence_conn *conn;        /* NULL: lingers */
    struct io_stream *front, *back; /* NULL = gone; none yet */
    uint64_t back_number;           /* of the request that the last connection to the service was for */
    bool back_is_up, is_finished;
    tn_ms linger_until;
};

struct serve {
    const struct fence_serve_options *o;
    struct io_loop *loop;
    struct io_turn turn;
    struct io_timer *timer;
    struct io_listener *listener;
    struct io_signal *signals[2];
    struct io_address upstream;
    struct fence_state *state;
    struct turnstile *turnstile;
    struct fence_proxy *proxy;
    struct list conns;
    size_t n;
    struct buf out;
    tn_ms end_at; /* TN_MS_NEVER: goes on */
};

/* ---- a connection ---- */

static void served_free(struct served *c)
{
    fence_conn_free(c->conn);
    io_stream_close(c->front);
    io_stream_close(c->back);
    list_remove(&c->link);
    c->serve->n--;
    free(c);
}

static void on_front_read(void *user, bytes in)
{
    struct served *c = user;
    if (c->conn)
        fence_front_feed(c->conn, in, io_now(c->serve->loop));
}

static void on_front_end(void *user, const struct tenure_error *error)
{
    struct served *c = user;
    (void)error;
    c->front = io_stream_close(c->front);
    if (c->conn)
        fence_front_ended(c->conn, io_now(c->serve->loop));
}

static void on_writable(void *user)
{
    (void)user; /* the turn's end writes */
}

static const struct io_stream_callbacks front_callbacks = {
    .on_read = on_front_read,
    .on_end = on_front_end,
    .on_writable = on_writable,
};

static void on_back_connect(void *user, const struct tenure_error *error)
{
    struct served *c = user;
    tn_ms now = io_now(c->serve->loop);
    if (error) {
        c->back = io_stream_close(c->back);
        fence_back_failed(c->conn, error->text, now);
        return;
    }
    c->back_is_up = true;
    fence_back_connected(c->conn, now);
}

static void on_back_read(void *user, bytes in)
{
    struct served *c = user;
    fence_back_feed(c->conn, in, io_now(c->serve->loop));
}

static void on_back_end(void *user, const struct tenure_error *error)
{
    struct served *c = user;
    bool broken = error && error->code != TENURE_ECLOSED;
    c->back = io_stream_close(c->back);
    fence_back_ended(c->conn, broken, io_now(c->serve->loop));
}

static const struct io_stream_callbacks back_callbacks = {
    .on_connect = on_back_connect,
    .on_read = on_back_read,
    .on_end = on_back_end,
    .on_writable = on_writable,
};

/* ---- carrying ---- */

static void connect_back(struct served *c, uint64_t number, tn_ms now)
{
    struct tenure_error err = {0};
    c->back_number = number;
    c->back_is_up = false;
    if (io_stream_connect(c->serve->loop, &c->serve->upstream, &back_callbacks, c, &c->back, &err) < 0)
        fence_back_failed(c->conn, err.text, now);
}

/* The answers say whether something moved. */
static bool carry_back(struct served *c, tn_ms now)
{
    struct buf *out = &c->serve->out;
    uint64_t wanted = fence_wants_back(c->conn);
    if (c->back && c->back_number != wanted)
        c->back = io_stream_close(c->back);
    if (wanted && c->back_number != wanted) {
        connect_back(c, wanted, now);
        return true;
    }
    if (!c->back || !c->back_is_up)
        return false;
    io_stream_reading(c->back, fence_back_reads(c->conn));
    buf_reset(out);
    if (io_stream_writable(c->back))
        fence_back_output(c->conn, out, WRITE_MAX, now);
    if (out->len == 0 || buf_error(out))
        return false;
    io_stream_write(c->back, out);
    return true;
}

static bool carry_front(struct served *c, tn_ms now)
{
    struct buf *out = &c->serve->out;
    if (!c->front)
        return false;
    io_stream_reading(c->front, fence_front_wants(c->conn));
    buf_reset(out);
    if (io_stream_writable(c->front))
        fence_front_output(c->conn, out, WRITE_MAX, now);
    if (out->len == 0 || buf_error(out))
        return false;
    io_stream_write(c->front, out);
    return true;
}

/* Gone, or at its end. */
static void linger(struct served *c, tn_ms now)
{
    c->conn = fence_conn_free(c->conn);
    c->back = io_stream_close(c->back);
    c->linger_until = now + LINGER_MS;
}

static void linger_on(struct served *c, tn_ms now)
{
    if (!c->front || now >= c->linger_until) {
        served_free(c);
    } else if (!c->is_finished && io_stream_writable(c->front)) {
        c->is_finished = true;
        io_stream_reading(c->front, true);
        io_stream_finish(c->front);
    }
}

static void carry(struct served *c, tn_ms now)
{
    if (c->conn && now >= fence_deadline(c->conn))
        fence_tick(c->conn, now);
    for (int i = 0; c->conn; i++) {
        bool moved = carry_back(c, now);
        moved = carry_front(c, now) || moved;
        if (!moved)
            break;
        if (i == ROUNDS_MAX) {
            io_turn_request(c->serve->loop);
            break;
        }
    }
    if (c->conn && fence_is_over(c->conn))
        linger(c, now);
    if (!c->conn)
        linger_on(c, now);
}

static void arm(struct serve *s)
{
    tn_ms at = s->end_at;
    LIST_FOREACH(it, &s->conns)
    {
        struct served *c = LIST_ENTRY(it, struct served, link);
        tn_ms due = c->conn ? fence_deadline(c->conn) : c->linger_until;
        at = due < at ? due : at;
    }
    io_timer_set(s->timer, at);
}

static bool is_anything_under_way(struct serve *s)
{
    LIST_FOREACH(it, &s->conns)
    {
        struct served *c = LIST_ENTRY(it, struct served, link);
        if (!c->conn || fence_wants_back(c->conn))
            return true;
    }
    return false;
}

/* What one connection did may let another one in, which was looked at already: so all are, until nobody is let in. */
static void on_turn(void *user, tn_ms now)
{
    struct serve *s = user;
    do {
        LIST_FOREACH_SAFE(it, &s->conns)
        {
            carry(LIST_ENTRY(it, struct served, link), now);
        }
    } while (fence_proxy_next(s->proxy, now));
    if (s->end_at != TN_MS_NEVER && (now >= s->end_at || !is_anything_under_way(s)))
        io_loop_stop(s->loop);
    arm(s);
}

/* ---- beginning and end ---- */

static void on_accept(void *user, int fd, const char *peer)
{
    struct serve *s = user;
    struct tenure_error err;
    struct served *c = s->n < s->o->connections_max ? calloc(1, sizeof *c) : NULL;
    (void)peer;
    if (!c) {
        close(fd);
        return;
    }
    c->serve = s;
    c->conn = fence_conn_new(s->proxy, c, io_now(s->loop));
    list_push_back(&s->conns, &c->link);
    s->n++;
    if (!c->conn) {
        close(fd);
        served_free(c);
    } else if (io_stream_adopt(s->loop, fd, &front_callbacks, c, &c->front, &err) < 0) {
        served_free(c);
    }
}

static const struct io_listener_callbacks listener_callbacks = {.on_accept = on_accept};

static void on_fire(void *user)
{
    (void)user; /* the turn's end looks at the clock */
}

static void on_signal(void *user, int number)
{
    struct serve *s = user;
    (void)number;
    s->listener = io_listener_close(s->listener);
    s->end_at = io_now(s->loop) + END_MS;
}

static int parse(const char *text, int port, struct io_address *ret, struct tenure_error *err)
{
    int rc = io_address_parse(text, port, ret, err);
    if (rc == 0 && ret->tls)
        return error_set(err, TENURE_EINVALID, "%.200s: TLS is not spoken here; put what ends it in front", text);
    return rc;
}

static int make_engine(struct serve *s, struct tenure_error *err)
{
    struct turnstile_config gate = {0};
    if (s->o->state) {
        s->state = fence_state_open(s->o->state, err);
        if (!s->state)
            return err->code;
        gate = (struct turnstile_config){.load = fence_state_load, .keep = fence_state_keep, .user = s->state};
    }
    s->turnstile = turnstile_new(&gate);
    struct fence_proxy_config config = {.turnstile = s->turnstile,
                                        .resource = s->o->resource,
                                        .path_parts = s->o->by_path,
                                        .methods = s->o->methods,
                                        .missing_allowed = s->o->missing_allowed != 0,
                                        .timeout_ms = s->o->timeout_ms};
    s->proxy = s->turnstile ? fence_proxy_new(&config) : NULL;
    return s->proxy ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
}

static int begin(struct serve *s, struct tenure_error *err)
{
    struct io_address at;
    int rc = parse(s->o->listen, -1, &at, err);
    if (rc == 0)
        rc = parse(s->o->upstream, 80, &s->upstream, err);
    if (rc == 0)
        rc = make_engine(s, err);
    if (rc == 0)
        rc = io_loop_new(NULL, &s->loop, err);
    if (rc == 0)
        rc = io_timer_new(s->loop, on_fire, s, &s->timer, err);
    if (rc == 0)
        rc = io_signal_new(s->loop, SIGTERM, on_signal, s, &s->signals[0], err);
    if (rc == 0)
        rc = io_signal_new(s->loop, SIGINT, on_signal, s, &s->signals[1], err);
    if (rc == 0)
        rc = io_listener_new(s->loop, &at, &listener_callbacks, s, &s->listener, err);
    return rc;
}

static void end(struct serve *s)
{
    LIST_FOREACH_SAFE(it, &s->conns)
    {
        served_free(LIST_ENTRY(it, struct served, link));
    }
    io_turn_stop(&s->turn);
    io_listener_close(s->listener);
    io_signal_close(s->signals[0]);
    io_signal_close(s->signals[1]);
    io_timer_close(s->timer);
    io_loop_free(s->loop);
    fence_proxy_free(s->proxy);
    turnstile_free(s->turnstile);
    fence_state_close(s->state);
    buf_fini(&s->out);
}

int fence_serve(const struct fence_serve_options *o, struct tenure_error *err)
{
    struct serve s = {.o = o, .end_at = TN_MS_NEVER};
    char address[IO_ADDRESS_TEXT_MAX];
    list_init(&s.conns);
    buf_init(&s.out);
    int rc = begin(&s, err);
    if (rc == 0) {
        io_turn_start(s.loop, &s.turn, on_turn, &s);
        o->on_listening(o->user, io_address_text(io_listener_address(s.listener), address, sizeof address));
        io_loop_run(s.loop);
    }
    end(&s);
    return rc;
}
