/* Many may read a list of prices, one may write it; the writer goes on reading what it wrote, without letting go in between.
 *
 *     cc rwlock.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

static int read_prices(tenure_client *c, struct tenure_error *err)
{
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = 5000, .purpose = "reading prices"};
    tenure_lock *lock = tenure_rwlock_read(c, "prices", &o, err);
    if (!lock)
        return err->code;
    printf("reading, beside anybody who reads too\n");
    return tenure_unlock(lock, err);
}

static int write_prices(tenure_client *c, struct tenure_error *err)
{
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = 5000, .purpose = "writing prices"};
    tenure_lock *lock = tenure_rwlock_write(c, "prices", &o, err);
    if (!lock)
        return err->code;
    printf("writing alone, under token %" PRId64 "\n", tenure_lock_token(lock));
    int rc = tenure_rwlock_downgrade(lock, err); /* readers may come; no other writer was in between */
    if (rc == 0)
        printf("reading what was written\n");
    int rc_unlock = tenure_unlock(lock, err);
    return rc ? rc : rc_unlock;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err); /* NULL: TENURE_ENDPOINTS, or this machine */
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;
    int rc = read_prices(c, &err);
    if (rc == 0)
        rc = write_prices(c, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    tenure_close(c);
    return rc < 0 ? 1 : 0;
}
