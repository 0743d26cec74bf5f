/* See writers.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busy/link.h"
#include "busy/users.h"
#include "busy/writers.h"
#include "wire/codec.h"

enum { TXN_MAX = 6, SOURCE_LINKS = 2, LINKS_MAX = 16, MARK = 32 };
#define BURST_NS INT64_C(200000000) /* what could not be begun for so long is not caught up with */

enum kind { PUT, TXN, DELETE, DELETE_RANGE, GRANT, LEASED, REVOKE, COMPACT };

struct op {
    enum kind kind;
    uint64_t number;
    char key[TXN_MAX][24];
    size_t n_keys;
    uint64_t value; /* its hash */
    tn_lease lease; /* of a compaction: the revision */
    bool answered;
};

/* What was answered: at that revision the key has the value, or so many keys were deleted. */
struct ack {
    tn_rev revision;
    uint64_t key, value; /* hashes; of a delete: 0, how many */
};

static struct {
    struct writers_options o;
    struct court *court;
    struct rng rng;
    struct link *links[LINKS_MAX];
    size_t n_links, running;
    bool stopped;
    uint64_t next;
    tn_lease next_lease;
    tn_rev last;
    int64_t begun_ns, due_ns, compact_ns;
    struct ack *acks;
    size_t n_acks, acks_room;
    struct writers_counts counts;
    struct arena arena;
    struct buf body;
} run;

/* ---- requests ---- */

static bytes value_of(struct op *op)
{
    static char text[4096];
    int n = snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, op->number, (uint64_t)now_ns());
    size_t len = run.o.value_bytes > MARK ? run.o.value_bytes : MARK;
    len = len < sizeof text ? len : sizeof text;
    memset(text + n, 'v', len - (size_t)n);
    op->value = history_hash(bytes_of(text, len));
    return bytes_of(text, len);
}

int64_t writers_sent_ns(bytes value)
{
    char text[17] = "";
    if (value.len < MARK)
        return 0;
    memcpy(text, value.data + 16, 16);
    return (int64_t)strtoull(text, NULL, 16);
}

static void draw_key(struct op *op)
{
    /* Half of the writes meet a twentieth of the keys. */
    uint64_t of = rng_below(&run.rng, 2) ? run.o.keys : run.o.keys / 20 + 1;
    snprintf(op->key[op->n_keys++], sizeof op->key[0], "p%" PRIu64 "/%06" PRIu64, rng_below(&run.rng, 10),
             rng_below(&run.rng, of));
}

static bool has_key(const struct op *op)
{
    for (size_t i = 0; i + 1 < op->n_keys; i++) {
        if (strcmp(op->key[i], op->key[op->n_keys - 1]) == 0)
            return true;
    }
    return false;
}

static void encode_put(struct op *op)
{
    struct put_req r = {.key = bytes_str(op->key[0]), .value = value_of(op), .lease = op->lease};
    encode_put_req(&r, &run.body);
}

static void encode_txn(struct op *op)
{
    struct request_op ops[TXN_MAX];
    struct txn_req r = {.success = ops, .n_success = op->n_keys};
    bytes value = value_of(op);
    for (size_t i = 0; i < op->n_keys; i++)
        ops[i] = (struct request_op){.kind = OP_PUT,
                                     .put = {.key = bytes_str(op->key[i]), .value = value, .lease = op->lease}};
    encode_txn_req(&r, &run.body);
}

static void encode_delete(const struct op *op)
{
    char end[24];
    struct delete_req r = {.range.key = bytes_str(op->key[0])};
    if (op->kind == DELETE_RANGE) {
        snprintf(end, sizeof end, "%.*s~", (int)strlen(op->key[0]) - 2, op->key[0]); /* a hundred neighbours */
        r.range.range_end = bytes_str(end);
    }
    encode_delete_req(&r, &run.body);
}

