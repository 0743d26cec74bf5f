/* tenure counter get|add|set|cas. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

typedef int counter_action(tenure_client *c, const char *name, const int64_t *n, int64_t *ret,
                           struct tenure_error *err);

static int get(tenure_client *c, const char *name, const int64_t *n, int64_t *ret, struct tenure_error *err)
{
    (void)n;
    return tenure_counter_get(c, name, NULL, ret, err);
}

static int add(tenure_client *c, const char *name, const int64_t *n, int64_t *ret, struct tenure_error *err)
{
    return tenure_counter_add(c, name, n[0], NULL, ret, err);
}

static int set(tenure_client *c, const char *name, const int64_t *n, int64_t *ret, struct tenure_error *err)
{
    *ret = n[0];
    return tenure_counter_set(c, name, n[0], NULL, err);
}

static int cas(tenure_client *c, const char *name, const int64_t *n, int64_t *ret, struct tenure_error *err)
{
    int rc = tenure_counter_cas(c, name, n[0], n[1], NULL, ret, err);
    if (rc == TENURE_ECONFLICT)
        snprintf(err->text, sizeof err->text, "it is %" PRId64 ", not %" PRId64, *ret, n[0]);
    return rc;
}

static bool number(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    if (end != text && *end == 0 && errno == 0)
        return true;
    fprintf(stderr, "tenure counter: '%s' is not a whole number of at most 64 bits\n", text);
    return false;
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "name", .heading = "NAME"},
                                              {.path = "value", .heading = "VALUE", .kind = OUTPUT_NUMBER},
                                              {0}},
};

static void print(const struct global_options *g, const char *name, int64_t value)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        output_set_bytes(o, "name", tenure_str(name));
        json_object_set_new(o, "value", json_integer(value));
        output_print(g, &form, o);
    } else {
        printf("%" PRId64 "\n", value);
    }
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    static const struct {
        const char *name;
        int numbers;
        counter_action *action;
    } actions[] = {{"get", 0, get}, {"add", 1, add}, {"set", 1, set}, {"cas", 2, cas}};
    for (size_t i = 0; argc > 0 && i < sizeof actions / sizeof actions[0]; i++) {
        struct tenure_error err = {0};
        int64_t n[2] = {1, 0}, value = 0;
        bool by_one = actions[i].action == add && argc == 2;
        if (strcmp(argv[0], actions[i].name) != 0 || (argc != 2 + actions[i].numbers && !by_one))
            continue;
        for (int k = 2; k < argc; k++)
            if (!number(argv[k], &n[k - 2]))
                return EXIT_USAGE;
        tenure_client *c = connect_open(self->name, g);
        if (!c)
            return connect_code();
        int code = actions[i].action(c, argv[1], n, &value, &err) < 0 ? connect_failed(self->name, g, &err) : EXIT_OK;
        if (code == EXIT_OK)
            print(g, argv[1], value);
        tenure_close(c);
        return code;
    }
    fprintf(stderr, "tenure counter: expected get NAME, add NAME [N], set NAME N or cas NAME EXPECTED N\n"
                    "try: tenure counter --help\n");
    return EXIT_USAGE;
}

const struct command command_counter = {
    .name = "counter",
    .group = "Recipes",
    .summary = "a whole number that many add to, each addition once",
    .synopsis = "get NAME | add NAME [N] | set NAME N | cas NAME EXPECTED N",
    .description =
        "The number is the key /counters/NAME, as decimal text; one that is not there counts as 0. add adds 1, or N, which\n"
        "may be negative. Prints the value that it has then. An addition is applied once, also when its answer was lost on\n"
        "the way. cas sets it only if it is EXPECTED, and is exit code 1 else.",
    .examples = "tenure counter add deployments\n"
                "tenure counter add budget -- -250\n"
                "tenure counter cas schema 41 42",
    .run = run,
    .starts_server = true,
};
