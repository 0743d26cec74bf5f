/* The error list as text, and filling a struct tenure_error.
 *
 * A text is built in a local buffer and copied at the end, so that the old text may be an argument of the new one. It
 * ends at a whole UTF-8 character when it is too long, and holds no line breaks whatever was formatted into it.
 */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/bytes.h"

enum { TEXT_SIZE = sizeof(((struct tenure_error *)NULL)->text) };

enum tenure_kind tenure_error_kind(int code)
{
    switch (code) {
    case TENURE_OK:
        return TENURE_KIND_NONE;
#define CASE(name, code, kind, text)                                                                                   \
    case TENURE_E##name:                                                                                               \
        return TENURE_KIND_##kind;
        TENURE_ERRORS(CASE)
#undef CASE
    default:
        return TENURE_KIND_INTERNAL;
    }
}

const char *tenure_error_string(int code)
{
    switch (code) {
    case TENURE_OK:
        return "no error";
#define CASE(name, code, kind, text)                                                                                   \
    case TENURE_E##name:                                                                                               \
        return text;
        TENURE_ERRORS(CASE)
#undef CASE
    default:
        return "unknown error";
    }
}

const char *tenure_kind_string(enum tenure_kind kind)
{
    switch (kind) {
    case TENURE_KIND_NONE:
        return "none";
    case TENURE_KIND_USAGE:
        return "usage";
    case TENURE_KIND_NOT_FOUND:
        return "not-found";
    case TENURE_KIND_CONFLICT:
        return "conflict";
    case TENURE_KIND_DENIED:
        return "denied";
    case TENURE_KIND_UNAVAILABLE:
        return "unavailable";
    case TENURE_KIND_TIMEOUT:
        return "timeout";
    case TENURE_KIND_CANCELLED:
        return "cancelled";
    case TENURE_KIND_LOST:
        return "lost";
    case TENURE_KIND_RESOURCE:
        return "resource";
    case TENURE_KIND_CORRUPT:
        return "corrupt";
    case TENURE_KIND_INTERNAL:
        return "internal";
    }
    return "internal"; /* a number that is no kind, from a newer or careless caller */
}

enum tenure_applied tenure_error_applied(const struct tenure_error *err)
{
    return err ? err->applied : TENURE_APPLIED_NO;
}

/* One line of at most TEXT_SIZE - 1 bytes of whole characters out of what was formatted into text. */
static void text_tidy(char text[TEXT_SIZE], int formatted)
{
    if (formatted < 0)
        text[0] = 0;
    if (formatted >= TEXT_SIZE)
        text[bytes_utf8_cut(bytes_str(text), TEXT_SIZE - 1)] = 0;
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
        else if (bytes_is_c1(c))
            c[0] = c[1] = ' ';
    }
}

static void text_join(char text[TEXT_SIZE], const char *head, const char *tail)
{
    text_tidy(text, snprintf(text, TEXT_SIZE, "%s: %s", head, tail));
}

static void error_fill(struct tenure_error *err, int code, const char text[TEXT_SIZE])
{
    *err = (struct tenure_error){.code = code, .kind = tenure_error_kind(code)};
    memcpy(err->text, text, TEXT_SIZE);
}

int error_set(struct tenure_error *err, int code, const char *fmt, ...)
{
    assert(code < 0);
    if (!err)
        return code;
    char text[TEXT_SIZE] = {0};
    va_list args;
    va_start(args, fmt);
    text_tidy(text, vsnprintf(text, sizeof text, fmt, args));
    va_end(args);
    error_fill(err, code, text);
    return code;
}

int error_wrap(struct tenure_error *err, const char *fmt, ...)
{
    if (!err)
        return TENURE_EINTERNAL;
    char context[TEXT_SIZE] = {0};
    va_list args;
    va_start(args, fmt);
    text_tidy(context, vsnprintf(context, sizeof context, fmt, args));
    va_end(args);
    char text[TEXT_SIZE] = {0};
    text_join(text, context, err->text);
    memcpy(err->text, text, sizeof text);
    return err->code;
}

void error_clear(struct tenure_error *err)
{
    if (err)
        *err = (struct tenure_error){0};
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return TENURE_ENOMEM;
    case ENOENT:
        return TENURE_ENOTFOUND;
    case EEXIST:
        return TENURE_EEXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return TENURE_EDENIED;
    case ENOSPC:
    case EDQUOT:
        return TENURE_ENOSPACE;
    case EFBIG:
    case EMSGSIZE:
    case ENAMETOOLONG:
        return TENURE_ETOOLARGE;
    case EMFILE:
    case ENFILE:
        return TENURE_ELIMIT;
    case EBUSY:
    case EADDRINUSE:
        return TENURE_EBUSY;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EPIPE:
        return TENURE_EUNAVAILABLE;
    case ETIMEDOUT:
        return TENURE_ETIMEOUT;
    case ECANCELED:
        return TENURE_ECANCELLED;
    default:
        return TENURE_EIO;
    }
}

int error_errno(struct tenure_error *err, int errnum, const char *fmt, ...)
{
    int code = code_of_errno(errnum);
    if (!err)
        return code;
    char context[TEXT_SIZE] = {0};
    va_list args;
    va_start(args, fmt);
    text_tidy(context, vsnprintf(context, sizeof context, fmt, args));
    va_end(args);
    char text[TEXT_SIZE] = {0};
    text_join(text, context, strerror(errnum));
    error_fill(err, code, text);
    return code;
}
