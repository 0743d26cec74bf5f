/* Users that come and lose rights while all goes on: their logins at each server, an administrator that gives and takes rights at the source, and
 * watches that find out what each replica knows of it (rights.h). All of it over links of its own.
 * They begin watches: a read with a token that the replica does not know is answered by the source.
 *
 * What has to be there: users root and u0 … with passwords "pw-" and the name; of each user two roles, u0-0 and u0-1, granted to
 * him, with READ of the prefixes p0/ to p4/ and p5/ to p9/ (tests/e2e/test_replica_busy.py makes them).
 */
#ifndef BUSY_USERS_H
#define BUSY_USERS_H

#include "base/rng.h"
#include "busy/judge.h"
#include "busy/rights.h"

enum { USER_ROOT = RIGHTS_USERS };

struct users_options {
    bool on; /* false: all that follows does nothing, and nobody has a token */
    int source;
    const int *replicas;
    size_t n_replicas;
    uint64_t seed;
    int64_t change_ms; /* on average between two changes */
    int64_t late_ms;   /* see rights.h */
};

struct users_counts {
    uint64_t logins, changes, tried, told, denied, created;
    int64_t known_us[3]; /* from a change's answer to when a replica was seen to know: p50, p99, most */
};

void users_start(const struct users_options *o, struct court *court);
void users_turn(int64_t now_ns);
bool users_on(void);
/* Every right is given; true when it is, and every replica knows. */
bool users_finish(void);
void users_say(void); /* who does not know, for who waits in vain */
void users_counts(struct users_counts *ret);

/* Of a user (USER_ROOT too) who has logged in at that server; NULL = not yet, or users are off. Until the next turn. */
const char *users_token(int user, int port);
/* The server does not take it any more. */
void users_refused(int user, int port);
int users_replica(int port); /* its number */
/* Whether a watch was refused or ended because of that. */
bool users_says_denied(bytes reason);

/* What a watch of somebody was told; held against his rights at once. */
void users_created(struct claim who);
void users_told(struct claim who, int64_t written_ns);
void users_denied(struct claim who);

#endif