static const char *encode(struct op *op)
{
    struct lease_grant_req grant = {.id = op->lease, .ttl_s = 2};
    struct lease_revoke_req revoke = {.id = op->lease};
    buf_reset(&run.body);
    switch (op->kind) {
    case PUT:
        encode_put(op);
        return "/etcdserverpb.KV/Put";
    case TXN:
    case LEASED:
        encode_txn(op);
        return "/etcdserverpb.KV/Txn";
    case DELETE:
    case DELETE_RANGE:
        encode_delete(op);
        return "/etcdserverpb.KV/DeleteRange";
    case GRANT:
        encode_lease_grant_req(&grant, &run.body);
        return "/etcdserverpb.Lease/LeaseGrant";
    case REVOKE:
        encode_lease_revoke_req(&revoke, &run.body);
        return "/etcdserverpb.Lease/LeaseRevoke";
    case COMPACT:
        encode_compact_req(&(struct compact_req){.revision = op->lease}, &run.body);
        return "/etcdserverpb.KV/Compact";
    }
    return "";
}

static bool send_op(struct op *op, struct link *l)
{
    const char *path = encode(op);
    if (buf_error(&run.body))
        die("out of memory");
    op->answered = false;
    l->token = users_token(USER_ROOT, run.o.source);
    if ((users_on() && !l->token) || !link_call(l, path, buf_bytes(&run.body), op))
        return false;
    run.running++;
    run.counts.begun++;
    run.counts.forwarded += l->port != run.o.source;
    return true;
}

/* ---- answers ---- */

static void remember(tn_rev revision, uint64_t key, uint64_t value)
{
    if (run.n_acks == run.acks_room) {
        run.acks_room = run.acks_room ? 2 * run.acks_room : 4096;
        run.acks = realloc(run.acks, run.acks_room * sizeof run.acks[0]);
        if (!run.acks)
            die("out of memory");
    }
    run.acks[run.n_acks++] = (struct ack){revision, key, value};
}

static void on_message(struct link *l, void *call, bytes m)
{
    struct op *op = call;
    struct response_header h = {0};
    struct delete_resp deleted = {0};
    int rc = op->kind == DELETE || op->kind == DELETE_RANGE ? decode_delete_resp(m, &run.arena, &h, &deleted)
                                                            : decode_header_resp(m, &run.arena, &h);
    (void)l;
    if (rc)
        die("an answer that cannot be read");
    arena_reset(&run.arena);
    op->answered = true;
    if (h.revision > run.last)
        run.last = h.revision;
    bool puts = op->kind == PUT || op->kind == TXN || op->kind == LEASED;
    for (size_t i = 0; puts && i < op->n_keys; i++)
        remember(h.revision, history_hash(bytes_str(op->key[i])), op->value);
    if (deleted.deleted > 0)
        remember(h.revision, 0, (uint64_t)deleted.deleted);
}

static struct link *draw_link(void)
{
    size_t i = rng_below(&run.rng, 50) == 0 && run.n_links > SOURCE_LINKS
                   ? SOURCE_LINKS + rng_below(&run.rng, run.n_links - SOURCE_LINKS)
                   : rng_below(&run.rng, SOURCE_LINKS);
    return run.links[i];
}

static void count(const struct op *op)
{
    run.counts.puts += op->kind == PUT;
    run.counts.txns += op->kind == TXN || op->kind == LEASED;
    run.counts.deletes += op->kind == DELETE || op->kind == DELETE_RANGE;
    run.counts.leases += op->kind == GRANT;
    run.counts.compactions += op->kind == COMPACT;
}

/* A lease that was granted gets keys; a tenth of those are revoked, the others expire. */
static bool goes_on(struct op *op)
{
    if (run.stopped || (op->kind != GRANT && op->kind != LEASED))
        return false;
    if (op->kind == LEASED && rng_below(&run.rng, 10))
        return false;
    op->kind = op->kind == GRANT ? LEASED : REVOKE;
    return send_op(op, draw_link());
}

static void on_end(struct link *l, void *call, enum grpc_status code)
{
    struct op *op = call;
    bool ok = code == GRPC_OK && op->answered;
    (void)l;
    if (code == GRPC_UNAUTHENTICATED)
        users_refused(USER_ROOT, run.o.source);
    run.running--;
    run.counts.done += ok;
    run.counts.failed += !ok;
    if (ok)
        count(op);
    if (!ok || !goes_on(op))
        free(op);
}

/* ---- what is begun ---- */

