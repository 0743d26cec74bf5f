/* tenure config export|import. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/conf_text.h"
#include "cli/connect.h"

#define PROBLEMS_SHOWN 5
#define PART_BYTES     ((size_t)128 << 10) /* of values: they are sent twice, and escaped once */

/* ---- export ---- */

static int print_file(const struct global_options *g, const struct tenure_config_list *list, const char *keys,
                      int format)
{
    struct tenure_error err = {0};
    char *text = NULL;
    if (tenure_config_format(list, keys, (enum tenure_config_format)format, &text, &err) < 0) {
        int code = conf_refused(g, &err);
        if (strstr(err.text, "below") || strstr(err.text, "name"))
            fprintf(stderr, "try: --flat, or another --format\n");
        return code;
    }
    fputs(text, stdout);
    free(text);
    return EXIT_OK;
}

/* With what is sealed in it still the file would not be what was asked for. */
static bool all_are_opened(const struct tenure_config_list *list)
{
    size_t shut = 0;
    for (size_t i = 0; i < list->n; i++)
        if (list->entries[i].problem && ++shut <= PROBLEMS_SHOWN)
            conf_say_problem(&list->entries[i]);
    if (shut > PROBLEMS_SHOWN)
        fprintf(stderr, "tenure config: and %zu more\n", shut - PROBLEMS_SHOWN);
    if (shut)
        fputs(CONF_KEY_HINT, stderr);
    return shut == 0;
}

int conf_export(const struct global_options *g, int n, char **words)
{
    struct conf_place p;
    struct conf_raw raw = {0};
    struct tenure_config_list *opened = NULL;
    if (n && conf_opt.prefix)
        return conf_usage("export: expected one PREFIX");
    if (!conf_opt.format)
        conf_opt.format = "yaml";
    int format = conf_format_of("");
    if (!format || !conf_place_of(&p, NULL, g))
        return EXIT_USAGE;
    char *keys = conf_prefix(n ? words[0] : conf_opt.prefix);
    int code = conf_opt.unseal ? conf_read(NULL, g, keys, &p, &opened) : conf_read_raw(NULL, g, keys, &p, &raw);
    if (code == EXIT_OK && opened && !all_are_opened(opened))
        code = EXIT_FAILED;
    if (code == EXIT_OK)
        code = print_file(g, opened ? opened : &raw.list, keys, format);
    tenure_config_list_free(opened);
    conf_raw_fini(&raw);
    conf_place_fini(&p);
    free(keys);
    return code;
}

/* ---- import ---- */

/* How many of them one transaction takes, at least one. */
static size_t part_of(const struct tenure_config_write *writes, size_t n)
{
    size_t bytes = 0, part = 0;
    while (part < n && part < TENURE_CONFIG_WRITES_MAX && (part == 0 || bytes + writes[part].value_len <= PART_BYTES))
        bytes += writes[part++].value_len;
    return part;
}

/* The first transaction that fails ends it. */
static int write_in_parts(tenure_client *c, const struct global_options *g, const struct conf_place *p,
                          const struct tenure_config_write *writes, size_t n)
{
    struct tenure_error err = {0};
    int64_t revision = 0;
    bool whole = part_of(writes, n) == n;
    for (size_t at = 0, part; at < n; at += part) {
        part = part_of(writes + at, n - at);
        if (tenure_config_apply(c, writes + at, part, &p->o, &revision, &err) < 0) {
            int code = conf_refused(g, &err);
            if (!whole)
                fprintf(stderr, "tenure config: %zu of %zu keys are written; import it again for the rest\n", at, n);
            return code;
        }
    }
    if (n)
        conf_print_revision(g, revision);
    fprintf(stderr, "tenure config: %zu key%s changed%s\n", n, n == 1 ? "" : "s",
            whole ? "" : ", in several transactions");
    return EXIT_OK;
}

static int import_changes(tenure_client *c, const struct global_options *g, const struct conf_place *p,
                          const struct tenure_config_differences *d)
{
    size_t n;
    struct tenure_config_write *writes = conf_writes_of(d, p->layer, conf_opt.delete_missing, &n);
    int code = writes ? EXIT_OK : EXIT_FAILED;
    if (writes && conf_opt.dry) {
        struct tenure_config_change *kept = calloc(d->n + 1, sizeof *kept);
        struct tenure_config_differences shown = {.changes = kept};
        for (size_t i = 0; kept && i < d->n; i++)
            if (d->changes[i].now || conf_opt.delete_missing)
                kept[shown.n++] = d->changes[i];
        conf_print_changes(g, &shown);
        free(kept);
    } else if (writes) {
        code = write_in_parts(c, g, p, writes, n);
    }
    free(writes);
    return code;
}

static int import_list(tenure_client *c, const struct global_options *g, const struct conf_place *p, const char *keys,
                       const struct tenure_config_list *file)
{
    struct conf_raw there;
    struct tenure_error err = {0};
    struct tenure_config_differences *d = NULL;
    int code = conf_read_raw(c, g, keys, p, &there);
    if (code != EXIT_OK)
        return code;
    if (tenure_config_diff(&there.list, file, &d, &err) < 0)
        code = conf_failed(g, &err);
    else
        code = import_changes(c, g, p, d);
    tenure_config_differences_free(d);
    conf_raw_fini(&there);
    return code;
}

int conf_import(const struct global_options *g, int n, char **words)
{
    struct conf_place p;
    struct tenure_config_list *file = NULL;
    (void)n;
    int format = conf_format_of(words[0]);
    if (!format || !conf_write_place_of(&p, g))
        return EXIT_USAGE;
    p.o.layers = 1u << p.layer;
    char *keys = conf_prefix(conf_opt.prefix);
    int code = conf_read_file(g, words[0], keys, format, &file);
    tenure_client *c = code == EXIT_OK ? conf_open(g, &p) : NULL;
    if (c)
        code = import_list(c, g, &p, keys, file);
    else if (code == EXIT_OK)
        code = conf_open_code();
    tenure_close(c);
    tenure_config_list_free(file);
    conf_place_fini(&p);
    free(keys);
    return code;
}
