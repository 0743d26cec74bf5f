/* Fences around memory and a file: greater tokens get in, smaller ones do not, whatever happens in between (M3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tenure/fence.h>
#include <tenure/scope.h>
#include <unistd.h>

static char folder[64], path[96], side[112];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tenure-fence.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/data", folder);
    snprintf(side, sizeof side, "%s.fence", path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(side);
    return rmdir(folder);
}

/* ---- memory ---- */

static void a_smaller_token_is_refused(void **state)
{
    struct tenure_error err = {0};
    tenure_fence *f = tenure_fence_new("the pump");
    (void)state;
    assert_int_equal(tenure_fence_seen(f), 0);
    assert_int_equal(tenure_fence_enter(f, 7, &err), 0);
    tenure_fence_leave(f);
    assert_int_equal(tenure_fence_enter(f, 7, &err), 0);
    tenure_fence_leave(f);
    assert_int_equal(tenure_fence_enter(f, 6, &err), TENURE_EFENCED);
    assert_int_equal(err.kind, TENURE_KIND_LOST);
    assert_non_null(strstr(err.text, "the pump: token 6 is refused, 7 was there"));
    assert_int_equal(tenure_fence_enter(f, 0, &err), TENURE_EINVALID);
    assert_int_equal(tenure_fence_enter(f, -7, &err), TENURE_EINVALID);
    assert_int_equal(tenure_fence_enter(f, INT64_MAX, NULL), 0);
    tenure_fence_leave(f);
    assert_true(tenure_fence_seen(f) == INT64_MAX);
    tenure_fence_free(f);
    assert_null(tenure_fence_new(""));
}

#define WRITERS 8
#define ROUNDS  2000

static struct {
    tenure_fence *fence;
    tenure_token last; /* inside; guarded by nothing else */
    int n_inside, most_inside, went_back;
    _Atomic tenure_token next;
    _Atomic int refused;
} shared;

/* Half of them come with a token that is old by then. */
static void *writer(void *user)
{
    for (int i = 0; i < ROUNDS; i++) {
        tenure_token token = ++shared.next;
        if ((uintptr_t)user % 2 && token > 20)
            token -= 20;
        if (tenure_fence_enter(shared.fence, token, NULL) < 0) {
            shared.refused++;
            continue;
        }
        if (++shared.n_inside > shared.most_inside)
            shared.most_inside = shared.n_inside;
        if (token < shared.last)
            shared.went_back++;
        shared.last = token;
        shared.n_inside--;
        tenure_fence_leave(shared.fence);
    }
    return NULL;
}

static void threads_see_tokens_grow_inside(void **state)
{
    pthread_t threads[WRITERS];
    (void)state;
    memset(&shared, 0, sizeof shared);
    shared.fence = tenure_fence_new("x");
    for (uintptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, (void *)i), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.most_inside, 1);
    assert_int_equal(shared.went_back, 0);
    assert_true(shared.refused > 0);
    assert_int_equal(shared.last, tenure_fence_seen(shared.fence));
    tenure_fence_free(shared.fence);
}

/* ---- a file ---- */

static tenure_fence_file *opened(void)
{
    struct tenure_error err = {0};
    tenure_fence_file *f = tenure_fence_file_open(path, &err);
    if (!f)
        fail_msg("%s", err.text);
    return f;
}

static const char *contents(void)
{
    static char text[256];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = 0;
    return text;
}

static void a_file_remembers(void **state)
{
    struct tenure_error err = {0};
    tenure_fence_file *f = opened();
    (void)state;
    assert_int_equal(tenure_fence_file_seen(f, &err), 0);
    assert_int_equal(tenure_fence_file_replace(f, 41, 0, tenure_str("one"), &err), 0);
    tenure_fence_file_close(f);
    f = opened();
    assert_int_equal(tenure_fence_file_seen(f, &err), 41);
    assert_int_equal(tenure_fence_file_replace(f, 40, 0, tenure_str("zombie"), &err), TENURE_EFENCED);
    assert_non_null(strstr(err.text, path));
    assert_string_equal(contents(), "one");
    assert_int_equal(tenure_fence_file_replace(f, 41, 0, tenure_str("two"), &err), 0);
    assert_int_equal(tenure_fence_file_replace(f, 42, 0, tenure_str(""), &err), 0);
    assert_string_equal(contents(), "");
    tenure_fence_file_close(f);
}

