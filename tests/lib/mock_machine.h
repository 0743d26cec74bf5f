/* What the files of the servers in memory (mock_server.h) share. */
#ifndef TESTS_MOCK_MACHINE_H
#define TESTS_MOCK_MACHINE_H

#include "mock_server.h"

enum { TURNS_MAX = 1000, WATCHERS_MAX = 64, TRICKLE_MS = 100 };

struct chunk {
    struct list link;
    tn_ms due;
    bool to_client;
    size_t len;
    uint8_t data[];
};

struct server_conn {
    struct list link;
    struct world *w;
    size_t endpoint;
    uint32_t number;
    bool open; /* else connecting */
    tn_ms connect_due;
    bool lossy; /* bytes were swallowed */
    bool dead;  /* the server's side ended: the client is to be told */
    struct h2_conn *h2;
    struct list chunks;
    tn_ms to_client_due, to_server_due; /* of the last chunk */
    struct list streams;
    tn_ms trickle_at;
};

struct watcher {
    int64_t id;
    struct watch_create_req req; /* owns its key and end */
};

struct server_stream {
    char token[32];
    struct list link;
    struct server_conn *conn;
    struct h2_stream *st;
    char path[64];
    struct buf late;
    tn_ms late_at;
    struct watcher *watchers[WATCHERS_MAX];
    size_t n_watchers;
    int64_t next_id;
};

/* ---- mock_server.c ---- */

bytes mock_dup_bytes(bytes s);
bool mock_ends_with(const char *s, const char *end);
struct response_header mock_header_of(const struct world *w);
void mock_conn_die(struct server_conn *conn);
void mock_conn_say(struct server_conn *conn, bytes raw);

/* ---- mock_requests.c ---- */

void mock_push_event(struct world *w, enum event_type type, bytes key, bytes value);
size_t mock_find_lease(const struct world *w, tn_lease id);
void mock_send_watch_resp(struct server_stream *s, const struct watch_resp *r);
void mock_watcher_free(struct watcher *x);
void mock_tell_watchers(struct world *w, size_t first_event);
void mock_answer(struct server_stream *s, struct buf *out);
void mock_put_key(struct world *w, const struct put_req *r);
void mock_finish(struct server_stream *s, enum grpc_status status, const char *text);
void mock_handle_message(struct server_stream *s, bytes message);
void mock_apply_only(struct server_stream *s, bytes message);

#endif
