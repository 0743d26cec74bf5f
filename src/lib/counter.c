/* Counters: one change of a number each. */
#include <tenure/counter.h>

#include <stdlib.h>

#include "lib/number.h"
#include "lib/view.h"

static void complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_counter_cb)k->cb)(k->user, code, k->b, err);
}

static const struct ask_type read_type = {.what = "counter",
                                          .answers = true,
                                          .begin = number_begin,
                                          .cancel = number_cancel,
                                          .result_free = free,
                                          .complete = complete};
static const struct ask_type write_type = {.what = "counter",
                                           .writes = true,
                                           .begin = number_begin,
                                           .cancel = number_cancel,
                                           .result_free = free,
                                           .complete = complete};

static struct ask *counter_ask(tenure_client *c, bytes ns, const char *name,
                               const struct tenure_counter_options *options, const struct number_change *change,
                               struct tenure_error *err)
{
    struct tenure_counter_options o;
    if (options_take(&o, sizeof o, options, "counter", err) < 0)
        return NULL;
    struct number_words words = {.what = "counter",
                                 .ns = ns,
                                 .prefix = o.prefix ? o.prefix : "/counters/",
                                 .name = name,
                                 .marks = o.marks,
                                 .unmarked = o.unmarked,
                                 .timeout_ms = o.timeout_ms};
    return number_ask(c, change->kind == NUMBER_GET ? &read_type : &write_type, &words, change, err);
}

static int blocking(tenure_client *c, const char *name, const struct tenure_counter_options *o,
                    const struct number_change *change, int64_t *ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    bytes ns = view_of(&c);
    int rc = handle_enter_blocking(c, "counter", err);
    struct ask *k = rc < 0 ? NULL : counter_ask(c, ns, name, o, change, err);
    if (!k)
        return err->code;
    rc = ask_block(k, err);
    if (ret && (rc == 0 || rc == TENURE_ECONFLICT))
        *ret = k->b;
    ask_free(k);
    return rc;
}

static int started(tenure_client *c, const char *name, const struct tenure_counter_options *o,
                   const struct number_change *change, tenure_counter_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    bytes ns = view_of(&c);
    int rc = handle_enter(c, err);
    struct ask *k = rc < 0 ? NULL : counter_ask(c, ns, name, o, change, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}

static struct number_change get(void)
{
    return (struct number_change){.kind = NUMBER_GET};
}

static struct number_change add(int64_t delta)
{
    return (struct number_change){.kind = NUMBER_ADD, .number = delta};
}

static struct number_change set(int64_t value)
{
    return (struct number_change){.kind = NUMBER_SET, .number = value};
}

static struct number_change cas(int64_t expected, int64_t value)
{
    return (struct number_change){.kind = NUMBER_CAS, .number = value, .expected = expected};
}

int tenure_counter_get(tenure_client *c, const char *name, const struct tenure_counter_options *o, int64_t *ret,
                       struct tenure_error *err)
{
    struct number_change change = get();
    return blocking(c, name, o, &change, ret, err);
}

int tenure_counter_add(tenure_client *c, const char *name, int64_t delta, const struct tenure_counter_options *o,
                       int64_t *ret, struct tenure_error *err)
{
    struct number_change change = add(delta);
    return blocking(c, name, o, &change, ret, err);
}

int tenure_counter_set(tenure_client *c, const char *name, int64_t value, const struct tenure_counter_options *o,
                       struct tenure_error *err)
{
    struct number_change change = set(value);
    return blocking(c, name, o, &change, NULL, err);
}

int tenure_counter_cas(tenure_client *c, const char *name, int64_t expected, int64_t value,
                       const struct tenure_counter_options *o, int64_t *ret, struct tenure_error *err)
{
    struct number_change change = cas(expected, value);
    return blocking(c, name, o, &change, ret, err);
}

int tenure_counter_get_start(tenure_client *c, const char *name, const struct tenure_counter_options *o,
                             tenure_counter_cb cb, void *user, struct tenure_error *err)
{
    struct number_change change = get();
    return started(c, name, o, &change, cb, user, err);
}

int tenure_counter_add_start(tenure_client *c, const char *name, int64_t delta, const struct tenure_counter_options *o,
                             tenure_counter_cb cb, void *user, struct tenure_error *err)
{
    struct number_change change = add(delta);
    return started(c, name, o, &change, cb, user, err);
}

int tenure_counter_set_start(tenure_client *c, const char *name, int64_t value, const struct tenure_counter_options *o,
                             tenure_counter_cb cb, void *user, struct tenure_error *err)
{
    struct number_change change = set(value);
    return started(c, name, o, &change, cb, user, err);
}

int tenure_counter_cas_start(tenure_client *c, const char *name, int64_t expected, int64_t value,
                             const struct tenure_counter_options *o, tenure_counter_cb cb, void *user,
                             struct tenure_error *err)
{
    struct number_change change = cas(expected, value);
    return started(c, name, o, &change, cb, user, err);
}
