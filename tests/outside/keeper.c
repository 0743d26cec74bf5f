/* A program outside the tree, built against an installed libtenure through pkg-config, with nothing but its public headers:
 *
 *     cc keeper.c $(pkg-config --cflags --libs libtenure) -o keeper && ./keeper ENDPOINTS ID NAME MODE TTL_S HOLD_MS
 *
 * It holds the lock NAME (MODE: mutex, delay for one with a lock-delay of 1 s, read, write, permit of 2), for HOLD_MS each time (0: as long as it can), stands for
 * election in NAME, observes who leads, and keeps a mirror of all keys under mirror/, at once and whatever happens to the
 * servers and the network. While it holds it writes, guarded by its token and not; it reads all the time. What it was told,
 * and when (CLOCK_BOOTTIME, ms), it says line by line; judge.py knows the words and judges them.
 *
 * Standard input: "dump" prints the mirror, "quit" or the end lets everything go and ends with 0.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tenure/tenure.h>

#define KEYS_MAX 256
#define WAIT_MS  3000 /* for the lock, each time */
#define WRITE_MS 1500 /* each write's deadline */
#define READ_MS  700  /* each read's */
#define PAUSE_MS 5    /* between two askings */

struct entry {
    char key[64], value[64];
    int64_t revision;
};

/* Of one handle: all of it is used by several threads. */
static struct {
    tenure_client *handle;
    const char *id, *name, *mode;
    int64_t ttl_s, hold_ms;
    atomic_bool stops;
    pthread_mutex_t mutex; /* of the mirror */
    struct entry mirror[KEYS_MAX];
    size_t n;
    int64_t revision; /* that the mirror shows; -1 while it is behind a resync's begin */
} g = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* One line, whole, at once. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flockfile(stdout);
    vprintf(format, args);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    va_end(args);
}

/* ---- writes: one under way at a time ---- */

struct write {
    tenure_lock *lock;
    int64_t begun;
    long number;
    bool guarded;
    char value[64];
    atomic_bool under_way;
};

static void on_write(struct write *w, int code, int outcome, const struct tenure_error *err)
{
    say("write %" PRId64 " %" PRId64 " %d %s %s %d %d %d %d", w->begun, now(), WRITE_MS,
        w->guarded ? "guarded" : "plain", w->value, code, code ? (int)err->applied : (int)TENURE_APPLIED_YES, outcome,
        (int)tenure_lock_held(w->lock));
    atomic_store(&w->under_way, false);
}

static void on_txn(void *user, int code, struct tenure_txn_result *r, const struct tenure_error *err)
{
    on_write(user, code, code ? -1 : (int)r->outcome, err);
    tenure_txn_result_free(r);
}

static void on_put(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err)
{
    on_write(user, code, -1, err);
    tenure_put_free(r);
}

static int begin_guarded(struct write *w)
{
    char key[64];
    tenure_txn *t = tenure_txn_new(g.handle);
    snprintf(key, sizeof key, "guarded/%s", g.name);
    tenure_if_create_revision(t, tenure_str(tenure_lock_key(w->lock)), TENURE_EQ, tenure_lock_token(w->lock));
    tenure_then_put(t, tenure_str(key), tenure_str(w->value), 0);
    int rc = tenure_txn_start(t, WRITE_MS, on_txn, w, NULL);
    tenure_txn_free(t);
    return rc;
}

/* Each value is written by one call, ever. */
static void write_again(struct write *w)
{
    struct tenure_put_options o = {.size = sizeof o, .timeout_ms = WRITE_MS};
    char key[64];
    if (atomic_load(&w->under_way) || now() < w->begun + 20)
        return;
    w->guarded = ++w->number % 2;
    snprintf(w->value, sizeof w->value, "%s:%" PRId64 ":%ld", g.id, (int64_t)tenure_lock_token(w->lock), w->number);
    snprintf(key, sizeof key, "plain/%s", g.id);
    w->begun = now();
    atomic_store(&w->under_way, true);
    int rc = w->guarded ? begin_guarded(w)
                        : tenure_put_start(g.handle, tenure_str(key), tenure_str(w->value), &o, on_put, w, NULL);
    if (rc != 0)
        atomic_store(&w->under_way, false);
}

/* ---- the lock ---- */

static void on_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    (void)user;
    say("lost %" PRId64 " %" PRId64 " %d %d", now(), (int64_t)tenure_lock_token(lock), why->code,
        (int)tenure_lock_held(lock));
}

static tenure_lock *acquire(struct tenure_error *err)
{
    struct tenure_lock_options o = {
        .size = sizeof o, .ttl_s = g.ttl_s, .wait_ms = WAIT_MS, .purpose = g.id, .on_lost = on_lost};
    if (strcmp(g.mode, "delay") == 0)
        o.delay_ms = 1000;
    if (strcmp(g.mode, "read") == 0)
        return tenure_rwlock_read(g.handle, g.name, &o, err);
    if (strcmp(g.mode, "write") == 0)
        return tenure_rwlock_write(g.handle, g.name, &o, err);
    if (strcmp(g.mode, "permit") == 0)
        return tenure_semaphore_acquire(g.handle, g.name, 1, 2, &o, err);
    return tenure_lock_acquire(g.handle, g.name, &o, err);
}

