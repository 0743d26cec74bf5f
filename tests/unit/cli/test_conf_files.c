/* Files from templates without a server: names, all or none, check and reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/conf_files.h"

static char folder[64];
static struct conf_files files;
static struct signals signals;

static void make(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void holds(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!text)
        assert_int_equal(access(path, F_OK), -1);
    else if (!atomic_file_is(path, ATOMIC_FILE_KEEP_MODE, bytes_str(text)))
        fail_msg("%s is not '%s'", name, text);
}

static void add(const char *from, const char *to)
{
    char text[256];
    const char *why;
    snprintf(text, sizeof text, "%s/%s:%s/%s", folder, from, folder, to);
    assert_true(conf_files_add(&files, text, &why));
}

static enum conf_files_result render(const char *port)
{
    const struct tenure_config_entry e = {.key = "web/port", .value = port, .value_len = strlen(port)};
    const struct tenure_config_list list = {.n = 1, .entries = &e};
    return conf_files_render(&files, &list);
}

static size_t in_folder(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static void names_have_a_template_a_place_and_perhaps_a_mode(void **state)
{
    static const char *const bad[] = {"", "a", ":b", "a:", "a:b:", "a:b:9", "a:b:99999", "a:b:789", "a:b:rw"};
    const char *why;
    (void)state;
    assert_true(conf_files_add(&files, "/x/a:b", &why));
    assert_string_equal(files.all[0].from, "/x/a");
    assert_string_equal(files.all[0].to, "b");
    assert_int_equal(files.all[0].mode, ATOMIC_FILE_KEEP_MODE);
    assert_true(conf_files_add(&files, "a:/y/b:0640", &why));
    assert_string_equal(files.all[1].to, "/y/b");
    assert_int_equal(files.all[1].mode, 0640);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(conf_files_add(&files, bad[i], &why));
    assert_int_equal(files.n, 2);
    assert_false(conf_files_add(&files, "c:./b", &why));
    assert_string_equal(why, "another template is to become that file");
    while (files.n < CONF_FILES_MAX) {
        char text[32];
        snprintf(text, sizeof text, "a:b%zu", files.n);
        assert_true(conf_files_add(&files, text, &why));
    }
    assert_false(conf_files_add(&files, "a:c", &why));
    assert_string_equal(why, "too many");
}

static void what_is_the_same_is_left_alone(void **state)
{
    (void)state;
    make("t", "port {{port}}\n");
    add("t", "out");
    assert_int_equal(render("1"), CONF_FILES_CHANGED);
    holds("out", "port 1\n");
    assert_int_equal(render("1"), CONF_FILES_SAME);
    assert_int_equal(render("2"), CONF_FILES_CHANGED);
    holds("out", "port 2\n");
    assert_int_equal(in_folder(), 2);
}

static void one_that_fails_keeps_all(void **state)
{
    (void)state;
    make("t", "{{port}}");
    make("u", "{{nothing}}");
    add("t", "out");
    add("u", "out2");
    assert_int_equal(render("1"), CONF_FILES_REFUSED);
    holds("out", NULL);
    make("u", "x{{nothing:-}}");
    assert_int_equal(render("1"), CONF_FILES_CHANGED);
    holds("out", "1");
    holds("out2", "x");
    assert_int_equal(in_folder(), 4);
}

static void a_check_sees_the_new_file_and_keeps_the_old(void **state)
{
    (void)state;
    make("t", "{{port}}");
    add("t", "o'ut");
    files.check = "test \"$(cat {})\" != 2 && test \"$TENURE_FILE\" = {} && test -n \"$TENURE_OUT\"";
    assert_int_equal(render("1"), CONF_FILES_CHANGED);
    assert_int_equal(render("2"), CONF_FILES_REFUSED);
    holds("o'ut", "1");
    assert_int_equal(in_folder(), 2);
    files.check = "kill -9 $$";
    assert_int_equal(render("3"), CONF_FILES_REFUSED);
    files.check = "exec sleep 600";
    files.command_timeout_ms = 10;
    assert_int_equal(render("3"), CONF_FILES_REFUSED);
    holds("o'ut", "1");
}

static void one_reload_for_all_that_changed(void **state)
{
    char line[256];
    (void)state;
    make("t", "{{port}}");
    make("u", "u{{port}}");
    add("t", "out");
    add("u", "out2");
    snprintf(line, sizeof line, "echo r >>%s/log; cat %s/out >>%s/log", folder, folder, folder);
    files.reload = line;
    assert_int_equal(render("1"), CONF_FILES_CHANGED);
    holds("log", "r\n1");
    assert_int_equal(render("1"), CONF_FILES_SAME);
    holds("log", "r\n1");
    files.reload = "exit 3";
    assert_int_equal(render("2"), CONF_FILES_STUCK);
    holds("out", "2");
}

static void a_partial_lies_beside_its_template(void **state)
{
    (void)state;
    make("t", "a\n  {{> part}}\n");
    make("part", "{{port}}\n");
    add("t", "out");
    assert_int_equal(render("1"), CONF_FILES_CHANGED);
    holds("out", "a\n  1\n");
}

static int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tenure-files.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    files = (struct conf_files){.command_timeout_ms = 60000, .keys = "web/", .signals = &signals};
    return 0;
}

static int end(void **state)
{
    (void)state;
    conf_files_fini(&files);
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_have_a_template_a_place_and_perhaps_a_mode),
        TEST(what_is_the_same_is_left_alone),
        TEST(one_that_fails_keeps_all),
        TEST(a_check_sees_the_new_file_and_keeps_the_old),
        TEST(one_reload_for_all_that_changed),
        TEST(a_partial_lies_beside_its_template),
    };
    if (!signals_open(&signals))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
