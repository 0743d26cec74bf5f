/* tenure region home PREFIX REGION: the first home of a prefix, and whether it wants authority. */
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
static int tell_home(struct region_peer *p, const struct tenure_home *home)
{
    int rc = p->answers ? tenure_home_write(p->client, home, false, &p->why) : p->why.code;
    p->answers = p->answers && rc >= 0;
    if (!p->answers && rc != TENURE_ECONFLICT)
        region_not_told(p);
    else if (!p->answers)
        fprintf(stderr, "tenure region: '%s' was not told: %s\n", p->name, connect_text(REGION_COMMAND, &p->why));
    return p->answers ? 0 : rc;
}

/* Whether all answer: a home that does without authority from now on must be known as such wherever it might be promoted away. */
static bool all_answer(const struct region_set *s, const char *prefix)
{
    for (size_t i = 0; i < s->n; i++)
        if (!s->peers[i].answers) {
            fprintf(stderr, "tenure region: '%s' keeps its authority: '%s' does not answer: %s\n", prefix,
                    s->peers[i].name, connect_text(REGION_COMMAND, &s->peers[i].why));
            return false;
        }
    return true;
}

/* The others; EXIT_OK, or what was said. */
static int tell_homes(struct region_set *s, const struct region_peer *home, const struct tenure_home *now)
{
    bool is_contested = false;
    for (size_t i = 0; i < s->n; i++)
        if (&s->peers[i] != home)
            is_contested = tell_home(&s->peers[i], now) == TENURE_ECONFLICT || is_contested;
    if (is_contested)
        fprintf(stderr,
                "tenure region: somebody gave '%s' another home at the same time; to settle it: tenure region promote "
                "REGION --prefix %s\n",
                now->prefix, now->prefix);
    return is_contested ? EXIT_FAILED : EXIT_OK;
}

/* The first home of a prefix: there first, so that nobody believes in a home that does not know of it. Nor in one with authority that
 * gives out without; one that does without it is told last. */
static int give_home(struct region_set *s, const struct global_options *g, const struct region_options *o,
                     const char *prefix, const char *region)
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
    struct tenure_home now = {.prefix = prefix, .region = region, .authority = o->authority};
    bool is_asked = o->authority || o->no_authority, was_with = was && was->epoch && was->authority;
    if (was && was->epoch && is_asked && was_with != o->authority)
        now.epoch = was->epoch + 1; /* its holders lose what they have, which they had by other rules */
    else if (was && was->epoch)
        now =
            (struct tenure_home){.prefix = prefix, .region = region, .epoch = was->epoch, .authority = was->authority};
    else
        now.epoch = first_epoch(s, prefix, region);
    if (!now.epoch)
        return EXIT_UNAVAILABLE;
    bool gives_up = was_with && !now.authority;
    if (gives_up && !all_answer(s, prefix))
        return EXIT_UNAVAILABLE;
    int code = gives_up ? tell_homes(s, home, &now) : EXIT_OK;
    if (code == EXIT_OK && tenure_home_write(home->client, &now, false, &err) < 0)
        return connect_failed(REGION_COMMAND, g, &err);
    if (code == EXIT_OK && !gives_up)
        code = tell_homes(s, home, &now);
    if (code != EXIT_OK)
        return code;
    if (!output_is_text(g))
        region_print_home(g, &now);
    return EXIT_OK;
}

int region_give_home(const struct global_options *g, const struct region_options *o, const char *prefix,
                     const char *region)
{
    struct region_set s;
    int code;
    if (o->authority && o->no_authority) {
        fprintf(stderr, "tenure region: --authority and --no-authority are two things\n");
        return EXIT_USAGE;
    }
    if (!region_set_open(&s, g, &code))
        return code;
    code = give_home(&s, g, o, prefix, region);
    region_set_close(&s);
    return code;
}
