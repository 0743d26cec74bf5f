/* tenure serve: the server. Flags have etcd's names, and each is also read from the environment under etcd's name for it
 * (ETCD_DATA_DIR for --data-dir); the command line wins. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/options.h"
#include "io/loop.h"
#include "io/signal.h"
#include "server/server.h"

#define URLS_MAX 16

static struct {
    const char *data_dir, *listen, *advertise, *name, *retention, *log_level;
    const char *cert_file, *key_file, *ca_file, *crl_file, *allowed_cns, *allowed_hostnames, *ciphers, *tls_min,
        *tls_max;
    bool listen_anywhere, help, client_cert_auth, auto_tls;
    int64_t self_signed_years;
    int64_t quota_bytes, request_bytes, txn_ops, progress_ms, lease_ttl_s;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"data-dir", 0, OPTION_STRING, "DIR", "where the data lives (/var/lib/tenure, or $XDG_STATE_HOME/tenure)",
         &opt.data_dir},
        {"listen-client-urls", 0, OPTION_STRING, "URLS",
         "http, https, unix or unixs, comma-separated; port 0 = any free (http://127.0.0.1:2379)", &opt.listen},
        {"advertise-client-urls", 0, OPTION_STRING, "URLS", "what clients are told to connect to (the same)",
         &opt.advertise},
        {"name", 0, OPTION_STRING, "NAME", "of this member (default)", &opt.name},
        {"cert-file", 0, OPTION_STRING, "FILE", "certificate for https and unixs, PEM", &opt.cert_file},
        {"key-file", 0, OPTION_STRING, "FILE", "its key, PEM", &opt.key_file},
        {"client-cert-auth", 0, OPTION_FLAG, NULL, "clients need a certificate; its CN is their user",
         &opt.client_cert_auth},
        {"trusted-ca-file", 0, OPTION_STRING, "FILE", "who signs certificates of clients; they need one then",
         &opt.ca_file},
        {"client-crl-file", 0, OPTION_STRING, "FILE", "certificates of clients that are revoked", &opt.crl_file},
        {"client-cert-allowed-cn", 0, OPTION_STRING, "NAMES", "the only CNs that clients may have", &opt.allowed_cns},
        {"client-cert-allowed-hostname", 0, OPTION_STRING, "NAMES", "hosts, one of which a client's certificate is for",
         &opt.allowed_hostnames},
        {"cipher-suites", 0, OPTION_STRING, "NAMES", "the only cipher suites, in order", &opt.ciphers},
        {"tls-min-version", 0, OPTION_STRING, "VERSION", "TLS1.2 or TLS1.3 (TLS1.2)", &opt.tls_min},
        {"tls-max-version", 0, OPTION_STRING, "VERSION", "TLS1.2 or TLS1.3 (newest)", &opt.tls_max},
        {"auto-tls", 0, OPTION_FLAG, NULL, "without --cert-file: a certificate signed by itself", &opt.auto_tls},
        {"self-signed-cert-validity", 0, OPTION_INT, "YEARS", "of that one (1)", &opt.self_signed_years},
        {"insecure-listen-anywhere", 0, OPTION_FLAG, NULL,
         "allow addresses that other machines reach, with neither client certificates nor authentication",
         &opt.listen_anywhere},
        {"quota-backend-bytes", 0, OPTION_INT, "BYTES", "bound on memory and file (2 GiB)", &opt.quota_bytes},
        {"max-request-bytes", 0, OPTION_INT, "BYTES", "of one write (1.5 MiB)", &opt.request_bytes},
        {"max-txn-ops", 0, OPTION_INT, "N", "operations of one transaction (128)", &opt.txn_ops},
        {"watch-progress-notify-interval", 0, OPTION_DURATION, "TIME",
         "how often a watch that asked for it hears how far it is (10m)", &opt.progress_ms},
        {"auto-compaction-retention", 0, OPTION_STRING, "TIME",
         "history kept; a bare number counts hours, 0 = all (1h)", &opt.retention},
        {"lease-min-ttl", 0, OPTION_SECONDS, "TIME", "shorter leases get this (2s)", &opt.lease_ttl_s},
        {"log-level", 0, OPTION_STRING, "LEVEL", "debug, info, warn or error (info)", &opt.log_level},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int usage(const char *option, const char *value, const char *expected)
{
    fprintf(stderr, "tenure serve: option --%s: '%s' is not %s\n", option, value, expected);
    return EXIT_USAGE;
}

/* ---- the environment ---- */

#define ENV_NAME_MAX 64

