#include "cli/enforce.h"

#include <signal.h>
#include <unistd.h>

#include "cli/group.h"

/* Tenure's number while it lives (it is the guardian's parent) and had no children before: orphans of the command come to it. */
static pid_t living_tenure(const struct page *p)
{
    bool lives = getpid() == p->tenure_pid || getppid() == p->tenure_pid;
    return lives && p->tenure_was_alone ? p->tenure_pid : 0;
}

static void look_below(struct enforcer *e, pid_t root)
{
    const struct page *p = e->page;
    tree_collect(&e->tree, root, atomic_load(&p->guardian_pid), atomic_load(&p->pgid),
                 atomic_load(&p->lease_of_command));
}

void enforce_look(struct enforcer *e)
{
    pid_t tenure = living_tenure(e->page);
    look_below(e, tenure ? tenure : atomic_load(&e->page->pgid));
}

void enforce_end(struct enforcer *e, int64_t kill_at_ms)
{
    if (atomic_load(&e->page->phase) != PAGE_RUNNING)
        return;
    enforce_look(e); /* while parents still lead to it */
    if (!page_end(e->page, kill_at_ms))
        return;
    group_signal(atomic_load(&e->page->pgid), SIGTERM);
    tree_signal(&e->tree, SIGTERM);
}

/* The group first: it must not wait for what has to be looked up. */
static void kill_all(struct enforcer *e)
{
    group_signal(atomic_load(&e->page->pgid), SIGKILL);
    if (atomic_load(&e->page->phase) == PAGE_ENDING)
        enforce_rest(e);
    page_killed(e->page);
}

int64_t enforce(struct enforcer *e, int64_t now_ms)
{
    int64_t next;
    if (page_due(e->page, now_ms, &next) == PAGE_TERM)
        enforce_end(e, INT64_MAX);
    if (page_due(e->page, now_ms, &next) == PAGE_KILL) {
        kill_all(e);
        next = INT64_MAX;
    }
    return next;
}

void enforce_rest(struct enforcer *e)
{
    look_below(e, living_tenure(e->page)); /* the command's own number may be another's by now */
    tree_signal(&e->tree, SIGKILL);
}

void enforce_fini(struct enforcer *e)
{
    tree_clear(&e->tree);
}
