/* Written and read by jansson; see recipes/cron.c for the part that the engine writes itself. */
#include "lib/cron_words.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define VALUE_MAX ((size_t)1 << 20)

/* An object's text without its braces. */
static char *members(json_t *o, int rc)
{
    char *text = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    size_t len = text ? strlen(text) : 0;
    if (len < 2)
        return text;
    memmove(text, text + 1, len - 2);
    text[len - 2] = 0;
    return text;
}

char *cron_who_new(void)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    json_t *o = json_object(), *name = json_string(host);
    int rc = json_object_set_new(o, "host", name ? name : json_string(""));
    rc |= json_object_set_new(o, "pid", json_integer(getpid()));
    return members(o, rc);
}

char *cron_result_new(int result, const char *text)
{
    json_t *o = json_object();
    int rc = json_object_set_new(o, "result", json_integer(result));
    if (text)
        rc |= json_object_set_new(o, "text", json_string(text));
    return members(o, rc);
}

static int64_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? strdup(s) : NULL;
}

bool cron_words_read(bytes value, struct cron_words *ret)
{
    *ret = (struct cron_words){0};
    if (value.len == 0 || value.len > VALUE_MAX || value.data[0] != '{')
        return false;
    json_t *o = json_loadb((const char *)value.data, value.len, 0, NULL);
    const char *state = json_string_value(json_object_get(o, "state"));
    bool ok = state && (strcmp(state, "done") == 0 || strcmp(state, "claimed") == 0);
    if (ok)
        *ret = (struct cron_words){.attempt = number(o, "attempt"),
                                   .began_ms = number(o, "began"),
                                   .ended_ms = number(o, "ended"),
                                   .token = number(o, "token"),
                                   .result = number(o, "result"),
                                   .pid = number(o, "pid"),
                                   .host = text(o, "host"),
                                   .text = text(o, "text"),
                                   .done = strcmp(state, "done") == 0};
    json_decref(o);
    return ok;
}

void cron_words_fini(struct cron_words *w)
{
    free(w->host);
    free(w->text);
    *w = (struct cron_words){0};
}
