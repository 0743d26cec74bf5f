/* The two engines joined: calls from the first byte to on_close, however the bytes are cut. */
#include "pair.h"

static void a_unary_call_is_answered(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, NULL);
    p.server.when_message = echo_message;
    p.server.when_half_close = answer_ok;

    struct h2_stream *st = pair_call(&p, "/svc/Call");
    pair_send(st, "hello");
    assert_int_equal(h2_half_close(st), 0);
    pair_settle(&p);

    side_expect(&p.server, "request 1 /svc/Call\nmessage 1 \"hello\"\nhalf-close 1\nclose 1\n");
    side_expect(&p.client, "message 1 \"hello\"\nstatus 1 OK \"\"\nclose 1\n");
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unary_call_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
