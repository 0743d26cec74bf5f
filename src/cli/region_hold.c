/* tenure region hold: keeps the authority of this region over prefixes, in the other regions. One loop: a handle of the cluster at hand,
 * one of each other region that it knows, and for each prefix an engine (recipes/authority.h) on them, and an election here, whose leader
 * is the process that does it. When the regions that are known change all is opened anew: the places that stand are taken up as they are.
 *
 * Says on stdout, a line or record each, what becomes of each authority, on stderr what is wrong. Ends by a signal (0). */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/region.h"
#include "io/signal.h"
#include "io/timer.h"
#include "lib/handle.h"
#include "recipes/authority.h"

enum { SIGNALS = 3, READ_AGAIN_MS = 1000, WHY_MAX = 512, NAME_MAX_BYTES = 3 * 1024 + 1 };

struct run;

struct kept {
    struct run *run;
    const char *prefix;
    struct authority *authority;
    tenure_election *election;
    bool was_told;
    enum authority_state told;
    char why[WHY_MAX]; /* the last that was told */
};

struct run {
    const struct global_options *g;
    const struct region_options *o;
    char **prefixes;
    struct tenure_region_list *list;
    tenure_client *home, *others[AUTHORITY_REGIONS_MAX];
    const char *names[AUTHORITY_REGIONS_MAX];
    size_t n_others, n, open;
    struct kept kept[REGION_PREFIXES_MAX];
    tenure_watch *watch;

    struct io_loop *loop;
    struct io_turn turn;
    struct io_timer *timer;
    struct io_signal *signals[SIGNALS];
    bool ending, changed, has_run;
    int code;
};

/* ---- what is said ---- */

static const char *const state_names[] = {[AUTHORITY_STANDBY] = "standby",
                                          [AUTHORITY_ELSEWHERE] = "elsewhere",
                                          [AUTHORITY_SEEKING] = "none",
                                          [AUTHORITY_HELD] = "held"};

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "prefix", .heading = "PREFIX", .width = 16},
                                              {.path = "state", .heading = "STATE", .width = 9},
                                              {.path = "epoch", .heading = "EPOCH", .kind = OUTPUT_NUMBER, .width = 5},
                                              {.path = "places", .heading = "IN", .width = 12},
                                              {.path = "needed", .heading = "OF", .kind = OUTPUT_NUMBER},
                                              {0}},
};

static json_t *places_json(const struct kept *k, tn_ms now)
{
    json_t *list = json_array();
    const struct tenure_error *why;
    for (size_t i = 0; i < k->run->n_others; i++)
        if (authority_place(k->authority, i, &why) > now)
            json_array_append_new(list, json_string(k->run->names[i]));
    return list;
}

static void say_text(const struct kept *k, const struct authority_view *v, tn_ms now)
{
    const struct tenure_error *why;
    const char *before = " in ";
    switch (v->state) {
    case AUTHORITY_STANDBY:
        printf("%s: standing by\n", k->prefix);
        return;
    case AUTHORITY_ELSEWHERE:
        if (!v->home.epoch)
            printf("%s: it has no home here\n", k->prefix);
        else
            printf("%s: the home is '%s' (epoch %" PRId64 ")%s\n", k->prefix, v->home.region, v->home.epoch,
                   v->home.authority ? "" : ", and wants no authority");
        return;
    case AUTHORITY_SEEKING:
        printf("%s: no authority (epoch %" PRId64 "): %zu of %zu places\n", k->prefix, v->home.epoch, v->had,
               v->needed);
        return;
    case AUTHORITY_HELD:
        printf("%s: authority (epoch %" PRId64 ")", k->prefix, v->home.epoch);
        for (size_t i = 0; i < k->run->n_others; i++)
            if (authority_place(k->authority, i, &why) > now) {
                printf("%s%s", before, k->run->names[i]);
                before = ", ";
            }
        printf("\n");
        return;
    }
}

static void say_record(const struct kept *k, const struct authority_view *v, tn_ms now)
{
    json_t *j = json_pack("{s:s, s:s, s:I, s:I}", "prefix", k->prefix, "state", state_names[v->state], "epoch",
                          (json_int_t)v->home.epoch, "needed", (json_int_t)v->needed);
    if (j) {
        json_object_set_new(j, "places", places_json(k, now));
        output_event(k->run->g, &form, j);
    }
}

