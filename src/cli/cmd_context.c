/* tenure context list|show|set|use|delete: clusters under names of one's own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/output.h"

static const char who[] = "tenure context";

static bool none;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"none", 0, OPTION_FLAG, NULL, "use: no context any more, as before the first one was used", &none},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "%s: %s%s\ntry: tenure context --help\n", who, problem, what);
    return EXIT_USAGE;
}

static json_t *contexts_of(json_t *all)
{
    return json_object_get(all, "contexts");
}

static const char *current_of(const json_t *all)
{
    const char *name = json_string_value(json_object_get(all, "current"));
    return name ? name : "";
}

/* NULL after having said that there is none. */
static json_t *find(json_t *all, const char *name)
{
    json_t *context = json_object_get(contexts_of(all), name);
    if (!context)
        fprintf(stderr, "%s: there is no context '%.80s'\ntry: tenure context list\n", who, name);
    return context;
}

/* ---- reading ---- */

static const char *word(const json_t *context, const char *field)
{
    const char *value = json_string_value(json_object_get(context, field));
    return value ? value : "";
}

static const char *servers_of(const json_t *context)
{
    const char *endpoints = word(context, "endpoints");
    return *endpoints ? endpoints : word(context, "discovery-srv");
}

#define CONTEXT_COLUMNS                                                                                                \
    {.path = "name", .heading = "NAME"}, {.path = "current", .heading = "IN USE", .optional = true},                   \
        {.path = "endpoints", .heading = "SERVERS", .show = show_servers}, {.path = "user", .heading = "USER"},        \
    {                                                                                                                  \
        0                                                                                                              \
    }

static void show_servers(const json_t *record, struct buf *to)
{
    buf_printf(to, "%s", servers_of(record));
}

static const struct output_form list_form = {.lists = {"contexts"},
                                             .columns = (const struct output_column[]){CONTEXT_COLUMNS}};
static const struct output_form one_form = {.columns = (const struct output_column[]){CONTEXT_COLUMNS}};

/* One as a record of its own, with its name inside. */
static json_t *record_of(const char *name, json_t *context)
{
    json_t *o = json_pack("{s:s}", "name", name);
    json_object_update(o, context);
    return o;
}

static json_t *records_of(json_t *all)
{
    const char *name;
    json_t *context, *list = json_array();
    json_object_foreach(contexts_of(all), name, context)
    {
        json_t *o = record_of(name, context);
        json_object_set_new(o, "current", json_boolean(strcmp(name, current_of(all)) == 0));
        json_array_append_new(list, o);
    }
    return json_pack("{s:o}", "contexts", list);
}

static int list(const struct global_options *g, json_t *all, int argc, char **argv)
{
    const char *name;
    json_t *context;
    (void)argc, (void)argv;
    if (g->format == OUTPUT_JSON) {
        output_json(json_pack("{s:s,s:O}", "current", current_of(all), "contexts", contexts_of(all)));
        return EXIT_OK;
    }
    if (!output_is_text(g)) {
        output_print(g, &list_form, records_of(all));
        return EXIT_OK;
    }
    json_object_foreach(contexts_of(all), name, context)
    {
        const char *user = word(context, "user");
        printf("%c %-16s %s%s%s\n", strcmp(name, current_of(all)) == 0 ? '*' : ' ', name, servers_of(context),
               *user ? "  user " : "", user);
    }
    return EXIT_OK;
}

static int show(const struct global_options *g, json_t *all, int argc, char **argv)
{
    const char *name = argc ? argv[0] : current_of(all), *field;
    json_t *value;
    if (!*name)
        return usage("no context is in use: name one", "");
    json_t *context = find(all, name);
    if (!context)
        return EXIT_FAILED;
    if (g->format == OUTPUT_TABLE) {
        output_print(g, &one_form, record_of(name, context));
        return EXIT_OK;
    }
    if (!output_is_text(g)) {
        output_json(json_pack("{s:s,s:O}", "name", name, "context", context));
        return EXIT_OK;
    }
    printf("name: %s\n", name);
    json_object_foreach(context, field, value)
        printf("%s: %s\n", field, json_is_string(value) ? json_string_value(value) : "?");
    return EXIT_OK;
}

/* ---- writing ---- */

/* What was given on this command line; fields that were not stay as they are, and empty words remove theirs. */
static bool take_fields(json_t *context, const struct global_options *g)
{
    bool any = false;
    for (const struct context_field *f = context_fields; f->name; f++) {
        const char *value = f->get(g);
        if (!value)
            continue;
        any = true;
        if (*value)
            json_object_set_new(context, f->name, json_string(value));
        else
            json_object_del(context, f->name);
    }
    return any;
}

