/* Permits of a semaphore: locks with another rule (lock.c). */
#include "lib/lock.h"

_Static_assert(TENURE_SEMAPHORE_LIMIT_MAX == RULE_LIMIT_MAX, "the header says what the engine does");

tenure_lock *tenure_semaphore_acquire(tenure_client *c, const char *name, int64_t weight, int64_t limit,
                                      const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct rule rule = {.kind = RULE_PERMIT, .weight = weight, .limit = limit};
    return lib_lock_acquire(c, name, &rule, o, err);
}

tenure_lock *tenure_semaphore_start(tenure_client *c, const char *name, int64_t weight, int64_t limit,
                                    const struct tenure_lock_options *o, struct tenure_error *err)
{
    struct rule rule = {.kind = RULE_PERMIT, .weight = weight, .limit = limit};
    return lib_lock_start(c, name, &rule, o, NULL, err);
}
