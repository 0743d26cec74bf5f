/* An authority signs certificates that do for the hosts they were asked for, and tells those that do not. */
#include <sys/stat.h>
#include <unistd.h>

#include "io/authority.h"
#include "tls_fixture.h"

static const char *const hosts[] = {"10.0.0.1", "fd00::1", "etcd1.example.org"};

static struct io_certificate certificate(const char *name)
{
    return (struct io_certificate){.cert_file = in_folder(name, ".crt"),
                                   .key_file = in_folder(name, ".private"),
                                   .name = name,
                                   .hosts = hosts,
                                   .n_hosts = 3,
                                   .uses = IO_CERTIFICATE_SERVER | IO_CERTIFICATE_CLIENT,
                                   .days = 90};
}

static struct io_authority *authority(const char *name)
{
    struct tenure_error err = {0};
    struct io_authority *a = NULL;
    bool made = false;
    const char *cert = in_folder(name, ".crt"), *key = in_folder(name, ".private");
    assert_int_equal(io_authority_make(cert, key, name, 400, &made, &err), 0);
    if (io_authority_open(cert, key, &a, &err) < 0)
        fail_msg("%s", err.text);
    return a;
}

static void one_is_made_once(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct stat s;
    bool made = false;
    const char *cert = in_folder("once", ".crt"), *key = in_folder("once", ".private");
    assert_int_equal(io_authority_make(cert, key, "once", 400, &made, &err), 0);
    assert_true(made);
    assert_int_equal(io_authority_make(cert, key, "once", 400, &made, &err), 0);
    assert_false(made);
    assert_int_equal(stat(key, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_int_equal(unlink(key), 0);
    assert_int_equal(io_authority_make(cert, key, "once", 400, &made, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "once.private is missing"));
}

static void what_it_signs_does(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct stat s;
    struct io_authority *a = authority("signs");
    struct io_certificate c = certificate("m1");
    struct io_tls *tls = NULL;
    assert_false(io_authority_check(a, &c, 30));
    assert_int_equal(io_authority_issue(a, &c, &err), 0);
    assert_true(io_authority_check(a, &c, 30));
    assert_int_equal(stat(c.key_file, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    struct io_tls_config config = {
        .is_server = true, .cert_file = c.cert_file, .key_file = c.key_file, .ca_file = in_folder("signs", ".crt")};
    assert_int_equal(io_tls_new(&config, &tls, &err), 0);
    io_tls_unref(tls);
    io_authority_close(a);
}

static void what_does_not_do_is_told(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    const char *const more[] = {"10.0.0.1", "10.0.0.2"};
    const char *const name[] = {"other.example.org"};
    struct io_authority *a = authority("first"), *other = authority("second");
    struct io_certificate c = certificate("m2"), d = certificate("m3");
    assert_int_equal(io_authority_issue(a, &c, &err), 0);
    assert_int_equal(io_authority_issue(a, &d, &err), 0);
    assert_false(io_authority_check(a, &c, 91));     /* it runs out before */
    assert_false(io_authority_check(other, &c, 30)); /* somebody else has signed it */
    struct io_certificate wrong = c;
    wrong.hosts = more;
    wrong.n_hosts = 2;
    assert_false(io_authority_check(a, &wrong, 30));
    wrong.hosts = name;
    wrong.n_hosts = 1;
    assert_false(io_authority_check(a, &wrong, 30));
    static const char *const all[] = {"m2.example.org", "10.0.0.1", "::1", "M2.Other.example.org"};
    wrong.hosts = all;
    wrong.n_hosts = 4;
    assert_int_equal(io_authority_issue(a, &wrong, &err), 0);
    for (size_t n = 4; n > 0; n--) { /* what it has beyond the first n is not wanted any more */
        wrong.n_hosts = n;
        assert_int_equal(io_authority_check(a, &wrong, 30), n == 4);
    }
    wrong.hosts = all + 1;
    wrong.n_hosts = 3;
    assert_false(io_authority_check(a, &wrong, 30));
    assert_int_equal(io_authority_issue(a, &c, &err), 0);
    wrong = c;
    wrong.key_file = d.key_file;
    assert_false(io_authority_check(a, &wrong, 30)); /* a crash between key and certificate */
    assert_true(io_authority_check(a, &c, 30));
    io_authority_close(other);
    io_authority_close(a);
}

static void what_may_not_sign_is_refused(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct io_authority *a = authority("may"), *none = NULL;
    struct io_certificate c = certificate("m4");
    assert_int_equal(io_authority_issue(a, &c, &err), 0);
    assert_int_equal(io_authority_open(c.cert_file, c.key_file, &none, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "no authority's certificate"));
    assert_int_equal(io_authority_open(in_folder("may", ".crt"), c.key_file, &none, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "is not the key of"));
    assert_int_equal(io_authority_open("/nowhere", c.key_file, &none, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "/nowhere: there is no certificate"));
    assert_int_equal(io_authority_open(in_folder("may", ".crt"), "/nowhere", &none, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "no key in it"));
    assert_null(none);
    io_authority_close(a);
}

static void none_outlives_the_authority(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct io_authority *a = authority("short");
    struct io_certificate c = certificate("m5");
    c.days = 4000;
    assert_int_equal(io_authority_issue(a, &c, &err), 0);
    assert_true(io_authority_check(a, &c, 399));
    assert_false(io_authority_check(a, &c, 401));
    io_authority_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_made_once),
        cmocka_unit_test(what_it_signs_does),
        cmocka_unit_test(what_does_not_do_is_told),
        cmocka_unit_test(what_may_not_sign_is_refused),
        cmocka_unit_test(none_outlives_the_authority),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
