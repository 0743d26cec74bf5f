/* Leader caches: a followed copy (lib/copy.h) of all candidates, and beside it, under the same mutex, those of them who lead. */
#include <stdlib.h>

#include "lib/copy.h"
#include "lib/result.h"
#include "lib/view.h"
#include "recipes/leaders.h"
#include "recipes/queue.h"

#define WHAT           "leaders"
#define PREFIX_DEFAULT "/election/"

struct tenure_leaders {
    struct copy copy;
    struct tenure_leaders_options o;
    size_t ns_len;
    bytes prefix; /* below its namespace; this and dir are behind the struct */
    bytes dir;    /* of the election that was named; len 0 = of all */
    struct key_range range;

    struct keyset leading;          /* under the copy's mutex */
    struct leaders_change *changes; /* of the revision that is told */
    size_t n_changes, cap_changes;
    uint8_t data[];
};

static tenure_leaders *leaders_of(const struct copy *k)
{
    return CONTAINER_OF((struct copy *)k, tenure_leaders, copy);
}

/* ---- results ---- */

struct leader {
    struct tenure_leader pub;
    struct keyset_entry *entry;
    char name[];
};

void tenure_leader_free(struct tenure_leader *l)
{
    if (!l)
        return;
    keyset_unref(CONTAINER_OF(l, struct leader, pub)->entry);
    free(CONTAINER_OF(l, struct leader, pub));
}

struct leader_list {
    struct tenure_leader_list pub;
    struct keyset_entry **entries;
    struct tenure_leader leaders[];
};

void tenure_leader_list_free(struct tenure_leader_list *l)
{
    if (!l)
        return;
    struct leader_list *all = CONTAINER_OF(l, struct leader_list, pub);
    for (size_t i = 0; i < l->n; i++)
        keyset_unref(all->entries[i]);
    free(all);
}

static int out_of_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, WHAT ": out of memory");
}

/* Without the slash at its end. */
static bytes name_of(const tenure_leaders *l, bytes dir)
{
    return bytes_of(dir.data + l->prefix.len, dir.len - l->prefix.len - 1);
}

static const char *put_name(char *to, bytes name)
{
    memcpy(to, name.data, name.len);
    to[name.len] = 0;
    return to;
}

static struct tenure_leader leader_of(const tenure_leaders *l, const struct keyset_entry *e, const char *name,
                                      struct copy_at at)
{
    struct tenure_leader out = {.exists = e != NULL, .name = name, .revision = at.revision, .stale_ms = at.stale_ms};
    out.key = out.value = tenure_str("");
    if (!e)
        return out;
    out.key = result_bytes(view_strip(e->kv.key, l->ns_len));
    out.value = result_bytes(e->kv.value);
    out.token = e->kv.create_revision;
    out.mod_revision = e->kv.mod_revision;
    out.lease = e->kv.lease;
    return out;
}

/* ---- looking ---- */

static int look(const tenure_leaders *l, const struct replica_need *need, bytes dir, struct tenure_leader **ret,
                struct tenure_error *err)
{
    struct copy_at at;
    bytes name = name_of(l, dir);
    struct leader *out = calloc(1, sizeof *out + name.len + 1);
    if (!out)
        return out_of_memory(err);
    int rc = copy_lock(&l->copy, need, &at, err);
    if (rc) {
        free(out);
        return rc;
    }
    struct keyset_entry *e = leaders_find(&l->leading, dir);
    out->entry = e ? keyset_ref(e) : NULL;
    copy_unlock(&l->copy);
    out->pub = leader_of(l, e, put_name(out->name, name), at);
    *ret = &out->pub;
    return 0;
}

static bool counts(const tenure_leaders *l, bytes dir)
{
    return l->dir.len == 0 || bytes_equal(dir, l->dir);
}

static bytes dir_of(const tenure_leaders *l, const struct keyset_entry *e)
{
    return leaders_dir(e->kv.key, l->prefix.len);
}

