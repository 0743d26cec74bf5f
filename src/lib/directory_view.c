/* A region of a directory, followed: who it is, and what its view of the registry tells. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/directory.h"

/* ---- telling ---- */

static void tell_list(struct directory_region *r, tenure_service_view *v)
{
    tenure_directory *d = r->directory;
    struct tenure_instances *list = d->o.on_list ? tenure_service_view_list(v, NULL) : NULL;
    if (!list)
        return;
    pthread_mutex_lock(&d->telling);
    d->o.on_list(d, r->name, list, d->o.user);
    pthread_mutex_unlock(&d->telling);
    tenure_instances_free(list);
}

static void tell_end(struct directory_region *r, const struct tenure_error *why)
{
    tenure_directory *d = r->directory;
    waiters_answer(&r->waiters, why->code, why);
    if (!d->o.on_end)
        return;
    pthread_mutex_lock(&d->telling);
    d->o.on_end(d, r->name, why->code, why, d->o.user);
    pthread_mutex_unlock(&d->telling);
}

/* When both answers are there. The region's loop. */
static void go_on(struct directory_region *r)
{
    tenure_directory *d = r->directory;
    pthread_mutex_lock(&d->mutex);
    bool now = r->listed && r->who == WHO_RIGHT && !r->told && !d->is_closing;
    tenure_service_view *v = r->view;
    r->heard = r->heard || now;
    pthread_mutex_unlock(&d->mutex);
    if (!now)
        return;
    tell_list(r, v);
    pthread_mutex_lock(&d->mutex);
    r->told = true;
    pthread_mutex_unlock(&d->mutex);
    waiters_answer(&r->waiters, 0, NULL);
}

/* ---- who it is ---- */

/* NULL: it is that region. */
static const char *other_name(const struct directory_region *r, const struct tenure_get_result *g)
{
    const char *is = g->n_kvs ? (const char *)g->kvs[0].value.data : "";
    return strcmp(is, r->name) == 0 ? NULL : is;
}

static void on_who(void *user, int code, struct tenure_get_result *g, const struct tenure_error *err)
{
    struct directory_region *r = user;
    tenure_directory *d = r->directory;
    const char *is = code ? NULL : other_name(r, g);
    bool is_denied = code == TENURE_EDENIED, is_over = is || is_denied;
    pthread_mutex_lock(&d->mutex);
    r->who = is_over ? WHO_ANOTHER : code ? WHO_UNKNOWN : WHO_RIGHT;
    if (is_denied)
        error_set(&r->why, code, "does not let its name be read (" HOME_REGION_KEY "): %.200s", err->text);
    else if (is)
        error_set(&r->why, TENURE_ECONFLICT, "what answers at %.90s says that it is %s%.63s%s", r->endpoints,
                  is[0] ? "'" : "no region", is, is[0] ? "'" : "");
    pthread_mutex_unlock(&d->mutex);
    if (is_over)
        tell_end(r, &r->why);
    else
        go_on(r);
    tenure_get_free(g);
}

/* Unless it was, or is just being asked. Any thread. */
static void ask_who(struct directory_region *r)
{
    tenure_directory *d = r->directory;
    pthread_mutex_lock(&d->mutex);
    bool asks = r->who == WHO_UNKNOWN && !r->ended && !d->is_closing;
    if (asks)
        r->who = WHO_ASKED;
    pthread_mutex_unlock(&d->mutex);
    if (!asks || tenure_get_start(r->client, tenure_str(HOME_REGION_KEY), NULL, on_who, r, NULL) == 0)
        return;
    pthread_mutex_lock(&d->mutex);
    r->who = WHO_UNKNOWN;
    pthread_mutex_unlock(&d->mutex);
}

/* ---- the view's callbacks ---- */

static void on_list(tenure_service_view *v, const struct tenure_instances *list, void *user)
{
    struct directory_region *r = user;
    (void)list;
    pthread_mutex_lock(&r->directory->mutex);
    r->listed = true;
    if (!r->view) /* this may come before the start has given it */
        r->view = v;
    pthread_mutex_unlock(&r->directory->mutex);
    ask_who(r);
    go_on(r);
}

