/* tenure region home PREFIX REGION: the first home of a prefix. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/region.h"

/* Where a longer prefix takes keys out of a shorter one's home their tokens go on growing: not below the epoch that they had, and
 * above it when they change the region. 0: that region must agree, and does not answer. */
static int64_t first_epoch(const struct region_set *s, const char *prefix, const char *region)
{
    const struct tenure_home *around = region_set_home_of(s, prefix);
    if (!around || !around->epoch)
        return 1;
    if (strcmp(around->region, region) == 0)
        return around->epoch;
    const struct region_peer *old = region_set_find(s, around->region);
    if (old && old->answers)
        return around->epoch + 1;
    fprintf(stderr, "tenure region: the home of '%s' is '%s' by '%s', and it does not answer%s%s\n", prefix,
            around->region, around->prefix, old ? ": " : "", old ? old->why.text : "");
    return 0;
}

/* A region that is not the home itself. TENURE_ECONFLICT: it knows of another home. */
static int tell_home(struct region_peer *p, const char *prefix, const char *region, int64_t epoch)
{
    int rc = p->answers ? tenure_home_put(p->client, prefix, region, epoch, &p->why) : p->why.code;
    p->answers = p->answers && rc >= 0;
    if (!p->answers && rc != TENURE_ECONFLICT)
        region_not_told(p);
    else if (!p->answers)
        fprintf(stderr, "tenure region: '%s' was not told: %s\n", p->name, connect_text(REGION_COMMAND, &p->why));
    return p->answers ? 0 : rc;
}

/* The first home of a prefix: there first, so that nobody believes in a home that does not know of it. */
static int give_home(struct region_set *s, const struct global_options *g, const char *prefix, const char *region)
{
    const struct tenure_home *was = region_set_home(s, prefix);
    struct region_peer *home = region_set_find(s, region);
    struct tenure_error err = {0};
    if (!home || !home->answers) {
        fprintf(stderr, "tenure region: %s '%s'%s%s%s\n", home ? "no answer from" : "there is no region", region,
                home ? ": " : "; add it: tenure region add ", home ? home->why.text : region, home ? "" : " URLS");
        return home ? EXIT_UNAVAILABLE : EXIT_FAILED;
    }
    const struct tenure_home *own = region_set_record(home, prefix);
    /* It is another one, or a promotion was begun that the new home does not know of. */
    if (was && was->epoch && (strcmp(was->region, region) != 0 || (own && own->epoch < was->epoch))) {
        fprintf(stderr,
                "tenure region: the home of '%s' is '%s' (epoch %" PRId64
                "); to move it: tenure region promote %s --prefix %s\n",
                prefix, was->region, was->epoch, region, prefix);
        return EXIT_FAILED;
    }
    int64_t epoch = first_epoch(s, prefix, region);
    if (!epoch)
        return EXIT_UNAVAILABLE;
    if (tenure_home_put(home->client, prefix, region, epoch, &err) < 0)
        return connect_failed(REGION_COMMAND, g, &err);
    bool is_contested = false;
    for (size_t i = 0; i < s->n; i++)
        if (&s->peers[i] != home)
            is_contested = tell_home(&s->peers[i], prefix, region, epoch) == TENURE_ECONFLICT || is_contested;
    if (is_contested) {
        fprintf(stderr,
                "tenure region: somebody gave '%s' another home at the same time; to settle it: tenure region promote "
                "REGION --prefix %s\n",
                prefix, prefix);
        return EXIT_FAILED;
    }
    if (!output_is_text(g)) {
        struct tenure_home now = {.prefix = prefix, .region = region, .epoch = epoch};
        region_print_home(g, &now);
    }
    return EXIT_OK;
}

int region_give_home(const struct global_options *g, const char *prefix, const char *region)
{
    struct region_set s;
    int code;
    if (!region_set_open(&s, g, &code))
        return code;
    code = give_home(&s, g, prefix, region);
    region_set_close(&s);
    return code;
}
