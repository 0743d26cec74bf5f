/* What others ask of the core's state: its health and its clock. */
#include "core/state.h"

unsigned core_alarms(const struct core *c)
{
    return store_over_quota(c->store) || c->journal.writing == WRITING_FULL ? CORE_ALARM_NOSPACE : 0;
}

bool core_is_stopping(const struct core *c)
{
    return c->stopping;
}

tn_ms core_patience(const struct core *c, tn_ms now)
{
    return now - c->held_up_ms;
}
