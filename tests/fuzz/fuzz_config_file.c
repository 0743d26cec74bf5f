/* Files that a configuration is imported from: JSON, YAML, dotenv, nested and flat, and JSON Schemas. The first byte says which. What is
 * read must be written and read again as it was, in every format that can hold it. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config_list.h"
#include "lib/config_schema_valid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SCHEMA = TENURE_CONFIG_DOTENV + 1 };

/* Written and read in a format, it is the same; or the format says why it cannot hold it. */
static void comes_back(const struct tenure_config_list *l, enum tenure_config_format format)
{
    struct tenure_error err = {0};
    struct tenure_config_list *back = NULL;
    struct tenure_config_differences *d = NULL;
    char *text = NULL;
    if (tenure_config_format(l, "b/", format, &text, &err) < 0) {
        assert(err.text[0]);
        return;
    }
    int rc = tenure_config_parse(text, strlen(text), "b/", format, &back, &err);
    assert(rc == 0);
    rc = tenure_config_diff(l, back, &d, &err);
    assert(rc == 0 && d->n == 0);
    tenure_config_differences_free(d);
    tenure_config_list_free(back);
    free(text);
}

static void read_list(const char *text, size_t size, enum tenure_config_format format)
{
    struct tenure_error err = {0};
    struct tenure_config_list *l = NULL;
    int rc = tenure_config_parse(text, size, "b/", format, &l, &err);
    assert(rc == 0 || (rc == err.code && err.text[0]));
    for (int f = TENURE_CONFIG_JSON; rc == 0 && f <= TENURE_CONFIG_DOTENV; f++)
        comes_back(l, (enum tenure_config_format)f);
    tenure_config_list_free(l);
}

static void read_schema(const char *text, size_t size)
{
    struct tenure_error err = {0};
    json_t *schema = NULL;
    int rc = config_schema_read(bytes_of(text, size), &schema, &err);
    rc = rc ? rc : config_schema_valid(schema, &err);
    assert(rc == 0 || (rc == err.code && err.text[0]));
    json_decref(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 65536)
        return 0;
    int what = 1 + data[0] % SCHEMA;
    /* A copy of its very size, so that a step beyond it is seen. */
    char *text = malloc(size);
    assert(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    if (what == SCHEMA)
        read_schema(text, size - 1);
    else
        read_list(text, size - 1, (enum tenure_config_format)what);
    free(text);
    return 0;
}
