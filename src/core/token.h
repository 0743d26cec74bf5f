/* Simple tokens, as etcd's: 16 letters, a dot, a number. Kept in memory alone: a restart ends them all, and so does in
 * effect what their user's login depends on (token.c). Pure. */
#ifndef CORE_TOKEN_H
#define CORE_TOKEN_H

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

#define TOKEN_LETTERS  16
#define TOKEN_TEXT_MAX (TOKEN_LETTERS + 1 + 20)

/* Owner: the set. */
struct token {
    struct list by_use; /* least recently used first: all live equally long from their last use */
    uint64_t number;
    tn_ms expires;
    tn_seq login;         /* of its user, when it was given out */
    tn_seq enabled_since; /* of authentication, then */
    size_t text_len;
    char text[TOKEN_TEXT_MAX];
    size_t name_len;
    uint8_t name[];
};

struct tokens {
    struct map by_number;
    struct list by_use;
    uint64_t last;
    int64_t ttl_ms;
    size_t max; /* at it the least recently used one goes */
};

void tokens_init(struct tokens *set, int64_t ttl_ms, size_t max);
void tokens_fini(struct tokens *set);
/* A new token for that user; letters: random. NULL when out of memory. */
struct token *token_add(struct tokens *set, bytes name, const char letters[TOKEN_LETTERS], tn_ms now) MUST_USE;
/* The one with that text, for whom the time begins anew; NULL: there is none, or its time is over. */
struct token *token_use(struct tokens *set, bytes text, tn_ms now);
void token_remove(struct tokens *set, struct token *t);
/* Forgets those whose time is over. */
void tokens_expire(struct tokens *set, tn_ms now);

static inline bytes token_name(const struct token *t)
{
    return bytes_of(t->name, t->name_len);
}

#endif
