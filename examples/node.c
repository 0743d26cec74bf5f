/* A service: registers, follows its configuration, finds its kind, takes a lock, leads while it may; ends by itself. */
#include <stdio.h>
#include <tenure/tenure.h>

static void on_change(tenure_config *v, int64_t revision, const struct tenure_config_change *c, size_t n, void *user)
{
    (void)revision, (void)c, (void)n, (void)user; /* each new state, the first one too; none is missed */
    fprintf(stderr, "rate %g/s\n", tenure_config_float(v, "shop/rate", 10, NULL));
}

static int pay(tenure_lock *lock, void *order) /* nobody else pays; the database refuses a smaller token */
{
    printf("locked: paid %s under token %lld\n", (char *)order, (long long)tenure_lock_token(lock));
    return 0;
}

static int lead(tenure_election *e, tenure_token token, void *node) /* run again after each loss */
{
    while (tenure_election_leads(e) && tenure_node_lock(node, "order-7", 5000, pay, "order-7", NULL) != 0)
        fprintf(stderr, "the order is somebody's\n");
    return printf("led: with token %lld\n", (long long)token) < 0; /* done, and still the leader: resigns */
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    (void)argc;
    struct tenure_node_options o = {.size = sizeof o, .service = "shop", .instance = "shop-1"};
    tenure_node *n = tenure_node_open(argv[1], &o, &err); /* NULL: TENURE_ENDPOINTS, or this machine */
    tenure_config *v = n ? tenure_node_config(n, NULL, on_change, NULL, &err) : NULL;
    const struct tenure_instance *i = NULL;
    if (v && tenure_node_register(n, "10.0.0.7", 8080, &err) && (i = tenure_node_pick(n, "shop", &err))) {
        printf("configured: %lld at a time\n", (long long)tenure_config_int(v, "shop/limit", 50, &err));
        printf("discovered: %s at %s\n", i->name, i->endpoint);
        tenure_pick_done(i);
        tenure_node_lead(n, NULL, lead, n, &err);
    }
    tenure_node_close(n); /* resigns, unlocks, takes the registration back */
    return err.code ? fprintf(stderr, "%s\n", err.text), 1 : 0;
}
