/* Slices, one a turn and in a circle, so that a long task holds up neither other clients nor other tasks.
 *
 * One that sends waits, beside the connection's other waiting work, while its stream or its connection has enough queued:
 * a stream that its client does not read costs what is queued and one slice more. How many tasks there are is bounded by
 * the calls.
 */
#include "core/task.h"

/* A stream may queue this part of what its connection may. */
#define STREAM_SHARE 4

static size_t stream_room(const struct task *t)
{
    return t->call->core->config.conn_output_max / STREAM_SHARE;
}

static bool has_room(const struct task *t)
{
    const struct core_call *call = t->call;
    return !t->kind->needs_room || (h2_stream_queued(call->stream) < stream_room(t) && !conn_is_full(call->conn));
}

void task_start(struct core_call *call, struct task *t, const struct task_kind *kind)
{
    t->kind = kind;
    t->call = call;
    call->task = t;
    list_push_back(&call->core->tasks, &t->link);
}

void task_end(struct core_call *call)
{
    struct task *t = call->task;
    if (!t)
        return;
    call->task = NULL;
    list_remove(&t->link);
    t->kind->free(t);
}

/* The task may be gone after its slice. */
static void run_one(struct core *c, struct task *t, tn_ms now)
{
    list_remove(&t->link);
    if (!has_room(t)) {
        list_push_back(&t->call->conn->waiting, &t->link);
        return;
    }
    list_push_back(&c->tasks, &t->link);
    core_scratch(c);
    t->kind->step(t, now);
}

void tasks_run(struct core *c, tn_ms now)
{
    if (!list_empty(&c->tasks))
        run_one(c, LIST_ENTRY(c->tasks.next, struct task, link), now);
}

tn_ms tasks_deadline(const struct core *c)
{
    return list_empty(&c->tasks) ? TN_MS_NEVER : c->now;
}

void tasks_resume(struct core_conn *conn)
{
    LIST_FOREACH_SAFE(it, &conn->waiting)
    {
        struct task *t = LIST_ENTRY(it, struct task, link);
        if (h2_stream_queued(t->call->stream) > stream_room(t) / 2)
            continue;
        list_remove(&t->link);
        list_push_back(&conn->core->tasks, &t->link);
    }
}
