/* A handle in a child of fork. Its thread does not run there, its descriptors are shared with the parent (an epoll set, a
 * timerfd, sockets in the middle of a stream), and its memory may be half changed. So nothing of it is used: the child's
 * copies of the descriptors are closed, so that the parent's connections end when the parent closes them, and the memory
 * that the loop was not in the middle of is freed.
 *
 * The loop is not asked to close anything: libuv would take the parent's descriptors out of the set that both share. */
#include <stdlib.h>
#include <unistd.h>

#include "io/stream.h"
#include "lib/handle.h"

void handle_close_forked(tenure_client *c)
{
    if (c->kind != HANDLE_UV && c->loop)
        close(io_loop_fd(c->loop));
    (void)c;
}
