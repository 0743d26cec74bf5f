/* Caches: what the store holds, in the program's memory, with a proved age.
 *
 *     struct tenure_cache_options o = {.size = sizeof o, .prefix = true};
 *     tenure_cache *k = tenure_cache_open(c, tenure_str("/config/"), &o, &err);
 *     struct tenure_cache_need need = {.size = sizeof need, .max_stale_ms = 2000};
 *     struct tenure_cache_item *is;
 *     tenure_cache_get(k, tenure_str("/config/limit"), &need, &is, &err);      from memory, unless that may be older than 2 s
 *     tenure_cache_item_free(is);
 *     tenure_cache_close(k);
 *
 *   tenure_cache        a key, or all keys that begin with a prefix, followed by one watch: an exact copy of one revision
 *   tenure_leaders      who leads an election, or all elections, followed by one watch
 *   tenure_ttl_cache    keys as they are asked for, each kept for a time; no watch, and nothing of keys nobody asks for
 *
 * A copy that is followed begins with a linearizable read and goes on by a watch from that revision, over lost connections, restarts
 * and compactions; what was missed is told as the difference. Its revision only grows, whoever reads. stale_ms of what is read is
 * what can be proved, as value.h says: a linearizable read that was sent so long ago was answered, and the copy is of the
 * revision in that answer or of a later one; so every write acknowledged to anybody before is in it. The silence of the watch
 * is no proof. Such reads are sent when somebody needs one, one for all who wait, a few bytes when nothing has changed; and
 * every check_ms where that is wanted.
 *
 * Each read says what it needs (tenure_cache_need). Where the copy is not so, there are two answers, by choice: functions with `cached` in
 * their name, and tenure_cache_count, never ask a server and refuse with TENURE_ESTALE; the others ask the servers and wait.
 *
 * Results are one allocation or share the cache's own; what they point to stays as it is until they are freed, also when the cache
 * has changed or is closed, and each run of bytes has a 0 behind its end, not counted.
 * Reads of caches: any thread on any handle where they are from memory; else as all calls (client.h). Callbacks on the loop's thread.
 * Namespaces: any; the keys are those below. */
#ifndef TENURE_CACHE_H
#define TENURE_CACHE_H

#include <tenure/kv.h>
#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_cache tenure_cache;
typedef struct tenure_leaders tenure_leaders;
typedef struct tenure_ttl_cache tenure_ttl_cache;

/* What a read needs. All that is said must hold; NULL, or nothing said: whatever there is, once there is something. */
struct tenure_cache_need {
    size_t size;
    int64_t max_stale_ms; /* the copy is at most so old when it is asked for; 0 = however old */
    int64_t
        min_revision; /* of the store, as a write told it; TENURE_EFUTURE when the servers are not there yet. 0 = whatever */
    /* Nothing that was acknowledged before the call began is missing: the servers are asked in any case, not for the values but for
     * what has changed since. Not where servers are never asked: TENURE_EINVALID. */
    bool linearizable;
    int64_t timeout_ms; /* of the wait for it; 0 = the handle's */
};

/* One key. */
struct tenure_cache_item {
    bool exists;
    struct tenure_kv kv; /* key alone where it does not */
    int64_t revision;    /* of the store, at which this was so */
    int64_t stale_ms;    /* see above; of the time at which the item was given */
};
void tenure_cache_item_free(struct tenure_cache_item *i); /* NULL is fine. Any thread */

/* Several, of one revision, in byte order. */
struct tenure_cache_list {
    int64_t revision, stale_ms; /* as of an item */
    size_t n;
    const struct tenure_kv *kvs;
};
void tenure_cache_list_free(struct tenure_cache_list *l); /* NULL is fine. Any thread */

/* ---- keys that are followed ---- */

struct tenure_cache_change {
    const struct tenure_kv *now; /* NULL = deleted */
    const struct tenure_kv *was; /* NULL = new */
};
struct tenure_cache_changes {
    int64_t revision, stale_ms;
    bool first; /* all that there was at that revision; n may be 0 */
    size_t n;
    const struct tenure_cache_change *changes;
};

