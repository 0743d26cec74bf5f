/* The fencing proxy on any bytes of clients and of the service. The first byte says in which pieces; a piece that begins with 0xf0 … 0xf7
 * is an event: to whom the next bytes go, the service ends, a client ends, time passes. Whatever comes, nobody is left inside. */
#include "http/fence_proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { CONNS = 3 };

struct world {
    struct turnstile *turnstile;
    struct fence_proxy *proxy;
    struct fence_conn *conns[CONNS];
    uint64_t connected[CONNS];
    tn_ms now;
    unsigned at;
    bool to_service;
};

static void must(bool what)
{
    if (!what)
        __builtin_trap();
}

static void carry(struct world *w, unsigned i)
{
    struct fence_conn *c = w->conns[i];
    struct buf out;
    buf_init(&out);
    for (int round = 0; round < 8; round++) {
        uint64_t wanted = fence_wants_back(c);
        if (wanted && wanted != w->connected[i])
            fence_back_connected(c, w->now);
        w->connected[i] = wanted;
        buf_reset(&out);
        fence_back_output(c, &out, 500, w->now);
        fence_front_output(c, &out, 500, w->now);
    }
    buf_fini(&out);
    if (fence_is_over(c)) {
        fence_conn_free(c);
        w->conns[i] = fence_conn_new(w->proxy, NULL, w->now);
        w->connected[i] = 0;
        must(w->conns[i] != NULL);
    }
}

static void turn(struct world *w)
{
    do {
        for (unsigned i = 0; i < CONNS; i++)
            carry(w, i);
    } while (fence_proxy_next(w->proxy, w->now));
}

static void event(struct world *w, uint8_t what)
{
    struct fence_conn *c = w->conns[w->at];
    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        w->at = what & 3;
        break;
    case 3:
    case 4:
        w->to_service = (what & 7) == 3;
        break;
    case 5:
        fence_back_ended(c, (what & 8) != 0, w->now);
        break;
    case 6:
        fence_front_ended(c, w->now);
        break;
    default:
        w->now += 40000;
        for (unsigned i = 0; i < CONNS; i++)
            fence_tick(w->conns[i], w->now);
    }
}

static void feed(struct world *w, bytes piece)
{
    struct fence_conn *c = w->conns[w->at];
    if ((piece.data[0] & 0xf8) == 0xf0)
        event(w, piece.data[0]);
    else if (w->to_service && fence_back_reads(c))
        fence_back_feed(c, piece, w->now);
    else if (!w->to_service && fence_front_wants(c))
        fence_front_feed(c, piece, w->now);
    turn(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world w = {.now = 1000, .turnstile = turnstile_new(&(struct turnstile_config){.resources_max = 50})};
    struct fence_proxy_config config = {.turnstile = w.turnstile, .path_parts = 1, .methods = fence_methods(NULL)};
    if (len < 2) {
        turnstile_free(w.turnstile);
        return 0;
    }
    w.proxy = fence_proxy_new(&config);
    for (unsigned i = 0; i < CONNS; i++)
        w.conns[i] = fence_conn_new(w.proxy, NULL, w.now);
    for (size_t at = 1, n; at < len; at += n) {
        n = data[0] ? data[0] : 4096;
        n = (data[at] & 0xf8) == 0xf0 ? 1 : n < len - at ? n : len - at;
        for (size_t i = 1; i < n; i++) /* events stand alone */
            if ((data[at + i] & 0xf8) == 0xf0)
                n = i;
        feed(&w, bytes_of(data + at, n));
    }
    for (unsigned i = 0; i < CONNS; i++)
        fence_conn_free(w.conns[i]);
    struct turnstile_ticket k;
    struct tenure_error err;
    int64_t seen;
    turnstile_ticket_init(&k);
    must(turnstile_enter(w.turnstile, bytes_str("orders"), INT64_MAX, &k, &seen, &err) != 0 ||
         k.state == TURNSTILE_INSIDE);
    turnstile_leave(w.turnstile, &k);
    fence_proxy_free(w.proxy);
    turnstile_free(w.turnstile);
    return 0;
}
