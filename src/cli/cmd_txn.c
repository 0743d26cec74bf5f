/* tenure txn: a transaction from standard input. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/txn_text.h"
#include <unistd.h>

enum part { COMPARES, SUCCESS, FAILURE, PARTS };

static struct {
    bool exact, interactive;
} opt;

static const struct option_spec *options(void)
{
    static const struct option_spec table[] = {
        {"exact", 0, OPTION_FLAG, NULL, "sent again when its answer was lost, and never applied twice", &opt.exact},
        {"interactive", 'i', OPTION_FLAG, NULL, "say what is to be typed (as a terminal is told anyway)",
         &opt.interactive},
        {NULL, 0, 0, NULL, NULL, NULL},
    };
    return table;
}

/* ---- reading ---- */

static bool add_line(tenure_txn *t, enum part part, char *line, int number)
{
    const char *why = NULL;
    bool fine;
    if (part == COMPARES) {
        struct tenure_compare c;
        fine = txn_compare(line, &c, &why);
        if (fine)
            tenure_if(t, &c);
    } else {
        fine = txn_operation(line, t, part == SUCCESS, &why);
    }
    if (!fine && why)
        fprintf(stderr, "tenure txn: line %d: %s\n", number, why);
    else if (!fine)
        fprintf(stderr, "tenure txn: that was line %d\n", number);
    return fine;
}

static void prompt(enum part part)
{
    static const char *const words[] = {
        "compares:", "success requests (get, put, del):", "failure requests (get, put, del):"};
    if (part < PARTS && (opt.interactive || isatty(STDIN_FILENO)))
        fprintf(stderr, "%s\n", words[part]);
}

/* Three parts, each ended by an empty line or by the end of the input. False after having said why. */
static bool read_parts(tenure_txn *t)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int number = 0;
    bool fine = true;
    enum part part = COMPARES;
    prompt(part);
    while (fine && part < PARTS && (len = getline(&line, &cap, stdin)) >= 0) {
        number++;
        if ((size_t)len != strlen(line)) {
            fprintf(stderr, "tenure txn: line %d holds a zero byte: write \"\\x00\"\n", number);
            fine = false;
        } else if (line[strspn(line, " \t\r\n")] == 0) {
            prompt(++part);
        } else {
            fine = add_line(t, part, line, number);
        }
    }
    if (fine && ferror(stdin)) {
        fprintf(stderr, "tenure txn: reading standard input failed\n");
        fine = false;
    }
    free(line);
    return fine;
}

/* ---- printing ---- */

static json_t *kvs_json(const struct tenure_kv *kvs, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, output_kv(&kvs[i]));
    return list;
}

static json_t *op_json(const struct tenure_op_result *r)
{
    json_t *o = json_object();
    if (r->op == TENURE_OP_GET) {
        json_object_set_new(o, "op", json_string("get"));
        json_object_set_new(o, "count", json_integer(r->get->count));
        json_object_set_new(o, "more", json_boolean(r->get->more));
        json_object_set_new(o, "kvs", kvs_json(r->get->kvs, r->get->n_kvs));
    } else if (r->op == TENURE_OP_PUT) {
        json_object_set_new(o, "op", json_string("put"));
        if (r->put->has_prev_kv)
            json_object_set_new(o, "prev_kv", output_kv(&r->put->prev_kv));
    } else if (r->op == TENURE_OP_DELETE) {
        json_object_set_new(o, "op", json_string("del"));
        json_object_set_new(o, "deleted", json_integer(r->del->deleted));
        json_object_set_new(o, "prev_kvs", kvs_json(r->del->prev_kvs, r->del->n_prev_kvs));
    }
    return o;
}

/* A table's rows: of each operation one for each key that it answered, or one. */
static void add_rows(json_t *rows, const char *result, json_t *op)
{
    static const char *const lists[] = {"kvs", "prev_kvs"};
    const json_t *previous = json_object_get(op, "prev_kv");
    size_t begin = json_array_size(rows), k;
    json_t *kv;
    for (size_t i = 0; i < 2; i++)
        json_array_foreach(json_object_get(op, lists[i]), k, kv) json_array_append(rows, kv);
    if (previous)
        json_array_append(rows, (json_t *)previous);
    if (begin == json_array_size(rows))
        json_array_append_new(rows, json_object());
    for (size_t i = begin; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        json_object_set_new(row, "result", json_string(result));
        json_object_set(row, "op", json_object_get(op, "op"));
        json_object_set(
            row, "count",
            json_object_get(op, strcmp(json_string_value(json_object_get(op, "op")), "del") ? "count" : "deleted"));
    }
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "succeeded", .heading = "SUCCEEDED"},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {0}},
};

