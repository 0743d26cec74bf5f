/* What commands print: text as etcdctl's (key, then value, a line each), or JSON with stable names. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <string.h>
#include <tenure/tenure.h>

#include "cli/command.h"

static inline bool output_is_json(const struct global_options *g)
{
    return g->output[0] == 'j';
}

/* Only where command.prints_tables. */
static inline bool output_is_table(const struct global_options *g)
{
    return strcmp(g->output, "table") == 0;
}

/* Sets name to the bytes as a string; bytes that are not UTF-8 go into "name_base64" instead. */
void output_set_bytes(json_t *object, const char *name, struct tenure_bytes b);
/* {"key", "value", "create_revision", "mod_revision", "version", "lease"}; lease in hexadecimal, left out when 0. */
json_t *output_kv(const struct tenure_kv *kv);
/* Prints compactly with a newline and releases; a person who reads a long object pipes it through jq. */
void output_json(json_t *j);
/* Key and value, a line each, as they are. */
void output_kv_text(const struct tenure_kv *kv, bool with_key, bool with_value);
/* A lease id as etcdctl writes it. */
json_t *output_lease(int64_t id);

#endif
