/* See tree.h. A node is a core over a store, and below the source a client and a follower; a pipe is a connection between a node's
 * client and a core, with bytes under way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "replica/follower.h"
#include "sim/tree.h"

enum { PUTS_MAX = 1 << 16, CLUSTER = 7, SETTLE_MS = 3000 };

struct chunk {
    struct list in_pipe;
    bool to_client;
    tn_ms due;
    size_t len;
    uint8_t bytes[];
};

struct pipe {
    struct list in_world;
    struct node *client, *server;
    uint32_t number;
    struct core_conn *conn; /* NULL: it has not come about yet, or is over */
    bool open, over;
    tn_ms open_at;
    struct list chunks;
};

struct node {
    struct world *world;
    size_t index, depth;
    bool dead;
    struct store *store;
    struct core *core;
    struct client *client; /* NULL: the source */
    struct follower *follower;
    char url[2][32]; /* of those that it follows */
    bool logging;
    tn_ms logged_at;
    tn_seq logged_to;
    tn_rev seen;
};

struct world {
    struct tree_config config;
    tn_ms now;
    struct node nodes[TREE_REPLICAS_MAX + 1]; /* the first is the source */
    size_t n;
    struct client *writer;
    struct node writing; /* who the writer's pipe belongs to */
    struct list pipes;
    tn_ms durable_at[PUTS_MAX]; /* by revision, at the source */
    int64_t *lags;
    size_t n_lags, lags_room, puts;
    int64_t oldest;
    uint64_t source_bytes;
    bool measuring;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* ---- the network ---- */

static void push(struct pipe *p, bool to_client, bytes b)
{
    struct chunk *k = malloc(sizeof *k + b.len);
    check(k);
    struct world *w = p->client->world;
    *k = (struct chunk){.to_client = to_client, .len = b.len};
    k->due = w->now + (p->client == &w->writing ? 0 : w->config.hop_ms);
    memcpy(k->bytes, b.data, b.len);
    list_init(&k->in_pipe);
    list_push_back(&p->chunks, &k->in_pipe);
    if (w->measuring && to_client && p->server == &w->nodes[0] && p->client != &w->writing)
        w->source_bytes += b.len;
}

static void connect_to(struct node *n, const struct client_io *io)
{
    struct world *w = n->world;
    struct pipe *p = calloc(1, sizeof *p);
    size_t port = 0;
    check(p && sscanf(io->endpoint, "http://n:%zu", &port) == 1 && port <= w->n);
    *p = (struct pipe){.client = n, .server = &w->nodes[port - 1], .number = io->conn};
    p->open_at = w->now + (n == &w->writing ? 0 : 2 * w->config.hop_ms);
    list_init(&p->chunks);
    list_init(&p->in_world);
    list_push_back(&w->pipes, &p->in_world);
}

static struct client *client_of(struct node *n)
{
    return n == &n->world->writing ? n->world->writer : n->client;
}

static void pipe_free(struct pipe *p)
{
    while (!list_empty(&p->chunks)) {
        struct chunk *k = LIST_ENTRY(p->chunks.next, struct chunk, in_pipe);
        list_remove(&k->in_pipe);
        free(k);
    }
    if (p->conn && !p->server->dead)
        core_remove(p->conn);
    list_remove(&p->in_world);
    free(p);
}

static struct pipe *find_pipe(struct node *n, uint32_t number)
{
    LIST_FOREACH(it, &n->world->pipes)
    {
        struct pipe *p = LIST_ENTRY(it, struct pipe, in_world);
        if (p->client == n && p->number == number)
            return p;
    }
    return NULL;
}

static void open_pipe(struct pipe *p)
{
    tn_ms now = p->client->world->now;
    p->open = true;
    if (p->server->dead) {
        p->over = true;
        client_connect_failed(client_of(p->client), p->number, "it is gone", now);
        return;
    }
    core_turn(p->server->core, now);
    p->conn = core_accept(p->server->core, "memory", p, now);
    check(p->conn);
    client_connected(client_of(p->client), p->number, now);
}

static bool carry(struct pipe *p)
{
    struct world *w = p->client->world;
    bool any = false;
    if (!p->open && w->now >= p->open_at) {
        open_pipe(p);
        any = true;
    }
    LIST_FOREACH_SAFE(it, &p->chunks)
    {
        struct chunk *k = LIST_ENTRY(it, struct chunk, in_pipe);
        if (k->due > w->now || p->over)
            continue;
        if (k->to_client)
            client_feed(client_of(p->client), p->number, bytes_of(k->bytes, k->len), w->now);
        else if (p->conn)
            core_feed(p->conn, bytes_of(k->bytes, k->len), w->now);
        list_remove(&k->in_pipe);
        free(k);
        any = true;
    }
    return any;
}

static bool pull(struct pipe *p)
{
    struct buf out;
    bool any;
    if (!p->conn || p->over)
        return false;
    buf_init(&out);
    core_output(p->conn, &out, 1 << 20, p->client->world->now);
    any = out.len > 0;
    if (any)
        push(p, true, buf_bytes(&out));
    buf_fini(&out);
    return any;
}

/* ---- a node's turn ---- */

static void note(struct node *n)
{
    struct world *w = n->world;
    tn_rev now_at = store_revision(n->store);
    for (; n->seen < now_at; n->seen++) {
        tn_rev revision = n->seen + 1;
        check(revision < PUTS_MAX);
        if (n->index == 0) {
            w->durable_at[revision] = w->now;
        } else if (w->measuring) {
            if (w->n_lags == w->lags_room) {
                w->lags_room = w->lags_room ? 2 * w->lags_room : 4096;
                w->lags = realloc(w->lags, w->lags_room * sizeof w->lags[0]);
                check(w->lags);
            }
            w->lags[w->n_lags++] = w->now - w->durable_at[revision];
        }
    }
}

static bool client_turn(struct node *n, struct client *c)
{
    struct world *w = n->world;
    struct client_io io;
    struct buf out;
    bool any = false;
    client_tick(c, w->now);
    while (client_next_io(c, &io)) {
        struct pipe *p = find_pipe(n, io.conn);
        if (io.kind == CLIENT_IO_CONNECT)
            connect_to(n, &io);
        else if (p)
            pipe_free(p);
        any = true;
    }
    buf_init(&out);
    for (uint32_t number; (number = client_next_dirty(c)) != 0;) {
        struct pipe *p = find_pipe(n, number);
        buf_reset(&out);
        client_output(c, number, &out, 1 << 20, w->now);
        if (p && !p->over && out.len > 0)
            push(p, false, buf_bytes(&out));
        any |= out.len > 0;
    }
    buf_fini(&out);
    return client_deliver(c) || any;
}

static bool log_turn(struct node *n)
{
    struct core_batch b;
    tn_ms now = n->world->now;
    if (n->logging && now >= n->logged_at) {
        n->logging = false;
        core_written(n->core, CORE_APPLIED, n->logged_to, now);
        note(n);
        return true;
    }
    if (n->logging || !core_batch(n->core, &b, 1000))
        return false;
    n->logging = true;
    n->logged_at = now + n->world->config.log_ms;
    n->logged_to = b.n_rows ? b.rows[b.n_rows - 1].seq : store_seq(n->store);
    return true;
}

static bool node_turn(struct node *n)
{
    struct world *w = n->world;
    bool any = n->client && client_turn(n, n->client);
    core_turn(n->core, w->now);
    core_run(n->core, w->now);
    if (n->follower)
        follower_run(n->follower, w->now);
    any |= log_turn(n);
    while (core_next_dirty(n->core))
        ;
    return any;
}

static void settle(struct world *w)
{
    for (bool any = true; any;) {
        any = client_turn(&w->writing, w->writer);
        for (size_t i = 0; i < w->n; i++)
            any |= !w->nodes[i].dead && node_turn(&w->nodes[i]);
        LIST_FOREACH_SAFE(it, &w->pipes)
        {
            struct pipe *p = LIST_ENTRY(it, struct pipe, in_world);
            any |= carry(p);
            any |= pull(p);
        }
    }
}

/* ---- life ---- */

static tn_ms on_enter(void *user)
{
    struct node *n = user;
    return n->world->now;
}

static void on_asked(void *user)
{
    (void)user;
}

static struct client *new_client(struct node *n, size_t parents)
{
    const char *urls[] = {n->url[0], n->url[1]};
    struct client_config k = {.endpoints = urls, .n_endpoints = parents};
    struct tenure_error err;
    struct client *c;
    rng_init(&k.seed, n->world->config.seed + n->index + 100);
    check(client_new(&k, n->world->now, &c, &err) == 0);
    return c;
}

static void open_core(struct node *n)
{
    struct rng seed;
    struct tenure_error err;
    size_t rows;
    struct store_config s = {
        .cluster_id = CLUSTER, .member_id = n->index + 1, .member_name = "n", .follows = n->index > 0};
    rng_init(&seed, n->world->config.seed + n->index);
    check(store_new(&s, &seed, &n->store) == 0 && store_ready(n->store, n->world->now, &err) == 0);
    const struct record *identity = store_outbox(n->store, 100, &rows);
    if (rows)
        store_commit(n->store, identity[rows - 1].seq);
    struct core_config k = {.store = n->store, .retention_ms = -1, .seed = seed};
    if (n->index > 0) {
        struct follower_config f = {.cluster_id = CLUSTER, .enter = on_enter, .asked = on_asked, .user = n};
        n->follower = follower_new(&f);
        check(n->follower);
        k.source = &follower_source;
        k.source_user = n->follower;
        k.source_cluster = CLUSTER;
    }
    check(core_new(&k, &n->core) == 0);
    n->seen = store_revision(n->store);
}

/* Whom the replica of that index follows: level by level. */
static size_t parent_of(const struct tree_config *k, size_t index)
{
    return k->children ? (index - 1) / k->children : 0;
}

static void add_replica(struct world *w, size_t index)
{
    struct node *n = &w->nodes[index];
    size_t parent = parent_of(&w->config, index), parents = 1;
    *n = (struct node){.world = w, .index = index, .depth = w->nodes[parent].depth + 1};
    snprintf(n->url[0], sizeof n->url[0], "http://n:%zu", parent + 1);
    if (parent > 0) { /* the grandparent as well */
        snprintf(n->url[1], sizeof n->url[1], "http://n:%zu", parent_of(&w->config, parent) + 1);
        parents = w->config.kill_inner ? 2 : 1;
    }
    open_core(n);
    n->client = new_client(n, parents);
    follower_start(n->follower, n->core, n->store, n->client, w->now);
}

static struct world *world_new(const struct tree_config *config)
{
    struct world *w = calloc(1, sizeof *w);
    check(w && config->replicas <= TREE_REPLICAS_MAX);
    w->config = *config;
    w->now = 1000000;
    w->n = config->replicas + 1;
    list_init(&w->pipes);
    w->nodes[0] = (struct node){.world = w};
    open_core(&w->nodes[0]);
    w->writing = (struct node){.world = w, .index = TREE_REPLICAS_MAX, .url[0] = "http://n:1"};
    w->writer = new_client(&w->writing, 1);
    for (size_t i = 1; i < w->n; i++)
        add_replica(w, i);
    return w;
}

static void node_end(struct node *n)
{
    struct world *w = n->world;
    if (n->dead)
        return;
    if (n->follower)
        follower_stop(n->follower, w->now);
    LIST_FOREACH_SAFE(it, &w->pipes)
    {
        struct pipe *p = LIST_ENTRY(it, struct pipe, in_world);
        if (p->client != n && p->server != n)
            continue;
        if (p->server == n && p->conn) {
            core_remove(p->conn);
            p->conn = NULL;
            p->over = true;
            client_disconnected(client_of(p->client), p->number, "it was killed", w->now);
        }
        if (p->client == n)
            pipe_free(p);
    }
    n->core = core_free(n->core);
    n->follower = follower_free(n->follower);
    n->client = client_free(n->client);
    n->dead = true;
}

static void world_free(struct world *w)
{
    for (size_t i = w->n; i-- > 0;) {
        node_end(&w->nodes[i]);
        store_free(w->nodes[i].store);
    }
    while (!list_empty(&w->pipes))
        pipe_free(LIST_ENTRY(w->pipes.next, struct pipe, in_world));
    client_free(w->writer);
    free(w->lags);
    free(w);
}

/* ---- the run ---- */

static void on_put(void *user, const struct client_result *r)
{
    (void)user;
    check(r->code == 0);
}

static void put(struct world *w)
{
    char key[32], value[256];
    struct tenure_error err;
    memset(value, 'v', sizeof value);
    snprintf(key, sizeof key, "k%zu", w->puts++ % 100);
    struct put_req req = {.key = bytes_str(key), .value = bytes_of(value, sizeof value)};
    check(client_put(w->writer, &req, NULL, on_put, NULL, w->now, &err) != NULL);
}

static void look(struct world *w)
{
    for (size_t i = 1; w->measuring && i < w->n; i++) {
        int64_t age = w->nodes[i].dead ? 0 : core_staleness(w->nodes[i].core, w->now);
        if (age > w->oldest)
            w->oldest = age;
    }
}

static void run_for(struct world *w, int64_t ms, bool puts)
{
    for (tn_ms until = w->now + ms; w->now < until; w->now++) {
        if (puts && (until - w->now) % w->config.put_ms == 0)
            put(w);
        settle(w);
        look(w);
    }
}

static void kill_inner(struct world *w)
{
    for (size_t i = 1; i < w->n; i++) {
        if (i * w->config.children + 1 < w->n && w->config.children) {
            node_end(&w->nodes[i]);
            return;
        }
    }
}

static uint32_t hash_of(struct node *n)
{
    struct store_hash *h;
    struct hash_kv_resp r;
    check(store_hash_begin(n->store, 0, &h) == ETCD_OK);
    while (store_hash_step(h, 1000) == STORE_HASH_MORE)
        ;
    store_hash_result(h, &r);
    store_hash_end(h);
    return r.hash;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t rounds(const struct world *w)
{
    uint64_t n = 0;
    for (size_t i = 1; i < w->n; i++) {
        if (!w->nodes[i].dead && w->nodes[i].depth == 1)
            n += follower_counts(w->nodes[i].follower)->rounds;
    }
    return n;
}

static void judge(struct world *w, struct tree_result *ret)
{
    ret->equal = true;
    for (size_t i = 1; i < w->n; i++) {
        struct node *n = &w->nodes[i];
        ret->depth = n->depth > ret->depth ? n->depth : ret->depth;
        ret->equal = ret->equal && (n->dead || (store_revision(n->store) == store_revision(w->nodes[0].store) &&
                                                hash_of(n) == hash_of(&w->nodes[0])));
    }
    check(w->n_lags > 0);
    qsort(w->lags, w->n_lags, sizeof w->lags[0], compare);
    ret->p50_ms = w->lags[w->n_lags / 2];
    ret->p99_ms = w->lags[w->n_lags * 99 / 100];
    ret->most_ms = w->lags[w->n_lags - 1];
    ret->oldest_ms = w->oldest;
    ret->puts = w->puts;
    ret->source_watches = (size_t)store_watchers(w->nodes[0].store);
}

void tree_run(const struct tree_config *config, struct tree_result *ret)
{
    struct world *w = world_new(config);
    *ret = (struct tree_result){0};
    run_for(w, SETTLE_MS, false);
    w->measuring = true;
    uint64_t rounds_before = rounds(w);
    run_for(w, config->length_ms / 2, true);
    if (config->kill_inner)
        kill_inner(w);
    run_for(w, config->length_ms - config->length_ms / 2, true);
    ret->source_calls_per_s = (double)(rounds(w) - rounds_before) * 1000 / (double)config->length_ms;
    ret->source_bytes_per_put = (double)w->source_bytes / (double)w->puts;
    run_for(w, SETTLE_MS, false);
    judge(w, ret);
    world_free(w);
}
