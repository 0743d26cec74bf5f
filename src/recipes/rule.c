/* See rule.h. Keys come from anybody who can write to the store: what is not exactly a permit takes the whole. */
#include "recipes/rule.h"

#include <inttypes.h>
#include <stdio.h>

#define PERMIT "permit."

bool rule_is_valid(const struct rule *r)
{
    if (r->kind != RULE_PERMIT)
        return r->kind == RULE_WHOLE || r->kind == RULE_READ || (r->kind == RULE_CUSTOM && r->wait_for);
    return r->weight >= 1 && r->weight <= r->limit && r->limit <= RULE_LIMIT_MAX;
}

/* Takes a decimal number and the dot behind it off s. 0 = that is not there. */
static int64_t take_number(bytes *s)
{
    int64_t n = 0;
    size_t i = 0;
    while (i < s->len && s->data[i] >= '0' && s->data[i] <= '9' && n <= RULE_LIMIT_MAX)
        n = n * 10 + (s->data[i++] - '0');
    if (i == s->len || s->data[i] != '.' || n > RULE_LIMIT_MAX)
        return 0;
    *s = bytes_of(s->data + i + 1, s->len - i - 1);
    return n;
}

struct rule rule_of(bytes part)
{
    if (bytes_has_prefix(part, bytes_str(RULE_READ_BEGIN)))
        return (struct rule){.kind = RULE_READ};
    if (!bytes_has_prefix(part, bytes_str(PERMIT)))
        return (struct rule){.kind = RULE_WHOLE};
    bytes rest = bytes_of(part.data + strlen(PERMIT), part.len - strlen(PERMIT));
    struct rule r = {.kind = RULE_PERMIT};
    r.weight = take_number(&rest);
    r.limit = take_number(&rest);
    return rule_is_valid(&r) ? r : (struct rule){.kind = RULE_WHOLE};
}

bool rule_is_shared(bytes value)
{
    return bytes_has_prefix(value, bytes_str(RULE_SHARED_VALUE));
}

void rule_tag(const struct rule *r, char out[RULE_TAG_MAX])
{
    out[0] = 0;
    if (r->kind == RULE_READ)
        snprintf(out, RULE_TAG_MAX, RULE_READ_BEGIN "%" PRIx32 ".", r->number);
    else if (r->kind == RULE_PERMIT)
        snprintf(out, RULE_TAG_MAX, PERMIT "%" PRId64 ".%" PRId64 ".%" PRIx32 ".", r->weight, r->limit, r->number);
    else if (r->kind == RULE_CUSTOM)
        snprintf(out, RULE_TAG_MAX, "custom.%" PRIx32 ".", r->number);
}

bool rule_same(const struct rule *a, const struct rule *b)
{
    return a->kind == b->kind && a->weight == b->weight && a->limit == b->limit;
}
