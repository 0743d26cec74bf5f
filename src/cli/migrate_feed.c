/* See migrate_feed.h. */
#include "cli/migrate_feed.h"

#include <stdlib.h>
#include <time.h>

#include "base/error.h"

enum { QUEUE_BYTES = 16 << 20 };

/* ---- on the library's thread ---- */

static bytes put_bytes(uint8_t **at, struct tenure_bytes from)
{
    uint8_t *to = *at;
    if (from.len)
        memcpy(to, from.data, from.len);
    *at += from.len;
    return bytes_of(to, from.len);
}

static struct migrate_batch *copy_events(const struct tenure_event *events, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += events[i].kv.key.len + events[i].kv.value.len;
    struct migrate_batch *b = malloc(sizeof *b + n * sizeof b->events[0] + len);
    if (!b)
        return NULL;
    uint8_t *at = (uint8_t *)&b->events[n];
    b->n = n;
    b->bytes = sizeof *b + n * sizeof b->events[0] + len;
    for (size_t i = 0; i < n; i++) {
        const struct tenure_kv *kv = &events[i].kv;
        b->events[i] = (struct event){.type = events[i].type == TENURE_EVENT_DELETE ? EVENT_DELETE : EVENT_PUT};
        b->events[i].kv = (struct kv){.create_revision = kv->create_revision,
                                      .mod_revision = kv->mod_revision,
                                      .version = kv->version,
                                      .lease = kv->lease};
        b->events[i].kv.key = put_bytes(&at, kv->key);
        b->events[i].kv.value = put_bytes(&at, kv->value);
    }
    return b;
}

static void end(struct migrate_feed *f, const struct tenure_error *why)
{
    f->ended = true;
    f->error = *why;
    pthread_cond_broadcast(&f->changed);
}

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct migrate_feed *f = user;
    (void)revision;
    if (n == 0)
        return;
    struct migrate_batch *b = copy_events(events, n);
    pthread_mutex_lock(&f->mutex);
    while (b && !f->closing && f->bytes > QUEUE_BYTES)
        pthread_cond_wait(&f->changed, &f->mutex);
    if (b && !f->closing && !f->ended) {
        list_push_back(&f->queue, &b->link);
        f->bytes += b->bytes;
        f->next = events[n - 1].kv.mod_revision + 1;
        b = NULL;
    } else if (!b) {
        struct tenure_error why;
        error_set(&why, TENURE_ENOMEM, "out of memory");
        end(f, &why);
    }
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
    free(b);
}

static void on_end(void *user, int code, int64_t compact_revision, const struct tenure_error *err)
{
    struct migrate_feed *f = user;
    struct tenure_error why = *err;
    if (code == TENURE_ECOMPACTED)
        error_set(
            &why, code,
            "the source has compacted its history up to revision %lld, and what was not copied is gone: remove the "
            "new directory and begin again, while the source keeps more of its history",
            (long long)compact_revision);
    pthread_mutex_lock(&f->mutex);
    if (!f->ended)
        end(f, &why);
    pthread_mutex_unlock(&f->mutex);
}

/* ---- on the writer's ---- */

static int watch_from(struct migrate_feed *f, struct tenure_error *err)
{
    struct tenure_watch_options o = {
        .size = sizeof o,
        .from_key = true,
        .revision = f->next,
        .on_events = on_events,
        .on_end = on_end,
        .user = f,
    };
    f->ended = false;
    f->watch = tenure_watch_start(f->client, (struct tenure_bytes){"\0", 1}, &o, err);
    return f->watch ? 0 : err->code;
}

int migrate_feed_open(struct migrate_feed *f, tenure_client *client, int64_t next, struct tenure_error *err)
{
    pthread_condattr_t monotonic;
    *f = (struct migrate_feed){.client = client, .next = next};
    list_init(&f->queue);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return watch_from(f, err);
}

static struct migrate_batch *pop(struct migrate_feed *f)
{
    if (list_empty(&f->queue))
        return NULL;
    struct migrate_batch *b = LIST_ENTRY(f->queue.next, struct migrate_batch, link);
    list_remove(&b->link);
    f->bytes -= b->bytes;
    pthread_cond_broadcast(&f->changed);
    return b;
}

/* The library held more than it may: the rest is asked for again. */
static int go_on(struct migrate_feed *f, struct tenure_error *err)
{
    if (f->error.code != TENURE_ELIMIT) {
        *err = f->error;
        return err->code;
    }
    tenure_watch_stop(f->watch);
    return watch_from(f, err);
}

struct migrate_batch *migrate_feed_take(struct migrate_feed *f, int64_t wait_ms, int *ret_code,
                                        struct tenure_error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&f->mutex);
    int rc = 0;
    while (list_empty(&f->queue) && !f->ended && rc == 0)
        rc = pthread_cond_timedwait(&f->changed, &f->mutex, &until);
    struct migrate_batch *b = pop(f);
    bool ended = !b && f->ended;
    pthread_mutex_unlock(&f->mutex);
    *ret_code = ended ? go_on(f, err) : 0;
    return b;
}

void migrate_feed_close(struct migrate_feed *f)
{
    pthread_mutex_lock(&f->mutex);
    f->closing = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
    tenure_watch_stop(f->watch);
    for (struct migrate_batch *b; (b = pop(f));)
        free(b);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
}