static const struct output_form table_form = {
    .lists = {"rows"},
    .columns =
        (const struct output_column[]){
            {.path = "result", .heading = "RESULT"},
            {.path = "op", .heading = "OP"},
            {.path = "count", .heading = "COUNT", .kind = OUTPUT_NUMBER},
            {.path = "key", .heading = "KEY", .optional = true},
            {.path = "value", .heading = "VALUE", .optional = true},
            {.path = "mod_revision", .heading = "MODIFIED", .kind = OUTPUT_NUMBER, .optional = true},
            {0}},
};

static void print_table(const struct global_options *g, const char *result, const json_t *responses)
{
    json_t *rows = json_array(), *op;
    size_t i;
    json_array_foreach(responses, i, op) add_rows(rows, result, op);
    if (json_array_size(rows) == 0)
        json_array_append_new(rows, json_pack("{s:s}", "result", result));
    output_print(g, &table_form, json_pack("{s:o}", "rows", rows));
}

static void op_text(const struct tenure_op_result *r)
{
    putchar('\n');
    if (r->op == TENURE_OP_GET) {
        for (size_t i = 0; i < r->get->n_kvs; i++)
            output_kv_text(&r->get->kvs[i], true, true);
    } else if (r->op == TENURE_OP_PUT) {
        puts("OK");
        if (r->put->has_prev_kv)
            output_kv_text(&r->put->prev_kv, true, true);
    } else if (r->op == TENURE_OP_DELETE) {
        printf("%" PRId64 "\n", r->del->deleted);
        for (size_t i = 0; i < r->del->n_prev_kvs; i++)
            output_kv_text(&r->del->prev_kvs[i], true, true);
    }
}

static void print(const struct global_options *g, const struct tenure_txn_result *r)
{
    bool succeeded = r->outcome == TENURE_TXN_SUCCEEDED;
    if (!output_is_text(g)) {
        json_t *o = json_object(), *list = json_array();
        json_object_set_new(o, "succeeded", json_boolean(succeeded));
        json_object_set_new(o, "revision", json_integer(r->revision));
        for (size_t i = 0; i < r->n_ops; i++)
            json_array_append_new(list, op_json(&r->ops[i]));
        json_object_set_new(o, "responses", list);
        if (g->format == OUTPUT_TABLE)
            print_table(g, succeeded ? "SUCCESS" : "FAILURE", list);
        else
            output_print(g, &form, json_incref(o));
        json_decref(o);
        return;
    }
    puts(succeeded ? "SUCCESS" : "FAILURE");
    for (size_t i = 0; i < r->n_ops; i++)
        op_text(&r->ops[i]);
}

static int run(const struct command *self, const struct global_options *g, int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    (void)argv;
    if (argc > 0) {
        fprintf(stderr,
                "tenure txn: takes no words: the transaction comes on standard input\ntry: tenure txn --help\n");
        return EXIT_USAGE;
    }
    tenure_client *c = connect_open(self->name, g);
    if (!c)
        return connect_code();
    int code = EXIT_USAGE;
    tenure_txn *t = tenure_txn_new(c);
    if (t && read_parts(t)) {
        tenure_txn_exact(t, opt.exact);
        code = tenure_txn_commit(t, g->call_timeout_ms, &r, &err) < 0 ? connect_failed(self->name, g, &err) : EXIT_OK;
    }
    if (code == EXIT_OK)
        print(g, r);
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    tenure_close(c);
    return code;
}

const struct command command_txn = {
    .name = "txn",
    .group = "Keys and values",
    .summary = "several compares and operations as one",
    .synopsis = "[--exact] < FILE",
    .description =
        "Reads three parts, each ended by an empty line: compares, what to do if all of them hold, and what to do if\n"
        "one does not. All of it happens in one revision. Prints SUCCESS or FAILURE (both are exit code 0), and behind\n"
        "it what each operation answered.\n\n"
        "A compare is  TARGET(\"KEY\") OP \"VALUE\"  with TARGET version, create, mod (revisions), lease (hexadecimal) or\n"
        "value, and OP one of = != < >. An operation is get, put or del with the options of these commands. Words are\n"
        "separated by blanks, 'as they are' or \"with \\n and \\x00\". The form is etcdctl's.",
    .examples = "printf '%s\\n' 'mod(\"/config/a\") = \"17\"' '' 'put /config/a new' '' 'get /config/a' | tenure txn",
    .options = options,
    .run = run,
    .starts_server = true,
};
