/* Three programs that set out together: a latch until the data is there, then a round with a double barrier.
 *
 *     cc barrier.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include <tenure/tenure.h>

enum { WORKERS = 3 };

/* Stands for a program on another machine. */
static void *worker(void *arg)
{
    tenure_client *c = arg;
    struct tenure_error err = {0};
    if (tenure_latch_wait(c, "data-loaded", NULL, &err) < 0)
        return fprintf(stderr, "%s\n", err.text), NULL;
    tenure_double_barrier *round = tenure_double_barrier_enter(c, "round", WORKERS, NULL, &err);
    if (!round)
        return fprintf(stderr, "%s\n", err.text), NULL;
    /* All three are here, and none is gone before all have finished. */
    if (tenure_double_barrier_leave(round, 0, &err) < 0)
        return fprintf(stderr, "%s\n", err.text), NULL;
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t threads[WORKERS];
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&threads[i], NULL, worker, c) != 0)
            return 1;

    struct tenure_latch_state state = {0};
    static const char *const loaders[] = {"customers", "orders"};
    for (int i = 0; i < 2; i++) {
        if (tenure_latch_arrive(c, "data-loaded", 2, loaders[i], NULL, &state, &err) < 0)
            return fprintf(stderr, "%s\n", err.text), 1;
        printf("%s: %" PRId64 " of %" PRId64 "\n", loaders[i], state.arrived, state.n);
    }

    int finished = 0;
    for (int i = 0; i < WORKERS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        finished += result != NULL;
    }
    printf("%d workers went through the round\n", finished);
    tenure_latch_reset(c, "data-loaded", NULL, NULL);
    tenure_close(c);
    return finished == WORKERS ? 0 : 1;
}
