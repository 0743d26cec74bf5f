/* All flags of etcd 3.4 to 3.7, and what becomes of each. docs/flags.md shows this table (a test compares). */
#include <string.h>

#include "cli/serve_flags.h"

#define AT(member) offsetof(struct serve_options, member)
#define SAME(name, kind, member, arg, help)                                                                            \
    {                                                                                                                  \
        name, kind, FLAG_SAME, arg, help, AT(member), NULL                                                             \
    }
#define BETTER(name, kind, member, arg, help, note)                                                                    \
    {                                                                                                                  \
        name, kind, FLAG_BETTER, arg, help, AT(member), note                                                           \
    }
#define OWN(name, kind, member, arg, help)                                                                             \
    {                                                                                                                  \
        name, kind, FLAG_OWN, arg, help, AT(member), NULL                                                              \
    }
#define IGNORED(name, kind, why)                                                                                       \
    {                                                                                                                  \
        name, kind, FLAG_IGNORED, NULL, why, 0, NULL                                                                   \
    }
#define REFUSED(name, kind, why)                                                                                       \
    {                                                                                                                  \
        name, kind, FLAG_REFUSED, NULL, why, 0, NULL                                                                   \
    }

#define NO_PEERS     "there are no peers"
#define NO_RAFT      "there is no Raft: no heartbeats, no elections"
#define NO_DISCOVERY "there is nobody to discover: one member is the whole cluster"
#define NO_BBOLT     "the log is not bbolt"
#define NO_PROXY     "it is no proxy; etcd's own proxies work in front of it"
#define NO_V2        "the v2 API was left behind by etcd 3.6 as well"
#define NO_TRACING   "spans are not exported; a collector that waits for them would wait for ever"
#define NO_WARNINGS  "slow requests are not logged"
#define OLD          "etcd ignores it as well"

