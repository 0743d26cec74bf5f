/* Layers and prefixes as they are typed, and how every action of `tenure config` reads and fails. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/conf.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "lib/config_seal.h"
#include "lib/config_write.h"

int conf_usage(const char *fmt, ...)
{
    va_list args;
    fputs("tenure config: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs("\ntry: tenure config --help\n", stderr);
    return EXIT_USAGE;
}

/* One that is loaded when it is needed. */
static bool is_library_missing(const struct tenure_error *err)
{
    return err->code == TENURE_EUNAVAILABLE &&
           (strstr(err->text, "libsodium") || strstr(err->text, "libyaml") || strstr(err->text, "libtenure-schema"));
}

int conf_failed(const struct global_options *g, const struct tenure_error *err)
{
    if (is_library_missing(err)) { /* no server has to do with it */
        fprintf(stderr, "tenure config: %s\n", connect_text("config", err));
        return EXIT_FAILED;
    }
    int code = connect_failed("config", g, err);
    if (err->code == TENURE_ECONFLICT &&
        (strstr(err->text, "' has its home in region '") || strstr(err->text, "' have not one home")))
        fprintf(stderr, "try: tenure region status, and a promotion that was interrupted again\n");
    else if (err->code == TENURE_ECONFLICT)
        fprintf(stderr, "try: tenure config get KEY --all-layers, and then again with its revision\n");
    else if (err->code == TENURE_ELIMIT)
        fprintf(stderr, "try: a longer prefix\n");
    else if (err->code == TENURE_EDENIED && strstr(err->text, "seal"))
        fputs(CONF_KEY_HINT, stderr);
    return code;
}

int conf_refused(const struct global_options *g, const struct tenure_error *err)
{
    int code = conf_failed(g, err);
    return code == EXIT_USAGE ? EXIT_FAILED : code;
}

/* ---- before anybody is asked ---- */

int conf_writes_check(const struct global_options *g, const struct conf_place *p,
                      const struct tenure_config_write *writes, size_t n)
{
    struct tenure_error err = {0};
    struct config_place place;
    const char *path;
    int rc = config_place_init(&place, &p->o, &err);
    rc = rc ? rc : config_writes_check(writes, n, &err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = config_place_key(&place, writes[i].layer, writes[i].key, &path, &err);
    config_place_fini(&place);
    return rc ? conf_failed(g, &err) : EXIT_OK;
}

int conf_key_file_check(const struct global_options *g, const struct tenure_config_options *o)
{
    struct tenure_error err = {0};
    struct config_seal *seal = NULL;
    int rc = config_seal_load(o->key_file, &seal, &err);
    config_seal_close(seal);
    if (rc == 0)
        return EXIT_OK;
    int code = conf_failed(g, &err);
    return is_library_missing(&err) || err.code == TENURE_ENOMEM ? code : EXIT_USAGE;
}

static bool place_is_good(const struct global_options *g, const struct conf_place *p)
{
    struct tenure_error err = {0};
    struct config_place place;
    int rc = config_place_init(&place, &p->o, &err);
    config_place_fini(&place);
    if (rc)
        conf_failed(g, &err);
    return rc == 0;
}

/* ---- places ---- */

static int open_code;

static char *copy(const char *s)
{
    char *c = strdup(s);
    if (c)
        return c;
    fprintf(stderr, "tenure config: out of memory\n");
    exit(EXIT_FAILED);
}

static bool layer_named(struct conf_place *p, const char *name, size_t len)
{
    static const struct {
        const char *name;
        enum tenure_config_layer layer;
    } names[] = {{"global", TENURE_CONFIG_GLOBAL},   {"default", TENURE_CONFIG_DEFAULT},
                 {"env", TENURE_CONFIG_ENVIRONMENT}, {"environment", TENURE_CONFIG_ENVIRONMENT},
                 {"service", TENURE_CONFIG_SERVICE}, {"instance", TENURE_CONFIG_INSTANCE}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i].name) == len && strncmp(names[i].name, name, len) == 0) {
            p->layer = names[i].layer;
            p->has_layer = true;
            return true;
        }
    }
    return false;
}

/* "env=prod", "instance=billing/b-1"; without "=": of what --environment, --service, --instance or the environment say. */
static bool take_layer(struct conf_place *p, const char *word)
{
    size_t n = strcspn(word, "=");
    const char *value = word[n] ? word + n + 1 : NULL;
    const char *slash = value ? strchr(value, '/') : NULL;
    if (!layer_named(p, word, n))
        return conf_usage("layer '%s': expected default, global, env=NAME, service=NAME or instance=SERVICE/NAME",
                          word),
               false;
    if (!value)
        return true;
    bool nameless = p->layer == TENURE_CONFIG_DEFAULT || p->layer == TENURE_CONFIG_GLOBAL;
    if (!*value || nameless || (p->layer == TENURE_CONFIG_INSTANCE) != (slash != NULL))
        return conf_usage("layer '%s': expected %s", word,
                          nameless                             ? "default, or global, without a name"
                          : p->layer == TENURE_CONFIG_INSTANCE ? "instance=SERVICE/NAME"
                                                               : "a name without a slash"),
               false;
    if (p->layer == TENURE_CONFIG_ENVIRONMENT)
        p->o.environment = p->environment = copy(value);
    if (p->layer == TENURE_CONFIG_SERVICE)
        p->o.service = p->service = copy(value);
    if (p->layer == TENURE_CONFIG_INSTANCE) {
        p->o.service = p->service = copy(value);
        p->service[slash - value] = 0;
        p->o.instance = p->instance = copy(slash + 1);
    }
    return true;
}

