/* A server whose connections speak HTTP/1, in memory: store, core and engine, a log that is durable at once (or held), and
 * what the peers have sent and got. */
#ifndef TESTS_HTTP_RIG_H
#define TESTS_HTTP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/core.h"
#include "http/http.h"
#include "store/store.h"

#define RIG_PEERS_MAX 4

struct peer {
    struct rig *rig;
    struct core_conn *core;
    struct http_conn *http;
    struct buf got;  /* ends with a 0 that is not counted */
    bool closed;     /* by the server */
    bool takes_none; /* its socket is full */
};

struct rig {
    tn_ms now;
    struct store *store;
    struct core *core;
    struct http *http;
    bool log_held;
    struct peer peers[RIG_PEERS_MAX];
    size_t n_peers;
};

/* config: NULL = defaults; core is filled in. */
struct rig *rig_new(const struct http_config *config);
/* The same, where memory may be short: NULL. */
struct rig *rig_try(const struct http_config *config);
/* With the times of calls. */
struct rig *rig_timed(void);
void rig_free(struct rig *r);
void rig_turn(struct rig *r);
/* Moves the clock on by seconds, with a turn and a check of the peers for each. */
void rig_pass(struct rig *r, int seconds);

struct peer *peer_new(struct rig *r);
struct peer *peer_try(struct rig *r);
void peer_cut(struct peer *p);
/* Sends, and lets the server work. */
void peer_send(struct peer *p, const char *text);
void peer_send_bytes(struct peer *p, bytes in);
/* POST with Content-Length. */
void peer_post(struct peer *p, const char *path, const char *body);
void peer_get(struct peer *p, const char *path);
/* What came since the last call; borrowed until the next. */
const char *peer_got(struct peer *p);

/* The answer in text: its status; its body where the head ends. */
int status_of(const char *answer);
const char *body_of(const char *answer);
bool has_line(const char *answer, const char *line);

#endif
