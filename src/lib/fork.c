/* A handle in a child of fork. Its thread does not run there, its descriptors are shared with the parent (an epoll set, a
 * timerfd, sockets in the middle of a stream), and its memory may be half changed. So nothing of it is used. The child's
 * copies of the sockets are closed, so that a server sees the parent's connections end when the parent ends; its other
 * descriptors and what hangs on the loop go with the child.
 *
 * The loop is not asked to close anything: libuv would take the parent's descriptors out of the set that both share. A
 * socket is closed by its number only if it is the same socket still: the parent's loop may have been about to note a
 * change when the fork came.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/handle.h"

static unsigned long long inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? (unsigned long long)st.st_ino : 0;
}

void fork_note_socket(tenure_client *c, int fd)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (c->sockets[i].fd >= 0)
            continue;
        c->sockets[i].inode = inode_of(fd);
        c->sockets[i].fd = fd;
        return;
    }
}

void fork_forget_socket(tenure_client *c, int fd)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (c->sockets[i].fd == fd)
            c->sockets[i].fd = -1;
}

void handle_close_forked(tenure_client *c)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        int fd = c->sockets[i].fd;
        if (fd >= 0 && c->sockets[i].inode != 0 && inode_of(fd) == c->sockets[i].inode)
            close(fd);
    }
    if (c->kind != HANDLE_UV) /* else the program's loop still points into it */
        free(c);
}