/* Asks until the answer is no, or it is time to let go. */
static void hold(tenure_lock *lock, struct write *w)
{
    int64_t first = 0, last = 0, begun = now(), until = g.hold_ms ? begun + g.hold_ms : INT64_MAX;
    w->lock = lock;
    while (!atomic_load(&g.stops) && begun < until) {
        begun = now();
        if (!tenure_lock_held(lock))
            break;
        last = begun;
        if (first == 0)
            first = now();
        write_again(w);
        pause_ms(PAUSE_MS);
    }
    say("held %" PRId64 " %" PRId64 " %" PRId64 " %s", (int64_t)tenure_lock_token(lock), first, last, g.mode);
    /* Once lost, lost. */
    while (atomic_load(&w->under_way) || now() < last + 50) {
        begun = now();
        if (last != 0 && begun < until && !atomic_load(&g.stops) && tenure_lock_held(lock))
            say("held-again %" PRId64 " %" PRId64, (int64_t)tenure_lock_token(lock), begun);
        pause_ms(PAUSE_MS);
    }
}

static void *keep_lock(void *arg)
{
    static struct write w;
    (void)arg;
    while (!atomic_load(&g.stops)) {
        struct tenure_error err = {0};
        int64_t begun = now();
        tenure_lock *lock = acquire(&err);
        if (!lock) {
            say("failed %" PRId64 " %" PRId64 " %d %d %s", begun, now(), WAIT_MS, err.code, err.text);
            pause_ms(err.code == TENURE_ETIMEOUT ? 0 : 100);
            continue;
        }
        say("got %" PRId64 " %" PRId64 " %" PRId64 " %s", begun, now(), (int64_t)tenure_lock_token(lock),
            tenure_lock_key(lock));
        hold(lock, &w);
        int64_t token = tenure_lock_token(lock);
        begun = now();
        int rc = tenure_unlock(lock, &err);
        say("released %" PRId64 " %" PRId64 " %" PRId64 " %d", begun, now(), token, rc);
    }
    return NULL;
}

/* ---- the election ---- */

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)user;
    say("gained %" PRId64 " %" PRId64, now(), (int64_t)token);
}

static void on_deposed(tenure_election *e, enum tenure_loss why, void *user)
{
    (void)user;
    say("deposed %" PRId64 " %" PRId64 " %d %d", now(), (int64_t)tenure_election_token(e), (int)why,
        (int)tenure_election_leads(e));
}

static void on_leader(tenure_observer *o, const struct tenure_kv *kv, int64_t revision, void *user)
{
    (void)o, (void)user;
    say("leader %" PRId64 " %" PRId64 " %" PRId64, now(), kv ? kv->create_revision : 0, revision);
}

/* The token before and behind the asking are the same, or the answer is for nobody. */
static void *ask_election(void *arg)
{
    tenure_election *e = arg;
    int64_t first = 0, last = 0, led = 0;
    while (!atomic_load(&g.stops)) {
        int64_t begun = now(), token = tenure_election_token(e);
        bool leads = tenure_election_leads(e) && tenure_election_token(e) == token;
        if (led != 0 && (!leads || token != led)) {
            say("led %" PRId64 " %" PRId64 " %" PRId64, led, first, last);
            led = 0;
        }
        if (leads) {
            last = begun;
            if (led == 0)
                first = now();
            led = token;
        }
        pause_ms(PAUSE_MS);
    }
    if (led != 0)
        say("led %" PRId64 " %" PRId64 " %" PRId64, led, first, last);
    return NULL;
}

/* ---- reads, and what the handle does ---- */

static void *read_again(void *arg)
{
    struct tenure_get_options o = {.size = sizeof o, .prefix = true, .limit = 1, .timeout_ms = READ_MS};
    (void)arg;
    for (int i = 0; !atomic_load(&g.stops); i++) {
        struct tenure_error err = {0};
        struct tenure_get_result *r = NULL;
        struct tenure_stats stats = {.size = sizeof stats};
        int64_t begun = now();
        int rc = tenure_get(g.handle, tenure_str("plain/"), &o, &r, &err);
        const struct tenure_kv *kv = r && r->n_kvs ? &r->kvs[0] : NULL;
        if (rc == 0)
            say("read %" PRId64 " %" PRId64 " %d 0 %" PRId64 " %" PRId64 " %s", begun, now(), READ_MS, r->revision,
                kv ? kv->mod_revision : 0, kv ? (const char *)kv->value.data : "-");
        else
            say("read %" PRId64 " %" PRId64 " %d %d 0 %s", begun, now(), READ_MS, rc, err.text);
        tenure_get_free(r);
        if (i % 8 == 0 && tenure_stats(g.handle, &stats, NULL) == 0)
            say("stats %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64, now(), stats.connections, stats.endpoint_failures,
                stats.retries);
        pause_ms(30);
    }
    return NULL;
}

/* ---- the mirror ---- */

