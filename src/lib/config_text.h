/* What the file formats of a configuration have in common: writing texts, and trees of JSON as keys and values. Pure. */
#ifndef LIB_CONFIG_TEXT_H
#define LIB_CONFIG_TEXT_H

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "lib/config_list.h"

/* Whether it is UTF-8 without a byte 0. */
bool config_is_text(bytes s);
/* Appends it in quotes, as JSON and YAML both read it. */
void config_put_string(struct buf *b, bytes s);
/* Appends the value: as a number, a boolean or an array where that reads back as this very text, else as a string. */
void config_put_value(struct buf *b, bytes value);
/* Appends compact JSON. */
void config_put_json(struct buf *b, const json_t *j);

/* Keys and values on the way in; strings are in the arena. */
struct config_pairs {
    struct arena arena;
    struct config_pair *list; /* malloc'd */
    size_t n, cap;
};
void config_pairs_fini(struct config_pairs *p);
/* Key = front + name; both are copied. */
int config_pairs_add(struct config_pairs *p, const char *front, bytes name, bytes value, struct tenure_error *err)
    MUST_USE;
/* All leaves of an object, with front before their keys. */
int config_pairs_add_tree(struct config_pairs *p, const char *front, const json_t *tree, struct tenure_error *err)
    MUST_USE;

/* The tree of a YAML text: mappings as objects, their scalars as strings, sequences as arrays with what JSON has. */
int config_yaml_read(const char *text, size_t len, json_t **ret, struct tenure_error *err) MUST_USE;
int config_dotenv_read(const char *text, size_t len, const char *front, struct config_pairs *p,
                       struct tenure_error *err) MUST_USE;
/* skip: bytes in front of each key that are not shown. */
int config_dotenv_write(const struct tenure_config_list *list, size_t skip, struct buf *b, struct tenure_error *err)
    MUST_USE;

#endif
