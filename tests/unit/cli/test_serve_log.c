/* Where lines go, and in which form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/serve_flags.h"
#include "cli/serve_log.h"

static char path[64], moved[80];

static int setup(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/tenure-log-XXXXXX");
    int fd = mkstemp(path);
    snprintf(moved, sizeof moved, "%s.1", path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(moved);
    return 0;
}

static const char *content(const char *file)
{
    static char text[4096];
    FILE *f = fopen(file, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
    return text;
}

static struct serve_log *open_log(struct serve_options o)
{
    struct serve_log *l = NULL;
    struct tenure_error err = {0};
    o.log_outputs = path;
    if (serve_log_open(&o, &l, &err) < 0)
        fail_msg("%s", err.text);
    return l;
}

static void refused(struct serve_options o, const char *named)
{
    struct serve_log *l;
    struct tenure_error err = {0};
    assert_true(serve_log_open(&o, &l, &err) < 0);
    assert_non_null(strstr(err.text, named));
}

static void lines_are_logfmt_or_json_from_the_level_on(void **state)
{
    (void)state;
    struct serve_log *l = open_log((struct serve_options){.log_level = "warn"});
    struct log log = serve_log_log(l, false);
    log_write(&log, LOG_INFO, "not this", NULL);
    log_write(&log, LOG_WARN, "this", "n=1");
    assert_null(strstr(content(path), "not this"));
    assert_int_equal(strncmp(content(path), "time=20", 7), 0);
    assert_non_null(strstr(content(path), "Z level=warn msg=\"this\" n=1\n"));
    serve_log_close(l);
    l = open_log((struct serve_options){.log_format = "json"});
    log = serve_log_log(l, false);
    log_write(&log, LOG_INFO, "that", "n=2");
    assert_non_null(strstr(content(path), "{\"level\":\"info\",\"ts\":\"20"));
    assert_non_null(strstr(content(path), "\"msg\":\"that\",\"n\":2}\n"));
    serve_log_close(l);
}

static void files_are_opened_again_and_the_level_set(void **state)
{
    (void)state;
    struct serve_log *l = open_log((struct serve_options){0});
    struct log log = serve_log_log(l, true);
    log_write(&log, LOG_DEBUG, "hidden", NULL);
    log_write(&log, LOG_INFO, "first", NULL);
    assert_int_equal(rename(path, moved), 0);
    log_write(&log, LOG_INFO, "second", NULL);
    serve_log_reopen(l, &(struct serve_options){.log_level = "debug"});
    log_write(&log, LOG_DEBUG, "third", NULL);
    assert_non_null(strstr(content(moved), "first"));
    assert_non_null(strstr(content(moved), "second"));
    assert_null(strstr(content(moved), "hidden"));
    assert_non_null(strstr(content(path), "third"));
    assert_null(strstr(content(path), "second"));
    serve_log_close(l);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    refused((struct serve_options){.log_level = "loud"}, "--log-level");
    refused((struct serve_options){.log_format = "xml"}, "--log-format");
    refused((struct serve_options){.log_outputs = "/proc/nowhere/log"}, "/proc/nowhere/log");
    refused((struct serve_options){.log_outputs = "stderr,stderr,stderr,stderr,stderr,stderr,stderr,stderr,stderr"},
            "--log-outputs");
}

static void levels_of_etcd_are_known(void **state)
{
    enum log_level l;
    (void)state;
    assert_true(serve_log_level_parse("fatal", &l) && l == LOG_ERROR);
    assert_true(serve_log_level_parse("debug", &l) && l == LOG_DEBUG);
    assert_false(serve_log_level_parse("INFO", &l));
    assert_false(serve_log_level_parse("", &l));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(lines_are_logfmt_or_json_from_the_level_on),
        CASE(files_are_opened_again_and_the_level_set),
        CASE(what_is_wrong_is_named),
        CASE(levels_of_etcd_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
