/* Who may hold a queue beside whom. All kinds of locks of one name stand in one queue (queue.h); what a place asks for is
 * said by the last part of its key, so that nobody has to read values to know:
 *
 *     <lease hex>                                              the whole: a mutex, a writer, etcd's own clients
 *     read.<number>.<lease hex>                                a reader
 *     permit.<weight>.<limit>.<number>.<lease hex>             a permit of a semaphore
 *
 *     custom.<number>.<lease hex>                              the whole to all others, and holds by a rule of its own
 *
 * What is not a reader's or a permit's takes the whole. Number (hex, from 1 on) tells several of one session apart, which each
 * have a key of their own. One exception is in a value: a whole place that was made a reader's keeps its key, and so its place and
 * token; its value begins with RULE_SHARED_VALUE.
 *
 * A place may hold when those before it allow it, whether they hold or wait, so that nobody is overtaken:
 *     whole   nobody is before it
 *     reader  only readers are before it
 *     permit  only permits are before it, and their weights and its own fit under the limit: the smallest that any of them
 *             and it state
 * What may hold stays so: nobody can come in before it. The holders are always the first so and so many.
 *
 * Pure; thread: any (no state).
 */
#ifndef RECIPES_RULE_H
#define RECIPES_RULE_H

#include "api/kv.h"

enum rule_kind { RULE_WHOLE, RULE_READ, RULE_PERMIT, RULE_CUSTOM };

enum { RULE_LIMIT_MAX = 1000000000, RULE_TAG_MAX = 48 };

#define RULE_READ_BEGIN   "read." /* readers' keys are from here … */
#define RULE_READ_END     "read/" /* … to here */
#define RULE_SHARED_VALUE "{\"tenure\":\"shared\""

struct rule {
    enum rule_kind kind;
    int64_t weight, limit; /* of a permit: 1 <= weight <= limit <= RULE_LIMIT_MAX */
    uint32_t number;
    /* Of a custom one: given the keys before it, oldest first (also of longer names), the index of the one whose end it waits
     * for before it is asked again; n = it may hold. A function of its arguments only. */
    size_t (*wait_for)(void *user, const struct kv *before, size_t n);
    void *user;
};

bool rule_is_valid(const struct rule *r);
/* What the key says of which this is the part behind the last slash. number is not read. */
struct rule rule_of(bytes last_part);
/* Whether a whole place with this value has been made a reader's. */
bool rule_is_shared(bytes value);
/* The part of a key before the lease's hex; "" for the whole. */
void rule_tag(const struct rule *r, char out[RULE_TAG_MAX]);
/* The same but for the number. */
bool rule_same(const struct rule *a, const struct rule *b);

#endif
