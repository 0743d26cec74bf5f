/* tenure config get|set|delete. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/conf.h"
#include "cli/conf_secret.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/output.h"

/* ---- get ---- */

static void print_bytes(const char *value, size_t len)
{
    fwrite(value, 1, len, stdout);
    putchar('\n');
}

/* The one that counts with a star, as git marks the branch that one is on. */
static void print_layers(const struct tenure_config_entry *e)
{
    for (size_t i = e->n_layers; i-- > 0;) {
        const struct tenure_config_value *l = &e->layers[i];
        printf("%c %-11s  revision %-8" PRId64 "  ", i + 1 == e->n_layers ? '*' : ' ',
               tenure_config_layer_string(l->layer), l->revision);
        print_bytes(l->value, l->value_len);
    }
}

static const struct output_form entry_form = {
    .columns = (const struct output_column[]){{.path = "key", .heading = "KEY"},
                                              {.path = "value", .heading = "VALUE"},
                                              {.path = "layer", .heading = "LAYER"},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "sealed", .heading = "SEALED", .optional = true},
                                              {.path = "problem", .heading = "PROBLEM", .optional = true},
                                              {0}},
};

static const struct output_form list_form = {
    .lists = {"entries"},
    .columns = (const struct output_column[]){{.path = "key", .heading = "KEY"},
                                              {.path = "value", .heading = "VALUE"},
                                              {.path = "layer", .heading = "LAYER"},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "sealed", .heading = "SEALED", .optional = true},
                                              {.path = "problem", .heading = "PROBLEM", .optional = true},
                                              {0}},
};

static const struct output_form layers_form = {
    .lists = {"layers"},
    .columns = (const struct output_column[]){{.path = "key", .heading = "KEY"},
                                              {.path = "layer", .heading = "LAYER"},
                                              {.path = "counts", .heading = "COUNTS"},
                                              {.path = "value", .heading = "VALUE"},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {0}},
};

/* A table of layers: a row for each that an entry has, the one that counts last. */
static json_t *layer_rows(const json_t *entries)
{
    json_t *rows = json_array(), *entry, *layer;
    size_t i, k;
    json_array_foreach(entries, i, entry)
    {
        const json_t *layers = json_object_get(entry, "layers");
        json_array_foreach(layers, k, layer)
        {
            json_object_set(layer, "key", json_object_get(entry, "key"));
            json_object_set_new(layer, "counts", json_boolean(k + 1 == json_array_size(layers)));
            json_array_append(rows, layer);
        }
    }
    return json_pack("{s:o}", "layers", rows);
}

static void print_entry(const struct global_options *g, const struct tenure_config_entry *e)
{
    json_t *o = conf_entry_json(e, conf_opt.all_layers);
    if (g->format != OUTPUT_TABLE || !conf_opt.all_layers) {
        output_print(g, &entry_form, o);
        return;
    }
    json_t *one = json_pack("[o]", o);
    output_print(g, &layers_form, layer_rows(one));
    json_decref(one);
}

static int unusable(const struct tenure_config_entry *e)
{
    conf_say_problem(e);
    fputs(CONF_KEY_HINT, stderr);
    return EXIT_FAILED;
}

/* How many keys lie below one that is none. */
static size_t count_below(const struct global_options *g, const struct conf_place *p, const char *key)
{
    struct tenure_config_list *list = NULL;
    char *keys = conf_prefix(key);
    size_t n = conf_read(NULL, g, keys, p, &list) == EXIT_OK ? list->n : 0;
    tenure_config_list_free(list);
    free(keys);
    return n;
}

static int missing(const struct global_options *g, const struct conf_place *p, const char *key)
{
    if (conf_opt.fallback) {
        if (output_is_text(g))
            puts(conf_opt.fallback);
        else
            output_print(g, &entry_form, json_pack("{s:s,s:s}", "key", key, "value", conf_opt.fallback));
        return EXIT_OK;
    }
    size_t below = count_below(g, p, key);
    fprintf(stderr, "tenure config: there is no %s%s%s", key, p->has_layer ? " in the layer " : "",
            p->has_layer ? tenure_config_layer_string(p->layer) : "");
    if (below)
        fprintf(stderr, ", but %zu below it\ntry: tenure config get --prefix %s\n", below, key);
    else
        fprintf(stderr, "\ntry: tenure config set %s VALUE, or get it with --default VALUE\n", key);
    return EXIT_FAILED;
}

