/* A transfer between two accounts: both are locked, or none, and whoever transfers the other way does not wait for ever.
 *
 *     cc multilock.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

static int transfer(tenure_client *c, const char *from, const char *to, struct tenure_error *err)
{
    struct tenure_multilock_part parts[] = {
        {.size = sizeof parts[0], .name = from},
        {.size = sizeof parts[0], .name = to},
        {.size = sizeof parts[0], .name = "accounting", .mode = TENURE_LOCK_READ}, /* closed once a year by a writer */
    };
    struct tenure_multilock_options o = {.size = sizeof o, .wait_ms = 5000, .purpose = "a transfer"};
    tenure_multilock *all = tenure_multilock_acquire(c, parts, 3, &o, err);
    if (!all)
        return err->code;
    if (tenure_multilock_held(all))
        printf("from %s to %s under tokens %" PRId64 " and %" PRId64 "\n", from, to, tenure_multilock_token(all, 0),
               tenure_multilock_token(all, 1));
    return tenure_multilock_unlock(all, err);
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err); /* NULL: TENURE_ENDPOINTS, or this machine */
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;
    int rc = transfer(c, "account/1", "account/2", &err);
    if (rc == 0)
        rc = transfer(c, "account/2", "account/1", &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    tenure_close(c);
    return rc < 0 ? 1 : 0;
}
