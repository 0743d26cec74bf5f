/* From flags to what the server is told. Each refusal names its flag; what only the server can judge (addresses, files) it
 * refuses itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/serve_flags.h"
#include "server/server.h"

#define STREAMS_MAX 100000 /* as core.h */
#define NO_QUOTA    (INT64_C(1) << 50)

static int bad(struct tenure_error *err, const char *flag, const char *value, const char *expected)
{
    return error_set(err, TENURE_EINVALID, "option --%s: '%.80s' is not %s", flag, value, expected);
}

/* ---- lists ---- */

/* Cuts a comma-separated list; blanks around an item and empty items do not count. */
static int split(struct serve_flags *f, const char *list, const char *const **ret, size_t *ret_n,
                 struct tenure_error *err)
{
    size_t room = 1;
    *ret_n = 0;
    if (!list)
        return 0;
    for (const char *p = list; *p; p++)
        room += *p == ',';
    const char **items = arena_array(&f->text, room, sizeof *items);
    char *rest = arena_strdup(&f->text, list), *item;
    if (!items || !rest)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    while ((item = strsep(&rest, ","))) {
        item += strspn(item, " ");
        item[strcspn(item, " ")] = 0;
        if (*item)
            items[(*ret_n)++] = item;
    }
    *ret = items;
    return 0;
}

static int fill_lists(struct serve_flags *f, struct server_config *c, struct tenure_error *err)
{
    const struct serve_options *o = &f->o;
    const char *listen = o->listen_client_urls ? o->listen_client_urls : "http://127.0.0.1:2379";
    int rc = split(f, listen, &c->listen_urls, &c->n_listen_urls, err);
    if (rc == 0)
        rc = split(f, o->listen_client_http_urls, &c->listen_http_urls, &c->n_listen_http_urls, err);
    if (rc == 0)
        rc = split(f, o->listen_metrics_urls, &c->metrics_urls, &c->n_metrics_urls, err);
    if (rc == 0)
        rc = split(f, o->advertise_client_urls, &c->advertise_urls, &c->n_advertise_urls, err);
    if (rc == 0)
        rc = split(f, o->cors, &c->cors, &c->n_cors, err);
    if (rc == 0)
        rc = split(f, o->host_whitelist, &c->hosts, &c->n_hosts, err);
    if (rc == 0)
        rc = split(f, o->client_cert_allowed_cn, &c->tls.allowed_cns, &c->tls.n_allowed_cns, err);
    if (rc == 0)
        rc = split(f, o->client_cert_allowed_hostname, &c->tls.allowed_hostnames, &c->tls.n_allowed_hostnames, err);
    if (rc == 0)
        rc = split(f, o->cipher_suites, &c->tls.cipher_suites, &c->tls.n_cipher_suites, err);
    if (rc == 0 && c->n_listen_urls == 0)
        rc = bad(err, "listen-client-urls", listen, "a list of addresses");
    return rc;
}

/* ---- TLS ---- */

static int version(const char *flag, const char *text, enum io_tls_version *ret, struct tenure_error *err)
{
    *ret = IO_TLS_ANY;
    if (!text)
        return 0;
    *ret = strcmp(text, "TLS1.3") == 0 ? IO_TLS_1_3 : strcmp(text, "TLS1.2") == 0 ? IO_TLS_1_2 : IO_TLS_ANY;
    return *ret == IO_TLS_ANY ? bad(err, flag, text, "TLS1.2 or TLS1.3") : 0;
}

static int fill_tls(const struct serve_options *o, struct server_config *c, struct tenure_error *err)
{
    struct io_tls_config *t = &c->tls;
    t->cert_file = o->cert_file;
    t->key_file = o->key_file;
    t->ca_file = o->trusted_ca_file;
    t->crl_file = o->client_crl_file;
    t->client_cert_auth = o->client_cert_auth;
    c->auto_tls = o->auto_tls;
    c->self_signed_years = (unsigned)o->self_signed_years;
    int rc = version("tls-min-version", o->tls_min, &t->version_min, err);
    if (rc == 0)
        rc = version("tls-max-version", o->tls_max, &t->version_max, err);
    if (rc == 0 && t->version_min == IO_TLS_1_3 && t->version_max == IO_TLS_1_2)
        rc = bad(err, "tls-min-version", o->tls_min, "at most --tls-max-version");
    if (rc == 0 && t->n_allowed_cns && t->n_allowed_hostnames)
        rc = error_set(err, TENURE_EINVALID,
                       "--client-cert-allowed-cn and --client-cert-allowed-hostname exclude each other");
    return rc;
}

/* ---- compaction ---- */

/* A bare number counts hours, as in etcd; 0 keeps everything. */
static int fill_retention(const struct serve_options *o, struct server_config *c, struct tenure_error *err)
{
    const char *mode = o->compaction_mode ? o->compaction_mode : "periodic", *text = o->compaction_retention;
    bool by_revision = strcmp(mode, "revision") == 0;
    char *end;
    if (!by_revision && strcmp(mode, "periodic") != 0)
        return bad(err, "auto-compaction-mode", mode, "periodic or revision");
    if (by_revision) {
        c->retention_revs = text ? strtoll(text, &end, 10) : 0;
        if (text && (*end || *text < '0' || *text > '9' || c->retention_revs == INT64_MAX))
            return bad(err, "auto-compaction-retention", text, "a number of revisions");
        c->retention_ms = -1;
        return 0;
    }
    if (text && !serve_duration_parse(text, 3600 * 1000, &c->retention_ms))
        return bad(err, "auto-compaction-retention", text, "a duration such as 30m, 12h, or hours");
    if (text && c->retention_ms == 0)
        c->retention_ms = -1;
    return 0;
}

