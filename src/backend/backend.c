/* The pieces put together, and the writer thread.
 *
 * Happy path of a batch: the loop fills the slot (submit); the writer holds the connection, makes room in the WAL, appends,
 * leaves the result in the slot and calls on_done; the loop takes it. What has to be done besides (the writer's part of a
 * checkpoint, the ballast) the writer does after that, when no reply waits for it. backend_commit_now does the same on
 * the loop's thread and leaves the rest to the writer.
 *
 * Two mutexes: `slot` guards the hand-over and is held for moments; `conn` goes with the connection and is held through a
 * transaction. Taken in the order conn, slot; never slot, conn.
 *
 * Failure: a result of BACKEND_MAYBE_APPLIED is the last one: nothing is written or copied any more, also not at close. */
#include "backend/backend.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/append.h"
#include "backend/ballast.h"
#include "backend/checkpoint.h"
#include "backend/db.h"
#include "backend/defrag.h"
#include "backend/dir.h"
#include "backend/leases.h"
#include "backend/replay.h"
#include "backend/sql.h"

enum {
    WAL_SOFT = 1 << 20,
    WAL_HARD = 64 << 20,
    BALLAST = 512 << 10,
    BALLAST_FIRST = 32 << 10, /* while the log is hardly used, */
    LITTLE_LOG = 256 << 10,   /* and smaller than this */
    GROW_AFTER = 64,
    CARE_EVERY = 256, /* commits between looking after the ballast and the size in use */
};

/* The one batch. Next: EMPTY -> GIVEN (submit) -> DONE (writer) -> EMPTY (take). */
enum slot_state { SLOT_EMPTY, SLOT_GIVEN, SLOT_DONE };

struct backend {
    struct backend_config config;
    struct dir dir;
    struct leases *leases;
    struct db db;
    struct checkpoint checkpoint;
    struct ballast ballast;
    unsigned ballast_next; /* not before so many commits is it looked at again whether it may grow */
    bool replayed;

    pthread_mutex_t conn; /* db, checkpoint's writer part, and these: */
    unsigned commits;
    bool grown;  /* the WAL has its normal size */
    bool broken; /* an error that the next batch will answer with */
    struct tenure_error broken_error;
    _Atomic int64_t in_use;

    pthread_mutex_t slot;
    pthread_cond_t given;
    enum slot_state state;
    struct backend_batch batch;
    struct backend_result result;
    bool care_due; /* the writer should look after checkpoint and ballast */
    bool defrag_due, defrag_ended;
    int defrag_code;
    struct tenure_error defrag_error;
    bool stop;

    tn_seq seq; /* loop thread: of the newest row that is known to be durable */
    bool dead;  /* loop thread: a batch was answered as maybe applied */
    pthread_t writer;
    bool writer_started;
};

/* ---- a batch ---- */

static int64_t batch_bytes(const struct backend_batch *batch)
{
    enum { ROW_EXTRA = 64, FIXED_PAGES = 8 };
    int64_t bytes = (int64_t)FIXED_PAGES * DB_FRAME_SIZE;
    for (size_t i = 0; i < batch->n_rows; i++)
        bytes += (int64_t)(batch->rows[i].key.len + batch->rows[i].value.len) + ROW_EXTRA;
    return bytes + bytes / 8 + (int64_t)batch->n_deletes * DB_FRAME_SIZE;
}

/* Under conn. */
static void break_off(struct backend *b, const struct tenure_error *error)
{
    b->broken = true;
    b->broken_error = *error;
}

static enum backend_outcome write_batch(struct backend *b, const struct backend_batch *batch, struct tenure_error *err)
{
    if (b->broken) {
        *err = b->broken_error;
        return BACKEND_MAYBE_APPLIED;
    }
    int code = checkpoint_make_room(&b->checkpoint, batch_bytes(batch), err);
    if (code == TENURE_ENOSPACE || code == TENURE_EBUSY || code == TENURE_ENOMEM)
        return BACKEND_NOT_APPLIED;
    return code ? BACKEND_MAYBE_APPLIED : append_batch(&b->db, batch, err);
}

