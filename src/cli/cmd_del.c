/* tenure del: deletes keys. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"

static struct {
    bool prefix, from_key, prev_kv;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"prefix", 0, OPTION_FLAG, NULL, "all keys that begin with KEY", &opt.prefix},
        {"from-key", 0, OPTION_FLAG, NULL, "all keys from KEY on", &opt.from_key},
        {"prev-kv", 0, OPTION_FLAG, NULL, "print what was deleted", &opt.prev_kv},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

/* With --prev-kv what was deleted, a line each. */
static const struct output_form keys_form = {
    .lists = {"prev_kvs"},
    .columns = (const struct output_column[]){OUTPUT_KV_COLUMNS(""), {0}},
};
static const struct output_form count_form = {
    .columns = (const struct output_column[]){{.path = "deleted", .heading = "DELETED", .kind = OUTPUT_NUMBER},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {0}},
};

static void print(const struct global_options *g, const struct tenure_delete_result *r)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "revision", json_integer(r->revision));
        json_object_set_new(o, "deleted", json_integer(r->deleted));
        if (opt.prev_kv) {
            json_t *list = json_array();
            for (size_t i = 0; i < r->n_prev_kvs; i++)
                json_array_append_new(list, output_kv(&r->prev_kvs[i]));
            json_object_set_new(o, "prev_kvs", list);
        }
        output_print(g, opt.prev_kv ? &keys_form : &count_form, o);
        return;
    }
    printf("%" PRId64 "\n", r->deleted);
    for (size_t i = 0; i < r->n_prev_kvs; i++)
        output_kv_text(&r->prev_kvs[i], true, true);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_delete_result *r = NULL;
    if (argc < 1 || argc > 2) {
        fprintf(stderr, "tenure del: expected KEY or KEY RANGE_END, got %d words\ntry: tenure del --help\n", argc);
        return EXIT_USAGE;
    }
    tenure_client *c = connect_open(self->name, g);
    if (!c)
        return connect_code();
    struct tenure_delete_options o = {
        .size = sizeof o, .prefix = opt.prefix, .from_key = opt.from_key, .prev_kv = opt.prev_kv};
    if (argc > 1)
        o.range_end = tenure_str(argv[1]);
    int code = tenure_delete(c, tenure_str(argv[0]), &o, &r, &err) < 0 ? connect_failed(self->name, g, &err) : EXIT_OK;
    if (code == EXIT_OK)
        print(g, r);
    tenure_delete_free(r);
    tenure_close(c);
    return code;
}

const struct command command_del = {
    .name = "del",
    .group = "Keys and values",
    .summary = "delete keys",
    .synopsis = "[OPTIONS] KEY [RANGE_END]",
    .description =
        "Deletes and prints how many keys were deleted. Deleting a key that does not exist is no failure: it prints 0.",
    .examples = "tenure del /config/billing/max-conn\n"
                "tenure del --prefix /config/billing/",
    .options = options,
    .run = run,
    .starts_server = true,
};
