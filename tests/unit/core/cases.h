/* What the tests of core share: cmocka with what it needs, and a fresh world with one client for each case. */
#ifndef TESTS_UNIT_CORE_CASES_H
#define TESTS_UNIT_CORE_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core_fixture.h"

struct here {
    struct world *w;
    struct client *c;
};

static struct here here;

static inline int setup(void **state)
{
    here.w = world_new(NULL);
    here.c = client_new(here.w);
    *state = &here;
    return 0;
}

/* For cases that bring a world of their own. */
static inline void restart(const struct world_options *o)
{
    world_free(here.w);
    here.w = world_new(o);
    here.c = client_new(here.w);
}

static inline int teardown(void **state)
{
    (void)state;
    world_free(here.w);
    return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Puts and waits until it is answered. */
static inline void put(const char *key, const char *value)
{
    struct call *call = client_put(here.c, key, value);
    world_settle(here.w);
    assert_ok(call);
}

static inline void grant(tn_lease id, int64_t ttl_s)
{
    struct call *call = client_grant(here.c, id, ttl_s);
    world_settle(here.w);
    assert_ok(call);
}

static inline void put_leased(const char *key, tn_lease lease)
{
    struct call *call = client_put_req(here.c, &(struct put_req){.key = bytes_str(key), .lease = lease});
    world_settle(here.w);
    assert_ok(call);
}

static inline int64_t count(const char *key, const char *range_end)
{
    struct call *call = client_range(here.c, key, range_end);
    world_settle(here.w);
    return got_range(call).count;
}

#define assert_bytes(b, text) assert_true(bytes_equal(b, bytes_str(text)))

#endif
