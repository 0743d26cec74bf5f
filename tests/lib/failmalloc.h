/* Makes allocations fail, one by one, to show that every failure is handled. Any thread; the counts are shared.
 *
 * A test that links dep_failmalloc (tests/lib/meson.build) has malloc, calloc and realloc of all code linked into its
 * executable replaced, by the linker's --wrap; code within shared libraries (libc's strdup, cmocka itself) is not
 * affected. The usual form is a sweep:
 *
 *     static int fill_a_map(void *user)
 *     {
 *         struct map m;
 *         map_init(&m);
 *         int rc = 0;
 *         for (uint64_t key = 0; key < 100 && !rc; key++) {
 *             rc = map_put(&m, key, user);
 *             assert_ptr_equal(map_get(&m, key), rc ? NULL : user);
 *         }
 *         map_fini(&m);
 *         return rc;
 *     }
 *
 *     static void a_map_that_cannot_grow_is_unchanged(void **state)
 *     {
 *         assert_true(failmalloc_sweep(fill_a_map, "any value") > 0);
 *     }
 *
 * The scenario builds everything itself, does the same each time, checks inside itself that a failed step changed
 * nothing, frees everything (AddressSanitizer sees what it forgets) and answers 0 or a TENURE_E… code. Allocations of
 * its own count too: let it use fixed arrays, or memory from before the sweep.
 */
#ifndef TESTS_LIB_FAILMALLOC_H
#define TESTS_LIB_FAILMALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Runs the scenario undisturbed, when it must answer 0; then once for each of its allocations with that one failing,
 * and once for each with that one and all later ones failing. Each of these must end, and answer TENURE_ENOMEM, or 0
 * where it could do without. Fails the cmocka test otherwise. Answers how many runs had a failure. */
size_t failmalloc_sweep(int (*scenario)(void *user), void *user);

/* By hand: counts anew from here, and lets the at-th allocation from now on fail (1 is the next one), or with
 * failmalloc_from that one and all later ones. A failing realloc leaves the old memory, as realloc does. */
void failmalloc_at(size_t at);
void failmalloc_from(size_t at);

/* No allocation fails any more; counts anew from here. The state of a test program at its start. */
void failmalloc_off(void);

/* Allocations since the last of the calls above, failed ones included; and whether one of them failed. */
size_t failmalloc_count(void);
bool failmalloc_hit(void);

#endif
