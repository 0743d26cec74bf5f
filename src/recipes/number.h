/* The numbers of counters and ids: how they are written as values, and what changes them. Pure. */
#ifndef RECIPES_NUMBER_H
#define RECIPES_NUMBER_H

#include "api/kv.h"
#include "base/error.h"

enum { NUMBER_TEXT_MAX = 24 };

/* Decimal text without anything around it: what number_write writes, and "+5" or "007" not. An absent key is 0. TENURE_ECORRUPT. */
int number_read(const struct kv *kv, int64_t *ret, struct tenure_error *err) MUST_USE;
/* With a 0 behind its end. */
bytes number_write(int64_t n, char out[NUMBER_TEXT_MAX]);

enum number_kind { NUMBER_GET, NUMBER_ADD, NUMBER_SET, NUMBER_CAS, NUMBER_TAKE };

struct number_change {
    enum number_kind kind;
    int64_t number;   /* ADD: the delta; SET, CAS: the value; TAKE: how many */
    int64_t expected; /* CAS; TAKE: the floor, above which all are */
    bool or_fewer;    /* TAKE: as many of them as there are below 2^63 */
    int64_t taken;    /* TAKE: how many */
    int64_t
        result; /* the value, the new one where it was changed; CAS that failed: the one that is there; TAKE: the first of those taken */
    char text[NUMBER_TEXT_MAX];
};

/* An update_compute (update.h); owner: a struct number_change. TENURE_ECORRUPT, TENURE_ELIMIT, TENURE_ECONFLICT (CAS). */
int number_compute(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err);

#endif
