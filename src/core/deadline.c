/* Deadlines of calls (grpc-timeout). A call that still waits when its deadline passes ends with DEADLINE_EXCEEDED; what it
 * planned stays planned, so its client must take a write as "maybe". */
#include "core/call.h"

int deadline_start(struct core_call *call, int64_t timeout_ms, tn_ms now)
{
    tn_ms at = timeout_ms > TN_MS_NEVER - now ? TN_MS_NEVER : now + timeout_ms;
    return heap_insert(&call->core->deadlines, &call->deadline, at);
}

void deadline_stop(struct core_call *call)
{
    heap_remove(&call->core->deadlines, &call->deadline);
}

void deadline_run(struct core *c, tn_ms now)
{
    struct heap_node *first;
    while ((first = heap_first(&c->deadlines)) && first->at <= now)
        call_fail(CONTAINER_OF(first, struct core_call, deadline), ETCD_DEADLINE_EXCEEDED);
}
