/* tenure put: writes one key. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/output.h"

static struct {
    int64_t lease;
    bool prev_kv, ignore_value, ignore_lease;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"lease", 0, OPTION_HEX, "ID", "attach the key to this lease (hexadecimal)", &opt.lease},
        {"prev-kv", 0, OPTION_FLAG, NULL, "print what was there before", &opt.prev_kv},
        {"ignore-value", 0, OPTION_FLAG, NULL, "keep the value, change the lease", &opt.ignore_value},
        {"ignore-lease", 0, OPTION_FLAG, NULL, "keep the lease, change the value", &opt.ignore_lease},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "prev_kv.value", .heading = "PREVIOUS", .optional = true},
                                              {0}},
};

static void print(const struct global_options *g, const struct tenure_put_result *r)
{
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "revision", json_integer(r->revision));
        if (r->has_prev_kv)
            json_object_set_new(o, "prev_kv", output_kv(&r->prev_kv));
        output_print(g, &form, o);
        return;
    }
    puts("OK");
    if (r->has_prev_kv)
        output_kv_text(&r->prev_kv, true, true);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_put_result *r = NULL;
    struct tenure_bytes value = {NULL, 0};
    char *input = NULL;
    bool wants_value = !opt.ignore_value;
    if (argc < 1 || argc > (wants_value ? 2 : 1)) {
        fprintf(stderr, "tenure put: expected %s, got %d words\ntry: tenure put --help\n",
                wants_value ? "KEY VALUE, or KEY with the value on standard input" : "KEY alone with --ignore-value",
                argc);
        return EXIT_USAGE;
    }
    if (argc == 2)
        value = tenure_str(argv[1]);
    else if (wants_value && !(value.data = input = input_all(self->name, &value.len)))
        return EXIT_FAILED;
    tenure_client *c = connect_open(self->name, g);
    int code = connect_code();
    if (c) {
        struct tenure_put_options o = {.size = sizeof o,
                                       .lease = opt.lease,
                                       .prev_kv = opt.prev_kv,
                                       .ignore_value = opt.ignore_value,
                                       .ignore_lease = opt.ignore_lease};
        code =
            tenure_put(c, tenure_str(argv[0]), value, &o, &r, &err) < 0 ? connect_failed(self->name, g, &err) : EXIT_OK;
        if (code == EXIT_OK)
            print(g, r);
    }
    tenure_put_free(r);
    tenure_close(c);
    free(input);
    return code;
}

const struct command command_put = {
    .name = "put",
    .group = "Keys and values",
    .summary = "write a key",
    .synopsis = "[OPTIONS] KEY [VALUE]",
    .description = "Writes KEY; without VALUE the value is read from standard input. Prints OK.",
    .examples = "tenure put /config/billing/max-conn 50\n"
                "tenure put /config/billing/cert < cert.pem",
    .options = options,
    .run = run,
    .starts_server = true,
};
