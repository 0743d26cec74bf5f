/* The one place where a command line meets the library's handle and its errors. */
#include "cli/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/autostart.h"

/* The line names its level. */
static void log_line(void *user, int level, const char *line)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", line);
}

/* A copy that stays, because some commands open several handles; the words themselves are taken out of the command line,
 * which others on this machine can read. */
static char *keep_secret(const char *word)
{
    char *copy = strdup(word);
    if (copy)
        explicit_bzero((char *)word, strlen(word)); /* a word of argv, which is ours to change */
    return copy;
}

static void take_identity(const struct global_options *g, struct tenure_options *ret)
{
    static char *user, *password;
    if (!user && g->user) {
        user = strdup(g->user);
        char *colon = user ? strchr(user, ':') : NULL;
        if (colon) {
            *colon = 0;
            password = keep_secret(g->user + (colon - user) + 1);
        }
    }
    if (g->password && g->password[0])
        password = keep_secret(g->password);
    ret->user = user;
    ret->password = password ? password : user ? getenv("TENURE_PASSWORD") : NULL;
}

void connect_options(const struct global_options *g, struct tenure_options *ret)
{
    *ret = (struct tenure_options){.size = sizeof *ret, .call_timeout_ms = g->call_timeout_ms};
    ret->ca_file = g->ca_file;
    ret->cert_file = g->cert_file;
    ret->key_file = g->key_file;
    ret->insecure_skip_verify = g->skip_verify;
    ret->discovery_srv = g->discovery_srv;
    ret->discovery_srv_name = g->discovery_srv_name;
    take_identity(g, ret);
    if (g->verbose)
        ret->log = log_line;
}

static int open_code = EXIT_USAGE;

int connect_code(void)
{
    return open_code;
}

int connect_refused(const char *command, const struct global_options *g, const struct tenure_error *err)
{
    int code = connect_failed(command, g, err);
    open_code = code == EXIT_UNAVAILABLE || err->kind == TENURE_KIND_RESOURCE ? code : EXIT_USAGE;
    return open_code;
}

bool connect_prepare(const char *command, const struct global_options *g)
{
    char who[64];
    snprintf(who, sizeof who, "tenure %s", command);
    open_code = EXIT_UNAVAILABLE;
    return autostart(who, g, g->starts_server);
}

tenure_client *connect_open(const char *command, const struct global_options *g)
{
    struct tenure_options o;
    struct tenure_error err = {0};
    if (!connect_prepare(command, g))
        return NULL;
    connect_options(g, &o);
    tenure_client *c = tenure_open(g->endpoints, &o, &err);
    if (!c)
        connect_refused(command, g, &err);
    return c;
}

void connect_silence(tenure_client *c, const char *words, struct tenure_error *ret)
{
    struct tenure_error err = {.code = TENURE_ETIMEOUT, .kind = TENURE_KIND_TIMEOUT};
    int n = snprintf(err.text, sizeof err.text, "%s", words);
    for (size_t i = 0; i < tenure_endpoints(c) && n < (int)sizeof err.text; i++) {
        struct tenure_endpoint_stats s = {.size = sizeof s};
        const char *name = tenure_endpoint(c, i);
        if (tenure_endpoint_stats(c, i, &s, NULL) == 0 && s.error[0] && name)
            n += snprintf(err.text + n, sizeof err.text - (size_t)n, "; %s: %s", name, s.error);
    }
    *ret = err;
}

const char *connect_bare(const char *command, const char *text)
{
    size_t n = strlen(command);
    return strncmp(text, command, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

/* The library names itself as the command does: once is enough. */
const char *connect_text(const char *command, const struct tenure_error *err)
{
    return err->text[0] ? connect_bare(command, err->text) : tenure_error_string(err->code);
}

int connect_failed(const char *command, const struct global_options *g, const struct tenure_error *err)
{
    fprintf(stderr, "tenure %s: %s\n", command, connect_text(command, err));
    if (err->applied == TENURE_APPLIED_MAYBE)
        fprintf(stderr, "it may or may not have been applied: read before you repeat it\n");
    const char *endpoints = g->endpoints ? g->endpoints : getenv("TENURE_ENDPOINTS");
    switch (err->kind) {
    case TENURE_KIND_USAGE:
        return err->grpc_status ? EXIT_FAILED : EXIT_USAGE; /* a server's word, or our own */
    case TENURE_KIND_UNAVAILABLE:
    case TENURE_KIND_TIMEOUT:
        if ((!endpoints || !endpoints[0]) && autostart_hint())
            fprintf(stderr, "%s\n", autostart_hint());
        else if (!endpoints || !endpoints[0])
            fprintf(stderr,
                    "try: name the servers by --endpoints or TENURE_ENDPOINTS, or start one by `tenure serve`\n");
        else
            fprintf(stderr, "try: tenure status --endpoints %s\n", endpoints);
        return EXIT_UNAVAILABLE;
    case TENURE_KIND_DENIED:
        if (strstr(err->text, "user name is empty")) /* etcd's word for it */
            fprintf(stderr, "try: say who asks by --user, or by TENURE_USER and TENURE_PASSWORD\n");
        return EXIT_FAILED;
    case TENURE_KIND_RESOURCE:
        if (err->code == TENURE_ENOSPACE) /* the alarm stands until somebody disarms it */
            fprintf(stderr, "try: delete or compact, or start the server with a larger --quota-backend-bytes; "
                            "then `tenure alarm disarm`\n");
        return EXIT_FAILED;
    default:
        return EXIT_FAILED;
    }
}
