/* Service discovery: two instances say where they are, a caller keeps a live copy and chooses among them.
 *
 *     cc registry.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <stdio.h>

#include <tenure/tenure.h>

static void on_change(tenure_service_view *v, enum tenure_service_change change, const struct tenure_instance *i,
                      int64_t revision, void *user)
{
    static const char *const words[] = {"", "came", "changed", "went"};
    (void)v, (void)revision, (void)user;
    fprintf(stderr, "%s %s at %s%s\n", i->name, words[change], i->endpoint, i->draining ? ", draining" : "");
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    /* A server says where it is: found until it is stopped, the handle closed, or the program dead for 10 s. */
    struct tenure_service_options near = {.size = sizeof near, .zone = "here"};
    tenure_service *a = tenure_register(c, "billing", "b-1", "10.0.0.7", 8080, &near, &err);
    tenure_service *b = a ? tenure_register(c, "billing", "b-2", "10.0.0.8", 8080, NULL, &err) : NULL;
    if (!b)
        return fprintf(stderr, "%s\n", err.text), 1;

    /* A caller: a copy that follows the changes, and a picker on it, which costs no I/O. */
    struct tenure_service_view_options o = {.size = sizeof o, .on_change = on_change};
    tenure_service_view *view = tenure_service_view_start(c, "billing", &o, &err);
    if (!view || tenure_service_view_await(view, 10000, &err) < 0)
        return fprintf(stderr, "%s\n", err.text), 1;
    const char *zones[] = {"here"};
    struct tenure_picker_options nearest = {.size = sizeof nearest, .zones = zones, .n_zones = 1};
    tenure_picker *picker = tenure_picker_new(view, &nearest, &err);
    const struct tenure_instance *i = tenure_pick(picker, tenure_str(""), &err);
    if (!i)
        return fprintf(stderr, "%s\n", err.text), 1;
    printf("nearest: %s at %s\n", i->name, i->endpoint);
    tenure_pick_done(i); /* when the call to it has ended: for the least used */

    /* Who is going to stop drains first: nobody picks it any more. */
    tenure_service_set_draining(a, true, &err);
    tenure_service_await(a, 10000, &err);
    struct tenure_discover_options serving = {.size = sizeof serving, .filter = {.serving = true}};
    struct tenure_instances *all = tenure_discover(c, "billing", &serving, &err);
    for (size_t n = 0; all && n < all->n; n++)
        printf("serving: %s at %s\n", all->instances[n].name, all->instances[n].endpoint);
    tenure_instances_free(all);

    tenure_picker_free(picker);
    tenure_service_view_stop(view);
    tenure_service_stop(a);
    tenure_service_stop(b);
    tenure_close(c);
    return 0;
}