static enum kind draw_kind(void)
{
    uint64_t x = rng_below(&run.rng, 1000);
    return x < 850 ? PUT : x < 890 ? TXN : x < 980 ? DELETE : x < 983 ? DELETE_RANGE : GRANT;
}

static struct op *draw_op(void)
{
    struct op *op = calloc(1, sizeof *op);
    if (!op)
        die("out of memory");
    op->kind = draw_kind();
    op->number = run.next++;
    size_t n = op->kind == TXN     ? 2 + rng_below(&run.rng, TXN_MAX - 2)
               : op->kind == GRANT ? 1 + rng_below(&run.rng, 3)
                                   : 1;
    while (op->n_keys < n) {
        draw_key(op);
        if (has_key(op))
            op->n_keys--;
    }
    if (op->kind == GRANT)
        op->lease = run.next_lease++;
    return op;
}

static void compact(int64_t now)
{
    if (run.o.compact_ms == 0 || now < run.compact_ns)
        return;
    run.compact_ns = now + (int64_t)rng_below(&run.rng, (uint64_t)run.o.compact_ms * 2) * 1000000;
    /* One in eight takes all there is: who is behind then must copy anew. */
    int64_t behind = rng_below(&run.rng, 8) ? (int64_t)rng_below(&run.rng, (uint64_t)run.o.compact_behind) : 0;
    tn_rev to = run.court->history.last - behind;
    const struct court *c = run.court;
    if (to <= 1 || (c->n_compactions && to <= c->compactions[c->n_compactions - 1]))
        return;
    struct op *op = calloc(1, sizeof *op);
    if (!op)
        die("out of memory");
    *op = (struct op){.kind = COMPACT, .lease = to};
    court_compaction(run.court, to);
    if (!send_op(op, run.links[0]))
        free(op);
}

void writers_turn(int64_t now)
{
    int64_t each = (int64_t)(1e9 / run.o.rate);
    if (run.stopped)
        return;
    if (now - run.due_ns > BURST_NS) {
        run.counts.late += (uint64_t)((now - run.due_ns - BURST_NS) / each);
        run.due_ns = now - BURST_NS;
    }
    while (run.due_ns <= now && run.running < run.o.inflight) {
        struct op *op = draw_op();
        run.due_ns += each;
        if (!send_op(op, draw_link()))
            free(op);
    }
    compact(now);
}

/* ---- what was answered, against the history ---- */

static bool is_there(const struct history *h, const struct ack *a)
{
    size_t from = history_find(h, a->revision), to = history_find(h, a->revision + 1), deleted = 0;
    for (size_t i = from; i < to; i++) {
        const struct fact *f = &h->facts[i];
        if (a->key && f->value == a->value && !f->is_delete && history_hash(h->keys[f->key]) == a->key)
            return true;
        deleted += f->is_delete;
    }
    return !a->key && deleted == a->value;
}

uint64_t writers_missing(char *ret_text, size_t size)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < run.n_acks; i++) {
        if (is_there(&run.court->history, &run.acks[i]) || missing++)
            continue;
        snprintf(ret_text, size, "a %s that was answered at revision %" PRId64 " is not in the history",
                 run.acks[i].key ? "put" : "delete", run.acks[i].revision);
    }
    return missing;
}

/* ---- life ---- */

void writers_start(const struct writers_options *o, struct court *court)
{
    static const struct link_callbacks callbacks = {.on_message = on_message, .on_end = on_end};
    run.o = *o;
    run.court = court;
    run.next = 1;
    run.next_lease = (tn_lease)(o->seed % 1000 + 1) * 1000000000;
    run.begun_ns = run.due_ns = now_ns();
    rng_init(&run.rng, o->seed);
    arena_init(&run.arena, 0);
    buf_init(&run.body);
    for (size_t i = 0; i < SOURCE_LINKS; i++)
        run.links[run.n_links++] = link_new(o->source, &callbacks, NULL);
    for (size_t i = 0; i < o->n_replicas && run.n_links < LINKS_MAX; i++)
        run.links[run.n_links++] = link_new(o->replicas[i], &callbacks, NULL);
}

bool writers_stop(void)
{
    run.stopped = true;
    return run.running == 0;
}

tn_rev writers_last(void)
{
    return run.last;
}

const struct writers_counts *writers_counts(void)
{
    return &run.counts;
}
