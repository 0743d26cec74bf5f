/* Who leads, of many elections: held against a plain search of all candidates, over random changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rng.h"
#include "failmalloc.h"
#include "recipes/leaders.h"
#include "tenure/error.h"

#define PREFIX "/e/"

static bytes dir_of(const char *key)
{
    return leaders_dir(bytes_str(key), strlen(PREFIX));
}

static void an_election_is_what_stands_before_the_last_slash(void **state)
{
    (void)state;
    assert_true(bytes_equal(dir_of("/e/a/1f"), bytes_str("/e/a/")));
    assert_true(bytes_equal(dir_of("/e/a/b/1f"), bytes_str("/e/a/b/")));
    assert_true(bytes_equal(dir_of("/e/a/"), bytes_str("/e/a/")));
    assert_int_equal(dir_of("/e/a").len, 0);   /* no election's */
    assert_int_equal(dir_of("/e//1f").len, 0); /* no name */
    assert_int_equal(dir_of("/e").len, 0);
    assert_int_equal(dir_of("").len, 0);
    assert_int_equal(leaders_dir(bytes_of("/e/a\0who/1f", 11), 3).len, 0); /* beside, not within */
}

/* ---- a copy that changes ---- */

enum { CHANGES = 4 };

struct world {
    struct keyset all, leaders;
    struct view_change changes[CHANGES];
    struct keyset_entry *old[CHANGES];
    size_t n;
    struct leaders_change told[CHANGES];
    size_t n_told;
    tn_rev revision;
};

static int put(struct world *w, const char *key, bool anew)
{
    struct keyset_entry *was;
    const struct kv *before = keyset_find(&w->all, bytes_str(key));
    struct kv kv = {.key = bytes_str(key),
                    .create_revision = before && !anew ? before->create_revision : w->revision,
                    .mod_revision = w->revision};
    if (keyset_put(&w->all, &kv, &was))
        return TENURE_ENOMEM;
    w->old[w->n] = was;
    w->changes[w->n++] = (struct view_change){keyset_find(&w->all, bytes_str(key)), was ? &was->kv : NULL};
    return 0;
}

static void erase(struct world *w, const char *key)
{
    size_t at = keyset_place(&w->all, bytes_str(key));
    if (!keyset_is_at(&w->all, at, bytes_str(key)))
        return;
    w->old[w->n] = keyset_take(&w->all, at);
    w->changes[w->n] = (struct view_change){NULL, &w->old[w->n]->kv};
    w->n++;
}

static int apply(struct world *w)
{
    return leaders_apply(&w->leaders, &w->all, strlen(PREFIX), w->changes, w->n, w->told, &w->n_told);
}

static void forget(struct world *w)
{
    for (size_t i = 0; i < w->n; i++)
        keyset_unref(w->old[i]);
    w->n = 0;
}

static void end(struct world *w)
{
    forget(w);
    keyset_fini(&w->all);
    keyset_fini(&w->leaders);
}

static struct keyset_entry *truth(const struct world *w, bytes dir)
{
    struct keyset_entry *first = NULL;
    for (size_t i = 0; i < w->all.len; i++) {
        struct keyset_entry *e = w->all.entries[i];
        if (bytes_equal(leaders_dir(e->kv.key, strlen(PREFIX)), dir) && e->kv.key.len > dir.len &&
            (!first || e->kv.create_revision < first->kv.create_revision))
            first = e;
    }
    return first;
}

static const char *const names[] = {"a", "a/b", "a-b", "a/b/c", "z"};
enum { NAMES = sizeof names / sizeof *names };

static void check(const struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < NAMES; i++) {
        char dir[32];
        snprintf(dir, sizeof dir, PREFIX "%s/", names[i]);
        struct keyset_entry *is = truth(w, bytes_str(dir));
        assert_ptr_equal(leaders_find(&w->leaders, bytes_str(dir)), is);
        n += is != NULL;
    }
    assert_int_equal(w->leaders.len, n);
    for (size_t i = 0; i < w->n_told; i++)
        assert_ptr_equal(w->told[i].now, truth(w, w->told[i].dir));
}

static void a_random_key(struct rng *rng, char *key, size_t size)
{
    snprintf(key, size, PREFIX "%s/%x", names[rng_below(rng, NAMES)], (unsigned)rng_below(rng, 20));
}

static void the_leaders_are_what_a_search_finds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world w = {.revision = 1};
        struct rng rng;
        rng_init(&rng, seed);
        for (int step = 0; step < 200; step++, w.revision++) {
            size_t n = 1 + rng_below(&rng, CHANGES);
            char key[40];
            for (size_t i = 0; i < n; i++) {
                a_random_key(&rng, key, sizeof key);
                if (rng_below(&rng, 2))
                    erase(&w, key);
                else
                    assert_int_equal(put(&w, key, rng_below(&rng, 4) == 0), 0);
            }
            assert_int_equal(apply(&w), 0);
            check(&w);
            forget(&w);
        }
        end(&w);
    }
}

static void what_changes_no_leader_is_not_told(void **state)
{
    struct world w = {.revision = 1};
    (void)state;
    assert_int_equal(put(&w, "/e/a/1", false), 0);
    assert_int_equal(apply(&w), 0);
    assert_int_equal(w.n_told, 1);
    forget(&w);
    w.revision++;
    assert_int_equal(put(&w, "/e/a/0", false), 0); /* waits */
    assert_int_equal(put(&w, "/e/b", false), 0);   /* no candidate */
    assert_int_equal(apply(&w), 0);
    assert_int_equal(w.n_told, 0);
    forget(&w);
    w.revision++;
    assert_int_equal(put(&w, "/e/a/1", false), 0); /* proclaims */
    assert_int_equal(apply(&w), 0);
    assert_int_equal(w.n_told, 1);
    assert_ptr_equal(w.told[0].now, keyset_entry_of(keyset_find(&w.all, bytes_str("/e/a/1"))));
    end(&w);
}

static int come_and_go(void *user)
{
    struct world w = {.revision = 1};
    int rc = 0;
    (void)user;
    for (int i = 0; rc == 0 && i < 30; i++, w.revision++) {
        char key[40];
        snprintf(key, sizeof key, PREFIX "%d/1", i);
        rc = put(&w, key, false);
        rc = rc ? rc : apply(&w);
        assert_int_equal(w.leaders.len, rc ? i : i + 1);
        forget(&w);
    }
    end(&w);
    return rc;
}

static void without_memory_it_is_as_before(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(come_and_go, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_election_is_what_stands_before_the_last_slash),
        cmocka_unit_test(the_leaders_are_what_a_search_finds),
        cmocka_unit_test(what_changes_no_leader_is_not_told),
        cmocka_unit_test(without_memory_it_is_as_before),
    };
    return cmocka_run_group_tests_name("leaders", tests, NULL, NULL);
}
