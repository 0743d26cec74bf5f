#include "cli/conf_follow.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cli/connect.h"
#include "io/loop.h"

#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   30000

static void say(const char *what, const char *more)
{
    fprintf(stderr, "tenure config: %s%s%s\n", what, more && *more ? ": " : "", more ? more : "");
}

/* ---- what the library tells ---- */

static void on_change(tenure_config *v, int64_t revision, const struct tenure_config_change *changes, size_t n,
                      void *user)
{
    struct follow *f = user;
    (void)v;
    f->has_state = f->is_new = true;
    f->pause_ms = PAUSE_FIRST_MS;
    if (f->o.on_change)
        f->o.on_change(revision, changes, n, f->o.user);
}

static void ended(struct follow *f, const struct tenure_error *err)
{
    f->view_ended = true;
    f->again_ms = io_clock() + f->pause_ms;
    if (f->has_state && f->o.again) {
        if (f->pause_ms == PAUSE_FIRST_MS)
            say("it cannot be followed for now, and stays as it is", err ? connect_text("config", err) : NULL);
        f->pause_ms = f->pause_ms * 2 < PAUSE_MAX_MS ? f->pause_ms * 2 : PAUSE_MAX_MS;
        return;
    }
    const struct tenure_error none = {.code = TENURE_ECLOSED, .kind = TENURE_KIND_CANCELLED};
    f->code = conf_failed(f->o.g, err ? err : &none);
}

/* By a schema. Before the first state that is the end where it is waited for only so long, as the opening of the library fails. */
static void refused(struct follow *f, const struct tenure_error *err)
{
    say(f->has_state ? "what there is now is refused, and it stays as it was" : "what there is now is refused",
        connect_text("config", err));
    if (!f->has_state && f->until_ms != INT64_MAX)
        f->code = EXIT_FAILED;
}

static void on_state(tenure_config *v, enum tenure_config_state state, const struct tenure_error *err, void *user)
{
    struct follow *f = user;
    char age[64];
    if (state != TENURE_CONFIG_ENDED && err && err->code) { /* the state is the one it had */
        refused(f, err);
        return;
    }
    switch (state) {
    case TENURE_CONFIG_ENDED:
        ended(f, err);
        return;
    case TENURE_CONFIG_LAST_KNOWN_GOOD:
        snprintf(age, sizeof age, "%" PRId64 " s old", tenure_config_stale_ms(v) / 1000);
        say("no server answers: the last known good configuration is used", age);
        f->was_stale = true;
        return;
    case TENURE_CONFIG_STALE:
        if (!f->was_stale)
            say("the servers are not heard: it stays as it is", NULL);
        f->was_stale = true;
        return;
    case TENURE_CONFIG_CURRENT:
        if (f->was_stale)
            say("the servers are heard again", NULL);
        f->was_stale = false;
        return;
    case TENURE_CONFIG_WAITING:
        return;
    }
}

/* ---- opening ---- */

static bool open_view(struct follow *f, struct tenure_error *err)
{
    struct tenure_config_options o = f->o.place->o;
    o.on_change = on_change;
    o.on_state = on_state;
    o.user = f;
    f->view_ended = false;
    f->view = tenure_config_open(f->client, f->o.keys, &o, err);
    return f->view != NULL;
}

bool follow_open(struct follow *f, const struct follow_options *o)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    *f = (struct follow){.o = *o, .pause_ms = PAUSE_FIRST_MS, .until_ms = INT64_MAX};
    if (o->timeout_ms >= 0)
        f->until_ms = io_clock() + o->timeout_ms;
    if ((f->code = conf_key_file_check(o->g, &o->place->o)) != EXIT_OK)
        return false;
    if (!connect_prepare("config", o->g)) {
        f->code = connect_code();
        return false;
    }
    connect_options(o->g, &options);
    f->client = tenure_open_poll(o->g->endpoints, &options, &err);
    if (f->client && open_view(f, &err))
        return true;
    f->code = f->client ? conf_failed(o->g, &err) : connect_refused("config", o->g, &err);
    return false;
}

void follow_close(struct follow *f)
{
    tenure_config_close(f->view);
    tenure_close(f->client);
    f->view = NULL;
    f->client = NULL;
}

/* ---- following ---- */

static void open_again(struct follow *f)
{
    struct tenure_error err = {0};
    tenure_config_close(f->view);
    f->view = NULL;
    if (!open_view(f, &err))
        ended(f, &err);
}

static void nothing_came(struct follow *f)
{
    struct tenure_error err;
    connect_silence(f->client, "no server answered in time", &err);
    f->code = conf_failed(f->o.g, &err);
}

static int wait_ms(const struct follow *f, int64_t at_ms, int64_t now)
{
    int64_t t = tenure_timeout_ms(f->client);
    if (!f->has_state && f->until_ms < at_ms)
        at_ms = f->until_ms;
    if (f->view_ended && f->again_ms < at_ms)
        at_ms = f->again_ms;
    int64_t left = at_ms == INT64_MAX ? -1 : at_ms > now ? at_ms - now : 0;
    if (t < 0 || (left >= 0 && left < t))
        t = left;
    return t > 1000000000 ? 1000000000 : (int)t;
}

void follow_wait(struct follow *f, int signals_fd, int64_t at_ms)
{
    struct pollfd fds[] = {{.fd = tenure_fd(f->client), .events = POLLIN}, {.fd = signals_fd, .events = POLLIN}};
    poll(fds, 2, wait_ms(f, at_ms, io_clock()));
    tenure_turn(f->client);
    int64_t now = io_clock();
    if (f->view_ended && f->code == EXIT_OK && now >= f->again_ms)
        open_again(f);
    if (!f->has_state && f->code == EXIT_OK && now >= f->until_ms)
        nothing_came(f);
}

struct tenure_config_list *follow_list(struct follow *f)
{
    struct tenure_config_list *list = tenure_config_list(f->view);
    if (!list)
        say("out of memory", NULL);
    return list;
}
