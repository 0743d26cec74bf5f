/* tenure config history|rollback. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "cli/conf.h"
#include "cli/connect.h"
#include "cli/output.h"

#define VALUE_SHOWN 60

static void when(int64_t at_ms, char out[32])
{
    struct tm tm;
    time_t s = (time_t)(at_ms / 1000);
    snprintf(out, 32, "-");
    if (at_ms > 0 && gmtime_r(&s, &tm))
        strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* The beginning of its first line. */
static void print_beginning(const struct tenure_config_version *v)
{
    if (!v->value) {
        fputs("(deleted)", stdout);
        return;
    }
    size_t line = v->value_len;
    const char *end = memchr(v->value, '\n', v->value_len);
    if (end)
        line = (size_t)(end - v->value);
    size_t n = bytes_utf8_cut(bytes_of(v->value, line), VALUE_SHOWN);
    fwrite(v->value, 1, n, stdout);
    if (n < v->value_len)
        fputs("...", stdout);
}

static void print_text(const struct tenure_config_version *v)
{
    char at[32];
    when(v->at_ms, at);
    printf("%c %-5" PRId64 "  %-20s  %-16s  %-8" PRId64 "  ", v->is_current ? '*' : ' ', v->version, at,
           *v->who ? v->who : "-", v->revision);
    print_beginning(v);
    printf("%s%s\n", *v->comment ? "  # " : "", v->comment);
}

static json_t *version_json(const struct tenure_config_version *v)
{
    char at[32];
    json_t *o = json_object();
    json_object_set_new(o, "version", json_integer(v->version));
    json_object_set_new(o, "revision", json_integer(v->revision));
    if (v->value)
        conf_set_value(o, "value", v->value, v->value_len);
    else
        json_object_set_new(o, "deleted", json_true());
    output_set_bytes(o, "who", tenure_str(v->who));
    output_set_bytes(o, "comment", tenure_str(v->comment));
    when(v->at_ms, at);
    if (v->at_ms > 0)
        json_object_set_new(o, "at", json_string(at));
    json_object_set_new(o, "current", json_boolean(v->is_current));
    return o;
}

/* The version with a star when it is the one there is now. */
static void show_version(const json_t *record, struct buf *to)
{
    buf_printf(to, "%" JSON_INTEGER_FORMAT "%s", json_integer_value(json_object_get(record, "version")),
               json_is_true(json_object_get(record, "current")) ? " *" : "");
}

static void show_value(const json_t *record, struct buf *to)
{
    const json_t *text = json_object_get(record, "value"), *other = json_object_get(record, "value_base64");
    if (text)
        buf_append(to, json_string_value(text), json_string_length(text));
    else if (other)
        buf_printf(to, "base64:%s", json_string_value(other));
    else
        buf_printf(to, "(deleted)");
}

static const struct output_form form = {
    .lists = {"versions"},
    .columns = (const struct output_column[]){{.path = "version", .heading = "NR", .show = show_version},
                                              {.path = "at", .heading = "WRITTEN"},
                                              {.path = "who", .heading = "BY"},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "value", .heading = "VALUE", .show = show_value},
                                              {.path = "comment", .heading = "COMMENT", .optional = true},
                                              {0}},
};

static void print_history(const struct global_options *g, const char *key, const struct tenure_config_versions *h)
{
    json_t *all = output_is_text(g) ? NULL : json_array();
    size_t n = conf_opt.count > 0 && (size_t)conf_opt.count < h->n ? (size_t)conf_opt.count : h->n;
    if (!all)
        printf("  %-5s  %-20s  %-16s  %-8s  %s\n", "NR", "WRITTEN", "BY", "REVISION", "VALUE");
    for (size_t i = 0; i < n; i++) {
        if (all)
            json_array_append_new(all, version_json(&h->versions[i]));
        else
            print_text(&h->versions[i]);
    }
    if (all)
        output_print(g, &form, json_pack("{s:s,s:o}", "key", key, "versions", all));
}

int conf_history(const struct global_options *g, int n, char **words)
{
    struct conf_place p;
    struct tenure_error err = {0};
    struct tenure_config_versions *h = NULL;
    (void)n;
    if (!conf_write_place_of(&p, g))
        return EXIT_USAGE;
    tenure_client *c = conf_open(g, &p);
    int code = c ? EXIT_OK : conf_open_code();
    if (c && tenure_config_history(c, words[0], p.layer, &p.o, &h, &err) < 0)
        code = conf_failed(g, &err);
    if (h)
        print_history(g, words[0], h);
    tenure_config_versions_free(h);
    tenure_close(c);
    conf_place_fini(&p);
    return code;
}

int conf_rollback(const struct global_options *g, int n, char **words)
{
    struct conf_place p;
    struct tenure_error err = {0};
    char *end;
    int64_t revision = 0, version = strtoll(words[1], &end, 10);
    (void)n;
    if (version <= 0 || *end)
        return conf_usage("rollback: '%s': expected the number of a version, as history shows it", words[1]);
    if (!conf_write_place_of(&p, g))
        return EXIT_USAGE;
    int code = conf_writes_check(g, &p, &(struct tenure_config_write){.key = words[0], .layer = p.layer}, 1);
    tenure_client *c = code == EXIT_OK ? conf_open(g, &p) : NULL;
    if (code == EXIT_OK && !c)
        code = conf_open_code();
    int64_t if_revision = conf_opt.if_revision < 0 ? 0 : conf_opt.if_revision == 0 ? -1 : conf_opt.if_revision;
    if (c && tenure_config_rollback(c, words[0], p.layer, version, if_revision, &p.o, &revision, &err) < 0) {
        code = conf_refused(g, &err);
        if (err.code == TENURE_ENOTFOUND)
            fprintf(stderr, "try: tenure config history %s\n", words[0]);
    } else if (c) {
        conf_print_revision(g, revision);
    }
    tenure_close(c);
    conf_place_fini(&p);
    return code;
}