/* Under conn: it has more in it than the first ballast is for. */
static bool is_used(const struct backend *b)
{
    return b->grown || b->db.wal_frames * DB_FRAME_SIZE >= LITTLE_LOG ||
           atomic_load_explicit(&b->in_use, memory_order_relaxed) >= LITTLE_LOG;
}

/* Under conn. Where there is no room for a larger one that is not tried again with each commit. */
static bool ballast_is_due(struct backend *b)
{
    if (b->commits < b->ballast_next || !ballast_is_small(&b->ballast) || !is_used(b))
        return false;
    b->ballast_next = b->commits + CARE_EVERY;
    return true;
}

/* Commits and notes what is to be done afterwards; the answer is whether anything is. */
static bool run_batch(struct backend *b, const struct backend_batch *batch, struct backend_result *ret)
{
    pthread_mutex_lock(&b->conn);
    *ret = (struct backend_result){0};
    int64_t begun_us = append_clock_us();
    ret->outcome = write_batch(b, batch, &ret->error);
    ret->took_us = append_clock_us() - begun_us;
    ret->synced_us = b->db.commit_us;
    ret->seq = b->db.seq;
    ret->error.applied = ret->outcome == BACKEND_MAYBE_APPLIED ? TENURE_APPLIED_MAYBE : TENURE_APPLIED_NO;
    bool care = false;
    if (ret->outcome == BACKEND_APPLIED) {
        checkpoint_after_commit(&b->checkpoint);
        b->commits++;
        care = b->checkpoint.help_due || b->commits == b->config.wal_grow_after || b->commits % CARE_EVERY == 0 ||
               batch->n_deletes != 0 || ballast_is_due(b);
    } else if (ret->outcome == BACKEND_MAYBE_APPLIED && !b->broken) {
        break_off(b, &ret->error);
    }
    pthread_mutex_unlock(&b->conn);
    return care;
}

/* ---- what nobody waits for ---- */

static void note_size(struct backend *b)
{
    int64_t bytes = db_size_in_use(&b->db);
    if (bytes >= 0)
        atomic_store_explicit(&b->in_use, bytes, memory_order_relaxed);
}

/* Once, and not before there is load: two MiB of zeros and a sync are worth some milliseconds to whoever waits for the
 * server, and a server with little to do stays small on disk. */
static void grow_wal(struct backend *b)
{
    int64_t normal = 2 * b->config.wal_bytes_soft, hard = b->config.wal_bytes_hard;
    if (b->grown || b->commits < b->config.wal_grow_after)
        return;
    db_grow_wal(&b->db, normal < hard ? normal : hard, hard);
    b->grown = true;
}

static void take_care(struct backend *b)
{
    pthread_mutex_lock(&b->conn);
    struct tenure_error error = {0};
    if (!b->broken)
        grow_wal(b);
    if (!b->broken && b->checkpoint.help_due && checkpoint_help(&b->checkpoint, &error) < 0)
        break_off(b, &error);
    if (!b->broken)
        note_size(b);
    bool used = is_used(b);
    pthread_mutex_unlock(&b->conn);
    if (used && ballast_is_small(&b->ballast))
        ballast_grow(&b->ballast);
    if (ballast_wanting(&b->ballast))
        ballast_restore(&b->ballast);
}

static bool goes_on(enum defrag_step step)
{
    return step == DEFRAG_MORE || step == DEFRAG_WAIT;
}

/* Notes the end, if this is it. */
static enum defrag_step defragment_some(struct backend *b)
{
    struct tenure_error error = {0};
    pthread_mutex_lock(&b->conn);
    enum defrag_step step = DEFRAG_BROKEN;
    if (b->broken)
        error = b->broken_error;
    else
        step = defrag_step(&b->db, &b->checkpoint, &error);
    if (step == DEFRAG_BROKEN && !b->broken)
        break_off(b, &error);
    if (step == DEFRAG_DONE)
        note_size(b);
    bool care = b->checkpoint.help_due;
    pthread_mutex_unlock(&b->conn);
    pthread_mutex_lock(&b->slot);
    b->care_due |= care;
    b->defrag_due = goes_on(step);
    if (b->defrag_due) {
        pthread_mutex_unlock(&b->slot);
        return step;
    }
    b->defrag_ended = true;
    b->defrag_code = step == DEFRAG_DONE ? 0 : error.code;
    b->defrag_error = error;
    pthread_mutex_unlock(&b->slot);
    if (b->config.on_done)
        b->config.on_done(b->config.user);
    return step;
}

