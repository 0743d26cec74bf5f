/* The text of /metrics: a family is its two comment lines and its samples. */
#include "http/metrics.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the format ---- */

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct buf *out, const char *name, const char *type, const char *help, int64_t v)
{
    family(out, name, type, help);
    buf_printf(out, "%s %" PRId64 "\n", name, v);
}

static void gauge(struct buf *out, const char *name, const char *help, int64_t v)
{
    number(out, name, "gauge", help, v);
}

static void counter(struct buf *out, const char *name, const char *help, uint64_t v)
{
    number(out, name, "counter", help, (int64_t)v);
}

static void known_gauge(struct buf *out, const char *name, const char *help, int64_t v)
{
    if (v > 0)
        gauge(out, name, help, v);
}

void histogram_add(struct histogram *h, int64_t us)
{
    size_t i = 0;
    uint64_t took = us > 0 ? (uint64_t)us : 0;
    while (i < HISTOGRAM_BUCKETS && took > UINT64_C(1000) << i)
        i++;
    h->counts[i]++;
    h->sum_us += took;
}

static void histogram(struct buf *out, const char *name, const char *help, const struct histogram *h)
{
    uint64_t n = 0;
    family(out, name, "histogram", help);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        n += h->counts[i];
        buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, 0.001 * (double)(1 << i), n);
    }
    n += h->counts[HISTOGRAM_BUCKETS];
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n", name, n, name,
               (double)h->sum_us / 1e6, name, n);
}

/* ---- the server ---- */

static void print_server(const struct core *core, const char *version, const struct core_stats *s, struct buf *out)
{
    uint64_t id = core_member_id(core);
    gauge(out, "etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.", 1);
    gauge(out, "etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise.", 1);
    gauge(out, "etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise.", 0);
    counter(out, "etcd_server_leader_changes_seen_total", "The number of leader changes seen.", 1);
    family(out, "etcd_server_id", "gauge", "Server or member ID in hexadecimal format. 1 for 'server_id' label.");
    buf_printf(out, "etcd_server_id{server_id=\"%" PRIx64 "\"} 1\n", id);
    family(out, "etcd_server_version", "gauge", "Which version is running. 1 for 'server_version' label.");
    buf_printf(out, "etcd_server_version{server_version=\"%s\"} 1\n", version);
    family(out, "etcd_cluster_version", "gauge", "Which version is running. 1 for 'cluster_version' label.");
    buf_printf(out, "etcd_cluster_version{cluster_version=\"3.7\"} 1\n");
    family(out, "tenure_version", "gauge", "The version of tenure. 1 for 'version' label.");
    buf_printf(out, "tenure_version{version=\"%s\"} 1\n", TENURE_VERSION);
    gauge(out, "etcd_server_proposals_committed_total", "Rows of the log that are durable.", s->seq);
    gauge(out, "etcd_server_proposals_applied_total", "Rows of the log that are applied.", s->seq);
    gauge(out, "etcd_server_proposals_pending", "Rows of the log that are not durable yet.", s->seq_planned - s->seq);
    counter(out, "etcd_server_proposals_failed_total", "Batches of the log that failed.", s->writes_failed_total);
    gauge(out, "etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes.", s->quota_bytes);
}

static void print_alarms(const struct core *core, struct buf *out)
{
    unsigned alarms = core_alarms(core);
    uint64_t id = core_member_id(core);
    if (!alarms)
        return;
    family(out, "etcd_debugging_server_alarms", "gauge",
           "Alarms for every member in cluster. 1 for 'server_id' label.");
    if (alarms & CORE_ALARM_CORRUPT)
        buf_printf(out, "etcd_debugging_server_alarms{alarm_type=\"CORRUPT\",server_id=\"%" PRIx64 "\"} 1\n", id);
    if (alarms & CORE_ALARM_NOSPACE)
        buf_printf(out, "etcd_debugging_server_alarms{alarm_type=\"NOSPACE\",server_id=\"%" PRIx64 "\"} 1\n", id);
}

