/* etcd's configuration file: what is read, and what is refused with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/serve_flags.h"

static struct serve_flags f;

static int reset(void **state)
{
    (void)state;
    serve_flags_init(&f);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    serve_flags_fini(&f);
    return 0;
}

static int parse(const char *text, struct tenure_error *err)
{
    serve_flags_fini(&f);
    serve_flags_init(&f);
    return serve_yaml_parse(&f, "x.yml", bytes_str(text), err);
}

static void takes(const char *text)
{
    struct tenure_error err = {0};
    if (parse(text, &err) < 0)
        fail_msg("%s\n%s", text, err.text);
}

static void refuses(const char *text, const char *place, const char *named)
{
    struct tenure_error err = {0};
    assert_int_equal(parse(text, &err), TENURE_EINVALID);
    if (strncmp(err.text, place, strlen(place)) != 0 || !strstr(err.text, named))
        fail_msg("%s\nwanted %s … %s, got: %s", text, place, named, err.text);
}

/* Written for this test, in the shape of the sample that etcd comes with. */
static const char whole[] = "# a member\n"
                            "name: 'm1'\n"
                            "data-dir: /var/lib/x\n"
                            "wal-dir:\n"
                            "snapshot-count: 10000\n"
                            "quota-backend-bytes: 0\n"
                            "listen-peer-urls: http://localhost:2380\n"
                            "listen-client-urls: http://127.0.0.1:1,https://127.0.0.1:2\n"
                            "cors:\n"
                            "discovery:\n"
                            "initial-cluster:\n"
                            "strict-reconfig-check: false\n"
                            "proxy: 'off'\n"
                            "watch-progress-notify-interval: 600000000000\n"
                            "client-transport-security:\n"
                            "  cert-file: c.pem\n"
                            "  key-file: \"k.pem\"\n"
                            "  client-cert-auth: true\n"
                            "  trusted-ca-file: ca.pem\n"
                            "  auto-tls: false\n"
                            "  allowed-hostname:\n"
                            "    - a.example\n"
                            "    - b.example\n"
                            "peer-transport-security:\n"
                            "  cert-file:\n"
                            "  auto-tls: false\n"
                            "  allowed-cn:\n"
                            "discovery-config:\n"
                            "  secure: {insecure-transport: true}\n"
                            "log-level: debug\n"
                            "log-outputs: [stderr, stdout]\n"
                            "auto-compaction-retention: \"1\"\n"
                            "cipher-suites: [\n"
                            "  A,\n"
                            "  B\n"
                            "]\n"
                            "tls-min-version: 'TLS1.2'\n";

static void a_whole_file_is_read(void **state)
{
    (void)state;
    takes(whole);
    assert_string_equal(f.o.name, "m1");
    assert_string_equal(f.o.data_dir, "/var/lib/x");
    assert_string_equal(f.o.listen_client_urls, "http://127.0.0.1:1,https://127.0.0.1:2");
    assert_int_equal(f.o.progress_ms, 600000);
    assert_string_equal(f.o.cert_file, "c.pem");
    assert_string_equal(f.o.key_file, "k.pem");
    assert_true(f.o.client_cert_auth);
    assert_string_equal(f.o.client_cert_allowed_hostname, "a.example,b.example");
    assert_string_equal(f.o.log_outputs, "stderr,stdout");
    assert_string_equal(f.o.compaction_retention, "1");
    assert_string_equal(f.o.cipher_suites, "A,B");
    assert_null(f.o.cors);
}

static void an_empty_file_sets_nothing(void **state)
{
    static const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "~\n", "{}\n", "--- {}\n...\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        takes(texts[i]);
        assert_null(f.o.name);
    }
}

