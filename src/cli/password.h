/* Asking for a password: on the terminal without showing it; a new one may also be the first line of standard input. */
#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

/* prompt names whose password is asked for. twice: on a terminal it is asked for again, and both must be equal. False after
 * having said on stderr why there is none. */
bool password_read(const char *prompt, bool twice, char *out, size_t size);

/* The password of who asks, whatever standard input is: on the terminal of this process. False after having said on stderr, for
 * the command `who`, what to do where there is none. */
bool password_ask(const char *who, const char *user, char *out, size_t size);

/* The first line of a file, which must not be readable by others. False after having said on stderr why it is none. */
bool password_from_file(const char *who, const char *path, char *out, size_t size);

#endif
