/* tenure serve: the server. Flags, variables and configuration file are etcd's (serve_flags.h). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/paths.h"
#include "cli/serve_flags.h"
#include "cli/serve_log.h"
#include "server/server.h"

static struct serve_flags flags;

/* ---- help ---- */

/* Those that do something, for help and man page; the others are in docs/flags.md. */
static const struct option_spec *options(void)
{
    static struct option_spec table[SERVE_FLAGS_MAX];
    size_t n = 0;
    for (const struct flag *f = serve_flags; f->name; f++) {
        bool shown = f->standing != FLAG_IGNORED && f->standing != FLAG_REFUSED && strcmp(f->name, "help") != 0;
        if (shown)
            table[n++] = (struct option_spec){.name = f->name, .arg = f->arg, .help = f->text};
    }
    return table;
}

/* ---- running ---- */

static int complain(const struct tenure_error *err)
{
    fprintf(stderr, "tenure serve: %s\n", err->text);
    if (err->code == TENURE_EINVALID)
        fprintf(stderr, "try: tenure serve --help\n");
    return err->code == TENURE_EINVALID ? EXIT_USAGE : EXIT_FAILED;
}

static int serve(const struct server_config *config)
{
    struct tenure_error err = {0};
    struct server *s;
    char line[4096];
    signal(SIGXFSZ, SIG_IGN); /* a limit on files (LimitFSIZE=) is a full disk, not the end */
    if (server_open(config, &s, &err) < 0)
        return complain(&err);
    puts(server_ready_line(s, line, sizeof line));
    fflush(stdout);
    clearerr(stdout); /* it serves also when nobody reads that */
    server_run(s);
    server_close(s);
    return EXIT_OK;
}

struct running {
    struct serve_log *serve_log;
    struct log log;
};

/* SIGHUP: logrotate has moved the files, or somebody wants to see more. Only the level is taken from the configuration file:
 * for the rest there would have to be another server. */
static void on_reload(void *user)
{
    struct running *r = user;
    struct serve_flags fresh;
    struct tenure_error err = {0};
    char quoted[sizeof err.text];
    serve_flags_init(&fresh);
    int rc = flags.o.config_file ? serve_yaml_read(&fresh, flags.o.config_file, &err) : 0;
    serve_log_reopen(r->serve_log, flags.o.config_file && rc == 0 ? &fresh.o : NULL);
    serve_flags_fini(&fresh);
    if (rc < 0)
        log_write(&r->log, LOG_WARN, "the configuration file cannot be read again; what it said before holds",
                  "error=%s", log_quote(quoted, sizeof quoted, bytes_str(err.text)));
    else
        log_write(&r->log, LOG_INFO, "reloaded", NULL);
}

static int serve_with_log(struct serve_log *log)
{
    static char data_dir[4096];
    struct running running = {.serve_log = log, .log = serve_log_log(log, flags.o.config_file != NULL)};
    struct server_config config = {.log = running.log, .on_reload = on_reload, .user = &running};
    struct tenure_error err = {0};
    if (serve_config_fill(&flags, &config, &err) < 0)
        return complain(&err);
    if (!flags.o.data_dir && !paths_state("", data_dir, sizeof data_dir)) {
        fprintf(stderr, "tenure serve: there is no folder for data: set --data-dir, HOME or XDG_STATE_HOME\n");
        return EXIT_USAGE;
    }
    if (!flags.o.data_dir)
        paths_make_parents(data_dir); /* the last one is the backend's to make */
    config.data_dir = flags.o.data_dir ? flags.o.data_dir : data_dir;
    serve_flags_log(&flags, &config.log);
    return serve(&config);
}

static int run_raw(int argc, char **argv)
{
    struct tenure_error err = {0};
    struct serve_log *log;
    serve_flags_init(&flags);
    if (serve_flags_read(&flags, argc - 1, argv + 1, environ, &err) < 0)
        return complain(&err);
    if (flags.o.help) {
        help_command(stdout, &command_serve);
        return EXIT_OK;
    }
    if (flags.o.version) {
        puts("tenure " TENURE_VERSION);
        return EXIT_OK;
    }
    if (serve_log_open(&flags.o, &log, &err) < 0)
        return complain(&err);
    int code = serve_with_log(log);
    serve_log_close(log);
    serve_flags_fini(&flags);
    return code;
}

const struct command command_serve = {
    .name = "serve",
    .group = "Servers",
    .summary = "the etcd v3 API on this machine, durable in one directory",
    .synopsis = "[OPTIONS]",
    .description =
        "Serves the etcd v3 API from one data directory. Says\n"
        "\"tenure: serving ADDRESSES (data DIR, revision N)\" on standard output when it is ready, and logs on\n"
        "standard error. Every answered write is on disk.\n"
        "\n"
        "SIGTERM and SIGINT end it in order: streams are told, what is under way gets up to 5 seconds, leases keep\n"
        "their remaining time. A second signal ends it at once. SIGHUP opens log files anew and reads certificates\n"
        "and the log level of the configuration file again. systemd is told when it is ready, and its sockets are\n"
        "served.\n"
        "\n"
        "Options have etcd's names, forms and meanings, and are also read from the environment (ETCD_DATA_DIR for\n"
        "--data-dir) or from etcd's configuration file. Those of etcd's that mean nothing here are taken and named in\n"
        "the log, or refused with the reason where that would not be honest; docs/flags.md has all of them.\n"
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
