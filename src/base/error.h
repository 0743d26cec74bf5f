/* Filling a struct tenure_error: once where it happens, then wrapped outward ("open: load: …"). Pure. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/types.h"
#include "tenure/error.h"

/* Sets code (below 0), kind and text, the rest to 0 (err may be NULL, need not be initialised, and its old text may be
 * an argument). Answers code, so that `return error_set(err, …)` reads well. */
int error_set(struct tenure_error *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "context: " before the text that is there. Answers err->code (or TENURE_EINTERNAL for NULL). */
int error_wrap(struct tenure_error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_clear(struct tenure_error *err);
/* Like error_set with the code that belongs to errnum, and ": " and its description after the text; used by drivers.
 * Answers the code. */
int error_errno(struct tenure_error *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
