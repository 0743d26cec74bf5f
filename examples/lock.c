/* Work under a lock: one program at a time, and a number that lets the resource refuse one that came too late.
 *
 *     cc lock.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

/* Stands for a database that remembers the greatest token it has seen, and refuses smaller ones. */
static int write_row(int row, tenure_token token)
{
    printf("row %d, written under token %" PRId64 "\n", row, token);
    return 0;
}

static int work(tenure_lock *lock, void *arg)
{
    int *rows = arg;
    /* May be asked at any time, from any thread, without I/O: true only while nobody else can hold the lock. */
    while (tenure_lock_held(lock) && *rows > 0) {
        if (write_row(*rows, tenure_lock_token(lock)) < 0)
            return -1;
        (*rows)--;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err); /* NULL: TENURE_ENDPOINTS, or this machine */
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    int rows = 3;
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = 5000, .purpose = "three rows"};
    int rc = tenure_with_lock(c, "order-123", &o, work, &rows, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);

    tenure_close(c); /* blocking, bounded; releases what is held */
    return rc < 0 ? 1 : 0;
}
