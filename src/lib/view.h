/* Namespaces: views of a handle, whose keys lie below a prefix. A public function that knows them begins with view_of, which
 * answers the handle itself and the prefix; all others refuse them at handle_enter. What comes back has view_strip… taken
 * from it before it is converted. */
#ifndef LIB_VIEW_H
#define LIB_VIEW_H

#include "lib/handle.h"

/* *c of a view becomes its handle, and its prefix is answered, borrowed from the view; empty for a handle. NULL is fine. */
bytes view_of(tenure_client **c);
/* prefix of a recipe, or its default, below ns. Malloc'd and 0-terminated; NULL with err filled. */
char *view_recipe_prefix(bytes ns, const char *prefix, const char *fallback, struct tenure_error *err) MUST_USE;

/* A handle for what is below ns, in memory of the caller's, for calls that it makes within one of its own. Not freed. */
void view_init(tenure_client *view, tenure_client *root, bytes ns);

/* Without the first n bytes; a key that has not as many is empty. */
static inline bytes view_strip(bytes key, size_t n)
{
    return key.len >= n && key.data ? bytes_of(key.data + n, key.len - n) : bytes_of(key.data, 0);
}
void view_strip_kvs(struct kv *kvs, size_t n_kvs, size_t n);
void view_strip_txn(const struct txn_resp *r, size_t n);

/* Frees a view; the handle's views when it goes. */
void view_close(tenure_client *view);
/* The same; on_closed comes later, from the loop. */
void view_close_start(tenure_client *view, void (*on_closed)(void *user), void *user);
void views_free(tenure_client *c);

#endif
