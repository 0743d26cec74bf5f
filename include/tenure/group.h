/* Keys that stand while a program lives, and groups of programs made of them.
 *
 * A presence is a key on a lease of this program that heals: it is put again when somebody deleted it, and under a new lease
 * when the old one was lost, with the same key, and with the same create_revision where nobody came between. When the program
 * dies the key goes at the end of its TTL at the latest.
 *
 * A group is a prefix, `/groups/<group>/`, with a presence a member. Its value is JSON: {"host":…, "pid":…, "since":…,
 * "data":…}, where data is the program's own.
 *
 * For presences and joining: any handle, loop thread for uv and poll; callbacks on the loop's thread.
 */
#ifndef TENURE_GROUP_H
#define TENURE_GROUP_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_presence tenure_presence;

/* When the key exists and is somebody else's, at the start or after a loss. */
enum tenure_conflict {
    TENURE_CONFLICT_REFUSE = 0, /* it ends: TENURE_EEXISTS */
    TENURE_CONFLICT_TAKE_OVER =
        1,                   /* the key is replaced, guarded by its revisions; whose it was is told TENURE_ELOST */
    TENURE_CONFLICT_WAIT = 2 /* until that one goes; also when it was taken over */
};

struct tenure_presence_options {
    size_t size;
    int64_t ttl_s; /* 0 = on the handle's shared session; else on one of its own with this TTL */
    enum tenure_conflict conflict;
    bool yield_to_delete; /* who deletes the key ends it (TENURE_ENOTFOUND) instead of being healed */
    const char *marks;    /* prefix of the marks (see stm.h) that the puts take; NULL = "/marks/" */
    /* Each may be NULL. The key stands with the newest value: at first, after a healing, after a new value. */
    void (*on_present)(tenure_presence *p, int64_t create_revision, void *user);
    /* It does not stand, and will be healed: the session was lost (at safe-until, network or not), somebody deleted it, or has
     * it. */
    void (*on_absent)(tenure_presence *p, const struct tenure_error *why, void *user);
    /* It has ended: 0 = by tenure_presence_stop; else TENURE_EEXISTS, TENURE_ELOST, TENURE_ENOTFOUND (see above), TENURE_EDENIED,
     * …, and waits to be freed by tenure_presence_stop. The last callback. */
    void (*on_ended)(tenure_presence *p, int code, const struct tenure_error *err, void *user);
    void *user;
    /* Somebody wrote this value over ours, and left the key on our lease (ignore_lease): it stands on. It may be made our own by
     * tenure_presence_set; otherwise the next put replaces it. value: borrowed for the call. */
    void (*on_edited)(tenure_presence *p, struct tenure_bytes value, void *user);
};

/* Copies key and value; begins at once, and goes on while no server can be reached. NULL: TENURE_EINVALID, TENURE_ENOMEM, … Two
 * presences of one key, also of one process, are in each other's way like strangers. */
tenure_presence *tenure_presence_start(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value,
                                       const struct tenure_presence_options *o, struct tenure_error *err);
/* Waits until the key stands with the newest value. TENURE_ETIMEOUT (it goes on trying), or why it has ended. timeout_ms 0 = the
 * handle's. Blocking handles. */
int tenure_presence_await(tenure_presence *p, int64_t timeout_ms, struct tenure_error *err);
/* Another value; copies. The newest one will stand. TENURE_ENOMEM, TENURE_ECLOSED. On a blocking handle: any thread. */
int tenure_presence_set(tenure_presence *p, struct tenure_bytes value, struct tenure_error *err);
/* True only while the key stands with the newest value, and the session is safe. No I/O; any thread. */
bool tenure_presence_stands(const tenure_presence *p);
/* Deletes the key if it is this presence's, bounded by the call timeout, and frees p; on_ended follows unless it came before.
 * Once for each start. On a blocking handle, from another thread than the loop's, waits until it is done. NULL is fine. */
void tenure_presence_stop(tenure_presence *p);

/* ---- groups ---- */

/* Joins as `member` (NULL = "<host>-<pid>-<a number>"), with data: text, shown to all as it is; JSON is put there as JSON.
 * TENURE_EINVALID: an empty group or a name with a slash, data that is no UTF-8. prefix NULL = "/groups/". The rest as
 * tenure_presence_start; leave by tenure_presence_stop. */
tenure_presence *tenure_group_join(tenure_client *c, const char *prefix, const char *group, const char *member,
                                   const char *data, const struct tenure_presence_options *o, struct tenure_error *err);
/* Other data for a presence of tenure_group_join. As tenure_presence_set. */
int tenure_group_set(tenure_presence *p, const char *data, struct tenure_error *err);

struct tenure_group_member {
    const char *name;
    const char *host, *data; /* "" where the value says nothing; data that is JSON as compact text */
    int64_t pid, since_ms;   /* Unix time in milliseconds; 0 where unknown */
    int64_t create_revision, mod_revision, lease;
    struct tenure_bytes value; /* as it is stored */
};
struct tenure_group_list {
    int64_t revision;
    size_t n;
    const struct tenure_group_member *members; /* by name */
};
/* Reads them at one revision. Nobody there is success with n 0. Blocking handles. */
int tenure_group_list(tenure_client *c, const char *prefix, const char *group, struct tenure_group_list **ret,
                      struct tenure_error *err);
void tenure_group_list_free(struct tenure_group_list *r);

typedef struct tenure_group_watch tenure_group_watch;
enum tenure_group_change { TENURE_GROUP_JOINED = 1, TENURE_GROUP_CHANGED = 2, TENURE_GROUP_LEFT = 3 };
struct tenure_group_watch_options {
    size_t size;
    const char *prefix; /* NULL = "/groups/" */
    /* First: who is there, at one revision. Borrowed for the call, as are members below. */
    void (*on_list)(tenure_group_watch *w, const struct tenure_group_list *list, void *user);
    /* Then each change, in order. What was missed (a long absence, a compaction) is told as the difference. Of one who left,
     * `member` is what was there. */
    void (*on_change)(tenure_group_watch *w, enum tenure_group_change change, const struct tenure_group_member *member,
                      int64_t revision, void *user);
    /* It ended by itself: denied, closed, no memory, more than 100,000 members. Free it by tenure_group_watch_stop. */
    void (*on_end)(tenure_group_watch *w, int code, const struct tenure_error *err, void *user);
    void *user;
};
/* Any handle. NULL on failure. */
tenure_group_watch *tenure_group_watch_start(tenure_client *c, const char *group,
                                             const struct tenure_group_watch_options *o, struct tenure_error *err);
/* Ends and frees; no callback comes after it has returned, except to the very callback that called it. NULL is fine. */
void tenure_group_watch_stop(tenure_group_watch *w);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
