/* Groups: presences under one prefix, read as a list, or watched as an exact view. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/group_value.h"
#include "lib/post.h"
#include "lib/presence.h"
#include "lib/put.h"
#include "lib/result.h"
#include "lib/view.h"
#include "recipes/view.h"

enum { NAME_MAX_LEN = 4096 };

/* ---- names ---- */

static bool is_name(const char *name)
{
    return name && name[0] && strlen(name) <= NAME_MAX_LEN && !strchr(name, '/');
}

/* "<prefix><group>/<member>", malloc'd. */
static char *path_of(const char *prefix, const char *group, const char *member, struct tenure_error *err)
{
    prefix = prefix ? prefix : "/groups/";
    if (!is_name(group) || (member[0] && !is_name(member)) || strlen(prefix) > NAME_MAX_LEN) {
        error_set(err, TENURE_EINVALID, "group: a name that is empty, has a slash or is longer than %d bytes",
                  NAME_MAX_LEN);
        return NULL;
    }
    size_t size = strlen(prefix) + strlen(group) + strlen(member) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s%s/%s", prefix, group, member);
    else
        error_set(err, TENURE_ENOMEM, "group: out of memory");
    return path;
}

/* ---- joining ---- */

/* The numbers of a test kit begin with each kit. */
static void own_name(const tenure_client *c, char *out, size_t size)
{
    static atomic_uint number;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    for (char *at = host; *at; at++)
        *at = *at == '/' ? '-' : *at;
    unsigned n = c->kit ? (unsigned)c->kit->random(c->kit_user) : atomic_fetch_add(&number, 1);
    snprintf(out, size, "%s-%ld-%u", host[0] ? host : "host", (long)getpid(), n);
}

static char *value_of(const char *data, int64_t since_ms, struct tenure_error *err)
{
    if (!group_data_fits(data)) {
        error_set(err, TENURE_EINVALID, "group: the data is no UTF-8");
        return NULL;
    }
    char *value = group_value_new(data, since_ms);
    if (!value)
        error_set(err, TENURE_ENOMEM, "group: out of memory");
    return value;
}

tenure_presence *tenure_group_join(tenure_client *c, const char *prefix, const char *group, const char *member,
                                   const char *data, const struct tenure_presence_options *o, struct tenure_error *err)
{
    char name[320];
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0)
        return NULL;
    if (!member)
        own_name(c, name, sizeof name);
    char *path = path_of(prefix, group, member ? member : name, err);
    if (path && member && !member[0]) {
        error_set(err, TENURE_EINVALID, "group: the member's name is empty");
        free(path);
        return NULL;
    }
    char *value = path ? value_of(data, handle_wall_ms(c), err) : NULL;
    tenure_presence *p = value ? lib_presence_start(c, ns, bytes_str(path), bytes_str(value), o, err) : NULL;
    free(value);
    free(path);
    return p;
}

int tenure_group_set(tenure_presence *p, const char *data, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!p)
        return error_set(err, TENURE_EINVALID, "group: the presence is NULL");
    int rc = handle_enter(lib_presence_handle(p), err);
    char *value = rc < 0 ? NULL : value_of(data, lib_presence_since(p), err);
    if (!value)
        return err->code;
    rc = tenure_presence_set(p, tenure_str(value), err);
    free(value);
    return rc;
}

/* ---- lists: one allocation: the list, its members, their strings ---- */

static size_t size_of(const struct tenure_kv *kv, const struct group_words *w)
{
    return kv->key.len + kv->value.len + (w->host ? strlen(w->host) : 0) + (w->data ? strlen(w->data) : 0) + 4;
}

static void write_member(struct tenure_group_member *m, const struct tenure_kv *kv, size_t path_len,
                         const struct group_words *w, char **at)
{
    m->name = put_string(at, (const char *)kv->key.data + path_len, kv->key.len - path_len);
    m->host = put_word(at, w->host);
    m->data = put_word(at, w->data);
    m->pid = w->pid;
    m->since_ms = w->since_ms;
    m->create_revision = kv->create_revision;
    m->mod_revision = kv->mod_revision;
    m->lease = kv->lease;
    m->value = (struct tenure_bytes){put_string(at, kv->value.data, kv->value.len), kv->value.len};
}

/* A member's key has no further slash behind the path. */
static bool counts(const struct tenure_kv *kv, size_t path_len)
{
    return kv->key.len > path_len && !memchr((const char *)kv->key.data + path_len, '/', kv->key.len - path_len);
}

