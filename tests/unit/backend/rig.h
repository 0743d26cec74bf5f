/* What the tests of the durable log share: a data directory, a backend in it, and rows whose whole content follows from
 * their sequence, so that any reader can say what each must be. */
#ifndef TESTS_BACKEND_RIG_H
#define TESTS_BACKEND_RIG_H

#include <pthread.h>

#include "backend/backend.h"

struct rig {
    char dir[256];
    struct backend_config config; /* changed by a test between opens */
    struct backend *b;            /* NULL when closed */
    struct tenure_error error;    /* of the last failure */
    tn_seq seq;                   /* newest applied sequence, also what replay ended with */
    size_t value_max;             /* rows carry values of up to so many bytes */
    /* What the last replay handed out. */
    size_t replayed;
    tn_seq first, last;
    bool *seen; /* by sequence */
    size_t seen_cap;
    bool wrong; /* a row was not what its sequence says */
    /* on_done */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned done;
};

/* A fresh directory in parent, or for NULL in the fastest place there is (memory). */
void rig_init(struct rig *r, const char *parent);
void rig_fini(struct rig *r); /* closes, removes the directory */

/* Opens and replays; 0 or the error's code, then nothing is open. */
int rig_open(struct rig *r);
void rig_close(struct rig *r);
/* As after kill -9: nothing is flushed, checkpointed or unlocked by us; a copy of the directory takes its place. */
void rig_crash(struct rig *r);
bool rig_saw(const struct rig *r, tn_seq seq);

/* The row of a sequence. key and value point into buf, which has room for value_max + 64. */
struct record rig_row(tn_seq seq, size_t value_max, uint8_t *buf);

/* n rows behind the newest, and deletes, through the writer thread (or on this thread); fails the test unless they were
 * applied. */
void rig_append(struct rig *r, size_t n);
void rig_append_now(struct rig *r, size_t n);
void rig_delete(struct rig *r, const tn_seq *seqs, size_t n);
/* The same, but answers what came out; r->seq grows when applied. */
struct backend_result rig_try(struct rig *r, size_t n_rows, const tn_seq *deletes, size_t n_deletes, bool now);

/* Files in the directory. */
void rig_path(const struct rig *r, const char *name, char *out, size_t size);
uint8_t *rig_read(const struct rig *r, const char *name, size_t *ret_len); /* caller frees; NULL when absent */
void rig_write(const struct rig *r, const char *name, const void *data, size_t len);
bool rig_has(const struct rig *r, const char *name);
void rig_remove(const struct rig *r, const char *name);
/* Copies every regular file of the directory to an existing one. */
void rig_copy(const char *from, const char *to);
/* Statements on tenure.db through a connection of its own. */
void rig_sql(const struct rig *r, const char *sql);

#endif
