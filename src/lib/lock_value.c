/* Written and read by jansson. The values come from anybody who can write to the store, so a reader believes nothing: not
 * that it is JSON, not that it is small, not that a field has the right kind. */
#include "lib/lock_value.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/loop.h"

#define VALUE_MAX   4096 /* of a value that is looked into */
#define PURPOSE_MAX 512

/* The part of s that is UTF-8 from its beginning on, at most max bytes. */
static json_t *text(const char *s, size_t max)
{
    bytes in = bytes_str(s);
    size_t len = 0;
    while (len < in.len) {
        size_t n = bytes_utf8_char(bytes_of(in.data + len, in.len - len));
        if (n == 0 || len + n > max)
            break;
        len += n;
    }
    return json_stringn(s ? s : "", len);
}

/* In the order in which they are set: the mark of who shares is first. */
static int set_share(json_t *o, const struct rule *rule, bool shared)
{
    int rc = 0;
    if (shared)
        rc |= json_object_set_new(o, "tenure", json_string("shared"));
    if (shared || rule->kind == RULE_READ)
        rc |= json_object_set_new(o, "mode", json_string("read"));
    if (rule->kind != RULE_PERMIT)
        return rc;
    rc |= json_object_set_new(o, "mode", json_string("permit"));
    rc |= json_object_set_new(o, "weight", json_integer(rule->weight));
    rc |= json_object_set_new(o, "limit", json_integer(rule->limit));
    return rc;
}

static int set_process(json_t *o, int64_t since_ms)
{
    struct process p = process_self();
    int rc = json_object_set_new(o, "pid", json_integer(p.pid));
    rc |= json_object_set_new(o, "since", json_integer(since_ms));
    rc |= json_object_set_new(o, "boot", json_string(p.boot));
    rc |= json_object_set_new(o, "spaces", json_string(p.spaces));
    rc |= json_object_set_new(o, "start", json_integer(p.start));
    return rc;
}

/* Takes o, which holds what comes first; rc: whether that went well. */
static char *with_words(json_t *o, int rc, const char *purpose, int64_t since_ms)
{
    char host[256] = "";
    char *out = NULL;
    gethostname(host, sizeof host - 1);
    rc |= json_object_set_new(o, "host", text(host, sizeof host));
    rc |= set_process(o, since_ms);
    rc |= json_object_set_new(o, "purpose", text(purpose, PURPOSE_MAX));
    if (rc == 0)
        out = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return out;
}

char *lock_value_new(const char *purpose, int64_t since_ms)
{
    static const struct rule whole;
    return lock_value_new_share(purpose, since_ms, &whole, false);
}

char *lock_value_new_share(const char *purpose, int64_t since_ms, const struct rule *rule, bool shared)
{
    json_t *o = json_object();
    return with_words(o, set_share(o, rule, shared), purpose, since_ms);
}

char *lock_value_new_mark(const char *purpose, int64_t since_ms, uint64_t mark)
{
    json_t *o = json_object();
    return with_words(o, json_object_set_new(o, "mark", json_integer((json_int_t)mark)), purpose, since_ms);
}

char *lock_value_new_custom(const char *purpose, int64_t since_ms, const char *says)
{
    json_t *o = json_object();
    return with_words(o, json_object_set_new(o, "says", text(says, PURPOSE_MAX)), purpose, since_ms);
}

static char *string_at(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? strdup(s) : NULL;
}

static void read_process(const json_t *o, struct process *ret)
{
    const char *boot = json_string_value(json_object_get(o, "boot"));
    const char *spaces = json_string_value(json_object_get(o, "spaces"));
    snprintf(ret->boot, sizeof ret->boot, "%s", boot ? boot : "");
    snprintf(ret->spaces, sizeof ret->spaces, "%s", spaces ? spaces : "");
    ret->pid = json_integer_value(json_object_get(o, "pid"));
    ret->start = json_integer_value(json_object_get(o, "start"));
}

void lock_value_read(bytes value, struct lock_words *ret)
{
    *ret = (struct lock_words){0};
    if (value.len == 0 || value.len > VALUE_MAX || value.data[0] != '{')
        return;
    json_t *o = json_loadb((const char *)value.data, value.len, 0, NULL);
    ret->host = string_at(o, "host");
    ret->purpose = string_at(o, "purpose");
    ret->says = string_at(o, "says");
    ret->pid = json_integer_value(json_object_get(o, "pid"));
    ret->since_ms = json_integer_value(json_object_get(o, "since"));
    read_process(o, &ret->process);
    json_decref(o);
}

bool lock_value_is_gone(void *user, bytes value)
{
    struct lock_words words;
    (void)user;
    lock_value_read(value, &words);
    bool gone = process_is_gone(&words.process);
    lock_words_fini(&words);
    return gone;
}

void lock_words_fini(struct lock_words *w)
{
    free(w->host);
    free(w->purpose);
    free(w->says);
    *w = (struct lock_words){0};
}
