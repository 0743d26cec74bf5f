/* A program that runs in several regions: the report is made by one of all, where its name has its home; the packages that it needs come from
 * the nearest region that has somebody who serves them. */
#include <stdio.h>
#include <tenure/tenure.h>

static int fetch(tenure_directory *d)
{
    struct tenure_error err = {0};
    const char *region;
    const struct tenure_instance *i = tenure_directory_pick(d, tenure_str(""), &region, &err);
    if (!i)
        return fprintf(stderr, "%s\n", err.text), 1;
    printf("fetched from %s in %s\n", i->endpoint, region);
    tenure_pick_done(i);
    return 0;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    tenure_directory *d = c ? tenure_directory_open(c, "packages", NULL, &err) : NULL;
    if (!d)
        return fprintf(stderr, "%s\n", err.text), 1;

    /* Refused where the home cannot be reached: two reports would be worse than a late one. Packages are to be had all the same. */
    tenure_client *home = tenure_home_open(c, "/election/report", NULL, &err);
    tenure_election *e = home ? tenure_election_start(home, "report", NULL, &err) : NULL;
    if (e && tenure_election_await(e, 5000, &err) == 0)
        printf("leads at home, epoch %lld\n", (long long)tenure_token_epoch(tenure_election_token(e)));
    else
        printf("does not lead: %s\n", err.text);
    int rc = fetch(d);

    tenure_election_stop(e);
    tenure_close(home);
    tenure_directory_close(d);
    tenure_close(c);
    return rc;
}
