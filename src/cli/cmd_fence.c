/* tenure fence: tokens, where the data lives. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/fence_serve.h"
#include "cli/output.h"
#include "http/fence_proxy.h"

/* Written by share/fence/embed.py. */
extern const char fence_postgresql[], fence_sqlite[], fence_redis[];

static struct {
    const char *token, *key, *table, *resource;
    const char *listen, *upstream, *state, *methods;
    int64_t lease, wait_ms, by_path, connections;
    bool allow_missing;
} opt = {.wait_ms = -1, .connections = 512};

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"token", 0, OPTION_STRING, "N", "the writer's token (TENURE_TOKEN)", &opt.token},
        {"holder-key", 0, OPTION_STRING, "KEY", "generate: the key that stands for the lock (TENURE_KEY)", &opt.key},
        {"lease", 0, OPTION_HEX, "ID", "generate: on this lease (TENURE_LEASE)", &opt.lease},
        {"timeout", 0, OPTION_DURATION, "TIME",
         "file: wait so long for another writer, 0 = not (default: no end); proxy: for the service (30s)",
         &opt.wait_ms},
        {"table", 0, OPTION_STRING, "TABLE", "script: print what protects this table", &opt.table},
        {"resource", 0, OPTION_STRING, "NAME",
         "script: under this name (default: the table's); proxy: all that is fenced (default: \"service\")",
         &opt.resource},
        {"listen", 0, OPTION_STRING, "ADDR", "proxy: take requests here (http://HOST:PORT, unix:///PATH)", &opt.listen},
        {"upstream", 0, OPTION_STRING, "URL", "proxy: the service (http://HOST:PORT, unix:///PATH)", &opt.upstream},
        {"by-path", 0, OPTION_INT, "N", "proxy: the first N parts of a request's path name what is fenced",
         &opt.by_path},
        {"state", 0, OPTION_STRING, "DIR", "proxy: keep the greatest tokens there (default: in memory alone)",
         &opt.state},
        {"methods", 0, OPTION_STRING, "LIST",
         "proxy: requests of these need a token: POST,PUT,...; or all (default: all but GET, HEAD, OPTIONS)",
         &opt.methods},
        {"allow-missing", 0, OPTION_FLAG, NULL, "proxy: no request needs a token; one that has one is checked",
         &opt.allow_missing},
        {"max-connections", 0, OPTION_INT, "N", "proxy: of clients at a time (default: 512)", &opt.connections},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int expected(const char *what)
{
    fprintf(stderr, "tenure fence: expected %s\ntry: tenure fence --help\n", what);
    return EXIT_USAGE;
}

static bool read_token(int64_t *ret)
{
    const char *text = opt.token ? opt.token : getenv("TENURE_TOKEN");
    char *end = NULL;
    errno = 0;
    *ret = text ? strtoll(text, &end, 10) : 0;
    if (text && end != text && *end == 0 && errno == 0 && *ret > 0)
        return true;
    fprintf(stderr, "tenure fence: %s%s%s: expected --token N or TENURE_TOKEN, a number from 1 on\n",
            text ? "'" : "no token", text ? text : "", text ? "' is no token" : "");
    return false;
}

/* ---- a UUID per leadership ---- */

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "name", .heading = "NAME"},
                                              {.path = "fencing_token", .heading = "FENCING TOKEN"},
                                              {0}},
};

static int generate(const struct global_options *g, char **argv)
{
    struct tenure_error err = {0};
    char uuid[TENURE_UUID_SIZE];
    int64_t token;
    const char *key = opt.key ? opt.key : getenv("TENURE_KEY"), *lease = getenv("TENURE_LEASE");
    if (!read_token(&token))
        return EXIT_USAGE;
    if (!key)
        return expected("--holder-key KEY, or TENURE_KEY as `tenure elect` sets it");
    if (!opt.lease && lease)
        opt.lease = (int64_t)strtoull(lease, NULL, 16);
    tenure_client *c = connect_open("fence", g);
    if (!c)
        return connect_code();
    int code = tenure_fence_generate(c, argv[1], key, token, opt.lease, uuid, &err) < 0
                   ? connect_failed("fence", g, &err)
                   : EXIT_OK;
    if (code == EXIT_OK && !output_is_text(g)) {
        json_t *o = json_object();
        output_set_bytes(o, "name", tenure_str(argv[1]));
        json_object_set_new(o, "fencing_token", json_string(uuid));
        output_print(g, &form, o);
    } else if (code == EXIT_OK) {
        puts(uuid);
    }
    tenure_close(c);
    return code;
}

