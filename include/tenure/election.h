/* Leader election: /election/<name>, in etcd's layout. One candidate leads; its token grows from leader to leader. */
#ifndef TENURE_ELECTION_H
#define TENURE_ELECTION_H

#include <tenure/kv.h>
#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenure_election tenure_election;
typedef struct tenure_observer tenure_observer;

enum tenure_loss {
    TENURE_LOSS_EXPIRED = 1, /* safe-until passed without an answered renewal */
    TENURE_LOSS_REVOKED,     /* the lease or the key was ended by somebody else */
    TENURE_LOSS_RESIGNED     /* by tenure_election_stop */
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
    /* It ended: stopped (0), or failed for good. e is freed right after. */
    void (*on_stopped)(tenure_election *e, int code, const struct tenure_error *err, void *user);
    void *user;
};

/* Campaigns until stopped; callbacks on the loop's thread. NULL on failure. Any handle. */
tenure_election *tenure_election_start(tenure_client *c, const char *name, const struct tenure_election_options *o,
                                       struct tenure_error *err);
/* Resigns or leaves the queue; bounded; on_stopped follows, and e is freed. On a blocking handle, from another thread than
 * the loop's, waits for it. NULL is fine. */
void tenure_election_stop(tenure_election *e);

/* True only while nobody else can lead. No I/O; any thread. */
bool tenure_election_leads(const tenure_election *e);
tenure_token tenure_election_token(const tenure_election *e); /* of the current or last leadership; 0 = none yet */
int64_t tenure_election_remaining_ms(const tenure_election *e); /* until safe-until; <= 0 = does not lead */
int64_t tenure_election_lease(const tenure_election *e);
/* Writes the key into out (cut to size, 0-terminated); "" while there is none. */
void tenure_election_key(const tenure_election *e, char *out, size_t size);
/* Blocking handles: replaces the proposal while leading. TENURE_ENOTHELD. */
int tenure_election_proclaim(tenure_election *e, struct tenure_bytes proposal, struct tenure_error *err);

struct tenure_observer_options {
    size_t size;
    const char *prefix;
    /* kv NULL: nobody leads. Every leader in the order of tokens (kv->create_revision), the last one always. */
    void (*on_leader)(tenure_observer *o, const struct tenure_kv *kv, int64_t revision, void *user);
    void (*on_end)(tenure_observer *o, int code, const struct tenure_error *err, void *user);
    void *user;
};
tenure_observer *tenure_observer_start(tenure_client *c, const char *name, const struct tenure_observer_options *o,
                                       struct tenure_error *err);
void tenure_observer_stop(tenure_observer *o);

#ifdef __cplusplus
}
#endif
#endif