/* What comes before it is told is in what will be. */
static void on_change(tenure_service_view *v, enum tenure_service_change change, const struct tenure_instance *i,
                      int64_t revision, void *user)
{
    struct directory_region *r = user;
    tenure_directory *d = r->directory;
    (void)v;
    if (!r->told) {
        ask_who(r);
    } else if (d->o.on_change) {
        pthread_mutex_lock(&d->telling);
        d->o.on_change(d, r->name, change, i, revision, d->o.user);
        pthread_mutex_unlock(&d->telling);
    }
}

static void on_end(tenure_service_view *v, int code, const struct tenure_error *err, void *user)
{
    struct directory_region *r = user;
    (void)v, (void)code;
    pthread_mutex_lock(&r->directory->mutex);
    bool is_known = r->who == WHO_ANOTHER; /* and said */
    r->ended = true;
    if (!is_known)
        r->why = *err;
    pthread_mutex_unlock(&r->directory->mutex);
    if (!is_known)
        tell_end(r, err);
}

/* ---- waiting ---- */

static enum waiters_answer look(void *owner, tn_ms now, struct tenure_error *err)
{
    struct directory_region *r = owner;
    (void)now;
    pthread_mutex_lock(&r->directory->mutex);
    bool is_over = r->ended || r->who == WHO_ANOTHER;
    enum waiters_answer answer = r->told ? WAITERS_DONE : is_over ? WAITERS_FAILED : WAITERS_WAIT;
    if (answer == WAITERS_FAILED)
        *err = r->why;
    pthread_mutex_unlock(&r->directory->mutex);
    return answer;
}

bool directory_is_told(struct directory_region *r, bool wait, struct tenure_error *err)
{
    tenure_directory *d = r->directory;
    char silent[sizeof err->text];
    enum waiters_answer is = look(r, 0, err);
    tn_ms left = d->until - handle_clock(d->here);
    snprintf(silent, sizeof silent, "does not answer at %.100s", r->endpoints);
    if (is != WAITERS_WAIT)
        return is == WAITERS_DONE;
    ask_who(r);
    if (!wait || left <= 0)
        error_set(err, TENURE_EUNAVAILABLE, "%s", silent);
    else if (waiters_await(&r->waiters, left, silent, err) == 0)
        return true;
    else if (err->code == TENURE_ETIMEOUT)
        error_set(err, TENURE_EUNAVAILABLE, "%s", silent);
    return false;
}

/* ---- beginning ---- */

void directory_prepare(struct directory_region *r)
{
    r->who = r->own ? WHO_RIGHT : WHO_UNKNOWN;
    r->waiters = (struct waiters){.handle = r->client, .what = "directory", .look = look, .owner = r};
    list_init(&r->waiters.all);
}

int directory_follow(struct directory_region *r, const char *service, struct tenure_error *err)
{
    const struct tenure_directory_options *o = &r->directory->o;
    struct tenure_service_view_options v = {.size = sizeof v,
                                            .prefix = o->prefix,
                                            .filter = o->filter,
                                            .on_list = on_list,
                                            .on_change = on_change,
                                            .on_end = on_end,
                                            .user = r};
    struct tenure_picker_options p = {
        .size = sizeof p, .policy = o->policy, .zones = o->zones, .n_zones = o->n_zones, .seed = o->seed};
    ask_who(r);
    tenure_service_view *view = tenure_service_view_start(r->client, service, &v, err);
    if (!view)
        return err->code;
    pthread_mutex_lock(&r->directory->mutex);
    if (!r->view)
        r->view = view;
    pthread_mutex_unlock(&r->directory->mutex);
    r->picker = tenure_picker_new(view, &p, err);
    p.any_if_none = true;
    if (r->picker && o->any_if_none)
        r->lax = tenure_picker_new(view, &p, err);
    return r->picker && (r->lax || !o->any_if_none) ? 0 : err->code;
}
