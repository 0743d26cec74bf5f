#include "cli/input.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUE_BYTES_MAX (64u << 20)

char *input_all(const char *command, size_t *ret_len)
{
    size_t len = 0, cap = 4096;
    char *data = malloc(cap);
    while (data) {
        len += fread(data + len, 1, cap - len, stdin);
        if (len < cap)
            break;
        if (cap >= VALUE_BYTES_MAX) {
            fprintf(stderr, "tenure %s: the value on standard input is longer than %u bytes\n", command,
                    VALUE_BYTES_MAX);
            free(data);
            return NULL;
        }
        char *more = realloc(data, cap *= 2);
        if (!more)
            free(data);
        data = more;
    }
    if (!data || ferror(stdin)) {
        fprintf(stderr, "tenure %s: %s\n", command, data ? "reading standard input failed" : "out of memory");
        free(data);
        return NULL;
    }
    *ret_len = len;
    return data;
}
