/* The turn: sockets <-> the client engine, as client.h asks for it.
 *
 * Happy path: bytes and timers arrive in libuv's poll and are fed to the engine; then, once, the hook: what other threads
 * asked for, the engine's own work, one write a connection, one timer, and the program's callbacks last.
 *
 * Losses first. Before anything that arrived is fed, and again before completions are delivered, objects are ticked with
 * the time read then: a process that was stopped tells of a lost lease before it tells of anything that lay in its
 * sockets.
 *
 * Failure modes: a connection that cannot be made or breaks is told to the engine, which knows what to do. A callback that
 * starts something new is served in the same turn, up to a bound; what is left asks for the next one.
 */
#include <stdlib.h>

#include "io/address.h"
#include "io/stream.h"
#include "lib/handle.h"
#include "lib/post.h"

#define ROUNDS_MAX   8
#define PORT_DEFAULT 2379

struct conn {
    struct list link;
    tenure_client *handle;
    struct io_stream *stream; /* NULL in the test kit */
    uint32_t id;
    bool is_up;    /* in the test kit: it takes bytes */
    int fd;        /* as noted for a child of fork; -1 = not connected yet */
    bool is_dirty; /* the engine has bytes for it */
};

/* ---- time ---- */

/* Time never runs backwards for the engines, whoever brings it. */
static tn_ms advance(tenure_client *c, tn_ms now)
{
    if (now > c->now)
        c->now = now;
    return c->now;
}

tn_ms handle_now(tenure_client *c)
{
    if (c->in_turn)
        return c->now;
    c->wants_turn = true;
    return advance(c, handle_clock(c));
}

static void turn_request(tenure_client *c)
{
    c->wants_turn = true;
    if (c->kit)
        c->kit->wants_turn(c->kit_user);
    else
        io_turn_request(c->loop);
}

void handle_wants_turn(tenure_client *c)
{
    if (!c->in_turn && c->state != HANDLE_CLOSED)
        turn_request(c);
}

static tn_ms turn_begin(tenure_client *c)
{
    if (!c->in_turn) {
        tenure_scope *before = scope_aside();
        c->in_turn = true;
        objects_tick(c, advance(c, c->kit ? handle_clock(c) : io_now(c->loop)));
        scope_back(before);
    }
    return c->now;
}

/* ---- connections ---- */

static struct conn *conn_find(tenure_client *c, uint32_t id)
{
    LIST_FOREACH(it, &c->conns)
    {
        struct conn *k = LIST_ENTRY(it, struct conn, link);
        if (k->id == id)
            return k;
    }
    return NULL;
}

static void conn_free(struct conn *k)
{
    if (k->fd >= 0)
        fork_forget_socket(k->handle, k->fd);
    if (k->handle->kit)
        k->handle->kit->close(k->handle->kit_user, k->id);
    io_stream_close(k->stream);
    list_remove(&k->link);
    free(k);
}

/* "http://h:1: Connection refused" without the address, which the engine names itself. */
static const char *reason(const char *text)
{
    const char *colon = strstr(text, "://") ? strstr(text, ": ") : NULL;
    return colon ? colon + 2 : text;
}

static void connect_failed(struct conn *k, const char *why, tn_ms now)
{
    tenure_client *c = k->handle;
    uint32_t id = k->id;
    conn_free(k);
    client_connect_failed(c->engine, id, why, now);
}

static void on_connect(void *user, const struct tenure_error *error)
{
    struct conn *k = user;
    tenure_client *c = k->handle;
    tn_ms now = turn_begin(c);
    if (error) {
        connect_failed(k, reason(error->text), now);
        return;
    }
    k->fd = io_stream_fd(k->stream);
    fork_note_socket(c, k->fd);
    client_connected(c->engine, k->id, now);
}

static void on_read(void *user, bytes in)
{
    struct conn *k = user;
    tn_ms now = turn_begin(k->handle);
    client_feed(k->handle->engine, k->id, in, now);
}

static void ended(struct conn *k, const char *why)
{
    tenure_client *c = k->handle;
    uint32_t id = k->id;
    tn_ms now = turn_begin(c);
    conn_free(k);
    client_disconnected(c->engine, id, why, now);
}

