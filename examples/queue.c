/* Jobs for workers: what is taken comes again until it is acknowledged.
 *
 *     cc queue.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

static int work_on(const struct tenure_queue_item *item)
{
    printf("delivery %" PRId64 " of '%s'\n", item->deliveries, (const char *)item->value.data);
    /* The first attempt at an invoice fails. */
    return ((const char *)item->value.data)[0] == 'i' && item->deliveries == 1 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    struct tenure_queue_options o = {
        .size = sizeof o, .kind = TENURE_QUEUE_WORK, .claim_ms = 30000, .deliveries_max = 5};
    tenure_queue *jobs = tenure_queue_open(c, "jobs", &o, &err);
    static const char *const work[] = {"invoice 1", "letter 2"};
    int rc = jobs ? 0 : -1;
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = tenure_queue_put(jobs, tenure_str(work[i]), NULL, &err);

    /* A worker: here until nothing is left; else wait_ms 0 waits without end. */
    struct tenure_queue_item *item;
    while (rc == 0 && tenure_queue_take(jobs, -1, &item, &err) == 0) {
        if (work_on(item) == 0)
            rc = tenure_queue_ack(jobs, item, &err); /* TENURE_ELOST: it took too long, and somebody else has it */
        else
            rc = tenure_queue_nack(jobs, item, 0, &err);
        tenure_queue_item_free(item);
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    tenure_queue_close(jobs);
    tenure_close(c);
    return rc < 0 ? 1 : 0;
}
