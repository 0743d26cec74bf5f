/* tenure config: its options, and the way from words to an action. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/conf.h"

struct conf_flags conf_opt = {
    .if_revision = -1, .timeout_ms = -1, .min_wait_ms = -1, .max_wait_ms = -1, .kill_after_ms = -1};

static const struct option_spec *options(void)
{
#define O conf_opt
    static const struct option_spec table[] = {
        {"prefix", 0, OPTION_STRING, "PREFIX", "all keys below it (default: all there are)", &O.prefix},
        {"layer", 0, OPTION_STRING, "LAYER",
         "this one alone: default, global, env=NAME, service=NAME, instance=SERVICE/NAME (writes: default)", &O.layer},
        {"environment", 0, OPTION_STRING, "NAME", "whose values count (TENURE_CONFIG_ENVIRONMENT)", &O.environment},
        {"service", 0, OPTION_STRING, "NAME", "above those of the environment (TENURE_CONFIG_SERVICE)", &O.service},
        {"instance", 0, OPTION_STRING, "NAME", "and above those of the service (TENURE_CONFIG_INSTANCE)", &O.instance},
        {"global", 0, OPTION_FLAG, NULL,
         "with the layer of all regions, the lowest (TENURE_CONFIG_GLOBAL=1); writes: into it, at its home", &O.global},
        {"all-layers", 0, OPTION_FLAG, NULL, "get: what each layer has, and which one counts", &O.all_layers},
        {"default", 0, OPTION_STRING, "VALUE", "get: where there is no such key", &O.fallback},
        {"if-revision", 0, OPTION_INT, "N",
         "set, delete, rollback: only if the key is of this revision; 0: if there is none", &O.if_revision},
        {"comment", 'm', OPTION_STRING, "TEXT", "of a write, shown in the history", &O.comment},
        {"who", 0, OPTION_STRING, "NAME", "of a write, shown in the history (default: user@host)", &O.who},
        {"key-file", 0, OPTION_STRING, "FILE", "with the key of sealed values (TENURE_CONFIG_KEY_FILE)", &O.key_file},
        {"seal", 0, OPTION_FLAG, NULL, "set: the servers get the value sealed", &O.seal},
        {"unchecked", 0, OPTION_FLAG, NULL, "pass over the schemas that are in the store", &O.unchecked},
        {"count", 'n', OPTION_INT, "N", "watch: stop after N changes; history: show N versions", &O.count},
        {"once", 0, OPTION_FLAG, NULL, "render: what there is now, without following", &O.once},
        {"dry", 0, OPTION_FLAG, NULL, "render: to standard output, once", &O.dry},
        {"check", 0, OPTION_STRING, "COMMAND",
         "render: must agree to each new file, {} in it, before that takes its place", &O.check},
        {"reload", 0, OPTION_STRING, "COMMAND", "render: once behind each change of files", &O.reload},
        {"command-timeout", 0, OPTION_DURATION, "TIME", "render: of --check and --reload (default 60s)",
         &O.command_timeout_ms},
        {"escape", 0, OPTION_STRING, "KIND", "render: of {{x}} in templates: none (default), json, shell, html",
         &O.escape},
        {"min-wait", 0, OPTION_DURATION, "TIME",
         "render, exec: act when there was no change for so long (default 200ms)", &O.min_wait_ms},
        {"max-wait", 0, OPTION_DURATION, "TIME",
         "render, exec: or so long after the first one (default: ten times that)", &O.max_wait_ms},
        {"upcase", 0, OPTION_FLAG, NULL, "exec: DB_URL for db/url", &O.upcase},
        {"pristine", 0, OPTION_FLAG, NULL, "exec: nothing but the configuration in the environment", &O.pristine},
        {"signal", 0, OPTION_STRING, "NAME", "exec: sent on a change, instead of starting the command anew", &O.signal},
        {"kill-after", 0, OPTION_DURATION, "TIME", "exec: from TERM to KILL when it is started anew (default 5s)",
         &O.kill_after_ms},
        {"splay", 0, OPTION_DURATION, "TIME", "exec: act on a change at random within so long", &O.splay_ms},
        {"format", 0, OPTION_STRING, "KIND",
         "json, yaml or dotenv (import, diff: what the file's name ends with; export, edit: yaml)", &O.format},
        {"flat", 0, OPTION_FLAG, NULL, "export, edit: whole keys, {\"db/url\": ...}", &O.flat},
        {"dry-run", 0, OPTION_FLAG, NULL, "import: print what would change; schema: say whether what there is fits",
         &O.dry},
        {"delete-missing", 0, OPTION_FLAG, NULL, "import: delete the keys below --prefix that the file does not have",
         &O.delete_missing},
        {"unseal", 0, OPTION_FLAG, NULL, "export: sealed values opened", &O.unseal},
        {"new-key", 0, OPTION_FLAG, NULL, "seal: make the key file", &O.new_key},
        {"remove", 0, OPTION_FLAG, NULL, "schema: take it away", &O.remove},
        {"exit-code", 0, OPTION_FLAG, NULL, "diff: exit with 1 if there is a difference", &O.exit_code},
        {"cache", 0, OPTION_STRING, "FILE",
         "watch, render, exec: keeps a copy of what is known, for when no server answers", &O.cache_file},
        {"timeout", 0, OPTION_DURATION, "TIME",
         "watch, render, exec: for the first state (default: without end; --once: 5s)", &O.timeout_ms},
        {"root", 0, OPTION_STRING, "KEY", "where configuration begins (default /config/)", &O.root},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
#undef O
    return table;
}

static const struct {
    const char *name;
    int least, most; /* words behind it */
    conf_run *run;
    const char *synopsis;
} actions[] = {
    {"get", 0, 1, conf_get, "get KEY"},
    {"set", 1, INT32_MAX, conf_set, "set KEY [VALUE]"},
    {"delete", 1, INT32_MAX, conf_delete, "delete KEY..."},
    {"watch", 0, 1, conf_watch, "watch [PREFIX]"},
    {"edit", 0, 1, conf_edit, "edit [PREFIX]"},
    {"diff", 2, 2, conf_diff, "diff FROM TO"},
    {"history", 1, 1, conf_history, "history KEY"},
    {"rollback", 2, 2, conf_rollback, "rollback KEY VERSION"},
    {"export", 0, 1, conf_export, "export [PREFIX]"},
    {"import", 1, 1, conf_import, "import FILE"},
    {"seal", 0, 2, conf_seal, "seal KEY [VALUE]"},
    {"unseal", 1, 2, conf_unseal, "unseal KEY [SEALED]"},
    {"schema", 1, 2, conf_schema, "schema PREFIX [FILE]"},
    {"exec", 1, INT32_MAX, conf_exec, "exec [OPTIONS] -- COMMAND [ARGUMENT...]"},
    {"render", 1, INT32_MAX, conf_render, "render TEMPLATE:OUT[:MODE]..."},
};

