/* Written and read by jansson. The values come from anybody who can write to the store. */
#include "lib/group_value.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define VALUE_MAX ((size_t)1 << 20) /* of a value that is looked into */

/* How much of s is UTF-8 from its beginning on. */
static size_t utf8_len(bytes s)
{
    size_t len = 0, n;
    while (len < s.len && (n = bytes_utf8_char(bytes_of(s.data + len, s.len - len))) > 0)
        len += n;
    return len;
}

bool group_data_fits(const char *data)
{
    return utf8_len(bytes_str(data)) == bytes_str(data).len;
}

static json_t *host_text(void)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    return json_stringn(host, utf8_len(bytes_str(host)));
}

static json_t *data_value(const char *data)
{
    bool structured = data[0] == '{' || data[0] == '[';
    json_t *parsed = structured ? json_loads(data, JSON_REJECT_DUPLICATES, NULL) : NULL;
    return parsed ? parsed : json_string(data); /* NULL for what is no UTF-8 */
}

char *group_value_new(const char *data, int64_t since_ms)
{
    char *out = NULL;
    json_t *o = json_object();
    int rc = 0;
    rc |= json_object_set_new(o, "host", host_text());
    rc |= json_object_set_new(o, "pid", json_integer(getpid()));
    rc |= json_object_set_new(o, "since", json_integer(since_ms));
    rc |= json_object_set_new(o, "data", data_value(data ? data : ""));
    if (rc == 0)
        out = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return out;
}

static char *text_of(const json_t *v)
{
    if (json_is_string(v))
        return strdup(json_string_value(v));
    return v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
}

void group_value_read(bytes value, struct group_words *ret)
{
    *ret = (struct group_words){0};
    if (value.len == 0 || value.len > VALUE_MAX || value.data[0] != '{')
        return;
    json_t *o = json_loadb((const char *)value.data, value.len, 0, NULL);
    const char *host = json_string_value(json_object_get(o, "host"));
    ret->host = host ? strdup(host) : NULL;
    ret->data = text_of(json_object_get(o, "data"));
    ret->pid = json_integer_value(json_object_get(o, "pid"));
    ret->since_ms = json_integer_value(json_object_get(o, "since"));
    json_decref(o);
}

void group_words_fini(struct group_words *w)
{
    free(w->host);
    free(w->data);
    *w = (struct group_words){0};
}
