#include "cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/command.h"

#define TOLD_BYTES_MAX 32768 /* less than an empty pipe takes at once, so that to tell is not to wait */
#define TOLD_MAX       32

static bool sigpipe_was_ignored;

void spawn_remember_sigpipe(void)
{
    struct sigaction old;
    sigpipe_was_ignored = sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

static _Noreturn void fail(int error_fd, int why)
{
    if (write(error_fd, &why, sizeof why) < 0)
        _exit(EXIT_CANNOT_RUN); /* nobody is there to be told */
    _exit(why == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

/* The variables alone, as execve wants them; NULL without memory. */
static char **environment_of(const struct spawn_variable *variables)
{
    size_t n = 0;
    while (variables[n].name)
        n++;
    char **all = calloc(n + 1, sizeof *all);
    for (size_t i = 0; all && i < n; i++)
        if (asprintf(&all[i], "%s=%s", variables[i].name, variables[i].value) < 0)
            return NULL; /* of a process that ends at once */
    return all;
}

static _Noreturn void execute(int error_fd, char **argv, const struct spawn_variable *variables, bool pristine)
{
    char **all = pristine ? environment_of(variables) : NULL;
    if (pristine && !all)
        fail(error_fd, ENOMEM);
    for (const struct spawn_variable *v = variables; !pristine && v->name; v++)
        if (setenv(v->name, v->value, 1) < 0)
            fail(error_fd, errno);
    if (pristine)
        execvpe(argv[0], argv, all);
    else
        execvp(argv[0], argv);
    fail(error_fd, errno);
}

static bool read_all(int fd, void *out, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (char *)out + at, n - at);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

/* What spawn_tell says: the length, then name and value by turns, each with its NUL. NULL: tenure is gone, or changed its mind. */
static const struct spawn_variable *hear(int go_fd)
{
    static char bytes[TOLD_BYTES_MAX];
    static struct spawn_variable all[TOLD_MAX + 1];
    uint32_t size;
    if (!read_all(go_fd, &size, sizeof size) || !read_all(go_fd, bytes, size))
        return NULL;
    size_t n = 0;
    for (char *at = bytes, *end = bytes + size; at < end; n++) {
        char *value = at + strlen(at) + 1;
        all[n] = (struct spawn_variable){at, value};
        at = value + strlen(value) + 1;
    }
    return all;
}

static bool take_place_of(int fd, int standard)
{
    return fd < 0 || dup2(fd, standard) >= 0;
}

static _Noreturn void child(int go_fd, int error_fd, char **argv, const struct spawn_how *how)
{
    char go;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* should tenure and its guardian both be killed */
    const struct spawn_variable *variables = how->variables ? how->variables : hear(go_fd);
    if (!variables || read(go_fd, &go, 1) != 1)
        fail(error_fd, ECANCELED);
    if (!take_place_of(how->input, STDIN_FILENO) || !take_place_of(how->output, STDOUT_FILENO) ||
        !take_place_of(how->output, STDERR_FILENO))
        fail(error_fd, errno);
    if (!sigpipe_was_ignored)
        signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, how->mask, NULL);
    execute(error_fd, argv, variables, how->pristine);
}

static void close_both(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

bool spawn_make(struct spawn *s, char **argv, const struct spawn_variable *variables, const sigset_t *mask)
{
    return spawn_make_in(s, argv, variables, false, mask);
}

bool spawn_make_in(struct spawn *s, char **argv, const struct spawn_variable *variables, bool pristine,
                   const sigset_t *mask)
{
    struct spawn_how how = {.variables = variables, .pristine = pristine, .mask = mask, .input = -1, .output = -1};
    return spawn_make_as(s, argv, &how);
}

bool spawn_make_as(struct spawn *s, char **argv, const struct spawn_how *how)
{
    int go[2], error[2];
    *s = (struct spawn){.go_fd = -1, .error_fd = -1};
    if (pipe2(go, O_CLOEXEC) < 0)
        return false;
    if (pipe2(error, O_CLOEXEC) < 0) {
        close_both(go);
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]); /* else the end of tenure would not be seen */
        child(go[0], error[1], argv, how);
    }
    close(go[0]);
    close(error[1]);
    if (pid < 0) {
        close(go[1]);
        close(error[0]);
        return false;
    }
    setpgid(pid, pid); /* the child does the same: whoever comes first */
    *s = (struct spawn){.pid = pid, .go_fd = go[1], .error_fd = error[0]};
    return true;
}

/* Appends it with its NUL; false when it does not fit. */
static bool put_text(char *bytes, size_t *n, const char *text)
{
    size_t size = strlen(text) + 1;
    if (size > TOLD_BYTES_MAX - *n)
        return false;
    memcpy(bytes + *n, text, size);
    *n += size;
    return true;
}

bool spawn_tell(struct spawn *s, const struct spawn_variable *variables)
{
    char bytes[sizeof(uint32_t) + TOLD_BYTES_MAX];
    size_t n = 0, count = 0;
    for (const struct spawn_variable *v = variables; v->name; v++, count++) {
        if (count == TOLD_MAX || !put_text(bytes + sizeof(uint32_t), &n, v->name) ||
            !put_text(bytes + sizeof(uint32_t), &n, v->value)) {
            errno = E2BIG;
            return false;
        }
    }
    memcpy(bytes, &(uint32_t){(uint32_t)n}, sizeof(uint32_t));
    n += sizeof(uint32_t);
    return write(s->go_fd, bytes, n) == (ssize_t)n;
}

void spawn_go(struct spawn *s)
{
    ssize_t ignored = write(s->go_fd, "", 1); /* when it is dead already, its end tells */
    (void)ignored;
    spawn_cancel(s);
}

void spawn_cancel(struct spawn *s)
{
    if (s->pid && s->go_fd >= 0)
        close(s->go_fd);
    s->go_fd = -1;
}

int spawn_error(const struct spawn *s)
{
    int why;
    struct pollfd fd = {.fd = s->error_fd, .events = POLLIN};
    if (s->error_fd < 0 || poll(&fd, 1, 0) <= 0)
        return 0;
    return read(s->error_fd, &why, sizeof why) == (ssize_t)sizeof why ? why : 0;
}

void spawn_fini(struct spawn *s)
{
    if (!s->pid)
        return;
    spawn_cancel(s);
    if (s->error_fd >= 0)
        close(s->error_fd);
    *s = (struct spawn){.go_fd = -1, .error_fd = -1};
}
