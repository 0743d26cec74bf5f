/* A server's data as a file of etcd's, to a callback or a descriptor; and to the command line (snapshot.h).
 *
 * The pieces come on the loop's thread. Who wants no more of them ends the call from there: not at once, because a completion
 * never comes from within another function, but as the next thing that the call is told. */
#include "lib/snapshot.h"

#include <errno.h>
#include <unistd.h>

#include <tenure/maintenance.h>

#include "lib/ask.h"

static void on_piece(void *user, const struct snapshot_resp *piece)
{
    struct ask *k = user;
    k->req.snapshot.on_piece(k->req.snapshot.user, piece);
}

static int begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    size_t endpoint = k->req.snapshot.endpoint;
    return client_snapshot(k->handle->engine, endpoint, opt, on_piece, ask_ended, k, now, err) ? 0 : err->code;
}

static const struct ask_type internal_type = {.what = "snapshot", .is_awaited = true, .begin = begin};

int lib_snapshot(tenure_client *c, size_t endpoint, void (*on_piece_cb)(void *user, const struct snapshot_resp *piece),
                 void *user, struct tenure_error *err)
{
    int rc = handle_enter_blocking(c, "snapshot", err);
    struct ask *k = rc < 0 ? NULL : ask_new(c, &internal_type, TIMEOUT_MAX_MS, err);
    if (!k)
        return err->code;
    k->req.snapshot.endpoint = endpoint;
    k->req.snapshot.on_piece = on_piece_cb;
    k->req.snapshot.user = user;
    rc = ask_block(k, err);
    ask_free(k);
    return rc;
}

/* ---- for programs ---- */

static void on_public_piece(void *user, const struct snapshot_resp *piece)
{
    struct ask *k = user;
    struct ask_pieces *p = &k->req.pieces;
    if (p->is_over)
        return;
    p->is_over = p->on_piece(p->user, piece->blob.data, piece->blob.len, piece->remaining_bytes) != 0;
    if (p->is_over)
        client_cancel(k->handle->engine, k->call, handle_now(k->handle));
}

static int public_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    size_t endpoint = k->req.pieces.endpoint;
    return client_snapshot(k->handle->engine, endpoint, opt, on_public_piece, ask_ended, k, now, err) ? 0 : err->code;
}

static const struct ask_type type = {
    .what = "snapshot", .is_awaited = true, .begin = public_begin, .complete = ask_complete_done};

static struct ask *snapshot_new(tenure_client *c, bool blocks, size_t index, int64_t timeout_ms,
                                tenure_snapshot_piece_cb cb, void *user, struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &type, blocks, timeout_ms ? timeout_ms : TIMEOUT_MAX_MS, err);
    if (!k)
        return NULL;
    if (index >= tenure_endpoints(c) || !cb) {
        error_set(err, TENURE_EINVALID, cb ? "there is no endpoint %zu" : "no callback", index);
        return ask_drop(k, err);
    }
    k->req.pieces = (struct ask_pieces){.endpoint = index, .on_piece = cb, .user = user};
    return k;
}

int tenure_snapshot(tenure_client *c, size_t index, int64_t timeout_ms, tenure_snapshot_piece_cb on_piece_cb,
                    void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(snapshot_new(c, true, index, timeout_ms, on_piece_cb, user, err), NULL, err);
}

int tenure_snapshot_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_snapshot_piece_cb on_piece_cb,
                          tenure_done_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!cb)
        return error_set(err, TENURE_EINVALID, "snapshot: nobody would hear of its end");
    struct ask *k = snapshot_new(c, false, index, timeout_ms, on_piece_cb, user, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}

/* ---- to a descriptor ---- */

struct target {
    int fd;
    int error; /* errno of the write that failed; 0 = none */
};

static int write_piece(void *user, const void *data, size_t len, uint64_t remaining)
{
    struct target *t = user;
    const char *at = data;
    (void)remaining;
    while (len > 0) {
        ssize_t n = write(t->fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            t->error = n < 0 ? errno : EIO;
            return 1;
        }
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int tenure_snapshot_fd(tenure_client *c, size_t index, int64_t timeout_ms, int fd, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct target t = {.fd = fd};
    err = err ? err : &own;
    int rc = tenure_snapshot(c, index, timeout_ms, write_piece, &t, err);
    return t.error ? error_errno(err, t.error, "snapshot: it cannot be written") : rc;
}
