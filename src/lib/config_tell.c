/* The states of a view: from the engine's copy to a list, to the program, once each. */
#include <stdlib.h>
#include <unistd.h>

#include "lib/config_cache.h"

/* ---- the state ---- */

static void set_state(tenure_config *v, enum tenure_config_state state, const struct tenure_error *why)
{
    pthread_mutex_lock(&v->mutex);
    bool other = v->state != state;
    v->state = state;
    pthread_mutex_unlock(&v->mutex);
    if ((other || why) && v->o.on_state && v->object.handle->state == HANDLE_OPEN)
        v->o.on_state(v, state, why, v->o.user);
}

void config_end(tenure_config *v, int code, const struct tenure_error *error)
{
    v->has_ended = true;
    v->why = *error;
    error_wrap(&v->why, "config");
    config_wake_all(v, code, &v->why);
    struct tenure_error why = v->why;
    set_state(v, TENURE_CONFIG_ENDED, &why);
}

static void end_without_memory(tenure_config *v)
{
    struct tenure_error why;
    error_set(&why, TENURE_ENOMEM, "out of memory");
    v->engine = ranges_stop(v->engine, handle_now(v->object.handle));
    config_end(v, why.code, &why);
}

/* ---- lists ---- */

/* Readers of other threads have the old one or the new one. Answers the old one, which is the caller's. */
static struct tenure_config_list *publish(tenure_config *v, struct tenure_config_list *list, bool is_told)
{
    uint64_t one = 1;
    pthread_mutex_lock(&v->mutex);
    struct tenure_config_list *old = v->list;
    v->list = list;
    if (is_told) {
        v->told = list->revision;
        v->changed = true;
        if (v->fd >= 0 && write(v->fd, &one, sizeof one) < 0)
            one = 0; /* it says so already */
    }
    pthread_mutex_unlock(&v->mutex);
    return old;
}

/* Who waits comes behind the callback. */
static void tell(tenure_config *v, const struct tenure_config_differences *d, int64_t revision)
{
    if (v->o.on_change && v->object.handle->state == HANDLE_OPEN)
        v->o.on_change(v, revision, d->changes, d->n, v->o.user);
    config_wake(v, handle_now(v->object.handle));
}

/* Takes list. */
void config_adopt(tenure_config *v, struct tenure_config_list *list, enum tenure_config_state state)
{
    struct tenure_config_differences *d;
    if (tenure_config_diff(v->list, list, &d, NULL)) {
        tenure_config_list_free(list);
        end_without_memory(v);
        return;
    }
    bool is_told = !v->is_told || d->n > 0;
    int64_t revision = list->revision;
    v->is_told = true;
    struct tenure_config_list *old = publish(v, list, is_told);
    config_list_ref(list); /* the program may close the view */
    set_state(v, state, NULL);
    if (is_told && !v->is_stopped)
        tell(v, d, revision);
    tenure_config_differences_free(d);
    tenure_config_list_free(old);
    tenure_config_list_free(list);
}

static const struct kv **pointers(const struct keyset *s)
{
    const struct kv **ret = calloc(s->len + 1, sizeof(struct kv *));
    for (size_t i = 0; ret && i < s->len; i++)
        ret[i] = &s->entries[i]->kv;
    return ret;
}

/* The engine's copy as runs: parts of the view, kvs to be freed by runs_free. */
static bool runs_of(const tenure_config *v, struct config_run runs[CONFIG_RUNS_MAX],
                    const struct kv **kvs[CONFIG_RUNS_MAX])
{
    bool ok = true;
    for (size_t i = 0; i < v->n_parts; i++) {
        const struct keyset *keys = ranges_keys(v->engine, i);
        kvs[i] = pointers(keys);
        ok = ok && kvs[i];
        runs[i] = (struct config_run){
            .layer = v->parts[i].layer, .skip = v->strip + v->parts[i].root_len, .kvs = kvs[i], .n = keys->len};
    }
    return ok;
}

static void runs_free(const tenure_config *v, const struct kv **kvs[CONFIG_RUNS_MAX])
{
    for (size_t i = 0; i < v->n_parts; i++)
        free(kvs[i]);
}

static struct tenure_config_list *list_of(tenure_config *v, tn_rev revision)
{
    struct config_run runs[CONFIG_RUNS_MAX];
    const struct kv **kvs[CONFIG_RUNS_MAX] = {0};
    struct tenure_config_list *list =
        runs_of(v, runs, kvs) ? config_list_merge(v->list, revision, runs, v->n_parts, v->seal) : NULL;
    runs_free(v, kvs);
    return list;
}

