/* The flags of `tenure serve`: the table, the command line and the environment in etcd's forms. With --print it writes the
 * table for docs/flags.md, which one of the tests compares with the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/serve_flags.h"
#include "server/server.h"

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

#define ARGV_MAX 16

/* Words and variables, separated by blanks. */
static int read_words(const char *line, const char *variables, struct tenure_error *err)
{
    static char text[2][512];
    char *argv[ARGV_MAX], *env[ARGV_MAX + 1], *rest;
    int argc = 0, n = 0;
    snprintf(text[0], sizeof text[0], "%s", line);
    snprintf(text[1], sizeof text[1], "%s", variables);
    for (char *w = strtok_r(text[0], " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    for (char *w = strtok_r(text[1], " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        env[n++] = w;
    env[n] = NULL;
    serve_flags_fini(&f);
    serve_flags_init(&f);
    return serve_flags_read(&f, argc, argv, env, err);
}

static void takes(const char *line, const char *variables)
{
    struct tenure_error err = {0};
    if (read_words(line, variables, &err) < 0)
        fail_msg("%s | %s: %s", line, variables, err.text);
}

static void refuses(const char *line, const char *variables, const char *named)
{
    struct tenure_error err = {0};
    assert_int_equal(read_words(line, variables, &err), TENURE_EINVALID);
    if (!strstr(err.text, named))
        fail_msg("%s | %s: \"%s\" is not in: %s", line, variables, named, err.text);
}

/* ---- forms ---- */

static void one_dash_and_two_equals_and_blank_are_the_same(void **state)
{
    static const char *const lines[] = {"--data-dir=/x", "-data-dir=/x", "--data-dir /x", "-data-dir /x"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        takes(lines[i], "");
        assert_string_equal(f.o.data_dir, "/x");
    }
    takes("--name=a=b", "");
    assert_string_equal(f.o.name, "a=b");
    takes("--name --data-dir", ""); /* as in Go: the next word, whatever it is */
    assert_string_equal(f.o.name, "--data-dir");
}

static void a_bool_takes_its_value_behind_equals_alone(void **state)
{
    (void)state;
    takes("--client-cert-auth", "");
    assert_true(f.o.client_cert_auth);
    takes("--client-cert-auth=false --auto-tls=T", "");
    assert_false(f.o.client_cert_auth);
    assert_true(f.o.auto_tls);
    refuses("--client-cert-auth false", "", "false");
    refuses("--client-cert-auth=yes", "", "--client-cert-auth");
}

static void what_is_no_flag_is_named(void **state)
{
    (void)state;
    refuses("--no-such-flag", "", "--no-such-flag");
    refuses("--no-such-flag=3", "", "--no-such-flag");
    refuses("nonsense", "", "nonsense");
    refuses("--name x nonsense --data-dir y", "", "nonsense");
    refuses("-- nonsense", "", "nonsense");
    refuses("--name", "", "--name");
    refuses("-", "", "-");
    takes("--name x --", "");
    takes("", "");
}

static void values_are_of_their_kind(void **state)
{
    (void)state;
    takes("--max-txn-ops 0x10 --watch-progress-notify-interval 1h30m", "");
    assert_int_equal(f.o.txn_ops, 16);
    assert_int_equal(f.o.progress_ms, 5400000);
    refuses("--max-txn-ops many", "", "'many'");
    refuses("--max-txn-ops 1x", "", "--max-txn-ops");
    refuses("--watch-progress-notify-interval 10x", "", "--watch-progress-notify-interval");
    refuses("--heartbeat-interval often", "", "--heartbeat-interval"); /* ignored, but checked */
    takes("--heartbeat-interval 200", "");
}

static void durations_are_those_of_go(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"300ms", 300}, {"1.5h", 5400000}, {"2h45m", 9900000}, {"1h2m3.5s", 3723500},     {"0", 0},
                {"1000us", 1},  {"1000µs", 1},     {".5s", 500},       {"600000000000ns", 600000}};
    static const char *const bad[] = {"", "h", "-1s", "1", "1 s", "1s ", "1x", "s1", "1e400s", "1h-5m", "inf", "0x10s"};
    int64_t ms;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(serve_duration_parse(good[i].text, 0, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (serve_duration_parse(bad[i], 0, &ms))
            fail_msg("'%s' was taken", bad[i]);
    assert_true(serve_duration_parse("2", 3600000, &ms));
    assert_int_equal(ms, 7200000);
}

/* ---- what becomes of them ---- */

static void older_names_are_known(void **state)
{
    (void)state;
    takes("--experimental-watch-progress-notify-interval 5m --experimental-initial-corrupt-check", "");
    assert_int_equal(f.o.progress_ms, 300000);
    refuses("--experimental-lease-min-ttl 5s", "", "lease-min-ttl");
    refuses("--experimental-", "", "experimental-");
}

static void what_cannot_apply_is_refused_with_the_reason(void **state)
{
    static const char *const lines[] = {"--enable-pprof",
                                        "--discovery https://d",
                                        "--discovery-srv example.org",
                                        "--proxy on",
                                        "--enable-v2=true",
                                        "--enable-distributed-tracing",
                                        "--enable-log-rotation",
                                        "--initial-cluster a=http://a:1,b=http://b:1",
                                        "--initial-cluster a=http://a:1,ab=http://b:1",
                                        "--initial-cluster x"};
    char named[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        snprintf(named, sizeof named, "%.*s is not for this server: ", (int)strcspn(lines[i], " ="), lines[i]);
        refuses(lines[i], "", named);
    }
    takes("--enable-pprof=false --discovery= --proxy off --enable-v2=false", "");
    takes("--initial-cluster a=http://a:1 --initial-cluster-state existing", "");
    takes("--initial-cluster a=http://a:1,a=http://b:1", "");
}

static void a_refused_secret_is_not_shown(void **state)
{
    struct tenure_error err = {0};
    (void)state;
    assert_int_equal(read_words("--discovery-token secret", "", &err), TENURE_EINVALID);
    assert_null(strstr(err.text, "secret"));
}

/* ---- the environment ---- */

static void the_environment_has_names_of_its_own_and_the_line_wins(void **state)
{
    char name[64];
    (void)state;
    assert_string_equal(serve_flag_variable(serve_flag_find("data-dir", 8), name, sizeof name), "ETCD_DATA_DIR");
    takes("", "ETCD_DATA_DIR=/e ETCD_NAME=m ETCD_CLIENT_CERT_AUTH=true PATH=/bin ETCD_CERT_FILE=");
    assert_string_equal(f.o.data_dir, "/e");
    assert_string_equal(f.o.name, "m");
    assert_true(f.o.client_cert_auth);
    assert_null(f.o.cert_file);
    takes("--data-dir /l", "ETCD_DATA_DIR=/e ETCD_NAME=m");
    assert_string_equal(f.o.data_dir, "/l");
    assert_true(f.shadowed[serve_flag_find("data-dir", 8) - serve_flags]);
    assert_false(f.shadowed[serve_flag_find("name", 4) - serve_flags]);
}

static void a_wrong_variable_is_named_and_an_unknown_one_remembered(void **state)
{
    (void)state;
    refuses("", "ETCD_MAX_TXN_OPS=many", "ETCD_MAX_TXN_OPS");
    refuses("", "ETCD_ENABLE_PPROF=true", "ETCD_ENABLE_PPROF");
    takes("", "ETCD_UNSUPPORTED_ARCH=arm64 ETCD_name=x ETCDCTL_API=3 ETCD_=x");
    assert_int_equal(f.n_unknown, 3);
    assert_null(f.o.name);
    takes("--help", "ETCD_MAX_TXN_OPS=many"); /* help is given in any case */
}

/* ---- the server's configuration ---- */

static void config_refuses(const char *line, const char *named)
{
    struct server_config c = {0};
    struct tenure_error err = {0};
    takes(line, "");
    assert_int_equal(serve_config_fill(&f, &c, &err), TENURE_EINVALID);
    if (!strstr(err.text, named))
        fail_msg("%s: \"%s\" is not in: %s", line, named, err.text);
}

static struct server_config config_of(const char *line)
{
    struct server_config c = {0};
    struct tenure_error err = {0};
    takes(line, "");
    if (serve_config_fill(&f, &c, &err) < 0)
        fail_msg("%s: %s", line, err.text);
    return c;
}

static void lists_are_cut_at_commas(void **state)
{
    (void)state;
    struct server_config c = config_of("--listen-client-urls http://a:1,,https://b:2, --cipher-suites X,Y,Z");
    assert_int_equal(c.n_listen_urls, 2);
    assert_string_equal(c.listen_urls[1], "https://b:2");
    assert_int_equal(c.tls.n_cipher_suites, 3);
    c = config_of("");
    assert_int_equal(c.n_listen_urls, 1);
    assert_string_equal(c.listen_urls[0], "http://127.0.0.1:2379");
    config_refuses("--listen-client-urls ,", "--listen-client-urls");
}

static void compaction_is_by_time_or_by_revision(void **state)
{
    (void)state;
    assert_int_equal(config_of("").retention_ms, 0);
    assert_int_equal(config_of("--auto-compaction-retention 0").retention_ms, -1);
    assert_int_equal(config_of("--auto-compaction-retention 2").retention_ms, 7200000);
    assert_int_equal(config_of("--auto-compaction-retention=10m --auto-compaction-mode=periodic").retention_ms, 600000);
    struct server_config c = config_of("--auto-compaction-mode revision --auto-compaction-retention 1000");
    assert_int_equal(c.retention_revs, 1000);
    assert_int_equal(c.retention_ms, -1);
    c = config_of("--auto-compaction-mode revision"); /* etcd's default of 0: off */
    assert_int_equal(c.retention_revs, 0);
    assert_int_equal(c.retention_ms, -1);
    config_refuses("--auto-compaction-mode revision --auto-compaction-retention 1h", "--auto-compaction-retention");
    config_refuses("--auto-compaction-mode sometimes", "--auto-compaction-mode");
    config_refuses("--auto-compaction-retention soon", "--auto-compaction-retention");
}

static void words_and_ranges_are_checked(void **state)
{
    static const char *const lines[] = {"--tls-min-version TLS1.1",
                                        "--tls-max-version 1.3",
                                        "--metrics much",
                                        "--bcrypt-cost 3",
                                        "--bcrypt-cost 32",
                                        "--auth-token-ttl -5",
                                        "--max-txn-ops -1",
                                        "--self-signed-cert-validity 1000",
                                        "--max-concurrent-streams -1",
                                        "--auth-token password"};
    char named[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (strncmp(lines[i], "--auth-token-ttl", 16) == 0)
            continue; /* refused as no duration */
        snprintf(named, sizeof named, "%.*s", (int)strcspn(lines[i], " "), lines[i]);
        config_refuses(lines[i], named);
    }
    config_refuses("--tls-min-version TLS1.3 --tls-max-version TLS1.2", "--tls-min-version");
    config_refuses("--client-cert-allowed-cn a --client-cert-allowed-hostname b", "exclude each other");
    refuses("--auth-token-ttl -5", "", "--auth-token-ttl");
    assert_true(config_of("--quota-backend-bytes -1").quota_bytes > INT64_C(1) << 40);
    assert_int_equal(config_of("--max-concurrent-streams 4294967295").streams_max, 100000);
    assert_int_equal(config_of("--grpc-keepalive-interval 0s").ping_ms, -1);
    assert_int_equal(config_of("").ping_ms, 7200000);
}

/* ---- the table ---- */

static void the_table_is_in_order(void **state)
{
    (void)state;
    for (const struct flag *a = serve_flags; a->name; a++) {
        bool works = a->standing != FLAG_IGNORED && a->standing != FLAG_REFUSED;
        assert_non_null(a->text);
        assert_ptr_equal(serve_flag_find(a->name, strlen(a->name)), a); /* no name stands twice */
        assert_int_equal(a->arg != NULL, works && a->kind != FLAG_BOOL);
        assert_int_equal(a->note != NULL, a->standing == FLAG_BETTER);
        assert_null(strpbrk(a->text, "|\n"));
    }
}

static void write_row(struct buf *out, const struct flag *flag)
{
    static const char *const words[] = {[FLAG_SAME] = "same",
                                        [FLAG_BETTER] = "better",
                                        [FLAG_OWN] = "ours",
                                        [FLAG_IGNORED] = "ignored",
                                        [FLAG_REFUSED] = "refused"};
    buf_printf(out, "| `--%s` | %s | %s%s%s |\n", flag->name, words[flag->standing], flag->text, flag->note ? "; " : "",
               flag->note ? flag->note : "");
}

static void write_table(struct buf *out)
{
    for (const struct flag *flag = serve_flags; flag->name; flag++)
        write_row(out, flag);
}

static void the_documentation_shows_the_table(void **state)
{
    struct buf page, table;
    char chunk[4096];
    size_t n;
    (void)state;
    FILE *file = fopen(FLAGS_PAGE, "r");
    assert_non_null(file);
    buf_init(&page);
    buf_init(&table);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_append(&page, chunk, n);
    fclose(file);
    write_table(&table);
    buf_append_byte(&page, 0);
    buf_append_byte(&table, 0);
    if (!strstr((char *)page.data, (char *)table.data))
        fail_msg("docs/flags.md does not hold what `cli-serve_flags --print` writes");
    buf_fini(&page);
    buf_fini(&table);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, finish)
    const struct CMUnitTest tests[] = {
        CASE(one_dash_and_two_equals_and_blank_are_the_same),
        CASE(a_bool_takes_its_value_behind_equals_alone),
        CASE(what_is_no_flag_is_named),
        CASE(values_are_of_their_kind),
        CASE(durations_are_those_of_go),
        CASE(older_names_are_known),
        CASE(what_cannot_apply_is_refused_with_the_reason),
        CASE(a_refused_secret_is_not_shown),
        CASE(the_environment_has_names_of_its_own_and_the_line_wins),
        CASE(a_wrong_variable_is_named_and_an_unknown_one_remembered),
        CASE(lists_are_cut_at_commas),
        CASE(compaction_is_by_time_or_by_revision),
        CASE(words_and_ranges_are_checked),
        CASE(the_table_is_in_order),
        CASE(the_documentation_shows_the_table),
    };
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        struct buf table;
        buf_init(&table);
        write_table(&table);
        fwrite(table.data, 1, table.len, stdout);
        buf_fini(&table);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
