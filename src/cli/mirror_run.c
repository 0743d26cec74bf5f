/* The mirror as it runs: one loop; for each destination a handle of the source and one of its own, and for each prefix a carrier on
 * them. Nothing is shared between destinations, so that one that is slow or gone holds nobody else up.
 *
 * Says on stdout, a line or record each, what a carrier comes to do and how far a copy is, on stderr what goes wrong.
 * Ends by a signal (0), or when all carriers have ended: 1 when one was refused or fenced off. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cli/connect.h"
#include "cli/mirror.h"
#include "cli/output.h"
#include "io/signal.h"
#include "io/timer.h"
#include "lib/handle.h"
#include "mirror/carrier.h"

enum { TELL_MS = 2000, SIGNALS = 3 };
enum { ONCE_PATIENCE_MS = 60000 }; /* --once without --timeout: so long without an end of what is wrong */

struct run;

/* One prefix to one destination. */
struct carried {
    struct carrier *carrier;
    const char *prefix;
    enum carrier_state told;
    tn_ms told_at;
    char error[256];   /* the last that was told */
    tn_ms wrong_since; /* 0: all goes well */
};

struct destination {
    struct run *run;
    const char *where;
    struct mirror_side side;
    tenure_client *source, *client;
    struct carried carried[MIRROR_PREFIXES_MAX];
};

struct run {
    const struct mirror_options *o;
    const struct global_options *g;
    struct mirror_side from;
    struct destination destinations[MIRROR_DESTINATIONS_MAX];
    size_t n, open; /* handles */

    struct io_loop *loop;
    struct io_turn turn;
    struct io_timer *timer;
    struct io_signal *signals[SIGNALS];
    bool ending;
    tn_ms end_at;
    int code;
};

/* ---- what is said ---- */

static const struct output_form form = {
    .columns =
        (const struct output_column[]){{.path = "to", .heading = "TO", .width = 24},
                                       {.path = "prefix", .heading = "PREFIX", .width = 16},
                                       {.path = "state", .heading = "STATE", .width = 9},
                                       {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER, .width = 10},
                                       {.path = "keys", .heading = "KEYS", .kind = OUTPUT_NUMBER, .width = 9},
                                       {.path = "total", .heading = "OF", .kind = OUTPUT_NUMBER, .width = 9},
                                       {.path = "error", .heading = "ERROR"},
                                       {0}},
};

static void say_text(const struct destination *d, const struct carried *k, const struct carrier_view *v)
{
    printf("%s %s: ", d->where, k->prefix);
    if (v->state == CARRIER_COPYING)
        printf("copying, %" PRId64 " of %" PRId64 " keys compared\n", v->keys, v->total);
    else if (v->state == CARRIER_FOLLOWING)
        printf("following from revision %" PRId64 "\n", v->revision);
    else if (v->state == CARRIER_DONE)
        printf("copied as of revision %" PRId64 "\n", v->revision);
    else
        printf("%s\n", carrier_state_name(v->state));
}

static void say_record(const struct run *r, const struct destination *d, const struct carried *k,
                       const struct carrier_view *v)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "to", d->where, "prefix",
                          k->prefix, "state", carrier_state_name(v->state), "revision", (json_int_t)v->revision,
                          "newest", (json_int_t)v->newest, "lag_ms", (json_int_t)v->lag_ms, "keys", (json_int_t)v->keys,
                          "total", (json_int_t)v->total, "copied", (json_int_t)v->copied, "deleted",
                          (json_int_t)v->deleted, "error", v->error);
    if (j)
        output_event(r->g, &form, j);
}

static void tell_error(const struct destination *d, struct carried *k, const char *error)
{
    if (strncmp(k->error, error, sizeof k->error - 1) == 0)
        return;
    snprintf(k->error, sizeof k->error, "%s", error);
    if (k->error[0])
        fprintf(stderr, "tenure mirror: %s %s: %s\n", d->where, k->prefix, error);
}