const struct flag serve_flags[] = {
    /* member */
    BETTER("name", FLAG_STRING, name, "NAME", "of this member (default)", "no warning about the default name"),
    BETTER("data-dir", FLAG_STRING, data_dir, "DIR",
           "where the data lives (/var/lib/tenure, or $XDG_STATE_HOME/tenure)",
           "another default: etcd's is NAME.etcd in the working directory"),
    BETTER("listen-client-urls", FLAG_STRING, listen_client_urls, "URLS",
           "http, https, unix or unixs, comma-separated; port 0 = any free (http://127.0.0.1:2379)",
           "an address that others reach needs client certificates, authentication, or --insecure-listen-anywhere"),
    SAME("listen-client-http-urls", FLAG_STRING, listen_client_http_urls, "URLS",
         "for HTTP/1 alone; those of --listen-client-urls are for gRPC alone then"),
    SAME("quota-backend-bytes", FLAG_INT, quota_bytes, "BYTES", "bound on memory and file (2 GiB)"),
    SAME("max-txn-ops", FLAG_INT, txn_ops, "N", "operations of one transaction (128)"),
    SAME("max-request-bytes", FLAG_INT, request_bytes, "BYTES", "of one write (1.5 MiB)"),
    BETTER("max-concurrent-streams", FLAG_INT, streams_max, "N", "calls at once on one connection (100000)",
           "never more than 100,000, so that memory stays bounded"),
    BETTER("grpc-keepalive-interval", FLAG_DURATION, ping_ms, "TIME",
           "a silent client is asked after this (2h; 0 = never)", "0 really turns it off"),
    SAME("grpc-keepalive-timeout", FLAG_DURATION, ping_timeout_ms, "TIME", "and dropped after this (20s; 0 = never)"),
    IGNORED("grpc-keepalive-min-time", FLAG_DURATION, "pings are answered however often they come, in bounded memory"),
    IGNORED("wal-dir", FLAG_STRING, "log and data are one file in --data-dir"),
    IGNORED("snapshot-count", FLAG_INT, "the log holds the data themselves: there are no snapshots to take"),
    IGNORED("snapshot-catchup-entries", FLAG_INT, NO_PEERS),
    IGNORED("max-snapshots", FLAG_INT, "there are no snapshot files"),
    IGNORED("max-wals", FLAG_INT, "there are no WAL files to keep"),
    IGNORED("heartbeat-interval", FLAG_INT, NO_RAFT),
    IGNORED("election-timeout", FLAG_INT, NO_RAFT),
    IGNORED("initial-election-tick-advance", FLAG_BOOL, NO_RAFT),
    IGNORED("raft-read-timeout", FLAG_DURATION, NO_RAFT),
    IGNORED("raft-write-timeout", FLAG_DURATION, NO_RAFT),
    IGNORED("pre-vote", FLAG_BOOL, NO_RAFT),
    IGNORED("memory-mlock", FLAG_BOOL, "nothing of the data is mapped from the file"),
    IGNORED("backend-bbolt-freelist-type", FLAG_STRING, NO_BBOLT),
    IGNORED("backend-batch-interval", FLAG_DURATION, "each write is durable when it is answered; nothing is put off"),
    IGNORED("backend-batch-limit", FLAG_INT, "each write is durable when it is answered; nothing is put off"),
    IGNORED("bootstrap-defrag-threshold-megabytes", FLAG_INT, "free pages are used again"),
    IGNORED("socket-reuse-address", FLAG_BOOL, "it is always on"),
    IGNORED("socket-reuse-port", FLAG_BOOL,
            "one directory has one server: a second one on the port would have no data"),
    BETTER("enable-grpc-gateway", FLAG_BOOL, gateway, NULL, "the JSON gateway (true)",
           "on by default, as in etcd 3.5 and newer"),

    /* clustering */
    BETTER("advertise-client-urls", FLAG_STRING, advertise_client_urls, "URLS",
           "what clients are told to connect to (those listened on)", "need not be given with --listen-client-urls"),
    REFUSED("initial-cluster", FLAG_STRING, "one server is the whole cluster: only a list of one member is taken"),
    IGNORED("initial-cluster-state", FLAG_STRING, "the data directory says whether the cluster is new"),
    IGNORED("initial-cluster-token", FLAG_STRING, "each data directory has a cluster id of its own"),
    IGNORED("listen-peer-urls", FLAG_STRING, NO_PEERS),
    IGNORED("initial-advertise-peer-urls", FLAG_STRING, NO_PEERS),
    IGNORED("strict-reconfig-check", FLAG_BOOL, "members cannot be added"),
    IGNORED("max-learners", FLAG_INT, "members cannot be added"),
    REFUSED("discovery", FLAG_STRING, NO_DISCOVERY),
    REFUSED("discovery-srv", FLAG_STRING, NO_DISCOVERY),
    REFUSED("discovery-endpoints", FLAG_STRING, NO_DISCOVERY),
    REFUSED("discovery-token", FLAG_STRING, NO_DISCOVERY),
    IGNORED("discovery-srv-name", FLAG_STRING, NO_DISCOVERY),
    IGNORED("discovery-fallback", FLAG_STRING, NO_DISCOVERY),
    IGNORED("discovery-proxy", FLAG_STRING, NO_DISCOVERY),
    IGNORED("discovery-dial-timeout", FLAG_DURATION, NO_DISCOVERY),
    IGNORED("discovery-request-timeout", FLAG_DURATION, NO_DISCOVERY),
    IGNORED("discovery-keepalive-time", FLAG_DURATION, NO_DISCOVERY),
    IGNORED("discovery-keepalive-timeout", FLAG_DURATION, NO_DISCOVERY),
    IGNORED("discovery-insecure-transport", FLAG_BOOL, NO_DISCOVERY),
    IGNORED("discovery-insecure-skip-tls-verify", FLAG_BOOL, NO_DISCOVERY),
    IGNORED("discovery-cert", FLAG_STRING, NO_DISCOVERY),
    IGNORED("discovery-key", FLAG_STRING, NO_DISCOVERY),
    IGNORED("discovery-cacert", FLAG_STRING, NO_DISCOVERY),
    IGNORED("discovery-user", FLAG_STRING, NO_DISCOVERY),
    IGNORED("discovery-password", FLAG_STRING, NO_DISCOVERY),

    /* compaction */
    SAME("auto-compaction-mode", FLAG_STRING, compaction_mode, "MODE", "periodic or revision (periodic)"),
    BETTER("auto-compaction-retention", FLAG_STRING, compaction_retention, "TIME",
           "history kept, or with mode revision how many revisions; a bare number counts hours, 0 = all (1h)",
           "1h by default, so that a store does not fill up unattended; 0 is etcd's default"),
    IGNORED("compaction-batch-limit", FLAG_INT, "compaction goes on in slices that fit beside the load"),
    IGNORED("compaction-sleep-interval", FLAG_DURATION, "compaction goes on in slices that fit beside the load"),

    /* security */
    BETTER("cert-file", FLAG_STRING, cert_file, "FILE", "certificate for https and unixs, PEM",
           "read again when the file changes, and at SIGHUP"),
    BETTER("key-file", FLAG_STRING, key_file, "FILE", "its key, PEM",
           "read again when the file changes, and at SIGHUP"),
    SAME("client-cert-auth", FLAG_BOOL, client_cert_auth, NULL, "clients need a certificate; its CN is their user"),
    BETTER("trusted-ca-file", FLAG_STRING, trusted_ca_file, "FILE",
           "who signs certificates of clients; they need one then", "read again when the file changes, and at SIGHUP"),
    BETTER(
        "client-crl-file", FLAG_STRING, client_crl_file, "FILE", "certificates of clients that are revoked",
        "several lists in one file; a certificate is revoked by its own authority, not by whoever used the same number"),
    SAME("client-cert-allowed-hostname", FLAG_STRING, client_cert_allowed_hostname, "NAMES",
         "hosts, one of which a client's certificate is for"),
    OWN("client-cert-allowed-cn", FLAG_STRING, client_cert_allowed_cn, "NAMES",
        "the only CNs that clients may have (allowed-cn in etcd's file)"),
    BETTER("auto-tls", FLAG_BOOL, auto_tls, NULL, "without --cert-file: a certificate signed by itself",
           "made anew when it has run out"),
    SAME("self-signed-cert-validity", FLAG_INT, self_signed_years, "YEARS", "of that one (1)"),
    BETTER("cipher-suites", FLAG_STRING, cipher_suites, "NAMES", "the only cipher suites, in order",
           "suites of TLS 1.3 count too; etcd takes and disregards them"),
    SAME("tls-min-version", FLAG_STRING, tls_min, "VERSION", "TLS1.2 or TLS1.3 (TLS1.2)"),
    SAME("tls-max-version", FLAG_STRING, tls_max, "VERSION", "TLS1.2 or TLS1.3 (newest)"),
    SAME("cors", FLAG_STRING, cors, "ORIGINS", "origins that browsers may come from, comma-separated (*)"),
    SAME("host-whitelist", FLAG_STRING, host_whitelist, "HOSTS", "hosts that plain HTTP requests may name (*)"),
    OWN("insecure-listen-anywhere", FLAG_BOOL, listen_anywhere, NULL,
        "allow addresses that other machines reach, with neither client certificates nor authentication"),
    OWN("stop-when-unused", FLAG_DURATION, stop_unused_ms, "TIME",
        "stop when there was neither a connection nor a lease for so long (0 = never)"),
    IGNORED("client-cert-file", FLAG_STRING, "it calls nobody, itself included"),
    IGNORED("client-key-file", FLAG_STRING, "it calls nobody, itself included"),
    IGNORED("peer-cert-file", FLAG_STRING, NO_PEERS),
    IGNORED("peer-key-file", FLAG_STRING, NO_PEERS),
    IGNORED("peer-client-cert-file", FLAG_STRING, NO_PEERS),
    IGNORED("peer-client-key-file", FLAG_STRING, NO_PEERS),
    IGNORED("peer-client-cert-auth", FLAG_BOOL, NO_PEERS),
    IGNORED("peer-trusted-ca-file", FLAG_STRING, NO_PEERS),
    IGNORED("peer-cert-allowed-cn", FLAG_STRING, NO_PEERS),
    IGNORED("peer-cert-allowed-hostname", FLAG_STRING, NO_PEERS),
    IGNORED("peer-auto-tls", FLAG_BOOL, NO_PEERS),
    IGNORED("peer-crl-file", FLAG_STRING, NO_PEERS),
    IGNORED("peer-skip-client-san-verification", FLAG_BOOL, NO_PEERS),

    /* auth */
    SAME("auth-token", FLAG_STRING, auth_token, "KIND", "simple, or jwt with its options (simple)"),
    SAME("auth-token-ttl", FLAG_SECONDS, auth_token_ttl_s, "SECONDS", "of a simple token (300)"),
    SAME("bcrypt-cost", FLAG_INT, bcrypt_cost, "N", "of password hashes, 4 to 31 (10)"),

    /* watching it */
    SAME("metrics", FLAG_STRING, metrics, "LEVEL", "basic or extensive (basic)"),
    SAME("listen-metrics-urls", FLAG_STRING, listen_metrics_urls, "URLS", "for /metrics and /health alone"),
    REFUSED("enable-pprof", FLAG_BOOL, "that is a profile of Go's runtime; use perf"),
    REFUSED("enable-distributed-tracing", FLAG_BOOL, NO_TRACING),
    IGNORED("distributed-tracing-address", FLAG_STRING, "tracing is off"),
    IGNORED("distributed-tracing-service-name", FLAG_STRING, "tracing is off"),
    IGNORED("distributed-tracing-instance-id", FLAG_STRING, "tracing is off"),
    IGNORED("distributed-tracing-sampling-rate", FLAG_INT, "tracing is off"),
    IGNORED("warning-apply-duration", FLAG_DURATION, NO_WARNINGS),
    IGNORED("warning-unary-request-duration", FLAG_DURATION, NO_WARNINGS),

    /* log */
    IGNORED("logger", FLAG_STRING, "there is one logger"),
    BETTER("log-level", FLAG_STRING, log_level, "LEVEL", "debug, info, warn or error (info)",
           "panic and fatal, which etcd takes too, mean error; a configuration file's is read again at SIGHUP"),
    BETTER("log-format", FLAG_STRING, log_format, "FORMAT", "logfmt or json (logfmt)",
           "logfmt by default, which console means too; json has etcd's keys"),
    BETTER("log-outputs", FLAG_STRING, log_outputs, "WHERE",
           "stderr, stdout, systemd/journal or files, comma-separated (stderr)", "files are opened again at SIGHUP"),
    REFUSED("enable-log-rotation", FLAG_BOOL, "logrotate does it: files are opened again at SIGHUP"),
    IGNORED("log-rotation-config-json", FLAG_STRING, "logrotate does it: files are opened again at SIGHUP"),
    SAME("debug", FLAG_BOOL, debug, NULL, "the same as --log-level debug"),
    IGNORED("log-package-levels", FLAG_STRING, "one level is for all"),

    /* features */
    SAME("watch-progress-notify-interval", FLAG_DURATION, progress_ms, "TIME",
         "how often a watch that asked for it hears how far it is (10m)"),
    OWN("lease-min-ttl", FLAG_SECONDS, lease_min_ttl_s, "TIME", "shorter leases get this (2s)"),
    IGNORED("corrupt-check-time", FLAG_DURATION, "there is no second copy to compare with"),
    IGNORED("compact-hash-check-time", FLAG_DURATION, "there is no second copy to compare with"),
    IGNORED("downgrade-check-time", FLAG_DURATION, "one server is never in the middle of a downgrade"),
    IGNORED("feature-gates", FLAG_STRING, "what the gates of etcd 3.6 and 3.7 turn on is on, or has no meaning here"),
    IGNORED("force-new-cluster", FLAG_BOOL, "it is a cluster of one member in any case"),
    IGNORED("unsafe-no-fsync", FLAG_BOOL, "every answered write is on the disk, also when that is not asked for"),
    IGNORED("v2-deprecation", FLAG_STRING, "there is no v2 store"),
    REFUSED("enable-v2", FLAG_BOOL, NO_V2),
    REFUSED("experimental-enable-v2v3", FLAG_STRING, NO_V2),
    IGNORED("experimental-initial-corrupt-check", FLAG_BOOL, "the whole log is checked at each start"),
    IGNORED("experimental-compact-hash-check-enabled", FLAG_BOOL, "there is no second copy to compare with"),
    IGNORED("experimental-enable-lease-checkpoint", FLAG_BOOL,
            "leases keep their remaining time over a restart anyway"),
    IGNORED("experimental-enable-lease-checkpoint-persist", FLAG_BOOL,
            "leases keep their remaining time over a restart anyway"),
    IGNORED("experimental-txn-mode-write-with-shared-buffer", FLAG_BOOL, "reads never wait for writes"),
    IGNORED("experimental-wait-cluster-ready-timeout", FLAG_DURATION, "it is ready when it serves"),
    IGNORED("experimental-stop-grpc-service-on-defrag", FLAG_BOOL, "defragmentation stops nobody"),
    IGNORED("experimental-set-member-localaddr", FLAG_BOOL, NO_PEERS),

    /* etcd 3.4 */
    REFUSED("proxy", FLAG_STRING, NO_PROXY),
    IGNORED("proxy-failure-wait", FLAG_INT, "proxy is off"),
    IGNORED("proxy-refresh-interval", FLAG_INT, "proxy is off"),
    IGNORED("proxy-dial-timeout", FLAG_INT, "proxy is off"),
    IGNORED("proxy-write-timeout", FLAG_INT, "proxy is off"),
    IGNORED("proxy-read-timeout", FLAG_INT, "proxy is off"),
    SAME("log-output", FLAG_STRING, log_outputs, "WHERE", "an older name of --log-outputs"),
    IGNORED("cluster-active-size", FLAG_STRING, OLD),
    IGNORED("cluster-remove-delay", FLAG_STRING, OLD),
    IGNORED("cluster-sync-interval", FLAG_STRING, OLD),
    IGNORED("config", FLAG_STRING, OLD),
    IGNORED("force", FLAG_BOOL, OLD),
    IGNORED("max-result-buffer", FLAG_STRING, OLD),
    IGNORED("max-retry-attempts", FLAG_STRING, OLD),
    IGNORED("peer-heartbeat-interval", FLAG_STRING, OLD),
    IGNORED("peer-election-timeout", FLAG_STRING, OLD),
    IGNORED("retry-interval", FLAG_STRING, OLD),
    IGNORED("snapshot", FLAG_BOOL, OLD),
    IGNORED("v", FLAG_BOOL, OLD),
    IGNORED("vv", FLAG_BOOL, OLD),

    SAME("config-file", FLAG_STRING, config_file, "FILE", "YAML; flags and environment count for nothing then"),
    SAME("version", FLAG_BOOL, version, NULL, "says the version and ends"),
    SAME("help", FLAG_BOOL, help, NULL, "this text"),
    {0},
};