struct tenure_cache_options {
    size_t size;
    bool prefix; /* all keys that begin with the key that is given; an empty one: all keys */
    int64_t
        check_ms; /* ask the servers when the copy has come to this age, so that it stays below; 0 = when a read needs it */
    /* More than that is not held: the cache ends with TENURE_ELIMIT, which its reads answer from then on. bytes_max counts keys, values and what
     * they take besides, about 100 bytes a key. 0 = 100,000 keys; 64 MiB. */
    size_t keys_max, bytes_max;
    /* The first state, and then each revision that has changed it, in their order, none twice; several as one where history was lost, or a
     * read was faster than the watch. Borrowed for the call. What it is called for can be read already. May be NULL. */
    void (*on_change)(tenure_cache *k, const struct tenure_cache_changes *changes, void *user);
    /* It has ended by itself: TENURE_EDENIED, TENURE_ELIMIT, TENURE_ENOMEM, TENURE_ECLOSED (the handle closes). Reads answer the same from
     * then on. Free it by tenure_cache_close. May be NULL. */
    void (*on_end)(tenure_cache *k, int code, const struct tenure_error *err, void *user);
    void *user;
};

/* Begins to follow, and goes on while no server can be reached; copies key. NULL: TENURE_EINVALID (no key, a number below 0),
 * TENURE_ENOMEM, TENURE_EIO (no descriptor), … */
tenure_cache *tenure_cache_open(tenure_client *c, struct tenure_bytes key, const struct tenure_cache_options *o,
                                struct tenure_error *err);
/* Readable from each change on, and at its end (an eventfd): read its 8 bytes, then look. Owned by k, there as long as it. Any thread; -1
 * for NULL. */
int tenure_cache_fd(const tenure_cache *k);
/* Ends and frees it. Reads that wait end with TENURE_ECLOSED. No callback of its options comes behind it, but the one that called
 * it goes on. NULL is fine. No other thread may be about to use k. */
void tenure_cache_close(tenure_cache *k);

/* From memory, now; no I/O, no waiting, any thread, any handle. A key that is not there is success with exists false.
 * TENURE_EUNAVAILABLE: the first read was not answered yet. TENURE_ESTALE: the copy is not as is needed. TENURE_EINVALID: the key is not
 * among those that it follows. Else what it has ended by. */
int tenure_cache_cached(const tenure_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                        struct tenure_cache_item **ret, struct tenure_error *err);
/* The same of all keys that begin with prefix (empty: all that it follows), a snapshot: what is changed later is not in it. */
int tenure_cache_cached_list(const tenure_cache *k, struct tenure_bytes prefix, const struct tenure_cache_need *need,
                             struct tenure_cache_list **ret, struct tenure_error *err);
/* How many those are. */
int tenure_cache_count(const tenure_cache *k, struct tenure_bytes prefix, const struct tenure_cache_need *need,
                       size_t *ret, struct tenure_error *err);

/* As soon as the copy is what is needed: from memory where it is so already, else when the servers were asked. TENURE_ETIMEOUT (within the
 * need's timeout), TENURE_EFUTURE, TENURE_EDENIED, …; an older copy is not given instead. Blocking handles. */
int tenure_cache_get(tenure_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                     struct tenure_cache_item **ret, struct tenure_error *err);
int tenure_cache_list(tenure_cache *k, struct tenure_bytes prefix, const struct tenure_cache_need *need,
                      struct tenure_cache_list **ret, struct tenure_error *err);
/* The wait alone: what is read afterwards is of that revision or a later one. */
int tenure_cache_wait(tenure_cache *k, const struct tenure_cache_need *need, struct tenure_error *err);

/* The same without waiting: cb comes once, from the loop, never within the call that asked; what it is given is its to free, NULL
 * when code is not 0. 0, or why it could not begin (then cb does not come). */
typedef void (*tenure_cache_item_cb)(void *user, int code, struct tenure_cache_item *item,
                                     const struct tenure_error *err);
typedef void (*tenure_cache_list_cb)(void *user, int code, struct tenure_cache_list *list,
                                     const struct tenure_error *err);
int tenure_cache_get_start(tenure_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                           tenure_cache_item_cb cb, void *user, struct tenure_error *err);
int tenure_cache_list_start(tenure_cache *k, struct tenure_bytes prefix, const struct tenure_cache_need *need,
                            tenure_cache_list_cb cb, void *user, struct tenure_error *err);
int tenure_cache_wait_start(tenure_cache *k, const struct tenure_cache_need *need, tenure_done_cb cb, void *user,
                            struct tenure_error *err);

/* ---- who leads ---- */

/* Of an election: of the candidates whose keys lie right below `<prefix><name>/`, the one whose key was created first, which is what
 * election.h, etcd's own client and etcdctl go by. A leader who is cut off believes in himself until his lease is over at most, as
 * always: what must not be done by two at once is guarded by the token (fence.h). */