/* What is wrong, of all that is asked. */
static void describe(const struct kept *k, const struct authority_view *v, char out[WHY_MAX])
{
    size_t n = 0;
    out[0] = 0;
    if (v->why.code)
        n += (size_t)snprintf(out, WHY_MAX, "here: %.150s", connect_text(REGION_COMMAND, &v->why));
    for (size_t i = 0; i < k->run->n_others && n < WHY_MAX && v->state >= AUTHORITY_SEEKING; i++) {
        const struct tenure_error *why;
        authority_place(k->authority, i, &why);
        if (why->code)
            n += (size_t)snprintf(out + n, WHY_MAX - n, "%s%s: %.150s", n ? "; " : "", k->run->names[i],
                                  connect_text(REGION_COMMAND, why));
    }
}

/* Held is told when home has been told, none when it is known why, or was held. */
static void tell(struct kept *k, tn_ms now)
{
    struct authority_view v;
    char why[WHY_MAX];
    authority_look(k->authority, now, &v);
    describe(k, &v, why);
    if (strcmp(why, k->why) != 0) {
        memcpy(k->why, why, sizeof why);
        if (why[0])
            fprintf(stderr, "tenure region: %s: %s\n", k->prefix, why);
    }
    bool is_soon = (v.state == AUTHORITY_HELD && !v.is_told) ||
                   (v.state == AUTHORITY_SEEKING && k->told != AUTHORITY_HELD && !why[0]);
    if ((k->was_told && v.state == k->told) || is_soon)
        return;
    k->was_told = true;
    k->told = v.state;
    if (output_is_text(k->run->g))
        say_text(k, &v, now);
    else
        say_record(k, &v, now);
    fflush(stdout);
}

/* ---- the turn ---- */

static void end(struct run *r, int code)
{
    r->ending = true;
    if (r->code == EXIT_OK)
        r->code = code;
    io_loop_stop(r->loop);
}

static void on_turn(void *user, tn_ms now)
{
    struct run *r = user;
    tn_ms at = TN_MS_NEVER;
    for (size_t i = 0; i < r->n && !r->ending && !r->changed; i++) {
        struct kept *k = &r->kept[i];
        authority_run(k->authority, now);
        tell(k, now);
        tn_ms due = authority_deadline(k->authority);
        at = due < at ? due : at;
    }
    if (!r->ending && !r->changed)
        io_timer_set(r->timer, at);
}

static void on_asked(void *user)
{
    struct kept *k = user;
    handle_wants_turn(k->run->home);
    for (size_t i = 0; i < k->run->n_others; i++)
        if (k->run->others[i])
            handle_wants_turn(k->run->others[i]);
    io_turn_request(k->run->loop);
}

static tn_ms read_clock(void *user)
{
    (void)user;
    return io_clock();
}

/* The turn follows, or what run_once waits for. */
static void on_timer(void *user)
{
    struct run *r = user;
    if (r->changed)
        io_loop_stop(r->loop);
}

static void on_signal(void *user, int signum)
{
    (void)signum;
    end(user, EXIT_OK);
}

/* ---- who does it ---- */

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    struct kept *k = user;
    (void)e, (void)token;
    if (k->authority)
        authority_lead(k->authority, true, io_clock());
}

static void on_lost(tenure_election *e, enum tenure_loss why, void *user)
{
    struct kept *k = user;
    (void)e, (void)why;
    if (k->authority)
        authority_lead(k->authority, false, io_clock());
}

static void on_stopped(tenure_election *e, int code, const struct tenure_error *err, void *user)
{
    struct kept *k = user;
    (void)e;
    if (code == 0 || k->run->ending || k->run->changed)
        return;
    fprintf(stderr, "tenure region: %s: %s\n", k->prefix, connect_text(REGION_COMMAND, err));
    end(k->run, EXIT_FAILED);
}

/* "/a/b/" as one part of a name: names of elections that begin another's are refused. */
static void election_name(const char *prefix, char out[NAME_MAX_BYTES])
{
    size_t n = 0;
    for (const char *p = prefix; *p && n + 4 < NAME_MAX_BYTES; p++)
        if (*p == '/' || *p == '%')
            n += (size_t)snprintf(out + n, 4, "%%%02X", *p);
        else
            out[n++] = *p;
    out[n] = 0;
}