/* Under the mutex. */
static struct leader_list *list_new(const tenure_leaders *l)
{
    const struct keyset *s = &l->leading;
    size_t n = 0, room = 0;
    for (size_t i = 0; i < s->len; i++) {
        bytes dir = dir_of(l, s->entries[i]);
        n += counts(l, dir);
        room += dir.len + 1;
    }
    struct leader_list *out = calloc(1, sizeof *out + n * (sizeof *out->leaders + sizeof *out->entries) + room);
    if (!out)
        return NULL;
    out->entries = (struct keyset_entry **)(out->leaders + n);
    out->pub.leaders = out->leaders;
    for (size_t i = 0; i < s->len; i++)
        if (counts(l, dir_of(l, s->entries[i])))
            out->entries[out->pub.n++] = keyset_ref(s->entries[i]);
    return out;
}

int tenure_leaders_cached_list(const tenure_leaders *l, const struct tenure_cache_need *need,
                               struct tenure_leader_list **ret, struct tenure_error *err)
{
    struct replica_need needs;
    struct copy_at at;
    int64_t timeout_ms;
    int rc = copy_enter(l ? &l->copy : NULL, false, false, WHAT, need, &needs, &timeout_ms, err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, WHAT ": there is nowhere to put the answer");
    rc = rc ? rc : copy_lock(&l->copy, &needs, &at, err);
    if (rc)
        return rc;
    struct leader_list *list = list_new(l);
    copy_unlock(&l->copy);
    if (!list)
        return out_of_memory(err);
    char *names = (char *)(list->entries + list->pub.n);
    for (size_t i = 0; i < list->pub.n; i++) {
        bytes name = name_of(l, dir_of(l, list->entries[i]));
        list->leaders[i] = leader_of(l, list->entries[i], put_name(names, name), at);
        names += name.len + 1;
    }
    list->pub.revision = at.revision;
    list->pub.stale_ms = at.stale_ms;
    *ret = &list->pub;
    return 0;
}

/* ---- what the copy says ---- */

static int shown(struct copy *copy, const struct view_change *changes, size_t n)
{
    tenure_leaders *l = leaders_of(copy);
    if (n > l->cap_changes) {
        struct leaders_change *more = realloc(l->changes, n * sizeof *more);
        if (!more)
            return TENURE_ENOMEM;
        l->changes = more;
        l->cap_changes = n;
    }
    return leaders_apply(&l->leading, &copy->keys, l->prefix.len, changes, n, l->changes, &l->n_changes);
}

static int tell(tenure_leaders *l, const struct leaders_change *change)
{
    char name[QUEUE_NAME_MAX + 1], *longer = NULL;
    bytes is = name_of(l, change->dir);
    if (is.len >= sizeof name && !(longer = malloc(is.len + 1)))
        return TENURE_ENOMEM;
    struct tenure_leader now = leader_of(l, change->now, put_name(longer ? longer : name, is), copy_now(&l->copy));
    l->o.on_leader(l, &now, l->o.user);
    free(longer);
    return 0;
}

static int on_change(struct copy *copy, const struct view_change *changes, size_t n, bool first)
{
    tenure_leaders *l = leaders_of(copy);
    int rc = 0;
    bool told = false;
    (void)changes, (void)n;
    if (!l->o.on_leader)
        return 0;
    for (size_t i = 0; rc == 0 && i < l->n_changes && copy_tells(copy); i++) {
        if (!counts(l, l->changes[i].dir))
            continue;
        rc = tell(l, &l->changes[i]);
        told = true;
    }
    if (rc == 0 && first && !told && l->dir.len > 0)
        rc = tell(l, &(struct leaders_change){.dir = l->dir});
    return rc;
}

static void on_end(struct copy *copy, int code, const struct tenure_error *err)
{
    tenure_leaders *l = leaders_of(copy);
    if (l->o.on_end)
        l->o.on_end(l, code, err, l->o.user);
}

static void leaders_free(struct copy *copy)
{
    tenure_leaders *l = leaders_of(copy);
    copy_fini(copy);
    keyset_fini(&l->leading);
    free(l->changes);
    free(l);
}

