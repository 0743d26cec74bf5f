/* Several places as one; see several.h. */
#include "recipes/several.h"

void several_init(struct several *s, size_t n, const struct several_ops *ops, void *user)
{
    *s = (struct several){.ops = ops, .user = user, .n = n};
}

static void tell_acquired(struct several *s, int code)
{
    if (s->is_told)
        return;
    s->is_told = true;
    s->ops->on_acquired(s->user, code);
}

static void over(struct several *s)
{
    s->state = SEVERAL_OVER;
    s->ops->on_over(s->user);
}

/* ---- letting go ---- */

static void start_part(struct several *s);

/* Whoever lets go when he hears of the failure is over by then. */
static void fail(struct several *s)
{
    s->state = SEVERAL_FAILED;
    s->code = 0;
    tell_acquired(s, s->why.code ? s->why.code : TENURE_ELOST);
}

/* Nothing is left of it at the servers, as far as can be known. */
static void retreated(struct several *s)
{
    if (s->is_stopped) {
        if (!s->is_told && s->why.code != TENURE_ECLOSED)
            error_set(&s->why, TENURE_ECANCELLED, "multilock: given up");
        tell_acquired(s, s->why.code);
        over(s);
    } else if (s->again && s->ops->in_time(s->user)) {
        s->again = false;
        s->at = 0;
        s->code = 0;
        s->state = SEVERAL_ACQUIRING;
        start_part(s);
    } else {
        fail(s);
    }
}

void several_released(struct several *s, int code)
{
    s->code = s->code ? s->code : code;
    if (--s->n_leaving == 0)
        retreated(s);
}

/* In reverse: one turn's requests leave in the order in which they were made. */
static void retreat(struct several *s)
{
    s->state = SEVERAL_RETREATING;
    s->n_leaving = 1; /* until all have been told */
    for (size_t i = s->n; i-- > 0;) {
        s->n_leaving++;
        if ((s->broken_keep && !s->is_stopped) || !s->ops->let_go(s->user, i))
            s->n_leaving--;
    }
    if (--s->n_leaving == 0)
        retreated(s);
}

void several_stop(struct several *s)
{
    if (s->is_stopped)
        return;
    s->is_stopped = true;
    if (s->state == SEVERAL_LOST)
        s->code = TENURE_ELOST;
    if (s->state == SEVERAL_FAILED)
        over(s);
    else if (s->state != SEVERAL_RETREATING)
        retreat(s);
}

/* ---- what the parts say ---- */

static void part_failed(struct several *s, int code, const struct tenure_error *err)
{
    if (err)
        s->why = *err;
    else
        error_set(&s->why, code, "multilock: %s", tenure_error_string(code));
    retreat(s);
}

static void start_part(struct several *s)
{
    struct tenure_error err = {0};
    int rc = s->ops->start(s->user, s->at, &err);
    if (rc)
        part_failed(s, rc, &err);
}

void several_acquired(struct several *s, size_t i, int code, const struct tenure_error *err)
{
    if (s->state != SEVERAL_ACQUIRING || i != s->at)
        return; /* it was let go meanwhile */
    if (code) {
        s->again = code == TENURE_ELOST;
        part_failed(s, code, err);
    } else if (++s->at == s->n) {
        s->state = SEVERAL_HELD;
        tell_acquired(s, 0);
    } else {
        start_part(s);
    }
}

void several_cancel(struct several *s, const struct tenure_error *why)
{
    s->again = false;
    if (s->state == SEVERAL_ACQUIRING)
        part_failed(s, why->code, why);
    else if (s->state == SEVERAL_RETREATING && !s->is_stopped)
        s->why = *why;
}

void several_lost(struct several *s, size_t i, const struct tenure_error *why)
{
    if (s->state == SEVERAL_ACQUIRING) {
        s->again = true;
        part_failed(s, TENURE_ELOST, why);
    } else if (s->state == SEVERAL_HELD) {
        s->state = SEVERAL_LOST;
        s->why = *why;
        s->ops->on_lost(s->user, i);
    }
}

int several_begin(struct several *s, struct tenure_error *err)
{
    return s->ops->start(s->user, 0, err);
}

int several_order(const char *prefix_a, const char *name_a, const char *prefix_b, const char *name_b)
{
    const char *p = prefix_a, *q = prefix_b;
    bool p_name = false, q_name = false;
    for (;;) {
        if (!*p && !p_name) {
            p = name_a;
            p_name = true;
        }
        if (!*q && !q_name) {
            q = name_b;
            q_name = true;
        }
        if (*p != *q || !*p)
            return (unsigned char)*p - (unsigned char)*q;
        p++, q++;
    }
}
