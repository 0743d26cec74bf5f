/* A value from standard input. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stddef.h>

/* All of standard input, the caller's to free; NULL after having said why ("tenure COMMAND: …"). */
char *input_all(const char *command, size_t *ret_len);

#endif