static void save_copy(tenure_config *v, tn_rev revision)
{
    struct config_run runs[CONFIG_RUNS_MAX];
    const struct kv **kvs[CONFIG_RUNS_MAX] = {0};
    if (v->o.cache_file && runs_of(v, runs, kvs))
        config_cache_save(v, runs, v->n_parts, revision);
    runs_free(v, kvs);
}

static void heard(tenure_config *v, tn_ms now)
{
    struct client_stats s = client_stats(v->object.handle->engine);
    v->connections = s.connections;
    v->bytes_in = s.bytes_in;
    v->newest = ranges_newest(v->engine);
    pthread_mutex_lock(&v->mutex);
    v->heard_at = now;
    pthread_mutex_unlock(&v->mutex);
}

/* ---- schemas ---- */

static int check_range(const tenure_config *v, size_t range, bool is_partial, const struct tenure_config_list *list,
                       struct tenure_error *err)
{
    const struct keyset *keys = ranges_keys(v->engine, range);
    size_t skip = v->strip + strlen(v->place.schemas);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < keys->len; i++) {
        bytes key = keys->entries[i]->kv.key;
        char of[CONFIG_KEY_MAX + 2];
        if (key.len < skip || key.len - skip >= sizeof of || memchr(key.data, 0, key.len))
            continue;
        memcpy(of, key.data + skip, key.len - skip);
        of[key.len - skip] = 0;
        struct config_schema schema = {of, keys->entries[i]->kv.value, is_partial};
        rc = config_schema_check(list, &schema, err);
    }
    return rc;
}

/* Keys above these may want more than is in the view; those below are all in it. */
int config_check_view(const tenure_config *v, const struct tenure_config_list *list, struct tenure_error *err)
{
    int rc = 0;
    if (v->o.unchecked)
        return 0;
    for (size_t i = v->n_parts; rc == 0 && i < v->n_ranges; i++)
        rc = check_range(v, i, i < v->n_parts + v->n_above, list, err);
    if (rc == 0 && v->o.schema) {
        bool is_one = config_keys_are_one(v->keys);
        struct config_schema schema = {is_one ? "" : v->keys, bytes_str(v->o.schema), is_one};
        rc = config_schema_check(list, &schema, err);
    }
    return rc;
}

/* It stays at what it had; who waits for the first state does not get it. */
static void refuse(tenure_config *v, struct tenure_config_list *list, const struct tenure_error *why)
{
    tenure_config_list_free(list);
    v->is_refused = true;
    v->why = *why;
    if (!v->is_told)
        config_wake_all(v, why->code, why);
    set_state(v, v->state, why);
}

/* While the handle closes a view only ends: what a callback would reach for may be gone. */
void config_changed(tenure_config *v, tn_rev revision)
{
    if (v->object.handle->state != HANDLE_OPEN)
        return;
    struct tenure_config_list *list = list_of(v, revision);
    if (!list) {
        end_without_memory(v);
        return;
    }
    struct tenure_error why = {0};
    if (config_check_view(v, list, &why)) {
        refuse(v, list, &why);
        return;
    }
    save_copy(v, revision);
    if (!v->is_live)
        heard(v, handle_now(v->object.handle));
    v->is_live = true;
    config_adopt(v, list, config_is_heard(v) ? TENURE_CONFIG_CURRENT : TENURE_CONFIG_STALE);
}

/* ---- whether the servers are heard ---- */

/* Over the connection that is in use the newest was read: what comes after it, a watch brings. */
bool config_is_heard(const tenure_config *v)
{
    const struct client *c = v->object.handle->engine;
    return client_is_connected(c) && client_stats(c).connections == v->connections;
}

bool config_wants_look(const tenure_config *v)
{
    const struct client *c = v->object.handle->engine;
    if (!v->engine || !v->is_live || v->has_ended || v->is_stopped || !c)
        return false;
    enum tenure_config_state should = config_is_heard(v) ? TENURE_CONFIG_CURRENT : TENURE_CONFIG_STALE;
    return v->state != should || v->newest != ranges_newest(v->engine) || client_stats(c).bytes_in != v->bytes_in;
}

void config_look(tenure_config *v, tn_ms now)
{
    v->look_at = TN_MS_NEVER;
    if (!config_wants_look(v))
        return;
    struct client *c = v->object.handle->engine;
    if (v->newest != ranges_newest(v->engine) || config_is_heard(v))
        heard(v, now);
    if (config_is_heard(v)) {
        set_state(v, TENURE_CONFIG_CURRENT, NULL);
        return;
    }
    uint64_t connections = client_stats(c).connections;
    if (client_is_connected(c) && v->asked != connections && ranges_is_settled(v->engine)) {
        v->asked = connections;
        ranges_refresh(v->engine, now);
    }
    set_state(v, TENURE_CONFIG_STALE, NULL);
}
