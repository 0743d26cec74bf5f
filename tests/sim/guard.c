/* A command that runs under the lock, and its guardian, which is a process of its own: it goes on while the process that holds the
 * lock is stopped, hangs or is killed. Only what is said on the page they share (cli/page.h) joins them. Of the commands some end
 * when they are told to, some only when they are killed, and that takes a moment too.
 *
 * Invariant M12: the command has ended before safe-until. */
#include <stdlib.h>

#include "cli/page.h"
#include "locks.h"

struct guard {
    struct page *page; /* NULL = no command */
    struct actor *actor;
    unsigned incarnation; /* of the process that began it */
    bool obeys;
    tn_ms dies_at; /* TN_MS_NEVER = it has not been told to */
    tn_ms safe_until;
};

static struct guard *guard_of(struct world *w, int index)
{
    struct locks_truth *t = locks_truth(w);
    if (!t->guards[index])
        t->guards[index] = sim_alloc(sizeof *t->guards[index]);
    return t->guards[index];
}

static bool is_ours(const struct guard *g, const struct gate *k)
{
    return g->page && g->actor == k->actor && g->incarnation == k->actor->incarnation;
}

static void over(struct guard *g)
{
    page_free(g->page);
    g->page = NULL;
}

bool guard_runs(const struct gate *k)
{
    return guard_of(k->actor->world, k->actor->index)->page != NULL;
}

/* As `tenure lock` does: the page is filled, and then the command is made. */
void guard_begin(struct gate *k)
{
    struct world *w = k->actor->world;
    struct guard *g = guard_of(w, k->actor->index);
    if (g->page)
        return;
    *g = (struct guard){.page = page_new(page_grace_ms(GATE_TTL_S)),
                        .actor = k->actor,
                        .incarnation = k->actor->incarnation,
                        .obeys = sim_chance(w, 50),
                        .dies_at = TN_MS_NEVER};
    if (!g->page)
        abort();
    if (w->config.broken.late_guardian) { /* counts from the end of the lease, as if there were no margin */
        g->page->lead_ms = -session_margin_ms(GATE_TTL_S);
        g->page->grace_ms = 0;
    }
    guard_publish(k);
    if (!page_may_run(g->page, g->safe_until - w->now) || !page_run(g->page, 1))
        over(g);
}

void guard_publish(struct gate *k)
{
    struct guard *g = guard_of(k->actor->world, k->actor->index);
    tn_ms safe_until = k->session ? session_safe_until(k->session) : 0;
    if (!is_ours(g, k) || safe_until == 0)
        return;
    atomic_store(&g->page->safe_until_ms, safe_until);
    g->safe_until = safe_until > g->safe_until ? safe_until : g->safe_until;
}

void guard_end(struct gate *k)
{
    struct guard *g = guard_of(k->actor->world, k->actor->index);
    if (is_ours(g, k))
        over(g);
}

static void told(struct world *w, struct guard *g, tn_ms most)
{
    tn_ms at = w->now + sim_between(w, 0, most);
    g->dies_at = at < g->dies_at ? at : g->dies_at;
}

static void terminate(struct world *w, struct guard *g, tn_ms kill_at)
{
    SIM_TRACE(w, "the command of client %d is told to end", g->actor->index);
    if (page_end(g->page, kill_at) && g->obeys)
        told(w, g, 600);
}

/* It is lost, and the process knows. */
void guard_lost(struct gate *k)
{
    struct world *w = k->actor->world;
    struct guard *g = guard_of(w, k->actor->index);
    if (is_ours(g, k))
        terminate(w, g, w->now + 1000);
}

/* The socket between them is closed: the guardian is alone. */
static void look_after(struct world *w, struct guard *g)
{
    const struct actor *a = g->actor;
    int64_t next;
    if (a->incarnation != g->incarnation && atomic_load(&g->page->phase) == PAGE_RUNNING)
        terminate(w, g, w->now + g->page->grace_ms);
    enum page_action due = page_due(g->page, w->now, &next);
    if (due == PAGE_TERM)
        terminate(w, g, w->now + g->page->grace_ms);
    if (due == PAGE_KILL) {
        page_killed(g->page);
        told(w, g, 15);
    }
}

void guard_step(struct world *w, int index)
{
    struct guard *g = guard_of(w, index);
    if (!g->page)
        return;
    look_after(w, g);
    if (g->dies_at <= w->now)
        over(g);
    else if (w->now >= g->safe_until)
        world_fail(w, "M12: the command of client %d runs at safe-until", index);
}

tn_ms guard_next(const struct world *w, int index)
{
    const struct guard *g = w->locks_truth ? w->locks_truth->guards[index] : NULL;
    int64_t next;
    if (!g || !g->page)
        return TN_MS_NEVER;
    (void)page_due(g->page, 0, &next);
    next = g->safe_until < next ? g->safe_until : next;
    return g->dies_at < next ? g->dies_at : next;
}

void guard_free(struct world *w, int index)
{
    if (w->locks_truth->guards[index])
        over(w->locks_truth->guards[index]);
    free(w->locks_truth->guards[index]);
}
