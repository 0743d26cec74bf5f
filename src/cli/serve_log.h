/* Where the log of `tenure serve` goes, and in which form. Lines come from one thread at a time or several: each is one
 * write. */
#ifndef CLI_SERVE_LOG_H
#define CLI_SERVE_LOG_H

#include "base/error.h"
#include "base/log.h"

struct serve_options;
struct serve_log;

/* TENURE_EINVALID: level, format or an output, named by its flag; TENURE_EIO …: a file. outputs etc. borrowed from o. */
int serve_log_open(const struct serve_options *o, struct serve_log **ret, struct tenure_error *err) MUST_USE;
struct serve_log *serve_log_close(struct serve_log *l); /* NULL is fine; NULL */
/* What the server is handed. may_change: the level may, so lines below it are made too, and dropped here. */
struct log serve_log_log(struct serve_log *l, bool may_change);
/* Opens the files again (logrotate has moved them) and sets the level of o, if it is one. */
void serve_log_reopen(struct serve_log *l, const struct serve_options *o);
/* "debug" …; panic and fatal are error, as far as this server can tell. False: none. */
bool serve_log_level_parse(const char *text, enum log_level *ret);

#endif