const size_t serve_flags_n = ARRAY_LEN(serve_flags) - 1;

_Static_assert(ARRAY_LEN(serve_flags) <= SERVE_FLAGS_MAX, "a place for each flag");

static const struct flag *find(const char *name, size_t len)
{
    for (const struct flag *f = serve_flags; f->name; f++)
        if (strlen(f->name) == len && memcmp(f->name, name, len) == 0)
            return f;
    return NULL;
}

const struct flag *serve_flag_find(const char *name, size_t len)
{
    static const char before[] = "experimental-";
    const struct flag *f = find(name, len);
    if (f || len <= sizeof before - 1 || memcmp(name, before, sizeof before - 1) != 0)
        return f;
    f = find(name + sizeof before - 1, len - (sizeof before - 1));
    return f && f->standing != FLAG_OWN ? f : NULL;
}

/* "m=http://a:2380,m=http://b:2380" is one member with two addresses. */
static bool is_one_member(const char *value)
{
    size_t name = strcspn(value, "=");
    if (value[name] != '=')
        return false;
    for (const char *next = strchr(value, ','); next; next = strchr(next, ',')) {
        next++;
        if (strncmp(next, value, name) != 0 || next[name] != '=')
            return false;
    }
    return true;
}

bool serve_flag_is_harmless(const struct flag *f, const char *value)
{
    if (!*value || (f->kind == FLAG_BOOL && (*value == 'f' || *value == 'F' || *value == '0')))
        return true;
    if (strcmp(f->name, "initial-cluster") == 0)
        return is_one_member(value);
    return strcmp(f->name, "proxy") == 0 && strcmp(value, "off") == 0;
}
