/* At the door of each public function: whose handle is it, and which thread is this. */
#include "lib/handle.h"
#include "lib/trace.h"

#include <unistd.h>

bool handle_is_forked(const tenure_client *c)
{
    return getpid() != c->pid;
}

bool handle_on_loop(const tenure_client *c)
{
    return c->kind != HANDLE_BLOCKING || pthread_equal(pthread_self(), c->thread);
}

int handle_enter(const tenure_client *c, struct tenure_error *err)
{
    if (!c)
        return error_set(err, TENURE_EINVALID, "the handle is NULL");
    if (handle_is_forked(c))
        return error_set(err, TENURE_EFORKED, "the handle belongs to process %d; open one of this process's own",
                         (int)c->pid);
    if (trace_is_inside())
        return error_set(err, TENURE_EINVALID, "on_call must not call the library");
    if (c->kind == HANDLE_VIEW)
        return error_set(err, TENURE_EINVALID, "a namespace has no such call: make it on the handle itself");
    return 0;
}

int handle_enter_blocking(const tenure_client *c, const char *what, struct tenure_error *err)
{
    int rc = handle_enter(c, err);
    if (rc < 0)
        return rc;
    if (c->kit)
        return c->kit->may_wait(c->kit_user, what, err);
    if (c->kind != HANDLE_BLOCKING)
        return error_set(err, TENURE_EINVALID, "%s: a call that waits needs a handle from tenure_open", what);
    if (handle_on_loop(c))
        return error_set(err, TENURE_EINVALID, "%s: a callback must not wait for its own thread", what);
    return 0;
}

const char *tenure_version(void)
{
    return TENURE_VERSION;
}
