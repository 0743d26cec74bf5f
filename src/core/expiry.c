/* Leases that ran out: revoked by commands of our own, a slice a turn, behind the turn's input. */
#include "core/call.h"

#define EXPIRE_MAX 64 /* leases a turn; each may have many keys */

void expiry_run(struct core *c, tn_ms now)
{
    tn_lease ids[EXPIRE_MAX];
    c->expiry_more = false;
    if (store_lease_deadline(c->store) > now || now < journal_ready_at(c, WRITE_FREES))
        return;
    size_t n = store_lease_expire(c->store, now, EXPIRE_MAX, ids);
    for (size_t i = 0; i < n && c->config.lease_forget; i++)
        c->config.lease_forget(c->config.user, ids[i]);
    c->expiry_more = n == EXPIRE_MAX;
    if (n > 0)
        journal_planned(c, WRITE_FREES);
}

/* A lease that is due but cannot be ended now (no memory, no room) is tried again when there may be some. */
tn_ms expiry_deadline(const struct core *c)
{
    tn_ms at = store_lease_deadline(c->store), ready = journal_ready_at(c, WRITE_FREES);
    if (at == TN_MS_NEVER || ready == TN_MS_NEVER)
        return TN_MS_NEVER;
    if (at <= c->now && !c->expiry_more)
        at = c->now + CORE_STALL_MS;
    return at > ready ? at : ready;
}
