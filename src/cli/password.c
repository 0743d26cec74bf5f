/* The terminal is put back whatever happens, signals that end the process excepted: the shell does that. */
#include "cli/password.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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
                "try: TENURE_PASSWORD in the environment, or --user %.64s:PASSWORD\n",
                who, user, user);
        return false;
    }
    setvbuf(tty, NULL, _IONBF, 0); /* nothing typed ahead is taken from the command, nor kept in memory */
    snprintf(prompt, sizeof prompt, "password of %.64s", user);
    bool ok = ask(tty, fd, prompt, "", out, size);
    fclose(tty);
    return ok;
}
