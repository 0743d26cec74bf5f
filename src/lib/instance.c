/* See instance.h. */
#include "lib/instance.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

enum { NAME_MAX_LEN = 4096 };

/* ---- blocks ---- */

struct instance *instance_ref(struct instance *i)
{
    atomic_fetch_add(&i->refs, 1);
    return i;
}

static void use_unref(struct instance_use *u)
{
    if (u && atomic_fetch_sub(&u->refs, 1) == 1)
        free(u);
}

struct instance *instance_unref(struct instance *i)
{
    if (i && atomic_fetch_sub(&i->refs, 1) == 1) {
        use_unref(i->use);
        free(i);
    }
    return NULL;
}

const char *tenure_health_string(enum tenure_health h)
{
    return h == TENURE_HEALTH_PASSING ? "passing" : h == TENURE_HEALTH_WARNING ? "warning" : "critical";
}

bool tenure_instance_serves(const struct tenure_instance *i)
{
    return i && !i->error && i->health != TENURE_HEALTH_CRITICAL && !i->draining && !i->maintenance && !i->leaving &&
           i->weight > 0;
}

/* ---- filters ---- */

static bool has_tag(const struct tenure_instance *i, const char *tag)
{
    for (size_t k = 0; k < i->n_tags; k++)
        if (strcmp(i->tags[k], tag) == 0)
            return true;
    return false;
}

bool instance_matches(const struct tenure_instance *i, const struct tenure_instance_filter *f)
{
    for (size_t k = 0; k < f->n_tags; k++)
        if (!has_tag(i, f->tags[k]))
            return false;
    return (!f->zone || strcmp(i->zone, f->zone) == 0) && (!f->version || strcmp(i->version, f->version) == 0) &&
           (!f->serving || tenure_instance_serves(i));
}

/* ---- lists ---- */

struct list_block {
    struct tenure_instances pub;
    struct instance **shared;
    struct tenure_instance copies[];
};

struct tenure_instances *instance_list(struct instance *const *all, size_t n, int64_t revision)
{
    struct list_block *b = calloc(1, sizeof *b + n * (sizeof(struct tenure_instance) + sizeof(struct instance *)));
    if (!b)
        return NULL;
    b->shared = (struct instance **)(b->copies + n);
    b->pub = (struct tenure_instances){.revision = revision, .n = n, .instances = b->copies};
    for (size_t i = 0; i < n; i++) {
        b->shared[i] = instance_ref(all[i]);
        b->copies[i] = all[i]->pub;
    }
    return &b->pub;
}

void tenure_instances_free(struct tenure_instances *r)
{
    struct list_block *b = (struct list_block *)r;
    if (!b)
        return;
    for (size_t i = 0; i < b->pub.n; i++)
        instance_unref(b->shared[i]);
    free(b);
}

/* ---- keys ---- */

bool instance_is_name(const char *name)
{
    return name && name[0] && strlen(name) <= NAME_MAX_LEN && !strchr(name, '/');
}

int instance_name_check(const char *what, const char *name, struct tenure_error *err)
{
    const char *fault = !name || !name[0]   ? "it is empty"
                        : strchr(name, '/') ? "it has a slash"
                                            : "it is longer than 4,096 bytes";
    if (instance_is_name(name))
        return 0;
    return error_set(err, TENURE_EINVALID, "registry: the name of the %s, \"%.120s\", is none: %s", what,
                     name ? name : "", fault);
}

char *instance_path(const char *prefix, const char *service, const char *instance, struct tenure_error *err)
{
    prefix = prefix ? prefix : "/services/";
    bool all = service && !service[0] && !instance[0];
    if ((!all && instance_name_check("service", service, err)) ||
        (instance[0] && instance_name_check("instance", instance, err)))
        return NULL;
    if (strlen(prefix) > NAME_MAX_LEN) {
        error_set(err, TENURE_EINVALID, "registry: a prefix that is longer than %d bytes", NAME_MAX_LEN);
        return NULL;
    }
    size_t size = strlen(prefix) + strlen(service) + strlen(instance) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s%s%s%s", prefix, service, all ? "" : "/", instance);
    else
        error_set(err, TENURE_ENOMEM, "registry: out of memory");
    return path;
}

bool instance_split(bytes rest, bytes *ret_service, bytes *ret_name)
{
    const uint8_t *slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
    if (!slash || slash == rest.data)
        return false;
    bytes service = bytes_of(rest.data, (size_t)(slash - rest.data));
    bytes name = bytes_of(slash + 1, rest.len - service.len - 1);
    if (name.len == 0 || memchr(name.data, '/', name.len))
        return false;
    *ret_service = service;
    *ret_name = name;
    return true;
}
