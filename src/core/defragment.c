/* Maintenance.Defragment: the driver gives the file's free room back in slices, beside everything else; the calls that ask for
 * it wait together for the end of one round. */
#include <stdlib.h>

#include "core/auth.h"
#include "core/task.h"

struct defrag_task {
    struct task task; /* in core.defragment.waiting */
};

static void defrag_free(struct task *t)
{
    free(CONTAINER_OF(t, struct defrag_task, task));
}

static void defrag_step(struct task *t, tn_ms now)
{
    (void)t, (void)now; /* never among those that can go on */
}

static const struct task_kind defrag_kind = {.step = defrag_step, .free = defrag_free};

void maintenance_defragment(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    (void)now;
    if (!call_decoded(call, decode_defragment_req(in, &c->arena)) || !call_is_admin(call))
        return;
    struct defrag_task *d = calloc(1, sizeof *d);
    if (!d) {
        call_fail(call, ETCD_OUT_OF_MEMORY);
        return;
    }
    task_start(call, &d->task, &defrag_kind);
    list_remove(&d->task.link);
    list_push_back(&c->defragment.waiting, &d->task.link);
}

bool core_wants_defragment(struct core *c)
{
    if (c->defragment.under_way || list_empty(&c->defragment.waiting))
        return false;
    c->defragment.under_way = true;
    log_write(&c->config.log, LOG_INFO, "giving free room of the file back", "in_use=%lld size=%lld",
              (long long)c->file_in_use, (long long)c->file_bytes);
    return true;
}

void core_defragmented(struct core *c, const char *error, tn_ms now)
{
    struct list ended;
    core_clock(c, now);
    c->defragment.under_way = false;
    list_init(&ended);
    list_splice_back(&ended, &c->defragment.waiting);
    if (error)
        log_write(&c->config.log, LOG_WARN, "the file's free room is not given back", "error=\"%s\"", error);
    else
        log_write(&c->config.log, LOG_INFO, "the file's free room is given back", NULL);
    while (!list_empty(&ended)) {
        struct core_call *call = LIST_ENTRY(ended.next, struct task, link)->call;
        core_scratch(c);
        if (error)
            call_finish(call, GRPC_UNKNOWN, error);
        else
            call_reply(call, 0); /* as etcd's, without a header */
    }
}