static void on_end(void *user, const struct tenure_error *error)
{
    ended(user, error->text);
}

static void on_writable(void *user)
{
    struct conn *k = user;
    turn_begin(k->handle);
}

static const struct io_stream_callbacks stream_callbacks = {
    .on_connect = on_connect,
    .on_read = on_read,
    .on_end = on_end,
    .on_writable = on_writable,
};

static int conn_open(tenure_client *c, const struct client_io *io, struct tenure_error *err)
{
    struct io_address to;
    int rc = io_address_parse(io->endpoint, PORT_DEFAULT, &to, err);
    if (rc < 0)
        return rc;
    struct io_tls *tls = to.tls ? lib_secure_present(c, err) : NULL;
    if (to.tls && !tls)
        return TENURE_EUNAVAILABLE;
    struct conn *k = calloc(1, sizeof *k);
    if (!k)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    k->handle = c;
    k->id = io->conn;
    k->fd = -1;
    if (c->kit)
        rc = c->kit->connect(c->kit_user, k->id, err);
    else
        rc = io_stream_connect_tls(c->loop, &to, tls, &stream_callbacks, k, &k->stream, err);
    if (rc < 0) {
        free(k);
        return rc;
    }
    list_push_back(&c->conns, &k->link);
    return 0;
}

static void carry_out(tenure_client *c, const struct client_io *io)
{
    struct tenure_error err = {0};
    uint32_t id = io->conn;
    if (io->kind == CLIENT_IO_CONNECT) {
        if (conn_open(c, io, &err) < 0)
            client_connect_failed(c->engine, id, reason(err.text), c->now);
        return;
    }
    struct conn *k = conn_find(c, id);
    if (k)
        conn_free(k);
}

/* A full buffer means that there is more: it goes on with the next turn. A buffer that could not grow has lost bytes, so
 * the connection cannot be used any more. */
static void conn_write(tenure_client *c, struct conn *k)
{
    uint32_t id = k->id;
    buf_reset(&c->out);
    client_output(c->engine, id, &c->out, OUTPUT_MAX, c->now);
    if (buf_error(&c->out)) {
        conn_free(k);
        client_disconnected(c->engine, id, "out of memory", c->now);
        return;
    }
    k->is_dirty = c->out.len >= OUTPUT_MAX;
    if (k->is_dirty)
        turn_request(c);
    if (c->out.len > 0 && c->kit)
        c->kit->write(c->kit_user, id, buf_bytes(&c->out));
    else if (c->out.len > 0)
        io_stream_write(k->stream, &c->out);
}

static bool is_writable(const struct conn *k)
{
    return k->stream ? io_stream_writable(k->stream) : k->is_up;
}

static void write_all(tenure_client *c)
{
    uint32_t id;
    while ((id = client_next_dirty(c->engine)) != 0) {
        struct conn *k = conn_find(c, id);
        if (k)
            k->is_dirty = true;
    }
    LIST_FOREACH_SAFE(it, &c->conns)
    {
        struct conn *k = LIST_ENTRY(it, struct conn, link);
        if (k->is_dirty && is_writable(k))
            conn_write(c, k);
    }
}

static void exchange(tenure_client *c)
{
    struct client_io io;
    while (client_next_io(c->engine, &io))
        carry_out(c, &io);
    write_all(c);
    while (client_next_io(c->engine, &io)) /* what a write that failed led to */
        carry_out(c, &io);
}

/* ---- the hook ---- */

static void arm(tenure_client *c)
{
    tn_ms engine = client_deadline(c->engine);
    tn_ms objects = objects_deadline(c);
    tn_ms at = engine < objects ? engine : objects;
    tn_ms scopes = scopes_deadline(c);
    at = scopes < at ? scopes : at;
    if (c->state == HANDLE_CLOSING && c->close_at < at)
        at = c->close_at;
    c->armed_at = at;
    if (c->kit)
        c->kit->wants_timer(c->kit_user, at);
    else
        io_timer_set(c->timer, at);
}

/* Losses that are due are told, and when the next one is; answers whether any object had something to do. */
static bool tell_losses(tenure_client *c, tn_ms *ret_at)
{
    bool ticked = objects_tick(c, advance(c, handle_clock(c)));
    *ret_at = objects_deadline(c);
    return ticked;
}

