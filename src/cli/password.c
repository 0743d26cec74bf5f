/* The terminal is put back whatever happens, signals that end the process excepted: the shell does that. */
#include "cli/password.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static bool read_line(char *out, size_t size)
{
    if (!fgets(out, (int)size, stdin)) {
        fputs("tenure: no password: standard input ended\n", stderr);
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

static bool ask(const char *prompt, const char *again, char *out, size_t size)
{
    struct termios before, quiet;
    bool hidden = tcgetattr(STDIN_FILENO, &before) == 0;
    fprintf(stderr, "%s%s: ", prompt, again);
    if (hidden) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool ok = read_line(out, size);
    if (hidden) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    return ok;
}

bool password_read(const char *prompt, bool twice, char *out, size_t size)
{
    char second[256];
    if (!isatty(STDIN_FILENO))
        return read_line(out, size);
    if (!ask(prompt, "", out, size))
        return false;
    if (!twice)
        return true;
    bool ok = ask(prompt, ", again", second, sizeof second);
    bool same = ok && strcmp(out, second) == 0;
    explicit_bzero(second, sizeof second);
    if (ok && !same)
        fputs("tenure: the two passwords differ\n", stderr);
    return same;
}
