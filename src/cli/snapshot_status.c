/* tenure snapshot status: the numbers of `etcdutl snapshot status`, in its three forms. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/snapshot.h"
#include "cli/snapshot_file.h"
#include "snapshot/status.h"

/* As etcdutl writes sizes: powers of 1000, one digit behind the point below ten. */
static void human_size(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    value = (double)(int64_t)(value * 10 + 0.5) / 10;
    snprintf(out, 32, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void print_json(const struct snapshot_status *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "hash", json_integer(s->hash));
    json_object_set_new(o, "revision", json_integer(s->revision));
    json_object_set_new(o, "totalKey", json_integer(s->keys));
    json_object_set_new(o, "totalSize", json_integer((json_int_t)s->size));
    output_set_bytes(o, "version", (struct tenure_bytes){s->version.data, s->version.len});
    output_json(o);
}

enum { COLUMNS = 5 };

static void print_rule(const int *widths)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        putchar('+');
        for (int n = 0; n < widths[i] + 2; n++)
            putchar('-');
    }
    puts("+");
}

static void print_table(char cells[COLUMNS][32])
{
    static const char *const heads[] = {"HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"};
    int widths[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++) {
        size_t a = strlen(heads[i]), b = strlen(cells[i]);
        widths[i] = (int)(a > b ? a : b);
    }
    print_rule(widths);
    for (size_t i = 0; i < COLUMNS; i++)
        printf("| %*s%s ", widths[i] - (int)strlen(heads[i]), "", heads[i]);
    puts("|");
    print_rule(widths);
    for (size_t i = 0; i < COLUMNS; i++)
        printf("| %*s ", widths[i], cells[i]);
    puts("|");
    print_rule(widths);
}

static void print_text(const struct snapshot_status *s, bool table)
{
    char cells[COLUMNS][32];
    snprintf(cells[0], sizeof cells[0], "%" PRIx32, s->hash);
    snprintf(cells[1], sizeof cells[1], "%" PRId64, s->revision);
    snprintf(cells[2], sizeof cells[2], "%" PRId64, s->keys);
    human_size(s->size, cells[3]);
    snprintf(cells[4], sizeof cells[4], "%.*s", (int)(s->version.len < 31 ? s->version.len : 31),
             s->version.len ? (const char *)s->version.data : "");
    if (table)
        print_table(cells);
    else
        printf("%s, %s, %s, %s, %s\n", cells[0], cells[1], cells[2], cells[3], cells[4]);
}

int snapshot_show_status(const struct snapshot_options *o, const struct global_options *g, const char *path)
{
    struct snapshot_file f;
    struct snapshot_status s;
    struct tenure_error err = {0};
    (void)o;
    if (!snapshot_file_is_there(path))
        return EXIT_USAGE;
    int rc = snapshot_file_open(&f, path, false, &err);
    if (rc < 0)
        return connect_failed("snapshot", g, &err);
    rc = snapshot_status(&f.bolt, &s, &err);
    if (rc == 0 && output_is_json(g))
        print_json(&s);
    else if (rc == 0)
        print_text(&s, output_is_table(g));
    snapshot_file_close(&f);
    return rc < 0 ? connect_failed("snapshot", g, &err) : EXIT_OK;
}
