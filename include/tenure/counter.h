/* Counters: whole numbers that many programs add to, each addition once.
 *
 * A counter is the key `/counters/<name>` with the number as decimal text, for everybody to read; a key that is not there
 * counts as 0. An addition is a transaction guarded by what was read, and again after a conflict; also when an answer was lost
 * it is known whether it was applied (see stm.h for the marks that this takes). TENURE_ECORRUPT: what is there is no number.
 * TENURE_ELIMIT: the sum is beyond 64 bits; nothing was written.
 */
#ifndef TENURE_COUNTER_H
#define TENURE_COUNTER_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct tenure_counter_options {
    size_t size;
    const char *prefix; /* NULL = "/counters/" */
    int64_t timeout_ms; /* of the whole; 0 = the handle's */
    const char *marks;  /* as in stm.h */
    bool unmarked;
};

/* Blocking handles; o may be NULL, so may ret, which is the new value (get: the value). A failure says by err->applied whether
 * the change was made. */
int tenure_counter_get(tenure_client *c, const char *name, const struct tenure_counter_options *o, int64_t *ret,
                       struct tenure_error *err);
int tenure_counter_add(tenure_client *c, const char *name, int64_t delta, const struct tenure_counter_options *o,
                       int64_t *ret, struct tenure_error *err);
int tenure_counter_set(tenure_client *c, const char *name, int64_t value, const struct tenure_counter_options *o,
                       struct tenure_error *err);
/* Sets it to value if it is `expected`. TENURE_ECONFLICT: it is *ret instead. */
int tenure_counter_cas(tenure_client *c, const char *name, int64_t expected, int64_t value,
                       const struct tenure_counter_options *o, int64_t *ret, struct tenure_error *err);

/* The same without waiting, any handle: cb comes once, on the loop's thread; value as *ret above. 0, or why it could not
 * begin (then cb does not come). */
typedef void (*tenure_counter_cb)(void *user, int code, int64_t value, const struct tenure_error *err);
int tenure_counter_get_start(tenure_client *c, const char *name, const struct tenure_counter_options *o,
                             tenure_counter_cb cb, void *user, struct tenure_error *err);
int tenure_counter_add_start(tenure_client *c, const char *name, int64_t delta, const struct tenure_counter_options *o,
                             tenure_counter_cb cb, void *user, struct tenure_error *err);
int tenure_counter_set_start(tenure_client *c, const char *name, int64_t value, const struct tenure_counter_options *o,
                             tenure_counter_cb cb, void *user, struct tenure_error *err);
int tenure_counter_cas_start(tenure_client *c, const char *name, int64_t expected, int64_t value,
                             const struct tenure_counter_options *o, tenure_counter_cb cb, void *user,
                             struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