static int validate(const struct global_options *g, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = connect_open("fence", g);
    if (!c)
        return connect_code();
    int code = tenure_fence_validate(c, argv[1], argv[2], &err) < 0 ? connect_failed("fence", g, &err) : EXIT_OK;
    tenure_close(c);
    return code;
}

/* ---- a file ---- */

/* The command inherits the lock, so that nobody else gets in while it runs, whatever becomes of this process. */
static int run_inside(tenure_fence_file *f, char **command)
{
    int status;
    fcntl(tenure_fence_file_fd(f), F_SETFD, 0);
    pid_t pid = fork();
    if (pid == 0) {
        execvp(command[0], command);
        fprintf(stderr, "tenure fence: %s: %s\n", command[0], strerror(errno));
        _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
    }
    if (pid < 0) {
        fprintf(stderr, "tenure fence: %s: %s\n", command[0], strerror(errno));
        return EXIT_LOCK_FAILED;
    }
    signal(SIGINT, SIG_IGN); /* the terminal's: the command gets them as well, and its end is awaited */
    signal(SIGQUIT, SIG_IGN);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int guard_file(const struct global_options *g, char **argv)
{
    struct tenure_error err = {0};
    int64_t token;
    if (!read_token(&token))
        return EXIT_LOCK_FAILED;
    tenure_fence_file *f = tenure_fence_file_open(argv[1], &err);
    int code = EXIT_LOCK_FAILED;
    if (!f || tenure_fence_file_enter(f, token, opt.wait_ms, &err) < 0) {
        connect_failed("fence", g, &err);
        code = err.code == TENURE_EFENCED                                ? EXIT_LOCK_LOST
               : err.code == TENURE_EBUSY || err.code == TENURE_ETIMEOUT ? EXIT_LOCK_TIMEOUT
                                                                         : EXIT_LOCK_FAILED;
    } else {
        code = run_inside(f, argv + 2);
    }
    tenure_fence_file_leave(f);
    tenure_fence_file_close(f);
    return code;
}

/* ---- scripts ---- */

/* An identifier or a text of SQL: with its quote doubled inside. */
static void sql_quoted(const char *text, char quote)
{
    putchar(quote);
    for (; *text; text++) {
        if (*text == quote)
            putchar(quote);
        putchar(*text);
    }
    putchar(quote);
}

static void sqlite_table(const char *table, const char *resource)
{
    static const char *const kinds[] = {"INSERT", "UPDATE", "DELETE"};
    char name[160];
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%.100s_fence_%s", table, kinds[i]);
        fputs("CREATE TRIGGER ", stdout);
        sql_quoted(name, '"');
        printf(" BEFORE %s ON ", kinds[i]);
        sql_quoted(table, '"');
        fputs(
            "\nBEGIN\n    SELECT RAISE(ABORT, 'fenced: written under a lock, and this transaction has shown no token')\n"
            "        WHERE NOT EXISTS (SELECT 1 FROM tenure_fence_admitted WHERE resource = ",
            stdout);
        sql_quoted(resource, '\'');
        fputs(");\nEND;\n", stdout);
    }
}

static void postgresql_table(const char *table, const char *resource)
{
    fputs("SELECT tenure_fence.protect(", stdout);
    sql_quoted(table, '\'');
    fputs(", ", stdout);
    sql_quoted(resource, '\'');
    fputs(");\n", stdout);
}

static int script(const struct global_options *g, char **argv)
{
    static const struct {
        const char *name, *text;
        void (*table)(const char *table, const char *resource);
    } scripts[] = {{"postgresql", fence_postgresql, postgresql_table},
                   {"sqlite", fence_sqlite, sqlite_table},
                   {"redis", fence_redis, NULL}};
    (void)g;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        if (strcmp(scripts[i].name, argv[1]) != 0)
            continue;
        if (!opt.table)
            fputs(scripts[i].text, stdout);
        else if (scripts[i].table)
            scripts[i].table(opt.table, opt.resource ? opt.resource : opt.table);
        else
            return expected("no --table with redis: it has none");
        return EXIT_OK;
    }
    return expected("script postgresql, sqlite or redis");
}

/* ---- a proxy ---- */

static void listening(void *user, const char *address)
{
    const struct global_options *g = user;
    if (output_is_text(g)) {
        printf("tenure fence: %s before %s%s%s\n", address, opt.upstream, opt.state ? ", tokens in " : "",
               opt.state ? opt.state : "");
    } else {
        json_t *o = json_object();
        json_object_set_new(o, "listen", json_string(address));
        json_object_set_new(o, "upstream", json_string(opt.upstream));
        output_json(o);
    }
    fflush(stdout);
    if (!opt.state)
        fputs("tenure fence: tokens are known until this ends, and forgotten then; --state DIR keeps them\n", stderr);
}

