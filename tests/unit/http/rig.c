#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#define PIECE 1000

/* ---- life ---- */

static bool open_store(struct rig *r, struct rng *seed)
{
    struct tenure_error err;
    size_t n;
    struct store_config config = {.cluster_id = 0xc1, .member_id = 0xe1};
    if (store_new(&config, seed, &r->store) < 0 || store_ready(r->store, r->now, &err) < 0)
        return false;
    const struct record *rows = store_outbox(r->store, 100, &n);
    if (n)
        store_commit(r->store, rows[n - 1].seq);
    return true;
}

static bool open_all(struct rig *r, const struct http_config *config, bool timed)
{
    struct rng seed;
    struct http_config h = {0};
    rng_init(&seed, 7);
    if (!open_store(r, &seed))
        return false;
    struct core_config core = {.store = r->store, .seed = seed, .retention_ms = -1, .time_calls = timed};
    if (core_new(&core, &r->core) < 0)
        return false;
    if (config)
        h = *config;
    h.core = r->core;
    return http_new(&h, &r->http) == 0;
}

static struct rig *try(const struct http_config *config, bool timed)
{
    struct rig *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->now = 1000000;
    if (open_all(r, config, timed))
        return r;
    rig_free(r);
    return NULL;
}

struct rig *rig_try(const struct http_config *config)
{
    return try(config, false);
}

struct rig *rig_timed(void)
{
    struct rig *r = try(NULL, true);
    assert_non_null(r);
    return r;
}

struct rig *rig_new(const struct http_config *config)
{
    struct rig *r = rig_try(config);
    assert_non_null(r);
    return r;
}

void peer_cut(struct peer *p)
{
    p->http = http_conn_free(p->http);
    if (p->core)
        core_remove(p->core);
    p->core = NULL;
}

void rig_free(struct rig *r)
{
    for (size_t i = 0; i < r->n_peers; i++) {
        peer_cut(&r->peers[i]);
        buf_fini(&r->peers[i].got);
    }
    http_free(r->http);
    core_free(r->core);
    store_free(r->store);
    free(r);
}

struct peer *peer_try(struct rig *r)
{
    struct peer *p = &r->peers[r->n_peers];
    assert_true(r->n_peers < RIG_PEERS_MAX);
    p->rig = r;
    buf_init(&p->got);
    p->core = core_accept(r->core, "peer", p, r->now);
    if (!p->core)
        return NULL;
    r->n_peers++;
    p->http = http_conn_new(r->http, p->core, false, r->now);
    return p->http ? p : NULL;
}

struct peer *peer_new(struct rig *r)
{
    struct peer *p = peer_try(r);
    assert_non_null(p);
    return p;
}

/* ---- the turn, as the driver makes it ---- */

static void commit(struct rig *r)
{
    struct core_batch batch;
    while (!r->log_held && core_batch(r->core, &batch, 4096))
        core_written(r->core, CORE_APPLIED, batch.n_rows ? batch.rows[batch.n_rows - 1].seq : store_seq(r->store),
                     r->now);
}

/* Answers whether anything moved. */
static bool flush(struct peer *p)
{
    size_t before = p->got.len;
    bool fed = false;
    if (!p->http)
        return false;
    if (!p->takes_none)
        fed = http_output(p->http, &p->got, PIECE, p->rig->now);
    bool moved = fed || p->got.len > before;
    if (http_conn_finished(p->http)) {
        p->closed = true;
        peer_cut(p);
    }
    return moved;
}

void rig_turn(struct rig *r)
{
    bool moved = true;
    while (moved) {
        moved = false;
        core_turn(r->core, r->now);
        core_run(r->core, r->now);
        commit(r);
        while (core_next_dirty(r->core))
            moved = true;
        for (size_t i = 0; i < r->n_peers; i++)
            moved |= flush(&r->peers[i]);
    }
}

void rig_pass(struct rig *r, int seconds)
{
    for (int s = 0; s < seconds; s++) {
        for (int i = 0; i < 10; i++) {
            r->now += 100;
            rig_turn(r);
        }
        for (size_t i = 0; i < r->n_peers; i++) {
            struct peer *p = &r->peers[i];
            if (!p->http || !http_conn_check(p->http, r->now))
                continue;
            p->closed = true;
            peer_cut(p);
        }
    }
}

/* ---- a peer ---- */

void peer_send_bytes(struct peer *p, bytes in)
{
    if (p->http)
        http_feed(p->http, in, p->rig->now);
    rig_turn(p->rig);
}

void peer_send(struct peer *p, const char *text)
{
    peer_send_bytes(p, bytes_str(text));
}

void peer_post(struct peer *p, const char *path, const char *body)
{
    char head[256];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", path, strlen(body));
    peer_send(p, head);
    if (*body)
        peer_send(p, body);
}

void peer_get(struct peer *p, const char *path)
{
    char head[256];
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
    peer_send(p, head);
}

const char *peer_got(struct peer *p)
{
    static char text[1 << 20];
    assert_true(p->got.len < sizeof text);
    if (p->got.len)
        memcpy(text, p->got.data, p->got.len);
    text[p->got.len] = 0;
    buf_reset(&p->got);
    return text;
}

int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.", 7) == 0 ? atoi(answer + 9) : -1;
}

const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

bool has_line(const char *answer, const char *line)
{
    const char *end = strstr(answer, "\r\n\r\n"), *at = strstr(answer, line);
    return end && at && at < end + 2 && at[-1] == '\n' && strncmp(at + strlen(line), "\r\n", 2) == 0;
}
