/* A user of locks and elections among those of other makes: tests/interop/mixed starts several and judges what they note.
 *
 *     holder lock|elect|v3lock|v3elect URL NAME DIR ID     again and again, until there is DIR/stop
 *     holder inside URL DIR ID                             once, as the command of `tenure lock`, `tenure elect`, `etcdctl lock`
 *
 * NAME is the key's prefix without the last slash. What a holder does is the same in every make: it notes "enter ID TOKEN" in
 * DIR/log (one write at the file's end), adds one to the key NAME.count in a transaction that its own key guards, and notes
 * "leave ID TOKEN". With DIR/die.ID there it makes that DIR/dying.ID and waits to be killed instead.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenure/tenure.h>
#include <unistd.h>

#define TTL_S      4 /* who stops for longer loses it in the middle, which looks like an overlap */
#define WAIT_MS    60000
#define KILLED_S   30 /* how long the one who kills may take */
#define PATH_BYTES 512

static struct {
    const char *name, *dir, *id;
    tenure_client *client;
    int log;
} me;

static void die(const char *what, const struct tenure_error *err)
{
    fprintf(stderr, "holder %s: %s%s%s\n", me.id, what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static void note(const char *what, int64_t token)
{
    char line[128];
    int n = snprintf(line, sizeof line, "%s %s %" PRId64 "\n", what, me.id, token);
    if (write(me.log, line, (size_t)n) != n)
        die("the log", NULL);
}

static bool there_is(const char *what, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", me.dir, what);
    return access(path, F_OK) == 0;
}

static void die_if_told(void)
{
    char what[64], from[PATH_BYTES], to[PATH_BYTES];
    snprintf(what, sizeof what, "die.%s", me.id);
    if (!there_is(what, from))
        return;
    snprintf(to, sizeof to, "%s/dying.%s", me.dir, me.id);
    if (rename(from, to) == 0)
        sleep(KILLED_S);
}

/* Adds one under the guard of the own key; notes when that did not happen, or is not known to have. */
static void count_one(const char *key, int64_t token)
{
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_txn_result *done = NULL;
    char count[PATH_BYTES], text[64];
    snprintf(count, sizeof count, "%s.count", me.name);
    if (tenure_get(me.client, tenure_str(count), NULL, &r, &err)) {
        note("unsure", token);
        return;
    }
    long long was = r->n_kvs ? strtoll(r->kvs[0].value.data, NULL, 10) : 0;
    tenure_get_free(r);
    snprintf(text, sizeof text, "%lld %" PRId64, was + 1, token);
    tenure_txn *t = tenure_txn_new(me.client);
    tenure_if_create_revision(t, tenure_str(key), TENURE_EQ, token);
    tenure_then_put(t, tenure_str(count), tenure_str(text), 0);
    if (tenure_txn_commit(t, 0, &done, &err))
        note("unsure", token);
    else if (done->outcome != TENURE_TXN_SUCCEEDED)
        note("lost", token);
    tenure_txn_result_free(done);
    tenure_txn_free(t);
}

static volatile int64_t inside_by;

/* `tenure lock` ends its command before another one can have the lock. */
static void on_term(int signal)
{
    (void)signal;
    if (inside_by)
        note("ended", inside_by);
    _exit(1);
}

static void inside(const char *key, int64_t token)
{
    note("enter", token);
    inside_by = token;
    die_if_told();
    count_one(key, token);
    inside_by = 0;
    note("leave", token);
}

static void failed(const struct tenure_error *err)
{
    fprintf(stderr, "holder %s: %s\n", me.id, err->text);
    usleep(100000);
}

static void lock_once(void)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .prefix = "/", .ttl_s = TTL_S, .wait_ms = WAIT_MS};
    tenure_lock *l = tenure_lock_acquire(me.client, me.name + 1, &o, &err);
    if (!l) {
        failed(&err);
        return;
    }
    inside(tenure_lock_key(l), tenure_lock_token(l));
    tenure_unlock(l, &err);
}

