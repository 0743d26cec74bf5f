/* tenure: the table of commands and the way into one. The first word is the command; global options may stand before
 * it or behind it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/credentials.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/password.h"
#include "cli/spawn.h"

const struct command *const commands[] = {
    &command_lock,     &command_rwlock,  &command_sem,
    &command_elect,    &command_fence,   &command_queue,
    &command_barrier,  &command_counter, &command_cron,
    &command_service,  &command_config,  &command_get,
    &command_put,      &command_del,     &command_txn,
    &command_watch,    &command_cache,   &command_lease,
    &command_compact,  &command_serve,   &command_status,
    &command_top,      &command_bench,   &command_doctor,
    &command_cluster,  &command_region,  &command_member,
    &command_alarm,    &command_defrag,  &command_auth,
    &command_snapshot, &command_migrate, &command_replica,
    &command_mirror,   &command_context, &command_completion,
    &command_version,  &command_help,    NULL,
};

const struct command *command_find(const char *name)
{
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

const struct option_spec *global_option_table(struct global_options *g)
{
    static struct option_spec table[17];
    const struct option_spec fill[] = {
        {"context", 0, OPTION_STRING, "NAME", "the servers and user of that name (TENURE_CONTEXT; tenure help context)",
         &g->context},
        {"endpoints", 0, OPTION_STRING, "URLS", "servers, comma-separated (TENURE_ENDPOINTS)", &g->endpoints},
        {"discovery-srv", 0, OPTION_STRING, "DOMAIN", "or: its SRV records name them (TENURE_DISCOVERY_SRV)",
         &g->discovery_srv},
        {"discovery-srv-name", 0, OPTION_STRING, "NAME", "of the service there (TENURE_DISCOVERY_SRV_NAME)",
         &g->discovery_srv_name},
        {"user", 0, OPTION_STRING, "NAME[:PASSWORD]", "who asks (TENURE_USER); without a password one is asked for",
         &g->user},
        {"password", 0, OPTION_STRING, "PASSWORD", "of the user; better in the environment (TENURE_PASSWORD)",
         &g->password},
        {"password-file", 0, OPTION_STRING, "FILE", "or: its first line is the password", &g->password_file},
        {"cacert", 0, OPTION_STRING, "FILE", "who signs certificates of servers (TENURE_CACERT, else the system's)",
         &g->ca_file},
        {"cert", 0, OPTION_STRING, "FILE", "the own certificate, where servers want one (TENURE_CERT)", &g->cert_file},
        {"key", 0, OPTION_STRING, "FILE", "its key (TENURE_KEY)", &g->key_file},
        {"insecure-skip-tls-verify", 0, OPTION_FLAG, NULL, "take any certificate of a server", &g->skip_verify},
        {"output", 'o', OPTION_STRING, "FORMAT", "text, json, jsonl or table (docs/commands.md)", &g->output},
        {"call-timeout", 0, OPTION_DURATION, "TIME", "how long one call may take (default 5s)", &g->call_timeout_ms},
        {"no-autostart", 0, OPTION_FLAG, NULL, "start no server where nothing is configured (TENURE_NO_AUTOSTART)",
         &g->no_autostart},
        {"verbose", 'v', OPTION_FLAG, NULL, "say on stderr what the client does", &g->verbose},
        {"help", 'h', OPTION_FLAG, NULL, "this text", &g->help},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    memcpy(table, fill, sizeof fill);
    return table;
}

/* The nearest command name, for a hint; NULL when none is near. */
static const char *nearest(const char *word)
{
    for (const struct command *const *c = commands; *c; c++)
        if (strncmp((*c)->name, word, 3) == 0 || strstr((*c)->name, word) || strstr(word, (*c)->name))
            return (*c)->name;
    return NULL;
}

