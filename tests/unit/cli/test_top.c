/* The numbers of `tenure top`, and its picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/top.h"

static void numbers_are_found_by_their_names(void **state)
{
    struct top_numbers n;
    (void)state;
    top_metrics_of("HTTP/1.0 200 OK\r\n\r\n# HELP etcd_mvcc_put_total Puts.\n# TYPE etcd_mvcc_put_total counter\n"
                   "etcd_mvcc_put_total 12\netcd_mvcc_put_totals 99\netcd_mvcc_range_total 1.25e+06\n"
                   "etcd_mvcc_delete_total -3\netcd_debugging_mvcc_events_total NaN\nx{a=\"b\"} 4",
                   &n);
    assert_int_equal(n.puts, 12);
    assert_int_equal(n.ranges, 1250000);
    assert_int_equal(n.deletes, -1);
    assert_int_equal(n.events, -1);
    assert_int_equal(n.watchers, -1);
    top_metrics_of("etcd_mvcc_put_total", &n);
    assert_int_equal(n.puts, -1);
    top_metrics_of("etcd_debugging_mvcc_watcher_total 7", &n);
    assert_int_equal(n.watchers, 7);
}

static size_t place(const struct buf *text, const char *what)
{
    const uint8_t *at = memmem(text->data, text->len, what, strlen(what));
    assert_non_null(at);
    return (size_t)(at - text->data);
}

static void queues_stand_in_the_order_that_is_wanted(void **state)
{
    struct buf text;
    (void)state;
    json_t *d =
        json_loads("{\"at_ms\":0,\"revision\":7,\"writes\":1.5,\"n_leases\":2,\"servers\":[],\"elections\":[],"
                   "\"locks\":[{\"name\":\"busy\",\"holders\":1,\"waiting\":9,\"since_ms\":500},"
                   "{\"name\":\"aged\",\"holders\":1,\"waiting\":0,\"since_ms\":100}],"
                   "\"leases\":[{\"lease\":\"b\",\"ttl\":60},{\"lease\":\"a\",\"ttl\":5}],\"notes\":[\"locks: more\"]}",
                   0, NULL);
    assert_non_null(d);
    buf_init(&text);
    top_draw(d, TOP_BY_WAITING, 0, false, &text);
    assert_true(place(&text, "\nbusy") < place(&text, "\naged"));
    assert_true(place(&text, "\na ") < place(&text, "\nb "));
    place(&text, "revision 7  1.5 writes/s  0 elections  2 locks  2 leases\n");
    place(&text, "\nlocks: more\n");
    buf_reset(&text);
    top_draw(d, TOP_BY_TIME, 0, false, &text);
    assert_true(place(&text, "\naged") < place(&text, "\nbusy"));
    buf_reset(&text);
    top_draw(d, TOP_BY_NAME, 20, true, &text);
    assert_true(place(&text, "\naged") < place(&text, "\nbusy"));
    assert_int_equal(buf_error(&text), 0);
    buf_fini(&text);
    json_decref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_found_by_their_names),
        cmocka_unit_test(queues_stand_in_the_order_that_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