static const struct copy_type type = {
    .what = WHAT, .shown = shown, .on_change = on_change, .on_end = on_end, .free = leaders_free};

/* ---- opening ---- */

/* ns + prefix + name + "/" into to; its length. */
static size_t put_path(uint8_t *to, bytes ns, const char *prefix, const char *name)
{
    size_t len = strlen(prefix), n = ns.len + len;
    if (ns.len > 0)
        memcpy(to, ns.data, ns.len);
    memcpy(to + ns.len, prefix, len);
    if (name) {
        memcpy(to + n, name, strlen(name));
        n += strlen(name);
        to[n++] = '/';
    }
    return n;
}

static tenure_leaders *leaders_new(tenure_client *c, bytes ns, const char *name, const struct tenure_leaders_options *o,
                                   struct tenure_error *err)
{
    size_t room = ns.len + strlen(o->prefix) + (name ? strlen(name) + 1 : 0) + 1;
    tenure_leaders *l = calloc(1, sizeof *l + 2 * room);
    if (!l) {
        out_of_memory(err);
        return NULL;
    }
    size_t len = put_path(l->data, ns, o->prefix, name);
    l->o = *o;
    l->ns_len = ns.len;
    l->prefix = bytes_of(l->data, ns.len + strlen(o->prefix));
    l->dir = bytes_of(l->data, name ? len : 0);
    l->range.key = bytes_of(l->data, len);
    l->range.range_end = bytes_of(l->data + room, bytes_prefix_end(l->range.key, l->data + room));
    if (copy_init(&l->copy, c, &type, err) == 0)
        return l;
    free(l);
    return NULL;
}

static int check_names(struct tenure_leaders_options *o, const char *name, struct tenure_error *err)
{
    o->prefix = o->prefix ? o->prefix : PREFIX_DEFAULT;
    if (!name && o->prefix[0] == 0)
        return error_set(err, TENURE_EINVALID, WHAT ": neither an election nor a prefix of several is named");
    if (!name && strlen(o->prefix) > QUEUE_NAME_MAX)
        return error_set(err, TENURE_EINVALID, WHAT ": the prefix has more than %d bytes", QUEUE_NAME_MAX);
    return name && queue_check_name(o->prefix, name, err) ? error_wrap(err, WHAT) : 0;
}

tenure_leaders *tenure_leaders_open(tenure_client *c, const char *name, const struct tenure_leaders_options *options,
                                    struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_leaders_options o;
    struct replica_options r = {.check_ms = 0};
    bytes ns = view_of(&c);
    err = err ? err : &own;
    if (handle_enter(c, err) < 0 || options_take(&o, sizeof o, options, WHAT, err) < 0 ||
        copy_options(&r, WHAT, o.check_ms, o.keys_max, o.bytes_max, err) < 0 || check_names(&o, name, err) < 0)
        return NULL;
    tenure_leaders *l = leaders_new(c, ns, name, &o, err);
    if (!l)
        return NULL;
    r.range = l->range;
    if (copy_start(&l->copy, &r, err) == 0)
        return l;
    leaders_free(&l->copy);
    return NULL;
}

int tenure_leaders_fd(const tenure_leaders *l)
{
    return l ? l->copy.fd : -1;
}

void tenure_leaders_close(tenure_leaders *l)
{
    if (l)
        copy_close(&l->copy);
}

/* ---- reading ---- */

/* The election's path, with its namespace; malloc'd. */
static uint8_t *dir_new(const tenure_leaders *l, const char *name, bytes *ret, struct tenure_error *err)
{
    uint8_t *data = malloc(l->prefix.len + strlen(name) + 2);
    if (!data) {
        out_of_memory(err);
        return NULL;
    }
    *ret = bytes_of(data, put_path(data, l->prefix, "", name));
    return data;
}

