/* See migrate_target.h. */
#include "cli/migrate_target.h"
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/loop.h"
#include "store/auth.h"

enum { HASH_SLICE = 1 << 20 };

/* ---- the mark ---- */

void migrate_target_note(uint64_t source, char *out, size_t size)
{
    snprintf(out, size, "source=%016" PRIx64 "\n", source);
}

static int note_path(const char *dir, char *out, size_t size, struct tenure_error *err)
{
    if (snprintf(out, size, "%s/%s", dir, BACKEND_UNFINISHED) < (int)size)
        return 0;
    return error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
}

static int read_note(struct migrate_target *t, struct tenure_error *err)
{
    char path[4096], text[64] = "";
    int rc = note_path(t->dir, path, sizeof path, err);
    if (rc)
        return rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, TENURE_ECONFLICT,
                         "%s holds data, and no migration into it is under way: name a new data directory", t->dir);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n < 0)
        rc = error_errno(err, errno, "%s", path);
    else if (sscanf(text, "source=%" SCNx64, &t->source) != 1)
        rc = error_set(err, TENURE_ECORRUPT, "%s does not say where the data come from", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int remove_note(const struct migrate_target *t, struct tenure_error *err)
{
    char path[4096];
    int rc = note_path(t->dir, path, sizeof path, err);
    if (rc)
        return rc;
    if (unlink(path) < 0)
        return error_errno(err, errno, "%s", path);
    return io_sync_directory(t->dir) < 0 ? error_errno(err, errno, "%s", t->dir) : 0;
}

/* ---- opening ---- */

struct reading {
    struct store *store;
    struct tenure_error *err;
};

static int on_record(void *user, const struct record *row)
{
    struct reading *x = user;
    return store_replay(x->store, row, x->err);
}

int migrate_target_open(struct migrate_target *t, const char *dir, struct tenure_error *err)
{
    struct store_config config = {.member_name = "default"};
    struct backend_config directory = {.dir = dir, .ballast_bytes = -1, .allow_unfinished = true};
    struct rng seed;
    *t = (struct migrate_target){.dir = dir};
    rng_init(&seed, 1);
    int rc = read_note(t, err);
    if (rc == 0 && store_new(&config, &seed, &t->store) < 0)
        rc = error_set(err, TENURE_ENOMEM, "out of memory");
    if (rc == 0)
        rc = backend_open(&directory, &t->backend, err);
    struct reading x = {t->store, err};
    if (rc == 0)
        rc = backend_replay(t->backend, on_record, &x, err);
    if (rc == 0)
        migrate_rows_init(&t->rows, backend_seq(t->backend), store_revision(t->store));
    return rc;
}

void migrate_target_close(struct migrate_target *t)
{
    t->backend = backend_close(t->backend);
    t->store = store_free(t->store);
    migrate_rows_fini(&t->rows);
}

tn_rev migrate_target_revision(const struct migrate_target *t)
{
    return store_revision(t->store);
}

/* ---- leases ---- */

/* *ret_n: how many keys it has. False: it is not there. */
static bool look_at_lease(const struct migrate_target *t, tn_lease id, bool keys, size_t *ret_n)
{
    struct arena a;
    struct lease_ttl_resp r = {0};
    struct lease_ttl_req req = {.id = id, .keys = keys};
    tn_seq seq;
    arena_init(&a, 0);
    enum etcd_error e = store_lease_ttl(t->store, &req, 0, &a, &r, &seq);
    *ret_n = e ? SIZE_MAX : r.n_keys; /* out of memory: not known to have none */
    arena_fini(&a);
    return e || r.granted_ttl_s > 0;
}

bool migrate_target_has_lease(const struct migrate_target *t, tn_lease id)
{
    size_t n;
    return look_at_lease(t, id, false, &n);
}

/* ---- planning: into the rows, and from these into the store ---- */

static int replay_from(struct migrate_target *t, size_t first, int rc, struct tenure_error *err)
{
    for (size_t i = first; rc == 0 && i < t->rows.n; i++)
        rc = store_replay(t->store, &t->rows.rows[i], err);
    return rc;
}

int migrate_target_revise(struct migrate_target *t, const struct event *events, size_t n, struct tenure_error *err)
{
    size_t first = t->rows.n;
    return replay_from(t, first, migrate_add_revision(&t->rows, events, n, err), err);
}

int migrate_target_grant(struct migrate_target *t, tn_lease id, int64_t ttl_s, struct tenure_error *err)
{
    size_t first = t->rows.n;
    return replay_from(t, first, migrate_add_grant(&t->rows, id, ttl_s, err), err);
}

static int drop_lease(struct migrate_target *t, tn_lease id, struct tenure_error *err)
{
    size_t first = t->rows.n;
    return replay_from(t, first, migrate_add_revoke(&t->rows, id, err), err);
}

struct matching {
    struct migrate_target *t;
    int (*on_new)(void *user, tn_lease id);
    void *user;
    size_t left;
    struct tenure_error *err;
};

static int lease_is_new(void *user, tn_lease id)
{
    struct matching *m = user;
    return m->on_new(m->user, id);
}

static int lease_is_gone(void *user, tn_lease id)
{
    struct matching *m = user;
    size_t n_keys;
    (void)look_at_lease(m->t, id, true, &n_keys);
    if (n_keys == 0)
        return drop_lease(m->t, id, m->err);
    m->left++;
    return 0;
}

int migrate_target_match_leases(struct migrate_target *t, tn_lease *ids, size_t n,
                                int (*on_new)(void *user, tn_lease id), void *user, size_t *ret_left,
                                struct tenure_error *err)
{
    struct matching m = {t, on_new, user, 0, err};
    size_t n_here = (size_t)store_leases(t->store), i = 0, cursor = 0;
    tn_lease *here = malloc((n_here + 1) * sizeof *here);
    if (!here)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    for (tn_lease id; i < n_here && (id = store_lease_next(t->store, &cursor)) != 0;)
        here[i++] = id;
    struct migrate_lease_diff diff = {ids, here, n, i, lease_is_new, lease_is_gone, &m};
    int rc = migrate_diff_leases(&diff);
    free(here);
    *ret_left = m.left;
    return rc;
}

/* ---- into the log ---- */

int migrate_target_commit(struct migrate_target *t, struct tenure_error *err)
{
    struct backend_batch batch = {.rows = t->rows.rows, .n_rows = t->rows.n};
    struct backend_result result = {0};
    if (t->rows.n == 0)
        return 0;
    backend_commit_now(t->backend, &batch, &result);
    migrate_rows_clear(&t->rows);
    if (result.outcome == BACKEND_APPLIED)
        return 0;
    *err = result.error;
    return err->code;
}

/* ---- the end ---- */

int migrate_target_set_users(struct migrate_target *t, const struct migrate_users *ours,
                             const struct migrate_users *theirs, struct tenure_error *err)
{
    size_t first = t->rows.n;
    int rc = migrate_add_users(&t->rows, ours, theirs, err);
    rc = replay_from(t, first, rc, err);
    return rc ? rc : migrate_target_commit(t, err);
}

int migrate_target_compact(struct migrate_target *t, tn_rev revision, struct tenure_error *err)
{
    size_t first = t->rows.n;
    if (revision <= store_compacted(t->store))
        return 0;
    return replay_from(t, first, migrate_add_compaction(&t->rows, revision, err), err);
}

int migrate_target_disarm(struct migrate_target *t, struct tenure_error *err)
{
    struct arena a;
    struct alarm *alarms = NULL;
    size_t n = 0, first = t->rows.n;
    arena_init(&a, 0);
    int rc = store_alarms(t->store, &a, &alarms, &n) ? error_set(err, TENURE_ENOMEM, "out of memory") : 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (alarms[i].type == ALARM_CORRUPT)
            rc = migrate_add_disarm(&t->rows, alarms[i].member_id, alarms[i].type, err);
    }
    arena_fini(&a);
    return replay_from(t, first, rc, err);
}

