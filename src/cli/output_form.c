/* One document into json, jsonl or a table, by the form that its command has described. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/table.h"
#include "io/loop.h"

static void out_of_memory(void)
{
    fprintf(stderr, "tenure: out of memory\n");
    exit(EXIT_FAILED);
}

/* ---- cells ---- */

/* The member at the end of "a.b", or NULL. */
static const json_t *member(const json_t *record, const char *path)
{
    char name[64];
    const json_t *at = record;
    while (json_is_object(at) && *path) {
        size_t n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        at = json_object_get(at, name);
        path += n + (path[n] == '.');
    }
    return *path ? NULL : at;
}

static void show_value(const json_t *v, struct buf *to)
{
    const char *name;
    json_t *item;
    size_t i, n = 0;
    if (json_is_string(v)) {
        buf_append(to, json_string_value(v), json_string_length(v));
    } else if (json_is_integer(v)) {
        buf_printf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    } else if (json_is_real(v)) {
        buf_printf(to, "%g", json_real_value(v));
    } else if (json_is_boolean(v)) {
        buf_printf(to, "%s", json_is_true(v) ? "yes" : "no");
    } else if (json_is_array(v)) {
        json_array_foreach(v, i, item)
        {
            buf_printf(to, "%s", i ? "," : "");
            show_value(item, to);
        }
    } else if (json_is_object(v)) {
        json_object_foreach((json_t *)v, name, item)
        {
            buf_printf(to, "%s%s=", n++ ? "," : "", name);
            show_value(item, to);
        }
    }
}

