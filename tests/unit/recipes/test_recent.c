/* The newest requests in a mark's value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/recent.h"

static struct recent request(unsigned n)
{
    struct recent r = {0};
    snprintf(r.id, sizeof r.id, "%016x", n);
    return r;
}

/* A mark's value in memory of its own, so that a read behind its end is noticed. */
struct mark {
    char text[RECENT_VALUE_MAX];
    bytes value;
};

static void send(struct mark *m, struct recent *r)
{
    char out[RECENT_VALUE_MAX];
    bytes value = recent_send(r, m->value, out);
    memcpy(m->text, out, value.len);
    m->value = bytes_of(m->text, value.len);
}

static void a_request_is_found_behind_fifteen_others(void **state)
{
    (void)state;
    struct mark m = {0};
    struct recent first = request(1);
    assert_true(recent_covers(&first, m.value));
    send(&m, &first);
    assert_int_equal(m.value.len, RECENT_ID_LEN);
    for (unsigned n = 2; n <= RECENT_MAX; n++) {
        assert_true(recent_done(&first, m.value));
        struct recent other = request(n);
        send(&m, &other);
        assert_true(recent_done(&other, m.value));
    }
    assert_true(recent_done(&first, m.value));
    struct recent last = request(17);
    send(&m, &last);
    assert_false(recent_done(&first, m.value));
    assert_false(recent_covers(&first, m.value));
    assert_true(recent_covers(&last, m.value));
}

static void what_was_sent_and_is_not_there_was_not_done(void **state)
{
    (void)state;
    struct mark m = {0}, lost = {0};
    struct recent before = request(1), mine = request(2);
    send(&m, &before);
    lost = m;
    lost.value.data = (uint8_t *)lost.text;
    send(&lost, &mine); /* it does not get there */
    assert_false(recent_done(&mine, m.value));
    assert_true(recent_covers(&mine, m.value));
    for (unsigned n = 3; n < 3 + RECENT_MAX; n++) {
        assert_true(recent_covers(&mine, m.value));
        struct recent other = request(n);
        send(&m, &other);
    }
    assert_false(recent_covers(&mine, m.value)); /* `before` is gone: mine may have been behind it */
}

static void what_others_wrote_is_no_id(void **state)
{
    (void)state;
    static const char *const values[] = {"", "x", "0000000000000001x", "000000000000000", " 000000000000000"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct mark m = {.value = bytes_of(values[i], strlen(values[i]))};
        struct recent mine = request(7), other = request(8);
        assert_false(recent_done(&mine, m.value));
        send(&m, &mine);
        assert_true(recent_done(&mine, m.value));
        send(&m, &other);
        assert_true(recent_done(&mine, m.value));
        assert_true(recent_done(&other, m.value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_found_behind_fifteen_others),
        cmocka_unit_test(what_was_sent_and_is_not_there_was_not_done),
        cmocka_unit_test(what_others_wrote_is_no_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
