#include "cli/cluster_guard.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/connect.h"

#define NAME  "tenure-cluster"
#define TTL_S 30

/* Who holds it, if it says so. */
static const struct tenure_lock_entry *holder(const struct tenure_lock_list *list)
{
    for (size_t i = 0; list && i < list->n; i++)
        if (list->shares[i].holds)
            return &list->entries[i];
    return NULL;
}

static bool is_gone(const struct tenure_lock_entry *e)
{
    char host[256] = "";
    return e && e->pid > 0 && gethostname(host, sizeof host - 1) == 0 && strcmp(e->host, host) == 0 &&
           kill((pid_t)e->pid, 0) < 0 && errno == ESRCH;
}

static void say_busy(const struct tenure_lock_entry *e)
{
    if (e && e->host[0])
        fprintf(stderr, "tenure cluster: another change of this cluster is under way: %s, process %" PRId64 " on %s\n",
                e->purpose[0] ? e->purpose : "unnamed", e->pid, e->host);
    else
        fprintf(stderr, "tenure cluster: another change of this cluster is under way\n");
    fprintf(stderr, "one at a time; what was killed counts no more after %d s\ntry: tenure lock --list " NAME "\n",
            TTL_S);
}

static int acquire(struct cluster_guard *c, const char *purpose, int64_t wait_ms, struct tenure_error *err)
{
    const struct tenure_lock_options o = {.size = sizeof o, .ttl_s = TTL_S, .wait_ms = wait_ms, .purpose = purpose};
    c->lock = tenure_lock_acquire(c->client, NAME, &o, err);
    return c->lock ? 0 : err->code;
}

static int take(struct cluster_guard *c, const struct global_options *g, const char *what)
{
    struct tenure_error err = {0}, ignored = {0};
    struct tenure_lock_list *list = NULL;
    char purpose[64];
    snprintf(purpose, sizeof purpose, "cluster %s", what);
    int rc = acquire(c, purpose, -1, &err);
    if (rc == TENURE_EBUSY && tenure_lock_list(c->client, NAME, NULL, &list, &ignored) == 0 && is_gone(holder(list))) {
        fprintf(stderr, "tenure cluster: a change that was killed ends within %d s: waiting for that\n", TTL_S);
        rc = acquire(c, purpose, INT64_C(2000) * TTL_S, &err);
    }
    if (rc == TENURE_EBUSY || rc == TENURE_ETIMEOUT)
        say_busy(holder(list));
    tenure_lock_list_free(list);
    if (rc == 0 || rc == TENURE_EBUSY || rc == TENURE_ETIMEOUT)
        return rc == 0 ? EXIT_OK : EXIT_FAILED;
    if (err.kind != TENURE_KIND_DENIED)
        return connect_failed("cluster", g, &err);
    fprintf(stderr,
            "tenure cluster: this user may not take the lock " NAME ": see to it that nobody else changes it now\n");
    c->is_denied = true;
    return EXIT_OK;
}

bool cluster_guard_has(const struct cluster_guard *c)
{
    return c->is_denied || (c->lock && tenure_lock_held(c->lock));
}

int cluster_guard_take(struct cluster_guard *c, const char *endpoints, const struct global_options *g, const char *what)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    if (cluster_guard_has(c))
        return EXIT_OK;
    if (c->lock)
        (void)!tenure_unlock(c->lock, &err);
    c->lock = NULL;
    connect_options(g, &options);
    if (!c->client)
        c->client = tenure_open(endpoints, &options, &err);
    return c->client ? take(c, g, what) : connect_failed("cluster", g, &err);
}

void cluster_guard_release(struct cluster_guard *c)
{
    struct tenure_error ignored = {0};
    if (c->lock)
        (void)!tenure_unlock(c->lock, &ignored);
    tenure_close(c->client);
    *c = (struct cluster_guard){.client = NULL};
}
