/* The endpoints of a handle. The list never changes after the opening, so any thread may read it. */
#include "lib/view.h"

size_t tenure_endpoints(const tenure_client *c)
{
    tenure_client *root = (tenure_client *)c;
    view_of(&root);
    return root && !handle_is_forked(root) ? client_endpoints(root->engine) : 0;
}

const char *tenure_endpoint(const tenure_client *c, size_t index)
{
    tenure_client *root = (tenure_client *)c;
    view_of(&root);
    return index < tenure_endpoints(root) ? client_endpoint(root->engine, index) : NULL;
}
