#include "cli/page.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/proc.h"

#define GRACE_MAX_MS 5000
#define LEAD_MIN_MS  20
#define LEAD_MAX_MS  200

int64_t page_grace_ms(int64_t ttl_s)
{
    return ttl_s * 1000 / 4 < GRACE_MAX_MS ? ttl_s * 1000 / 4 : GRACE_MAX_MS;
}

/* A tenth of the grace: the time that killed processes get to be gone. */
static int64_t lead_ms(int64_t grace_ms)
{
    int64_t lead = grace_ms / 10;
    return lead < LEAD_MIN_MS ? LEAD_MIN_MS : lead > LEAD_MAX_MS ? LEAD_MAX_MS : lead;
}

struct page *page_new(int64_t grace_ms)
{
    struct page *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    p->tenure_pid = getpid();
    p->tenure_was_alone = proc_has_no_child();
    p->grace_ms = grace_ms;
    p->lead_ms = lead_ms(grace_ms);
    atomic_store(&p->kill_at_ms, INT64_MAX);
    return p;
}

void page_free(struct page *p)
{
    if (p)
        munmap(p, sizeof *p);
}

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

enum page_action page_due(const struct page *p, int64_t now_ms, int64_t *ret_next_ms)
{
    int64_t kill_at = atomic_load(&p->safe_until_ms) - p->lead_ms;
    *ret_next_ms = INT64_MAX;
    switch ((enum page_phase)atomic_load(&p->phase)) {
    case PAGE_RUNNING:
        *ret_next_ms = kill_at + p->lead_ms - p->grace_ms;
        return now_ms >= *ret_next_ms ? PAGE_TERM : PAGE_NOTHING;
    case PAGE_SWEEPING:
    case PAGE_ENDING:
        *ret_next_ms = atomic_load(&p->kill_at_ms);
        return now_ms >= *ret_next_ms ? PAGE_KILL : PAGE_NOTHING;
    case PAGE_IDLE:
    case PAGE_KILLED:
    case PAGE_OVER:
        break;
    }
    return PAGE_NOTHING;
}

bool page_may_run(const struct page *p, int64_t remaining_ms)
{
    return remaining_ms > p->lead_ms;
}

bool page_run(struct page *p, int pgid)
{
    int idle = PAGE_IDLE;
    atomic_store(&p->pgid, pgid);
    return atomic_compare_exchange_strong(&p->phase, &idle, PAGE_RUNNING);
}

/* Two may end at once, each with a time of its own: the earlier one counts, and it stands before the phase says so. */
static void kill_by(struct page *p, int64_t at_ms)
{
    int64_t old = atomic_load(&p->kill_at_ms);
    at_ms = min(at_ms, atomic_load(&p->safe_until_ms) - p->lead_ms);
    while (at_ms < old && !atomic_compare_exchange_weak(&p->kill_at_ms, &old, at_ms))
        ;
}

static bool leave_running(struct page *p, enum page_phase to, int64_t kill_at_ms)
{
    int running = PAGE_RUNNING;
    kill_by(p, kill_at_ms);
    return atomic_compare_exchange_strong(&p->phase, &running, to);
}

bool page_sweep(struct page *p, int64_t kill_at_ms)
{
    return leave_running(p, PAGE_SWEEPING, kill_at_ms);
}

bool page_end(struct page *p, int64_t kill_at_ms)
{
    return leave_running(p, PAGE_ENDING, kill_at_ms);
}

void page_killed(struct page *p)
{
    int from = PAGE_SWEEPING;
    if (!atomic_compare_exchange_strong(&p->phase, &from, PAGE_KILLED) && from == PAGE_ENDING)
        atomic_compare_exchange_strong(&p->phase, &from, PAGE_KILLED);
}

void page_gone(struct page *p)
{
    atomic_store(&p->pgid, 0);
}
