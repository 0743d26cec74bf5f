/* The server from opening to closing.
 *
 *     lock and open the log -> replay into the store -> ready -> leases get back their remaining time -> the first write
 *     (an empty log's identity) -> listen -> run -> GOAWAY, drain -> close
 *
 * Each step that fails ends server_open with the reason; server_close then undoes what there is.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/auth.h"
#include "server/internal.h"
#include "server/snapshot.h"

#define FDS_RESERVED 64 /* log, loop, listeners, what libraries open */
#define FDS_WANTED   65536

/* ---- opening: log and store ---- */

static void on_batch_done(void *user)
{
    struct server *s = user;
    if (s->done)
        io_wake_send(s->done);
}

static int draw(void *to, size_t len, struct tenure_error *err)
{
    if (getrandom(to, len, 0) == (ssize_t)len)
        return 0;
    return error_set(err, TENURE_EIO, "no random numbers from the system");
}

/* `tenure snapshot restore` fills DIR.restoring and gives it its name at the end. One that was cut short left no data under
 * the name: starting there would begin an empty store without a word. */
static int check_no_restore(const char *dir, struct tenure_error *err)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/tenure.db", dir);
    if (n < 0 || n >= (int)sizeof path || access(path, F_OK) == 0)
        return 0; /* a name that is too long is refused below */
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    snprintf(path, sizeof path, "%.*s.restoring", (int)len, dir);
    if (access(path, F_OK) < 0)
        return 0;
    return error_set(
        err, TENURE_EINVALID,
        "%s holds no data, but there is %s: a restore was interrupted; run `tenure snapshot restore` again, "
        "or remove what it left",
        dir, path);
}

static int open_backend(struct server *s, struct tenure_error *err)
{
    int rc = check_no_restore(s->config.data_dir, err);
    if (rc < 0)
        return rc;
    struct backend_config config = {
        .dir = s->config.data_dir,
        .allow_replica = s->config.source != NULL,
        .vfs = s->config.vfs,
        .log = s->log,
        .on_done = on_batch_done,
        .user = s,
    };
    return backend_open(&config, &s->backend, err);
}

static int new_store(struct server *s, struct rng *seed, struct tenure_error *err)
{
    struct store_config config = {
        .quota_bytes = s->config.quota_bytes,
        .lease_ttl_min_s = s->config.lease_ttl_min_s,
        .txn_ops_max = s->config.txn_ops_max,
        .cluster_id = rng_u64(seed) | 1,
        .member_id = rng_u64(seed) | 1,
        .member_name = s->config.name ? s->config.name : "default",
        .follows = s->config.source != NULL,
        .has_holes = s->config.n_source_parts > 0,
    };
    if (store_new(&config, seed, &s->store) < 0)
        return error_set(err, TENURE_ENOMEM, "store: out of memory");
    return 0;
}

struct replay {
    struct store *store;
    struct tenure_error *err;
};

static int on_record(void *user, const struct record *r)
{
    struct replay *p = user;
    return store_replay(p->store, r, p->err);
}

/* A lease without a deadline of this boot of the machine has its full TTL from now on. That is stored too: otherwise each
 * further crash before its next renewal would give it a full one again. */
static void restore_lease(struct server *s, tn_lease id, tn_ms now, struct arena *a)
{
    tn_ms deadline;
    tn_seq seq;
    struct lease_ttl_resp lease;
    if (backend_lease_load(s->backend, id, &deadline))
        store_lease_restore(s->store, id, deadline, now);
    else if (store_lease_ttl(s->store, &(struct lease_ttl_req){.id = id}, now, a, &lease, &seq) == ETCD_OK)
        backend_lease_store(s->backend, id, now + lease.granted_ttl_s * 1000);
}

static void restore_leases(struct server *s, tn_ms now)
{
    size_t cursor = 0;
    tn_lease id;
    struct arena a;
    arena_init(&a, 0);
    while ((id = store_lease_next(s->store, &cursor))) {
        restore_lease(s, id, now, &a);
        arena_reset(&a);
    }
    arena_fini(&a);
}

static int open_data(struct server *s, struct rng *seed, struct tenure_error *err)
{
    struct replay replay = {.err = err};
    int rc = open_backend(s, err);
    if (rc == 0)
        rc = new_store(s, seed, err);
    replay.store = s->store;
    if (rc == 0)
        rc = backend_replay(s->backend, on_record, &replay, err);
    if (rc == 0)
        rc = store_ready(s->store, io_now(s->loop), err);
    if (rc == 0)
        snapshot_clean(s);
    if (rc == 0)
        restore_leases(s, io_now(s->loop));
    return rc;
}