/* ---- numbers and words ---- */

static int in_range(const char *flag, int64_t value, int64_t min, int64_t max, struct tenure_error *err)
{
    if (value == 0 || (value >= min && value <= max)) /* 0 = not given, or the default */
        return 0;
    return error_set(err, TENURE_EINVALID, "option --%s: %" PRId64 " is out of range, from %" PRId64 " to %" PRId64,
                     flag, value, min, max);
}

static int check_numbers(const struct serve_options *o, struct tenure_error *err)
{
    int rc = in_range("max-request-bytes", o->request_bytes, 1, 1 << 30, err);
    if (rc == 0)
        rc = in_range("max-txn-ops", o->txn_ops, 1, 1 << 20, err);
    if (rc == 0)
        rc = in_range("quota-backend-bytes", o->quota_bytes, INT64_MIN, NO_QUOTA, err);
    if (rc == 0)
        rc = in_range("max-concurrent-streams", o->streams_max, 1, UINT32_MAX, err);
    if (rc == 0)
        rc = in_range("self-signed-cert-validity", o->self_signed_years, 1, 100, err);
    if (rc == 0)
        rc = in_range("bcrypt-cost", o->bcrypt_cost, 4, 31, err);
    if (rc == 0)
        rc = in_range("auth-token-ttl", o->auth_token_ttl_s, 1, UINT32_MAX, err);
    return rc == 0 ? in_range("lease-min-ttl", o->lease_min_ttl_s, 1, INT64_C(9000000000), err) : rc;
}

static void fill_numbers(const struct serve_options *o, struct server_config *c)
{
    c->quota_bytes = o->quota_bytes < 0 ? NO_QUOTA : o->quota_bytes; /* below 0: none, as in etcd */
    c->request_bytes_max = (uint32_t)o->request_bytes;
    c->txn_ops_max = (uint32_t)o->txn_ops;
    c->streams_max = o->streams_max < STREAMS_MAX ? (uint32_t)o->streams_max : STREAMS_MAX;
    c->progress_ms = o->progress_ms;
    c->lease_ttl_min_s = o->lease_min_ttl_s;
    c->stop_unused_ms = o->stop_unused_ms;
    c->ping_ms = o->ping_ms > 0 ? o->ping_ms : -1;
    c->ping_timeout_ms = o->ping_timeout_ms > 0 ? o->ping_timeout_ms : -1;
    c->auth_token_ttl_s = o->auth_token_ttl_s;
    c->bcrypt_cost = (unsigned)o->bcrypt_cost;
}

static int fill_words(const struct serve_options *o, struct server_config *c, struct tenure_error *err)
{
    c->name = o->name;
    c->listen_default = !o->listen_client_urls;
    c->listen_anywhere = o->listen_anywhere;
    c->auth_token = o->auth_token;
    c->no_gateway = !o->gateway;
    c->metrics_extensive = o->metrics && strcmp(o->metrics, "extensive") == 0;
    if (o->metrics && !c->metrics_extensive && strcmp(o->metrics, "basic") != 0)
        return bad(err, "metrics", o->metrics, "basic or extensive");
    if (o->auth_token && strcmp(o->auth_token, "simple") != 0 && strncmp(o->auth_token, "jwt,", 4) != 0)
        return bad(err, "auth-token", o->auth_token, "simple or jwt,OPTION=VALUE,…");
    return 0;
}

int serve_config_fill(struct serve_flags *f, struct server_config *c, struct tenure_error *err)
{
    const struct serve_options *o = &f->o;
    int rc = fill_lists(f, c, err);
    if (rc == 0)
        rc = fill_tls(o, c, err);
    if (rc == 0)
        rc = fill_retention(o, c, err);
    if (rc == 0)
        rc = check_numbers(o, err);
    if (rc == 0)
        rc = fill_words(o, c, err);
    if (rc == 0)
        fill_numbers(o, c);
    return rc;
}

/* ---- what the log is told ---- */

static void add_name(char *list, size_t size, const char *before, const char *name)
{
    size_t len = strlen(list);
    snprintf(list + len, size - len, "%s%s%s", len ? " " : "", before, name);
}

static void log_list(const struct log *log, const char *msg, const char *list)
{
    char quoted[800];
    if (*list)
        log_write(log, LOG_WARN, msg, "flags=%s", log_quote(quoted, sizeof quoted, bytes_str(list)));
}

void serve_flags_log(const struct serve_flags *f, const struct log *log)
{
    char ignored[700] = "", shadowed[700] = "", unknown[700] = "";
    for (size_t i = 0; i < serve_flags_n; i++) {
        const struct flag *flag = &serve_flags[i];
        if (f->source[i] != FLAG_DEFAULT && flag->standing == FLAG_IGNORED)
            add_name(ignored, sizeof ignored, "--", flag->name);
        if (f->shadowed[i])
            add_name(shadowed, sizeof shadowed, "--", flag->name);
    }
    for (size_t i = 0; i < f->n_unknown; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(f->unknown[i], "="), f->unknown[i]);
        add_name(unknown, sizeof unknown, "", name);
    }
    log_list(log, "flags that have no meaning for this server are ignored", ignored);
    log_list(log,
             f->o.config_file ? "flags and variables count for nothing beside a configuration file"
                              : "variables count for nothing beside their flags",
             shadowed);
    log_list(log, "variables that are none of etcd's are ignored", unknown);
}