static int get_one(const struct global_options *g, const struct conf_place *p, const char *key)
{
    struct tenure_config_list *list = NULL;
    int code = conf_read(NULL, g, key, p, &list);
    if (code != EXIT_OK)
        return code;
    const struct tenure_config_entry *e = tenure_config_find(list, key);
    if (!e)
        code = missing(g, p, key);
    else if (!output_is_text(g))
        print_entry(g, e);
    else if (conf_opt.all_layers)
        print_layers(e);
    else if (e->problem)
        code = unusable(e);
    else
        print_bytes(e->value, e->value_len);
    tenure_config_list_free(list);
    return code;
}

static void print_list(const struct global_options *g, const struct tenure_config_list *list)
{
    json_t *all = output_is_text(g) ? NULL : json_array();
    for (size_t i = 0; i < list->n; i++) {
        const struct tenure_config_entry *e = &list->entries[i];
        if (all) {
            json_array_append_new(all, conf_entry_json(e, conf_opt.all_layers));
        } else if (conf_opt.all_layers) {
            puts(e->key);
            print_layers(e);
        } else {
            printf("%s=", e->key);
            print_bytes(e->value, e->value_len);
        }
    }
    if (all && g->format == OUTPUT_TABLE && conf_opt.all_layers) {
        output_print(g, &layers_form, layer_rows(all));
        json_decref(all);
    } else if (all) {
        output_print(g, &list_form, json_pack("{s:I,s:o}", "revision", (json_int_t)list->revision, "entries", all));
    }
}

static int get_prefix(const struct global_options *g, const struct conf_place *p)
{
    struct tenure_config_list *list = NULL;
    char *keys = conf_prefix(conf_opt.prefix);
    int code = conf_read(NULL, g, keys, p, &list);
    if (code == EXIT_OK)
        print_list(g, list);
    tenure_config_list_free(list);
    free(keys);
    return code;
}

int conf_get(const struct global_options *g, int n, char **words)
{
    struct conf_place p;
    if ((n == 1) == (conf_opt.prefix != NULL))
        return conf_usage("get: expected a KEY, or --prefix and no KEY");
    if (n && words[0][0] && words[0][strlen(words[0]) - 1] == '/')
        return conf_usage("get: '%s' is no key: what is below it shows get --prefix %s", words[0], words[0]);
    if (!conf_place_of(&p, NULL, g))
        return EXIT_USAGE;
    int code = n ? get_one(g, &p, words[0]) : get_prefix(g, &p);
    conf_place_fini(&p);
    return code;
}

/* ---- set ---- */

/* if_revision as the library has it, where 0 on the command line says that there must be none. */
static int64_t wanted_revision(void)
{
    return conf_opt.if_revision < 0 ? 0 : conf_opt.if_revision == 0 ? -1 : conf_opt.if_revision;
}

static int apply(const struct global_options *g, const struct tenure_config_write *writes, size_t n,
                 const struct conf_place *p)
{
    struct tenure_error err = {0};
    int64_t revision = 0;
    int code = conf_writes_check(g, p, writes, n);
    if (code != EXIT_OK)
        return code;
    tenure_client *c = conf_open(g, p);
    if (!c)
        return conf_open_code();
    if (tenure_config_apply(c, writes, n, &p->o, &revision, &err) < 0)
        code = conf_refused(g, &err);
    else
        conf_print_revision(g, revision);
    tenure_close(c);
    return code;
}

/* Each value in its place by a sealed one. A word of the command line is wiped there. */
static int seal_all(const struct global_options *g, struct tenure_config_write *writes, size_t n, char **sealed)
{
    struct tenure_error err = {0};
    const char *file = conf_opt.key_file ? conf_opt.key_file : getenv("TENURE_CONFIG_KEY_FILE");
    if (!file || !*file)
        return conf_usage("--seal: name the file with the key by --key-file or TENURE_CONFIG_KEY_FILE");
    int code = conf_key_file_check(g, &(struct tenure_config_options){.key_file = file});
    if (code != EXIT_OK)
        return code;
    for (size_t i = 0; code == EXIT_OK && i < n; i++) {
        struct conf_secret secret;
        code = conf_secret_take(writes[i].key, (char *)writes[i].value, &secret);
        if (code == EXIT_OK && tenure_config_seal(file, writes[i].key, secret.text, secret.len, &sealed[i], &err) < 0)
            code = conf_failed(g, &err);
        conf_secret_fini(&secret);
        writes[i].value = sealed[i];
    }
    return code;
}

