/* Two arrays used as queues: runs, and the plain bytes that the plain runs stand for. Both begin again at 0 when they
 * run empty, and move down when half of them is behind. */
#include "wire/h2_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "tenure/error.h"
#include "wire/grpc_frame.h"

enum { PLAIN_MIN = 256, RUNS_MIN = 2, PLAIN_KEPT_MAX = 4096, RUNS_KEPT_MAX = 16 };

/* A blob shorter than this is cheaper to copy than to follow. */
enum { SHARED_MIN = 64 };

static bool is_shared(const struct h2_part *p)
{
    return p->shared && p->shared->len >= SHARED_MIN;
}

static bytes part_bytes(const struct h2_part *p)
{
    return p->shared ? blob_bytes(p->shared) : p->plain;
}

static void plain_move_down(struct h2_queue *q)
{
    if (q->plain_at == 0)
        return;
    memmove(q->plain, q->plain + q->plain_at, q->plain_end - q->plain_at);
    q->plain_end -= q->plain_at;
    q->plain_at = 0;
}

static int plain_reserve(struct h2_queue *q, size_t more)
{
    if (more <= q->plain_cap - q->plain_end)
        return 0;
    if (q->plain_at >= q->plain_end / 2 && q->plain)
        plain_move_down(q);
    if (more <= q->plain_cap - q->plain_end)
        return 0;
    if (more > SIZE_MAX / 4 - q->plain_end)
        return TENURE_ENOMEM;
    size_t cap = q->plain_end + more > 2 * q->plain_cap ? q->plain_end + more : 2 * q->plain_cap;
    cap = cap < PLAIN_MIN ? PLAIN_MIN : cap;
    uint8_t *plain = realloc(q->plain, cap);
    if (!plain)
        return TENURE_ENOMEM;
    q->plain = plain;
    q->plain_cap = cap;
    return 0;
}

static void runs_move_down(struct h2_queue *q)
{
    if (q->run_at == 0)
        return;
    memmove(q->runs, q->runs + q->run_at, (q->run_end - q->run_at) * sizeof *q->runs);
    q->run_end -= q->run_at;
    q->run_at = 0;
}

static int runs_reserve(struct h2_queue *q, size_t more)
{
    assert(q->runs || q->run_end == 0);
    if (more <= q->runs_cap - q->run_end)
        return 0;
    if (q->run_at >= q->run_end / 2 && q->runs)
        runs_move_down(q);
    if (more <= q->runs_cap - q->run_end)
        return 0;
    if (more > SIZE_MAX / (4 * sizeof *q->runs) - q->run_end)
        return TENURE_ENOMEM;
    size_t cap = q->run_end + more > 2 * q->runs_cap ? q->run_end + more : 2 * q->runs_cap;
    cap = cap < RUNS_MIN ? RUNS_MIN : cap;
    struct h2_run *runs = realloc(q->runs, cap * sizeof *runs);
    if (!runs)
        return TENURE_ENOMEM;
    q->runs = runs;
    q->runs_cap = cap;
    return 0;
}

static void add_plain(struct h2_queue *q, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(q->plain + q->plain_end, data, len);
    q->plain_end += len;
    q->bytes += len;
    struct h2_run *last = q->run_end > q->run_at ? &q->runs[q->run_end - 1] : NULL;
    if (last && !last->shared)
        last->len += len;
    else
        q->runs[q->run_end++] = (struct h2_run){.len = len};
}

static void add_shared(struct h2_queue *q, struct blob *b)
{
    q->runs[q->run_end++] = (struct h2_run){.shared = blob_ref(b), .len = b->len};
    q->bytes += b->len;
}

struct message_size {
    size_t total, plain, runs;
};

static int measure(const struct h2_part *parts, size_t n, struct message_size *ret)
{
    struct message_size m = {.plain = GRPC_PREFIX_SIZE, .runs = 1};
    for (size_t i = 0; i < n; i++) {
        size_t len = part_bytes(&parts[i]).len;
        if (len > UINT32_MAX - m.total)
            return TENURE_ETOOLARGE;
        m.total += len;
        m.plain += is_shared(&parts[i]) ? 0 : len;
        m.runs++;
    }
    *ret = m;
    return 0;
}

int h2_queue_push(struct h2_queue *q, const struct h2_part *parts, size_t n)
{
    struct message_size m;
    uint8_t prefix[GRPC_PREFIX_SIZE];
    int rc = measure(parts, n, &m);
    rc = rc ? rc : plain_reserve(q, m.plain);
    rc = rc ? rc : runs_reserve(q, m.runs);
    if (rc)
        return rc;
    assert(q->plain && q->runs);
    grpc_prefix_write(prefix, (uint32_t)m.total);
    add_plain(q, prefix, sizeof prefix);
    for (size_t i = 0; i < n; i++) {
        if (is_shared(&parts[i]))
            add_shared(q, parts[i].shared);
        else
            add_plain(q, part_bytes(&parts[i]).data, part_bytes(&parts[i]).len);
    }
    return 0;
}

/* Memory that one large message needed is not kept for the small ones that follow. */
static void begin_again(struct h2_queue *q)
{
    q->plain_at = q->plain_end = 0;
    q->run_at = q->run_end = 0;
    if (q->plain_cap > PLAIN_KEPT_MAX) {
        free(q->plain);
        q->plain = NULL;
        q->plain_cap = 0;
    }
    if (q->runs_cap > RUNS_KEPT_MAX) {
        free(q->runs);
        q->runs = NULL;
        q->runs_cap = 0;
    }
}

static const uint8_t *run_data(const struct h2_queue *q, const struct h2_run *r)
{
    return r->shared ? r->shared->data + r->at : q->plain + q->plain_at;
}

static void run_advance(struct h2_queue *q, struct h2_run *r, size_t len)
{
    r->len -= len;
    if (r->shared)
        r->at += len;
    else
        q->plain_at += len;
    if (r->len > 0)
        return;
    blob_unref(r->shared);
    q->run_at++;
}

void h2_queue_take(struct h2_queue *q, uint8_t *out, size_t len)
{
    assert(len <= q->bytes);
    q->bytes -= len;
    while (len > 0) {
        struct h2_run *r = &q->runs[q->run_at];
        size_t n = r->len < len ? r->len : len;
        memcpy(out, run_data(q, r), n);
        run_advance(q, r, n);
        out += n;
        len -= n;
    }
    if (q->bytes == 0)
        begin_again(q);
}

void h2_queue_drop(struct h2_queue *q)
{
    for (size_t i = q->run_at; i < q->run_end; i++)
        blob_unref(q->runs[i].shared);
    q->bytes = 0;
    begin_again(q);
}

void h2_queue_fini(struct h2_queue *q)
{
    h2_queue_drop(q);
    free(q->plain);
    free(q->runs);
    *q = (struct h2_queue){0};
}
