/* The sets of a transaction: what it sees, under which guards it is applied, and what the next attempt begins with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/stm.h"
#include "tenure/error.h"

static bytes b(const char *s)
{
    return bytes_str(s);
}

static void note(struct stm *s, const char *key, const char *value, tn_rev mod, tn_rev revision)
{
    struct kv kv = {.key = b(key), .value = b(value), .create_revision = mod, .mod_revision = mod, .version = 1};
    struct range_resp r = {.revision = revision, .kvs = &kv, .n_kvs = value != NULL};
    assert_int_equal(stm_note(s, b(key), &r), 0);
}

static bool sees(struct stm *s, const char *key, const char *value)
{
    struct kv kv;
    if (!stm_find(s, b(key), &kv))
        return false;
    return value ? kv.version && bytes_equal(kv.value, b(value)) : kv.version == 0;
}

/* "a=3 b<8 | put c, delete d | get a": guards on mod_revisions, the two branches. */
static const char *request(const struct stm *s)
{
    static char out[512];
    struct arena a;
    struct txn_req t;
    size_t n = 0;
    arena_init(&a, 0);
    assert_int_equal(stm_request(s, &a, &t), 0);
    for (size_t i = 0; i < t.n_compares; i++) {
        assert_int_equal(t.compares[i].target, COMPARE_MOD);
        n += (size_t)snprintf(out + n, sizeof out - n, "%.*s%c%d ", (int)t.compares[i].range.key.len,
                              (const char *)t.compares[i].range.key.data,
                              t.compares[i].result == COMPARE_LESS ? '<' : '=', (int)t.compares[i].number);
    }
    n += (size_t)snprintf(out + n, sizeof out - n, "|");
    for (size_t i = 0; i < t.n_success; i++) {
        bytes key = t.success[i].kind == OP_PUT ? t.success[i].put.key : t.success[i].del.range.key;
        n += (size_t)snprintf(out + n, sizeof out - n, " %s %.*s", t.success[i].kind == OP_PUT ? "put" : "delete",
                              (int)key.len, (const char *)key.data);
    }
    n += (size_t)snprintf(out + n, sizeof out - n, " |");
    for (size_t i = 0; i < t.n_failure; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, " %.*s", (int)t.failure[i].range.range.key.len,
                              (const char *)t.failure[i].range.range.key.data);
    arena_fini(&a);
    return out;
}

/* Reads a (written at 3) and x (absent) at revision 7, writes a, c and d. */
static struct stm example(enum stm_isolation isolation)
{
    struct stm s;
    stm_init(&s, isolation);
    note(&s, "a", "1", 3, 7);
    note(&s, "x", NULL, 0, 7);
    assert_int_equal(stm_put(&s, b("c"), b("2"), 0), 0);
    assert_int_equal(stm_delete(&s, b("d")), 0);
    assert_int_equal(stm_put(&s, b("a"), b("3"), 0), 0);
    return s;
}

static void each_level_has_its_guards(void **state)
{
    static const char *const wanted[] = {
        "a=3 c<8 d<8 x=0 | put a put c delete d | a x",
        "a=3 x=0 | put a put c delete d | a x",
        "a=3 x=0 | put a put c delete d |",
        "| put a put c delete d |",
    };
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct stm s = example((enum stm_isolation)i);
        assert_string_equal(request(&s), wanted[i]);
        stm_fini(&s);
    }
}

static void who_reads_nothing_guards_nothing(void **state)
{
    (void)state;
    struct stm s;
    stm_init(&s, STM_SERIALIZABLE_SNAPSHOT);
    assert_string_equal(request(&s), "| |");
    assert_false(stm_writes(&s));
    assert_int_equal(stm_put(&s, b("c"), b("2"), 0), 0);
    assert_string_equal(request(&s), "| put c |");
    assert_true(stm_writes(&s));
    stm_fini(&s);
}

static void own_writes_are_seen_and_do_not_count_as_read(void **state)
{
    (void)state;
    struct stm s;
    stm_init(&s, STM_SERIALIZABLE);
    assert_false(sees(&s, "c", "2"));
    assert_int_equal(stm_put(&s, b("c"), b("2"), 0), 0);
    assert_true(sees(&s, "c", "2"));
    assert_int_equal(stm_delete(&s, b("c")), 0);
    assert_true(sees(&s, "c", NULL));
    assert_int_equal(stm_put(&s, b("c"), b("5"), 9), 0);
    assert_true(sees(&s, "c", "5"));
    assert_string_equal(request(&s), "| put c |");
    stm_fini(&s);
}