/* ---- opening: loop and core ---- */

static void on_done(void *user)
{
    turn_begin(user); /* the outcome is taken at the end of the turn */
}

static void on_timer(void *user)
{
    turn_begin(user);
}

void server_begin_stop(struct server *s)
{
    tn_ms now = turn_begin(s);
    if (s->stopping) {
        io_loop_stop(s->loop);
        return;
    }
    log_write(&s->log, LOG_INFO, "stopping", "drain_ms=%d", DRAIN_MS);
    s->stopping = true;
    s->drain_until = now + DRAIN_MS;
    notify_stopping(s);
    listen_close(s);
    core_shutdown(s->core, now);
}

static void on_stop(void *user)
{
    server_begin_stop(user);
}

static void on_signal(void *user, int signum)
{
    (void)signum;
    server_begin_stop(user);
}

static void on_reload(void *user, int signum)
{
    struct server *s = user;
    (void)signum;
    turn_begin(s);
    notify_reloading(s);
    if (s->config.on_reload)
        s->config.on_reload(s->config.user);
    secure_reload(s);
    notify_ready(s);
}

static int open_loop(struct server *s, struct tenure_error *err)
{
    int rc = io_loop_new(NULL, &s->loop, err);
    if (rc == 0)
        rc = io_timer_new(s->loop, on_timer, s, &s->timer, err);
    if (rc == 0)
        rc = io_wake_new(s->loop, on_done, s, &s->done, err);
    if (rc == 0)
        rc = io_wake_new(s->loop, on_stop, s, &s->stop, err);
    if (rc == 0)
        rc = io_signal_new(s->loop, SIGTERM, on_signal, s, &s->sigterm, err);
    if (rc == 0)
        rc = io_signal_new(s->loop, SIGINT, on_signal, s, &s->sigint, err);
    if (rc == 0)
        rc = io_signal_new(s->loop, SIGHUP, on_reload, s, &s->sighup, err);
    return rc;
}

/* A descriptor a connection: the system's limit is ours. */
static uint32_t conns_that_fit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    rlim_t wanted = limit.rlim_max < FDS_WANTED ? limit.rlim_max : FDS_WANTED;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    rlim_t fit = limit.rlim_cur > 2 * FDS_RESERVED ? limit.rlim_cur - FDS_RESERVED : FDS_RESERVED;
    return fit < 10000 ? (uint32_t)fit : 10000;
}

static void on_lease_store(void *user, tn_lease id, tn_ms deadline)
{
    struct server *s = user;
    backend_lease_store(s->backend, id, deadline);
}

static void on_lease_forget(void *user, tn_lease id)
{
    struct server *s = user;
    backend_lease_forget(s->backend, id);
}

static int open_core(struct server *s, const struct rng *seed, struct tenure_error *err)
{
    const struct server_config *k = &s->config;
    bool named = k->n_advertise_urls > 0;
    struct core_config config = {
        .store = s->store,
        .name = k->name,
        .client_urls = named ? k->advertise_urls : s->url_list,
        .n_client_urls = named ? k->n_advertise_urls : k->n_listen_urls,
        .request_bytes_max = k->request_bytes_max,
        .streams_max = k->streams_max,
        .ping_ms = k->ping_ms,
        .ping_timeout_ms = k->ping_timeout_ms,
        .conns_max = conns_that_fit(),
        .progress_ms = k->progress_ms,
        .time_calls = k->metrics_extensive,
        .quota_bytes = k->quota_bytes ? k->quota_bytes : INT64_C(2) << 30,
        .retention_ms = k->retention_ms,
        .retention_revs = k->retention_revs,
        .seed = *seed,
        .log = s->log,
        .lease_store = on_lease_store,
        .lease_forget = on_lease_forget,
        .snapshots = &snapshot_driver,
        .source = k->source,
        .source_user = k->source_user,
        .source_cluster = k->source_cluster,
        .staleness_ms_max = k->staleness_ms_max,
        .forward_when_stale = k->forward_when_stale,
        .source_has_users = k->source_has_users,
        .source_parts = k->source_parts,
        .n_source_parts = k->n_source_parts,
        .source_parts_text = k->source_parts_text,
        .forward_others = k->forward_others,
        .user = s,
    };
    auth_configure(s, &config);
    if (core_new(&config, &s->core) < 0)
        return error_set(err, TENURE_ENOMEM, "core: out of memory");
    return 0;
}