static int stand(struct kept *k, struct tenure_error *err)
{
    char name[NAME_MAX_BYTES];
    int64_t quarter = k->run->o->ttl_s / 4; /* the next one is there before the word at home ends */
    struct tenure_election_options o = {.size = sizeof o,
                                        .prefix = "/federation/hold/",
                                        .ttl_s = quarter > 2 ? quarter : 2,
                                        .purpose = "tenure region hold",
                                        .on_gained = on_gained,
                                        .on_lost = on_lost,
                                        .on_stopped = on_stopped,
                                        .user = k};
    election_name(k->prefix, name);
    k->election = tenure_election_start(k->run->home, name, &o, err);
    return k->election ? 0 : err->code;
}

/* ---- opening ---- */

static int open_kept(struct run *r, struct tenure_error *err)
{
    struct authority_config config = {.region = r->list->own,
                                      .ttl_s = r->o->ttl_s,
                                      .home = r->home->engine,
                                      .n_others = r->n_others,
                                      .clock = read_clock,
                                      .asked = on_asked};
    for (size_t i = 0; i < r->n_others; i++)
        config.others[i] =
            (struct authority_region){.name = r->names[i], .client = r->others[i] ? r->others[i]->engine : NULL};
    int rc = 0;
    for (size_t i = 0; i < r->n && rc == 0; i++) {
        struct kept *k = &r->kept[i];
        k->run = r;
        k->prefix = r->prefixes[i];
        config.prefix = bytes_str(k->prefix);
        config.user = k;
        k->authority = authority_new(&config);
        rc = k->authority ? stand(k, err) : error_set(err, TENURE_ENOMEM, "out of memory");
    }
    return rc;
}

static void on_regions(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct run *r = user;
    (void)revision, (void)events;
    if (n == 0)
        return;
    r->changed = true;
    io_loop_stop(r->loop);
}

static void on_regions_end(void *user, int code, int64_t compact_revision, const struct tenure_error *err)
{
    struct run *r = user;
    (void)code, (void)compact_revision, (void)err;
    r->changed = true;
    io_loop_stop(r->loop);
}

static int open_handles(struct run *r, struct tenure_error *err)
{
    struct uv_loop_s *uv = io_loop_uv(r->loop);
    struct tenure_options options;
    struct tenure_watch_options o = {.size = sizeof o,
                                     .prefix = true,
                                     .revision = r->list->revision + 1,
                                     .on_events = on_regions,
                                     .on_end = on_regions_end,
                                     .user = r};
    connect_options(r->g, &options);
    r->home = tenure_open_uv(uv, r->g->endpoints, &options, err);
    if (!r->home)
        return err->code;
    options.discovery_srv = options.discovery_srv_name = NULL; /* of the cluster at hand */
    for (size_t i = 0; i < r->list->n && r->n_others < AUTHORITY_REGIONS_MAX; i++) {
        const struct tenure_region *region = &r->list->regions[i];
        struct tenure_error why = {0};
        if (region->own)
            continue;
        r->names[r->n_others] = region->name;
        r->others[r->n_others++] = region->endpoints[0] ? tenure_open_uv(uv, region->endpoints, &options, &why) : NULL;
    }
    r->watch = tenure_watch_start(r->home, tenure_str("/regions/"), &o, err);
    return r->watch ? open_kept(r, err) : err->code;
}