static int take_name(const tenure_leaders *l, const char *name, uint8_t **ret_data, bytes *ret,
                     struct tenure_error *err)
{
    *ret_data = NULL;
    *ret = l->dir;
    if (!name && l->dir.len == 0)
        return error_set(err, TENURE_EINVALID, WHAT ": no election is named");
    if (!name)
        return 0;
    if (queue_check_name("", name, err))
        return error_wrap(err, WHAT);
    *ret_data = dir_new(l, name, ret, err);
    if (!*ret_data)
        return TENURE_ENOMEM;
    if (counts(l, *ret))
        return 0;
    free(*ret_data);
    *ret_data = NULL;
    return error_set(err, TENURE_EINVALID, WHAT ": it does not follow the election '%.100s'", name);
}

int tenure_leaders_cached(const tenure_leaders *l, const char *name, const struct tenure_cache_need *need,
                          struct tenure_leader **ret, struct tenure_error *err)
{
    struct replica_need needs;
    int64_t timeout_ms;
    uint8_t *data;
    bytes dir;
    int rc = copy_enter(l ? &l->copy : NULL, false, false, WHAT, need, &needs, &timeout_ms, err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, WHAT ": there is nowhere to put the answer");
    rc = rc ? rc : take_name(l, name, &data, &dir, err);
    if (rc)
        return rc;
    rc = look(l, &needs, dir, ret, err);
    free(data);
    return rc;
}

/* Once it was what was needed it is: it only grows. */
static int convert(struct ask *a, const struct client_result *r)
{
    struct copy_read *read = a->req.copy;
    struct tenure_leader *leader = NULL;
    struct tenure_error ignored;
    int rc = look(leaders_of(read->copy), &(struct replica_need){0}, read->key, &leader, &ignored);
    (void)r;
    a->result = leader;
    return rc ? TENURE_ENOMEM : 0;
}

static void drop(void *leader)
{
    tenure_leader_free(leader);
}

ASK_COMPLETE(complete, tenure_leader_cb, struct tenure_leader)

static const struct ask_type read_type = {.what = WHAT,
                                          .answers = true,
                                          .begin = copy_read_begin,
                                          .cancel = copy_read_cancel,
                                          .convert = convert,
                                          .result_free = drop,
                                          .complete = complete};

static int get(tenure_leaders *l, const struct replica_need *need, int64_t timeout_ms, bytes dir,
               struct tenure_leader **ret, struct tenure_error *err)
{
    int rc = copy_check_scope(WHAT, err);
    rc = rc ? rc : look(l, need, dir, ret, err);
    if (rc != TENURE_ESTALE && rc != TENURE_EUNAVAILABLE)
        return rc;
    return ask_finish(copy_ask(&l->copy, &read_type, need, timeout_ms, dir, err), ret, err);
}

int tenure_leaders_get(tenure_leaders *l, const char *name, const struct tenure_cache_need *need,
                       struct tenure_leader **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct replica_need needs;
    int64_t timeout_ms;
    uint8_t *data;
    bytes dir;
    err = err ? err : &own;
    int rc = copy_enter(l ? &l->copy : NULL, true, true, WHAT, need, &needs, &timeout_ms, err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, WHAT ": there is nowhere to put the answer");
    rc = rc ? rc : take_name(l, name, &data, &dir, err);
    if (rc)
        return rc;
    rc = get(l, &needs, timeout_ms, dir, ret, err);
    free(data);
    return rc;
}

int tenure_leaders_get_start(tenure_leaders *l, const char *name, const struct tenure_cache_need *need,
                             tenure_leader_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct replica_need needs;
    int64_t timeout_ms;
    uint8_t *data;
    bytes dir;
    err = err ? err : &own;
    int rc = copy_enter(l ? &l->copy : NULL, false, true, WHAT, need, &needs, &timeout_ms, err);
    rc = rc ? rc : take_name(l, name, &data, &dir, err);
    if (rc)
        return rc;
    rc = ask_go(copy_ask(&l->copy, &read_type, &needs, timeout_ms, dir, err), (void (*)(void))cb, user, err);
    free(data);
    return rc;
}
