/* One step of a recipe of ours, for tests/interop/beside, which takes the others by Go's recipes.
 *
 *     ours barrier-hold|barrier-release|barrier-wait URL NAME
 *     ours double-barrier URL NAME N             says "in"; leaves at the end of its input; says "out"
 *     ours put|take URL NAME [VALUE]             of a FIFO queue; says what it took
 *     ours put-first|take-first URL NAME [VALUE PRIORITY]
 *     ours lock|read URL NAME                    says "held"; releases at the end of its input; or says why not
 *     ours add URL KEY TIMES                     in memory transactions of one more each
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenure/tenure.h>

#define WAIT_MS 30000

static tenure_client *client;

static int said(int rc, const struct tenure_error *err)
{
    if (rc)
        printf("%s\n", err->text);
    return rc != 0;
}

static void say_and_wait(const char *what)
{
    puts(what);
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

static int barrier(const char *what, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_barrier_options o = {.size = sizeof o, .timeout_ms = WAIT_MS};
    int rc = strcmp(what, "hold") == 0      ? tenure_barrier_hold(client, name, &o, &err)
             : strcmp(what, "release") == 0 ? tenure_barrier_release(client, name, &o, &err)
                                            : tenure_barrier_wait(client, name, &o, &err);
    return said(rc, &err);
}

static int double_barrier(const char *name, const char *n)
{
    struct tenure_error err = {0};
    struct tenure_double_barrier_options o = {.size = sizeof o, .timeout_ms = WAIT_MS};
    tenure_double_barrier *b = tenure_double_barrier_enter(client, name, atoi(n), &o, &err);
    if (!b)
        return said(err.code, &err);
    say_and_wait("in");
    int rc = tenure_double_barrier_leave(b, WAIT_MS, &err);
    if (rc == 0)
        puts("out");
    return said(rc, &err);
}

static int queue(const char *what, const char *name, const char *value, const char *priority)
{
    struct tenure_error err = {0};
    bool first = strstr(what, "-first") != NULL;
    struct tenure_queue_options o = {.size = sizeof o, .kind = first ? TENURE_QUEUE_PRIORITY : TENURE_QUEUE_FIFO};
    struct tenure_queue_put_options po = {.size = sizeof po, .priority = priority ? atoi(priority) : 0};
    struct tenure_queue_item *item = NULL;
    tenure_queue *q = tenure_queue_open(client, name, &o, &err);
    if (!q)
        return said(err.code, &err);
    int rc = value ? tenure_queue_put(q, tenure_str(value), &po, &err) : tenure_queue_take(q, WAIT_MS, &item, &err);
    if (item)
        printf("%.*s\n", (int)item->value.len, (const char *)item->value.data);
    tenure_queue_item_free(item);
    tenure_queue_close(q);
    return said(rc, &err);
}

static int lock(const char *what, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = WAIT_MS};
    tenure_lock *l =
        what[0] == 'r' ? tenure_rwlock_read(client, name, &o, &err) : tenure_lock_acquire(client, name, &o, &err);
    if (!l)
        return said(err.code, &err);
    say_and_wait("held");
    return said(tenure_unlock(l, &err), &err);
}

static int one_more(tenure_stm_view *v, void *key)
{
    struct tenure_kv kv = {0};
    char text[32];
    int rc = tenure_stm_get(v, tenure_str(key), &kv);
    if (rc < 0 && rc != TENURE_ENOTFOUND)
        return rc;
    snprintf(text, sizeof text, "%ld", (kv.value.len ? strtol(kv.value.data, NULL, 10) : 0) + 1);
    return tenure_stm_put(v, tenure_str(key), tenure_str(text), 0);
}

static int add(char *key, const char *times)
{
    struct tenure_error err = {0};
    struct tenure_stm_options o = {.size = sizeof o, .timeout_ms = WAIT_MS};
    for (int i = atoi(times); i > 0; i--) {
        int rc = tenure_stm(client, &o, one_more, key, &err);
        if (rc)
            return said(rc, &err);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    if (argc < 4)
        return 2;
    if (!(client = tenure_open(argv[2], NULL, &err)))
        return said(err.code, &err);
    const char *what = argv[1], *more = argc > 4 ? argv[4] : NULL;
    int rc = 2;
    if (strncmp(what, "barrier-", 8) == 0)
        rc = barrier(what + 8, argv[3]);
    else if (strcmp(what, "double-barrier") == 0 && more)
        rc = double_barrier(argv[3], more);
    else if (strncmp(what, "put", 3) == 0 || strncmp(what, "take", 4) == 0)
        rc = queue(what, argv[3], what[0] == 'p' ? more : NULL, argc > 5 ? argv[5] : NULL);
    else if (strcmp(what, "lock") == 0 || strcmp(what, "read") == 0)
        rc = lock(what, argv[3]);
    else if (strcmp(what, "add") == 0 && more)
        rc = add(argv[3], more);
    tenure_close(client);
    return rc;
}
