/* The picture of `tenure top`: a line about all, and a table for each of servers, elections, locks and leases. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/output.h"
#include "cli/top.h"

static const struct output_form leases_form = {
    .lists = {"leases"},
    .columns = (const struct output_column[]){{.path = "lease", .heading = "LEASE"},
                                              {.path = "ttl", .heading = "LEFT", .kind = OUTPUT_NUMBER},
                                              {.path = "granted_ttl", .heading = "OF", .kind = OUTPUT_NUMBER},
                                              {.path = "keys", .heading = "KEYS", .kind = OUTPUT_NUMBER},
                                              {.path = "key", .heading = "FIRST KEY"},
                                              {0}},
};
static const struct output_form locks_form = {
    .lists = {"locks"},
    .columns = (const struct output_column[]){{.path = "name", .heading = "LOCK"},
                                              {.path = "holders", .heading = "HOLD", .kind = OUTPUT_NUMBER},
                                              {.path = "waiting", .heading = "WAIT", .kind = OUTPUT_NUMBER},
                                              {.path = "host", .heading = "HOST"},
                                              {.path = "pid", .heading = "PID", .kind = OUTPUT_POSITIVE},
                                              {.path = "since_ms", .heading = "SINCE", .kind = OUTPUT_SINCE},
                                              {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER},
                                              {.path = "purpose", .heading = "PURPOSE"},
                                              {0}},
    .next = &leases_form,
};
static const struct output_form elections_form = {
    .lists = {"elections"},
    .columns = (const struct output_column[]){{.path = "name", .heading = "ELECTION"},
                                              {.path = "proposal", .heading = "LEADER"},
                                              {.path = "waiting", .heading = "WAIT", .kind = OUTPUT_NUMBER},
                                              {.path = "host", .heading = "HOST"},
                                              {.path = "pid", .heading = "PID", .kind = OUTPUT_POSITIVE},
                                              {.path = "since_ms", .heading = "SINCE", .kind = OUTPUT_SINCE},
                                              {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER},
                                              {.path = "purpose", .heading = "PURPOSE"},
                                              {0}},
    .next = &locks_form,
};
static const struct output_form servers_form = {
    .lists = {"servers"},
    .columns = (const struct output_column[]){{.path = "endpoint", .heading = "SERVER"},
                                              {.path = "role", .heading = "ROLE"},
                                              {.path = "version", .heading = "VERSION"},
                                              {.path = "latency_ms", .heading = "MS", .kind = OUTPUT_NUMBER},
                                              {.path = "behind", .heading = "BEHIND", .kind = OUTPUT_NUMBER},
                                              {.path = "db_size", .heading = "SIZE", .kind = OUTPUT_SIZE},
                                              {.path = "puts", .heading = "PUT/S", .kind = OUTPUT_NUMBER},
                                              {.path = "deletes", .heading = "DEL/S", .kind = OUTPUT_NUMBER},
                                              {.path = "ranges", .heading = "RANGE/S", .kind = OUTPUT_NUMBER},
                                              {.path = "events", .heading = "EVENT/S", .kind = OUTPUT_NUMBER},
                                              {.path = "watchers", .heading = "WATCHERS", .kind = OUTPUT_NUMBER},
                                              {.path = "alarms", .heading = "ALARMS", .optional = true},
                                              {.path = "error", .heading = "ERROR", .optional = true},
                                              {0}},
    .next = &elections_form,
};

/* ---- order ---- */

static enum top_sort sorting_by; /* for qsort, which hands nothing on; one thread draws */

const char *top_sort_name(enum top_sort sort)
{
    static const char *const names[] = {"waiting", "time", "name"};
    return names[sort % TOP_SORTS];
}

static json_int_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static const char *word(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text ? text : "";
}

static int by_sort(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    json_int_t d = sorting_by == TOP_BY_WAITING ? number(y, "waiting") - number(x, "waiting")
                   : sorting_by == TOP_BY_TIME  ? number(x, "since_ms") - number(y, "since_ms")
                                                : 0;
    return d ? (d > 0 ? 1 : -1) : strcmp(word(x, "name"), word(y, "name"));
}

/* The one that ends first in front. */
static int by_ttl(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    json_int_t d = number(x, "ttl") - number(y, "ttl");
    return d ? (d > 0 ? 1 : -1) : strcmp(word(x, "lease"), word(y, "lease"));
}

static void sort_list(json_t *document, const char *name, int (*order)(const void *, const void *))
{
    json_t *list = json_object_get(document, name);
    size_t n = json_array_size(list);
    json_t **items = calloc(n + 1, sizeof *items);
    if (!items)
        return;
    for (size_t i = 0; i < n; i++)
        items[i] = json_incref(json_array_get(list, i));
    qsort(items, n, sizeof *items, order);
    for (size_t i = 0; i < n; i++)
        json_array_set_new(list, i, items[i]);
    free(items);
}

static void sort_all(json_t *document, enum top_sort sort)
{
    sorting_by = sort;
    sort_list(document, "elections", by_sort);
    sort_list(document, "locks", by_sort);
    sort_list(document, "leases", by_ttl);
}

/* ---- the picture ---- */

static void summary(const json_t *document, bool bold, struct buf *to)
{
    char at[32] = "";
    struct tm tm;
    time_t s = (time_t)(number(document, "at_ms") / 1000);
    const json_t *writes = json_object_get(document, "writes");
    if (localtime_r(&s, &tm))
        strftime(at, sizeof at, "%H:%M:%S", &tm);
    buf_printf(to, "%stenure top%s  %s  revision %" JSON_INTEGER_FORMAT, bold ? "\033[1m" : "", bold ? "\033[0m" : "",
               at, number(document, "revision"));
    if (writes)
        buf_printf(to, "  %.1f writes/s", json_real_value(writes));
    buf_printf(to, "  %zu elections  %zu locks  %" JSON_INTEGER_FORMAT " leases\n",
               json_array_size(json_object_get(document, "elections")),
               json_array_size(json_object_get(document, "locks")), number(document, "n_leases"));
}

void top_draw(json_t *document, enum top_sort sort, size_t line_max, bool bold, struct buf *to)
{
    size_t i;
    json_t *text;
    sort_all(document, sort);
    summary(document, bold, to);
    for (const struct output_form *f = &servers_form; f; f = f->next) {
        if (json_array_size(json_object_get(document, f->lists[0])) == 0)
            continue;
        buf_append_byte(to, '\n');
        output_table(f, document, line_max, bold, to);
    }
    if (json_array_size(json_object_get(document, "notes")) > 0)
        buf_append_byte(to, '\n');
    json_array_foreach(json_object_get(document, "notes"), i, text)
        buf_printf(to, "%.*s\n", line_max ? (int)line_max : 200, json_string_value(text));
}

void top_print(const struct global_options *g, json_t *document)
{
    struct buf text;
    if (g->format == OUTPUT_TEXT) {
        buf_init(&text);
        top_draw(document, TOP_BY_WAITING, 0, output_has_colours(), &text);
        fwrite(text.data ? (const char *)text.data : "", 1, text.len, stdout);
        buf_fini(&text);
        json_decref(document);
        return;
    }
    sort_all(document, TOP_BY_WAITING);
    if (g->format == OUTPUT_TABLE)
        output_print(g, &servers_form, document);
    else
        output_json(document);
}
