/* Filling a struct tenure_error: once where it happens, then wrapped outward ("open: load: …"). Pure. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/types.h"
#include "tenure/error.h"

/* Sets code, kind and text (err may be NULL) and answers code, so that `return error_set(err, …)` reads well. */
int error_set(struct tenure_error *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "context: " before the text that is there. Answers err->code (or TENURE_EINTERNAL for NULL). */
int error_wrap(struct tenure_error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void error_clear(struct tenure_error *err);
/* code < 0 from errno; used by drivers. */
int error_errno(struct tenure_error *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
