/* Settings that are read all the time, from memory, at most so old; and who leads, without asking anybody.
 *
 *     cc cache.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>

#include <tenure/tenure.h>

static void on_change(tenure_cache *k, const struct tenure_cache_changes *all, void *user)
{
    (void)k, (void)user;
    for (size_t i = 0; i < all->n && !all->first; i++)
        printf("changed: %s\n", (const char *)(all->changes[i].now ? all->changes[i].now : all->changes[i].was)->key.data);
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_cache_item *limit = NULL;
    struct tenure_cache_list *all = NULL;
    struct tenure_leader *leader = NULL;
    struct tenure_put_result *put = NULL;
    struct tenure_cache_options o = {.size = sizeof o, .prefix = true, .on_change = on_change};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, NULL, &err);
    tenure_cache *settings = c ? tenure_cache_open(c, tenure_str("/example/settings/"), &o, &err) : NULL;
    tenure_leaders *leaders = settings ? tenure_leaders_open(c, NULL, NULL, &err) : NULL; /* of all elections */
    if (!leaders)
        return fprintf(stderr, "%s\n", err.text), 1;
    int rc = tenure_cache_wait(settings, NULL, &err); /* for the first state */

    /* What was just written, by anybody, can be asked for by its revision. */
    if (rc == 0)
        rc = tenure_put(c, tenure_str("/example/settings/limit"), tenure_str("10"), NULL, &put, &err);
    struct tenure_cache_need fresh = {.size = sizeof fresh, .min_revision = put ? put->revision : 0};
    if (rc == 0)
        rc = tenure_cache_get(settings, tenure_str("/example/settings/limit"), &fresh, &limit, &err);
    if (rc == 0)
        printf("limit %s at revision %" PRId64 "\n", (const char *)limit->kv.value.data, limit->kv.mod_revision);

    /* All of one revision; from memory while that is at most two seconds old, else the servers are asked first. */
    struct tenure_cache_need need = {.size = sizeof need, .max_stale_ms = 2000};
    if (rc == 0)
        rc = tenure_cache_list(settings, tenure_str(""), &need, &all, &err);
    for (size_t i = 0; rc == 0 && i < all->n; i++)
        printf("%s = %s\n", (const char *)all->kvs[i].key.data, (const char *)all->kvs[i].value.data);

    if (rc == 0)
        rc = tenure_leaders_get(leaders, "example", &need, &leader, &err);
    if (rc == 0)
        printf("%s leads\n", leader->exists ? (const char *)leader->value.data : "nobody");
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);

    tenure_leader_free(leader);
    tenure_cache_list_free(all);
    tenure_cache_item_free(limit);
    tenure_put_free(put);
    tenure_leaders_close(leaders);
    tenure_cache_close(settings);
    tenure_close(c);
    return rc < 0;
}
