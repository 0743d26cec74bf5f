/* A copy of some of the source's keys: what is asked about others is refused with a word, or sent on; it is never answered as if there were no such
 * keys. Of such a copy there is neither a hash nor a snapshot: they would say of all keys what is known of some.
 */
#include <stdio.h>

#include "core/source.h"

static bool ends_within(struct key_range r, struct key_range part)
{
    if (key_range_is_from(part))
        return true;
    if (key_range_is_single(r))
        return bytes_compare(r.key, part.range_end) < 0;
    return !key_range_is_from(r) && bytes_compare(r.range_end, part.range_end) <= 0;
}

bool source_holds(const struct core *c, struct key_range range)
{
    if (range.key.len == 0)
        range.key = bytes_of("", 1);
    for (size_t i = 0; i < c->config.n_source_parts; i++) {
        struct key_range part = c->config.source_parts[i];
        if (bytes_compare(range.key, part.key) >= 0 && ends_within(range, part))
            return true;
    }
    return c->config.n_source_parts == 0;
}

const char *source_not_held(const struct core *c, char *out, size_t size)
{
    snprintf(out, size, "tenure: not done, this replica holds %s, and no others: ask its source",
             c->config.source_parts_text);
    return out;
}

/* A range without a key is for its method to refuse. */
static bool holds_range(const struct core *c, struct key_range range)
{
    return range.key.len == 0 || source_holds(c, range);
}

static bool holds_txn(const struct core *c, const struct txn_req *t);

static bool holds_ops(const struct core *c, const struct request_op *ops, size_t n)
{
    bool all = true;
    for (size_t i = 0; all && i < n; i++) {
        if (ops[i].kind == OP_RANGE)
            all = holds_range(c, ops[i].range.range);
        else if (ops[i].kind == OP_TXN)
            all = holds_txn(c, ops[i].txn);
    }
    return all;
}

static bool holds_txn(const struct core *c, const struct txn_req *t)
{
    bool all = holds_ops(c, t->success, t->n_success) && holds_ops(c, t->failure, t->n_failure);
    for (size_t i = 0; all && i < t->n_compares; i++)
        all = holds_range(c, t->compares[i].range);
    return all;
}

/* What cannot be read is for who reads it next to refuse; what may write is the source's anyway. */
static bool holds(struct core_call *call, enum answer answer, bytes in)
{
    struct core *c = call->core;
    struct range_req range;
    struct txn_req txn;
    bool held = true;
    if (answer == ANSWER_READ && decode_range_req(in, &c->arena, &range) == 0)
        held = holds_range(c, range.range);
    else if (answer == ANSWER_TXN && decode_txn_req(in, &c->arena, &txn) == 0)
        held = txn_may_write(&txn) || holds_txn(c, &txn);
    core_scratch(c);
    return held;
}

static bool is_of_all(const struct core_method *m)
{
    static const char *const names[] = {"Hash", "HashKV", "Snapshot"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(m->service, "etcdserverpb.Maintenance") == 0 && strcmp(m->name, names[i]) == 0)
            return true;
    }
    return false;
}

bool source_part_take(struct core_call *call, enum answer answer, bytes in, tn_ms now)
{
    struct core *c = call->core;
    char text[SOURCE_TEXT_MAX];
    if (is_of_all(call->method)) {
        snprintf(text, sizeof text,
                 "tenure: not done, this replica was copied by ranges, without the past, and holds %s: ask its source",
                 c->config.source_parts_text);
        call_finish(call, GRPC_FAILED_PRECONDITION, text);
        return true;
    }
    if (holds(call, answer, in))
        return false;
    if (c->config.forward_others)
        source_send_on(call, in, now);
    else
        call_finish(call, GRPC_FAILED_PRECONDITION, source_not_held(c, text, sizeof text));
    return true;
}

/* ---- how it stands ---- */

static void put_hex(struct buf *out, bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        buf_printf(out, "%02x", b.data[i]);
}

void source_part_describe(const struct core *c, struct buf *out)
{
    buf_printf(out, "holds=%s\nranges=", c->config.source_parts_text);
    for (size_t i = 0; i < c->config.n_source_parts; i++) {
        buf_append_bytes(out, bytes_str(i ? "," : ""));
        put_hex(out, c->config.source_parts[i].key);
        buf_append_byte(out, '-');
        put_hex(out, c->config.source_parts[i].range_end);
    }
    buf_append_byte(out, '\n');
}
