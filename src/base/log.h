/* Logging by value: an engine or driver is handed a struct log; there is no global one. A line is logfmt:
 * level=warn msg="lease expired" lease=7587 ttl=10. Pure: the sink writes. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/bytes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log {
    enum log_level min;
    /* One finished line without newline. Called on the thread that logs. NULL = drop. */
    void (*sink)(void *user, enum log_level level, const char *line);
    void *user;
};

/* msg is a plain sentence; fmt gives "key=value" pairs (use %s only for values without spaces or quotes, or quote them
 * by log_quote); NULL for none. log may be NULL. Lines over 1 KiB are cut. */
void log_write(const struct log *log, enum log_level level, const char *msg, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Writes s as a quoted, escaped logfmt value into out (cut to fit), answers out. */
const char *log_quote(char *out, size_t size, bytes s);
/* A finished line as a JSON object: {"level":"warn","ts":TIME,"msg":…,KEY:VALUE…}; numbers stay numbers, everything else is
 * text. time is left out when NULL. Cut at whole members. Answers out. */
const char *log_json(char *out, size_t size, const char *time, const char *line);
const char *log_level_name(enum log_level level);

#endif
