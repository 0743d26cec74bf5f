/* See token.h. The number finds the token, the letters prove it: they are compared in constant time, so that no part of
 * them can be told from how long the answer takes.
 */
#include "core/token.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/secret.h"

void tokens_init(struct tokens *set, int64_t ttl_ms, size_t max)
{
    *set = (struct tokens){.ttl_ms = ttl_ms, .max = max};
    map_init(&set->by_number);
    list_init(&set->by_use);
}

void token_remove(struct tokens *set, struct token *t)
{
    map_remove(&set->by_number, t->number);
    list_remove(&t->by_use);
    explicit_bzero(t->text, sizeof t->text);
    free(t);
}

static struct token *oldest(const struct tokens *set)
{
    return list_empty(&set->by_use) ? NULL : LIST_ENTRY(set->by_use.next, struct token, by_use);
}

void tokens_fini(struct tokens *set)
{
    for (struct token *t; (t = oldest(set));)
        token_remove(set, t);
    map_fini(&set->by_number);
}

static void write_text(struct token *t, const char letters[TOKEN_LETTERS])
{
    char number[24];
    int len = snprintf(number, sizeof number, ".%llu", (unsigned long long)t->number);
    memcpy(t->text, letters, TOKEN_LETTERS);
    memcpy(t->text + TOKEN_LETTERS, number, (size_t)len);
    t->text_len = TOKEN_LETTERS + (size_t)len;
}

struct token *token_add(struct tokens *set, bytes name, const char letters[TOKEN_LETTERS], tn_ms now)
{
    struct token *t = calloc(1, sizeof *t + name.len);
    if (!t)
        return NULL;
    t->number = set->last + 1;
    if (map_put(&set->by_number, t->number, t) < 0) {
        free(t);
        return NULL;
    }
    set->last = t->number;
    t->expires = now + set->ttl_ms;
    t->name_len = name.len;
    if (name.len)
        memcpy(t->name, name.data, name.len);
    write_text(t, letters);
    list_push_back(&set->by_use, &t->by_use);
    if (set->by_number.len > set->max)
        token_remove(set, oldest(set));
    return t;
}

/* False: not of the form. */
static bool read_number(bytes text, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.len <= TOKEN_LETTERS + 1 || text.len > TOKEN_TEXT_MAX || text.data[TOKEN_LETTERS] != '.')
        return false;
    for (size_t i = TOKEN_LETTERS + 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret = n;
    return true;
}

struct token *token_use(struct tokens *set, bytes text, tn_ms now)
{
    uint64_t number;
    struct token *t = read_number(text, &number) ? map_get(&set->by_number, number) : NULL;
    if (!t || !secret_equal(bytes_of(t->text, t->text_len), text) || t->expires <= now)
        return NULL;
    t->expires = now + set->ttl_ms;
    list_remove(&t->by_use);
    list_push_back(&set->by_use, &t->by_use);
    return t;
}

void tokens_expire(struct tokens *set, tn_ms now)
{
    for (struct token *t; (t = oldest(set)) && t->expires <= now;)
        token_remove(set, t);
}
