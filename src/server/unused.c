/* Stopping when nobody needs the server any more: no connection and no lease for a time that was asked for.
 *
 * Who connects in the very moment of the end would find a socket that is about to go. So whoever starts such a server by
 * itself connects to its socket PATH while it holds a shared flock on PATH.lock; the server takes that lock alone before
 * it stops, lets one more look at the listeners pass, and keeps the lock until its process is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "server/internal.h"

#define LAST_LOOK_MS 50 /* connections that were made before the lock was ours are accepted in that time */

void unused_open(struct server *s)
{
    s->unused = (struct unused){.n_locks = 0, .at = TN_MS_NEVER};
}

static void unlock(struct unused *u)
{
    while (u->n_locks > 0)
        close(u->locks[--u->n_locks]);
    u->last_look = false;
}

void unused_close(struct server *s)
{
    unlock(&s->unused);
}

/* False: somebody is just connecting. A socket whose lock cannot be made has nobody who would use it. */
static bool lock(struct server *s)
{
    struct unused *u = &s->unused;
    for (size_t i = 0; i < s->n_listeners; i++) {
        const struct io_address *at = io_listener_address(s->listeners[i].listener);
        char path[sizeof at->path + 8];
        if (at->kind != IO_ADDRESS_UNIX)
            continue;
        snprintf(path, sizeof path, "%s.lock", at->path);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            continue;
        u->locks[u->n_locks++] = fd;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
            unlock(u);
            return false;
        }
    }
    return true;
}

static bool is_used(const struct server *s)
{
    size_t cursor = 0;
    return !list_empty(&s->conns) || store_lease_next(s->store, &cursor) != 0;
}

bool unused_check(struct server *s, tn_ms now)
{
    struct unused *u = &s->unused;
    if (s->config.stop_unused_ms <= 0 || s->stopping)
        return false;
    if (is_used(s)) {
        unlock(u);
        u->at = TN_MS_NEVER;
        return false;
    }
    if (u->at == TN_MS_NEVER)
        u->at = now + s->config.stop_unused_ms;
    if (now < u->at)
        return false;
    if (u->last_look)
        return true;
    u->last_look = lock(s);
    u->at = now + (u->last_look ? LAST_LOOK_MS : s->config.stop_unused_ms);
    return false;
}