/* Under slot: until a batch comes, or a few milliseconds. */
static void wait_a_little(struct backend *b)
{
    enum { A_LITTLE_NS = 5000000, SECOND_NS = 1000000000 };
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += A_LITTLE_NS;
    if (until.tv_nsec >= SECOND_NS) {
        until.tv_nsec -= SECOND_NS;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&b->given, &b->slot, &until);
}

/* ---- the writer thread ---- */

static void serve_batch(struct backend *b)
{
    struct backend_batch batch = b->batch;
    pthread_mutex_unlock(&b->slot);
    struct backend_result result;
    bool care = run_batch(b, &batch, &result);
    pthread_mutex_lock(&b->slot);
    b->result = result;
    b->state = SLOT_DONE;
    b->care_due |= care;
    pthread_mutex_unlock(&b->slot);
    if (b->config.on_done)
        b->config.on_done(b->config.user);
    pthread_mutex_lock(&b->slot);
}

static void *writer_main(void *user)
{
    struct backend *b = user;
    pthread_mutex_lock(&b->slot);
    while (!b->stop || b->state == SLOT_GIVEN) {
        if (b->state == SLOT_GIVEN)
            serve_batch(b);
        if (b->care_due) {
            b->care_due = false;
            pthread_mutex_unlock(&b->slot);
            take_care(b);
            pthread_mutex_lock(&b->slot);
        } else if (b->defrag_due && b->state != SLOT_GIVEN && !b->stop) {
            pthread_mutex_unlock(&b->slot);
            enum defrag_step step = defragment_some(b);
            pthread_mutex_lock(&b->slot);
            if (step == DEFRAG_WAIT && b->state != SLOT_GIVEN && !b->care_due && !b->stop)
                wait_a_little(b);
        } else if (!b->stop && b->state != SLOT_GIVEN) {
            pthread_cond_wait(&b->given, &b->slot);
        }
    }
    pthread_mutex_unlock(&b->slot);
    return NULL;
}

static void writer_stop(struct backend *b)
{
    if (!b->writer_started)
        return;
    pthread_mutex_lock(&b->slot);
    b->stop = true;
    pthread_cond_signal(&b->given);
    pthread_mutex_unlock(&b->slot);
    pthread_join(b->writer, NULL);
    b->writer_started = false;
}

/* ---- the loop's side ---- */

tn_seq backend_seq(const struct backend *b)
{
    return b->seq;
}

bool backend_idle(const struct backend *b)
{
    struct backend *own = (struct backend *)b; /* a mutex has no const lock */
    pthread_mutex_lock(&own->slot);
    bool idle = b->state == SLOT_EMPTY && b->writer_started;
    pthread_mutex_unlock(&own->slot);
    return idle && !b->dead;
}

void backend_submit(struct backend *b, const struct backend_batch *batch)
{
    assert(backend_idle(b));
    assert(batch->n_rows || batch->n_deletes);
    pthread_mutex_lock(&b->slot);
    b->batch = *batch;
    b->state = SLOT_GIVEN;
    pthread_cond_signal(&b->given);
    pthread_mutex_unlock(&b->slot);
}

/* The sequence goes into the mapping here, by the thread that lets the replies go, and before them. */
static void settle(struct backend *b, const struct backend_result *result)
{
    if (result->outcome == BACKEND_APPLIED) {
        leases_set_synced(b->leases, result->seq);
        b->seq = result->seq;
    }
    b->dead |= result->outcome == BACKEND_MAYBE_APPLIED;
}

static void ask_for_care(struct backend *b)
{
    pthread_mutex_lock(&b->slot);
    b->care_due = true;
    pthread_cond_signal(&b->given);
    pthread_mutex_unlock(&b->slot);
}

void backend_commit_now(struct backend *b, const struct backend_batch *batch, struct backend_result *ret)
{
    assert(backend_idle(b));
    assert(batch->n_rows || batch->n_deletes);
    bool care = run_batch(b, batch, ret);
    settle(b, ret);
    if (care)
        ask_for_care(b);
}