/* Answers whether anybody was told or had to do anything, so that there may be more to do. The process may be stopped between any two
 * completions, for longer than a lease lasts: so the clock is read before each, and a loss is told before anything else. */
static bool deliver(tenure_client *c)
{
    tn_ms loss_at;
    bool told = tell_losses(c, &loss_at);
    size_t turns = 2 * client_deliveries(c->engine);
    told = told || turns > 0;
    for (; turns > 0; turns--) {
        if (handle_clock(c) >= loss_at)
            tell_losses(c, &loss_at);
        if (!client_deliver_one(c->engine))
            break;
    }
    objects_publish(c);
    return objects_reap(c) || told;
}

static void work(tenure_client *c)
{
    client_tick(c->engine, c->now);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        exchange(c);
        if (!deliver(c))
            return;
    }
    turn_request(c);
}

/* Handles that share a program's loop get a turn whenever something came for one of them. */
static bool has_nothing_to_do(const tenure_client *c, tn_ms now)
{
    return c->kind == HANDLE_UV && c->state == HANDLE_OPEN && !c->in_turn && !c->wants_turn && now < c->armed_at;
}

static void on_turn(void *user, tn_ms now)
{
    tenure_client *c = user;
    if (has_nothing_to_do(c, now))
        return;
    c->wants_turn = false;
    tenure_scope *before = scope_aside(); /* the program's, whose thread this may be */
    turn_begin(c);
    posts_run(c, c->now);
    scopes_run(c, c->now);
    if (c->state == HANDLE_CLOSING)
        objects_close(c, c->now);
    work(c);
    if (c->state == HANDLE_CLOSING)
        close_step(c, c->now);
    c->in_turn = false;
    if (c->state != HANDLE_CLOSED)
        arm(c);
    scope_back(before);
}

static void on_fire(void *user)
{
    turn_begin(user);
}

/* ---- life ---- */

void driver_wake(tenure_client *c)
{
    if (c->kit)
        c->kit->wants_turn(c->kit_user);
    else
        io_wake_send(c->wake);
}

int driver_make_wake(tenure_client *c, struct tenure_error *err)
{
    if (c->wake || c->kit)
        return 0;
    int rc = io_wake_new(c->loop, on_fire, c, &c->wake, err);
    if (rc == 0 && c->kind == HANDLE_UV)
        io_wake_unref(c->wake); /* the program's loop ends when nothing else is on it */
    return rc;
}

int driver_start(tenure_client *c, struct tenure_error *err)
{
    if (c->kit)
        return 0;
    int rc = io_timer_new(c->loop, on_fire, c, &c->timer, err);
    if (rc == 0 && c->kind == HANDLE_BLOCKING)
        rc = driver_make_wake(c, err);
    if (rc == 0)
        io_turn_start(c->loop, &c->turn, on_turn, c);
    return rc;
}

void driver_stop(tenure_client *c)
{
    while (!list_empty(&c->conns))
        conn_free(LIST_ENTRY(c->conns.next, struct conn, link));
    if (c->kit)
        c->kit->gone(c->kit_user);
    c->timer = io_timer_close(c->timer);
    c->wake = io_wake_close(c->wake);
    io_turn_stop(&c->turn);
}

/* ---- in the test kit (kit.h) ---- */

void lib_kit_connected(tenure_client *c, uint32_t conn, const char *failure)
{
    struct conn *k = conn_find(c, conn);
    tn_ms now = turn_begin(c);
    if (k && failure) {
        connect_failed(k, failure, now);
    } else if (k) {
        k->is_up = true;
        client_connected(c->engine, conn, now);
    }
}

void lib_kit_read(tenure_client *c, uint32_t conn, bytes in)
{
    struct conn *k = conn_find(c, conn);
    if (k)
        on_read(k, in);
}

void lib_kit_ended(tenure_client *c, uint32_t conn, const char *why)
{
    struct conn *k = conn_find(c, conn);
    if (k)
        ended(k, why);
}

void lib_kit_turn(tenure_client *c)
{
    on_turn(c, handle_clock(c));
    handle_finish_if_closed(c);
}
