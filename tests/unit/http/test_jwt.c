/* The text of signed tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "http/base64.h"
#include "http/jwt.h"
#include "tenure/error.h"

static struct arena a;

static int begin(void **state)
{
    (void)state;
    arena_init(&a, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_fini(&a);
    return 0;
}

static void what_was_put_together_comes_apart_again(void **state)
{
    (void)state;
    struct jwt_claims claims = {bytes_str("z\"\xc3\xbc\\"), 12}, seen;
    struct jwt jwt;
    struct buf b;
    buf_init(&b);
    jwt_begin("RS256", &claims, 1700000300, &b);
    size_t len = b.len;
    jwt_end(bytes_of("\xfb\xff\xfe", 3), &b);
    assert_int_equal(buf_error(&b), 0);
    assert_memory_equal(b.data, "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.", 37); /* what golang-jwt writes */
    assert_memory_equal(b.data + len, ".-__-", 5);
    assert_int_equal(jwt_split(buf_bytes(&b), &a, &jwt), 0);
    assert_true(bytes_equal(jwt.alg, bytes_str("RS256")));
    assert_true(bytes_equal(jwt.signed_by, bytes_of(b.data, len)));
    assert_true(bytes_equal(jwt.signature, bytes_of("\xfb\xff\xfe", 3)));
    assert_int_equal(jwt_claims(jwt.claims, 1700000299, &a, &seen), 0);
    assert_true(bytes_equal(seen.username, claims.username));
    assert_int_equal(seen.revision, 12);
    assert_int_equal(jwt_claims(jwt.claims, 1700000300, &a, &seen), TENURE_EDENIED);
    buf_fini(&b);
}

static void a_token_of_golang_jwt_is_read(void **state)
{
    (void)state;
    /* The example of RFC 7515, appendix A.1: line ends within its JSON, other claims than ours. */
    bytes token =
        bytes_str("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
                  "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    struct jwt jwt;
    struct jwt_claims seen;
    assert_int_equal(jwt_split(token, &a, &jwt), 0);
    assert_true(bytes_equal(jwt.alg, bytes_str("HS256")));
    assert_int_equal(jwt.signature.len, 32);
    assert_int_equal(jwt_claims(jwt.claims, 1300819379, &a, &seen), TENURE_EINVALID); /* no user */
    assert_int_equal(jwt_claims(jwt.claims, 1300819380, &a, &seen), TENURE_EDENIED);
}

static void claims_are_read_as_go_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int rc;
        uint64_t revision;
    } cases[] = {
        {"{\"username\":\"u\",\"revision\":3}", 0, 3},
        {"{\"username\":\"u\",\"revision\":3.0}", 0, 3},
        {"{\"username\":\"u\",\"revision\":3.9,\"exp\":100.5}", 0, 3},
        {"{\"revision\":1,\"username\":\"u\",\"revision\":3}", 0, 3}, /* the last one counts */
        {"{\"username\":\"u\",\"revision\":-3}", 0, 0},
        {"{\"username\":\"u\",\"revision\":\"3\"}", TENURE_EINVALID, 0},
        {"{\"username\":\"u\"}", TENURE_EINVALID, 0},
        {"{\"username\":7,\"revision\":3}", TENURE_EINVALID, 0},
        {"{\"revision\":3}", TENURE_EINVALID, 0},
        {"{\"username\":\"u\",\"revision\":3,\"exp\":99}", TENURE_EDENIED, 0},
        {"{\"username\":\"u\",\"revision\":3,\"exp\":\"soon\"}", TENURE_EINVALID, 0},
        {"{\"username\":\"u\",\"revision\":3,\"nbf\":100}", TENURE_EDENIED, 0},
        {"{\"username\":\"u\",\"revision\":3,\"nbf\":99,\"exp\":100}", 0, 3},
        {"{\"a\":{\"username\":\"x\"},\"username\":\"u\",\"revision\":3}", 0, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct jwt_claims seen = {{NULL, 0}, 0};
        if (jwt_claims(bytes_str(cases[i].json), 99, &a, &seen) != cases[i].rc || seen.revision != cases[i].revision) {
            if (cases[i].rc == 0)
                fail_msg("%s", cases[i].json);
            assert_int_equal(jwt_claims(bytes_str(cases[i].json), 99, &a, &seen), cases[i].rc);
        }
        if (cases[i].rc == 0)
            assert_true(bytes_equal(seen.username, bytes_str("u")));
    }
}

static void what_is_no_token_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "a.b",
        "e30.e30.",
        "e30.e30.AA.AA",
        "e30.e30.AA",                    /* no alg */
        "eyJhbGciOjF9.e30.AA",           /* alg is a number */
        "eyJhbGciOiJSUzI1NiJ9.e30.A",    /* not base64 */
        "eyJhbGciOiJSUzI1NiJ9.e30.AA==", /* padded */
        "eyJhbGciOiJSUzI1NiJ9.e30=.AA",  /* the same */
        "eyJhbGciOiJSUzI1NiJ9.W10.AA",   /* claims are an array */
        "eyJhbGciOiJSUzI1NiJ9.e30x.AA",  /* something behind them */
        "eyJhbGciOiJSUzI1NiJ9.e3.AA",    /* cut off */
        "eyJhbGciOiJSUzI1NiJ9.e30.+A",   /* the other alphabet */
        "eyJhbGciOiJSUzI1NiJ9 .e30.AA",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct jwt jwt;
        if (jwt_split(bytes_str(bad[i]), &a, &jwt) != TENURE_EINVALID)
            fail_msg("'%s' was taken", bad[i]);
    }
}

static void memory_that_runs_short_is_told(void **state)
{
    (void)state;
    bytes token = bytes_str("eyJhbGciOiJSUzI1NiJ9.eyJ1c2VybmFtZSI6InVcdTAwZTQiLCJyZXZpc2lvbiI6M30.AA");
    size_t at = 1;
    for (bool hit = true; hit; at++) {
        struct jwt jwt;
        struct jwt_claims claims;
        arena_fini(&a);
        arena_init(&a, 0);
        failmalloc_at(at);
        int rc = jwt_split(token, &a, &jwt);
        if (!rc)
            rc = jwt_claims(jwt.claims, 1, &a, &claims);
        hit = failmalloc_hit();
        failmalloc_off();
        assert_int_equal(rc, hit ? TENURE_ENOMEM : 0);
    }
    assert_true(at > 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_together_comes_apart_again), TEST(a_token_of_golang_jwt_is_read),
        TEST(claims_are_read_as_go_reads_them),        TEST(what_is_no_token_is_refused),
        TEST(memory_that_runs_short_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