static void durations_may_be_words_and_bools_yaml(void **state)
{
    (void)state;
    takes("grpc-keepalive-interval: 5m\nclient-transport-security: {auto-tls: yes, client-cert-auth: Off}\n");
    assert_int_equal(f.o.ping_ms, 300000);
    assert_true(f.o.auto_tls);
    assert_false(f.o.client_cert_auth);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    (void)state;
    refuses("name: x\nmax-txn-ops: many\n", "x.yml:2:", "'many'");
    refuses("name: x\n\nno-such-key: 1\n", "x.yml:3:", "no-such-key");
    refuses("client-transport-security:\n  cert-file: x\n  cert-fiel: y\n", "x.yml:3:", "cert-fiel");
    refuses("client-transport-security:\n  client-cert-auth: maybe\n", "x.yml:2:", "maybe");
    refuses("client-transport-security: x\n", "x.yml:1:", "client-transport-security");
    refuses("name: [a, {b: c}]\n", "x.yml:1:", "list");
    refuses("name:\n  inner: x\n", "x.yml:2:", "plain value");
    refuses("cipher-suites: [\"A,B\"]\n", "x.yml:1:", "A,B");
    refuses("name: \"a\\0b\"\n", "x.yml:1:", "plain value");
    refuses("? [a]\n: b\n", "x.yml:1:", "a key");
    refuses("- name\n- x\n", "x.yml:1:", "keys and values");
    refuses("just text\n", "x.yml:1:", "keys and values");
    refuses("a: &x 1\nname: *x\n", "x.yml:1:", "'a'");
    refuses("name: x\n\tdata-dir: y\n", "x.yml:", "not YAML");
    refuses("name: 'x\n", "x.yml:", "not YAML");
    refuses("name: \xff\n", "x.yml:", "not YAML");
}

static void what_cannot_apply_is_refused_here_too(void **state)
{
    (void)state;
    refuses("enable-pprof: true\n", "x.yml:1:", "--enable-pprof is not for this server");
    refuses("name: a\ninitial-cluster: a=http://a:1,b=http://b:1\n", "x.yml:2:", "--initial-cluster");
    refuses("discovery-config:\n  discovery-endpoints: [http://a]\n", "x.yml:2:", "--discovery-endpoints");
}

static char *write_file(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/tenure-yaml-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path;
}

static void beside_a_file_only_our_own_flags_count(void **state)
{
    char *path = write_file("name: from-file\n");
    char *argv[] = {(char *)"--config-file", path, (char *)"--name", (char *)"from-line", (char *)"--lease-min-ttl=7s"};
    char *env[] = {(char *)"ETCD_DATA_DIR=/from-env", (char *)"ETCD_INSECURE_LISTEN_ANYWHERE=true", NULL};
    struct tenure_error err = {0};
    (void)state;
    assert_int_equal(serve_flags_read(&f, 5, argv, env, &err), 0);
    unlink(path);
    assert_string_equal(f.o.name, "from-file");
    assert_null(f.o.data_dir);
    assert_int_equal(f.o.lease_min_ttl_s, 7);
    assert_true(f.o.listen_anywhere);
    assert_true(f.shadowed[serve_flag_find("name", 4) - serve_flags]);
    assert_true(f.shadowed[serve_flag_find("data-dir", 8) - serve_flags]);
    assert_false(f.shadowed[serve_flag_find("config-file", 11) - serve_flags]);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    char *env[] = {(char *)"ETCD_CONFIG_FILE=/tmp/tenure-no-such-file", NULL};
    struct tenure_error err = {0};
    (void)state;
    assert_true(serve_flags_read(&f, 0, NULL, env, &err) < 0);
    assert_non_null(strstr(err.text, "/tmp/tenure-no-such-file"));
    assert_true(serve_yaml_read(&f, "/tmp", &err) < 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, finish)
    const struct CMUnitTest tests[] = {
        CASE(a_whole_file_is_read),
        CASE(an_empty_file_sets_nothing),
        CASE(durations_may_be_words_and_bools_yaml),
        CASE(what_is_wrong_is_named_with_its_line),
        CASE(what_cannot_apply_is_refused_here_too),
        CASE(beside_a_file_only_our_own_flags_count),
        CASE(a_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
