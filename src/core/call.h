/* One call: its method, its replies, its end. */
#ifndef CORE_CALL_H
#define CORE_CALL_H

#include "core/state.h"

/* A service's function for a message. The arena and out of the core are empty when it is called; a unary call must have been
 * answered, or held, or have a task, when it returns. */
struct core_method {
    const char *service, *name;
    bool is_stream;
    bool may_wait; /* a unary call whose request is put aside while the connection has no room for replies */
    void (*on_message)(struct core_call *call, bytes in, tn_ms now);
    void (*on_half_close)(struct core_call *call); /* of streams; NULL = goes on */
    bool is_asked_once;                            /* a stream of replies to one request */
    bool tells_text_alone;                         /* etcd's errors come with code Unknown */
};

/* ---- dispatch.c ---- */
void dispatch_request(struct core_conn *conn, struct h2_stream *st, const struct h2_request *req);
void dispatch_message(struct core_call *call, bytes in, tn_ms now);
void dispatch_half_close(struct core_call *call);
/* Hands a message to the call's method, or to the source of a copy. The arena and out are empty. */
void dispatch_run(struct core_call *call, bytes in, tn_ms now);
/* The i-th method of all; NULL behind the last one. */
const struct core_method *dispatch_method(size_t i);

/* ---- numbers.c ---- */
void counts_time(struct method_counts *counts, tn_ms took_ms);

/* ---- call.c ---- */
struct core_call *call_new(struct core_conn *conn, struct h2_stream *st, const struct core_method *m,
                           struct method_counts *counts) MUST_USE;
/* The stream is gone. */
void call_free(struct core_call *call);
/* Answers a unary call with core.out once seq is durable. A reply that cannot be kept resets the call: its client must
 * take it as "maybe". */
void call_reply(struct core_call *call, tn_seq seq);
/* The same, but always through the gate; answers the entry, in which compactions and grants keep something, or NULL. */
struct held *call_reply_held(struct core_call *call, tn_seq seq);
/* Ends with an error once seq is durable. */
void call_fail_at(struct core_call *call, enum etcd_error e, tn_seq seq);
/* The same of a write that the store refused: for want of room it raises the alarm. (svc_maintenance.c) */
void call_fail_write(struct core_call *call, enum etcd_error e, tn_seq seq, tn_ms now);
/* Ends at once. */
void call_fail(struct core_call *call, enum etcd_error e);
void call_finish(struct core_call *call, enum grpc_status status, const char *text);
/* Ends by RST_STREAM: neither yes nor no. */
void call_reset(struct core_call *call);
/* Queues core.out as one message; resets the call and answers false when memory is short. */
bool call_send(struct core_call *call) MUST_USE;
/* The same, but when it is written is for the caller to see to (conn_touch and its sisters). */
bool call_queue(struct core_call *call) MUST_USE;
/* Whether decoding went well; ends the call otherwise. */
bool call_decoded(struct core_call *call, int rc) MUST_USE;
/* Whether a write of that size is over the bound, which is asked once it is known to be right in itself. */
bool call_is_too_large(const struct core_call *call, size_t request_bytes);
/* Whether a write of that size and kind is taken now; ends the call otherwise. */
bool call_may_write(struct core_call *call, size_t request_bytes, enum write_kind kind, tn_ms now) MUST_USE;
/* Whether one more reply may be held; ends the call otherwise. */
bool call_may_wait(struct core_call *call) MUST_USE;

/* ---- services ---- */
extern const struct core_method kv_methods[], watch_methods[], lease_methods[], cluster_methods[],
    maintenance_methods[], health_methods[], replica_methods[], auth_methods[], lock_methods[], election_methods[];
extern const size_t kv_methods_len, watch_methods_len, lease_methods_len, cluster_methods_len, maintenance_methods_len,
    health_methods_len, auth_methods_len, replica_methods_len, lock_methods_len, election_methods_len;

/* svc_hash.c */
void maintenance_hash_kv(struct core_call *call, bytes in, tn_ms now);
void maintenance_hash(struct core_call *call, bytes in, tn_ms now);

/* defragment.c */
void maintenance_defragment(struct core_call *call, bytes in, tn_ms now);

/* svc_health.c: tells those who watch it. */
void health_changed(struct core *c);

/* svc_range_stream.c */
void kv_range_stream(struct core_call *call, bytes in, tn_ms now);
/* svc_snapshot.c: a method of Maintenance */
void snapshot_message(struct core_call *call, bytes in, tn_ms now);

/* source.c: whether the message was taken, to be sent on or to wait; else it is answered here. */
bool source_takes(struct core_call *call, bytes in, tn_ms now) MUST_USE;

/* svc_lease.c: one renewal, and its reply into the gate. Also for those whose first answer was undone. */
void lease_renew(struct core_call *call, tn_lease id, tn_ms now);
/* Ends the stream when its client has no more to ask and all is answered. */
void lease_stream_settle(struct core_call *call);

#endif
