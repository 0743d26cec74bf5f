#include "cli/enforce.h"

#include <signal.h>

#include "cli/group.h"

void enforce_end(struct page *p, int64_t kill_at_ms)
{
    if (page_end(p, kill_at_ms))
        group_signal(atomic_load(&p->pgid), SIGTERM);
}

int64_t enforce(struct page *p, int64_t now_ms)
{
    int64_t next;
    if (page_due(p, now_ms, &next) == PAGE_TERM)
        enforce_end(p, INT64_MAX);
    if (page_due(p, now_ms, &next) == PAGE_KILL) {
        group_signal(atomic_load(&p->pgid), SIGKILL);
        page_killed(p);
        next = INT64_MAX;
    }
    return next;
}
