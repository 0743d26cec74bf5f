/* tenure replica: a persistent copy of another server's keys that answers reads and watches, and sends on the rest.
 *
 *     cmd_replica.c   the command           replica_copy.c    the first copy, and the next one when the source has dropped what
 *     replica_run.c   the server on it                        this one lacks
 *     replica_ask.c   verify and status     replica_range.c   a copy by ranges: of some keys, or where no snapshot is given
 *     replica_mark.c  what a directory is   replica_place.c   what lies in the directory, and how a copy takes another's place
 *                     a copy of             replica_verify.c  verify of such a copy
 */
#ifndef CLI_REPLICA_H
#define CLI_REPLICA_H

#include <tenure/tenure.h>

#include "api/kv.h"
#include "base/error.h"
#include "cli/command.h"

struct replica_options {
    const char *from, *data_dir, *listen, *advertise, *name;
    const char *tls_cert, *tls_key, *tls_client_ca;
    bool listen_anywhere;
    int64_t staleness_ms; /* 0 = however old */
    const char *when_stale;
    const char *auth_token; /* as of serve: how signed tokens are verified */
    struct option_list prefixes;
    const char *others; /* NULL, refuse or forward */
};

/* Those asked for, in order, none below another; 0: all keys. */
struct replica_prefixes {
    size_t n;
    const char *all[OPTION_LIST_MAX];
};

struct replica_source {
    tenure_client *client;
    bool has_user; /* it is somebody: users and roles are followed, and judge reads */
    const struct replica_prefixes *prefixes;
};

/* Each answers the exit code. g: with the source as its endpoints. */
int replica_run(const struct replica_options *o, const struct global_options *g);
int replica_verify(const struct replica_options *o, const struct global_options *g);
int replica_status(const struct global_options *g);

/* ---- replica_mark.c ---- */

/* What the file BACKEND_REPLICA of a directory says. */
struct replica_mark {
    uint64_t cluster;
    bool users;   /* the source has had authentication on */
    tn_rev first; /* the copy was made by ranges, at that revision; 0 = of a snapshot */
    size_t n_prefixes;
    const char *prefixes[OPTION_LIST_MAX]; /* of a copy by ranges; none = of all keys */
    char *text;                            /* owned; where they lie */
};
/* TENURE_ECONFLICT: the directory is no replica's. To be freed in any case. */
int replica_mark_read(const char *dir, struct replica_mark *ret, struct tenure_error *err);
void replica_mark_free(struct replica_mark *m);
/* To be freed; NULL: no memory. */
char *replica_mark_text(const struct replica_mark *m);
/* From now on the directory is only for who names a user. */
int replica_mark_users(const char *dir, struct tenure_error *err);
/* NULL, or what is wrong with them. Borrows the texts. */
const char *replica_prefixes(const struct option_list *given, struct replica_prefixes *ret);
/* "the keys that begin with /a/ or /b/"; to be freed; NULL: no memory. */
char *replica_prefixes_text(const char *const *all, size_t n);

struct replica_ranges {
    size_t n;
    struct key_range all[OPTION_LIST_MAX]; /* keys borrowed */
    char *ends;
};
/* 0 or TENURE_ENOMEM. Of none: all keys. */
int replica_ranges(const char *const *prefixes, size_t n, struct replica_ranges *ret);
void replica_ranges_free(struct replica_ranges *r);

/* ---- replica_range.c ---- */

/* A new directory `data` that holds what mark says, as it is now; mark->first is filled in. */
int replica_copy_ranges(tenure_client *c, const char *data, const char *name, struct replica_mark *mark,
                        struct tenure_error *err);

/* ---- replica_verify.c ---- */

/* Whether the replica at that address, which says that it holds such ranges ("2f61-2f62,…"), has the same keys as the source at one revision. 0, or a code
 * with err filled. */
struct replica_compared {
    bool equal;
    int64_t revision, keys;
    char *different; /* the first key that is; to be freed */
};
int replica_compare(tenure_client *source, tenure_client *replica, const char *ranges, struct replica_compared *ret,
                    struct tenure_error *err);

/* ---- replica_copy.c: 0 or a code with err filled ---- */

/* The directory is there and a copy of *ret_cluster: made now, of that source, when it was not. */
int replica_prepare(const char *dir, const char *name, const struct replica_source *from, uint64_t *ret_cluster,
                    struct tenure_error *err);
/* The source answers, and is one that must not be copied: another cluster than that, or one with authentication on, for nobody. */
bool replica_is_refused(const struct replica_source *from, uint64_t cluster, struct tenure_error *err);
/* A copy as of now beside it; of that cluster. Takes the place of one that was left half done; the directory is served. */
int replica_copy_beside(const char *dir, const char *name, const struct replica_source *from, uint64_t cluster,
                        struct tenure_error *err);
/* That one takes its place; nobody serves the directory. */
int replica_take_beside(const char *dir, struct tenure_error *err);

/* ---- replica_place.c: the same. But for replica_has_copy, all but replica_place want the directory locked, which wants it served ---- */

#define REPLICA_PATH_SIZE 4096
struct replica_place {
    char snapshot[REPLICA_PATH_SIZE], data[REPLICA_PATH_SIZE]; /* a file, and a directory that is not there */
};

bool replica_has_copy(const char *dir);
/* It is there, and holds nothing of anybody else's. */
int replica_make_directory(const char *dir, struct tenure_error *err);
/* As a server locks it; TENURE_EBUSY. Closing *ret_fd lets go. */
int replica_lock(const char *dir, int *ret_fd, struct tenure_error *err);
/* Removes what was left half made. */
void replica_clean(const char *dir);
/* Where a new copy is to be made. */
int replica_place(const char *dir, struct replica_place *ret, struct tenure_error *err);
/* The one that was made there takes the place. Cut short, replica_finish does the rest. */
int replica_take(const char *dir, struct tenure_error *err);
int replica_finish(const char *dir, struct tenure_error *err);

#endif
