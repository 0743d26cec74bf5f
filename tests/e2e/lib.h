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

static inline tenure_client *open_on(const struct server *s)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(server_url(s), NULL, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static inline void put(tenure_client *c, const char *key, const char *value)
{
    struct tenure_error err = {0};
    no_error(tenure_put(c, S(key), S(value), NULL, NULL, &err), &err);
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
