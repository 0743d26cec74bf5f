/* Errors of libtenure: one number, one kind to branch on, one sentence for a person.
 *
 * Pure data; any thread. A function that can fail returns 0 or a negative TENURE_E… code and, where it takes a
 * `struct tenure_error *`, fills it (NULL is allowed and means "no text wanted").
 */
#ifndef TENURE_ERROR_H
#define TENURE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* What a caller can do about an error: branch on this, not on the code. */
enum tenure_kind {
    TENURE_KIND_NONE = 0,
    TENURE_KIND_USAGE,       /* the call or its arguments are wrong; repeating it is pointless */
    TENURE_KIND_NOT_FOUND,   /* the key, lease or name does not exist */
    TENURE_KIND_CONFLICT,    /* the state is not what the call requires */
    TENURE_KIND_DENIED,      /* no permission, or not logged in */
    TENURE_KIND_UNAVAILABLE, /* no server can take the call now; later it may work */
    TENURE_KIND_TIMEOUT,     /* the deadline passed */
    TENURE_KIND_CANCELLED,   /* the caller, or a close, ended it */
    TENURE_KIND_LOST,        /* the lease behind a session, lock or leadership is gone */
    TENURE_KIND_RESOURCE,    /* memory, disk, quota or a stated bound is exhausted */
    TENURE_KIND_CORRUPT,     /* stored data or a reply is not what it must be */
    TENURE_KIND_INTERNAL     /* a fault of ours */
};

/* Whether the server carried a failed write out. Reads answer TENURE_APPLIED_NO. */
enum tenure_applied { TENURE_APPLIED_NO = 0, TENURE_APPLIED_YES = 1, TENURE_APPLIED_MAYBE = 2 };

/* The one list: X(NAME, code, KIND, text). Codes never change once released. */
#define TENURE_ERRORS(X)                                                                                               \
    X(INVALID, -1, USAGE, "invalid argument")                                                                          \
    X(NOMEM, -2, RESOURCE, "out of memory")                                                                            \
    X(NOTFOUND, -3, NOT_FOUND, "not found")                                                                            \
    X(EXISTS, -4, CONFLICT, "already exists")                                                                          \
    X(CONFLICT, -5, CONFLICT, "the state is not as required")                                                          \
    X(DENIED, -6, DENIED, "permission denied")                                                                         \
    X(UNAVAILABLE, -7, UNAVAILABLE, "no server available")                                                             \
    X(TIMEOUT, -8, TIMEOUT, "deadline exceeded")                                                                       \
    X(CANCELLED, -9, CANCELLED, "cancelled")                                                                           \
    X(LOST, -10, LOST, "lease lost")                                                                                   \
    X(TOOLARGE, -11, RESOURCE, "too large")                                                                            \
    X(NOSPACE, -12, RESOURCE, "no space left")                                                                         \
    X(COMPACTED, -13, NOT_FOUND, "revision has been compacted")                                                        \
    X(FUTURE, -14, USAGE, "revision is in the future")                                                                 \
    X(CORRUPT, -15, CORRUPT, "corrupt data")                                                                           \
    X(PROTOCOL, -16, CORRUPT, "protocol error")                                                                        \
    X(IO, -17, INTERNAL, "input or output failed")                                                                     \
    X(BUSY, -18, CONFLICT, "in use")                                                                                   \
    X(CLOSED, -19, CANCELLED, "closed")                                                                                \
    X(FORKED, -20, USAGE, "handle belongs to the parent process")                                                      \
    X(VERSION, -21, USAGE, "version not supported")                                                                    \
    X(NOTHELD, -22, LOST, "not held")                                                                                  \
    X(LIMIT, -23, RESOURCE, "limit reached")                                                                           \
    X(UNIMPLEMENTED, -24, USAGE, "not implemented by the server")                                                      \
    X(FENCED, -25, LOST, "fenced: another holder came after this one")                                                 \
    X(STALE, -26, UNAVAILABLE, "older than allowed")                                                                   \
    X(INTERNAL, -99, INTERNAL, "internal error")

#define TENURE_ERROR_ENUM(name, code, kind, text) TENURE_E##name = (code),
enum tenure_code { TENURE_OK = 0, TENURE_ERRORS(TENURE_ERROR_ENUM) };
#undef TENURE_ERROR_ENUM

struct tenure_error {
    int code;                    /* a TENURE_E… code, 0 when nothing failed */
    enum tenure_kind kind;       /* follows from code */
    enum tenure_applied applied; /* whether a failed write took effect */
    int grpc_status;             /* the server's gRPC status where there was one, else 0 */
    char text[256];              /* one sentence: the thing, what was expected, what to do; no newline; UTF-8 */
};

/* The kind of a code: TENURE_KIND_INTERNAL for a number that is none of ours. Never fails. */
enum tenure_kind tenure_error_kind(int code);

/* The fixed short text of a code, static storage. Never NULL. */
const char *tenure_error_string(int code);

/* The name of a kind in lower case with dashes ("not-found"), static storage. Never NULL. */
const char *tenure_kind_string(enum tenure_kind kind);

/* Whether the failed call took effect at the server: no, yes, or maybe. NULL answers no. */
enum tenure_applied tenure_error_applied(const struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
