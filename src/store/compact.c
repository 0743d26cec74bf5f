/* Compaction as a command: one row. Readers see it once it is durable; trim.c drops what it made superfluous.
 */
#include <stdlib.h>

#include "store/internal.h"

struct compaction *compaction_durable(const struct store *s)
{
    for (struct list *it = s->compactions.prev; it != &s->compactions; it = it->prev) {
        struct compaction *c = LIST_ENTRY(it, struct compaction, node);
        if (c->seq <= s->seq_durable)
            return c;
    }
    return NULL;
}

static enum etcd_error plan(struct store *s, tn_rev rev, tn_rev reached)
{
    struct compaction *c = malloc(sizeof *c);
    if (!c || command_reserve(s) != 0) {
        free(c);
        return ETCD_OUT_OF_MEMORY;
    }
    *c = (struct compaction){.revision = rev, .revision_before = s->compacted, .reached = reached, .seq = s->seq + 1};
    list_push_back(&s->compactions, &c->node);
    s->compacted = rev;
    command_add(s, (struct planned){.compaction = c},
                (struct record){.kind = RECORD_COMPACT, .main = rev, .create_revision = reached});
    return ETCD_OK;
}

/* With holes the row of the last revision may be one that goes: then the compaction's tells it. */
enum etcd_error compaction_plan(struct store *s, tn_rev rev)
{
    return plan(s, rev, s->config.has_holes ? s->revision : 0);
}

enum etcd_error compaction_plan_reached(struct store *s, tn_rev reached)
{
    return plan(s, s->compacted > 0 ? s->compacted : 0, reached);
}

static enum etcd_error compact_check(const struct store *s, tn_rev rev)
{
    if (rev <= s->compacted)
        return ETCD_COMPACTED;
    return rev > s->revision ? ETCD_FUTURE_REV : ETCD_OK;
}

enum etcd_error store_compact(struct store *s, const struct compact_req *req, struct compact_resp *ret, tn_seq *seq)
{
    enum etcd_error e = alarm_check(s);
    if (!e)
        e = command_begin(s);
    if (!e) {
        e = compact_check(s, req->revision);
        if (!e)
            e = compaction_plan(s, req->revision);
        command_end(s);
    }
    *seq = command_gate(s);
    if (!e)
        ret->revision = s->revision;
    return e;
}