int backend_seal(struct backend *b, const char *successor, struct tenure_error *err)
{
    assert(backend_idle(b));
    pthread_mutex_lock(&b->conn);
    int code = b->broken ? b->broken_error.code : db_seal(&b->db, successor, err);
    if (b->broken && err)
        *err = b->broken_error;
    b->dead = true;
    pthread_mutex_unlock(&b->conn);
    return code;
}

struct db *backend_db(struct backend *b)
{
    return &b->db;
}

void backend_allow_skips(struct backend *b)
{
    assert(backend_idle(b));
    b->db.skips = true;
}

void backend_defragment(struct backend *b)
{
    pthread_mutex_lock(&b->slot);
    b->defrag_due = true;
    pthread_cond_signal(&b->given);
    pthread_mutex_unlock(&b->slot);
}

bool backend_is_defragmenting(struct backend *b)
{
    pthread_mutex_lock(&b->slot);
    bool due = b->defrag_due;
    pthread_mutex_unlock(&b->slot);
    return due;
}

bool backend_take_defragmented(struct backend *b, int *ret_code, struct tenure_error *err)
{
    pthread_mutex_lock(&b->slot);
    bool ended = b->defrag_ended;
    b->defrag_ended = false;
    if (ended) {
        *ret_code = b->defrag_code;
        *err = b->defrag_error;
    }
    pthread_mutex_unlock(&b->slot);
    return ended;
}

bool backend_take(struct backend *b, struct backend_result *ret)
{
    pthread_mutex_lock(&b->slot);
    bool done = b->state == SLOT_DONE;
    if (done) {
        *ret = b->result;
        b->state = SLOT_EMPTY;
    }
    pthread_mutex_unlock(&b->slot);
    if (done)
        settle(b, ret);
    return done;
}

bool backend_release_ballast(struct backend *b)
{
    return ballast_release(&b->ballast);
}

bool backend_has_ballast(struct backend *b)
{
    return !ballast_wanting(&b->ballast);
}

void backend_restore_ballast(struct backend *b)
{
    ask_for_care(b);
}

int64_t backend_size(const struct backend *b)
{
    return dir_file_size(&b->dir, DB_FILE) + dir_file_size(&b->dir, DB_FILE_WAL);
}

int64_t backend_size_in_use(const struct backend *b)
{
    return atomic_load_explicit(&b->in_use, memory_order_relaxed);
}

void backend_lease_store(struct backend *b, tn_lease id, tn_ms deadline)
{
    leases_store(b->leases, id, deadline);
}

void backend_lease_forget(struct backend *b, tn_lease id)
{
    leases_forget(b->leases, id);
}

bool backend_lease_load(const struct backend *b, tn_lease id, tn_ms *ret_deadline)
{
    return leases_load(b->leases, id, ret_deadline);
}

/* ---- life ---- */

static void config_defaults(struct backend_config *c)
{
    if (c->wal_bytes_soft == 0)
        c->wal_bytes_soft = WAL_SOFT;
    if (c->wal_bytes_hard == 0)
        c->wal_bytes_hard = WAL_HARD;
    if (c->wal_grow_after == 0)
        c->wal_grow_after = GROW_AFTER;
    if (c->ballast_bytes == 0)
        c->ballast_bytes = BALLAST;
    if (c->ballast_bytes < 0)
        c->ballast_bytes = 0;
}

static int config_copy(struct backend *b, const struct backend_config *config, struct tenure_error *err)
{
    b->config = *config;
    config_defaults(&b->config);
    b->config.dir = strdup(config->dir);
    if (!b->config.dir)
        return error_set(err, TENURE_ENOMEM, "backend: out of memory");
    if (b->config.wal_bytes_soft < 0 || b->config.wal_bytes_hard < b->config.wal_bytes_soft)
        return error_set(err, TENURE_EINVALID, "backend: the bounds of the WAL are %lld and %lld",
                         (long long)b->config.wal_bytes_soft, (long long)b->config.wal_bytes_hard);
    return 0;
}

/* A log that is gone while the mapping remembers rows must not begin anew in silence. */
static int check_not_lost(const struct backend *b, struct tenure_error *err)
{
    tn_seq known = leases_synced(b->leases);
    if (known == 0 || dir_has(&b->dir, DB_FILE))
        return 0;
    return error_set(err, TENURE_ECORRUPT, "%s/" DB_FILE " is missing, but %lld rows were stored in it", b->config.dir,
                     (long long)known);
}

