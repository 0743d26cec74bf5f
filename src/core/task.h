/* Work that would hold up the loop if it were done at once: a slice a turn, for one call, until it is done. */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "core/call.h"

/* What a task is good for. */
struct task_kind {
    /* Does one slice, bounded by whoever wrote it. The last one ends the call, and with it the task. */
    void (*step)(struct task *t, tn_ms now);
    void (*free)(struct task *t);
    bool needs_room; /* its slices send: it waits while stream or connection are full */
};

/* Embedded at the beginning of a task's own struct. Owner: the call. */
struct task {
    const struct task_kind *kind;
    struct core_call *call;
    struct list link; /* in core.tasks; in conn.waiting while there is no room */
};

/* The call owns it from now on; its first slice comes in this turn. */
void task_start(struct core_call *call, struct task *t, const struct task_kind *kind);
/* The call of a task ends. */
void task_end(struct core_call *call);
/* One slice, of the longest waiting. */
void tasks_run(struct core *c, tn_ms now);
/* When there is more to do. */
tn_ms tasks_deadline(const struct core *c);
/* There is room again on the connection: those whose own stream has some, too, go on. */
void tasks_resume(struct core_conn *conn);

#endif
