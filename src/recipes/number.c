/* See number.h. */
#include "recipes/number.h"

#include <inttypes.h>
#include <stdio.h>

#include "recipes/update.h"

bytes number_write(int64_t n, char out[NUMBER_TEXT_MAX])
{
    return bytes_of(out, (size_t)snprintf(out, NUMBER_TEXT_MAX, "%" PRId64, n));
}

/* Digit by digit below zero, where there is one number more. */
static bool parse(bytes text, int64_t *ret)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    int64_t n = 0;
    for (size_t i = negative; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_sub_overflow(n, text.data[i] - '0', &n))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, n, &n))
        return false;
    *ret = n;
    return true;
}

int number_read(const struct kv *kv, int64_t *ret, struct tenure_error *err)
{
    char text[NUMBER_TEXT_MAX];
    int64_t n = 0;
    bool ok = kv->version == 0 || (kv->value.len < NUMBER_TEXT_MAX && parse(kv->value, &n) &&
                                   bytes_equal(number_write(n, text), kv->value));
    if (!ok)
        return error_set(err, TENURE_ECORRUPT, "what %.*s holds is no whole number",
                         kv->key.len < 100 ? (int)kv->key.len : 100, (const char *)kv->key.data);
    *ret = n;
    return 0;
}

static int too_far(struct tenure_error *err)
{
    return error_set(err, TENURE_ELIMIT, "the number would not fit into 64 bits");
}

/* What is to be written, into *ret. */
static int change(struct number_change *c, int64_t is, int64_t *ret, struct tenure_error *err)
{
    switch (c->kind) {
    case NUMBER_GET:
        c->result = is;
        return 0;
    case NUMBER_ADD:
        if (__builtin_add_overflow(is, c->number, ret))
            return too_far(err);
        c->result = *ret;
        return 0;
    case NUMBER_TAKE:
        is = is > c->expected ? is : c->expected;
        if (is < 0)
            return too_far(err);
        c->taken = c->or_fewer && c->number > INT64_MAX - is ? INT64_MAX - is : c->number;
        if (c->taken == 0 || __builtin_add_overflow(is, c->taken, ret))
            return too_far(err);
        c->result = is + 1;
        return 0;
    case NUMBER_CAS:
        c->result = is;
        if (is != c->expected)
            return error_set(err, TENURE_ECONFLICT, "it is %" PRId64 ", not %" PRId64, is, c->expected);
        break;
    case NUMBER_SET:
        break;
    }
    *ret = c->result = c->number;
    return 0;
}

int number_compute(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err)
{
    struct number_change *c = owner;
    int64_t is = 0, shall = 0;
    int rc = c->kind == NUMBER_SET ? 0 : number_read(kv, &is, err);
    rc = rc ? rc : change(c, is, &shall, err);
    if (rc || c->kind == NUMBER_GET)
        return rc ? rc : UPDATE_LEAVE;
    *ret_value = number_write(shall, c->text);
    return UPDATE_PUT;
}
