/* tenure snapshot status: the numbers of `etcdutl snapshot status`; json and the line of text are as there. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/snapshot.h"
#include "cli/snapshot_file.h"
#include "snapshot/status.h"

static void show_hash(const json_t *record, struct buf *to)
{
    buf_printf(to, "%" PRIx32, (uint32_t)json_integer_value(json_object_get(record, "hash")));
}

static const struct output_column columns[] = {
    {.path = "hash", .heading = "HASH", .show = show_hash},
    {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
    {.path = "totalKey", .heading = "TOTAL KEYS", .kind = OUTPUT_NUMBER},
    {.path = "totalSize", .heading = "TOTAL SIZE", .kind = OUTPUT_SIZE},
    {.path = "version", .heading = "VERSION"},
    {0},
};
static const struct output_form form = {.columns = columns};

static json_t *status_json(const struct snapshot_status *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "hash", json_integer(s->hash));
    json_object_set_new(o, "revision", json_integer(s->revision));
    json_object_set_new(o, "totalKey", json_integer(s->keys));
    json_object_set_new(o, "totalSize", json_integer((json_int_t)s->size));
    output_set_bytes(o, "version", (struct tenure_bytes){s->version.data, s->version.len});
    return o;
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
    if (rc == 0)
        (output_is_text(g) ? output_cells : output_print)(g, &form, status_json(&s));
    snapshot_file_close(&f);
    return rc < 0 ? connect_failed("snapshot", g, &err) : EXIT_OK;
}