static struct tenure_group_list *list_with(const struct tenure_kv *kvs, size_t n, size_t path_len,
                                           struct group_words *words)
{
    size_t size = sizeof(struct tenure_group_list), members = 0;
    for (size_t i = 0; i < n; i++) {
        if (!counts(&kvs[i], path_len))
            continue;
        group_value_read(result_bytes_in(kvs[i].value), &words[i]);
        size += sizeof(struct tenure_group_member) + size_of(&kvs[i], &words[i]);
        members++;
    }
    struct tenure_group_list *list = calloc(1, size);
    if (!list)
        return NULL;
    struct tenure_group_member *to = (struct tenure_group_member *)(list + 1);
    char *at = (char *)(to + members);
    list->members = to;
    for (size_t i = 0; i < n; i++)
        if (counts(&kvs[i], path_len))
            write_member(&to[list->n++], &kvs[i], path_len, &words[i], &at);
    return list;
}

static struct tenure_group_list *list_new(tn_rev revision, const struct tenure_kv *kvs, size_t n, size_t path_len)
{
    struct group_words *words = calloc(n + 1, sizeof *words);
    if (!words)
        return NULL;
    struct tenure_group_list *list = list_with(kvs, n, path_len, words);
    if (list)
        list->revision = revision;
    for (size_t i = 0; i < n; i++)
        group_words_fini(&words[i]);
    free(words);
    return list;
}

int tenure_group_list(tenure_client *c, const char *prefix, const char *group, struct tenure_group_list **ret,
                      struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {
        .size = sizeof o, .prefix = true, .order = TENURE_ORDER_ASCEND, .sort = TENURE_SORT_KEY};
    err = err ? err : &own;
    tenure_client *root = c;
    view_of(&root); /* the keys are read, and shown, as the view has them */
    int rc = handle_enter_blocking(root, "group", err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, "group: there is nowhere to put the list");
    char *path = rc < 0 ? NULL : path_of(prefix, group, "", err);
    if (!path)
        return err->code;
    rc = tenure_get(c, tenure_str(path), &o, &r, err);
    struct tenure_group_list *list = rc == 0 ? list_new(r->revision, r->kvs, r->n_kvs, strlen(path)) : NULL;
    if (rc == 0 && !list)
        rc = error_set(err, TENURE_ENOMEM, "group: out of memory");
    tenure_get_free(r);
    free(path);
    if (rc == 0)
        *ret = list;
    return rc;
}

void tenure_group_list_free(struct tenure_group_list *r)
{
    free(r);
}

/* ---- watching ---- */

struct tenure_group_watch {
    struct object object;
    struct view *engine;
    struct tenure_group_watch_options o;
    bool is_stopped, has_ended, listed;
    size_t path_len;
};

static tenure_group_watch *watch_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_group_watch, object);
}

/* Also the view's end. */
static void end_view(tenure_group_watch *w)
{
    w->engine = view_stop(w->engine, handle_now(w->object.handle));
}

static void end_without_memory(tenure_group_watch *w)
{
    struct tenure_error err;
    error_set(&err, TENURE_ENOMEM, "group: out of memory");
    end_view(w);
    w->has_ended = true;
    if (w->o.on_end)
        w->o.on_end(w, err.code, &err, w->o.user);
}

static void tell_list(tenure_group_watch *w, tn_rev revision, const struct view_change *changes, size_t n)
{
    struct tenure_kv *kvs = calloc(n + 1, sizeof *kvs);
    for (size_t i = 0; kvs && i < n; i++)
        kvs[i] = result_kv(changes[i].now);
    struct tenure_group_list *list = kvs ? list_new(revision, kvs, n, w->path_len) : NULL;
    if (!list)
        end_without_memory(w);
    else if (w->o.on_list)
        w->o.on_list(w, list, w->o.user);
    free(list);
    free(kvs);
}

static void tell_change(tenure_group_watch *w, tn_rev revision, const struct view_change *change)
{
    enum tenure_group_change kind = !change->was  ? TENURE_GROUP_JOINED
                                    : change->now ? TENURE_GROUP_CHANGED
                                                  : TENURE_GROUP_LEFT;
    struct tenure_kv kv = result_kv(change->now ? change->now : change->was);
    struct tenure_group_list *list = list_new(revision, &kv, 1, w->path_len);
    if (!list)
        end_without_memory(w);
    else if (w->o.on_change && list->n == 1)
        w->o.on_change(w, kind, &list->members[0], revision, w->o.user);
    free(list);
}

