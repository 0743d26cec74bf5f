/* Leader election: /election/<name>, in etcd's layout. One candidate leads; its token grows from leader to leader. */
#ifndef TENURE_ELECTION_H
#define TENURE_ELECTION_H

#include <tenure/kv.h>
#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_election tenure_election;
typedef struct tenure_observer tenure_observer;

enum tenure_loss {
    TENURE_LOSS_EXPIRED = 1, /* safe-until passed without an answered renewal */
    TENURE_LOSS_REVOKED,     /* the lease or the key was ended by somebody else */
    TENURE_LOSS_RESIGNED,    /* by tenure_election_stop */
    TENURE_LOSS_REFUSED /* safe-until passed because the servers refuse the user: tenure_election_why has their words */
};

struct tenure_election_options {
    size_t size;
    const char *prefix;           /* NULL = "/election/" */
    struct tenure_bytes proposal; /* what observers see; empty = host name */
    int64_t ttl_s;                /* 0 = 10 */
    int64_t wait_ms;              /* for the first leadership; 0 = without end */
    bool once;                    /* end after the first loss instead of campaigning again */
    void (*on_gained)(tenure_election *e, tenure_token token, void *user);
    void (*on_lost)(tenure_election *e, enum tenure_loss why, void *user); /* at safe-until, network or not */
    /* It ended: stopped (0), or failed for good, or its wait_ms or its only leadership (once) is over. Then it waits to be
     * freed by tenure_election_stop, unless that was called before. No callback comes after it. */
    void (*on_stopped)(tenure_election *e, int code, const struct tenure_error *err, void *user);
    void *user;
    /* The session that it campaigns on; with it ttl_s must be 0. It ends with that session: on_lost, then on_stopped. It must not
     * be closed before tenure_election_start has returned. NULL = one of its own, and another one after each loss. */
    tenure_session *session;
    /* Shown to those who ask who stands (tenure_election_list), with host, process and time; NULL = the handle's. It is kept
     * beside the candidate's key, as long as that stands, in `<prefix><name>`, a byte 0, and "who/<lease>"; a user without
     * rights there campaigns without. */
    const char *purpose;
    /* Going on with what an earlier process led, by its lease (tenure_election_lease) and token, which it has written down: with
     * the same token, at once, without anybody leading in between; on_gained tells it. It needs proof that nobody believes in
     * it any more: the process that stands in the note beside the key ran on this machine since its last boot, in this
     * container, and is gone. Else, and when the key does not stand any more, somebody else resumes it as well, or there is no
     * note, it queues like everybody else, with a greater token. A request that the dead process had under way carries the
     * same token, so it may still land behind the take-over: who cannot bear that does not resume. The proposal stays what it was until a proclaim. The lease is
     * its session from then on, and revoked when it is stopped; nothing else in this handle may use it. Not with `session`;
     * ttl_s is for the sessions after it. */
    int64_t resume_lease;
    tenure_token resume_token;
    bool resume_is_sure; /* the caller knows that the earlier process is gone; no proof is asked for */
    /* Any number, also below 0. Higher is better; 0 = as good as those who say nothing: etcdctl, Go. A candidate whose turn it would be, and who sees a
     * strictly better one waiting, lets him pass and goes to the end of the queue; so when a leadership ends the best of those
     * who wait lead next, of equals the first. Who leads is NOT deposed by a better one who comes later; let it resign if it
     * should. Candidates of other programs' recipes let nobody pass. Of one who is better and dead it takes until its lease has
     * ended; but nobody lets others pass for longer than three TTLs on end (of his or theirs, whichever is the longest): where a
     * better one comes, dies and comes again, somebody leads all the same. Until he has left his place, one who lets others pass
     * is the first in the queue, which an observer takes for leading. The preference is kept beside the candidate's key, as its
     * purpose is, in `<prefix><name>`, a byte 0, and "rank/<lease>", where it is not 0. A user without rights there states none
     * and lets nobody pass. */
    int64_t preference;
};

/* Campaigns until stopped; callbacks on the loop's thread. NULL on failure. Any handle. */
tenure_election *tenure_election_start(tenure_client *c, const char *name, const struct tenure_election_options *o,
                                       struct tenure_error *err);
/* Resigns or leaves the queue, bounded by the call timeout; on_stopped follows unless it came before, and e is freed. Once
 * for each start. On a blocking handle, from another thread than the loop's, waits until it is done. NULL is fine. */
void tenure_election_stop(tenure_election *e);

/* True only while nobody else can lead. No I/O; any thread. */
bool tenure_election_leads(const tenure_election *e);
/* Waits until it leads, at most wait_ms (0 = without end): with it an election is a leader latch, for a program that goes on
 * only as the leader. 0: it leads, or did a moment ago: ask tenure_election_leads as the work goes on. TENURE_ETIMEOUT;
 * TENURE_ECANCELLED (by the thread's scope); TENURE_ENOTHELD, or why, when it has ended. It goes on campaigning in each case. Blocking handles, any thread but the
 * loop's; not while it is being stopped. */
