/* What the values of a scheduler's keys say, as JSON; who runs and with what result. */
#ifndef LIB_CRON_WORDS_H
#define LIB_CRON_WORDS_H

#include "base/bytes.h"

/* Members of a JSON object without its braces, malloc'd: "\"host\":…,\"pid\":…" of this process. NULL when out of memory. */
char *cron_who_new(void) MUST_USE;
/* "\"result\":…,\"text\":…". text may be NULL. NULL when out of memory or text is no UTF-8. */
char *cron_result_new(int result, const char *text) MUST_USE;

struct cron_words {
    int64_t attempt, began_ms, ended_ms, token, result, pid;
    char *host, *text; /* malloc'd; NULL where nothing is said */
    bool done;
};
/* Believes nothing; false for what is no record. */
bool cron_words_read(bytes value, struct cron_words *ret);
void cron_words_fini(struct cron_words *w);

#endif
