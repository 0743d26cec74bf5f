/* The events of calls (tenure/trace.h) for the program, and the words of a trace context. */
#ifndef LIB_TRACE_H
#define LIB_TRACE_H

#include <stdbool.h>

#include "base/error.h"

struct client_event;

/* client_config.on_event of a handle that has an on_call; user: the handle. */
void trace_on_event(void *user, const struct client_event *e);
/* Whether this thread is in an on_call now, where nothing may be called. */
bool trace_is_inside(void);
/* 0, or TENURE_EINVALID with what was expected and where. NULL is fine, but a tracestate without a traceparent. Any thread. */
int trace_check(const char *traceparent, const char *tracestate, struct tenure_error *err) MUST_USE;

#endif
