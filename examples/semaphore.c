/* At most three downloads at a time over all machines; a big one counts for two.
 *
 *     cc semaphore.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

#define LIMIT 3

static int download(tenure_client *c, const char *what, int64_t weight, struct tenure_error *err)
{
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = 5000, .purpose = what};
    tenure_lock *permit = tenure_semaphore_acquire(c, "downloads", weight, LIMIT, &o, err);
    if (!permit)
        return err->code;
    printf("%s with %" PRId64 " of %d\n", what, weight, LIMIT);
    return tenure_unlock(permit, err);
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err); /* NULL: TENURE_ENDPOINTS, or this machine */
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;
    int rc = download(c, "a page", 1, &err);
    if (rc == 0)
        rc = download(c, "a film", 2, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    tenure_close(c);
    return rc < 0 ? 1 : 0;
}
