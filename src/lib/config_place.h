/* Where the keys of a configuration are: its prefix, its layers, what lies beside it. Strings as the store has them, without a
 * namespace. Pure but for the environment's variables; thread: one caller at a time. */
#ifndef LIB_CONFIG_PLACE_H
#define LIB_CONFIG_PLACE_H

#include <tenure/config.h>

#include "base/arena.h"
#include "base/error.h"

enum { CONFIG_KEY_MAX = 1024, CONFIG_HISTORY = 20 };

struct config_place {
    struct arena arena;
    const char *prefix;                      /* "/config/" */
    const char *roots[TENURE_CONFIG_LAYERS]; /* "/config/@env/prod/"; NULL = there is no such layer */
    const char *history, *schemas;           /* "/config-history/", "/config-schema/" */
    bool reads_global;                       /* where the options say nothing of layers */
    const char *lacks[TENURE_CONFIG_LAYERS]; /* what the options do not say of a layer that is not there */
};

/* Layers from what is overridden by all to what overrides all. */
extern const enum tenure_config_layer config_layer_order[TENURE_CONFIG_LAYERS];
/* Whether a layer is there to be read; layers as in the options. */
bool config_place_reads(const struct config_place *p, enum tenure_config_layer layer, unsigned layers);

/* options as options_take left them. TENURE_EINVALID, TENURE_ENOMEM; must be freed all the same. */
int config_place_init(struct config_place *p, const struct tenure_config_options *o, struct tenure_error *err) MUST_USE;
void config_place_fini(struct config_place *p);

/* TENURE_EINVALID names it and says what is wrong. */
int config_key_check(const char *key, struct tenure_error *err) MUST_USE;
bool config_key_is_valid(bytes key);
/* A key, or "" or a key with a slash behind: all that begin so. */
int config_keys_check(const char *keys, struct tenure_error *err) MUST_USE;
bool config_keys_are_one(const char *keys);

/* The key in a layer. TENURE_EINVALID: there is no such layer. */
int config_place_key(struct config_place *p, enum tenure_config_layer layer, const char *key, const char **ret,
                     struct tenure_error *err) MUST_USE;
/* The home of the global layer's keys is a prefix of this: "/config/@global/". */
#define CONFIG_GLOBAL "@global/"
/* What the versions of a key in a layer begin with: "/config-history/@env/prod/billing/db-url/@/". */
int config_place_history(struct config_place *p, enum tenure_config_layer layer, const char *key, const char **ret,
                         struct tenure_error *err) MUST_USE;

/* What is to be read for keys: a range of a layer. The default layer of all keys is two, with the other layers between. */
struct config_part {
    enum tenure_config_layer layer;
    const char *key, *range_end; /* range_end "" = the one key */
    size_t root_len;             /* of the layer's root: what is in front of the key */
};
enum { CONFIG_PARTS_MAX = TENURE_CONFIG_LAYERS + 1 };
/* How many; 0 = out of memory. layers: as in the options. */
size_t config_place_parts(struct config_place *p, const char *keys, unsigned layers,
                          struct config_part ret[CONFIG_PARTS_MAX]);

#endif