/* Each of a list, as the library takes them: http(s)://host:port, host:port, unix(s):///path. */
static bool endpoints_are_good(const char *urls)
{
    static const char *const schemes[] = {"http://", "https://", "unix://", "unixs://"};
    for (size_t len; *urls; urls += len + (urls[len] == ',')) {
        len = strcspn(urls, ",");
        const char *colon = memmem(urls, len, "://", 3);
        size_t rest = colon ? (size_t)(urls + len - colon) - 3 : len;
        bool known = !colon;
        for (size_t i = 0; colon && i < sizeof schemes / sizeof *schemes; i++)
            known = known || (strlen(schemes[i]) == (size_t)(colon + 3 - urls) &&
                              strncmp(urls, schemes[i], strlen(schemes[i])) == 0);
        if (known && rest > 0)
            continue;
        fprintf(stderr, "%s: option --endpoints: '%.*s': expected http(s)://host:port, host:port or unix(s):///path\n",
                who, (int)(len < 200 ? len : 200), urls);
        return false;
    }
    return true;
}

static int set(const struct global_options *g, json_t *all, int argc, char **argv)
{
    (void)argc;
    if (!context_name_is_good(argv[0]))
        return usage("expected a name of letters, digits, '.', '_' and '-', not ", argv[0]);
    if (g->user && strchr(g->user, ':'))
        return usage("a context holds no password: put it into the credential file (tenure help context)", "");
    if (g->password)
        return usage("a context holds no password: put it into the credential file (tenure help context)", "");
    if (g->endpoints && !endpoints_are_good(g->endpoints))
        return EXIT_USAGE;
    json_t *context = json_object_get(contexts_of(all), argv[0]);
    if (!context) {
        context = json_object();
        json_object_set_new(contexts_of(all), argv[0], context);
    }
    if (!take_fields(context, g))
        return usage("nothing to set: expected options such as --endpoints URLS or --user NAME", "");
    if (!*servers_of(context))
        return usage("it names no servers: give --endpoints URLS or --discovery-srv DOMAIN", "");
    return context_save(who, all) ? EXIT_OK : EXIT_FAILED;
}

static int use(const struct global_options *g, json_t *all, int argc, char **argv)
{
    (void)g;
    if ((argc == 1) == none)
        return usage("use: expected a NAME, or --none and no name", "");
    if (argc && !find(all, argv[0]))
        return EXIT_FAILED;
    if (argc)
        json_object_set_new(all, "current", json_string(argv[0]));
    else
        json_object_del(all, "current");
    return context_save(who, all) ? EXIT_OK : EXIT_FAILED;
}

static int delete (const struct global_options *g, json_t *all, int argc, char **argv)
{
    (void)g, (void)argc;
    if (!find(all, argv[0]))
        return EXIT_FAILED;
    json_object_del(contexts_of(all), argv[0]);
    if (strcmp(current_of(all), argv[0]) == 0)
        json_object_del(all, "current");
    return context_save(who, all) ? EXIT_OK : EXIT_FAILED;
}

/* ---- the command ---- */

static const struct action {
    const char *name;
    int words_min, words_max;
    int (*run)(const struct global_options *g, json_t *all, int argc, char **argv);
} actions[] = {
    {"list", 0, 0, list}, {"show", 0, 1, show}, {"set", 1, 1, set}, {"use", 0, 1, use}, {"delete", 1, 1, delete},
};

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    const char *name = argc ? argv[0] : "list";
    (void)self;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        const struct action *a = &actions[i];
        int words = argc ? argc - 1 : 0;
        if (strcmp(a->name, name) != 0)
            continue;
        if (words < a->words_min || words > a->words_max)
            return usage(words < a->words_min ? "expected a NAME behind " : "too many words behind ", name);
        json_t *all = context_load(who);
        if (!all)
            return EXIT_USAGE; /* a file that is wrong */
        int code = a->run(g, all, words, argv + 1);
        json_decref(all);
        return code;
    }
    return usage("expected list, show, set, use or delete, not ", name);
}

const struct command command_context = {
    .name = "context",
    .group = "Servers",
    .summary = "clusters under names of your own",
    .synopsis = "list | show [NAME] | set NAME OPTIONS | use NAME | use --none | delete NAME",
    .description =
        "A context names servers and who asks there. set takes the options of every command (--endpoints,\n"
        "--discovery-srv, --user, --cacert, --cert, --key); what is not given stays, an empty word removes. use makes it the\n"
        "one that counts when neither options nor the environment name servers; --context NAME or TENURE_CONTEXT choose\n"
        "one for a command, also over what the environment says. Options always win.\n"
        "\n"
        "Contexts lie in ~/.config/tenure/contexts.json (TENURE_CONTEXTS) and hold no secrets. Passwords lie in\n"
        "~/.config/tenure/credentials (TENURE_CREDENTIALS), which nobody else may be able to read (mode 0600). Its\n"
        "lines are those of curl's .netrc:\n"
        "\n"
        "    machine etcd1.example.org:2379 login ci password s3cret\n"
        "    machine prod login root password \"with blanks\"\n"
        "\n"
        "where machine is a host, a host and port, or a context's name. The endpoints of one command are taken for one\n"
        "cluster: the entry of the first machine that is among them goes to whichever is asked. So no secret stands in a process list. For\n"
        "root both files are in /etc/tenure.",
    .examples =
        "tenure context set prod --endpoints https://10.0.0.1:2379,https://10.0.0.2:2379 --user ci --cacert ca.pem\n"
        "tenure context use prod\n"
        "tenure lock --context prod nightly-backup -- ./backup",
    .options = options,
    .run = run,
    .no_servers = true,
};