static int run_hash(struct migrate_target *t, uint32_t *ret, struct tenure_error *err)
{
    struct store_hash *h = NULL;
    struct hash_kv_resp resp;
    enum store_hash_state state = STORE_HASH_MORE;
    enum etcd_error e = store_hash_begin(t->store, 0, &h);
    if (e)
        return error_set(err, e == ETCD_OUT_OF_MEMORY ? TENURE_ENOMEM : TENURE_EINTERNAL, "hash: %s",
                         etcd_error_text(e));
    while (state == STORE_HASH_MORE)
        state = store_hash_step(h, HASH_SLICE);
    if (state == STORE_HASH_DONE)
        store_hash_result(h, &resp);
    store_hash_end(h);
    if (state != STORE_HASH_DONE)
        return error_set(err, TENURE_ENOMEM, "hash: out of memory");
    *ret = resp.hash;
    return 0;
}

int migrate_target_hash(struct migrate_target *t, uint32_t *ret, struct tenure_error *err)
{
    int rc = migrate_target_commit(t, err);
    if (rc == 0)
        rc = store_ready(t->store, io_clock(), err);
    return rc ? rc : run_hash(t, ret, err);
}

int migrate_target_finish(struct migrate_target *t, struct tenure_error *err)
{
    t->backend = backend_close(t->backend);
    return remove_note(t, err);
}
