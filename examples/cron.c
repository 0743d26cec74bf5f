/* A job that runs once per period, however many programs on however many machines ask for it.
 *
 *     cc cron.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

/* On main's thread. Write the token with everything that the job changes, and stop when it is not held any more. */
static int job(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    int *runs = arg;
    if (!tenure_cron_held(k, run->token))
        return TENURE_ENOTHELD;
    printf("run %d of 3, token %" PRId64 "\n", ++*runs, run->token);
    return *runs < 3 ? 0 : TENURE_ECANCELLED;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    if (!c)
        return fprintf(stderr, "%s\n", err.text), 1;

    int runs = 0;
    struct tenure_cron_options o = {.size = sizeof o, .schedule = "@every 1s"}; /* "30 2 * * *" is at 02:30 UTC each day */
    int rc = tenure_cron_run(c, "cleanup", &o, job, &runs, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);

    tenure_close(c);
    return rc < 0 ? 1 : 0;
}
