#include "cli/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool output_format_of(const char *name, enum output_format *ret)
{
    static const char *const names[] = {
        [OUTPUT_TEXT] = "text", [OUTPUT_JSON] = "json", [OUTPUT_JSONL] = "jsonl", [OUTPUT_TABLE] = "table"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = (enum output_format)i;
            return true;
        }
    }
    return false;
}

bool output_has_colours(void)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

static json_t *need(json_t *j)
{
    if (j)
        return j;
    fprintf(stderr, "tenure: out of memory\n");
    exit(EXIT_FAILED);
}

static char *base64(struct tenure_bytes b)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = b.data;
    char *out = malloc((b.len + 2) / 3 * 4 + 1), *to = out;
    if (!out)
        need(NULL);
    for (size_t i = 0; i < b.len; i += 3) {
        unsigned long v =
            (unsigned long)p[i] << 16 | (i + 1 < b.len ? p[i + 1] : 0ul) << 8 | (i + 2 < b.len ? p[i + 2] : 0ul);
        *to++ = digits[v >> 18 & 63];
        *to++ = digits[v >> 12 & 63];
        *to++ = i + 1 < b.len ? digits[v >> 6 & 63] : '=';
        *to++ = i + 2 < b.len ? digits[v & 63] : '=';
    }
    *to = 0;
    return out;
}

void output_set_bytes(json_t *object, const char *name, struct tenure_bytes b)
{
    json_t *s = json_stringn(b.data ? b.data : "", b.len);
    if (s) {
        json_object_set_new(object, name, s);
        return;
    }
    char other[64];
    char *text = base64(b);
    snprintf(other, sizeof other, "%s_base64", name);
    json_object_set_new(object, other, need(json_string(text)));
    free(text);
}

json_t *output_lease(int64_t id)
{
    char hex[32];
    snprintf(hex, sizeof hex, "%016" PRIx64, (uint64_t)id);
    return need(json_string(hex));
}

json_t *output_kv(const struct tenure_kv *kv)
{
    json_t *o = need(json_object());
    output_set_bytes(o, "key", kv->key);
    output_set_bytes(o, "value", kv->value);
    json_object_set_new(o, "create_revision", need(json_integer(kv->create_revision)));
    json_object_set_new(o, "mod_revision", need(json_integer(kv->mod_revision)));
    json_object_set_new(o, "version", need(json_integer(kv->version)));
    if (kv->lease)
        json_object_set_new(o, "lease", output_lease(kv->lease));
    return o;
}

void output_json(json_t *j)
{
    json_dumpf(need(j), stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(j);
}

static void line(struct tenure_bytes b)
{
    fwrite(b.data ? b.data : "", 1, b.len, stdout);
    putchar('\n');
}

void output_kv_text(const struct tenure_kv *kv, bool with_key, bool with_value)
{
    if (with_key)
        line(kv->key);
    if (with_value)
        line(kv->value);
}
