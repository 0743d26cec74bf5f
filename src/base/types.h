/* The four numbers that everything is counted in; distinct names so that a signature says which one it takes. Pure. */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t tn_rev;   /* a store revision (main) */
typedef int64_t tn_lease; /* a lease id; 0 is none */
typedef int64_t tn_ms;    /* milliseconds on the driver's monotonic clock (CLOCK_BOOTTIME); never wall clock */
typedef int64_t tn_seq;   /* a log sequence: one a durable row */

#define TN_MS_NEVER                     INT64_MAX

#define MUST_USE                        __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args)          __attribute__((format(printf, fmt, args)))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))

#endif
