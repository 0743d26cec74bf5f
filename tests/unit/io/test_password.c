/* bcrypt by libcrypt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/password.h"
#include "tenure/error.h"

static struct tenure_error err;

static void a_hash_fits_its_password_alone(void **state)
{
    (void)state;
    char hash[128], other[128];
    assert_int_equal(password_hash("secret", 4, hash, sizeof hash, &err), 0);
    assert_int_equal(strlen(hash), 60);
    assert_memory_equal(hash, "$2a$04$", 7);
    assert_int_equal(password_check("secret", hash, &err), 1);
    assert_int_equal(password_check("Secret", hash, &err), 0);
    assert_int_equal(password_check("", hash, &err), 0);
    assert_int_equal(password_hash("secret", 4, other, sizeof other, &err), 0);
    assert_string_not_equal(hash, other); /* salted */
    assert_int_equal(password_hash("", 4, hash, sizeof hash, &err), 0);
    assert_int_equal(password_check("", hash, &err), 1);
}

static void hashes_of_others_are_understood(void **state)
{
    (void)state;
    /* Of Go's golang.org/x/crypto/bcrypt, as in its own tests. */
    assert_int_equal(password_check("allmine", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga", &err),
                     1);
    assert_int_equal(password_check("allmind", "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga", &err),
                     0);
}

static void what_is_no_hash_fits_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "x", "$2", "$2a$", "$2a$10$", "$2a$99$XajjQvNhvvRt5GSeFk1xFe",
                                      "$1$abc$xyz", "*0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(password_check("x", bad[i], &err), 0);
}

static void a_cost_that_there_is_not_is_refused(void **state)
{
    (void)state;
    char hash[128];
    assert_int_equal(password_hash("x", 99, hash, sizeof hash, &err), TENURE_EIO);
    assert_non_null(strstr(err.text, "cost 99"));
    assert_int_equal(password_hash("x", 4, hash, 60, &err), TENURE_EIO); /* no room for its end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_fits_its_password_alone),
        cmocka_unit_test(hashes_of_others_are_understood),
        cmocka_unit_test(what_is_no_hash_fits_nothing),
        cmocka_unit_test(a_cost_that_there_is_not_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