static int unknown_command(const char *word)
{
    const char *near = nearest(word);
    fprintf(stderr, "tenure: '%s' is not a command%s%s%s\ntry: tenure help\n", word, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
    return EXIT_USAGE;
}

static bool take_output(const char *who, const struct command *c, struct global_options *g)
{
    if (output_format_of(g->output, &g->format) || (c->prints_templates && strchr(g->output, '{')))
        return true;
    fprintf(stderr, "%s: option --output: '%s' is none of text, json, jsonl, table%s\ntry: %s --help\n", who, g->output,
            c->prints_templates ? ", or a text with {names} in it" : "", who);
    return false;
}

static bool refuse_file(const char *who, const char *why)
{
    fprintf(stderr, "%s: --password-file: %s\ntry: %s --help\n", who, why, who);
    return false;
}

static bool take_password_file(const char *who, struct global_options *g)
{
    static char password[256];
    if (!g->password_file)
        return true;
    if ((g->password && g->password[0]) || (g->user && strchr(g->user, ':')))
        return refuse_file(who, "a password was given as well");
    if (!g->user)
        g->user = getenv("TENURE_USER");
    if (!g->user || !g->user[0])
        return refuse_file(who, "it goes with --user NAME");
    g->password = password;
    return password_from_file(who, g->password_file, password, sizeof password);
}

/* Before the command begins, which may have more than one process. */
static bool ask_password(const char *who, const struct command *c, struct global_options *g)
{
    static char password[256];
    if (c->no_globals || !g->user || strchr(g->user, ':') || (g->password && g->password[0]) ||
        getenv("TENURE_PASSWORD"))
        return true;
    g->password = password;
    return password_ask(who, g->user, password, sizeof password);
}

/* Which servers, and as whom. */
static bool find_servers(const char *who, const struct command *c, struct global_options *g)
{
    return c->no_globals || c->no_servers ||
           (context_apply(who, g) && take_password_file(who, g) && credentials_find(who, g) && ask_password(who, c, g));
}

/* Where a child's code is passed on, lower ones may be the child's. */
static int usage_code(const struct command *c, const struct option_spec *own, const struct option_spec *global,
                      int argc, char **argv)
{
    const char *word = c->runs ? options_first_word(own, global, argc, argv) : NULL;
    return c->stop_at_words || (word && strcmp(word, c->runs) == 0) ? EXIT_LOCK_FAILED : EXIT_USAGE;
}

static int run(const struct command *c, int argc, char **argv)
{
    struct global_options g = {.output = "text"};
    char who[64];
    int words;
    snprintf(who, sizeof who, "tenure %s", c->name);
    if (c->run_raw)
        return c->run_raw(argc, argv);
    const struct option_spec *own = c->options ? c->options() : NULL, *global = global_option_table(&g);
    int wrong = usage_code(c, own, global, argc - 1, argv + 1);
    if (!options_parse(who, own, global, c->stop_at_words, argc - 1, argv + 1, &words) || !take_output(who, c, &g))
        return wrong;
    if (g.help) {
        help_command(stdout, c);
        return EXIT_OK;
    }
    g.starts_server = c->starts_server;
    if (!find_servers(who, c, &g))
        return wrong;
    return c->run(c, &g, words, argv + 1);
}

static bool takes_a_word(const char *option)
{
    struct global_options g;
    for (const struct option_spec *o = global_option_table(&g); o->name; o++)
        if (o->kind != OPTION_FLAG && ((option[1] == '-' && strcmp(option + 2, o->name) == 0) ||
                                       (o->letter && option[1] == o->letter && option[2] == 0)))
            return true;
    return false;
}

/* `tenure --endpoints X get a` is `tenure get --endpoints X a`: moves the command before the options that lead it. */
static void command_first(int argc, char **argv)
{
    int at = 1;
    while (at < argc && argv[at][0] == '-' && strcmp(argv[at], "--help") != 0 && strcmp(argv[at], "-h") != 0 &&
           strcmp(argv[at], "--version") != 0)
        at += takes_a_word(argv[at]) ? 2 : 1;
    if (at <= 1 || at >= argc)
        return;
    char *word = argv[at];
    memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
    argv[1] = word;
}

/* A standard descriptor that this program was started without would be the next file or socket that it opens: what is said
 * there would go into the data, and libuv ends a program that closes one. It gets a place holder that, as a closed one,
 * can neither be read nor written. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest that is free: fd */
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    spawn_remember_sigpipe();
    signal(SIGPIPE, SIG_IGN); /* a reader that is gone is an error of the write, not a death in the middle */
    if (argc < 2) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    command_first(argc, argv);
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    if (strcmp(word, "--version") == 0)
        word = "version";
    const struct command *c = command_find(word);
    if (!c)
        return unknown_command(word);
    int code = run(c, argc - 1, argv + 1);
    bool unwritten = fflush(stdout) != 0 || ferror(stdout); /* now, or at any time before */
    if (unwritten && code == EXIT_OK) {
        fprintf(stderr, "tenure %s: writing to standard output failed\n", c->name);
        return EXIT_FAILED;
    }
    return code;
}
