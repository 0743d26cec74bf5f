/* tenure get: reads keys. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

static struct {
    bool prefix, from_key, keys_only, count_only, value_only, serializable;
    int64_t limit, revision;
    const char *order, *sort;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"prefix", 0, OPTION_FLAG, NULL, "all keys that begin with KEY", &opt.prefix},
        {"from-key", 0, OPTION_FLAG, NULL, "all keys from KEY on", &opt.from_key},
        {"limit", 0, OPTION_INT, "N", "at most N keys", &opt.limit},
        {"rev", 0, OPTION_INT, "N", "as of revision N", &opt.revision},
        {"order", 0, OPTION_STRING, "ORDER", "ascend or descend", &opt.order},
        {"sort-by", 0, OPTION_STRING, "WHAT", "key, version, create, modify or value", &opt.sort},
        {"keys-only", 0, OPTION_FLAG, NULL, "keys without values", &opt.keys_only},
        {"count-only", 0, OPTION_FLAG, NULL, "only how many there are", &opt.count_only},
        {"print-value-only", 0, OPTION_FLAG, NULL, "values without keys", &opt.value_only},
        {"serializable", 0, OPTION_FLAG, NULL, "from whichever member answers, possibly stale", &opt.serializable},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

/* The index of word in a NULL-terminated list, -1 when it is not there. */
static int choose(const char *what, const char *word, const char *const *list)
{
    for (int i = 0; list[i]; i++)
        if (strcmp(word, list[i]) == 0)
            return i;
    fprintf(stderr, "tenure get: option --%s: '%s' is not", what, word);
    for (int i = 0; list[i]; i++)
        fprintf(stderr, "%s%s", i == 0 ? " " : list[i + 1] ? ", " : " or ", list[i]);
    fputc('\n', stderr);
    return -1;
}

static bool fill(struct tenure_get_options *o, int argc, char **argv)
{
    static const char *const orders[] = {"none", "ascend", "descend", NULL};
    static const char *const sorts[] = {"key", "version", "create", "modify", "value", NULL};
    int order = opt.order ? choose("order", opt.order, orders) : 0;
    int sort = opt.sort ? choose("sort-by", opt.sort, sorts) : 0;
    if (order < 0 || sort < 0)
        return false;
    *o = (struct tenure_get_options){
        .size = sizeof *o,
        .prefix = opt.prefix,
        .from_key = opt.from_key,
        .limit = opt.limit,
        .revision = opt.revision,
        .order = (enum tenure_order)order,
        .sort = (enum tenure_sort)sort,
        .serializable = opt.serializable,
        .keys_only = opt.keys_only,
        .count_only = opt.count_only,
    };
    if (argc > 1)
        o->range_end = tenure_str(argv[1]);
    return true;
}

static const struct output_form keys_form = {
    .lists = {"kvs"},
    .columns = (const struct output_column[]){OUTPUT_KV_COLUMNS(""), {0}},
};
/* Of --count-only, which has no keys. */
static const struct output_form count_form = {
    .columns = (const struct output_column[]){{.path = "count", .heading = "COUNT", .kind = OUTPUT_NUMBER},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {0}},
};

static void print_document(const struct global_options *g, const struct tenure_get_result *r)
{
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "revision", json_integer(r->revision));
    json_object_set_new(o, "count", json_integer(r->count));
    json_object_set_new(o, "more", json_boolean(r->more));
    for (size_t i = 0; i < r->n_kvs; i++)
        json_array_append_new(list, output_kv(&r->kvs[i]));
    json_object_set_new(o, "kvs", list);
    output_print(g, opt.count_only ? &count_form : &keys_form, o);
}

static void print_text(const struct tenure_get_result *r)
{
    if (opt.count_only)
        printf("%" PRId64 "\n", r->count);
    for (size_t i = 0; i < r->n_kvs; i++)
        output_kv_text(&r->kvs[i], !opt.value_only, !opt.keys_only);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_get_options o;
    struct tenure_get_result *r = NULL;
    if (argc < 1 || argc > 2) {
        fprintf(stderr, "tenure get: expected KEY or KEY RANGE_END, got %d words\ntry: tenure get --help\n", argc);
        return EXIT_USAGE;
    }
    if (!fill(&o, argc, argv))
        return EXIT_USAGE;
    tenure_client *c = connect_open(self->name, g);
    if (!c)
        return connect_code();
    int code = tenure_get(c, tenure_str(argv[0]), &o, &r, &err) < 0 ? connect_failed(self->name, g, &err) : EXIT_OK;
    if (code == EXIT_OK && output_is_text(g))
        print_text(r);
    else if (code == EXIT_OK)
        print_document(g, r);
    tenure_get_free(r);
    tenure_close(c);
    return code;
}

const struct command command_get = {
    .name = "get",
    .group = "Keys and values",
    .summary = "read keys",
    .synopsis = "[OPTIONS] KEY [RANGE_END]",
    .description =
        "Prints each key and its value, a line each. A key that does not exist prints nothing and is no failure.\n"
        "With RANGE_END: all keys from KEY on, below RANGE_END.",
    .examples = "tenure get /config/billing/db-url --print-value-only\n"
                "tenure get --prefix /services/ -o json",
    .options = options,
    .run = run,
    .starts_server = true,
};