struct tenure_leader {
    bool exists;               /* somebody leads; else only name, revision and stale_ms are said */
    const char *name;          /* of the election */
    struct tenure_bytes key;   /* of the candidate */
    struct tenure_bytes value; /* what he proclaims */
    tenure_token token;
    int64_t mod_revision, lease;
    int64_t revision, stale_ms; /* as of an item */
};
void tenure_leader_free(struct tenure_leader *l); /* NULL is fine. Any thread */

struct tenure_leader_list {
    int64_t revision, stale_ms;
    size_t n;
    const struct tenure_leader *leaders; /* of each election that has one, in the order of their keys */
};
void tenure_leader_list_free(struct tenure_leader_list *l); /* NULL is fine. Any thread */

struct tenure_leaders_options {
    size_t size;
    const char *prefix;         /* NULL = "/election/" */
    int64_t check_ms;           /* as of a cache */
    size_t keys_max, bytes_max; /* the same, of all candidates */
    /* Who leads now; first of all who leads as it begins (of an election that was named, also when nobody does), and then each time when
     * another one leads, proclaims something else, or none does. Borrowed for the call. May be NULL. */
    void (*on_leader)(tenure_leaders *l, const struct tenure_leader *now, void *user);
    void (*on_end)(tenure_leaders *l, int code, const struct tenure_error *err, void *user); /* as of a cache */
    void *user;
};

/* Follows who leads the election `name`; name NULL: all elections below the prefix, on one watch, those that come later too. NULL: as
 * tenure_cache_open. */
tenure_leaders *tenure_leaders_open(tenure_client *c, const char *name, const struct tenure_leaders_options *o,
                                    struct tenure_error *err);
int tenure_leaders_fd(const tenure_leaders *l); /* as tenure_cache_fd */
void tenure_leaders_close(tenure_leaders *l);   /* as tenure_cache_close */
/* As the functions of a cache. name NULL: the election that was named when it was opened. */
int tenure_leaders_cached(const tenure_leaders *l, const char *name, const struct tenure_cache_need *need,
                          struct tenure_leader **ret, struct tenure_error *err);
int tenure_leaders_cached_list(const tenure_leaders *l, const struct tenure_cache_need *need,
                               struct tenure_leader_list **ret, struct tenure_error *err);
int tenure_leaders_get(tenure_leaders *l, const char *name, const struct tenure_cache_need *need,
                       struct tenure_leader **ret, struct tenure_error *err);
typedef void (*tenure_leader_cb)(void *user, int code, struct tenure_leader *leader, const struct tenure_error *err);
int tenure_leaders_get_start(tenure_leaders *l, const char *name, const struct tenure_cache_need *need,
                             tenure_leader_cb cb, void *user, struct tenure_error *err);

/* ---- keys that are kept for a time ---- */

struct tenure_ttl_cache_options {
    size_t size;
    int64_t ttl_ms; /* what was read from a server is given for so long from when it was asked for; 0 = 1,000 */
    /* Over that, what was read longest ago is forgotten first. A value that is larger than bytes_max alone is given and not kept. 0 =
     * 10,000; 64 MiB. Keys that are not there are kept as well. */
    size_t keys_max, bytes_max;
};
/* Nothing is asked before the first read. NULL: TENURE_EINVALID, TENURE_ENOMEM, … */
tenure_ttl_cache *tenure_ttl_cache_open(tenure_client *c, const struct tenure_ttl_cache_options *o,
                                        struct tenure_error *err);
/* As tenure_cache_close. */
void tenure_ttl_cache_close(tenure_ttl_cache *k);
/* From memory, as tenure_cache_cached. TENURE_EUNAVAILABLE: nothing that is young enough is there of this key. */
int tenure_ttl_cache_cached(const tenure_ttl_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                            struct tenure_cache_item **ret, struct tenure_error *err);
/* From memory where that is what is needed, else from the servers: one read for all who wait for the same key. revision is the
 * store's when it answered. Blocking handles; the other form any. */
int tenure_ttl_cache_get(tenure_ttl_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                         struct tenure_cache_item **ret, struct tenure_error *err);
int tenure_ttl_cache_get_start(tenure_ttl_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                               tenure_cache_item_cb cb, void *user, struct tenure_error *err);
/* The next read of it asks the servers, and what is under way is not kept: for who has written it. Any thread where it is a blocking
 * handle. */
int tenure_ttl_cache_forget(tenure_ttl_cache *k, struct tenure_bytes key, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
