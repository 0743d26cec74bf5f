/* Replacing a file as a whole: owner, mode, links, what is left behind, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/atomic_file.h"

static char folder[64], path[128];
static struct tenure_error err;

static const char *in_folder(const char *name)
{
    static char all[4][160];
    static unsigned turn;
    char *p = all[turn++ % 4];
    snprintf(p, sizeof all[0], "%s/%s", folder, name);
    return p;
}

static void make(const char *at, const char *text, mode_t mode)
{
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void holds(const char *at, const char *text, mode_t mode)
{
    if (!atomic_file_is(at, mode, bytes_str(text)))
        fail_msg("%s is not '%s' with mode %o", at, text, mode);
}

static size_t files(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static void replace(const char *at, mode_t mode, const char *text)
{
    struct atomic_file f;
    assert_int_equal(atomic_file_begin(&f, at, mode, bytes_str(text), &err), 0);
    assert_int_equal(atomic_file_commit(&f, &err), 0);
    atomic_file_fini(&f);
}

static void a_new_file_has_the_asked_mode(void **state)
{
    (void)state;
    replace(path, 0640, "a");
    holds(path, "a", 0640);
    umask(027);
    replace(in_folder("other"), ATOMIC_FILE_KEEP_MODE, "b");
    holds(in_folder("other"), "b", 0640);
    assert_int_equal(files(), 2);
}

static void the_old_mode_is_kept(void **state)
{
    (void)state;
    make(path, "old", 0604);
    replace(path, ATOMIC_FILE_KEEP_MODE, "new");
    holds(path, "new", 0604);
}

static void nothing_is_seen_before_the_commit(void **state)
{
    struct atomic_file f;
    (void)state;
    make(path, "old", 0644);
    assert_int_equal(atomic_file_begin(&f, path, ATOMIC_FILE_KEEP_MODE, bytes_str("new"), &err), 0);
    holds(path, "old", 0644);
    holds(f.temp, "new", 0644);
    atomic_file_fini(&f);
    holds(path, "old", 0644);
    assert_int_equal(files(), 1);
}

static void what_a_link_leads_to_is_replaced(void **state)
{
    struct stat st;
    (void)state;
    make(in_folder("real"), "old", 0644);
    assert_int_equal(symlink("real", path), 0);
    replace(path, ATOMIC_FILE_KEEP_MODE, "new");
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    holds(in_folder("real"), "new", 0644);
}

static void a_private_one_is_the_callers_own_and_follows_no_link(void **state)
{
    (void)state;
    struct stat st;
    make(in_folder("real"), "old", 0644);
    assert_int_equal(symlink("real", path), 0);
    replace(path, ATOMIC_FILE_PRIVATE, "new");
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    holds(path, "new", 0600);
    holds(in_folder("real"), "old", 0644);
    make(path, "planted", 0666);
    if (geteuid() == 0)
        assert_int_equal(chown(path, 12345, 12345), 0);
    replace(path, ATOMIC_FILE_PRIVATE, "newer");
    holds(path, "newer", 0600);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, geteuid());
}

static void age(const char *at)
{
    const struct timespec long_ago[2] = {{1000000, 0}, {1000000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, at, long_ago, 0), 0);
}

static void leftovers_are_removed_when_nobody_works_on_them(void **state)
{
    (void)state;
    make(in_folder(".out.tenure-dead00"), "half", 0600);
    make(in_folder(".out.tenure-busy00"), "half", 0600);
    make(in_folder(".out.tenure-young0"), "half", 0600);
    make(in_folder(".out.tenure-longer-name"), "mine", 0600);
    make(in_folder(".other.tenure-dead00"), "half", 0600);
    age(in_folder(".out.tenure-dead00"));
    age(in_folder(".out.tenure-busy00"));
    age(in_folder(".out.tenure-longer-name"));
    age(in_folder(".other.tenure-dead00"));
    int busy = open(in_folder(".out.tenure-busy00"), O_RDONLY);
    assert_int_equal(flock(busy, LOCK_EX), 0);
    replace(path, ATOMIC_FILE_KEEP_MODE, "new");
    close(busy);
    assert_int_equal(access(in_folder(".out.tenure-dead00"), F_OK), -1);
    assert_int_equal(files(), 5);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    struct atomic_file f;
    (void)state;
    assert_true(atomic_file_begin(&f, "/nowhere/at/all", ATOMIC_FILE_KEEP_MODE, bytes_str("x"), &err) < 0);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    atomic_file_fini(&f);
    atomic_file_fini(&(struct atomic_file){0});
}

static void what_is_no_file_stays(void **state)
{
    struct atomic_file f;
    struct stat st;
    (void)state;
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(atomic_file_begin(&f, path, ATOMIC_FILE_KEEP_MODE, bytes_str("x"), &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, path));
    atomic_file_fini(&f);
    assert_int_equal(files(), 1);
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* as a device, which only root can make */
    assert_int_equal(symlink("out", in_folder("link")), 0);
    assert_int_equal(atomic_file_begin(&f, path, ATOMIC_FILE_KEEP_MODE, bytes_str("x"), &err), TENURE_EINVALID);
    atomic_file_fini(&f);
    assert_int_equal(atomic_file_begin(&f, in_folder("link"), 0600, bytes_str("x"), &err), TENURE_EINVALID);
    atomic_file_fini(&f);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(files(), 2);
}

static void a_folder_that_comes_meanwhile_stays(void **state)
{
    struct atomic_file f;
    (void)state;
    assert_int_equal(atomic_file_begin(&f, path, ATOMIC_FILE_KEEP_MODE, bytes_str("x"), &err), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_true(atomic_file_commit(&f, &err) < 0);
    atomic_file_fini(&f);
    assert_int_equal(files(), 1);
    rmdir(path);
}

static void content_and_mode_are_compared(void **state)
{
    (void)state;
    make(path, "abc", 0644);
    assert_true(atomic_file_is(path, ATOMIC_FILE_KEEP_MODE, bytes_str("abc")));
    assert_true(atomic_file_is(path, 0644, bytes_str("abc")));
    assert_false(atomic_file_is(path, 0600, bytes_str("abc")));
    assert_false(atomic_file_is(path, 0644, bytes_str("abd")));
    assert_false(atomic_file_is(path, 0644, bytes_str("ab")));
    assert_false(atomic_file_is(path, 0644, bytes_str("abcd")));
    assert_false(atomic_file_is(in_folder("none"), ATOMIC_FILE_KEEP_MODE, bytes_str("")));
    assert_false(atomic_file_is(folder, ATOMIC_FILE_KEEP_MODE, bytes_str("")));
}

static int begin(void **state)
{
    (void)state;
    umask(022);
    snprintf(folder, sizeof folder, "/tmp/tenure-atomic.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/out", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
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
        TEST(a_new_file_has_the_asked_mode),
        TEST(the_old_mode_is_kept),
        TEST(nothing_is_seen_before_the_commit),
        TEST(what_a_link_leads_to_is_replaced),
        TEST(a_private_one_is_the_callers_own_and_follows_no_link),
        TEST(leftovers_are_removed_when_nobody_works_on_them),
        TEST(a_folder_that_is_not_there_is_named),
        TEST(what_is_no_file_stays),
        TEST(a_folder_that_comes_meanwhile_stays),
        TEST(content_and_mode_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