static void tell(struct run *r, struct destination *d, struct carried *k, tn_ms now)
{
    struct carrier_view v;
    carrier_look(k->carrier, now, &v);
    bool goes_on = v.state == CARRIER_COPYING && now - k->told_at >= TELL_MS;
    tell_error(d, k, v.error);
    if (v.state == k->told && !goes_on)
        return;
    k->told = v.state;
    k->told_at = now;
    if (output_is_text(r->g))
        say_text(d, k, &v);
    else
        say_record(r, d, k, &v);
    fflush(stdout);
}

/* Who copies once, from a timer perhaps, is told of what does not pass instead of waiting for ever. EXIT_OK: it goes on. */
static int once_is_in_vain(struct run *r, struct carried *k, tn_ms now)
{
    struct carrier_view v;
    carrier_look(k->carrier, now, &v);
    k->wrong_since = !v.error_code || v.state == CARRIER_COPYING ? 0 : k->wrong_since ? k->wrong_since : now;
    if (!r->o->once || !k->wrong_since || k->told >= CARRIER_DONE)
        return EXIT_OK;
    if (tenure_error_kind(v.error_code) == TENURE_KIND_DENIED)
        return EXIT_FAILED;
    bool is_over = !r->o->timeout_ms && now - k->wrong_since >= ONCE_PATIENCE_MS;
    return is_over ? EXIT_UNAVAILABLE : EXIT_OK;
}

/* ---- the turn ---- */

static bool has_ended(const struct run *r, const struct carried *k)
{
    return k->told >= CARRIER_DONE || r->ending;
}

static void end(struct run *r, int code)
{
    r->ending = true;
    if (r->code == EXIT_OK)
        r->code = code;
    io_loop_stop(r->loop);
}

/* Who is away is not known here: a handle goes on connecting. */
static void tell_not_done(const struct run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct destination *d = &r->destinations[i];
        for (size_t p = 0; p < r->o->prefixes.n; p++)
            if (d->carried[p].told < CARRIER_DONE)
                fprintf(stderr,
                        "tenure mirror: %s %s: not done within --timeout; run again it goes on from there\n"
                        "try: tenure status --endpoints %s; tenure status --endpoints %s\n",
                        d->where, d->carried[p].prefix, r->from.g.endpoints, d->side.g.endpoints);
    }
}

static void on_turn(void *user, tn_ms now)
{
    struct run *r = user;
    tn_ms at = r->end_at;
    bool all_ended = true;
    for (size_t i = 0; i < r->n && !r->ending; i++) {
        struct destination *d = &r->destinations[i];
        for (size_t p = 0; p < r->o->prefixes.n; p++) {
            struct carried *k = &d->carried[p];
            carrier_run(k->carrier, now);
            tell(r, d, k, now);
            tn_ms due = carrier_deadline(k->carrier);
            at = due < at ? due : at;
            all_ended = all_ended && has_ended(r, k);
            if (k->told == CARRIER_REFUSED || k->told == CARRIER_FENCED)
                r->code = EXIT_FAILED;
            int vain = once_is_in_vain(r, k, now);
            if (vain != EXIT_OK && !r->ending)
                end(r, vain);
        }
    }
    if (!r->ending && all_ended)
        end(r, EXIT_OK);
    else if (!r->ending && now >= r->end_at) {
        tell_not_done(r);
        end(r, EXIT_UNAVAILABLE);
    } else if (!r->ending)
        io_timer_set(r->timer, at);
}

static void on_asked(void *user)
{
    struct destination *d = user;
    handle_wants_turn(d->source);
    handle_wants_turn(d->client);
    io_turn_request(d->run->loop);
}

static int64_t wall_ms(void *user)
{
    (void)user;
    return io_wall_ms();
}

static void on_timer(void *user)
{
    (void)user; /* the turn follows */
}

static void on_signal(void *user, int signum)
{
    (void)signum;
    end(user, EXIT_OK);
}

/* ---- opening ---- */

