/* Happy path: the WAL reaches `soft`; a pass runs on the thread (PASSIVE, its own connection) and syncs; the commit after its end
 * finds that at most LITTLE frames came meanwhile and asks for help; checkpoint_help copies these (PASSIVE as well: no
 * writer is active, so it reaches the end), and SQLite begins the WAL anew with the next commit. When more came, the
 * thread goes again, as long as each pass at least halves what is left: under a load that outruns the disk it does not,
 * and putting the help off only makes it longer. `hard` is for passes that fail or a thread that starves: there commits
 * wait.
 *
 * Failure: no room for the database file to grow: nothing is lost, the WAL keeps all; tried again after RETRY more
 * frames. An I/O error ends the writing: after a failed sync nobody knows what the disk holds. */
#include "backend/checkpoint.h"

#include "backend/sql.h"

enum { LITTLE = 1024, RETRY = 64 };

static bool harmless(int rc)
{
    int primary = rc & 0xff;
    return primary == SQLITE_OK || primary == SQLITE_BUSY || primary == SQLITE_LOCKED || primary == SQLITE_FULL ||
           primary == SQLITE_NOMEM;
}

static int64_t frames_of(int64_t bytes)
{
    return bytes / DB_FRAME_SIZE;
}

/* ---- the thread ---- */

/* SQLite syncs the database file when everything was copied, which is in the writer's part; by then nearly all of it should be
 * on the disk: else commits wait for megabytes, some milliseconds. */
static int sync_copied(struct checkpoint *c)
{
    sqlite3_file *file = NULL;
    int rc =
        c->db->no_sync ? SQLITE_OK : sqlite3_file_control(c->db->checker, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    return rc == SQLITE_OK && file ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) : rc;
}

static void pass(struct checkpoint *c)
{
    int in_wal = 0, copied = 0;
    struct tenure_error error = {0};
    sqlite3 *conn = c->db->checker;
    int rc = sqlite3_wal_checkpoint_v2(conn, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &copied);
    if (rc == SQLITE_OK) {
        rc = sync_copied(c);
        conn = NULL; /* which does not know of it */
    }
    if (rc != SQLITE_OK) {
        if (conn && sql_is_full(conn, rc))
            rc = SQLITE_FULL;
        sql_error(&error, conn, rc, "checkpoint");
    }
    pthread_mutex_lock(&c->mutex);
    c->rc = rc;
    c->copied = rc == SQLITE_OK ? copied : 0;
    c->error = error;
    c->passed = true;
    c->running = false;
    pthread_cond_signal(&c->done);
    pthread_mutex_unlock(&c->mutex);
}

static void *checkpoint_main(void *user)
{
    struct checkpoint *c = user;
    pthread_mutex_lock(&c->mutex);
    while (!c->stop) {
        if (!c->running) {
            pthread_cond_wait(&c->wake, &c->mutex);
            continue;
        }
        pthread_mutex_unlock(&c->mutex);
        pass(c);
        pthread_mutex_lock(&c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

int checkpoint_start(struct checkpoint *c, struct db *db, int64_t soft, int64_t hard, struct tenure_error *err)
{
    *c = (struct checkpoint){.db = db, .soft = soft, .hard = hard};
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->wake, NULL);
    pthread_cond_init(&c->done, NULL);
    int failed = pthread_create(&c->thread, NULL, checkpoint_main, c);
    c->started = !failed;
    return failed ? error_errno(err, failed, "checkpoint thread") : 0;
}

void checkpoint_stop(struct checkpoint *c)
{
    if (!c->started)
        return;
    pthread_mutex_lock(&c->mutex);
    c->stop = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    pthread_join(c->thread, NULL);
    c->started = false;
}

/* ---- the writer ---- */

static void pass_begin(struct checkpoint *c, int64_t left)
{
    c->left = left;
    c->running = true;
    pthread_cond_signal(&c->wake);
}

/* Under mutex: looks at the pass that ended. */
static void pass_judge(struct checkpoint *c)
{
    c->passed = false;
    int64_t left = c->db->wal_frames - c->copied;
    if (c->rc != SQLITE_OK)
        c->again_at = c->db->wal_frames + RETRY;
    else if (left >= 0 && (left <= LITTLE || left > c->left / 2))
        c->help_due = true;
    else
        pass_begin(c, left);
}

/* The WAL began anew: what a pass said about the old one counts no more, unless it ends the writing. */
static void begun_anew(struct checkpoint *c)
{
    c->again_at = 0;
    c->help_due = false;
    pthread_mutex_lock(&c->mutex);
    if (harmless(c->rc))
        c->passed = false;
    pthread_mutex_unlock(&c->mutex);
}

void checkpoint_after_commit(struct checkpoint *c)
{
    int64_t frames = c->db->wal_frames;
    if (frames <= c->frames)
        begun_anew(c);
    c->frames = frames;
    if (frames < frames_of(c->soft) || c->help_due)
        return;
    pthread_mutex_lock(&c->mutex);
    if (c->passed && harmless(c->rc))
        pass_judge(c);
    else if (!c->passed && !c->running && frames >= c->again_at)
        pass_begin(c, frames);
    pthread_mutex_unlock(&c->mutex);
}

bool checkpoint_is_behind(struct checkpoint *c)
{
    pthread_mutex_lock(&c->mutex);
    bool running = c->running;
    pthread_mutex_unlock(&c->mutex);
    return running && c->db->wal_frames > 2 * frames_of(c->soft);
}

bool checkpoint_broken(struct checkpoint *c)
{
    if (!c->db) /* never started */
        return false;
    pthread_mutex_lock(&c->mutex);
    bool broken = c->passed && !harmless(c->rc);
    pthread_mutex_unlock(&c->mutex);
    return broken;
}

/* Waits for the pass that runs, and answers its error when it was one that ends the writing. */
static int pass_wait(struct checkpoint *c, struct tenure_error *err)
{
    pthread_mutex_lock(&c->mutex);
    while (c->running)
        pthread_cond_wait(&c->done, &c->mutex);
    bool bad = c->passed && !harmless(c->rc);
    struct tenure_error error = c->error;
    pthread_mutex_unlock(&c->mutex);
    return bad ? error_set(err, error.code, "%s", error.text) : 0;
}

/* Copies all that is left, on the writer's connection. */
static int copy_rest(struct checkpoint *c, struct tenure_error *err)
{
    int in_wal = 0, copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(c->db->conn, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &copied);
    if (rc != SQLITE_OK)
        return sql_error(err, c->db->conn, rc, "checkpoint");
    if (copied < in_wal)
        return error_set(err, TENURE_EBUSY, "checkpoint: %d of %d frames are still in use", in_wal - copied, in_wal);
    return 0;
}

static bool passing(int code)
{
    return code == TENURE_ENOSPACE || code == TENURE_EBUSY || code == TENURE_ENOMEM;
}

int checkpoint_help(struct checkpoint *c, struct tenure_error *err)
{
    c->help_due = false;
    int code = copy_rest(c, err);
    if (code)
        c->again_at = c->db->wal_frames + RETRY;
    return passing(code) ? 0 : code;
}

int checkpoint_make_room(struct checkpoint *c, int64_t batch_bytes, struct tenure_error *err)
{
    int64_t wal = c->db->wal_frames * DB_FRAME_SIZE;
    if (!checkpoint_broken(c) && (wal + batch_bytes <= c->hard || wal == 0))
        return 0;
    int code = pass_wait(c, err);
    if (!code)
        code = copy_rest(c, err);
    if (!code)
        c->db->wal_frames = 0; /* the next commit begins it anew */
    return code;
}
