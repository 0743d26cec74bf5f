/* What the tests of the library on real servers share: cmocka, a handle on the test's server, events awaited across
 * threads. */
#ifndef TESTS_E2E_LIB_H
#define TESTS_E2E_LIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenure/tenure.h>

#include "server_fixture.h"

#define S(text) tenure_str(text)

/* The deadline's bound: a call returns at most so long after it. */
#define LATE_MS 100

static inline void no_error(int rc, const struct tenure_error *err)
{
    if (rc != 0)
        fail_msg("%d: %s", rc, err->text);
}

/* Faults come by themselves while the test runs (server_fixture.h). */
static inline bool has_faults(void)
{
    return getenv("TEST_FAULTS") != NULL;
}

static inline tenure_client *open_on(const struct server *s)
{
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o,
                               .call_timeout_ms = has_faults() ? 15000 : 0}; /* a fault and an election */
    tenure_client *c = tenure_open(server_url(s), &o, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

/* Once more where nobody knows whether it was applied: members die. */
static inline void put(tenure_client *c, const char *key, const char *value)
{
    struct tenure_error err = {0};
    int rc = tenure_put(c, S(key), S(value), NULL, NULL, &err);
    for (int i = 0; i < 4 && rc != 0 && err.applied == TENURE_APPLIED_MAYBE && has_faults(); i++)
        rc = tenure_put(c, S(key), S(value), NULL, NULL, &err);
    no_error(rc, &err);
}

/* The value of a key, malloc'd; NULL where there is none. */
static inline char *get(tenure_client *c, const char *key)
{
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    no_error(tenure_get(c, S(key), NULL, &r, &err), &err);
    char *value = r->n_kvs ? strdup(r->kvs[0].value.data) : NULL;
    tenure_get_free(r);
    return value;
}

/* Nearly what a server takes in one request (1.5 MiB): a key, its marks and the words around it have room beside it. */
enum { LARGEST_VALUE = 1536 * 1024 - 2048 };
/* Bytes that differ from place to place, malloc'd; which begins them. */
static inline struct tenure_bytes large_value(char which, size_t len)
{
    char *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 31 + i / 251);
    data[0] = which;
    return (struct tenure_bytes){data, len};
}
static inline bool is_same(struct tenure_bytes a, struct tenure_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static inline bool is_set(void *flag)
{
    return atomic_load((atomic_int *)flag) != 0;
}
/* Waits for a callback on another thread to set it. */
static inline void await_flag(atomic_int *flag)
{
    assert_true(test_await(is_set, flag));
}

/* The server of a group of tests, started once. */
static inline int setup_server(void **state)
{
    *state = server_start();
    return 0;
}
static inline int teardown_server(void **state)
{
    server_free(*state);
    return 0;
}

#endif
