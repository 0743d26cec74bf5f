/* Connections that answer what they are told at once, by a write: the next holder of a lock, above all, whose release comes
 * a moment after it heard of the one before.
 *
 * A commit that does not wait for that write makes it wait for the whole of the commit. So the driver may hold a batch up for
 * a moment while such a write is expected. Who is expected is learnt, connection by connection: QUICK_MIN times in a row it
 * wrote within QUICK_MS of an event. One that is expected in vain has to do so MISSED times before it is expected again, so
 * that watchers which write now and then cost others next to nothing. Who is expected is also written to first.
 */
#include "core/call.h"

enum { QUICK_MIN = 3, QUICK_MAX = 8, MISSED = 32 };
#define QUICK_MS 1

void prompt_init(struct core_conn *conn)
{
    list_init(&conn->prompt.in_expected);
}

void prompt_told(struct core_conn *conn)
{
    struct prompt *p = &conn->prompt;
    if (p->told && p->quick > 0)
        p->quick = 0; /* it did not write between two events */
    p->told = true;
    p->told_at = conn->core->now;
    list_remove(&p->in_expected);
    if (p->quick < QUICK_MIN)
        return;
    list_push_back(&conn->core->expected, &p->in_expected);
    conn_touch_first(conn);
}

void prompt_wrote(struct core_conn *conn)
{
    struct prompt *p = &conn->prompt;
    if (!p->told)
        return;
    p->told = false;
    list_remove(&p->in_expected);
    if (conn->core->now - p->told_at > QUICK_MS)
        p->quick = p->quick > 0 ? 0 : p->quick;
    else if (p->quick < QUICK_MAX)
        p->quick++;
}

bool core_expects_write(struct core *c)
{
    while (!list_empty(&c->expected)) {
        struct prompt *p = LIST_ENTRY(c->expected.next, struct prompt, in_expected);
        if (c->now - p->told_at <= QUICK_MS)
            return true;
        list_remove(&p->in_expected);
    }
    return false;
}

void core_expected_in_vain(struct core *c)
{
    while (!list_empty(&c->expected)) {
        struct prompt *p = LIST_ENTRY(c->expected.next, struct prompt, in_expected);
        p->quick = -MISSED;
        list_remove(&p->in_expected);
    }
}
