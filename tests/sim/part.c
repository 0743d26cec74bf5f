/* The parts of all clients: see part.h. */
#include "part.h"

#include <stdlib.h>
#include <string.h>

#define TTL_S   2
#define WALL_MS INT64_C(1700000000000)

static const struct part_ops *const parts[PARTS] = {[PART_MEMORY] = &memory_part,
                                                    [PART_LINES] = &lines_part,
                                                    [PART_KEEPER] = &keeper_part,
                                                    [PART_COPIES] = &copies_part,
                                                    [PART_CANDIDATES] = &candidates_part};

#define EACH_PART(i, w)                                                                                                \
    for (int i = 0; i < PARTS; i++)                                                                                    \
        if ((w)->config.parts & 1u << i)

int part_named(const char *name)
{
    for (int i = 0; i < PARTS; i++)
        if (strcmp(parts[i]->name, name) == 0)
            return i;
    return -1;
}

void *part_state(const struct actor *a, int part)
{
    return a->parts[part];
}

/* ---- for the actor and the world ---- */

void parts_begin(struct world *w)
{
    EACH_PART(i, w)
    {
        w->part_truths[i] = parts[i]->truth_new();
    }
}

void parts_end(struct world *w)
{
    EACH_PART(i, w)
    {
        parts[i]->truth_free(w->part_truths[i]);
    }
}

void parts_start(struct actor *a)
{
    EACH_PART(i, a->world)
    {
        a->parts[i] = parts[i]->start(a);
    }
}

void parts_tick(struct actor *a)
{
    EACH_PART(i, a->world)
    {
        parts[i]->tick(a->parts[i]);
    }
}

void parts_step(struct actor *a)
{
    EACH_PART(i, a->world)
    {
        parts[i]->step(a->parts[i]);
    }
}

tn_ms parts_next(const struct actor *a)
{
    tn_ms at = TN_MS_NEVER;
    EACH_PART(i, a->world)
    {
        at = sim_earlier(at, parts[i]->next(a->parts[i]));
    }
    return at;
}

void parts_finish(struct actor *a)
{
    EACH_PART(i, a->world)
    {
        parts[i]->finish(a->parts[i]);
    }
}

bool parts_idle(const struct actor *a)
{
    EACH_PART(i, a->world)
    {
        if (!parts[i]->idle(a->parts[i]))
            return false;
    }
    return true;
}

void parts_kill(struct actor *a)
{
    EACH_PART(i, a->world)
    {
        parts[i]->kill(a->parts[i]);
    }
}

void parts_free(struct actor *a)
{
    EACH_PART(i, a->world)
    {
        parts[i]->free(a->parts[i]);
        a->parts[i] = NULL;
    }
}

void parts_row(struct world *w, const struct record *r)
{
    EACH_PART(i, w)
    {
        parts[i]->row(w, r);
    }
}

void parts_check(struct world *w)
{
    EACH_PART(i, w)
    {
        if (parts[i]->check)
            parts[i]->check(w);
    }
}

void parts_check_end(struct world *w)
{
    EACH_PART(i, w)
    {
        if (parts[i]->check_end && !w->result.failed)
            parts[i]->check_end(w);
    }
}

/* ---- a session with marks ---- */

static void on_lost(void *user, const struct tenure_error *why)
{
    struct footing *f = user;
    SIM_TRACE(f->actor->world, "client %d lost a session: %s", f->actor->index, why->text);
    f->ended = true;
}

static void on_closed(void *user, int code)
{
    (void)code;
    ((struct footing *)user)->ended = true;
}

static void footing_open(struct footing *f)
{
    static const struct session_callbacks cb = {.on_lost = on_lost, .on_closed = on_closed};
    struct session_options o = {.ttl_s = TTL_S};
    f->ended = f->closing = false;
    if (session_open(f->actor->client, &o, &cb, f, f->actor->world->now, &f->session, NULL) ||
        marks_new(f->session, "m/", &f->marks))
        abort();
}

bool footing_ready(struct footing *f, bool in_use)
{
    if (f->session && f->ended && !in_use && !marks_busy(f->marks))
        footing_free(f);
    if (!f->session)
        footing_open(f);
    return !f->ended && !f->closing && session_is_open(f->session, f->actor->world->now);
}

void footing_tick(struct footing *f)
{
    if (f->session && session_deadline(f->session) <= f->actor->world->now)
        session_tick(f->session, f->actor->world->now);
}

tn_ms footing_next(const struct footing *f)
{
    return f->session ? session_deadline(f->session) : TN_MS_NEVER;
}

void footing_close(struct footing *f)
{
    if (!f->session || f->ended || f->closing)
        return;
    f->closing = true;
    session_close(f->session, f->actor->world->now);
}

void footing_kill(struct footing *f)
{
    struct tenure_error why = {.code = TENURE_ELOST, .kind = TENURE_KIND_LOST};
    if (f->session && session_state(f->session) != SESSION_LOST)
        session_give_up(f->session, &why, f->actor->world->now);
}

void footing_free(struct footing *f)
{
    f->marks = marks_free(f->marks);
    f->session = session_free(f->session);
}

/* ---- small things ---- */

int64_t sim_wall(const struct actor *a)
{
    static const int64_t off[CLIENTS_MAX] = {0, 700, -900, 250, -400};
    return WALL_MS + a->world->now + off[a->index];
}

int64_t sim_number(bytes value)
{
    char text[24];
    size_t n = value.len < sizeof text - 1 ? value.len : sizeof text - 1;
    memcpy(text, value.len ? (const char *)value.data : "", n);
    text[n] = 0;
    return strtoll(text, NULL, 10);
}