/* ---- elections: the loop's thread tells this one ---- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool leads, ended;
} term = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void tell(bool *what)
{
    pthread_mutex_lock(&term.mutex);
    *what = true;
    pthread_cond_signal(&term.changed);
    pthread_mutex_unlock(&term.mutex);
}

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)token, (void)user;
    tell(&term.leads);
}

static void on_stopped(tenure_election *e, int code, const struct tenure_error *err, void *user)
{
    (void)e, (void)user;
    if (code)
        fprintf(stderr, "holder %s: %s\n", me.id, err->text);
    tell(&term.ended);
}

static void lead_once(void)
{
    struct tenure_error err = {0};
    char key[PATH_BYTES];
    struct tenure_election_options o = {.size = sizeof o,
                                        .prefix = "/",
                                        .ttl_s = TTL_S,
                                        .wait_ms = WAIT_MS,
                                        .once = true,
                                        .on_gained = on_gained,
                                        .on_stopped = on_stopped};
    term.leads = term.ended = false;
    tenure_election *e = tenure_election_start(me.client, me.name + 1, &o, &err);
    if (!e) {
        failed(&err);
        return;
    }
    pthread_mutex_lock(&term.mutex);
    while (!term.leads && !term.ended)
        pthread_cond_wait(&term.changed, &term.mutex);
    bool leads = term.leads;
    pthread_mutex_unlock(&term.mutex);
    tenure_election_key(e, key, sizeof key);
    if (leads && key[0])
        inside(key, tenure_election_token(e));
    tenure_election_stop(e);
}

/* ---- the server's services, on a session's lease ---- */

static void v3_once(bool elects)
{
    struct tenure_error err = {0};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = TTL_S};
    struct tenure_v3_lock *lock = NULL;
    struct tenure_v3_leader *leader = NULL;
    struct tenure_get_result *r = NULL;
    char key[PATH_BYTES];
    tenure_session *s = tenure_session_open(me.client, &so, &err);
    if (!s) {
        failed(&err);
        return;
    }
    int64_t lease = tenure_session_lease(s);
    int rc = elects
                 ? tenure_v3_campaign(me.client, tenure_str(me.name), lease, tenure_str(me.id), WAIT_MS, &leader, &err)
                 : tenure_v3_lock(me.client, tenure_str(me.name), lease, WAIT_MS, &lock, &err);
    if (rc == 0) {
        struct tenure_bytes k = elects ? leader->key : lock->key;
        snprintf(key, sizeof key, "%.*s", (int)k.len, (const char *)k.data);
        rc = tenure_get(me.client, tenure_str(key), NULL, &r, &err);
    }
    if (rc == 0 && r->n_kvs && tenure_session_remaining_ms(s) > 0)
        inside(key, r->kvs[0].create_revision);
    else if (rc != 0)
        failed(&err);
    if (leader)
        tenure_v3_resign(me.client, leader, 0, &err);
    else if (lock)
        tenure_v3_unlock(me.client, tenure_str(key), 0, &err);
    tenure_get_free(r);
    tenure_v3_lock_free(lock);
    tenure_v3_leader_free(leader);
    tenure_session_close(s, &err);
}

/* Under `tenure lock` and `tenure elect`, or etcdctl's, whose variables name the key. */
static void inside_once(char *name)
{
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    const char *key = getenv("TENURE_KEY");
    key = key ? key : getenv("ETCD_LOCK_KEY");
    if (!key)
        die("no variable names the key", NULL);
    snprintf(name, PATH_BYTES, "%s", key);
    char *slash = strrchr(name, '/');
    if (slash)
        *slash = 0;
    if (tenure_get(me.client, tenure_str(key), NULL, &r, &err))
        die("the own key", &err);
    if (r->n_kvs)
        inside(key, r->kvs[0].create_revision);
    tenure_get_free(r);
}

int main(int argc, char **argv)
{
    static char name[PATH_BYTES];
    char path[PATH_BYTES];
    struct tenure_error err = {0};
    const char *what = argc > 1 ? argv[1] : "";
    bool command = strcmp(what, "inside") == 0;
    if (argc != (command ? 5 : 6))
        return 2;
    me.name = command ? name : argv[3];
    me.dir = argv[argc - 2];
    me.id = argv[argc - 1];
    snprintf(path, sizeof path, "%s/log", me.dir);
    if ((me.log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0)
        die("the log", NULL);
    if (!(me.client = tenure_open(argv[2], NULL, &err)))
        die("open", &err);
    if (command) {
        signal(SIGTERM, on_term);
        inside_once(name);
    }
    while (!command && !there_is("stop", path)) {
        if (strcmp(what, "lock") == 0)
            lock_once();
        else if (strcmp(what, "elect") == 0)
            lead_once();
        else if (strcmp(what, "v3lock") == 0 || strcmp(what, "v3elect") == 0)
            v3_once(what[2] == 'e');
        else
            return 2;
    }
    tenure_close(me.client);
    close(me.log);
    return 0;
}
