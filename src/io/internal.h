/* What the files of io share: the loop's parts that are not for others. */
#ifndef IO_INTERNAL_H
#define IO_INTERNAL_H

#include <uv.h>

#include "base/buf.h"
#include "io/loop.h"

#define IO_READ_MAX 65536

struct io_loop {
    uv_loop_t *uv;
    uv_loop_t own; /* used when is_own */
    bool is_own;
    uv_prepare_t prepare; /* before waiting: the reading of the clock is old */
    uv_check_t check;     /* after everything that arrived was handed out: the turn's hooks */
    uv_idle_t idle;       /* active = do not wait */
    struct list hooks;
    tn_ms now;
    bool now_known;
    unsigned holds; /* handles on uv that are open or closing, the three above included */
    bool closing;
    void (*on_closed)(void *user);
    void *on_closed_user;
    struct buf plain, sealed;         /* of the TLS stream that is being read or written */
    uint8_t read_buffer[IO_READ_MAX]; /* shared by all streams: a read is handed on at once */
};

/* Each libuv handle or request holds the loop until its last callback. */
void io_loop_hold(struct io_loop *l);
void io_loop_release(struct io_loop *l);

/* TENURE_EIO (or NOMEM) with libuv's text. */
int io_uv_error(struct tenure_error *err, int uv_errno, const char *what);

#endif
