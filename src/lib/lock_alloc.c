/* The memory of a lock: with copies of the program's strings and rule, and with what letting go of it takes. */
#include "lib/lock_object.h"

#include <stdlib.h>

#include "lib/lock_value.h"
#include "lib/view.h"

static void unlock_run(struct post *p, tn_ms now)
{
    tenure_lock *l = CONTAINER_OF(p, struct unlock, post)->lock;
    l->unlock_is_sent = true;
    lib_lock_stop(l, now);
}

static void unlock_free(struct post *p)
{
    free(CONTAINER_OF(p, struct unlock, post));
}

static struct unlock *unlock_new(tenure_lock *l)
{
    struct unlock *u = calloc(1, sizeof *u);
    if (!u || post_init(&u->post, unlock_run, unlock_free, NULL) < 0) {
        free(u);
        return NULL;
    }
    u->post.must_run = true;
    u->lock = l;
    return u;
}

/* The unlock belongs to whoever sent it. */
void lib_lock_dealloc(tenure_lock *l)
{
    if (l->unlock && !l->unlock_is_sent)
        post_unref(&l->unlock->post);
    scope_leave(&l->scope);
    if (l->rule.kind == RULE_CUSTOM)
        free(l->rule.user);
    free(l->name);
    free((char *)l->o.prefix);
    free((char *)l->o.purpose);
    free(l);
}

/* Replaces a borrowed string by a copy; NULL stays. Answers whether there was memory. */
static bool own_string(const char **s)
{
    const char *from = *s;
    *s = from ? strdup(from) : NULL;
    return !from || *s;
}

/* With a copy of what the program's own rule needs. */
static bool own_rule(tenure_lock *l, const char *name, const struct rule *rule)
{
    l->rule = *rule;
    if (rule->kind != RULE_CUSTOM)
        return true;
    const struct lib_place *from = rule->user;
    size_t size = sizeof *from + strlen(from->says) + 1;
    struct lib_place *p = malloc(size);
    l->rule.user = p;
    if (!p)
        return false;
    memcpy(p, from, size);
    p->path_len = strlen(l->o.prefix ? l->o.prefix : "/locks/") + strlen(name) + 1;
    return true;
}

static tenure_lock *lock_alloc(tenure_client *c, const char *name, const struct rule *rule,
                               const struct tenure_lock_options *o, struct tenure_error *err)
{
    size_t prefix_len = o->prefix ? strlen(o->prefix) : sizeof "/locks/";
    tenure_lock *l = calloc(1, sizeof *l + prefix_len + strlen(name) + RULE_TAG_MAX + sizeof "/0123456789abcdef");
    if (!l) {
        error_set(err, TENURE_ENOMEM, "lock: out of memory");
        return NULL;
    }
    l->object.handle = c;
    l->o = *o;
    bool ruled = own_rule(l, name, rule);
    l->owner = pthread_self();
    levels_begin(&l->levels);
    atomic_init(&l->key, "");
    bool prefix = own_string(&l->o.prefix), purpose = own_string(&l->o.purpose); /* each, so that none stays borrowed */
    l->name = strdup(name);
    l->unlock = unlock_new(l);
    scope_take(&l->scope);
    if (ruled && prefix && purpose && l->name && l->unlock)
        return l;
    lib_lock_dealloc(l);
    error_set(err, TENURE_ENOMEM, "lock: out of memory");
    return NULL;
}

tenure_lock *lib_lock_alloc(tenure_client *c, bytes ns, const char *name, const struct rule *rule,
                            const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct tenure_lock_options below = *o;
    char *prefix = ns.len > 0 ? view_recipe_prefix(ns, o->prefix, "/locks/", err) : NULL;
    if (ns.len > 0 && !prefix)
        return NULL;
    if (prefix)
        below.prefix = prefix;
    tenure_lock *l = lock_alloc(c, name, rule, &below, err);
    if (l)
        l->strip = ns.len;
    if (l && l->rule.kind == RULE_CUSTOM)
        ((struct lib_place *)l->rule.user)->strip = ns.len;
    free(prefix);
    return l;
}

char *lib_lock_value(const tenure_lock *l, bool shared)
{
    const char *purpose = l->o.purpose ? l->o.purpose : l->object.handle->purpose;
    int64_t since = handle_wall_ms(l->object.handle);
    if (l->rule.kind == RULE_CUSTOM)
        return lock_value_new_custom(purpose, since, ((const struct lib_place *)l->rule.user)->says);
    return lock_value_new_share(purpose, since, &l->rule, shared);
}
