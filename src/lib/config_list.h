/* Entries of a configuration, and lists of them: both counted and unchanging, so that readers of other threads keep what they
 * have, and a new list takes over all entries that are as they were.
 *
 * Pure; a list and its entries may be shared by threads. */
#ifndef LIB_CONFIG_LIST_H
#define LIB_CONFIG_LIST_H

#include <tenure/config.h>

#include "api/kv.h"
#include "base/error.h"

struct config_seal;

/* What a layer has, in byte order of keys; `skip` bytes in front of each are no part of the key. */
struct config_run {
    enum tenure_config_layer layer;
    size_t skip;
    const struct kv *const *kvs;
    size_t n;
};
enum { CONFIG_RUNS_MAX = TENURE_CONFIG_LAYERS + 1 };

/* The list that the layers make, with one reference. Entries of old (NULL = none) that are the same are taken over. Several runs of a
 * layer have no key in common. Keys that are none are passed over. Sealed values are opened with seal; NULL = none can be.
 * NULL: out of memory. */
struct tenure_config_list *config_list_merge(const struct tenure_config_list *old, int64_t revision,
                                             const struct config_run *runs, size_t n_runs,
                                             const struct config_seal *seal) MUST_USE;
/* Of keys and values alone, all of the default layer; they are sorted here. TENURE_EINVALID: a key twice, or none;
 * TENURE_ENOMEM. */
struct config_pair {
    const char *key;
    const char *value;
    size_t value_len;
};
int config_list_of(struct config_pair *pairs, size_t n, struct tenure_config_list **ret, struct tenure_error *err)
    MUST_USE;
struct tenure_config_list *config_list_ref(struct tenure_config_list *list);

/* Whether values are sealed as far as their beginning says. */
bool config_is_sealed(bytes value);
/* Whether the value that counts is the same, and as usable. */
bool config_entry_same(const struct tenure_config_entry *a, const struct tenure_config_entry *b);

#endif
