/* Keys of signed tokens: every method, against itself and against the openssl command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/jwt_key.h"
#include "jwt_keys.h"
#include "tenure/error.h"

static char folder[] = "/tmp/tenure-jwt-XXXXXX";
static struct tenure_error err;

/* A file with that text; the name lives until the next one of the same slot. */
static const char *file(const char *name, const void *data, size_t len)
{
    static char paths[4][256];
    static unsigned slot;
    char *path = paths[slot++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char *pem(const char *name, const char *text)
{
    return file(name, text, strlen(text));
}

static struct jwt_key *open_key(const char *method, const char *private, const char *public)
{
    struct jwt_key_config config = {method, public ? pem("public", public) : NULL,
                                    private ? pem("private", private) : NULL};
    struct jwt_key *k = NULL;
    if (jwt_key_open(&config, &k, &err) != 0)
        fail_msg("%s: %s", method, err.text);
    return k;
}

static void refuse_key(const char *method, const char *private, const char *public, int code, const char *why)
{
    struct jwt_key_config config = {method, public ? pem("public", public) : NULL,
                                    private ? pem("private", private) : NULL};
    struct jwt_key *k = NULL;
    assert_int_equal(jwt_key_open(&config, &k, &err), code);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" is not about \"%s\"", err.text, why);
}

#define HELLO bytes_of("hello", 5)

static const struct {
    const char *method, *private, *public;
    size_t size; /* of a signature */
} all[] = {
    {"RS256", rsa_private, rsa_public, 256},
    {"RS384", rsa_private, rsa_public, 256},
    {"RS512", rsa_private, rsa_public, 256},
    {"PS256", rsa_private, rsa_public, 256},
    {"PS384", rsa_private, rsa_public, 256},
    {"PS512", rsa_private, rsa_public, 256},
    {"ES256", ec256_private, ec256_public, 64},
    {"ES384", ec384_private, ec384_public, 96},
    {"ES512", ec521_private, ec521_public, 132},
    {"EdDSA", ed_private, ed_public, 64},
    {"HS256", "any bytes", NULL, 32},
    {"HS384", "any bytes", NULL, 48},
    {"HS512", "any bytes", NULL, 64},
};

static void what_a_key_signs_it_proves_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct jwt_key *k = open_key(all[i].method, all[i].private, all[i].public);
        struct buf b;
        buf_init(&b);
        assert_string_equal(jwt_key_method(k), all[i].method);
        assert_int_equal(jwt_key_sign(k, HELLO, &b), 0);
        assert_int_equal(b.len, all[i].size);
        assert_true(jwt_key_proves(k, HELLO, buf_bytes(&b)));
        assert_false(jwt_key_proves(k, bytes_of("hellp", 5), buf_bytes(&b)));
        assert_false(jwt_key_proves(k, HELLO, bytes_of(b.data, b.len - 1)));
        assert_false(jwt_key_proves(k, HELLO, bytes_of("", 0)));
        b.data[b.len / 2] ^= 1;
        assert_false(jwt_key_proves(k, HELLO, buf_bytes(&b)));
        buf_fini(&b);
        jwt_key_close(k);
    }
}

static void a_public_key_alone_proves_but_does_not_sign(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i].public)
            continue;
        struct jwt_key *k = open_key(all[i].method, all[i].private, NULL),
                       *p = open_key(all[i].method, NULL, all[i].public);
        struct buf b;
        buf_init(&b);
        assert_int_equal(jwt_key_sign(k, HELLO, &b), 0);
        assert_true(jwt_key_proves(p, HELLO, buf_bytes(&b)));
        assert_int_equal(jwt_key_sign(p, HELLO, &b), TENURE_EDENIED);
        buf_fini(&b);
        jwt_key_close(k);
        jwt_key_close(p);
    }
}

static void assert_proves(const char *method, const char *public, const uint8_t *signature, size_t len)
{
    struct jwt_key *k = open_key(method, NULL, public);
    assert_true(jwt_key_proves(k, HELLO, bytes_of(signature, len)));
    jwt_key_close(k);
}

static void signatures_of_others_are_proved(void **state)
{
    (void)state;
    assert_proves("RS256", rsa_public, rs256_of_hello, sizeof rs256_of_hello);
    assert_proves("PS384", rsa_public, ps384_of_hello, sizeof ps384_of_hello);
    assert_proves("ES256", ec256_public, es256_of_hello, sizeof es256_of_hello);
    assert_proves("EdDSA", ed_public, ed_of_hello, sizeof ed_of_hello);
    /* HMAC-SHA-256 of RFC 4231, test case 2 */
    static const uint8_t mac[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
                                  0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
                                  0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    struct jwt_key *k = open_key("HS256", "Jefe", NULL);
    assert_true(jwt_key_proves(k, bytes_of("what do ya want for nothing?", 28), bytes_of(mac, sizeof mac)));
    jwt_key_close(k);
}

static void keys_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct jwt_key *k = NULL;
    refuse_key("none", rsa_private, NULL, TENURE_EINVALID, "no sign-method");
    refuse_key("HS1", rsa_private, NULL, TENURE_EINVALID, "no sign-method");
    refuse_key("RS256", NULL, NULL, TENURE_EINVALID, "missing key data");
    refuse_key("HS256", NULL, rsa_public, TENURE_EINVALID, "missing key data");
    refuse_key("HS256", "", NULL, TENURE_EINVALID, "holds no private key");
    refuse_key("RS256", ec256_private, NULL, TENURE_EINVALID, "not one for RS256");
    refuse_key("ES384", ec256_private, NULL, TENURE_EINVALID, "not one for ES384");
    refuse_key("EdDSA", rsa_private, NULL, TENURE_EINVALID, "not one for EdDSA");
    refuse_key("RS256", rsa_public, NULL, TENURE_EINVALID, "holds no private key");
    refuse_key("RS256", NULL, "nonsense", TENURE_EINVALID, "holds no public key");
    refuse_key("ES256", ec256_private, ec384_public, TENURE_EINVALID, "not one for ES256");
    struct jwt_key_config missing = {"RS256", NULL, "/nowhere/at/all"};
    assert_int_equal(jwt_key_open(&missing, &k, &err), TENURE_ENOTFOUND);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[256];
    static const char *const names[] = {"public", "private"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_key_signs_it_proves_and_nothing_else),
        cmocka_unit_test(a_public_key_alone_proves_but_does_not_sign),
        cmocka_unit_test(signatures_of_others_are_proved),
        cmocka_unit_test(keys_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