static void reads_are_of_one_revision_where_the_level_says_so(void **state)
{
    static const struct {
        tn_rev revision;
        bool serializable;
    } wanted[] = {{7, false}, {7, false}, {0, true}, {0, true}};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct stm s;
        struct range_req r;
        stm_init(&s, (enum stm_isolation)i);
        stm_read(&s, b("a"), &r);
        assert_int_equal(r.revision, 0);
        note(&s, "a", "1", 3, 7);
        stm_read(&s, b("b"), &r);
        assert_int_equal(r.revision, wanted[i].revision);
        assert_int_equal(r.serializable, wanted[i].serializable);
        stm_fini(&s);
    }
}

static void a_key_reads_the_same_all_along(void **state)
{
    (void)state;
    struct stm s;
    stm_init(&s, STM_READ_COMMITTED);
    note(&s, "a", "1", 3, 7);
    note(&s, "a", "2", 9, 9);
    assert_true(sees(&s, "a", "1"));
    stm_fini(&s);
}

static struct response_op answer(struct kv *kv, const char *key, const char *value, tn_rev mod)
{
    *kv = (struct kv){.key = b(key), .value = b(value), .mod_revision = mod, .version = 1};
    return (struct response_op){.kind = OP_RANGE, .range = {.kvs = kv, .n_kvs = value != NULL}};
}

static void a_conflict_brings_what_the_next_attempt_reads(void **state)
{
    (void)state;
    struct stm s = example(STM_SERIALIZABLE_SNAPSHOT);
    struct kv kvs[2];
    struct range_req r;
    struct response_op others[] = {answer(&kvs[0], "a", "9", 12), answer(&kvs[1], "x", "new", 11)};
    stm_again(&s, 14, others, 2);
    assert_false(stm_writes(&s));
    assert_string_equal(request(&s), "| |"); /* brought is not read */
    stm_read(&s, b("y"), &r);
    assert_int_equal(r.revision, 14); /* and all reads are of that revision */
    assert_true(sees(&s, "x", "new"));
    assert_int_equal(stm_put(&s, b("z"), b("1"), 0), 0);
    assert_string_equal(request(&s), "x=11 z<15 | put z | x");
    assert_true(sees(&s, "a", "9"));
    others[0] = answer(&kvs[0], "a", NULL, 0);
    stm_again(&s, 20, others, 2);
    assert_true(sees(&s, "a", NULL));
    stm_fini(&s);
}

static void a_conflict_that_brings_nothing_begins_anew(void **state)
{
    (void)state;
    struct kv kv;
    struct range_req r;
    for (int i = 0; i < 4; i++) {
        struct stm s = example((enum stm_isolation)i);
        struct response_op one = answer(&kv, "a", "9", 12);
        stm_again(&s, 14, &one, i < 2 ? 1 : 0); /* one answer to two reads cannot be right */
        assert_int_equal(stm_find(&s, b("a"), &kv), 0);
        stm_read(&s, b("a"), &r);
        assert_int_equal(r.revision, 0);
        stm_fini(&s);
    }
}

static void keys_and_bytes_are_bounded(void **state)
{
    (void)state;
    struct stm s;
    char key[16];
    static uint8_t big[STM_BYTES_MAX / 2];
    stm_init(&s, STM_SERIALIZABLE);
    for (int i = 0; i < STM_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "%d", i * 7919 % STM_KEYS_MAX);
        assert_int_equal(stm_put(&s, b(key), b("v"), 0), 0);
    }
    assert_int_equal(stm_put(&s, b("one more"), b("v"), 0), TENURE_ELIMIT);
    assert_int_equal(stm_put(&s, b("7"), b("again"), 0), 0);
    stm_again(&s, 0, NULL, 0);
    assert_int_equal(stm_put(&s, b("a"), bytes_of(big, sizeof big), 0), 0);
    assert_int_equal(stm_put(&s, b("b"), bytes_of(big, sizeof big), 0), TENURE_ELIMIT);
    stm_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_has_its_guards),
        cmocka_unit_test(who_reads_nothing_guards_nothing),
        cmocka_unit_test(own_writes_are_seen_and_do_not_count_as_read),
        cmocka_unit_test(reads_are_of_one_revision_where_the_level_says_so),
        cmocka_unit_test(a_key_reads_the_same_all_along),
        cmocka_unit_test(a_conflict_brings_what_the_next_attempt_reads),
        cmocka_unit_test(a_conflict_that_brings_nothing_begins_anew),
        cmocka_unit_test(keys_and_bytes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
