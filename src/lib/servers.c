/* The endpoints of a handle. The list never changes after the opening, so any thread may read it; but that of a handle which
 * learns endpoints is read by its own thread. */

#include "lib/post.h"
#include "lib/view.h"

struct look {
    struct client *engine;
    size_t index, n;
    const char *url;
};

static void look_run(void *arg)
{
    struct look *l = arg;
    l->n = client_endpoints(l->engine);
    l->url = client_endpoint(l->engine, l->index);
}

/* Nothing of a closed handle. A text once learnt stays where it is. */
static struct look look(const tenure_client *c, size_t index)
{
    struct look l = {.index = index};
    tenure_client *root = (tenure_client *)c;
    view_of(&root);
    if (!root || handle_is_forked(root))
        return l;
    l.engine = root->engine;
    if (root->learns && !handle_on_loop(root))
        handle_sync(root, look_run, &l);
    else
        look_run(&l);
    return l;
}

size_t tenure_endpoints(const tenure_client *c)
{
    return look(c, 0).n;
}

const char *tenure_endpoint(const tenure_client *c, size_t index)
{
    return look(c, index).url;
}
