/* What the tests of the test kit share: a kit, a list of what callbacks told. */
#ifndef KIT_FIXTURE_H
#define KIT_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <tenure/tenure.h>
#include <tenure/testkit.h>

#define TOLD_MAX 65536

/* What callbacks told, in order: "lost acquired …". */
struct told {
    char text[TOLD_MAX];
    size_t len;
};

static inline void tell(void *told, const char *word)
{
    struct told *t = told;
    int n = snprintf(t->text + t->len, sizeof t->text - t->len, "%s%s", t->len ? " " : "", word);
    t->len += (size_t)n < sizeof t->text - t->len ? (size_t)n : 0;
}

static inline tenure_testkit *kit_new(uint64_t seed)
{
    struct tenure_testkit_options o = {.size = sizeof o, .seed = seed};
    struct tenure_error err = {0};
    tenure_testkit *kit = tenure_testkit_new(&o, &err);
    assert_non_null(kit);
    return kit;
}

static inline tenure_client *client_of(tenure_testkit *kit)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_testkit_client(kit, NULL, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static inline int put(tenure_client *c, const char *key, const char *value, struct tenure_error *err)
{
    return tenure_put(c, tenure_str(key), tenure_str(value), NULL, NULL, err);
}

/* The value in the store, "" for none. */
static inline const char *value_in(tenure_testkit *kit, const char *key)
{
    static char out[256];
    struct tenure_get_result *r = NULL;
    assert_int_equal(tenure_testkit_get(kit, tenure_str(key), NULL, &r, NULL), 0);
    out[0] = 0;
    if (r->n_kvs)
        snprintf(out, sizeof out, "%.*s", (int)r->kvs[0].value.len, (const char *)r->kvs[0].value.data);
    tenure_get_free(r);
    return out;
}

static inline size_t keys_below(tenure_testkit *kit, const char *prefix)
{
    struct tenure_get_options o = {.size = sizeof o, .prefix = true};
    struct tenure_get_result *r = NULL;
    assert_int_equal(tenure_testkit_get(kit, tenure_str(prefix), &o, &r, NULL), 0);
    size_t n = r->n_kvs;
    tenure_get_free(r);
    return n;
}

#endif
