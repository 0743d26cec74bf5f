/* The endpoints of a handle. The list never changes after the opening, so any thread may read it. */
#include "lib/handle.h"

size_t tenure_endpoints(const tenure_client *c)
{
    return c && !handle_is_forked(c) ? client_endpoints(c->engine) : 0;
}

const char *tenure_endpoint(const tenure_client *c, size_t index)
{
    return index < tenure_endpoints(c) ? client_endpoint(c->engine, index) : NULL;
}
