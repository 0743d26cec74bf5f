/* The terminal is put back whatever happens, signals that end the process excepted: the shell does that. */
#include "cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static bool read_line(FILE *in, char *out, size_t size)
{
    if (!fgets(out, (int)size, in)) {
        fprintf(stderr, "tenure: no password: %s ended\n", in == stdin ? "standard input" : "the terminal's input");
        return false;
    }
    size_t len = strlen(out);
    if (len > 0 && out[len - 1] == '\n')
        out[--len] = 0;
    else if (len + 1 == size) {
        fprintf(stderr, "tenure: the password is longer than %zu bytes\n", size - 2);
        return false;
    }
    if (out[0] == 0) { /* of a tool that failed, or Enter by mistake: everybody could log in */
        fputs("tenure: no password: the line is empty\n", stderr);
        return false;
    }
    return true;
}

/* Prompts on out, a descriptor. */
static bool ask(FILE *in, int out_fd, const char *prompt, const char *again, char *out, size_t size)
{
    struct termios before, quiet;
    bool hidden = tcgetattr(fileno(in), &before) == 0;
    if (hidden) { /* before the prompt: who sees that may type */
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(fileno(in), TCSAFLUSH, &quiet);
    }
    dprintf(out_fd, "%s%s: ", prompt, again);
    bool ok = read_line(in, out, size);
    if (hidden) {
        tcsetattr(fileno(in), TCSAFLUSH, &before);
        dprintf(out_fd, "\n");
    }
    return ok;
}

bool password_read(const char *prompt, bool twice, char *out, size_t size)
{
    char second[256];
    if (!isatty(STDIN_FILENO))
        return read_line(stdin, out, size);
    if (!ask(stdin, STDERR_FILENO, prompt, "", out, size))
        return false;
    if (!twice)
        return true;
    bool ok = ask(stdin, STDERR_FILENO, prompt, ", again", second, sizeof second);
    bool same = ok && strcmp(out, second) == 0;
    explicit_bzero(second, sizeof second);
    if (ok && !same)
        fputs("tenure: the two passwords differ\n", stderr);
    return same;
}

bool password_ask(const char *who, const char *user, char *out, size_t size)
{
    char prompt[128];
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    FILE *tty = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!tty) {
        if (fd >= 0)
            close(fd);
        fprintf(stderr,
                "%s: the password of '%.64s' is not given, and there is no terminal to ask for it\n"
                "try: --password-file FILE, or TENURE_PASSWORD in the environment\n",
                who, user);
        return false;
    }
    setvbuf(tty, NULL, _IONBF, 0); /* nothing typed ahead is taken from the command, nor kept in memory */
    snprintf(prompt, sizeof prompt, "password of %.64s", user);
    bool ok = ask(tty, fd, prompt, "", out, size);
    fclose(tty);
    return ok;
}

static bool refuse_file(const char *who, const char *path, const char *why)
{
    fprintf(stderr, "%s: --password-file %s: %s\n", who, path, why);
    return false;
}

/* The end of a line, or of the file, ends it. */
static bool take_first_line(const char *who, const char *path, char *out, size_t size, size_t len)
{
    char *end = memchr(out, '\n', len);
    if (!end && len + 1 >= size)
        return refuse_file(who, path, "its first line is too long");
    out[end ? (size_t)(end - out) : len] = 0;
    if (end && end > out && end[-1] == '\r')
        end[-1] = 0;
    return out[0] ? true : refuse_file(who, path, "its first line is empty");
}

bool password_from_file(const char *who, const char *path, char *out, size_t size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return refuse_file(who, path, strerror(errno));
    const char *wrong = NULL;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        wrong = "not a file";
    else if (st.st_mode & 07)
        wrong = "others can read it, or write it (try: chmod 600)";
    ssize_t n = wrong ? 0 : read(fd, out, size - 1);
    if (n < 0)
        wrong = strerror(errno);
    close(fd);
    return wrong ? refuse_file(who, path, wrong) : take_first_line(who, path, out, size, (size_t)n);
}
