/* Watching the calls of a handle: what a program needs to feed its tracing, histograms or access log. No cost where nobody watches.
 *
 *     static void on_call(void *user, const struct tenure_call_event *e) { … }
 *     struct tenure_options o = {.size = sizeof o, .on_call = on_call, .on_call_user = &metrics};
 *     tenure_client *c = tenure_open(NULL, &o, &err);
 *
 * A call is one request of etcd's API until its end is known: what the program asks for by a function of kv.h is one; acquiring a
 * lock is several. It is sent once, or, where an endpoint fails and it is safe, again: each time is an attempt. Of each call come, in
 * this order: BEGIN; for each attempt ATTEMPT_BEGIN and ATTEMPT_END; END. A call that ends before any endpoint could be
 * reached has no attempt. Handing a blocking call over to the handle's thread comes before its BEGIN. Not calls, and without
 * events: connections, and the streams that all watches and all renewals of leases share; tenure_stats counts those.
 *
 * Whose calls they are: a scope (scope.h) may carry a pointer of the program's and a W3C trace context. Every call made for what
 * was begun in it has both in its events, and sends the context to the server as gRPC metadata (`traceparent`, `tracestate`): also
 * those that a recipe makes on the program's behalf, in callbacks of its own and when timers fire, to take back what a
 * cancelled one had made, and to let go of a lock that was acquired in it. What lives on until its own stop function is called
 * (elections, observers, presences, schedulers) makes its calls for nobody, as do sessions but for the grant with which
 * the first lock of a shared one begins it.
 *
 * Thread: the loop's, from within the library's work. The function must not call anything of this library, on no handle
 * (blocking and `_start` functions answer TENURE_EINVALID there), must not block, and should be as quick as one that writes a log
 * line: nothing else of the handle goes on meanwhile. What it is given is borrowed for the call, but for method, which is
 * static, and endpoint, which lives as long as the handle.
 */
#ifndef TENURE_TRACE_H
#define TENURE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include <tenure/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

enum tenure_call_event_kind {
    TENURE_CALL_BEGIN = 1,
    TENURE_CALL_ATTEMPT_BEGIN, /* handed to a connection */
    TENURE_CALL_ATTEMPT_END,
    TENURE_CALL_END /* just before its completion, or before who waits for it is woken */
};

/* Later versions may know more: size says how much is there. */
struct tenure_call_event {
    size_t size;
    enum tenure_call_event_kind kind;
    uint64_t call;      /* the number of the call, from 1 on; the same in all its events, never again on this handle */
    unsigned attempt;   /* the number of the attempt, from 1 on; at the call's END how many there were */
    int by_program;     /* not 0: it is what a function of the program's asked for; 0: a part of what a recipe does */
    const char *method; /* "/etcdserverpb.KV/Put" */
    const char *endpoint; /* of the (last) attempt; NULL: there was none yet */
    int64_t time_ns;      /* since 1970-01-01 UTC, of this event */
    int64_t
        duration_ns; /* of both ends: since the BEGIN that belongs to it, by a clock that only goes forward; else 0 */
    size_t bytes_out, bytes_in; /* messages before compression and framing: of the attempt; at END of all attempts */

    /* Of both ends; 0, -1, TENURE_APPLIED_NO and "" in the others. */
    int code;                    /* 0 or TENURE_E…; of an attempt that was answered, what the answer means */
    int grpc_status;             /* as a server said it; -1: none did */
    enum tenure_applied applied; /* whether the write took effect, as far as is known; of reads NO */
    const char *error;           /* a sentence for a person; "" = there is none */

    /* Of the scope; NULL = none was given. */
    void *scope_user;
    const char *traceparent, *tracestate;
};

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
