/* A value that is to be sealed, as it is typed: nobody else is to see it. */
#ifndef CLI_CONF_SECRET_H
#define CLI_CONF_SECRET_H

#include <stddef.h>

struct conf_secret {
    char *text; /* with a 0 behind its len bytes */
    size_t len;
};

/* word: "-" is all of standard input, "@FILE" a file, both byte for byte; NULL: asked for on the terminal, twice, else standard input.
 * Anything else is the value itself: taken out of the process list, which others on this machine can read, with a warning that a
 * shell's history keeps it. Answers the exit code, having said what is wrong. */
int conf_secret_take(const char *key, char *word, struct conf_secret *ret);
/* Wipes. A zeroed one is fine. */
void conf_secret_fini(struct conf_secret *s);

#endif
