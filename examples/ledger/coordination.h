/* All that the daemon has to do with Tenure: who leads, by which rules, and where the instances are.
 *
 * Nothing here waits for a server, but for coordination_open and the two that end it. The others read what was heard last, from any thread.
 */
#ifndef LEDGER_COORDINATION_H
#define LEDGER_COORDINATION_H

#include "book.h"

#define ADDRESS_SIZE 128

struct coordination_options {
    const char *name;            /* of this instance */
    const char *address;         /* where others find it; copied */
    int port;                    /* and its port */
    const char *endpoints;       /* of the servers; NULL: the environment's TENURE_ENDPOINTS */
    const char *cache;           /* a file for the last known configuration; NULL: none */
    int64_t ttl_s;               /* of leadership and registration; 0: 10 s */
    void (*on_lead)(void *user); /* it leads from now on, or not any more; must not wait */
    void *user;
};

struct coordination;
/* Waits for the configuration, which comes from the servers or the copy; NULL when neither is there, and it has said so. */
struct coordination *coordination_open(const struct coordination_options *o);
/* From now on it can be found, and stands for election. -1: it has said why not. */
int coordination_begin(struct coordination *c);

/* The token to write with; 0: it does not lead. What is written with it may still be refused: by then somebody else may lead. */
int64_t coordination_token(struct coordination *c);
/* Where the leader is, "http://host:port"; false: nobody leads, as far as is known. */
bool coordination_leader(struct coordination *c, char ret[ADDRESS_SIZE]);
void coordination_rules(struct coordination *c, struct rules *ret);
/* Whether this instance can do anything for those who find it. */
void coordination_set_healthy(struct coordination *c, bool healthy);

/* Nobody who looks for an instance finds this one any more. */
void coordination_drain(struct coordination *c);
/* Somebody else may lead, at once. */
void coordination_resign(struct coordination *c);
void coordination_close(struct coordination *c);

#endif