static void print_store(const struct core_stats *s, struct buf *out)
{
    counter(out, "etcd_mvcc_range_total", "Total number of ranges seen by this member.", s->ranges_total);
    counter(out, "etcd_mvcc_put_total", "Total number of puts seen by this member.", s->puts_total);
    counter(out, "etcd_mvcc_delete_total", "Total number of deletes seen by this member.", s->deletes_total);
    counter(out, "etcd_mvcc_txn_total", "Total number of txns seen by this member.", s->txns_total);
    gauge(out, "etcd_mvcc_db_total_size_in_bytes", "Total size of the file and its log in bytes.", s->file_bytes);
    gauge(out, "etcd_mvcc_db_total_size_in_use_in_bytes", "Of that, what is in use.", s->file_in_use);
    gauge(out, "etcd_debugging_mvcc_keys_total", "Total number of keys.", (int64_t)s->keys);
    gauge(out, "etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams.", (int64_t)s->watch_streams);
    gauge(out, "etcd_debugging_mvcc_watcher_total", "Total number of watchers.", (int64_t)s->watchers);
    counter(out, "etcd_debugging_mvcc_events_total", "Total number of events sent by this member.", s->events_total);
    gauge(out, "etcd_debugging_mvcc_current_revision", "The current revision of store.", s->revision);
    gauge(out, "etcd_debugging_auth_revision", "The current revision of auth store.", s->auth_revision);
    gauge(out, "etcd_debugging_mvcc_compact_revision", "The revision of the last compaction in store.", s->compacted);
    gauge(out, "etcd_debugging_mvcc_total_put_size_in_bytes", "The total size of put kv pairs seen by this member.",
          (int64_t)s->put_bytes_total);
    counter(out, "etcd_debugging_lease_granted_total", "The total number of granted leases.", s->leases_granted_total);
    counter(out, "etcd_debugging_lease_revoked_total", "The total number of revoked leases.", s->leases_revoked_total);
    counter(out, "etcd_debugging_lease_renewed_total", "The number of renewed leases.", s->leases_renewed_total);
    counter(out, "etcd_debugging_server_lease_expired_total", "The total number of expired leases.",
            s->leases_expired_total);
}

/* ---- calls ---- */

static const char *const code_names[CORE_STATUSES] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

static const char *type_name(const struct core_method_stats *m)
{
    if (m->streams_in)
        return m->streams_out ? "bidi_stream" : "client_stream";
    return m->streams_out ? "server_stream" : "unary";
}

static void labels(struct buf *out, const struct core_method_stats *m)
{
    buf_printf(out, "grpc_method=\"%s\",grpc_service=\"%s\",grpc_type=\"%s\"}", m->method, m->service, type_name(m));
}

/* A code that was never answered has no sample, but for OK. */
static void print_handled(const struct core *core, struct buf *out)
{
    struct core_method_stats m;
    family(out, "grpc_server_handled_total", "counter",
           "Total number of RPCs completed on the server, regardless of success or failure.");
    for (size_t i = 0; core_method_stats(core, i, &m); i++) {
        for (size_t code = 0; code < CORE_STATUSES; code++) {
            if (code > 0 && m.handled[code] == 0)
                continue;
            buf_printf(out, "grpc_server_handled_total{grpc_code=\"%s\",", code_names[code]);
            labels(out, &m);
            buf_printf(out, " %" PRIu64 "\n", m.handled[code]);
        }
    }
}

enum call_count { STARTED, RECEIVED, SENT };

static void print_count(const struct core *core, enum call_count which, const char *name, const char *help,
                        struct buf *out)
{
    struct core_method_stats m;
    family(out, name, "counter", help);
    for (size_t i = 0; core_method_stats(core, i, &m); i++) {
        uint64_t v = which == STARTED ? m.started : which == RECEIVED ? m.received : m.sent;
        buf_printf(out, "%s{", name);
        labels(out, &m);
        buf_printf(out, " %" PRIu64 "\n", v);
    }
}

static void print_times(const struct core_method_stats *m, struct buf *out)
{
    uint64_t n = 0;
    char of[256];
    snprintf(of, sizeof of, "grpc_method=\"%s\",grpc_service=\"%s\",grpc_type=\"%s\"", m->method, m->service,
             type_name(m));
    for (size_t i = 0; i < CORE_TIMES; i++) {
        n += m->took[i];
        buf_printf(out, "grpc_server_handling_seconds_bucket{%s,le=\"%g\"} %" PRIu64 "\n", of,
                   (double)core_times_ms[i] / 1000, n);
    }
    n += m->took[CORE_TIMES];
    buf_printf(out,
               "grpc_server_handling_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64
               "\ngrpc_server_handling_seconds_sum{%s} %.3f\ngrpc_server_handling_seconds_count{%s} %" PRIu64 "\n",
               of, n, of, (double)m->took_ms / 1000, of, n);
}

/* Only with --metrics extensive, and then for those that were called at all. */
static void print_all_times(const struct core *core, struct buf *out)
{
    struct core_method_stats m;
    if (!core_method_stats(core, 0, &m) || !m.took)
        return;
    family(out, "grpc_server_handling_seconds", "histogram",
           "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.");
    for (size_t i = 0; core_method_stats(core, i, &m); i++) {
        if (m.started > 0)
            print_times(&m, out);
    }
}

static void print_calls(const struct core *core, struct buf *out)
{
    print_handled(core, out);
    print_all_times(core, out);
    print_count(core, RECEIVED, "grpc_server_msg_received_total",
                "Total number of RPC stream messages received on the server.", out);
    print_count(core, SENT, "grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server.",
                out);
    print_count(core, STARTED, "grpc_server_started_total", "Total number of RPCs started on the server.", out);
}

/* ---- health ---- */

