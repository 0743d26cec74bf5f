/* What a member's key says of it: small JSON, {"host": …, "pid": …, "since": …, "data": …}. */
#ifndef LIB_GROUP_VALUE_H
#define LIB_GROUP_VALUE_H

#include "base/bytes.h"

/* Whether it can be put in: UTF-8. NULL is "". */
bool group_data_fits(const char *data);
/* Of this process, since then. data that is a JSON object or array is put in as that, anything else as text. Malloc'd,
 * 0-terminated; NULL when out of memory. */
char *group_value_new(const char *data, int64_t since_ms) MUST_USE;

struct group_words {
    char *host, *data; /* malloc'd; NULL where nothing is said */
    int64_t pid, since_ms;
};
/* Believes nothing: what is no such value leaves them empty. */
void group_value_read(bytes value, struct group_words *ret);
void group_words_fini(struct group_words *w);

#endif