/* Codes below 125 may be those of the program that exec runs. */
static int code_of_usage(conf_run *action)
{
    return action == conf_exec ? EXIT_LOCK_FAILED : EXIT_USAGE;
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)self;
    for (size_t i = 0; argc > 0 && i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(argv[0], actions[i].name) != 0)
            continue;
        if (argc - 1 < actions[i].least || argc - 1 > actions[i].most)
            return conf_usage("expected %s", actions[i].synopsis), code_of_usage(actions[i].run);
        return actions[i].run(g, argc - 1, argv + 1);
    }
    fprintf(stderr, "tenure config: expected");
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        fprintf(stderr, "%s %s", i ? "," : "", actions[i].name);
    fprintf(stderr, "\ntry: tenure config --help\n");
    return EXIT_USAGE;
}

const struct command command_config = {
    .name = "config",
    .group = "Configuration",
    .summary = "configuration of programs: in layers, with history, followed as it changes",
    .synopsis =
        "get | set | delete | edit | diff | history | rollback | watch | render | exec | export | import | seal | "
        "unseal | schema",
    .description =
        "Keys are paths (billing/db-url), values are texts; etcd's clients find them at /config/KEY. Of the layers default,\n"
        "environment, service and instance the last one that has a key counts. Writes go into the layer default, or --layer.\n"
        "Below them, with --global, is the layer global, of all regions (tenure help region): written at the home of\n"
        "/config/@global/ and nowhere else, and read where a mirror has brought it.\n"
        "\n"
        "get KEY                   the value that counts; --all-layers: of each layer, a star before the one that counts\n"
        "get --prefix PREFIX       all below it, as KEY=VALUE\n"
        "set KEY [VALUE]           without a VALUE standard input\n"
        "set KEY=VALUE...          several keys in one transaction\n"
        "delete KEY...             likewise\n"
        "edit [PREFIX]             in $VISUAL or $EDITOR; what changed is written in one transaction, unless somebody else\n"
        "                          changed the same keys meanwhile; then the edited file is kept, and named\n"
        "diff FROM TO              of revisions (numbers), layers, files, or now: - KEY=VALUE was, + KEY=VALUE is\n"
        "history KEY               its versions in a layer: when, by whom, why\n"
        "rollback KEY NR           writes an old version again, as a new one\n"
        "watch [PREFIX]            a line for each key there is (+ KEY=VALUE), then for each change (+ new, ~ another value,\n"
        "                          - gone); no change is missed over lost connections\n"
        "render TEMPLATE:OUT[:MODE]...\n"
        "                          files from templates, again whenever the configuration changes, until it is told to end\n"
        "exec -- COMMAND...        COMMAND with its configuration as environment, started anew when that changes\n"
        "export [PREFIX]           as a file of --format json, yaml or dotenv\n"
        "import FILE               writes what it has and the layer has not ('-': standard input)\n"
        "seal KEY [VALUE]          the value sealed, as `set --seal` stores it; --new-key makes the key file. Of both, a VALUE is\n"
        "                          best not typed: without one it is asked for, - is standard input, @FILE a file\n"
        "schema PREFIX [FILE]      the JSON Schema of all keys below it: shown, or stored from FILE; later writes must fit it\n"
        "unseal KEY [SEALED]       the value opened, of what is stored or given\n"
        "\n"
        "Templates are mustache's: {{db/url}} or {{db.url}} below --prefix, {{#tls}}...{{/tls}} where it is there and neither\n"
        "false, no, off, 0 nor empty, {{^tls}}...{{/tls}} where not, {{#hosts.*}}{{*}}={{.}}{{/hosts.*}} for each below hosts,\n"
        "{{> part}} another file beside it, {{! remark }}. {{port:-8080}} has a default; any other key that is missing is an error.\n"
        "\n"
        "Files are written beside their places, synced and renamed, with the owner and mode of the old ones (or MODE); all of\n"
        "them or none. --check is run for each before, and keeps the old ones by failing; {} in it is the new file. --reload\n"
        "is run once behind. Where no server answers, a key is missing or a check fails, the files stay. HUP: templates are\n"
        "read again.\n"
        "\n"
        "exec names variables by the keys below --prefix: db/url is db_url, or DB_URL with --upcase. On a change COMMAND's\n"
        "group gets TERM, after --kill-after KILL, and it is started anew; or --signal. Signals are passed on to it. It waits\n"
        "for the first state, or has the one of --cache when no server answers. It can be the first process of a container.",
    .examples = "tenure config set billing/max-conn 50 -m 'for the fair'\n"
                "tenure config set billing/max-conn 80 --layer env=prod\n"
                "tenure config get billing/max-conn --environment prod --all-layers\n"
                "tenure config render --prefix web nginx.conf.tmpl:/etc/nginx/nginx.conf --check 'nginx -t -c {}' \\\n"
                "    --reload 'systemctl reload nginx'\n"
                "tenure config exec --prefix billing --upcase -- ./billing\n"
                "tenure config export billing --format json >billing.json\n"
                "tenure config import billing.json --prefix billing --dry-run",
    .exits = "exec: the command's own, 128+N when it died of signal N, and:\n"
             "125  tenure's own failure\n"
             "126  the command cannot be executed\n"
             "127  there is no such command",
    .options = options,
    .run = run,
    .starts_server = true,
    .runs = "exec",
};