int tenure_election_await(tenure_election *e, int64_t wait_ms, struct tenure_error *err);
/* Campaigns, and whenever it leads runs work(e, token, arg) on the caller's thread; it must return soon when tenure_election_leads
 * says no. When leadership was lost while it ran it campaigns again, and work is run again with a greater token; when work returns
 * while it leads it is done: resigns, and answers what work did (err is filled only when that value is negative and names a
 * TENURE_E… code). Else an error: TENURE_ECANCELLED (by the thread's scope, which is how such a program is ended while it waits),
 * TENURE_ETIMEOUT (o->wait_ms, for the first time), TENURE_ENOTHELD, or why, when it has ended (o->once: after the first loss). The
 * callbacks in o come too. Blocking handles, any thread but the loop's. */
int tenure_with_leadership(tenure_client *c, const char *name, const struct tenure_election_options *o,
                           int (*work)(tenure_election *e, tenure_token token, void *arg), void *arg,
                           struct tenure_error *err);
/* What tells whether it leads, for which token, until when, and by which key. No I/O; any thread. */
tenure_token tenure_election_token(const tenure_election *e);   /* of the current or last leadership; 0 = none yet */
int64_t tenure_election_remaining_ms(const tenure_election *e); /* until safe-until; <= 0 = does not lead */
int64_t tenure_election_lease(const tenure_election *e);        /* 0 while there is none */
/* Why it last lost, or ended: the servers' words when they refused. code 0: it has not, or by tenure_election_stop. On a handle that is
 * `federated` also TENURE_ECONFLICT: why its home gave it nothing when it last asked; it goes on standing. */
void tenure_election_why(const tenure_election *e, struct tenure_error *ret);
/* Writes the key into out (cut to size, 0-terminated); "" while there is none. */
void tenure_election_key(const tenure_election *e, char *out, size_t size);
/* Blocking handles: replaces the proposal while leading. TENURE_ENOTHELD. */
int tenure_election_proclaim(tenure_election *e, struct tenure_bytes proposal, struct tenure_error *err);

/* Who leads and who waits, in order: entry 0 leads, or will as soon as it knows, unless a better one is behind it. */
struct tenure_election_entry {
    const char *key;
    tenure_token token; /* it will have, or has */
    int64_t lease;
    struct tenure_bytes value;  /* its proposal; a byte 0 is behind it */
    const char *host, *purpose; /* "" where the candidate did not say (etcdctl, Go) */
    int64_t pid;                /* 0 where unknown */
    int64_t since_ms;           /* Unix time in milliseconds, when it began to campaign; 0 where unknown */
    int64_t preference;         /* 0 where it did not say */
};
struct tenure_election_list {
    int64_t revision;
    size_t n;
    const struct tenure_election_entry *entries;
};
/* Reads them at one revision. prefix as in the options. Nobody there is success with n 0. TENURE_EINVALID (no name), TENURE_EDENIED,
 * and whatever a transaction fails with. Blocking handles, any thread but the loop's. */
int tenure_election_list(tenure_client *c, const char *name, const char *prefix, struct tenure_election_list **ret,
                         struct tenure_error *err);
/* The same without waiting: once, on the loop's thread, not within the call; r is NULL when code is not 0, else the callback's to
 * free. 0, or why it did not begin (then it is not called). Any handle. */
typedef void (*tenure_election_list_cb)(void *user, int code, struct tenure_election_list *r,
                                        const struct tenure_error *err);
int tenure_election_list_start(tenure_client *c, const char *name, const char *prefix, tenure_election_list_cb cb,
                               void *user, struct tenure_error *err);
void tenure_election_list_free(struct tenure_election_list *r); /* NULL is fine */

struct tenure_observer_options {
    size_t size;
    const char *prefix; /* NULL = "/election/" */
    /* kv NULL: nobody leads. Every leader in the order of tokens (kv->create_revision), the last one always. Borrowed for the
     * call, its runs of bytes without a 0 behind. */
    void (*on_leader)(tenure_observer *o, const struct tenure_kv *kv, int64_t revision, void *user);
    /* It ended by itself and calls no more. */
    void (*on_end)(tenure_observer *o, int code, const struct tenure_error *err, void *user);
    void *user;
};
/* Follows who leads until stopped; callbacks on the loop's thread. NULL on failure. Any handle. */
tenure_observer *tenure_observer_start(tenure_client *c, const char *name, const struct tenure_observer_options *o,
                                       struct tenure_error *err);
/* Ends and frees; no callback comes after it has returned, except to the very callback that called it. NULL is fine. */
void tenure_observer_stop(tenure_observer *o);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
