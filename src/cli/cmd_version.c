/* tenure version and tenure help. */
#include <stdio.h>
#include <string.h>
#include <tenure/tenure.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"

static const struct output_form form = {
    .columns =
        (const struct output_column[]){{.path = "tenure", .heading = "TENURE"}, {.path = "api", .heading = "API"}, {0}},
};

static int run_version(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)self, (void)argc, (void)argv;
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "tenure", json_string(tenure_version()));
        json_object_set_new(o, "api", json_string("3.7"));
        output_print(g, &form, o);
    } else {
        printf("tenure %s (etcd API 3.7)\n", tenure_version());
    }
    return EXIT_OK;
}

const struct command command_version = {
    .name = "version",
    .group = "Servers",
    .summary = "say which version this is",
    .synopsis = "[-o FORMAT]",
    .description = "Prints the version of this program and of the etcd API that it speaks.",
    .run = run_version,
};

static bool man;

static const struct option_spec *help_options(void)
{
    static const struct option_spec table[] = {
        {"man", 0, OPTION_FLAG, NULL, "as the source of a man page", &man},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static int run_help(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    (void)self, (void)g;
    const struct command *c = argc > 0 ? command_find(argv[0]) : NULL;
    if (argc > 0 && strcmp(argv[0], "exits") == 0) {
        help_exits(stdout);
        return EXIT_OK;
    }
    if (argc > 0 && !c) {
        fprintf(stderr, "tenure help: '%s' is not a command\ntry: tenure help\n", argv[0]);
        return EXIT_USAGE;
    }
    if (man)
        help_man(stdout, c);
    else if (c)
        help_command(stdout, c);
    else
        help_overview(stdout);
    return EXIT_OK;
}

const struct command command_help = {
    .name = "help",
    .group = "Servers",
    .summary = "list the commands, or explain one",
    .synopsis = "[COMMAND | exits]",
    .description = "The same as `tenure COMMAND --help`; exits: the table of exit codes.",
    .options = help_options,
    .run = run_help,
};
