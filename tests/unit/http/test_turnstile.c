/* The turnstile: smaller tokens are refused, equal ones go in beside each other, a greater one waits until those inside have left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "http/turnstile.h"

#define ORDERS bytes_str("orders")

static int64_t seen;

static int enter(struct turnstile *t, bytes name, int64_t token, struct turnstile_ticket *k)
{
    struct tenure_error err;
    turnstile_ticket_init(k);
    return turnstile_enter(t, name, token, k, &seen, &err);
}

static struct turnstile *fresh(void)
{
    struct turnstile *t = turnstile_new(&(struct turnstile_config){0});
    assert_non_null(t);
    return t;
}

static void smaller_tokens_are_refused_and_equal_ones_are_not(void **state)
{
    (void)state;
    struct turnstile *t = fresh();
    struct turnstile_ticket a, b, c;
    assert_int_equal(enter(t, ORDERS, 5, &a), 0);
    assert_int_equal(a.state, TURNSTILE_INSIDE);
    assert_int_equal(enter(t, ORDERS, 5, &b), 0);
    assert_int_equal(b.state, TURNSTILE_INSIDE);
    assert_int_equal(enter(t, ORDERS, 4, &c), TENURE_EFENCED);
    assert_int_equal(seen, 5);
    assert_int_equal(c.state, TURNSTILE_NONE);
    turnstile_leave(t, &a);
    turnstile_leave(t, &b);
    assert_int_equal(enter(t, ORDERS, 4, &c), TENURE_EFENCED); /* also when nobody is inside */
    assert_int_equal(turnstile_seen(t, ORDERS), 5);
    turnstile_free(t);
}

static void resources_do_not_know_each_other(void **state)
{
    (void)state;
    struct turnstile *t = fresh();
    struct turnstile_ticket a, b;
    assert_int_equal(enter(t, ORDERS, 5, &a), 0);
    assert_int_equal(enter(t, bytes_str("stock"), 1, &b), 0);
    assert_int_equal(b.state, TURNSTILE_INSIDE);
    turnstile_leave(t, &a);
    turnstile_leave(t, &b);
    turnstile_free(t);
}

static void a_greater_one_waits_for_all_that_are_inside_and_shuts_the_door_at_once(void **state)
{
    (void)state;
    struct turnstile *t = fresh();
    struct turnstile_ticket a, b, c, d;
    assert_int_equal(enter(t, ORDERS, 5, &a), 0);
    assert_int_equal(enter(t, ORDERS, 5, &b), 0);
    assert_int_equal(enter(t, ORDERS, 6, &c), 0);
    assert_int_equal(c.state, TURNSTILE_WAITING);
    assert_int_equal(enter(t, ORDERS, 5, &d), TENURE_EFENCED);
    turnstile_leave(t, &a);
    assert_null(turnstile_next(t));
    turnstile_leave(t, &b);
    assert_ptr_equal(turnstile_next(t), &c);
    assert_int_equal(c.state, TURNSTILE_INSIDE);
    assert_null(turnstile_next(t));
    turnstile_leave(t, &c);
    turnstile_free(t);
}

static void of_those_who_wait_the_greatest_goes_in_with_its_equals(void **state)
{
    (void)state;
    struct turnstile *t = fresh();
    struct turnstile_ticket a, w[4];
    static const int64_t tokens[] = {6, 8, 7, 8};
    assert_int_equal(enter(t, ORDERS, 5, &a), 0);
    assert_int_equal(enter(t, ORDERS, tokens[0], &w[0]), 0);
    assert_int_equal(enter(t, ORDERS, tokens[1], &w[1]), 0);
    assert_int_equal(enter(t, ORDERS, tokens[2], &w[2]), TENURE_EFENCED);
    assert_int_equal(enter(t, ORDERS, tokens[3], &w[3]), 0);
    turnstile_leave(t, &a);
    assert_ptr_equal(turnstile_next(t), &w[0]);
    assert_int_equal(w[0].state, TURNSTILE_REFUSED);
    assert_string_equal(turnstile_name(&w[0]), "orders");
    assert_int_equal(turnstile_ticket_seen(&w[0]), 8);
    turnstile_leave(t, &w[0]);
    assert_ptr_equal(turnstile_next(t), &w[1]);
    assert_ptr_equal(turnstile_next(t), &w[3]);
    assert_int_equal(w[1].state, TURNSTILE_INSIDE);
    assert_int_equal(w[3].state, TURNSTILE_INSIDE);
    turnstile_leave(t, &w[1]);
    turnstile_leave(t, &w[3]);
    turnstile_free(t);
}

