/* The engine's one heap of timers. Room for each is made when its owner is made, so that arming cannot fail.
 *
 * A timer armed for a time that has come fires in the next turn, not in this one: so client_tick ends, and
 * client_deadline is never left in the past.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/internal.h"

int timer_init(struct client *c, struct timer *t, enum timer_kind kind)
{
    assert(c->n_timers >= c->timers.len);
    if (heap_reserve(&c->timers, c->n_timers + 1 - c->timers.len))
        return TENURE_ENOMEM;
    heap_node_init(&t->node);
    t->kind = kind;
    c->n_timers++;
    return 0;
}

void timer_fini(struct client *c, struct timer *t)
{
    heap_remove(&c->timers, &t->node);
    assert(c->n_timers > 0);
    c->n_timers--;
}

void timer_arm(struct client *c, struct timer *t, tn_ms at)
{
    if (at == TN_MS_NEVER) {
        heap_remove(&c->timers, &t->node);
        return;
    }
    if (at <= c->now)
        at = c->now + 1;
    if (heap_contains(&t->node)) {
        heap_move(&c->timers, &t->node, at);
        return;
    }
    int rc = heap_insert(&c->timers, &t->node, at);
    assert(rc == 0); /* timer_init made room */
    (void)rc;
}

const char *time_text(char out[32], int64_t ms)
{
    if (ms < 1000)
        snprintf(out, 32, "%" PRId64 " ms", ms);
    else if (ms % 1000 == 0)
        snprintf(out, 32, "%" PRId64 " s", ms / 1000);
    else
        snprintf(out, 32, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
    return out;
}