static void a_file_keeps_its_mode(void **state)
{
    struct stat st;
    (void)state;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0640), 0);
    close(fd);
    tenure_fence_file *f = opened();
    assert_int_equal(tenure_fence_file_replace(f, 100, 0, tenure_str("x"), NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    tenure_fence_file_close(f);
}

static void one_at_a_time(void **state)
{
    struct tenure_error err = {0};
    tenure_fence_file *a = opened(), *b = opened();
    (void)state;
    assert_int_equal(tenure_fence_file_enter(a, 200, 0, &err), 0);
    assert_int_equal(tenure_fence_file_enter(a, 200, 0, &err), TENURE_EINVALID);
    assert_int_equal(tenure_fence_file_enter(b, 201, 0, &err), TENURE_EBUSY);
    assert_int_equal(tenure_fence_file_enter(b, 201, 30, &err), TENURE_ETIMEOUT);
    assert_int_equal(tenure_fence_file_seen(b, &err), 200);
    tenure_fence_file_leave(a);
    assert_int_equal(tenure_fence_file_enter(b, 201, 0, &err), 0);
    tenure_fence_file_leave(b);
    tenure_fence_file_leave(b);
    assert_int_equal(tenure_fence_file_enter(a, 200, 0, &err), TENURE_EFENCED);
    assert_int_equal(tenure_fence_file_enter(b, 200, 0, &err), TENURE_EFENCED); /* and nobody is left inside */
    tenure_fence_file_close(a);
    tenure_fence_file_close(b);
}

static void who_waits_for_a_file_is_let_go_with_his_scope(void **state)
{
    struct tenure_error err = {0};
    struct tenure_scope_options o = {.size = sizeof o, .timeout_ms = 30};
    tenure_fence_file *a = opened(), *b = opened();
    tenure_scope *late = tenure_scope_new(&o, &err), *cancelled = tenure_scope_new(NULL, &err);
    (void)state;
    assert_int_equal(tenure_fence_file_enter(a, 300, 0, &err), 0);
    tenure_scope *before = tenure_scope_use(late);
    assert_int_equal(tenure_fence_file_enter(b, 301, -1, &err), TENURE_ETIMEOUT);
    tenure_scope_cancel(cancelled);
    tenure_scope_use(cancelled);
    assert_int_equal(tenure_fence_file_enter(b, 301, -1, &err), TENURE_ECANCELLED);
    assert_int_equal(err.code, TENURE_ECANCELLED);
    tenure_fence_file_leave(a);
    assert_int_equal(tenure_fence_file_enter(b, 301, -1, &err), 0); /* nothing to wait for */
    tenure_fence_file_leave(b);
    tenure_scope_use(before);
    tenure_scope_free(late);
    tenure_scope_free(cancelled);
    tenure_fence_file_close(a);
    tenure_fence_file_close(b);
}

/* Writes a text of its token, over and over, until it is refused. */
static _Noreturn void process(int fd, int first)
{
    char text[32];
    tenure_token next;
    tenure_fence_file *f = tenure_fence_file_open(path, NULL);
    for (int i = 0; f && i < 60; i++) {
        if (pread(fd, &next, sizeof next, 0) != (ssize_t)sizeof next)
            _exit(3);
        next += first % 3; /* some are behind what others have shown */
        snprintf(text, sizeof text, "%020lld", (long long)next);
        int rc = tenure_fence_file_replace(f, next, -1, tenure_str(text), NULL);
        if (rc == TENURE_EFENCED)
            continue;
        if (rc < 0)
            _exit(2);
        next++;
        if (pwrite(fd, &next, sizeof next, 0) != (ssize_t)sizeof next)
            _exit(3);
    }
    _exit(f ? 0 : 1);
}

static void processes_never_write_backwards(void **state)
{
    tenure_token next = 1000, last = 0;
    pid_t pids[4];
    int status, alive = 4;
    char other[112];
    (void)state;
    snprintf(other, sizeof other, "%s/next", folder);
    int fd = open(other, O_RDWR | O_CREAT, 0600);
    assert_true(pwrite(fd, &next, sizeof next, 0) == (ssize_t)sizeof next);
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            process(fd, i);
    }
    while (alive > 0) {
        long long seen = atoll(contents());
        assert_true(seen == 0 || seen >= last);
        if (seen > last)
            last = seen;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        assert_true(pid <= 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        alive -= pid > 0;
    }
    tenure_fence_file *f = opened();
    assert_true(tenure_fence_file_seen(f, NULL) == atoll(contents()));
    tenure_fence_file_close(f);
    close(fd);
    unlink(other);
}

static void a_holder_that_dies_has_left(void **state)
{
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(tenure_fence_file_enter(tenure_fence_file_open(path, NULL), 5000, 0, NULL) == 0 ? 0 : 1);
    assert_true(waitpid(pid, &status, 0) == pid && status == 0);
    tenure_fence_file *f = opened();
    assert_int_equal(tenure_fence_file_enter(f, 4999, 0, NULL), TENURE_EFENCED);
    assert_int_equal(tenure_fence_file_enter(f, 5000, 0, NULL), 0);
    tenure_fence_file_close(f);
}

static void damage(off_t at, const char *text)
{
    int fd = open(side, O_RDWR);
    assert_true(pwrite(fd, text, strlen(text), at) == (ssize_t)strlen(text));
    close(fd);
}

static void a_torn_record_leaves_the_other(void **state)
{
    struct tenure_error err = {0};
    tenure_fence_file *f = opened();
    (void)state;
    unlink(side);
    tenure_fence_file_close(f);
    f = opened();
    assert_int_equal(tenure_fence_file_enter(f, 10, 0, NULL), 0); /* the first record */
    tenure_fence_file_leave(f);
    assert_int_equal(tenure_fence_file_enter(f, 20, 0, NULL), 0); /* the second */
    tenure_fence_file_leave(f);
    damage(4096 + 18, "77");
    assert_int_equal(tenure_fence_file_seen(f, &err), 10);
    assert_int_equal(tenure_fence_file_enter(f, 30, 0, &err), 0);
    tenure_fence_file_leave(f);
    assert_int_equal(tenure_fence_file_seen(f, &err), 30);
    damage(0, "hello");
    assert_int_equal(tenure_fence_file_seen(f, &err), 30);
    damage(4096, "hello");
    assert_int_equal(tenure_fence_file_seen(f, &err), TENURE_ECORRUPT);
    assert_non_null(strstr(err.text, side));
    assert_int_equal(tenure_fence_file_enter(f, 99, 0, &err), TENURE_ECORRUPT);
    tenure_fence_file_close(f);
    assert_null(tenure_fence_file_open(path, &err));
    assert_int_equal(err.code, TENURE_ECORRUPT);
}

static void what_cannot_be_opened_is_named(void **state)
{
    struct tenure_error err = {0};
    (void)state;
    assert_null(tenure_fence_file_open("/nowhere/at/all", &err));
    assert_int_equal(err.code, TENURE_EIO);
    assert_non_null(strstr(err.text, "/nowhere/at/all.fence"));
    assert_null(tenure_fence_file_open("", &err));
    assert_int_equal(err.code, TENURE_EINVALID);
}

static void a_token_of_a_request_is_digits_alone(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    tenure_token token = 5;
    assert_int_equal(tenure_token_parse(tenure_str("90344"), &token, &err), 0);
    assert_int_equal(token, 90344);
    for (const char *const *bad = (const char *const[]){"", "0", "-1", "7 ", "7, 8", "x", NULL}; *bad; bad++) {
        assert_int_equal(tenure_token_parse(tenure_str(*bad), &token, &err), TENURE_EINVALID);
        assert_non_null(strstr(err.text, "expected a number"));
    }
    assert_int_equal(token, 90344);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_of_a_request_is_digits_alone),
        cmocka_unit_test(a_smaller_token_is_refused),
        cmocka_unit_test(threads_see_tokens_grow_inside),
        cmocka_unit_test(a_file_remembers),
        cmocka_unit_test(a_file_keeps_its_mode),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(who_waits_for_a_file_is_let_go_with_his_scope),
        cmocka_unit_test(processes_never_write_backwards),
        cmocka_unit_test(a_holder_that_dies_has_left),
        cmocka_unit_test(a_torn_record_leaves_the_other),
        cmocka_unit_test(what_cannot_be_opened_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