static int write_all(const struct global_options *g, struct tenure_config_write *writes, size_t n)
{
    struct conf_place p;
    char *sealed[TENURE_CONFIG_WRITES_MAX] = {NULL};
    int code = EXIT_OK;
    if (!conf_write_place_of(&p, g))
        return EXIT_USAGE;
    for (size_t i = 0; i < n; i++) {
        writes[i].layer = p.layer;
        writes[i].if_revision = wanted_revision();
    }
    if (conf_opt.seal)
        code = seal_all(g, writes, n, sealed);
    if (code == EXIT_OK)
        code = apply(g, writes, n, &p);
    for (size_t i = 0; i < n; i++)
        free(sealed[i]);
    conf_place_fini(&p);
    return code;
}

static int set_pairs(const struct global_options *g, int n, char **words)
{
    struct tenure_config_write writes[TENURE_CONFIG_WRITES_MAX] = {{.key = NULL}};
    for (int i = 0; i < n; i++) {
        char *equals = strchr(words[i], '=');
        if (!equals || equals == words[i])
            return conf_usage("set: '%s': expected KEY=VALUE", words[i]);
        *equals = 0;
        writes[i] = (struct tenure_config_write){.key = words[i], .value = equals + 1};
    }
    return write_all(g, writes, (size_t)n);
}

/* An empty value has no length of its own to the library: its 0 ends it. */
static int set_input(const struct global_options *g, const char *key)
{
    size_t len;
    char *text = input_all("config", &len), *whole = text ? realloc(text, len + 1) : NULL;
    if (!whole) {
        free(text);
        return EXIT_FAILED;
    }
    whole[len] = 0;
    struct tenure_config_write w = {.key = key, .value = whole, .value_len = len};
    int code = write_all(g, &w, 1);
    free(whole);
    return code;
}

int conf_set(const struct global_options *g, int n, char **words)
{
    if (n > TENURE_CONFIG_WRITES_MAX)
        return conf_usage("set: %d keys are more than one transaction takes (%d); import takes a file of any length", n,
                          TENURE_CONFIG_WRITES_MAX);
    if (n > 1 && conf_opt.if_revision > 0 && strchr(words[0], '='))
        return conf_usage("set: --if-revision is for one KEY; 0, that there is none, for several");
    if (strchr(words[0], '='))
        return set_pairs(g, n, words);
    if (n > 2)
        return conf_usage("set: expected KEY VALUE, or KEY=VALUE for several keys at once");
    if (n == 1 && !conf_opt.seal)
        return set_input(g, words[0]);
    struct tenure_config_write w = {.key = words[0], .value = words[1]}; /* NULL: to be asked for */
    return write_all(g, &w, 1);
}

/* ---- delete ---- */

/* One that is not there is a failure, which a list of them does not say. */
static int delete_one(const struct global_options *g, const char *key)
{
    struct conf_place p;
    struct tenure_error err = {0};
    int64_t revision = 0;
    if (!conf_write_place_of(&p, g))
        return EXIT_USAGE;
    int code = conf_writes_check(g, &p, &(struct tenure_config_write){.key = key, .layer = p.layer}, 1);
    tenure_client *c = code == EXIT_OK ? conf_open(g, &p) : NULL;
    if (code == EXIT_OK && !c)
        code = conf_open_code();
    if (c && tenure_config_delete(c, key, p.layer, wanted_revision(), &p.o, &revision, &err) < 0)
        code = conf_refused(g, &err);
    else if (c)
        conf_print_revision(g, revision);
    tenure_close(c);
    conf_place_fini(&p);
    return code;
}

int conf_delete(const struct global_options *g, int n, char **words)
{
    struct tenure_config_write writes[TENURE_CONFIG_WRITES_MAX] = {{.key = NULL}};
    if (n > TENURE_CONFIG_WRITES_MAX)
        return conf_usage("delete: %d keys are more than one transaction takes (%d)", n, TENURE_CONFIG_WRITES_MAX);
    if (n > 1 && conf_opt.if_revision >= 0)
        return conf_usage("delete: --if-revision is for one KEY");
    if (conf_opt.if_revision == 0)
        return conf_usage("delete: --if-revision 0 says that there is none to delete");
    conf_opt.seal = false;
    if (n == 1)
        return delete_one(g, words[0]);
    for (int i = 0; i < n; i++)
        writes[i] = (struct tenure_config_write){.key = words[i]};
    return write_all(g, writes, (size_t)n);
}