static void who_goes_away_while_he_waits_leaves_nothing(void **state)
{
    (void)state;
    struct turnstile *t = fresh();
    struct turnstile_ticket a, b, c;
    assert_int_equal(enter(t, ORDERS, 5, &a), 0);
    assert_int_equal(enter(t, ORDERS, 6, &b), 0);
    turnstile_leave(t, &b);
    turnstile_leave(t, &a);
    assert_null(turnstile_next(t));
    assert_int_equal(enter(t, ORDERS, 5, &c), TENURE_EFENCED); /* 6 was there */
    assert_int_equal(enter(t, ORDERS, 6, &c), 0);
    assert_int_equal(enter(t, ORDERS, 7, &a), 0);
    turnstile_leave(t, &c);
    turnstile_leave(t, &a); /* it is ready, and nobody has looked yet */
    assert_null(turnstile_next(t));
    turnstile_free(t);
}

/* ---- what is kept ---- */

struct disk {
    int64_t token;
    int kept, fails;
};

static int load(void *user, const char *resource, int64_t *ret, struct tenure_error *err)
{
    struct disk *d = user;
    if (d->fails)
        return error_set(err, TENURE_EIO, "%s cannot be read", resource);
    *ret = d->token;
    return 0;
}

static int keep(void *user, const char *resource, int64_t token, struct tenure_error *err)
{
    struct disk *d = user;
    if (d->fails)
        return error_set(err, TENURE_ENOSPACE, "%s cannot be kept", resource);
    d->kept++;
    d->token = token;
    return 0;
}

static void only_what_is_kept_goes_in_and_it_is_known_after_a_restart(void **state)
{
    (void)state;
    struct disk d = {0};
    struct turnstile_config config = {.load = load, .keep = keep, .user = &d};
    struct turnstile *t = turnstile_new(&config);
    struct turnstile_ticket a, b;
    assert_int_equal(enter(t, ORDERS, 5, &a), 0);
    assert_int_equal(enter(t, ORDERS, 5, &b), 0);
    assert_int_equal(d.kept, 1); /* an equal one costs nothing */
    turnstile_leave(t, &a);
    turnstile_leave(t, &b);
    d.fails = 1;
    assert_int_equal(enter(t, ORDERS, 6, &a), TENURE_ENOSPACE);
    assert_int_equal(enter(t, ORDERS, 5, &a), 0); /* 6 never was there */
    turnstile_leave(t, &a);
    turnstile_free(t);
    t = turnstile_new(&config);
    assert_int_equal(enter(t, ORDERS, 9, &a), TENURE_EIO);
    d.fails = 0;
    assert_int_equal(enter(t, ORDERS, 4, &a), TENURE_EFENCED);
    turnstile_free(t);
}

static void names_and_tokens_have_bounds(void **state)
{
    (void)state;
    struct turnstile *t = turnstile_new(&(struct turnstile_config){.resources_max = 3});
    struct turnstile_ticket k;
    char name[TURNSTILE_NAME_MAX + 1];
    memset(name, 'x', sizeof name);
    assert_int_equal(enter(t, ORDERS, 0, &k), TENURE_EINVALID);
    assert_int_equal(enter(t, ORDERS, -1, &k), TENURE_EINVALID);
    assert_int_equal(enter(t, bytes_str(""), 1, &k), TENURE_EINVALID);
    assert_int_equal(enter(t, bytes_of(name, sizeof name), 1, &k), TENURE_EINVALID);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "r%d", i);
        assert_int_equal(enter(t, bytes_str(name), 1, &k), i < 3 ? 0 : TENURE_ELIMIT);
        turnstile_leave(t, &k);
    }
    turnstile_free(t);
    turnstile_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smaller_tokens_are_refused_and_equal_ones_are_not),
        cmocka_unit_test(resources_do_not_know_each_other),
        cmocka_unit_test(a_greater_one_waits_for_all_that_are_inside_and_shuts_the_door_at_once),
        cmocka_unit_test(of_those_who_wait_the_greatest_goes_in_with_its_equals),
        cmocka_unit_test(who_goes_away_while_he_waits_leaves_nothing),
        cmocka_unit_test(only_what_is_kept_goes_in_and_it_is_known_after_a_restart),
        cmocka_unit_test(names_and_tokens_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
