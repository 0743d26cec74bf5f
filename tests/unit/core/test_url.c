/* Addresses of members: what etcd takes and what not. */
#include "cases.h"

#include "core/url.h"

static void what_etcd_takes_is_taken(void **state)
{
    static const char *const good[] = {
        "http://127.0.0.1:2380", "https://a.b:1", "http://[::1]:2380", " http://a:1\t", "HTTP://a:1",   "http://a:",
        "http://:2380",          "unix://x",      "unixs:///run/y",    "unix:x",        "http://u@a:1", "http://a:1?q",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!url_is_valid(bytes_str(good[i])))
            fail_msg("refused: '%s'", good[i]);
    }
}

static void what_etcd_refuses_is_refused(void **state)
{
    static const char *const bad[] = {
        "",          "127.0.0.1:2380", "http://a",     "http://a:1/",   "http://a:1/x",  "http:a:1",
        "ftp://a:1", "http//a:1",      "http://a:x",   "http://a:1:2",  "http://::1:2",  "http://a b:1",
        "://a:1",    "http://",        "http://[::1]", "http://a:\x01", "http://[::1:1",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (url_is_valid(bytes_str(bad[i])))
            fail_msg("taken: '%s'", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_etcd_takes_is_taken),
        cmocka_unit_test(what_etcd_refuses_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
