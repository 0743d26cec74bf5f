/* The record of a mirror in its destination: whose it is, how far it has come, how it goes. JSON, so that people can read it.
 *
 *     {"prefix":"/a/","to":"/b/","source_cluster":"…","region":"eu","epoch":3,            what it copies, by whose right
 *      "writer":"…","seq":17,                                                             the process and its last transaction
 *      "state":"following","revision":120,"part_of":121,"part":127,"at":0,"cursor":"…",    progress
 *      "keys":…,"total":…,"copied":…,"deleted":…,
 *      "leases":[{"ttl":10,"id":"…"}],"check":{"key":"…","mod":119,"crc":…},
 *      "newest":121,"lag":1,"lag_ms":40,"time":…,"error":"…","error_time":…}                        for people
 *
 * Ids are in hexadecimal, keys (cursor, check) as hexadecimal bytes. Pure.
 */
#ifndef MIRROR_RECORD_H
#define MIRROR_RECORD_H

#include "api/kv.h"
#include "recipes/home.h"

enum { RECORD_LEASES_MAX = 32, RECORD_KEY_MAX = 1024, RECORD_ERROR_MAX = 256 };

struct record_key { /* of bounded length; len 0 = none */
    uint8_t data[RECORD_KEY_MAX];
    size_t len;
};

struct record {
    uint64_t source_cluster; /* 0 = not known yet */
    struct home home;        /* epoch 0: no region was asked */
    uint64_t writer;
    int64_t seq;

    tn_rev revision;          /* everything of the source up to it is here; 0 = never was */
    tn_rev part_of;           /* and `part` events of this one */
    int64_t part;             /* 0 = none */
    tn_rev at;                /* copying: the revision that is copied; 0 = following */
    struct record_key cursor; /* copying: keys up to it, without the prefix, are as they were at that revision */
    int64_t keys, total;      /* copying: compared so far, and of how many */
    int64_t copied, deleted;

    struct {
        int64_t ttl_s;
        tn_lease id;
    } leases[RECORD_LEASES_MAX];
    size_t n_leases;

    /* One key that was written last: at this revision the source has it, or has another history. mod 0 = none */
    struct record_key check;
    tn_rev check_mod;
    int64_t check_crc;

    tn_rev newest;                     /* of the source, as told last */
    int64_t lag;                       /* revisions of the source that may hold something that is not here */
    int64_t lag_ms, time_ms, error_ms; /* lag_ms -1 = not known */
    char error[RECORD_ERROR_MAX];
};

void record_key_set(struct record_key *k, bytes key); /* one that is too long: none */
static inline bytes record_key_bytes(const struct record_key *k)
{
    return bytes_of(k->data, k->len);
}

/* Appends it; to empty: the same as prefix. */
void record_format(const struct record *r, bytes prefix, bytes to, struct buf *out);
/* TENURE_ECORRUPT, TENURE_ENOMEM. */
int record_parse(bytes json, struct record *ret) MUST_USE;
/* What a record is about, in the cluster that it lies in; appended. False: it is no record. */
bool record_destination(bytes json, struct buf *to);
/* The same at its source. */
bool record_source(bytes json, struct buf *to);

#endif
