/* See snapshot.h. */
#include "lib/snapshot.h"

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

static const struct ask_type snapshot_type = {.what = "snapshot", .begin = begin};

int lib_snapshot(tenure_client *c, size_t endpoint, void (*on_piece_cb)(void *user, const struct snapshot_resp *piece),
                 void *user, struct tenure_error *err)
{
    int rc = handle_enter_blocking(c, "snapshot", err);
    struct ask *k = rc < 0 ? NULL : ask_new(c, &snapshot_type, TIMEOUT_MAX_MS, err);
    if (!k)
        return err->code;
    k->req.snapshot.endpoint = endpoint;
    k->req.snapshot.on_piece = on_piece_cb;
    k->req.snapshot.user = user;
    rc = ask_block(k, err);
    ask_free(k);
    return rc;
}
