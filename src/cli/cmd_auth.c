/* tenure auth status|enable|disable, and the tables of its parts: auth user …, auth role …. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/auth.h"
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

struct auth_options auth_opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"prefix", 0, OPTION_FLAG, NULL, "role grant, revoke: all keys that begin with KEY", &auth_opt.prefix},
        {"from-key", 0, OPTION_FLAG, NULL, "role grant, revoke: KEY and all keys behind it", &auth_opt.from_key},
        {"range-end", 0, OPTION_STRING, "KEY", "role grant, revoke: up to this one, without it", &auth_opt.range_end},
        {"no-password", 0, OPTION_FLAG, NULL, "user add: comes by certificate only", &auth_opt.no_password},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

int auth_done(const struct global_options *g, int rc, const struct tenure_error *err, const char *what,
              const char *name, const char *verb)
{
    if (rc < 0)
        return connect_failed("auth", g, err);
    if (output_is_text(g))
        printf("%s %s %s\n", what, name, verb);
    else if (strcmp(verb, "on") == 0 || strcmp(verb, "off") == 0)
        output_done(g, what, verb, "switched");
    else
        output_done(g, what, name, verb);
    return EXIT_OK;
}

int auth_print_names(const struct global_options *g, const char *what, struct tenure_names *names)
{
    const struct output_form form = {
        .lists = {what},
        .columns =
            (const struct output_column[]){{.path = "name", .heading = strcmp(what, "users") ? "ROLE" : "USER"}, {0}},
    };
    json_t *all = output_is_text(g) ? NULL : json_array();
    for (size_t i = 0; i < names->n; i++) {
        if (all)
            json_array_append_new(all, json_string(names->names[i]));
        else
            puts(names->names[i]);
    }
    if (all)
        output_print(g, &form, json_pack("{s:o}", what, all));
    tenure_names_free(names);
    return EXIT_OK;
}

/* ---- the switch ---- */

static const struct output_form status_form = {
    .columns =
        (const struct output_column[]){{.path = "enabled", .heading = "ENABLED"},
                                       {.path = "auth_revision", .heading = "AUTH REVISION", .kind = OUTPUT_NUMBER},
                                       {0}},
};

static int status(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    bool enabled;
    uint64_t revision;
    (void)words;
    if (tenure_auth_status(c, &enabled, &revision, &err) < 0)
        return connect_failed("auth", g, &err);
    if (!output_is_text(g))
        output_print(g, &status_form,
                     json_pack("{s:b,s:I}", "enabled", enabled, "auth_revision", (json_int_t)revision));
    else
        printf("authentication is %s, auth revision %" PRIu64 "\n", enabled ? "on" : "off", revision);
    return EXIT_OK;
}

static int enable(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    (void)words;
    int rc = tenure_auth_enable(c, &err);
    if (rc == TENURE_ECONFLICT)
        fprintf(stderr,
                "try: tenure auth user add root; tenure auth role add root; tenure auth user grant root root\n");
    return auth_done(g, rc, &err, "authentication", "is", "on");
}

static int disable(tenure_client *c, const struct global_options *g, char **words)
{
    struct tenure_error err = {0};
    (void)words;
    return auth_done(g, tenure_auth_disable(c, &err), &err, "authentication", "is", "off");
}

static const struct auth_action switch_actions[] = {
    {"status", 0, 0, "", status},
    {"enable", 0, 0, "", enable},
    {"disable", 0, 0, "", disable},
    {NULL, 0, 0, NULL, NULL},
};

/* ---- from words to an action ---- */

static int expected(const char *part, const struct auth_action *actions)
{
    fprintf(stderr, "tenure auth%s: expected", part);
    for (const struct auth_action *a = actions; a->name; a++)
        fprintf(stderr, "%s %s%s%s",
                a == actions          ? ""
                : a[1].name || !*part ? ","
                                      : " or",
                a->name, *a->synopsis ? " " : "", a->synopsis);
    fprintf(stderr, "%s\ntry: tenure auth --help\n", *part ? "" : ", user … or role …");
    return EXIT_USAGE;
}

static int act(const struct command *self, const struct global_options *g, const char *part,
               const struct auth_action *actions, int n, char **words)
{
    const struct auth_action *a = actions;
    while (a->name && (n == 0 || strcmp(a->name, words[0]) != 0))
        a++;
    if (!a->name || n - 1 < a->words_min || n - 1 > a->words_max)
        return expected(part, actions);
    tenure_client *c = connect_open(self->name, g);
    int code = c ? a->run(c, g, words + 1) : connect_code();
    tenure_close(c);
    return code;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "user") == 0)
        return act(self, g, " user", auth_user_actions, argc - 1, argv + 1);
    if (argc > 0 && strcmp(argv[0], "role") == 0)
        return act(self, g, " role", auth_role_actions, argc - 1, argv + 1);
    return act(self, g, "", switch_actions, argc, argv);
}

const struct command command_auth = {
    .name = "auth",
    .group = "Servers",
    .summary = "users, roles and what they may do",
    .synopsis = "status | enable | disable | user ACTION ... | role ACTION ...",
    .description =
        "user add NAME[:PASSWORD]   user delete NAME    user get NAME    user list\n"
        "user passwd NAME[:PASSWORD]   user grant NAME ROLE   user revoke NAME ROLE\n"
        "role add NAME   role delete NAME   role get NAME   role list\n"
        "role grant NAME read|write|readwrite KEY   role revoke NAME KEY\n"
        "\n"
        "A password that is not given is asked for on the terminal, or read as the first line of standard input.\n"
        "\n"
        "Enabling needs a user root with the role root. From then on every program says who it is: --user or\n"
        "TENURE_USER and TENURE_PASSWORD, a token in TENURE_AUTH_TOKEN, or a certificate. The same users work on etcd.",
    .examples = "tenure auth user add root\n"
                "tenure auth role add root\n"
                "tenure auth user grant root root\n"
                "tenure auth role add billing\n"
                "tenure auth role grant billing readwrite /config/billing/ --prefix\n"
                "tenure auth enable",
    .options = options,
    .run = run,
};
