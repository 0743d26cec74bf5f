/* What commands print, in the form that --output names.
 *
 * A command makes one JSON document of its result and says by a struct output_form which members of it are its records and what the
 * columns of a table are; from that come `json` (the document), `jsonl` (a record a line) and `table`. `text` is what people
 * and shells read: a command prints it itself, as etcdctl does (key, then value, a line each), or takes the table for it.
 *
 * JSON is built by jansson; out of memory ends the program, as nothing was promised yet.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <string.h>
#include <tenure/tenure.h>

#include "base/buf.h"
#include "cli/command.h"

/* The names, as help and completion list them. */
#define OUTPUT_FORMATS "text json jsonl table"

/* False: it is no name of a form. */
bool output_format_of(const char *name, enum output_format *ret);

static inline bool output_is_text(const struct global_options *g)
{
    return g->format == OUTPUT_TEXT;
}

/* ---- a form ---- */

enum output_kind {
    OUTPUT_WORD,     /* as it is; yes and no; of an array its items, between commas */
    OUTPUT_NUMBER,   /* at the right of its column */
    OUTPUT_POSITIVE, /* likewise, where 0 is unknown or not said */
    OUTPUT_SIZE,     /* bytes, as "1.2 MB" */
    OUTPUT_SINCE,    /* milliseconds of the wall clock, as how long ago that is; 0 = unknown */
};

struct output_column {
    const char
        *path; /* of the member in a record: "key", "kv.key"; bytes that are no text are found under "key_base64" */
    const char *heading;
    enum output_kind kind;
    bool optional; /* only in tables where a record has it, and not as 0 */
    size_t width;  /* of streams: at least */
    /* Instead of the member itself; appends what the cell shows. NULL = the member. */
    void (*show)(const json_t *record, struct buf *to);
};

struct output_form {
    /* The members of the document that are arrays of records; none: the document is the one record. A record that is no object
     * but a word is what the first column shows, and an object with that member in jsonl. */
    const char *lists[3];
    const struct output_column *columns; /* up to one without a heading */
    const struct output_form *next;      /* another table of the same document, where that has its lists */
};

/* Prints the document and releases it; in text as a table. */
void output_print(const struct global_options *g, const struct output_form *f, json_t *document);
/* For text: the cells of a document that is one record, in one line with commas between. Releases it. */
void output_cells(const struct global_options *g, const struct output_form *f, json_t *document);
/* One of many that come one after the other, as of a watch: a line in json and jsonl, a row in a table, which grows. Releases it.
 * Does not flush. */
void output_event(const struct global_options *g, const struct output_form *f, json_t *record);
/* The first table of a form alone, into a buffer; lines of at most line_max (0 = any), the heading bold. */
void output_table(const struct output_form *f, const json_t *document, size_t line_max, bool bold, struct buf *to);
/* What a command answers that has nothing but its deed to tell: {"user": "alice", "done": "added"}. Not in text. */
void output_done(const struct global_options *g, const char *what, const char *name, const char *done);

/* ---- parts of documents ---- */

/* Sets name to the bytes as a string; bytes that are not UTF-8 go into "name_base64" instead. */
void output_set_bytes(json_t *object, const char *name, struct tenure_bytes b);
/* {"key", "value", "create_revision", "mod_revision", "version", "lease"}; lease in hexadecimal, left out when 0. */
json_t *output_kv(const struct tenure_kv *kv);
/* The columns of such an object, one for each: OUTPUT_KV_COLUMNS("kv.") */
#define OUTPUT_KV_COLUMNS(at)                                                                                          \
    {.path = at "key", .heading = "KEY"}, {.path = at "value", .heading = "VALUE"},                                    \
        {.path = at "create_revision", .heading = "CREATED", .kind = OUTPUT_NUMBER},                                   \
        {.path = at "mod_revision", .heading = "MODIFIED", .kind = OUTPUT_NUMBER},                                     \
        {.path = at "version", .heading = "VERSION", .kind = OUTPUT_NUMBER},                                           \
    {                                                                                                                  \
        .path = at "lease", .heading = "LEASE", .optional = true                                                       \
    }
/* A lease id as etcdctl writes it. */
json_t *output_lease(int64_t id);

/* Prints compactly with a newline and releases; a person who reads a long object pipes it through jq. */
void output_json(json_t *j);
/* Key and value, a line each, as they are. */
void output_kv_text(const struct tenure_kv *kv, bool with_key, bool with_value);

/* Whether standard output is a terminal whose user has nothing against colours (NO_COLOR). */
bool output_has_colours(void);

/* Until all commands have a form. */
static inline bool output_is_json(const struct global_options *g)
{
    return g->format != OUTPUT_TEXT;
}

#endif