static int open_carriers(struct destination *d, struct tenure_error *err)
{
    const struct mirror_options *o = d->run->o;
    for (size_t p = 0; p < o->prefixes.n; p++) {
        struct carried *k = &d->carried[p];
        struct carrier_config config = {
            .name = o->name,
            .prefix = bytes_str(o->prefixes.values[p]),
            .to_prefix = bytes_str(o->to_prefix),
            .replace = o->replace,
            .once = o->once,
            .source = d->source->engine,
            .destination = d->client->engine,
            .wall_ms = wall_ms,
            .asked = on_asked,
            .user = d,
        };
        if (getrandom(&config.writer, sizeof config.writer, 0) != sizeof config.writer)
            return error_set(err, TENURE_EIO, "no random numbers");
        k->prefix = o->prefixes.values[p];
        k->carrier = carrier_new(&config);
        if (!k->carrier)
            return error_set(err, TENURE_ENOMEM, "out of memory");
    }
    return 0;
}

static int open_destination(struct destination *d, struct tenure_error *err)
{
    struct uv_loop_s *uv = io_loop_uv(d->run->loop);
    d->source = tenure_open_uv(uv, d->run->from.g.endpoints, &d->run->from.options, err);
    if (d->source)
        d->client = tenure_open_uv(uv, d->side.g.endpoints, &d->side.options, err);
    if (!d->client)
        return err->code;
    return open_carriers(d, err);
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

static int open_all(struct run *r, struct tenure_error *err)
{
    int rc = open_loop(r, err);
    for (size_t i = 0; i < r->n && rc == 0; i++)
        rc = open_destination(&r->destinations[i], err);
    if (rc == 0) {
        r->end_at = r->o->once && r->o->timeout_ms > 0 ? io_clock() + r->o->timeout_ms : TN_MS_NEVER;
        io_turn_request(r->loop);
    }
    return rc;
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

static void close_all(struct run *r)
{
    r->ending = true;
    for (size_t i = 0; i < r->n; i++) {
        struct destination *d = &r->destinations[i];
        for (size_t p = 0; p < MIRROR_PREFIXES_MAX; p++)
            d->carried[p].carrier = carrier_free(d->carried[p].carrier, io_clock());
        close_handle(r, d->source);
        close_handle(r, d->client);
        mirror_side_free(&d->side);
    }
    mirror_side_free(&r->from);
    while (r->open > 0)
        io_loop_run(r->loop);
    io_turn_stop(&r->turn);
    io_timer_close(r->timer);
    for (size_t i = 0; i < SIGNALS; i++)
        io_signal_close(r->signals[i]);
    io_loop_free(r->loop);
}

static bool find_sides(struct run *r)
{
    const struct mirror_options *o = r->o;
    if (!mirror_side_find(&r->from, r->g, o->from, o->from_context, o->from_user))
        return false;
    for (r->n = 0; r->n < o->to.n + o->to_context.n; r->n++) {
        struct destination *d = &r->destinations[r->n];
        const char *urls = r->n < o->to.n ? o->to.values[r->n] : NULL;
        const char *context = urls ? NULL : o->to_context.values[r->n - o->to.n];
        d->run = r;
        d->where = urls ? urls : context;
        if (!mirror_side_find(&d->side, r->g, urls, context, o->to_user))
            return false;
    }
    return true;
}

int mirror_run(const struct mirror_options *o, const struct global_options *g)
{
    struct tenure_error err = {0};
    struct run *r = calloc(1, sizeof *r);
    if (!r)
        return EXIT_FAILED;
    r->o = o;
    r->g = g;
    r->code = EXIT_OK;
    bool found = find_sides(r);
    int rc = found ? open_all(r, &err) : 0;
    if (rc)
        r->code = connect_failed("mirror", g, &err);
    else if (found)
        io_loop_run(r->loop);
    close_all(r);
    int code = found ? r->code : EXIT_USAGE;
    free(r);
    return code;
}
