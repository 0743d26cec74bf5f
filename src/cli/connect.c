/* The one place where a command line meets the library's handle and its errors. */
#include "cli/connect.h"

#include <stdio.h>
#include <stdlib.h>

static void log_line(void *user, int level, const char *line)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    (void)user;
    fprintf(stderr, "level=%s %s\n", level >= 0 && level < 4 ? names[level] : "?", line);
}

void connect_options(const struct global_options *g, struct tenure_options *ret)
{
    *ret = (struct tenure_options){.size = sizeof *ret, .call_timeout_ms = g->call_timeout_ms};
    if (g->verbose)
        ret->log = log_line;
}

tenure_client *connect_open(const char *command, const struct global_options *g)
{
    struct tenure_options o;
    struct tenure_error err = {0};
    connect_options(g, &o);
    tenure_client *c = tenure_open(g->endpoints, &o, &err);
    if (!c)
        connect_failed(command, g, &err);
    return c;
}

int connect_failed(const char *command, const struct global_options *g, const struct tenure_error *err)
{
    fprintf(stderr, "tenure %s: %s\n", command, err->text[0] ? err->text : tenure_error_string(err->code));
    if (err->applied == TENURE_APPLIED_MAYBE)
        fprintf(stderr, "it may or may not have been applied: read before you repeat it\n");
    switch (err->kind) {
    case TENURE_KIND_USAGE:
        return EXIT_USAGE;
    case TENURE_KIND_UNAVAILABLE:
    case TENURE_KIND_TIMEOUT:
        if (!g->endpoints && !getenv("TENURE_ENDPOINTS"))
            fprintf(stderr,
                    "try: name the servers by --endpoints or TENURE_ENDPOINTS, or start one by `tenure serve`\n");
        else
            fprintf(stderr, "try: tenure status --endpoints %s\n",
                    g->endpoints ? g->endpoints : getenv("TENURE_ENDPOINTS"));
        return EXIT_UNAVAILABLE;
    default:
        return EXIT_FAILED;
    }
}