static int open_loop(struct run *r, struct tenure_error *err)
{
    static const int signals[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
    int rc = io_loop_new(NULL, &r->loop, err);
    if (rc == 0)
        rc = io_timer_new(r->loop, on_timer, r, &r->timer, err);
    for (size_t i = 0; i < SIGNALS && rc == 0; i++)
        rc = io_signal_new(r->loop, signals[i], on_signal, r, &r->signals[i], err);
    if (rc == 0)
        io_turn_start(r->loop, &r->turn, on_turn, r);
    return rc;
}

/* What is known now: asked for on a handle of its own, which blocks. */
static int read_regions(struct run *r)
{
    struct tenure_error err = {0};
    tenure_client *c = connect_open(REGION_COMMAND, r->g);
    if (!c)
        return connect_code();
    r->list = tenure_region_list(c, &err);
    tenure_close(c);
    if (!r->list)
        return connect_failed(REGION_COMMAND, r->g, &err);
    if (!r->list->own[0]) {
        fprintf(stderr, "tenure region: the cluster at hand has no name yet: tenure region init NAME\n");
        return EXIT_FAILED;
    }
    if (r->list->n > AUTHORITY_REGIONS_MAX + 1) {
        fprintf(stderr, "tenure region: hold knows %d regions at most\n", AUTHORITY_REGIONS_MAX + 1);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

/* ---- closing ---- */

static void on_closed(void *user)
{
    struct run *r = user;
    r->open--;
    io_loop_stop(r->loop);
}

static void close_handle(struct run *r, tenure_client *c)
{
    if (!c)
        return;
    r->open++;
    tenure_close_start(c, on_closed, r);
}

/* Elections are left by the close of the handle, so that another process goes on at once. */
static void close_handles(struct run *r)
{
    bool was_ending = r->ending;
    r->ending = true;
    for (size_t i = 0; i < r->n; i++) {
        struct kept *k = &r->kept[i];
        k->authority = authority_free(k->authority, io_clock());
        tenure_election_stop(k->election);
        k->election = NULL;
    }
    tenure_watch_stop(r->watch);
    r->watch = NULL;
    close_handle(r, r->home);
    for (size_t i = 0; i < r->n_others; i++)
        close_handle(r, r->others[i]);
    while (r->open > 0)
        io_loop_run(r->loop);
    r->home = NULL;
    r->n_others = 0;
    tenure_region_list_free(r->list);
    r->list = NULL;
    r->ending = was_ending;
}

static void close_loop(struct run *r)
{
    io_turn_stop(&r->turn);
    io_timer_close(r->timer);
    for (size_t i = 0; i < SIGNALS; i++)
        io_signal_close(r->signals[i]);
    io_loop_free(r->loop);
}

static void run_once(struct run *r)
{
    struct tenure_error err = {0};
    r->changed = false;
    r->code = read_regions(r);
    if (r->code == EXIT_UNAVAILABLE &&
        r->has_run) { /* the cluster at hand, for a while: what was promised ends by itself */
        r->code = EXIT_OK;
        r->changed = true;
        io_timer_set(r->timer, io_clock() + READ_AGAIN_MS);
        io_loop_run(r->loop);
        return;
    }
    r->has_run = true;
    if (r->code != EXIT_OK) {
        r->ending = true;
        return;
    }
    if (open_handles(r, &err) < 0) {
        r->code = connect_failed(REGION_COMMAND, r->g, &err);
        r->ending = true;
    } else {
        io_turn_request(r->loop);
        io_loop_run(r->loop);
    }
    close_handles(r);
}

int region_hold(const struct global_options *g, const struct region_options *o, size_t n, char **prefixes)
{
    struct tenure_error err = {0};
    if (o->ttl_s < AUTHORITY_TTL_MIN_S || o->ttl_s > AUTHORITY_TTL_MAX_S) {
        fprintf(stderr, "tenure region: option --ttl: expected %d to %d seconds\n", AUTHORITY_TTL_MIN_S,
                AUTHORITY_TTL_MAX_S);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < n; i++)
        if (n > REGION_PREFIXES_MAX || strlen(prefixes[i]) > REGION_PREFIX_BYTES_MAX ||
            !home_prefix_is_good(bytes_str(prefixes[i]))) {
            fprintf(stderr, "tenure region: hold takes 1 to %d prefixes, with a slash at both ends\n",
                    REGION_PREFIXES_MAX);
            return EXIT_USAGE;
        }
    struct run *r = calloc(1, sizeof *r);
    if (!r)
        return EXIT_FAILED;
    *r = (struct run){.g = g, .o = o, .prefixes = prefixes, .n = n};
    int rc = open_loop(r, &err);
    if (rc)
        r->code = connect_failed(REGION_COMMAND, g, &err);
    while (rc == 0 && !r->ending)
        run_once(r);
    close_loop(r);
    int code = r->code;
    free(r);
    return code;
}