static bool is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:");
    return n > 0 && n <= 100 && !s[n];
}

static int proxy(const struct global_options *g, char **argv)
{
    struct tenure_error err = {0};
    (void)argv;
    struct fence_serve_options o = {.listen = opt.listen,
                                    .upstream = opt.upstream,
                                    .resource = opt.by_path    ? NULL
                                                : opt.resource ? opt.resource
                                                               : "service",
                                    .by_path = (unsigned)opt.by_path,
                                    .methods = fence_methods(opt.methods),
                                    .missing_allowed = opt.allow_missing,
                                    .state = opt.state,
                                    .timeout_ms = opt.wait_ms > 0 ? opt.wait_ms : 0,
                                    .connections_max = (size_t)opt.connections,
                                    .on_listening = listening,
                                    .user = (void *)g};
    if (!o.listen || !o.upstream)
        return expected("--listen ADDR and --upstream URL");
    if (o.methods == 0)
        return expected("--methods with names in capitals, as PUT,POST, or all");
    if (opt.by_path < 0 || opt.by_path > 16 || (opt.by_path && opt.resource))
        return expected("either --resource NAME or --by-path N, from 1 to 16");
    if (o.resource && !is_name(o.resource))
        return expected("--resource NAME: letters, digits and -_./: alone, at most 100");
    if (opt.wait_ms == 0)
        return expected("--timeout TIME above 0");
    if (opt.connections < 1 || opt.connections > 100000)
        return expected("--max-connections N, from 1 to 100000");
    return fence_serve(&o, &err) < 0 ? connect_failed("fence", g, &err) : EXIT_OK;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        int least, most;
        int (*action)(const struct global_options *g, char **argv);
    } actions[] = {{"file", 3, 1 << 20, guard_file},
                   {"generate", 2, 2, generate},
                   {"validate", 3, 3, validate},
                   {"script", 2, 2, script},
                   {"proxy", 1, 1, proxy}};
    (void)self;
    for (size_t i = 0; argc > 0 && i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(argv[0], actions[i].name) == 0 && argc >= actions[i].least && argc <= actions[i].most)
            return actions[i].action(g, argv);
    return expected("file FILE -- COMMAND, generate NAME, validate NAME UUID, script postgresql|sqlite|redis or proxy");
}

const struct command command_fence = {
    .name = "fence",
    .group = "Locks and elections",
    .summary = "refuse what somebody writes who has lost the lock",
    .synopsis =
        "file FILE -- COMMAND [ARGUMENT...] | generate NAME | validate NAME UUID | script postgresql|sqlite|redis | "
        "proxy --listen ADDR --upstream URL",
    .description =
        "A program that was stopped goes on writing when it is continued, though its lock is another one's by then. What it\n"
        "writes to must refuse it, by the token that every holder has (TENURE_TOKEN under `tenure lock` and `elect`).\n"
        "\n"
        "file runs COMMAND, which writes FILE, alone, and refuses a token that is smaller than one that was there; the\n"
        "greatest is kept in FILE.fence. script prints what PostgreSQL, SQLite or Redis need for the same, to be read by\n"
        "them; with --table what protects that table.\n"
        "\n"
        "proxy takes HTTP/1.1 requests and passes them on to the service at URL, but for those whose header\n"
        "Tenure-Fencing-Token is smaller than one that was there (412), and those that write and have none (428). A greater\n"
        "token is passed on when all requests with smaller ones have been answered. Errors are JSON. Put it where nobody\n"
        "reaches the service past it; it speaks no TLS.\n"
        "\n"
        "generate writes a UUID to /leader/NAME/fencing-token while the lock is held, and prints it; validate says whether\n"
        "it is still the one. Between that answer and a write there is a gap: it refuses early, not surely.",
    .exits = "the command's own (file), and:\n"
             "121  file: the token is smaller than one that was there; COMMAND was not run\n"
             "124  file: somebody else wrote for longer than --timeout\n"
             "125  file: tenure's own failure",
    .examples =
        "tenure lock report -- sh -c 'make report >new && tenure fence file report.txt -- mv new report.txt'\n"
        "tenure fence script postgresql | psql shop\n"
        "tenure fence script postgresql --table orders --resource billing | psql shop\n"
        "tenure fence proxy --listen http://127.0.0.1:8081 --upstream http://127.0.0.1:8080 --state /var/lib/billing",
    .options = options,
    .run = run,
    .starts_server = true,
};
