/* Instances of services, asked for and changed from outside: one read each, and writes that are guarded by what was read. */
#include <stdlib.h>

#include "lib/instance_value.h"
#include "lib/result.h"
#include "lib/view.h"

enum { EDITS_MAX = 16 }; /* that others may come between */

static int no_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, "registry: out of memory");
}

/* Blocking, on a view too. */
static int enter(tenure_client *c, struct tenure_error *err)
{
    view_of(&c);
    return handle_enter_blocking(c, "registry", err);
}

/* ---- lists ---- */

/* Those of r that are instances and match; n counts them. False when out of memory. */
static bool read_all(const struct tenure_get_result *r, size_t prefix_len, const struct tenure_instance_filter *f,
                     struct instance **all, size_t *n)
{
    for (size_t i = 0; i < r->n_kvs; i++) {
        bytes service, name, key = result_bytes_in(r->kvs[i].key);
        if (!instance_split(view_strip(key, prefix_len), &service, &name))
            continue;
        struct instance *one = instance_read(service, name, &r->kvs[i]);
        if (!one)
            return false;
        if (instance_matches(&one->pub, f))
            all[(*n)++] = one;
        else
            instance_unref(one);
    }
    return true;
}

static struct tenure_instances *list_of(const struct tenure_get_result *r, size_t prefix_len,
                                        const struct tenure_instance_filter *f)
{
    struct instance **all = calloc(r->n_kvs + 1, sizeof(struct instance *));
    size_t n = 0;
    bool ok = all && read_all(r, prefix_len, f, all, &n);
    struct tenure_instances *list = ok ? instance_list(all, n, r->revision) : NULL;
    for (size_t i = 0; i < n; i++)
        instance_unref(all[i]);
    free(all);
    return list;
}

/* All keys of a service, or of all. The length of the prefix before the services' names. */
static int get_all(tenure_client *c, const char *prefix, const char *service, bool keys_only,
                   struct tenure_get_result **ret, size_t *ret_prefix_len, struct tenure_error *err)
{
    struct tenure_get_options o = {.size = sizeof o,
                                   .prefix = true,
                                   .order = TENURE_ORDER_ASCEND,
                                   .sort = TENURE_SORT_KEY,
                                   .keys_only = keys_only};
    char *path = instance_path(prefix, service, "", err);
    if (!path)
        return err->code;
    *ret_prefix_len = strlen(path) - strlen(service) - (service[0] ? 1 : 0);
    int rc = path[0] ? tenure_get(c, tenure_str(path), &o, ret, err)
                     : error_set(err, TENURE_EINVALID, "registry: all services of the whole store; give a prefix");
    free(path);
    return rc;
}

struct tenure_instances *tenure_discover(tenure_client *c, const char *service,
                                         const struct tenure_discover_options *options, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_discover_options o;
    struct tenure_get_result *r = NULL;
    size_t prefix_len = 0;
    err = err ? err : &own;
    if (enter(c, err) < 0 || options_take(&o, sizeof o, options, "registry", err) < 0)
        return NULL;
    if ((service && !service[0]) || (o.filter.n_tags && !o.filter.tags)) {
        error_set(err, TENURE_EINVALID, "registry: a service's name that is empty, or tags that are not there");
        return NULL;
    }
    if (get_all(c, o.prefix, service ? service : "", false, &r, &prefix_len, err) < 0)
        return NULL;
    struct tenure_instances *list = list_of(r, prefix_len, &o.filter);
    tenure_get_free(r);
    if (!list)
        no_memory(err);
    return list;
}

/* ---- names ---- */

struct names_block {
    struct tenure_service_names pub;
    struct tenure_service_name services[];
};

/* Into b, or only counted when that is NULL; the keys come in order. text_len: of all names with their ends. */
static size_t take_names(const struct tenure_get_result *r, size_t prefix_len, struct names_block *b, char *text,
                         size_t *ret_text_len)
{
    bytes last = {0}, service, name;
    size_t n = 0, len = 0;
    for (size_t i = 0; i < r->n_kvs; i++) {
        if (!instance_split(view_strip(result_bytes_in(r->kvs[i].key), prefix_len), &service, &name))
            continue;
        if (n == 0 || !bytes_equal(service, last)) {
            if (b) {
                memcpy(text + len, service.data, service.len);
                text[len + service.len] = 0;
                b->services[n].name = text + len;
            }
            len += service.len + 1;
            last = service;
            n++;
        }
        if (b)
            b->services[n - 1].instances++;
    }
    *ret_text_len = len;
    return n;
}

static struct tenure_service_names *names_of(const struct tenure_get_result *r, size_t prefix_len)
{
    size_t len, n = take_names(r, prefix_len, NULL, NULL, &len);
    struct names_block *b = calloc(1, sizeof *b + n * sizeof(struct tenure_service_name) + len);
    if (!b)
        return NULL;
    b->pub = (struct tenure_service_names){.revision = r->revision, .n = n, .services = b->services};
    take_names(r, prefix_len, b, (char *)(b->services + n), &len);
    return &b->pub;
}

