#include "cli/conf_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/output.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

/* ---- files ---- */

static int format_named(const char *name)
{
    if (strcmp(name, "json") == 0)
        return conf_opt.flat ? TENURE_CONFIG_JSON_FLAT : TENURE_CONFIG_JSON;
    if (strcmp(name, "yaml") == 0 || strcmp(name, "yml") == 0)
        return conf_opt.flat ? TENURE_CONFIG_YAML_FLAT : TENURE_CONFIG_YAML;
    if (strcmp(name, "dotenv") == 0 || strcmp(name, "env") == 0)
        return TENURE_CONFIG_DOTENV;
    return 0;
}

int conf_format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    int format = conf_opt.format ? format_named(conf_opt.format) : dot ? format_named(dot + 1) : 0;
    if (!format && conf_opt.format)
        conf_usage("option --format: '%s' is none of json, yaml, dotenv", conf_opt.format);
    else if (!format)
        conf_usage("%s: what format it has is not in its name: say it by --format json, yaml or dotenv", path);
    return format;
}

static char *read_all(const char *path, size_t *ret_len)
{
    struct buf b;
    char block[16384];
    size_t n;
    if (strcmp(path, "-") == 0)
        return input_all("config", ret_len);
    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "tenure config: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    buf_init(&b);
    b.len_max = FILE_BYTES_MAX;
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_append(&b, block, n);
    bool good = !ferror(f) && buf_error(&b) == 0;
    fclose(f);
    *ret_len = b.len;
    buf_append_byte(&b, 0); /* an empty one is not NULL */
    if (good && buf_error(&b) == 0)
        return (char *)b.data;
    fprintf(stderr, "tenure config: %s: it cannot be read, or is larger than %zu bytes\n", path, FILE_BYTES_MAX);
    buf_fini(&b);
    return NULL;
}

char *conf_file_text(const char *path, size_t *ret_len)
{
    char *text = read_all(path, ret_len), *whole = text ? realloc(text, *ret_len + 1) : NULL;
    if (whole)
        whole[*ret_len] = 0;
    else
        free(text);
    return whole;
}

int conf_read_file(const struct global_options *g, const char *path, const char *keys, int format,
                   struct tenure_config_list **ret)
{
    struct tenure_error err = {0};
    size_t len;
    char *text = read_all(path, &len);
    if (!text)
        return EXIT_USAGE; /* a file that is wrong */
    int rc = tenure_config_parse(text, len, keys, (enum tenure_config_format)format, ret, &err);
    free(text);
    if (rc == 0)
        return EXIT_OK;
    if (err.code != TENURE_EINVALID)
        return conf_failed(g, &err);
    fprintf(stderr, "tenure config: %s: %s\n", path, connect_text("config", &err));
    return EXIT_USAGE;
}

/* ---- what is stored ---- */

int conf_read_raw(tenure_client *c, const struct global_options *g, const char *keys, const struct conf_place *p,
                  struct conf_raw *ret)
{
    struct conf_place bare = *p;
    *ret = (struct conf_raw){0};
    bare.o.key_file = NULL;
    unsetenv("TENURE_CONFIG_KEY_FILE"); /* or the library would open what it can */
    int code = conf_read(c, g, keys, &bare, &ret->read);
    if (code != EXIT_OK)
        return code;
    ret->list = *ret->read;
    ret->entries = calloc(ret->read->n + 1, sizeof *ret->entries);
    if (!ret->entries) {
        fprintf(stderr, "tenure config: out of memory\n");
        conf_raw_fini(ret);
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < ret->list.n; i++) {
        ret->entries[i] = ret->read->entries[i];
        if (ret->entries[i].is_sealed)
            ret->entries[i].problem = NULL;
    }
    ret->list.entries = ret->entries;
    return EXIT_OK;
}

void conf_raw_fini(struct conf_raw *r)
{
    free(r->entries);
    tenure_config_list_free(r->read);
    *r = (struct conf_raw){0};
}

/* ---- changes ---- */

static void print_side(char mark, const struct tenure_config_entry *e)
{
    if (!e)
        return;
    printf("%c %s=", mark, e->key);
    fwrite(e->value, 1, e->value_len, stdout);
    putchar('\n');
}

static json_t *change_json(const struct tenure_config_change *c)
{
    json_t *o = json_object();
    output_set_bytes(o, "key", tenure_str(c->key));
    if (c->was)
        conf_set_value(o, "was", c->was->value, c->was->value_len);
    if (c->now)
        conf_set_value(o, "now", c->now->value, c->now->value_len);
    return o;
}

static const struct output_form changes_form = {
    .lists = {"changes"},
    .columns = (const struct output_column[]){{.path = "key", .heading = "KEY"},
                                              {.path = "was", .heading = "WAS"},
                                              {.path = "now", .heading = "NOW"},
                                              {0}},
};

void conf_print_changes(const struct global_options *g, const struct tenure_config_differences *d)
{
    json_t *all = output_is_text(g) ? NULL : json_array();
    for (size_t i = 0; i < d->n; i++) {
        if (all) {
            json_array_append_new(all, change_json(&d->changes[i]));
            continue;
        }
        print_side('-', d->changes[i].was);
        print_side('+', d->changes[i].now);
    }
    if (all)
        output_print(g, &changes_form, json_pack("{s:o}", "changes", all));
}

struct tenure_config_write *conf_writes_of(const struct tenure_config_differences *d, enum tenure_config_layer layer,
                                           bool deletes, size_t *ret_n)
{
    struct tenure_config_write *w = calloc(d->n + 1, sizeof *w);
    *ret_n = 0;
    for (size_t i = 0; w && i < d->n; i++) {
        const struct tenure_config_change *c = &d->changes[i];
        if (!c->now && !deletes)
            continue;
        w[(*ret_n)++] = (struct tenure_config_write){
            .key = c->key,
            .value = c->now ? c->now->value : NULL,
            .value_len = c->now ? c->now->value_len : 0,
            .layer = layer,
            .if_revision = c->was ? c->was->revision : -1,
        };
    }
    if (!w)
        fprintf(stderr, "tenure config: out of memory\n");
    return w;
}