/* What comes in events has no 0 behind it. */
static void to_text(struct tenure_bytes b, char out[64])
{
    snprintf(out, 64, "%.*s", (int)b.len, (const char *)b.data);
}

static struct entry *find(const char *key)
{
    for (size_t i = 0; i < g.n; i++)
        if (strcmp(g.mirror[i].key, key) == 0)
            return &g.mirror[i];
    return NULL;
}

static void apply(const struct tenure_event *e, const char *key, const char *value)
{
    struct entry *entry = find(key);
    if (e->type == TENURE_EVENT_DELETE && entry)
        *entry = g.mirror[--g.n];
    if (e->type == TENURE_EVENT_DELETE)
        return;
    if (!entry && g.n == KEYS_MAX)
        abort();
    if (!entry)
        entry = &g.mirror[g.n++];
    snprintf(entry->key, sizeof entry->key, "%s", key);
    snprintf(entry->value, sizeof entry->value, "%s", value);
    entry->revision = e->kv.mod_revision;
}

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    (void)user;
    pthread_mutex_lock(&g.mutex);
    for (size_t i = 0; i < n; i++) {
        const struct tenure_kv *kv = &events[i].kv;
        char key[64], value[64];
        to_text(kv->key, key);
        to_text(kv->value, value);
        say("event %" PRId64 " %s %s %" PRId64 " %" PRId64 " %s", now(),
            events[i].type == TENURE_EVENT_PUT ? "put" : "delete", key, kv->mod_revision, kv->version,
            value[0] ? value : "-");
        apply(&events[i], key, value);
    }
    if (g.revision >= 0)
        g.revision = revision;
    pthread_mutex_unlock(&g.mutex);
}

static void on_resync(void *user, enum tenure_resync_mark mark, int why, int64_t revision)
{
    (void)user;
    pthread_mutex_lock(&g.mutex);
    g.revision = mark == TENURE_RESYNC_BEGIN ? -1 : revision;
    say("resync %" PRId64 " %s %d %" PRId64, now(), mark == TENURE_RESYNC_BEGIN ? "begin" : "end", why, revision);
    pthread_mutex_unlock(&g.mutex);
}

static void on_end(void *user, int code, int64_t compact_revision, const struct tenure_error *err)
{
    (void)user, (void)compact_revision;
    if (!atomic_load(&g.stops))
        say("watch-ended %" PRId64 " %d %s", now(), code, err->text);
}

static void dump(void)
{
    pthread_mutex_lock(&g.mutex);
    for (size_t i = 0; i < g.n; i++)
        say("mirror %s %" PRId64 " %s", g.mirror[i].key, g.mirror[i].revision, g.mirror[i].value);
    say("mirrored %" PRId64 " %zu", g.revision, g.n);
    pthread_mutex_unlock(&g.mutex);
}

/* ---- all at once ---- */

static void on_log(void *user, int level, const char *line)
{
    (void)user;
    if (level > 0)
        say("log %" PRId64 " %d %s", now(), level, line);
}

static void obey(void)
{
    char line[64];
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0)
        if (strcmp(line, "dump\n") == 0)
            dump();
    atomic_store(&g.stops, true);
}

static int run(void)
{
    struct tenure_election_options eo = {.size = sizeof eo,
                                         .proposal = tenure_str(g.id),
                                         .ttl_s = g.ttl_s,
                                         .on_gained = on_gained,
                                         .on_lost = on_deposed};
    struct tenure_observer_options oo = {.size = sizeof oo, .on_leader = on_leader};
    struct tenure_watch_options wo = {.size = sizeof wo,
                                      .prefix = true,
                                      .resync = true,
                                      .on_events = on_events,
                                      .on_resync = on_resync,
                                      .on_end = on_end};
    tenure_election *e = tenure_election_start(g.handle, g.name, &eo, NULL);
    tenure_observer *o = tenure_observer_start(g.handle, g.name, &oo, NULL);
    tenure_watch *w = tenure_watch_start(g.handle, tenure_str("mirror/"), &wo, NULL);
    pthread_t threads[3];
    if (!e || !o || !w)
        return 1;
    pthread_create(&threads[0], NULL, keep_lock, NULL);
    pthread_create(&threads[1], NULL, ask_election, e);
    pthread_create(&threads[2], NULL, read_again, NULL);
    obey();
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    tenure_watch_stop(w);
    tenure_observer_stop(o);
    tenure_election_stop(e);
    return 0;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o, .log = on_log};
    if (argc != 7)
        return fprintf(stderr, "usage: keeper ENDPOINTS ID NAME mutex|delay|read|write|permit TTL_S HOLD_MS\n"), 2;
    g.id = argv[2];
    g.name = argv[3];
    g.mode = argv[4];
    g.ttl_s = atoi(argv[5]);
    g.hold_ms = atoi(argv[6]);
    g.handle = tenure_open(argv[1], &o, &err);
    if (!g.handle)
        return fprintf(stderr, "%s\n", err.text), 1;
    int rc = run();
    tenure_close(g.handle);
    say("bye %" PRId64, now());
    return rc;
}