static const struct {
    const char *type, *name;
} checks[CHECKS] = {
    [CHECK_LIVE_READ] = {"livez", "serializable_read"},   [CHECK_READY_CORRUPTION] = {"readyz", "data_corruption"},
    [CHECK_READY_READ] = {"readyz", "serializable_read"}, [CHECK_READY_LINEARIZABLE] = {"readyz", "linearizable_read"},
    [CHECK_READY_LEARNER] = {"readyz", "non_learner"},
};

static void check_total(struct buf *out, size_t i, const char *status, uint64_t n)
{
    if (n > 0)
        buf_printf(out, "etcd_server_healthchecks_total{name=\"%s\",status=\"%s\",type=\"%s\"} %" PRIu64 "\n",
                   checks[i].name, status, checks[i].type, n);
}

static void print_health(const struct http_counts *c, struct buf *out)
{
    counter(out, "etcd_server_health_success", "The total number of successful health checks", c->healthy);
    counter(out, "etcd_server_health_failures", "The total number of failed health checks", c->unhealthy);
    family(out, "etcd_server_healthcheck", "gauge", "The result of each kind of healthcheck.");
    for (size_t i = 0; i < CHECKS; i++) {
        if (c->checks[i].good + c->checks[i].bad > 0)
            buf_printf(out, "etcd_server_healthcheck{name=\"%s\",type=\"%s\"} %d\n", checks[i].name, checks[i].type,
                       c->checks[i].last_good);
    }
    family(out, "etcd_server_healthchecks_total", "counter", "The total number of each kind of healthcheck.");
    for (size_t i = 0; i < CHECKS; i++) {
        check_total(out, i, "error", c->checks[i].bad);
        check_total(out, i, "success", c->checks[i].good);
    }
}

/* ---- ours ---- */

static void print_own(const struct core_stats *s, const struct http_counts *c, const struct http_numbers *n,
                      struct buf *out)
{
    gauge(out, "tenure_connections", "Connections, all protocols.", (int64_t)s->conns);
    gauge(out, "tenure_http_connections", "Of those, connections that speak HTTP/1.", (int64_t)c->conns);
    family(out, "tenure_http_answers_total", "counter", "Answers over HTTP/1 by hundreds of their status.");
    for (size_t i = 1; i < ARRAY_LEN(c->answers); i++)
        buf_printf(out, "tenure_http_answers_total{code=\"%zuxx\"} %" PRIu64 "\n", i, c->answers[i]);
    gauge(out, "tenure_streams", "Calls under way.", (int64_t)s->streams);
    counter(out, "tenure_calls_total", "Calls begun.", s->calls_total);
    counter(out, "tenure_dropped_peers_total", "Connections ended because their peer did not keep up.",
            s->dropped_total);
    counter(out, "tenure_received_bytes_total", "Bytes received by the core: HTTP/2, and calls of the gateway.",
            s->bytes_received);
    gauge(out, "tenure_held_reply_bytes", "Replies that wait until what they have seen is durable.",
          (int64_t)s->held_bytes);
    gauge(out, "tenure_watch_streams_blocked", "Watch streams whose client does not keep up.",
          (int64_t)s->watch_streams_blocked);
    gauge(out, "tenure_leases", "Leases.", (int64_t)s->leases);
    gauge(out, "tenure_store_bytes", "Memory of keys, values and history.", s->store_bytes);
    counter(out, "tenure_batches_total", "Batches written to the log.", n->batches);
    counter(out, "tenure_batch_rows_total", "Rows in those.", n->batch_rows);
}

static void print_process(const struct http_numbers *n, struct buf *out)
{
    known_gauge(out, "os_fd_limit", "The file descriptor limit.", n->fds_max);
    known_gauge(out, "os_fd_used", "The number of used file descriptors.", n->fds);
    family(out, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
    buf_printf(out, "process_cpu_seconds_total %.2f\n", n->cpu_s);
    known_gauge(out, "process_max_fds", "Maximum number of open file descriptors.", n->fds_max);
    known_gauge(out, "process_open_fds", "Number of open file descriptors.", n->fds);
    known_gauge(out, "process_resident_memory_bytes", "Resident memory size in bytes.", n->resident_bytes);
    family(out, "process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.");
    buf_printf(out, "process_start_time_seconds %.2f\n", n->started_at_s);
    known_gauge(out, "process_virtual_memory_bytes", "Virtual memory size in bytes.", n->virtual_bytes);
}

void metrics_print(const struct core *core, const char *version, const struct http_counts *counts,
                   const struct http_numbers *numbers, struct buf *out)
{
    struct core_stats s;
    core_stats(core, &s);
    print_server(core, version, &s, out);
    print_alarms(core, out);
    print_store(&s, out);
    histogram(out, "etcd_disk_backend_commit_duration_seconds",
              "How long a batch took, from its first row to its sync.", &numbers->commits);
    histogram(out, "etcd_disk_wal_fsync_duration_seconds", "Of that, writing the log and its sync.", &numbers->syncs);
    print_calls(core, out);
    print_health(counts, out);
    print_own(&s, counts, numbers, out);
    print_process(numbers, out);
}