bool conf_place_of(struct conf_place *p, const char *word, const struct global_options *g)
{
    const struct conf_flags *f = &conf_opt;
    *p = (struct conf_place){.o = {.size = sizeof p->o,
                                   .prefix = f->root,
                                   .environment = f->environment,
                                   .service = f->service,
                                   .instance = f->instance,
                                   .timeout_ms = g->call_timeout_ms,
                                   .key_file = f->key_file,
                                   .unchecked = f->unchecked,
                                   .who = f->who,
                                   .comment = f->comment,
                                   .history = f->history,
                                   .cache_file = f->cache_file}};
    if (f->global && f->layer)
        return conf_usage("option --global: it is for all layers; write --layer global, or one of them"), false;
    p->o.global = f->global;
    word = word ? word : f->layer;
    if ((word && !take_layer(p, word)) || !place_is_good(g, p)) {
        conf_place_fini(p);
        return false;
    }
    if (p->has_layer)
        p->o.layers = 1u << p->layer;
    return true;
}

/* Writes of --global go into its layer. */
static bool is_global(const struct conf_place *p)
{
    return p->layer == TENURE_CONFIG_GLOBAL && p->has_layer;
}

bool conf_write_place_of(struct conf_place *p, const struct global_options *g)
{
    const char *word = conf_opt.global && !conf_opt.layer ? "global" : NULL;
    return conf_place_of(p, word, g);
}

/* A cluster that knows no regions is its own. */
static tenure_client *open_home(tenure_client *here, const struct global_options *g, const struct conf_place *p)
{
    struct tenure_error err = {0};
    struct tenure_options options;
    char key[1100];
    struct tenure_region_list *regions = tenure_region_list(here, &err);
    bool alone = regions && !regions->own[0] && regions->n == 0;
    tenure_region_list_free(regions);
    if (alone)
        return here;
    connect_options(g, &options);
    snprintf(key, sizeof key, "%s@global/", p->o.prefix ? p->o.prefix : "/config/");
    tenure_client *home = err.code ? NULL : tenure_home_open(here, key, &options, &err);
    if (!home) {
        fprintf(stderr, "tenure config: the layer global: %s\n", err.text);
        open_code =
            err.kind == TENURE_KIND_UNAVAILABLE || err.kind == TENURE_KIND_TIMEOUT ? EXIT_UNAVAILABLE : EXIT_FAILED;
    }
    tenure_close(here);
    return home;
}

tenure_client *conf_open(const struct global_options *g, const struct conf_place *p)
{
    tenure_client *here = connect_open("config", g);
    open_code = here ? EXIT_OK : connect_code();
    return here && is_global(p) ? open_home(here, g, p) : here;
}

int conf_open_code(void)
{
    return open_code;
}

void conf_place_fini(struct conf_place *p)
{
    free(p->environment);
    free(p->service);
    free(p->instance);
    *p = (struct conf_place){0};
}

char *conf_prefix(const char *typed)
{
    size_t n = typed ? strlen(typed) : 0;
    char *out = copy(typed ? typed : "");
    if (n == 0 || out[n - 1] == '/')
        return out;
    char *more = realloc(out, n + 2);
    if (!more) {
        free(out);
        return copy("");
    }
    memcpy(more + n, "/", 2);
    return more;
}

/* ---- reading ---- */

int conf_read(tenure_client *c, const struct global_options *g, const char *keys, const struct conf_place *p,
              struct tenure_config_list **ret)
{
    struct tenure_error err = {0};
    int good = conf_key_file_check(g, &p->o);
    if (good != EXIT_OK)
        return good;
    tenure_client *own = c ? NULL : connect_open("config", g);
    if (!c && !own)
        return connect_code();
    int rc = tenure_config_read(c ? c : own, keys, &p->o, ret, &err);
    int code = rc < 0 ? conf_failed(g, &err) : EXIT_OK;
    tenure_close(own);
    return code;
}

/* ---- printing ---- */

void conf_say_problem(const struct tenure_config_entry *e)
{
    const char *said = connect_bare("config", e->problem);
    if (strstr(said, e->key))
        fprintf(stderr, "tenure config: %s\n", said);
    else
        fprintf(stderr, "tenure config: %s: %s\n", e->key, said);
}

static const struct output_form revision_form = {
    .columns = (const struct output_column[]){{.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER}, {0}},
};

void conf_print_revision(const struct global_options *g, int64_t revision)
{
    if (!output_is_text(g))
        output_print(g, &revision_form, json_pack("{s:I}", "revision", (json_int_t)revision));
    else
        printf("revision %" PRId64 "\n", revision);
}

void conf_set_value(json_t *o, const char *name, const char *value, size_t len)
{
    output_set_bytes(o, name, (struct tenure_bytes){value, len});
}

json_t *conf_entry_json(const struct tenure_config_entry *e, bool with_layers)
{
    json_t *o = json_object();
    output_set_bytes(o, "key", tenure_str(e->key));
    conf_set_value(o, "value", e->value, e->value_len);
    json_object_set_new(o, "layer", json_string(tenure_config_layer_string(e->layer)));
    json_object_set_new(o, "revision", json_integer(e->revision));
    if (e->is_sealed)
        json_object_set_new(o, "sealed", json_true());
    if (e->problem)
        json_object_set_new(o, "problem", json_string(e->problem));
    if (!with_layers)
        return o;
    json_t *all = json_array();
    for (size_t i = 0; i < e->n_layers; i++) {
        json_t *l = json_object();
        json_object_set_new(l, "layer", json_string(tenure_config_layer_string(e->layers[i].layer)));
        conf_set_value(l, "value", e->layers[i].value, e->layers[i].value_len);
        json_object_set_new(l, "revision", json_integer(e->layers[i].revision));
        json_array_append_new(all, l);
    }
    json_object_set_new(o, "layers", all);
    return o;
}
