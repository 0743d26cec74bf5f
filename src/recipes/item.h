/* The words of the queues of items: keys, and what stands in them. No relation to queue.h, where programs stand in line.
 *
 *   kind      keys under the path p = `<prefix><name>`                    who is first
 *   FIFO      p/<id>                                                     the oldest (create_revision)
 *   PRIORITY  p/<5 digits>/<id>                                          the lowest number, in it the oldest
 *   DELAY     p/<due, 16 digits of Unix ms>/<id>                         the one that is due first, once it is due
 *   WORK      p/items/<id>                   the value, until it is acknowledged
 *             p/ready/<id>.<n>               waits to be taken; was delivered n times
 *             p/delayed/<due>/<id>.<n>       the same, not before it is due
 *             p/taken/<id>.<n>               is taken; this is its nth delivery
 *             p/claims/<id>                  by whom, on the worker's lease: what is taken and has no claim is taken anew
 *             p/dead/<id>                    the value of one that was delivered as often as may be
 *
 * An id is unique: drawn by who puts. The values of the first three are the items', so that Go's recipes and etcdctl may put
 * and take: any key below p/ is an item. Pure; thread: any (no state).
 */
#ifndef RECIPES_ITEM_H
#define RECIPES_ITEM_H

#include "api/kv.h"
#include "base/error.h"

enum item_kind { ITEM_FIFO, ITEM_PRIORITY, ITEM_DELAY, ITEM_WORK };
enum { ITEM_PRIORITY_MAX = 65535, ITEM_KEY_SPACE = 64, ITEM_DELIVERIES_MAX = 1000000 };
#define ITEM_DUE_MAX INT64_C(9999999999999999)

/* One block of memory, owned. */
struct item_keys {
    enum item_kind kind;
    char *name, *line_prefix; /* where who waits stands in line: `<prefix without slashes>.line/` */
    struct key_range all;     /* below p/ */
    struct key_range bodies;  /* what counts for the length: WORK p/items/, else all */
    struct key_range ready, delayed, taken, claims, dead;
    char memory[];
};

/* Copies. NULL: TENURE_EINVALID, TENURE_ENOMEM in err. prefix NULL = "/queues/". */
struct item_keys *item_keys_new(enum item_kind kind, const char *prefix, const char *name, struct tenure_error *err);
/* The same where the first root_len bytes of the prefix are what no key leaves, also not the line's. */
struct item_keys *item_keys_new_below(enum item_kind kind, const char *prefix, size_t root_len, const char *name,
                                      struct tenure_error *err);

/* What a key below p/ says. id borrows from key. */
struct item_words {
    bytes id;
    int64_t priority, due_ms;
    int64_t deliveries;
};
/* Of a key in `where` (all, ready, delayed, taken). What is not written there is 0. */
struct item_words item_read(const struct item_keys *k, struct key_range where, bytes key);

/* A key `where` + [due "/"] + id + ["." n] in out, which has room for where.key, id and ITEM_KEY_SPACE bytes. due, n: < 0 =
 * without. */
bytes item_key(struct key_range where, int64_t due_ms, bytes id, int64_t n, char *out);
/* p/<5 digits>/<id> */
bytes item_priority_key(const struct item_keys *k, int64_t priority, bytes id, char *out);
/* The part of `key` below p/ up to and with its first slash, as a range of keys; without a slash: the key alone. end has room
 * for key.len + 1 bytes. */
struct key_range item_group(const struct item_keys *k, bytes key, uint8_t *end);

#endif