/* While the handle closes a watch only ends: what a callback would reach for may be gone. */
static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    tenure_group_watch *w = user;
    if (w->object.handle->state != HANDLE_OPEN)
        return;
    if (!w->listed) {
        w->listed = true;
        tell_list(w, revision, changes, n);
        return;
    }
    for (size_t i = 0; i < n && w->engine; i++)
        tell_change(w, revision, &changes[i]);
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    tenure_group_watch *w = user;
    w->has_ended = true;
    if (w->o.on_end)
        w->o.on_end(w, code, error, w->o.user);
}

static const struct view_callbacks callbacks = {.on_change = on_change, .on_end = on_end};

static void stop(tenure_group_watch *w)
{
    end_view(w);
    w->is_stopped = true;
    object_changed(&w->object);
}

/* The program learns by on_end that the handle closes: the engine says so when its calls end, the abort when there are none. */
static void watch_object_close(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static void watch_object_abort(struct object *o, tn_ms now)
{
    tenure_group_watch *w = watch_of(o);
    struct tenure_error err;
    (void)now;
    if (!w->has_ended && !w->is_stopped) {
        error_set(&err, TENURE_ECLOSED, "group: the handle was closed");
        on_end(w, err.code, &err);
    }
    stop(w);
}

static bool is_over(const struct object *o)
{
    return watch_of(o)->is_stopped;
}

static void watch_object_free(struct object *o)
{
    end_view(watch_of(o));
    free(watch_of(o));
}

static tn_ms watch_object_deadline(const struct object *o)
{
    return watch_of(o)->engine ? view_deadline(watch_of(o)->engine) : TN_MS_NEVER;
}

static void watch_object_tick(struct object *o, tn_ms now)
{
    if (watch_of(o)->engine)
        view_tick(watch_of(o)->engine, now);
}

/* Other threads ask nothing of a watch. */
static void publish(struct object *o)
{
    (void)o;
}

static const struct object_type watch_type = {
    .deadline = watch_object_deadline,
    .tick = watch_object_tick,
    .publish = publish,
    .close = watch_object_close,
    .abort = watch_object_abort,
    .is_over = is_over,
    .is_passive = true,
    .free = watch_object_free,
};

struct start {
    tenure_client *handle;
    const char *path;
    const struct tenure_group_watch_options *o;
    tenure_group_watch *watch;
    struct tenure_error *err;
};

static int begin(struct start *s, tenure_group_watch *w)
{
    tenure_client *c = s->handle;
    bytes key = bytes_str(s->path);
    uint8_t end[3 * NAME_MAX_LEN];
    if (c->state != HANDLE_OPEN)
        return error_set(s->err, TENURE_ECLOSED, "group: the handle is closed");
    struct key_range range = {key, bytes_of(end, bytes_prefix_end(key, end))};
    return view_start(c->engine, range, &callbacks, w, handle_now(c), &w->engine, s->err);
}

static void start_run(void *arg)
{
    struct start *s = arg;
    tenure_group_watch *w = calloc(1, sizeof *w);
    if (!w) {
        error_set(s->err, TENURE_ENOMEM, "group: out of memory");
        return;
    }
    w->o = *s->o;
    w->path_len = strlen(s->path);
    if (begin(s, w) < 0) {
        free(w);
        return;
    }
    object_init(&w->object, s->handle, &watch_type);
    s->watch = w;
}

tenure_group_watch *tenure_group_watch_start(tenure_client *c, const char *group,
                                             const struct tenure_group_watch_options *options, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_group_watch_options o;
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0 || options_take(&o, sizeof o, options, "group", err) < 0)
        return NULL;
    char *prefix = view_recipe_prefix(ns, o.prefix, "/groups/", err);
    char *path = prefix ? path_of(prefix, group, "", err) : NULL;
    struct start s = {.handle = c, .path = path, .o = &o, .err = err ? err : &own};
    if (path && !handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "group: the handle is closed");
    free(path);
    free(prefix);
    return s.watch;
}

static void stop_run(void *arg)
{
    stop(arg);
}

void tenure_group_watch_stop(tenure_group_watch *w)
{
    if (w && !handle_is_forked(w->object.handle))
        handle_sync(w->object.handle, stop_run, w);
}