/* What a migration has brought so far is no state to serve. */
static int check_finished(const struct backend *b, struct tenure_error *err)
{
    if (!b->config.allow_replica && dir_has(&b->dir, BACKEND_REPLICA))
        return error_set(
            err, TENURE_ECONFLICT,
            "data directory %s is the copy that a `tenure replica` keeps of another server: serve it by that",
            b->config.dir);
    if (b->config.allow_unfinished || !dir_has(&b->dir, BACKEND_UNFINISHED))
        return 0;
    return error_set(err, TENURE_ECONFLICT,
                     "data directory %s: a migration into it is not finished; run `tenure migrate` again, or remove it",
                     b->config.dir);
}

int backend_open(const struct backend_config *config, struct backend **ret, struct tenure_error *err)
{
    struct backend *b = calloc(1, sizeof *b);
    if (!b)
        return error_set(err, TENURE_ENOMEM, "backend: out of memory");
    b->dir.fd = b->dir.lock_fd = -1;
    pthread_mutex_init(&b->conn, NULL);
    pthread_mutex_init(&b->slot, NULL);
    pthread_cond_init(&b->given, NULL);
    int code = config_copy(b, config, err);
    if (!code)
        code = dir_open(&b->dir, b->config.dir, err);
    if (!code)
        code = check_finished(b, err);
    if (!code)
        code = leases_open(&b->dir, &b->config.log, &b->leases, err);
    if (!code)
        code = check_not_lost(b, err);
    if (!code)
        code = db_open(&b->db, &b->dir, &b->config, err);
    if (code) {
        backend_close(b);
        return code;
    }
    *ret = b;
    return 0;
}

/* Everything that is in the WAL goes into the database file before it is built upon: what the file system may have kept
 * in memory only, after a failed sync of an earlier process, is written and synced here.
 *
 * What stands behind its last commit is cut off. SQLite begins a round whose first transaction was torn with the same
 * salts again, and what is left of that one would look like commits of the new round: damage, at the next start. */
static int settle_wal(struct backend *b, struct tenure_error *err)
{
    int rc = sqlite3_wal_checkpoint_v2(b->db.conn, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && !sql_is_full(b->db.conn, rc))
        return sql_error(err, b->db.conn, rc, "checkpoint");
    db_cut_wal(&b->db);
    return 0;
}

static int writer_start(struct backend *b, struct tenure_error *err)
{
    int code = checkpoint_start(&b->checkpoint, &b->db, b->config.wal_bytes_soft, b->config.wal_bytes_hard, err);
    if (code)
        return code;
    b->care_due = true;
    int failed = pthread_create(&b->writer, NULL, writer_main, b);
    b->writer_started = !failed;
    return failed ? error_errno(err, failed, "writer thread") : 0;
}

int backend_replay(struct backend *b, int (*on_record)(void *user, const struct record *r), void *user,
                   struct tenure_error *err)
{
    assert(!b->replayed);
    int code = replay(&b->db, leases_synced(b->leases), on_record, user, err);
    if (code)
        return code;
    b->replayed = true;
    code = settle_wal(b, err);
    if (code)
        return code;
    b->seq = b->db.seq;
    leases_set_synced(b->leases, b->seq);
    note_size(b);
    ballast_init(&b->ballast, &b->dir, is_used(b) ? b->config.ballast_bytes : BALLAST_FIRST, b->config.ballast_bytes);
    return writer_start(b, err);
}

struct backend *backend_close(struct backend *b)
{
    if (!b)
        return NULL;
    writer_stop(b);
    checkpoint_stop(&b->checkpoint);
    db_close(&b->db, b->replayed && !b->broken && !checkpoint_broken(&b->checkpoint));
    b->leases = leases_close(b->leases);
    dir_close(&b->dir);
    if (b->ballast.dir)
        ballast_fini(&b->ballast);
    pthread_cond_destroy(&b->given);
    pthread_mutex_destroy(&b->slot);
    pthread_mutex_destroy(&b->conn);
    free((char *)b->config.dir);
    free(b);
    return NULL;
}