/* As etcdutl writes sizes: powers of 1000, one digit behind the point below ten. */
static void show_size(json_int_t bytes, struct buf *to)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    value = (double)(int64_t)(value * 10 + 0.5) / 10;
    buf_printf(to, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

/* The wall clocks of two machines may disagree, so it is never shown as negative. */
static void show_since(json_int_t since_ms, struct buf *to)
{
    int64_t s = (io_wall_ms() - since_ms) / 1000;
    if (since_ms == 0)
        return;
    s = s < 0 ? 0 : s;
    buf_printf(to, "%02" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
}

static void show(const struct output_column *c, const json_t *record, struct buf *to)
{
    char other[80];
    const json_t *v = json_is_object(record) ? member(record, c->path) : record;
    if (c->kind == OUTPUT_POSITIVE && json_is_integer(v) && json_integer_value(v) == 0)
        return;
    if (c->show) {
        c->show(record, to);
    } else if (json_is_integer(v) && c->kind == OUTPUT_SIZE) {
        show_size(json_integer_value(v), to);
    } else if (json_is_integer(v) && c->kind == OUTPUT_SINCE) {
        show_since(json_integer_value(v), to);
    } else if (v) {
        show_value(v, to);
    } else {
        snprintf(other, sizeof other, "%s_base64", c->path);
        if (json_is_object(record) && (v = member(record, other))) {
            buf_printf(to, "base64:");
            show_value(v, to);
        }
    }
}

/* ---- records ---- */

static const json_t *list_of(const struct output_form *f, const json_t *document, size_t i)
{
    return i < sizeof f->lists / sizeof *f->lists && f->lists[i] ? json_object_get(document, f->lists[i]) : NULL;
}

/* Calls for each record of the form; false when the document has none of its lists. */
static bool for_each_record(const struct output_form *f, const json_t *document,
                            void (*each)(const json_t *record, void *user), void *user)
{
    bool any = !f->lists[0];
    if (any)
        each(document, user);
    for (size_t i = 0; i < sizeof f->lists / sizeof *f->lists; i++) {
        size_t k;
        json_t *record;
        const json_t *list = list_of(f, document, i);
        any = any || list;
        json_array_foreach(list, k, record) each(record, user);
    }
    return any;
}

/* ---- tables ---- */

static size_t line_max(void)
{
    struct winsize size = {0};
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

struct drawing {
    const struct output_column *columns[TABLE_COLUMNS_MAX];
    size_t n;
    struct table table;
    struct buf cell;
    bool *is_used; /* while it is found out which columns there are */
    const struct output_column *all;
};

static void look_at(const json_t *record, void *user)
{
    struct drawing *d = user;
    for (size_t i = 0; d->all[i].heading && i < TABLE_COLUMNS_MAX; i++) {
        buf_reset(&d->cell);
        if (d->all[i].optional)
            show(&d->all[i], record, &d->cell);
        bool is_nothing = d->cell.len == 0 || (d->cell.len == 1 && d->cell.data[0] == '0');
        d->is_used[i] = d->is_used[i] || !is_nothing;
    }
}

static void add_row(const json_t *record, void *user)
{
    struct drawing *d = user;
    for (size_t i = 0; i < d->n; i++) {
        buf_reset(&d->cell);
        show(d->columns[i], record, &d->cell);
        if (buf_error(&d->cell))
            out_of_memory();
        table_add(&d->table, (const char *)d->cell.data, d->cell.len);
    }
}

static void begin(struct drawing *d, const struct output_column *all, const bool *used)
{
    for (size_t i = 0; all[i].heading && d->n < TABLE_COLUMNS_MAX; i++)
        if (!all[i].optional || !used || used[i])
            d->columns[d->n++] = &all[i];
    table_init(&d->table, d->n);
    for (size_t i = 0; i < d->n; i++) {
        d->table.right[i] = d->columns[i]->kind == OUTPUT_NUMBER || d->columns[i]->kind == OUTPUT_POSITIVE ||
                            d->columns[i]->kind == OUTPUT_SIZE;
        d->table.widths[i] = used ? 0 : d->columns[i]->width;
        table_add(&d->table, d->columns[i]->heading, strlen(d->columns[i]->heading));
    }
}

static void flush(struct drawing *d, bool has_heading)
{
    struct buf out;
    buf_init(&out);
    if (!table_write(&d->table, &out, line_max(), has_heading && output_has_colours()))
        out_of_memory();
    fwrite(out.data ? (const char *)out.data : "", 1, out.len, stdout);
    buf_fini(&out);
}

static void finish(struct drawing *d)
{
    table_fini(&d->table);
    buf_fini(&d->cell);
}

void output_table(const struct output_form *f, const json_t *document, size_t max, bool bold, struct buf *to)
{
    bool used[TABLE_COLUMNS_MAX] = {false};
    struct drawing d = {.all = f->columns, .is_used = used};
    buf_init(&d.cell);
    if (for_each_record(f, document, look_at, &d)) {
        begin(&d, f->columns, used);
        for_each_record(f, document, add_row, &d);
        if (!table_write(&d.table, to, max, bold))
            out_of_memory();
    }
    finish(&d);
}

static void print_tables(const struct output_form *f, const json_t *document)
{
    struct buf out;
    buf_init(&out);
    for (const struct output_form *one = f; one; one = one->next) {
        size_t before = out.len;
        if (before)
            buf_append_byte(&out, '\n');
        output_table(one, document, line_max(), output_has_colours(), &out);
        if (before && out.len == before + 1)
            out.len = before; /* the document has none of its lists */
    }
    fwrite(out.data ? (const char *)out.data : "", 1, out.len, stdout);
    buf_fini(&out);
}

/* ---- the three forms ---- */

static void print_line(const json_t *record, void *user)
{
    const struct output_form *f = user;
    json_t *r = json_incref((json_t *)record);
    output_json(json_is_object(record) ? r : json_pack("{s:o}", f->columns[0].path, r));
}

void output_print(const struct global_options *g, const struct output_form *f, json_t *document)
{
    if (g->format == OUTPUT_JSON) {
        output_json(document);
        return;
    }
    if (!document)
        out_of_memory();
    if (g->format == OUTPUT_JSONL)
        for (const struct output_form *one = f; one; one = one->next)
            for_each_record(one, document, print_line, (void *)one);
    else
        print_tables(f, document);
    json_decref(document);
}

void output_cells(const struct global_options *g, const struct output_form *f, json_t *document)
{
    struct buf line;
    (void)g;
    buf_init(&line);
    for (const struct output_column *c = f->columns; c->heading; c++) {
        if (c != f->columns)
            buf_printf(&line, ", ");
        show(c, document, &line);
    }
    buf_append_byte(&line, '\n');
    if (!document || buf_error(&line))
        out_of_memory();
    fwrite(line.data, 1, line.len, stdout);
    buf_fini(&line);
    json_decref(document);
}

/* A program has one stream: its table goes on where the last event left it. */
void output_event(const struct global_options *g, const struct output_form *f, json_t *record)
{
    static struct drawing d;
    bool first = d.n == 0;
    if (g->format != OUTPUT_TABLE && g->format != OUTPUT_TEXT) {
        output_json(record);
        return;
    }
    if (!record)
        out_of_memory();
    if (first)
        begin(&d, f->columns, NULL);
    add_row(record, &d);
    flush(&d, first);
    json_decref(record);
}

void output_done(const struct global_options *g, const char *what, const char *name, const char *done)
{
    char heading[32] = "";
    for (size_t i = 0; what[i] && i + 1 < sizeof heading; i++)
        heading[i] = (char)(what[i] >= 'a' && what[i] <= 'z' ? what[i] - 'a' + 'A' : what[i]);
    const struct output_column columns[] = {
        {.path = what, .heading = heading}, {.path = "done", .heading = "DONE"}, {0}};
    const struct output_form form = {.columns = columns};
    if (g->format == OUTPUT_TEXT)
        return;
    json_t *o = json_object();
    output_set_bytes(o, what, tenure_str(name));
    json_object_set_new(o, "done", json_string(done));
    output_print(g, &form, o);
}
