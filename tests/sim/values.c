/* Additions to one counter by all clients, each once (C1, C2): at the end it holds as many as were acknowledged, and at most those
 * more of which the client was told "maybe" or did not live to be told. */
#include <stdlib.h>
#include <string.h>

#include "recipes/number.h"
#include "recipes/update.h"
#include "world.h"

#define TTL_S   2
#define COUNTER "n/counter"

struct values {
    struct session *session;
    struct marks *marks;
    bool ended;
    struct update *update;
    struct number_change change;
    tn_ms next_at;
};

static void on_lost(void *user, const struct tenure_error *why)
{
    (void)why;
    ((struct actor *)user)->values->ended = true;
}

static void on_closed(void *user, int code)
{
    (void)code;
    ((struct actor *)user)->values->ended = true;
}

static void open_session(struct actor *a)
{
    static const struct session_callbacks cb = {.on_lost = on_lost, .on_closed = on_closed};
    struct session_options opt = {.ttl_s = TTL_S};
    struct values *v = a->values;
    v->ended = false;
    if (session_open(a->client, &opt, &cb, a, a->world->now, &v->session, NULL) ||
        marks_new(v->session, "m/", &v->marks))
        abort();
}

static int compute(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err)
{
    return number_compute(&((struct actor *)owner)->values->change, kv, ret_value, err);
}

static void on_updated(void *owner, const struct update_result *r)
{
    struct actor *a = owner;
    struct world *w = a->world;
    w->result.calls++;
    if (r->code == 0)
        w->additions++;
    else if (r->error->applied == TENURE_APPLIED_MAYBE && !w->config.broken.guess)
        w->maybe_additions++;
}

static void add_one(struct actor *a)
{
    struct world *w = a->world;
    struct values *v = a->values;
    struct marks *m = w->config.broken.guess ? NULL : v->marks;
    v->change = (struct number_change){.kind = NUMBER_ADD, .number = 1};
    if (m && !marks_usable(m, w->now))
        return;
    if (update_start(&v->update, a->client, m, bytes_str(COUNTER), w->now + sim_between(w, 500, 4000), compute,
                     on_updated, a, w->now, NULL))
        abort();
}

void values_start(struct actor *a)
{
    a->values = sim_alloc(sizeof *a->values);
    a->values->next_at = a->world->now + sim_between(a->world, 1, 500);
    open_session(a);
}

void values_tick(struct actor *a)
{
    if (session_deadline(a->values->session) <= a->world->now)
        session_tick(a->values->session, a->world->now);
}

void values_step(struct actor *a)
{
    struct world *w = a->world;
    struct values *v = a->values;
    values_tick(a);
    if (v->ended && !v->update && !w->finishing) {
        v->marks = marks_free(v->marks);
        session_free(v->session);
        open_session(a);
    }
    if (w->finishing || v->next_at > w->now)
        return;
    v->next_at = w->now + sim_between(w, 1, 300);
    if (!v->update)
        add_one(a);
}

tn_ms values_next(const struct actor *a)
{
    tn_ms at = session_deadline(a->values->session);
    return a->world->finishing || at < a->values->next_at ? at : a->values->next_at;
}

/* Nobody is left to be told. */
void values_kill(struct actor *a)
{
    if (a->values && a->values->update)
        a->world->maybe_additions++;
    if (a->values)
        update_drop(&a->values->update, a->world->now);
}

void values_free(struct actor *a)
{
    if (!a->values)
        return;
    marks_free(a->values->marks);
    session_free(a->values->session);
    free(a->values);
    a->values = NULL;
}

bool values_idle(const struct actor *a)
{
    return !a->values || !a->values->update;
}

void values_check(struct world *w)
{
    const struct row *r = history_at(&w->history, bytes_str(COUNTER), w->history.revision);
    struct kv kv = {.version = r != NULL, .value = r ? r->value : bytes_of(NULL, 0)};
    int64_t n = 0;
    if (number_read(&kv, &n, NULL))
        world_fail(w, "C1: the counter holds no number");
    else if (n < w->additions || n > w->additions + w->maybe_additions)
        world_fail(w, "C1: the counter is %lld after %lld additions and %lld that may be", (long long)n,
                   (long long)w->additions, (long long)w->maybe_additions);
}