static int open_http(struct server *s, struct tenure_error *err)
{
    struct http_config config = {
        .core = s->core,
        .cors = s->config.cors,
        .n_cors = s->config.n_cors,
        .hosts = s->config.hosts,
        .n_hosts = s->config.n_hosts,
        .numbers = numbers_read,
        .user = s,
    };
    s->numbers.started_at_s = (double)io_wall_ms() / 1000;
    if (http_new(&config, &s->http) < 0)
        return error_set(err, TENURE_ENOMEM, "http: out of memory");
    return 0;
}

static int open_all(struct server *s, struct tenure_error *err)
{
    uint64_t number;
    struct rng seed;
    int rc = draw(&number, sizeof number, err);
    rng_init(&seed, number);
    if (rc == 0)
        rc = open_loop(s, err);
    if (rc == 0)
        rc = open_data(s, &seed, err);
    if (rc == 0)
        rc = auth_open(s, err);
    if (rc == 0)
        rc = open_core(s, &seed, err);
    if (rc == 0)
        rc = open_http(s, err);
    if (rc == 0)
        rc = turn_commit_first(s, err);
    if (rc == 0)
        rc = listen_open(s, err);
    return rc;
}

int server_open(const struct server_config *config, struct server **ret, struct tenure_error *err)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "server: out of memory");
    s->config = *config;
    s->log = config->log;
    notify_open(s);
    unused_open(s);
    list_init(&s->conns);
    list_init(&s->again);
    list_init(&s->lingering);
    buf_init(&s->out);
    int rc = open_all(s, err);
    if (rc < 0) {
        server_close(s);
        return rc;
    }
    io_turn_start(s->loop, &s->turn, turn_run, s);
    io_turn_request(s->loop);
    *ret = s;
    return 0;
}

/* ---- running ---- */

const char *server_ready_line(const struct server *s, char *out, size_t size)
{
    struct buf line;
    buf_init(&line);
    buf_printf(&line, "tenure: serving");
    for (size_t i = 0; i < s->n_listeners; i++)
        buf_printf(&line, "%s %s", i ? " and" : "", s->urls[i]);
    buf_printf(&line, " (data %s, revision %" PRId64 ")", s->config.data_dir, store_revision(s->store));
    snprintf(out, size, "%.*s", (int)line.len, line.data ? (const char *)line.data : "");
    buf_fini(&line);
    return out;
}

void server_run(struct server *s)
{
    notify_ready(s);
    io_loop_run(s->loop);
}

const char *server_url(const struct server *s, size_t i)
{
    return s->urls[i];
}

struct core *server_core(struct server *s)
{
    return s->core;
}

struct store *server_store(struct server *s)
{
    return s->store;
}

struct io_loop *server_loop(struct server *s)
{
    return s->loop;
}

tn_ms server_enter(struct server *s)
{
    io_turn_request(s->loop);
    return turn_begin(s);
}

void server_stop(struct server *s)
{
    io_wake_send(s->stop);
}

/* ---- closing ---- */

/* The backend comes after the core, which has nothing under way any more, and before the store whose rows it may still be
 * writing. */
struct server *server_close(struct server *s)
{
    if (!s)
        return NULL;
    io_turn_stop(&s->turn);
    listen_close(s);
    LIST_FOREACH_SAFE(it, &s->conns)
    {
        conn_close(LIST_ENTRY(it, struct conn, in_server));
    }
    snapshot_stop(s);
    auth_close(s);
    s->backend = backend_close(s->backend);
    s->http = http_free(s->http);
    s->core = core_free(s->core);
    s->store = store_free(s->store);
    s->timer = io_timer_close(s->timer);
    s->done = io_wake_close(s->done);
    s->stop = io_wake_close(s->stop);
    s->sigterm = io_signal_close(s->sigterm);
    s->sigint = io_signal_close(s->sigint);
    s->sighup = io_signal_close(s->sighup);
    s->loop = io_loop_free(s->loop);
    secure_close(s);
    notify_close(s);
    unused_close(s);
    buf_fini(&s->out);
    free(s);
    return NULL;
}