/* "data-dir" -> "ETCD_DATA_DIR" */
static const char *env_value(const char *option)
{
    char name[ENV_NAME_MAX];
    snprintf(name, sizeof name, "ETCD_%s", option);
    for (char *p = name; *p; p++)
        *p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* Reads the environment as if it were a command line in front of the real one. */
static bool parse_environment(void)
{
    for (const struct option_spec *o = options(); o->name; o++) {
        const char *value = env_value(o->name);
        char *text;
        int words;
        if (!value)
            continue;
        if (asprintf(&text, "--%s=%s", o->name, value) < 0)
            return false;
        char *argv[] = {text, NULL};
        bool ok = options_parse("tenure serve (environment)", options(), NULL, false, 1, argv, &words);
        if (!ok || o->kind != OPTION_STRING) /* a string is borrowed by opt for the life of the process */
            free(text);
        if (!ok)
            return false;
    }
    return true;
}

static bool parse(int argc, char **argv)
{
    static const struct option_spec help[] = {
        {"help", 'h', OPTION_FLAG, NULL, "this text", &opt.help},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    int words;
    if (!parse_environment() || !options_parse("tenure serve", options(), help, false, argc - 1, argv + 1, &words))
        return false;
    if (words > 0)
        fprintf(stderr, "tenure serve: takes no arguments, got '%s'\ntry: tenure serve --help\n", argv[1]);
    return words == 0;
}

/* ---- values ---- */

/* Cuts a copy of a comma-separated list into ret, answers how many; -1: too many or no memory. The copy lives as long as
 * the process. */
static int split_urls(const char *list, const char **ret)
{
    int n = 0;
    char *copy = strdup(list), *rest = copy, *url;
    while (copy && (url = strsep(&rest, ","))) {
        if (!*url)
            continue;
        if (n == URLS_MAX)
            return -1;
        ret[n++] = url;
    }
    return copy ? n : -1;
}

/* A bare number counts hours, as in etcd; 0 keeps everything. */
static bool parse_retention(const char *text, int64_t *ret_ms)
{
    char with_unit[64];
    size_t len = strlen(text);
    bool bare = len > 0 && len < 32 && strspn(text, "0123456789") == len;
    snprintf(with_unit, sizeof with_unit, "%s%s", text, bare ? "h" : "");
    if (!duration_parse(with_unit, ret_ms))
        return false;
    if (*ret_ms == 0)
        *ret_ms = -1;
    return true;
}

static bool parse_version(const char *text, enum io_tls_version *ret)
{
    *ret = IO_TLS_ANY;
    if (!text || !*text)
        return true;
    *ret = strcmp(text, "TLS1.3") == 0 ? IO_TLS_1_3 : strcmp(text, "TLS1.2") == 0 ? IO_TLS_1_2 : IO_TLS_ANY;
    return *ret != IO_TLS_ANY;
}

/* False: a list is too long. */
static bool fill_tls(struct server_config *c)
{
    static const char *cns[URLS_MAX], *hostnames[URLS_MAX], *ciphers[URLS_MAX];
    int n_cns = opt.allowed_cns ? split_urls(opt.allowed_cns, cns) : 0;
    int n_hostnames = opt.allowed_hostnames ? split_urls(opt.allowed_hostnames, hostnames) : 0;
    int n_ciphers = opt.ciphers ? split_urls(opt.ciphers, ciphers) : 0;
    if (n_cns < 0 || n_hostnames < 0 || n_ciphers < 0)
        return false;
    c->tls.cert_file = opt.cert_file;
    c->tls.key_file = opt.key_file;
    c->tls.ca_file = opt.ca_file;
    c->tls.crl_file = opt.crl_file;
    c->tls.client_cert_auth = opt.client_cert_auth;
    c->tls.allowed_cns = cns;
    c->tls.n_allowed_cns = (size_t)n_cns;
    c->tls.allowed_hostnames = hostnames;
    c->tls.n_allowed_hostnames = (size_t)n_hostnames;
    c->tls.cipher_suites = ciphers;
    c->tls.n_cipher_suites = (size_t)n_ciphers;
    c->auto_tls = opt.auto_tls;
    c->self_signed_years = (unsigned)opt.self_signed_years;
    return true;
}

static bool parse_level(const char *text, enum log_level *ret)
{
    for (enum log_level l = LOG_DEBUG; l <= LOG_ERROR; l++) {
        if (strcmp(text, log_level_name(l)) == 0) {
            *ret = l;
            return true;
        }
    }
    return false;
}

/* ---- the data directory ---- */

static const char *default_data_dir(char *out, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (geteuid() == 0)
        snprintf(out, size, "/var/lib/tenure");
    else if (state && *state)
        snprintf(out, size, "%s/tenure", state);
    else
        snprintf(out, size, "%s/.local/state/tenure", home ? home : "");
    return out;
}

/* The folders above the default directory; the last one is the backend's to make. */
static void make_parents(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s", dir);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return; /* opening it says why */
        *slash = '/';
    }
}

/* ---- running ---- */

static void log_line(void *user, enum log_level level, const char *line)
{
    char stamp[32];
    int64_t ms = io_wall_ms();
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    (void)user, (void)level;
    gmtime_r(&s, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(stderr, "time=%s.%03dZ %s\n", stamp, (int)(ms % 1000), line);
}

static int serve(const struct server_config *config)
{
    struct tenure_error err = {0};
    struct server *s;
    char line[4096];
    if (server_open(config, &s, &err) < 0) {
        fprintf(stderr, "tenure serve: %s\n", err.text);
        return err.code == TENURE_EINVALID ? EXIT_USAGE : EXIT_FAILED;
    }
    puts(server_ready_line(s, line, sizeof line));
    fflush(stdout);
    server_run(s);
    server_close(s);
    return EXIT_OK;
}

static bool in_range(const char *option, int64_t value, int64_t max)
{
    if (value >= 0 && value <= max)
        return true;
    fprintf(stderr, "tenure serve: option --%s: %" PRId64 " is out of range, at most %" PRId64 "\n", option, value,
            max);
    return false;
}

static int run_raw(int argc, char **argv)
{
    static char data_dir[4096];
    static const char *listen[URLS_MAX], *advertise[URLS_MAX];
    struct server_config config = {.log = {.min = LOG_INFO, .sink = log_line}};
    if (!parse(argc, argv))
        return EXIT_USAGE;
    if (opt.help) {
        help_command(stdout, &command_serve);
        return EXIT_OK;
    }
    if (opt.retention && !parse_retention(opt.retention, &config.retention_ms))
        return usage("auto-compaction-retention", opt.retention, "a duration such as 30m, 12h, or hours");
    if (opt.log_level && !parse_level(opt.log_level, &config.log.min))
        return usage("log-level", opt.log_level, "debug, info, warn or error");
    if (!parse_version(opt.tls_min, &config.tls.version_min))
        return usage("tls-min-version", opt.tls_min, "TLS1.2 or TLS1.3");
    if (!parse_version(opt.tls_max, &config.tls.version_max))
        return usage("tls-max-version", opt.tls_max, "TLS1.2 or TLS1.3");
    if (!fill_tls(&config))
        return usage("client-cert-allowed-cn", opt.allowed_cns, "a list of at most 16");
    if (!in_range("self-signed-cert-validity", opt.self_signed_years, 100) ||
        !in_range("max-request-bytes", opt.request_bytes, 1 << 30) || !in_range("max-txn-ops", opt.txn_ops, 1 << 20) ||
        !in_range("quota-backend-bytes", opt.quota_bytes, INT64_C(1) << 50))
        return EXIT_USAGE;
    int n_listen = split_urls(opt.listen ? opt.listen : "http://127.0.0.1:2379", listen);
    int n_advertise = opt.advertise ? split_urls(opt.advertise, advertise) : 0;
    if (n_listen <= 0 || n_advertise < 0)
        return usage(n_listen <= 0 ? "listen-client-urls" : "advertise-client-urls",
                     n_listen <= 0 ? opt.listen : opt.advertise, "a list of 1 to 16 addresses");
    if (!opt.data_dir)
        make_parents(default_data_dir(data_dir, sizeof data_dir));
    config.data_dir = opt.data_dir ? opt.data_dir : data_dir;
    config.name = opt.name;
    config.listen_urls = listen;
    config.n_listen_urls = (size_t)n_listen;
    config.advertise_urls = advertise;
    config.n_advertise_urls = (size_t)n_advertise;
    config.listen_anywhere = opt.listen_anywhere;
    config.quota_bytes = opt.quota_bytes;
    config.lease_ttl_min_s = opt.lease_ttl_s;
    config.progress_ms = opt.progress_ms;
    config.request_bytes_max = (uint32_t)opt.request_bytes;
    config.txn_ops_max = (uint32_t)opt.txn_ops;
    return serve(&config);
}

const struct command command_serve = {
    .name = "serve",
    .group = "Servers",
    .summary = "the etcd v3 API on this machine, durable in one directory",
    .synopsis = "[OPTIONS]",
    .description =
        "Serves etcd's gRPC API (KV, Watch, Lease, member list, status, health) from one data directory. Says\n"
        "\"tenure: serving ADDRESSES (data DIR, revision N)\" on standard output when it is ready, and logs on\n"
        "standard error. Every answered write is on disk.\n"
        "\n"
        "SIGTERM and SIGINT end it in order: streams are told, what is under way gets up to 5 seconds, leases keep\n"
        "their remaining time. A second signal ends it at once.\n"
        "\n"
        "Each option is also read from the environment under etcd's name for it: ETCD_DATA_DIR for --data-dir.\n"
        "An address that other machines reach needs https with client certificates, or authentication, or\n"
        "--insecure-listen-anywhere.",
    .examples = "tenure serve --data-dir /var/lib/tenure\n"
                "tenure serve --listen-client-urls http://127.0.0.1:0,unix:///run/tenure.sock",
    .exits = "0  stopped by a signal\n"
             "1  could not start: directory or address in use, data damaged, no permission\n"
             "2  wrong option or address",
    .options = options,
    .run_raw = run_raw,
    .no_globals = true,
};
