/* Places with a rule of the program's: locks whose engine asks a function here, which shows the program those before it as a
 * list like that of tenure_lock_list.
 *
 * Failure: when there is no memory for the list the place waits for the newest before it, which is right under every rule, if
 * not as early as it could be. */
#include <stdlib.h>

#include "lib/lock.h"
#include "recipes/queue.h"

#define SAYS_MAX 512

static size_t ask(const struct lib_place *p, const struct tenure_lock_list *list, const struct kv *before, size_t n)
{
    size_t i = list->n ? p->wait_for(list, p->user) : 0, at = 0;
    if (i >= list->n)
        return n;
    while (at < n - 1 && before[at].create_revision != list->entries[i].token)
        at++;
    return at;
}

/* The kvs as those of tenure_get, with keys as a view shows them; NULL when out of memory. */
static struct tenure_kv *shown(const struct kv *kvs, size_t n, size_t strip)
{
    struct tenure_kv *to = calloc(n + 1, sizeof *to);
    for (size_t i = 0; to && i < n; i++)
        to[i] = (struct tenure_kv){.key = {kvs[i].key.data + strip, kvs[i].key.len - strip},
                                   .value = {kvs[i].value.data, kvs[i].value.len},
                                   .create_revision = kvs[i].create_revision,
                                   .mod_revision = kvs[i].mod_revision,
                                   .version = kvs[i].version,
                                   .lease = kvs[i].lease};
    return to;
}

static size_t place_wait_for(void *user, const struct kv *before, size_t n)
{
    const struct lib_place *p = user;
    struct tenure_kv *kvs = n ? shown(before, n, p->strip) : NULL;
    struct tenure_get_result r = {.n_kvs = n, .kvs = kvs};
    if (n == 0)
        return 0;
    struct tenure_lock_list *list = kvs ? lib_lock_list_of(&r, p->path_len - p->strip) : NULL;
    size_t i = list ? ask(p, list, before, n) : n - 1;
    tenure_lock_list_free(list);
    free(kvs);
    return i;
}

/* The engine's rule; its user is malloc'd. */
static int rule_new(const char *name, const struct tenure_place_rule *from, struct rule *ret, struct tenure_error *err)
{
    struct tenure_place_rule own;
    int rc = options_take(&own, sizeof own, from, "place", err);
    if (rc < 0)
        return rc;
    const char *says = own.says ? own.says : "";
    if (!name || !own.wait_for || strlen(says) > SAYS_MAX)
        return error_set(err, TENURE_EINVALID, "place '%.100s': no name, no rule, or more than %d bytes to say",
                         name ? name : "", SAYS_MAX);
    struct lib_place *p = calloc(1, sizeof *p + strlen(says) + 1);
    if (!p)
        return error_set(err, TENURE_ENOMEM, "place: out of memory");
    p->wait_for = own.wait_for;
    p->user = own.user;
    memcpy(p->says, says, strlen(says) + 1);
    *ret = (struct rule){.kind = RULE_CUSTOM, .wait_for = place_wait_for, .user = p};
    return 0;
}

tenure_lock *tenure_place_acquire(tenure_client *c, const char *name, const struct tenure_place_rule *rule,
                                  const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct rule own;
    if (rule_new(name, rule, &own, err) < 0)
        return NULL;
    tenure_lock *l = lib_lock_acquire(c, name, &own, o, err);
    free(own.user); /* the lock has its own */
    return l;
}

tenure_lock *tenure_place_start(tenure_client *c, const char *name, const struct tenure_place_rule *rule,
                                const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct rule own;
    if (rule_new(name, rule, &own, err) < 0)
        return NULL;
    tenure_lock *l = lib_lock_start(c, name, &own, o, NULL, err);
    free(own.user);
    return l;
}
