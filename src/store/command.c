/* A command changes the planned state at once, row by row; each row leaves an entry in the tail, which is enough to
 * take it back. The same undo serves a command that fails half way (command_abort) and rows that the log did not take
 * (store_rollback).
 *
 * Failure modes: no memory for a row fails that row before anything changed; a tail at its bound refuses the next
 * command (a single one may still be longer than the bound: deleting a large range must be possible).
 */
#include <assert.h>
#include <stdlib.h>

#include "store/internal.h"

enum etcd_error command_begin(struct store *s)
{
    assert(s->replay.done);
    if (s->tail.len >= s->config.undo_entries_max)
        return ETCD_TOO_MANY_REQUESTS;
    s->command_first = s->tail.len;
    s->command_subs = 0;
    return ETCD_OK;
}

void command_end(struct store *s)
{
    if (s->tail.len > s->command_first)
        tail_seal(&s->tail);
    if (s->command_subs > 0)
        s->revision++;
    s->command_subs = 0;
}

void command_abort(struct store *s)
{
    while (s->tail.len > s->command_first)
        undo_last(s);
    s->command_subs = 0;
}

int command_reserve(struct store *s)
{
    return tail_reserve(&s->tail);
}

void command_add(struct store *s, struct planned entry, struct record row)
{
    row.seq = ++s->seq;
    entry.kind = row.kind;
    if (row.kind == RECORD_KV)
        s->command_subs++;
    tail_push(&s->tail, entry, &row);
}

static void undo_grant(struct store *s, struct lease *l)
{
    lease_remove(&s->leases, l);
    s->memory -= lease_memory();
    lease_free(l);
}

/* Nothing was added since the revoke that is not undone by now, so the lease finds its room again. */
static void undo_revoke(struct store *s, struct lease *l)
{
    lease_clear_revoked(&s->leases, l);
    lease_add(&s->leases, l, lease_deadline(&s->leases, l));
}

static void undo_compaction(struct store *s, struct compaction *c)
{
    s->compacted = c->revision_before;
    list_remove(&c->node);
    free(c);
}

void undo_last(struct store *s)
{
    struct planned entry = tail_pop(&s->tail);
    s->seq--;
    switch (entry.kind) {
    case RECORD_KV:
        if (s->config.follows)
            s->follow_bytes -= version_bytes(entry.version);
        version_uninstall(s, entry.version);
        break;
    case RECORD_LEASE_GRANT:
        undo_grant(s, entry.lease);
        break;
    case RECORD_LEASE_REVOKE:
        undo_revoke(s, entry.lease);
        break;
    case RECORD_COMPACT:
        undo_compaction(s, entry.compaction);
        break;
    case RECORD_ALARM:
    case RECORD_PEER_URLS:
        fact_undo(s, s->seq + 1);
        break;
    case RECORD_AUTH_SWITCH:
    case RECORD_AUTH_USER:
    case RECORD_AUTH_ROLE:
        s->memory -= auth_undo(&s->auth, entry.auth);
        break;
    case RECORD_IDENTITY:
        break;
    }
}

void store_rollback(struct store *s)
{
    tail_drop_rows(&s->tail);
    while (s->tail.len > 0)
        undo_last(s);
    s->revision = s->revision_durable;
    assert(s->seq == s->seq_durable);
    assert(s->compacted == s->compacted_durable);
}

static void commit_compaction(struct store *s, const struct compaction *c)
{
    s->compacted_durable = c->revision;
    if (c->reached > s->revision_durable)
        s->revision_durable = c->reached;
}

static void commit_version(struct store *s, struct version *v)
{
    s->revision_durable = v->main;
    if (s->config.follows)
        s->follow_bytes -= version_bytes(v);
    if (version_is_tombstone(v) && key_newest(v->key) == v)
        store_key_bury(s, v->key);
}

void store_commit(struct store *s, tn_seq seq)
{
    assert(seq <= s->seq);
    bool whole = true;
    while (s->seq_durable < seq) {
        struct planned entry = tail_shift(&s->tail);
        s->seq_durable++;
        whole = entry.last_of_command;
        if (entry.kind == RECORD_KV)
            commit_version(s, entry.version);
        else if (entry.kind == RECORD_COMPACT)
            commit_compaction(s, entry.compaction);
        else if (record_is_auth(entry.kind))
            s->memory -= auth_commit(&s->auth, entry.auth);
    }
    assert(whole);
    (void)whole;
}

const struct record *store_outbox(struct store *s, size_t max, size_t *ret_n)
{
    return tail_hand_out(&s->tail, max, ret_n);
}

bool store_outbox_empty(const struct store *s)
{
    return tail_is_handed_out(&s->tail);
}