struct tenure_service_names *tenure_services(tenure_client *c, const char *prefix, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_get_result *r = NULL;
    size_t prefix_len = 0;
    err = err ? err : &own;
    if (enter(c, err) < 0 || get_all(c, prefix, "", true, &r, &prefix_len, err) < 0)
        return NULL;
    struct tenure_service_names *names = names_of(r, prefix_len);
    tenure_get_free(r);
    if (!names)
        no_memory(err);
    return names;
}

void tenure_service_names_free(struct tenure_service_names *r)
{
    free(r);
}

/* ---- edits ---- */

/* What there is of that name; the caller frees *ret and unrefs. NULL with err filled. */
static struct instance *look(tenure_client *c, const char *path, const char *service, const char *name,
                             struct tenure_error *err)
{
    struct tenure_get_result *r = NULL;
    struct instance *i = NULL;
    if (tenure_get(c, tenure_str(path), NULL, &r, err) < 0)
        return NULL;
    if (r->n_kvs == 0)
        error_set(err, TENURE_ENOTFOUND, "registry: no instance '%.100s' of '%.100s'", name, service);
    else if (!(i = instance_read(bytes_str(service), bytes_str(name), &r->kvs[0])))
        no_memory(err);
    tenure_get_free(r);
    return i;
}

/* 1: others came between, try again. */
static int write_over(tenure_client *c, const char *path, const struct tenure_instance *was,
                      const struct tenure_instance *now, struct tenure_error *err)
{
    struct tenure_put_options o = {.size = sizeof o, .ignore_lease = true};
    struct tenure_cas_result *r = NULL;
    char *value = instance_write(now, result_bytes_in(was->value));
    if (!value)
        return no_memory(err);
    bool same = tenure_str(value).len == was->value.len && memcmp(value, was->value.data, was->value.len) == 0;
    int rc = same ? 0 : tenure_put_if(c, tenure_str(path), tenure_str(value), was->mod_revision, &o, &r, err);
    if (r && r->outcome == TENURE_TXN_FAILED)
        rc = 1;
    tenure_cas_free(r);
    free(value);
    return rc;
}

static int delete_it(tenure_client *c, const char *path, const struct tenure_instance *was, struct tenure_error *err)
{
    struct tenure_cas_result *r = NULL;
    int rc = tenure_delete_if(c, tenure_str(path), was->mod_revision, NULL, &r, err);
    if (r && r->outcome == TENURE_TXN_FAILED)
        rc = 1;
    tenure_cas_free(r);
    return rc;
}

static bool edited(bool was, enum tenure_edit e)
{
    return e == TENURE_SET || (was && e != TENURE_CLEAR);
}

/* e NULL: sends it away. */
static int edit_once(tenure_client *c, const char *path, const struct tenure_instance *was,
                     const struct tenure_instance_edit *e, struct tenure_error *err)
{
    struct tenure_instance now = *was;
    bool is_ours = !was->error && !was->is_grpc;
    if (!e && (!is_ours || was->lease == 0))
        return delete_it(c, path, was, err);
    if (!is_ours)
        return error_set(err, TENURE_ECORRUPT, "registry: '%.100s' cannot be changed: %s", was->name,
                         was->error ? was->error : "it is in Go's layout");
    if (e) {
        now.draining = edited(was->draining, e->draining);
        now.maintenance = edited(was->maintenance, e->maintenance);
        now.weight = e->weight == 0 ? was->weight : e->weight < 0 ? 0 : e->weight;
    } else {
        now.leaving = true;
    }
    return write_over(c, path, was, &now, err);
}

static int edit(tenure_client *c, const char *prefix, const char *service, const char *name,
                const struct tenure_instance_edit *e, struct tenure_error *err)
{
    int rc = instance_name_check("service", service, err);
    rc = rc ? rc : instance_name_check("instance", name, err);
    if (rc)
        return rc;
    rc = 1;
    char *path = instance_path(prefix, service, name, err);
    for (int tries = 0; path && rc == 1 && tries < EDITS_MAX; tries++) {
        struct instance *was = look(c, path, service, name, err);
        rc = was ? edit_once(c, path, &was->pub, e, err) : err->code;
        instance_unref(was);
    }
    free(path);
    if (!path)
        return err->code;
    return rc == 1 ? error_set(err, TENURE_ECONFLICT, "registry: '%.100s' is changed again and again", name) : rc;
}

int tenure_instance_edit(tenure_client *c, const char *service, const char *instance,
                         const struct tenure_instance_edit *options, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_instance_edit e;
    err = err ? err : &own;
    int rc = enter(c, err);
    if (rc == 0)
        rc = options_take(&e, sizeof e, options, "registry", err);
    if (rc == 0 && (e.weight < -1 || e.weight > 65535 || (unsigned)e.draining > TENURE_CLEAR ||
                    (unsigned)e.maintenance > TENURE_CLEAR))
        rc = error_set(err, TENURE_EINVALID, "registry: no such edit, or a weight beyond 1 to 65535");
    return rc < 0 ? rc : edit(c, e.prefix, service, instance, &e, err);
}

int tenure_deregister(tenure_client *c, const char *prefix, const char *service, const char *instance,
                      struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = enter(c, err);
    return rc < 0 ? rc : edit(c, prefix, service, instance, NULL, err);
}
