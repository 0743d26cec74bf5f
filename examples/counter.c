/* A number that many programs add to, and numbers that no two of them get.
 *
 *     cc counter.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    int64_t visits = 0, id = 0;
    int rc = tenure_counter_add(c, "visits", 1, NULL, &visits, &err); /* once, also when the answer is lost on the way */
    if (rc == 0)
        printf("visit %" PRId64 "\n", visits);

    tenure_ids *orders = rc == 0 ? tenure_ids_open(c, "orders", NULL, &err) : NULL;
    for (int i = 0; orders && i < 3 && rc == 0; i++) {
        rc = tenure_ids_next(orders, &id, &err); /* a round trip for each 1,000 */
        if (rc == 0)
            printf("order %" PRId64 "\n", id);
    }
    if (rc < 0 || !orders)
        fprintf(stderr, "%s\n", err.text);

    tenure_ids_close(orders);
    tenure_close(c);
    return rc < 0 || !orders;
}
