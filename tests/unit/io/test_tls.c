/* What a context takes, and what it refuses with which words. */
#include "tls_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "io/openssl_api.h"

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* The refusal names what is wrong. */
static void refused(struct io_tls_config k, const char *named)
{
    struct io_tls *t = NULL;
    struct tenure_error err = {0};
    assert_int_equal(io_tls_new(&k, &t, &err), TENURE_EINVALID);
    assert_null(t);
    if (!strstr(err.text, named))
        fail_msg("\"%s\" is not in: %s", named, err.text);
}

static void files_that_are_wrong_are_named(void **state)
{
    (void)state;
    struct io_tls_config k = server_config("server");
    k.cert_file = in_folder("missing", ".pem");
    refused(k, "missing.pem: No such file or directory");
    k = server_config("server");
    k.key_file = in_folder("alice", ".key"); /* of another certificate */
    refused(k, "alice.key");
    k = server_config("server");
    k.key_file = NULL;
    refused(k, "the key is missing");
    k = mutual_config();
    k.ca_file = in_folder("server", ".key");
    refused(k, "server.key");
    k = mutual_config();
    k.crl_file = in_folder("ca", ".pem");
    refused(k, "ca.pem");
    k.crl_file = in_folder("missing", ".crl");
    refused(k, "missing.crl: No such file or directory");
    write_file(in_folder("broken", ".pem"), "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n");
    k = server_config("server");
    k.cert_file = in_folder("broken", ".pem");
    refused(k, "broken.pem");
}

static void lists_are_read_in_pem_and_der(void **state)
{
    (void)state;
    struct io_tls_config k = mutual_config();
    k.crl_file = in_folder("crl", ".pem");
    io_tls_unref(context(k));
    k.crl_file = in_folder("crl", ".der");
    io_tls_unref(context(k));
}

static void cipher_suites_have_the_names_of_go(void **state)
{
    (void)state;
    static const char *const good[] = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                                       "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
                                       "TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"};
    static const char *const bad[] = {"ECDHE-RSA-AES128-GCM-SHA256"}, *const unknown[] = {"TLS_NOT_A_SUITE"};
    struct io_tls_config k = server_config("server");
    k.cipher_suites = good;
    k.n_cipher_suites = ARRAY_LEN(good);
    io_tls_unref(context(k));
    k.cipher_suites = bad;
    k.n_cipher_suites = 1;
    refused(k, "ECDHE-RSA-AES128-GCM-SHA256");
    k.cipher_suites = unknown;
    refused(k, "TLS_NOT_A_SUITE");
}

static void versions_must_be_in_order(void **state)
{
    (void)state;
    struct io_tls_config k = server_config("server");
    k.version_min = IO_TLS_1_3;
    k.version_max = IO_TLS_1_2;
    refused(k, "version");
    k.version_max = IO_TLS_1_3;
    io_tls_unref(context(k));
}

static void a_self_signed_certificate_is_made_once(void **state)
{
    (void)state;
    static const char *const hosts[] = {"localhost", "127.0.0.1", "::1"};
    char cert[256], key[256];
    struct stat first, second;
    bool made;
    snprintf(cert, sizeof cert, "%s/fixtures/client/cert.pem", folder);
    snprintf(key, sizeof key, "%s/fixtures/client/key.pem", folder);
    assert_int_equal(io_tls_self_signed(cert, key, hosts, 3, 1, &made, NULL), 0);
    assert_true(made);
    assert_int_equal(stat(key, &first), 0);
    assert_int_equal(first.st_mode & 0777, 0600);
    assert_int_equal(io_tls_self_signed(cert, key, hosts, 3, 1, &made, NULL), 0);
    assert_false(made);
    assert_int_equal(stat(key, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    struct io_tls_config k = {.is_server = true, .cert_file = cert, .key_file = key};
    io_tls_unref(context(k));
    unlink(key);
    assert_int_equal(io_tls_self_signed(cert, key, hosts, 3, 1, &made, NULL), 0);
    assert_true(made);
    io_tls_unref(context(k));
}

static void a_self_signed_certificate_that_has_run_out_is_made_anew(void **state)
{
    (void)state;
    static const char *const hosts[] = {"localhost"};
    struct tenure_error err = {0};
    bool made;
    assert_int_equal(
        io_tls_self_signed(in_folder("expired", ".pem"), in_folder("expired", ".key"), hosts, 1, 1, &made, &err), 0);
    assert_true(made);
    assert_int_equal(io_tls_self_signed("/proc/nowhere/c.pem", "/proc/nowhere/k.pem", hosts, 1, 1, &made, &err),
                     TENURE_ENOTFOUND);
    assert_non_null(strstr(err.text, "/proc/nowhere/k.pem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_wrong_are_named),
        cmocka_unit_test(lists_are_read_in_pem_and_der),
        cmocka_unit_test(cipher_suites_have_the_names_of_go),
        cmocka_unit_test(versions_must_be_in_order),
        cmocka_unit_test(a_self_signed_certificate_is_made_once),
        cmocka_unit_test(a_self_signed_certificate_that_has_run_out_is_made_anew),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
