/* Every allocation passes fail_now, which counts it. __real_malloc and its kin are the linker's names for the
 * functions that --wrap replaced. */
#include "failmalloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tenure/error.h"

static atomic_size_t count;       /* allocations so far */
static atomic_size_t first, last; /* the ones that fail; none while first is 0 */
static atomic_bool hit;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fail_now(void)
{
    size_t number = atomic_fetch_add(&count, 1) + 1;
    size_t from = atomic_load(&first);
    if (from == 0 || number < from || number > atomic_load(&last))
        return false;
    atomic_store(&hit, true);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fail_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fail_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fail_now() ? NULL : __real_realloc(old, size);
}

static void fail_between(size_t from, size_t to)
{
    atomic_store(&first, from);
    atomic_store(&last, to);
    atomic_store(&count, 0);
    atomic_store(&hit, false);
}

void failmalloc_at(size_t at)
{
    fail_between(at, at);
}

void failmalloc_from(size_t at)
{
    fail_between(at, SIZE_MAX);
}

void failmalloc_off(void)
{
    fail_between(0, 0);
}

size_t failmalloc_count(void)
{
    return atomic_load(&count);
}

bool failmalloc_hit(void)
{
    return atomic_load(&hit);
}

/* Answers whether an allocation failed during the run. */
static bool run_failing(int (*scenario)(void *user), void *user, size_t from, size_t to)
{
    fail_between(from, to);
    int rc = scenario(user);
    bool failed = failmalloc_hit();
    failmalloc_off();
    if (rc && !(failed && rc == TENURE_ENOMEM))
        fail_msg("with allocation %zu failing%s the scenario answered %d (%s)", from, to > from ? " and all later" : "",
                 rc, tenure_error_string(rc));
    return failed;
}

/* One more than there are allocations is the run in which nothing fails: that ends the sweep. Counting beforehand would
 * not do, since a run that copes with a failure may need more allocations than the undisturbed one. */
size_t failmalloc_sweep(int (*scenario)(void *user), void *user)
{
    size_t runs = 0;
    run_failing(scenario, user, 0, 0);
    for (size_t i = 1; run_failing(scenario, user, i, i); i++)
        runs++;
    for (size_t i = 1; run_failing(scenario, user, i, SIZE_MAX); i++)
        runs++;
    return runs;
}
