/* The flags of `tenure serve`: etcd's own, by one table that says for each what becomes of it, and a few of ours.
 *
 *     serve_table.c   the table                      serve_yaml.c     the configuration file
 *     serve_flags.c   command line and environment   serve_config.c   from flags to the server's configuration
 *
 * As in etcd the command line wins over the environment (ETCD_DATA_DIR for --data-dir), and a configuration file over both:
 * where there is one, they count for nothing. Thread: any, one at a time.
 */
#ifndef CLI_SERVE_FLAGS_H
#define CLI_SERVE_FLAGS_H

#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"

enum flag_kind {
    FLAG_BOOL,     /* bool; --name alone is true; a value only behind '=' */
    FLAG_STRING,   /* const char *; lists are comma-separated */
    FLAG_INT,      /* int64_t */
    FLAG_DURATION, /* int64_t, milliseconds: "1h30m", "500ms"; in the file a bare number counts nanoseconds, as in etcd */
    FLAG_SECONDS, /* int64_t, whole seconds; a bare number counts them */
};

/* What becomes of a flag. */
enum flag_standing {
    FLAG_SAME,    /* as in etcd */
    FLAG_BETTER,  /* as in etcd and more, or with another default: the text says it */
    FLAG_OWN,     /* not etcd's */
    FLAG_IGNORED, /* taken, with a line in the log: leaving it out harms nobody, the text says why */
    FLAG_REFUSED, /* not taken, unless it asks for nothing: the text says why */
};

struct flag {
    const char *name;
    enum flag_kind kind;
    enum flag_standing standing;
    const char *arg;  /* what the value is called in help; NULL for bool and for flags without help */
    const char *text; /* help, or the reason */
    size_t offset;    /* of its member in struct serve_options; those that do nothing have none */
    const char *note; /* how it is better; NULL for others */
};

extern const struct flag serve_flags[]; /* ends with name NULL */
extern const size_t serve_flags_n;

/* By name, with the "experimental-" that older etcd put before some; NULL: no such flag. */
const struct flag *serve_flag_find(const char *name, size_t len);
/* Whether a refused flag's value asks for nothing: empty, false, or what is the case anyway. */
bool serve_flag_is_harmless(const struct flag *f, const char *value);

#define SERVE_FLAGS_MAX   256
#define SERVE_UNKNOWN_MAX 16

enum flag_source { FLAG_DEFAULT, FLAG_FROM_ENV, FLAG_FROM_LINE, FLAG_FROM_FILE };

struct serve_options {
    const char *config_file, *data_dir, *name;
    const char *listen_client_urls, *listen_client_http_urls, *listen_metrics_urls, *advertise_client_urls;
    bool listen_anywhere;
    const char *cert_file, *key_file, *trusted_ca_file, *client_crl_file;
    const char *client_cert_allowed_cn, *client_cert_allowed_hostname, *cipher_suites, *tls_min, *tls_max;
    bool client_cert_auth, auto_tls;
    int64_t self_signed_years;
    int64_t quota_bytes, request_bytes, txn_ops, streams_max;
    int64_t ping_ms, ping_timeout_ms, progress_ms, lease_min_ttl_s, stop_unused_ms;
    const char *compaction_mode, *compaction_retention;
    const char *cors, *host_whitelist, *auth_token, *metrics;
    int64_t auth_token_ttl_s, bcrypt_cost;
    bool gateway;
    const char *logger, *log_level, *log_format, *log_outputs;
    bool debug, version, help;
};

struct serve_flags {
    struct serve_options o;
    uint8_t source[SERVE_FLAGS_MAX];        /* enum flag_source, by place in the table */
    uint8_t shadowed[SERVE_FLAGS_MAX];      /* given by the environment too, or beside a file */
    const char *unknown[SERVE_UNKNOWN_MAX]; /* variables that begin like etcd's and are none; borrowed */
    size_t n_unknown;
    struct arena text; /* strings out of the file, and lists */
};

/* Everything as when nothing is given. */
void serve_flags_init(struct serve_flags *f);
void serve_flags_fini(struct serve_flags *f);
/* Sets one flag. TENURE_EINVALID with a text that begins with the flag. value: borrowed for as long as f. */
int serve_flags_set(struct serve_flags *f, const struct flag *flag, const char *value, enum flag_source source,
                    struct tenure_error *err) MUST_USE;
/* Command line (argv without the program and the command) and environment ("NAME=VALUE" …, NULL-terminated), then the
 * configuration file, if one is named. TENURE_EINVALID with one line that names flag, variable, or file and line. */
int serve_flags_read(struct serve_flags *f, int argc, char *const *argv, char *const *env, struct tenure_error *err)
    MUST_USE;
/* The file alone. TENURE_EINVALID, TENURE_EIO, TENURE_EUNAVAILABLE (no libyaml), with its path. */
int serve_yaml_read(struct serve_flags *f, const char *path, struct tenure_error *err) MUST_USE;
/* The same of a text; path: for errors. */
int serve_yaml_parse(struct serve_flags *f, const char *path, bytes text, struct tenure_error *err) MUST_USE;
/* Writes the variable's name for a flag: "ETCD_DATA_DIR". Answers out. */
const char *serve_flag_variable(const struct flag *flag, char *out, size_t size);
/* Go's durations, whole milliseconds; bare: what a number without a unit counts in ms, 0 = there must be one. */
bool serve_duration_parse(const char *text, int64_t bare_ms, int64_t *ret_ms);

/* ---- what serve starts with ---- */
struct server_config;
struct log;
/* Everything that the server is told. Lists are cut into memory of f. TENURE_EINVALID names the flag. */
int serve_config_fill(struct serve_flags *f, struct server_config *ret, struct tenure_error *err) MUST_USE;
/* Says which flags were ignored, shadowed or are better left out; once the log is there. */
void serve_flags_log(const struct serve_flags *f, const struct log *log);

#endif
