/* What others ask of the core's state: its health, its clock, and what it has done. */
#include "core/call.h"
#include "core/watching.h"
#include "store/auth.h"

unsigned core_alarms(const struct core *c)
{
    bool full = c->journal.writing == WRITING_FULL || store_alarmed(c->store, ALARM_NOSPACE);
    return (full ? CORE_ALARM_NOSPACE : 0) | (store_alarmed(c->store, ALARM_CORRUPT) ? CORE_ALARM_CORRUPT : 0);
}

bool core_is_stopping(const struct core *c)
{
    return c->stopping;
}

uint64_t core_member_id(const struct core *c)
{
    return c->header.member_id;
}

tn_ms core_patience(const struct core *c, tn_ms now)
{
    return now - c->held_up_ms;
}

/* ---- what was done ---- */

static void count_watch_streams(const struct core_conn *conn, struct core_stats *ret)
{
    LIST_FOREACH(it, (struct list *)&conn->calls)
    {
        const struct watch_stream *ws = LIST_ENTRY(it, struct core_call, in_conn)->watch;
        ret->watch_streams += ws != NULL;
        ret->watch_streams_blocked += ws && ws->blocked;
    }
}

static void count_conns(const struct core *c, struct core_stats *ret)
{
    ret->bytes_received = c->fed_before;
    LIST_FOREACH(it, (struct list *)&c->conns)
    {
        const struct core_conn *conn = LIST_ENTRY(it, struct core_conn, in_core);
        ret->streams += h2_streams(conn->h2);
        ret->bytes_received += conn->fed;
        count_watch_streams(conn, ret);
    }
}

static void count_store(const struct store *s, struct core_stats *ret)
{
    const struct store_counts *n = store_counts(s);
    ret->watchers = (uint64_t)store_watchers(s);
    ret->keys = (uint64_t)store_keys(s);
    ret->leases = (uint64_t)store_leases(s);
    ret->ranges_total = n->ranges;
    ret->puts_total = n->puts;
    ret->deletes_total = n->deletes;
    ret->txns_total = n->txns;
    ret->put_bytes_total = n->put_bytes;
    ret->leases_granted_total = n->leases_granted;
    ret->leases_revoked_total = n->leases_revoked;
    ret->leases_expired_total = n->leases_expired;
    ret->leases_renewed_total = n->leases_renewed;
    ret->revision = store_revision(s);
    ret->compacted = store_compacted(s);
    ret->auth_revision = (int64_t)store_auth_revision(s, STORE_DURABLE);
    ret->seq = store_seq(s);
    ret->seq_planned = store_seq_planned(s);
    ret->store_bytes = store_memory(s);
}

void core_stats(const struct core *c, struct core_stats *ret)
{
    *ret = (struct core_stats){
        .conns = c->n_conns,
        .calls_total = c->calls_total,
        .dropped_total = c->dropped_total,
        .held_bytes = c->gate.bytes,
        .events_total = c->events_total,
        .file_bytes = c->file_bytes,
        .file_in_use = c->file_in_use,
        .quota_bytes = c->config.quota_bytes,
        .writes_failed_total = c->writes_failed_total,
    };
    count_store(c->store, ret);
    count_conns(c, ret);
}

const int64_t core_times_ms[CORE_TIMES] = {5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000};

void counts_time(struct method_counts *counts, tn_ms took_ms)
{
    size_t i = 0;
    while (i < CORE_TIMES && took_ms > core_times_ms[i])
        i++;
    counts->took[i]++;
    counts->took_ms += (uint64_t)took_ms;
}

bool core_method_stats(const struct core *c, size_t i, struct core_method_stats *ret)
{
    const struct core_method *m = dispatch_method(i);
    if (!m)
        return false;
    const struct method_counts *n = &c->counts[i];
    *ret = (struct core_method_stats){
        .service = m->service,
        .method = m->name,
        .streams_in = m->is_stream && !m->is_asked_once,
        .streams_out = m->is_stream,
        .started = n->started,
        .received = n->received,
        .sent = n->sent,
        .handled = n->handled,
        .took = c->config.time_calls ? n->took : NULL,
        .took_ms = n->took_ms,
    };
    return true;
}
