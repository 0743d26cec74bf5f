/* A carrier on a model of a server (fake_client.h), which is source and destination in one: /s/ is copied to /d/. After every moment
 * it is held to account: what its record says is there is there, exactly, unless it says that it is in the middle of something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "fake_client.h"
#include "mirror/carrier.h"
#include "mirror/record.h"
#include "tenure/error.h"

enum { CHANGES_MAX = 20000, KEYS = 300, VALUE_MAX = 12 };

static struct client *from, *into;
static struct carrier *c;
static uint64_t writer;
static bool replace, once, leased;

/* ---- what was written at the source, as the test knows it ---- */

struct change {
    tn_rev revision;
    char key[16], value[VALUE_MAX]; /* behind the prefix; value "" = deleted */
};
static struct change changes[CHANGES_MAX];
static size_t n_changes;

static void note(tn_rev revision, const char *key, const char *value)
{
    assert_true(n_changes < CHANGES_MAX);
    struct change *change = &changes[n_changes++];
    change->revision = revision;
    snprintf(change->key, sizeof change->key, "%s", key);
    snprintf(change->value, sizeof change->value, "%s", value);
}

static const char *full(const char *prefix, const char *key)
{
    static char out[2][32];
    static unsigned turn;
    char *to = out[turn++ % 2];
    snprintf(to, sizeof out[0], "%s%s", prefix, key);
    return to;
}

static void put(const char *key, const char *value, tn_lease lease)
{
    note(fake_put(full("/s/", key), value, lease), key, value);
}

static void delete (const char *key)
{
    if (fake_delete(bytes_str(full("/s/", key))))
        note(fake_revision(), key, "");
}

/* n keys in one revision, from the first on: all put, or all that are there deleted. */
static void put_many(int first, int n, const char *value)
{
    static struct request_op ops[KEYS];
    static char keys[KEYS][16];
    assert_true(n <= KEYS);
    for (int i = 0; i < n; i++) {
        snprintf(keys[i], sizeof keys[i], "/s/%03d", first + i);
        ops[i] = (struct request_op){.kind = OP_PUT, .put = {.key = bytes_str(keys[i]), .value = bytes_str(value)}};
    }
    fake_carry_out(&(struct txn_req){.success = ops, .n_success = (size_t)n});
    for (int i = 0; i < n; i++)
        note(fake_revision(), keys[i] + 3, value);
}

static void delete_all(void)
{
    struct request_op op = {.kind = OP_DELETE, .del = {.range = {bytes_str("/s/"), bytes_str("/s0")}}};
    struct kv kv;
    for (size_t i = 0; fake_key(i, &kv); i++)
        if (bytes_has_prefix(kv.key, bytes_str("/s/"))) {
            char key[16];
            snprintf(key, sizeof key, "%.*s", (int)kv.key.len - 3, (const char *)kv.key.data + 3);
            note(fake_revision() + 1, key, "");
        }
    fake_carry_out(&(struct txn_req){.success = &op, .n_success = 1});
}

/* ---- the destination, held against it ---- */

static const struct kv *record_key(struct kv *kv)
{
    return fake_get(bytes_str("/federation/mirrors/m/d/"), kv) ? kv : NULL;
}

static bool record_now(struct record *r)
{
    struct kv kv;
    return record_key(&kv) && record_parse(kv.value, r) == 0;
}

/* The last change of that key up to the revision; NULL: it was never there. */
static const struct change *last_of(bytes key, tn_rev revision)
{
    for (size_t i = n_changes; i-- > 0;)
        if (changes[i].revision <= revision && bytes_equal(bytes_str(changes[i].key), key))
            return &changes[i];
    return NULL;
}

static size_t count_at(tn_rev revision)
{
    size_t n = 0;
    for (size_t i = 0; i < n_changes; i++) {
        const struct change *last = last_of(bytes_str(changes[i].key), revision);
        n += last == &changes[i] && last->value[0] != 0;
    }
    return n;
}

static void is_as_at(tn_rev revision)
{
    struct kv kv;
    size_t n = 0;
    for (size_t i = 0; fake_key(i, &kv); i++) {
        if (!bytes_has_prefix(kv.key, bytes_str("/d/")))
            continue;
        const struct change *last = last_of(bytes_of(kv.key.data + 3, kv.key.len - 3), revision);
        if (!last || !bytes_equal(kv.value, bytes_str(last->value)))
            fail_msg("%.*s is '%.*s' where the source had '%s' at revision %lld", (int)kv.key.len,
                     (const char *)kv.key.data, (int)kv.value.len, (const char *)kv.value.data,
                     last ? last->value : "nothing", (long long)revision);
        n++;
    }
    assert_int_equal(n, count_at(revision));
}

static tn_rev judged_at;

static void judge(void *user)
{
    struct record r;
    struct kv kv;
    (void)user;
    if (leased || !record_key(&kv) || kv.mod_revision == judged_at)
        return;
    judged_at = kv.mod_revision;
    if (record_now(&r) && r.revision && !r.at && !r.part)
        is_as_at(r.revision);
}

/* ---- carriers ---- */

static tn_ms deadline(const void *object)
{
    return carrier_deadline(object);
}

static void tick(void *object, tn_ms now)
{
    carrier_run(object, now);
}

static int64_t wall_ms(void *user)
{
    (void)user;
    return 1000000 + fake_now();
}

static struct carrier *open_as(const char *name, const char *prefix, const char *to)
{
    struct carrier_config config = {.name = name,
                                    .prefix = bytes_str(prefix),
                                    .to_prefix = bytes_str(to),
                                    .replace = replace,
                                    .once = once,
                                    .source = from,
                                    .destination = into,
                                    .wall_ms = wall_ms,
                                    .writer = ++writer};
    struct carrier *made = carrier_new(&config);
    if (made)
        fake_add_ticker(into, deadline, tick, made);
    return made;
}

static struct carrier *end_of(struct carrier *made)
{
    if (made)
        fake_remove_ticker(made);
    return carrier_free(made, fake_now());
}

static void open_one(void)
{
    c = open_as("m", "/s/", "/d/");
    assert_non_null(c);
}

static struct carrier_view view_of(const struct carrier *which)
{
    struct carrier_view v;
    carrier_look(which, fake_now(), &v);
    return v;
}

static bool in_step(void *user)
{
    struct record r;
    (void)user;
    return record_now(&r) && !r.at && !r.part && n_changes && r.revision >= changes[n_changes - 1].revision;
}

static void catches_up(void)
{
    assert_true(fake_run_until(in_step, NULL, 60000));
    is_as_at(changes[n_changes - 1].revision);
}

static bool has_ended(void *user)
{
    return view_of(user).state >= CARRIER_DONE;
}

static int begin(void **state)
{
    (void)state;
    fake_begin();
    from = fake_client("A");
    into = fake_client("B");
    fake_on_step(judge, NULL);
    n_changes = 0;
    writer = 100;
    judged_at = 0;
    replace = once = leased = false;
    c = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_set_judge(NULL, NULL);
    c = end_of(c);
    fake_run(10000);
    fake_end();
    return 0;
}

/* ---- when all goes well ---- */

static void what_is_there_and_what_comes_is_copied(void **state)
{
    (void)state;
    put("a", "1", 0);
    put("b", "1", 0);
    fake_put("/elsewhere", "x", 0);
    open_one();
    catches_up();
    put("a", "2", 0);
    delete ("b");
    put("c", "3", 0);
    catches_up();
    assert_int_equal(view_of(c).state, CARRIER_FOLLOWING);
    assert_string_equal(view_of(c).error, "");
    fake_run(3000);
    struct carrier_view v = view_of(c);
    assert_true(v.lag_ms >= 0 && v.lag_ms < 2000);
    assert_true(v.revision == v.newest);
}

static void an_empty_source_is_a_copy_too(void **state)
{
    (void)state;
    open_one();
    fake_run(2000);
    assert_int_equal(view_of(c).state, CARRIER_FOLLOWING);
    put("a", "1", 0);
    catches_up();
}

static void a_large_revision_goes_in_parts(void **state)
{
    (void)state;
    struct record r;
    put("a", "1", 0);
    open_one();
    catches_up();
    put_many(0, 300, "1");
    for (bool seen = false; !seen;) {
        fake_run(1);
        assert_true(record_now(&r));
        seen = r.part == 254;
    }
    c = end_of(c); /* in the middle */
    put("a", "2", 0);
    open_one();
    catches_up();
    delete_all();
    catches_up();
    assert_true(record_now(&r) && r.deleted == 301 && r.copied == 302);
}

static void small_revisions_go_together(void **state)
{
    (void)state;
    put("a", "1", 0);
    open_one();
    catches_up();
    tn_rev before = fake_revision();
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "%03d", i);
        put(key, "x", 0);
    }
    tn_rev written = fake_revision();
    catches_up();
    assert_int_equal(written - before, 50);
    assert_true(fake_revision() - written <= 3);
}

static void a_key_that_changes_twice_is_told_twice(void **state)
{
    (void)state;
    struct kv kv;
    put("a", "1", 0);
    open_one();
    catches_up();
    put("a", "2", 0);
    put("a", "3", 0);
    put("a", "4", 0);
    catches_up();
    assert_true(fake_get(bytes_str("/d/a"), &kv));
    assert_int_equal(kv.version, 4);
}

static bool is_following(void *user)
{
    return view_of(user).state == CARRIER_FOLLOWING;
}

/* 80 ms away from its destination it can make a dozen transactions a second, and the source writes more. */
static void a_key_that_changes_all_the_time_is_kept_up_with(void **state)
{
    (void)state;
    char value[12], other[12];
    put("a", "1", 0);
    open_one();
    catches_up();
    fake_slow_replies(into, 80);
    for (int i = 0; i < 400; i++) {
        snprintf(value, sizeof value, "%d", i);
        snprintf(other, sizeof other, "%03d", i % 5);
        put("a", value, 0);
        put_many(i % 5, 3, value);
        if (i % 7 == 0)
            delete (other);
        fake_run(10);
    }
    fake_run(1500);
    assert_true(in_step(NULL));
    is_as_at(fake_revision());
    assert_true(view_of(c).lag_ms < 2000);
}

/* The limits of the two sides need not be the same. */
static void a_destination_that_takes_less_gets_less(void **state)
{
    (void)state;
    fake_limit_txn(20, 0);
    put_many(0, 100, "1");
    open_one();
    catches_up();
    put_many(0, 100, "2");
    catches_up();
    c = end_of(c);
    fake_limit_txn(0, 1000);
    put_many(0, 100, "3");
    fake_compact();
    open_one();
    catches_up();
    put_many(0, 100, "4");
    catches_up();
    assert_true(is_following(c));
}

static void what_is_too_large_is_named(void **state)
{
    (void)state;
    static char large[2000];
    struct record r;
    struct kv kv;
    put("a", "1", 0);
    open_one();
    catches_up();
    tn_rev at = changes[n_changes - 1].revision;
    memset(large, 'x', sizeof large - 1);
    fake_limit_txn(0, sizeof large);
    fake_on_step(NULL, NULL);
    fake_put("/s/large", large, 0);
    fake_put("/s/b", "2", 0);
    fake_run(10000);
    assert_non_null(strstr(view_of(c).error, "/d/large: with 2007 bytes"));
    assert_true(record_now(&r) && strstr(r.error, "/d/large"));
    is_as_at(at);
    fake_put("/s/large", "small", 0);
    fake_run(5000);
    assert_true(fake_get(bytes_str("/d/b"), &kv) && fake_get(bytes_str("/d/large"), &kv));
    assert_true(bytes_equal(kv.value, bytes_str("small")));
    assert_string_equal(view_of(c).error, "");
    fake_put("/s/large", large, 0);
    fake_run(5000);
    fake_limit_txn(0, 0);
    fake_run(5000);
    assert_true(fake_get(bytes_str("/d/large"), &kv) && kv.value.len == sizeof large - 1);
}

static void what_was_compacted_is_compared(void **state)
{
    (void)state;
    put_many(0, 200, "1");
    open_one();
    catches_up();
    c = end_of(c);
    delete ("007");
    put("008", "2", 0);
    put("new", "1", 0);
    fake_compact();
    put("009", "3", 0);
    struct record before, after;
    assert_true(record_now(&before));
    open_one();
    catches_up();
    assert_true(record_now(&after));
    assert_int_equal(after.copied - before.copied, 3);
    assert_int_equal(after.deleted - before.deleted, 1);
}

static void a_copy_goes_on_in_the_middle(void **state)
{
    (void)state;
    struct record r;
    put_many(0, 300, "1");
    open_one();
    do {
        fake_run(1);
    } while (!record_now(&r) || r.cursor.len == 0);
    assert_true(r.at > 0 && r.keys < 300 && r.total == 300);
    c = end_of(c);
    put("000", "2", 0);
    open_one();
    catches_up();
    assert_true(record_now(&r));
    assert_int_equal(r.copied, 301); /* none of the first ones again */
}

static void a_copy_whose_revision_is_compacted_begins_anew(void **state)
{
    (void)state;
    struct record r;
    put_many(0, 300, "1");
    open_one();
    do {
        fake_run(1);
    } while (!record_now(&r) || r.cursor.len == 0);
    c = end_of(c);
    put("000", "2", 0);
    delete ("001");
    fake_compact();
    open_one();
    catches_up();
    assert_true(record_now(&r));
    assert_int_equal(r.copied, 301);
    assert_int_equal(r.deleted, 1);
}

static void once_ends(void **state)
{
    (void)state;
    once = true;
    put_many(0, 150, "1");
    open_one();
    assert_true(fake_run_until(has_ended, c, 10000));
    assert_int_equal(view_of(c).state, CARRIER_DONE);
    is_as_at(fake_revision());
    assert_true(carrier_deadline(c) == TN_MS_NEVER);
}

/* ---- who may not ---- */

static void ends_with(struct carrier *which, enum carrier_state state, const char *word)
{
    assert_true(fake_run_until(has_ended, which, 60000));
    struct carrier_view v = view_of(which);
    assert_int_equal(v.state, state);
    if (!strstr(v.error, word))
        fail_msg("'%s' is not in: %s", word, v.error);
}

static void the_second_of_a_name_fences_the_first(void **state)
{
    (void)state;
    put("a", "1", 0);
    open_one();
    catches_up();
    struct carrier *second = open_as("m", "/s/", "/d/");
    ends_with(c, CARRIER_FENCED, "has taken over");
    put("a", "2", 0);
    catches_up();
    end_of(second);
}

static void foreign_keys_are_refused(void **state)
{
    (void)state;
    struct kv kv;
    fake_put("/d/x", "foreign", 0);
    put("a", "1", 0);
    open_one();
    ends_with(c, CARRIER_REFUSED, "/d/x");
    assert_null(record_key(&kv));
    c = end_of(c);
    replace = true;
    open_one();
    catches_up();
    assert_false(fake_get(bytes_str("/d/x"), &kv));
}

static void a_copy_is_no_source(void **state)
{
    (void)state;
    struct kv kv;
    put("a", "1", 0);
    open_one();
    catches_up();
    struct carrier *back = open_as("back", "/d/", "/e/");
    ends_with(back, CARRIER_REFUSED, "as a copy");
    assert_false(fake_get(bytes_str("/federation/mirrors/back/e/"), &kv));
    end_of(back);
    struct carrier *over = open_as("over", "/x/", "/d/a/");
    ends_with(over, CARRIER_REFUSED, "another mirror");
    end_of(over);
    put("a", "2", 0);
    catches_up();
}

/* Both claim before either sees the other: at least one of the two withdraws. */
static void of_two_against_each_other_one_sees_the_other(void **state)
{
    (void)state;
    fake_put("/s/a", "1", 0);
    struct carrier *there = open_as("there", "/s/", "/d/"), *back = open_as("back", "/d/", "/s/");
    fake_run(20000);
    assert_true(view_of(there).state == CARRIER_REFUSED || view_of(back).state == CARRIER_REFUSED);
    end_of(there);
    end_of(back);
}

static void a_record_that_is_none_is_left_alone(void **state)
{
    (void)state;
    struct kv kv;
    fake_put("/federation/mirrors/m/d/", "my own", 0);
    open_one();
    ends_with(c, CARRIER_REFUSED, "not the record");
    assert_true(record_key(&kv) && bytes_equal(kv.value, bytes_str("my own")));
}

static void a_record_that_was_removed_ends_it(void **state)
{
    (void)state;
    put("a", "1", 0);
    open_one();
    catches_up();
    fake_delete(bytes_str("/federation/mirrors/m/d/"));
    put("a", "2", 0);
    ends_with(c, CARRIER_FENCED, "was removed");
}

static void the_home_alone_is_copied(void **state)
{
    (void)state;
    struct kv kv;
    fake_put("/federation/region", "eu", 0);
    fake_put("/federation/homes/s/", "{\"region\":\"us\",\"epoch\":1}", 0);
    put("a", "1", 0);
    open_one();
    fake_run(3000);
    assert_int_equal(view_of(c).state, CARRIER_WAITING);
    assert_non_null(strstr(view_of(c).error, "the home of /s/ is us"));
    assert_null(record_key(&kv));
    fake_put("/federation/homes/s/", "{\"region\":\"eu\",\"epoch\":2}", 0);
    catches_up();
    fake_put("/federation/homes/s/", "{\"region\":\"us\",\"epoch\":3}", 0);
    tn_rev at = changes[n_changes - 1].revision;
    put("a", "2", 0);
    fake_run(5000);
    assert_int_equal(view_of(c).state, CARRIER_WAITING);
    is_as_at(at);
}

static void what_is_below_must_have_the_same_home(void **state)
{
    (void)state;
    fake_put("/federation/region", "eu", 0);
    fake_put("/federation/homes/s/", "{\"region\":\"eu\",\"epoch\":1}", 0);
    fake_put("/federation/homes/s/x/", "{\"region\":\"us\",\"epoch\":1}", 0);
    once = true;
    open_one();
    ends_with(c, CARRIER_REFUSED, "another home");
}

static void another_history_is_refused(void **state)
{
    (void)state;
    struct record r;
    struct buf b;
    put("a", "1", 0);
    open_one();
    catches_up();
    c = end_of(c);
    assert_true(record_now(&r));
    r.check_crc ^= 1;
    buf_init(&b);
    record_format(&r, bytes_str("/s/"), bytes_str("/d/"), &b);
    buf_append_byte(&b, 0);
    fake_put("/federation/mirrors/m/d/", (const char *)b.data, 0);
    open_one();
    ends_with(c, CARRIER_REFUSED, "restored or replaced");
    c = end_of(c);
    r.check_crc ^= 1;
    r.revision += 1000000;
    buf_reset(&b);
    record_format(&r, bytes_str("/s/"), bytes_str("/d/"), &b);
    buf_append_byte(&b, 0);
    fake_put("/federation/mirrors/m/d/", (const char *)b.data, 0);
    buf_fini(&b);
    open_one();
    ends_with(c, CARRIER_REFUSED, "older state");
    c = end_of(c);
    replace = true;
    open_one();
    put("a", "2", 0);
    fake_run(5000);
    is_as_at(fake_revision());
}

/* ---- what others write at the destination ---- */

static bool is_made_good(void *user)
{
    struct kv a, b;
    (void)user;
    return fake_get(bytes_str("/d/a"), &a) && bytes_equal(a.value, bytes_str("2")) && !fake_get(bytes_str("/d/x"), &b);
}

static void what_others_write_there_is_said_and_undone(void **state)
{
    (void)state;
    struct record r;
    put("a", "1", 0);
    put("b", "1", 0);
    open_one();
    catches_up();
    fake_on_step(NULL, NULL);
    put("a", "2", 0);
    fake_run(5);
    fake_put("/d/a", "foreign", 0);
    fake_put("/d/x", "foreign", 0);
    assert_true(fake_run_until(is_made_good, NULL, 1000));
    assert_true(record_now(&r) && strstr(r.error, "somebody else wrote at the destination"));
    fake_delete(bytes_str("/d/b"));
    fake_run(1000);
    is_as_at(fake_revision());
    assert_true(record_now(&r));
    tn_rev settled = r.copied + r.deleted;
    fake_run(60000);
    assert_true(record_now(&r) && r.copied + r.deleted == settled); /* what the mirror writes itself is not foreign */
    assert_int_equal(r.at, 0);
    assert_string_equal(view_of(c).error, "");
}

/* Past a bound all is compared, and not all the time. */
static void many_things_of_others_are_compared(void **state)
{
    (void)state;
    struct record before, r;
    char key[16];
    put_many(0, 200, "1");
    open_one();
    catches_up();
    assert_true(record_now(&before));
    fake_on_step(NULL, NULL);
    for (int n = 0; n < 10; n++) {
        for (int i = 0; i < 190; i++) {
            snprintf(key, sizeof key, "/d/%03d", i);
            fake_put(key, "foreign", 0);
        }
        fake_run(1000);
    }
    fake_run(11000);
    is_as_at(fake_revision());
    assert_true(record_now(&r) && r.copied - before.copied <= 3 * 190);
}

/* What is too much to be told would be too much each time that it is asked for. */
static void what_is_too_much_to_be_told_is_compared(void **state)
{
    (void)state;
    put("a", "1", 0);
    open_one();
    catches_up();
    fake_on_step(NULL, NULL);
    fake_slow_watches(into, 100000);
    fake_put("/d/a", "foreign", 0);
    fake_run(1000);
    fake_overflow_watches(into);
    fake_run(15000);
    is_as_at(fake_revision());
}

static void what_others_wrote_while_it_was_down_is_undone(void **state)
{
    (void)state;
    put("a", "1", 0);
    put("b", "1", 0);
    open_one();
    catches_up();
    c = end_of(c);
    fake_on_step(NULL, NULL);
    fake_put("/d/a", "foreign", 0);
    open_one();
    fake_run(1000);
    is_as_at(fake_revision());
    c = end_of(c);
    fake_put("/d/b", "foreign", 0);
    fake_compact(); /* what was written cannot be told */
    put("c", "1", 0);
    open_one();
    fake_run(1000);
    is_as_at(fake_revision());
}

/* ---- leases ---- */

static tn_lease lease_of(const char *key)
{
    struct kv kv;
    assert_true(fake_get(bytes_str(key), &kv));
    return kv.lease;
}

static void leases_are_its_own(void **state)
{
    (void)state;
    leased = true;
    tn_lease one = fake_grant(100), two = fake_grant(100), other = fake_grant(200);
    put("a", "1", one);
    put("b", "1", two);
    put("c", "1", other);
    put("d", "1", 0);
    open_one();
    catches_up();
    tn_lease own = lease_of("/d/a");
    assert_true(own != 0 && own != one && own == lease_of("/d/b") && own != lease_of("/d/c"));
    assert_int_equal(lease_of("/d/d"), 0);
    fake_run(150000); /* those of the source run out, and with them what lies here */
    struct kv kv;
    assert_false(fake_get(bytes_str("/d/a"), &kv));
    assert_true(fake_get(bytes_str("/d/c"), &kv) && fake_get(bytes_str("/d/d"), &kv));
}

static void a_lease_that_ran_out_is_made_again(void **state)
{
    (void)state;
    leased = true;
    put("a", "1", fake_grant(600));
    put("b", "1", 0);
    open_one();
    catches_up();
    tn_lease own = lease_of("/d/a");
    c = end_of(c);
    open_one();
    fake_run(1000);
    assert_true(lease_of("/d/a") == own); /* it lived on */
    fake_revoke(own);
    put("c", "1", 0);
    fake_run(250000); /* it is noticed with the next renewal */
    assert_true(lease_of("/d/a") != own);
    own = lease_of("/d/a");
    c = end_of(c);
    fake_revoke(own);
    open_one();
    fake_run(5000);
    assert_true(lease_of("/d/a") != own);
    leased = false;
    is_as_at(fake_revision());
}

static void leases_live_on_while_the_source_is_gone(void **state)
{
    (void)state;
    struct kv kv;
    leased = true;
    put("a", "1", fake_grant(1000000));
    put("b", "1", fake_grant(10));
    open_one();
    catches_up();
    fake_cut(from, true);
    fake_run(60000);
    assert_true(fake_get(bytes_str("/d/a"), &kv) && fake_get(bytes_str("/d/b"), &kv));
    fake_cut(from, false);
    fake_run(20000);
    assert_true(fake_get(bytes_str("/d/a"), &kv));
    assert_false(fake_get(bytes_str("/d/b"), &kv));
}

/* The source is away, and with it the look at both sides that is next. */
static void a_lease_that_is_lost_is_no_end_of_the_others(void **state)
{
    (void)state;
    struct kv kv;
    leased = true;
    put("a", "1", fake_grant(90));
    put("b", "1", fake_grant(120));
    open_one();
    catches_up();
    tn_lease own = lease_of("/d/a"), other = lease_of("/d/b");
    fake_cut(from, true);
    fake_revoke(own);
    fake_run(600000);
    assert_false(fake_get(bytes_str("/d/a"), &kv));
    assert_true(fake_get(bytes_str("/d/b"), &kv) && kv.lease == other);
}

/* A write finds it out, and which one it was is asked. */
static void a_lease_that_a_write_misses_is_looked_for(void **state)
{
    (void)state;
    struct kv kv;
    leased = true;
    tn_lease there = fake_grant(30000);
    put("a", "1", there);
    put("b", "1", fake_grant(40000));
    open_one();
    catches_up();
    tn_lease own = lease_of("/d/a"), other = lease_of("/d/b");
    fake_revoke(own);
    put("c", "1", there);
    fake_run(5000); /* long before its next renewal */
    assert_true(fake_get(bytes_str("/d/a"), &kv) && kv.lease != own);
    assert_true(fake_get(bytes_str("/d/c"), &kv) && kv.lease == lease_of("/d/a"));
    assert_true(lease_of("/d/b") == other);
}

/* ---- faults ---- */

static struct rng chance;
static unsigned percent;

static enum fake_fault fault_of(void *user, struct client *client, unsigned n, const char *what)
{
    static const enum fake_fault faults[] = {FAKE_LOSE_REQUEST, FAKE_LOSE_REPLY,  FAKE_LATE,    FAKE_OVERTAKEN,
                                             FAKE_SLOW,         FAKE_UNAVAILABLE, FAKE_GARBLED, FAKE_NO_MEMORY};
    (void)user, (void)client, (void)n, (void)what;
    return rng_below(&chance, 100) < percent ? faults[rng_below(&chance, ARRAY_LEN(faults))] : FAKE_FINE;
}

static void write_something(int n)
{
    char key[8], value[VALUE_MAX];
    snprintf(key, sizeof key, "%03u", (unsigned)rng_below(&chance, 60));
    snprintf(value, sizeof value, "%06d", n);
    switch (rng_below(&chance, 20)) {
    case 0:
        put_many((int)rng_below(&chance, 20), 1 + (int)rng_below(&chance, 40), value);
        break;
    case 1:
        put_many(0, 140, value);
        break;
    case 2:
        fake_put("/elsewhere", value, 0);
        break;
    case 3:
        delete_all();
        break;
    case 4:
        fake_compact();
        break;
    case 5:
    case 6:
    case 7:
        delete (key);
        break;
    default:
        put(key, value, 0);
    }
}

static void disturb(void)
{
    struct client *who = rng_below(&chance, 2) ? from : into;
    switch (rng_below(&chance, 12)) {
    case 0:
        c = end_of(c);
        fake_run((tn_ms)rng_below(&chance, 300));
        open_one();
        break;
    case 1:
        fake_cut(who, true);
        fake_run((tn_ms)rng_below(&chance, 4000));
        fake_cut(who, false);
        break;
    case 2:
        fake_overflow_watches(from);
        break;
    default:
        break;
    }
}

static void under_all_faults_what_the_record_says_is_there(void **state)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        rng_init(&chance, seed);
        print_message("seed %d\n", (int)seed);
        open_one();
        percent = 1 + (unsigned)rng_below(&chance, 25);
        fake_set_judge(fault_of, NULL);
        for (int i = 0; i < 60; i++) {
            write_something(i);
            fake_run((tn_ms)rng_below(&chance, 30));
            disturb();
        }
        put("last", "x", 0);
        fake_set_judge(NULL, NULL);
        catches_up();
        end(state);
        begin(state);
    }
}

static enum fake_fault deny_one_key(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)client, (void)n;
    return strstr(what, "put /d/no") ? FAKE_DENIED : FAKE_FINE;
}

static void what_is_refused_is_in_the_record(void **state)
{
    (void)state;
    struct record r;
    put("a", "1", 0);
    open_one();
    catches_up();
    fake_set_judge(deny_one_key, NULL);
    put("no", "1", 0);
    fake_run(20000);
    assert_true(record_now(&r));
    assert_true(r.error[0] && r.error_ms > 1000000);
    assert_true(view_of(c).error[0]);
    int64_t told = r.seq;
    fake_run(30000); /* with patience */
    assert_true(record_now(&r) && r.seq > told && r.seq < told + 60);
    fake_set_judge(NULL, NULL);
    catches_up();
    fake_run(100);
    assert_string_equal(view_of(c).error, "");
}

/* The key of a record has the destination's prefix, without the slash before it. */
static void the_record_of_another_prefix_is_not_its_own(void **state)
{
    (void)state;
    struct kv kv;
    put("a", "1", 0);
    fake_put("/t/b", "2", 0);
    open_one();
    catches_up();
    c = end_of(c);
    fake_set_judge(NULL, NULL);
    fake_on_step(NULL, NULL);
    c = open_as("m", "/t/", "/d/");
    ends_with(c, CARRIER_REFUSED, "/s/");
    c = end_of(c);
    c = open_as("m", "/s/", "d/");
    ends_with(c, CARRIER_REFUSED, "/d/");
    c = end_of(c);
    replace = true;
    c = open_as("m", "/t/", "/d/");
    fake_run(5000);
    assert_true(fake_get(bytes_str("/d/b"), &kv));
    assert_false(fake_get(bytes_str("/d/a"), &kv));
    c = end_of(c);
    replace = false;
    fake_put("/t/b", "3", 0);
    c = open_as("m", "/t/", "/d/");
    fake_run(5000);
    assert_true(fake_get(bytes_str("/d/b"), &kv) && bytes_equal(kv.value, bytes_str("3")));
}

/* Other mirrors write their records all the time. */
static void busy_mirrors_keep_no_new_one_out(void **state)
{
    (void)state;
    struct kv kv;
    struct buf b;
    put("a", "1", 0);
    open_one();
    catches_up();
    assert_true(record_key(&kv));
    buf_init(&b);
    buf_append_bytes(&b, kv.value);
    buf_append_byte(&b, 0);
    char *to = strstr((char *)b.data, "/d/");
    assert_non_null(to);
    to[1] = 'z';
    c = end_of(c);
    replace = true;
    c = open_as("n", "/s/", "/e/");
    for (int i = 0; i < 5000 && view_of(c).state != CARRIER_FOLLOWING; i++) {
        fake_put("/federation/mirrors/other/z/", (const char *)b.data, 0);
        fake_run(1);
    }
    buf_fini(&b);
    assert_int_equal(view_of(c).state, CARRIER_FOLLOWING);
}

static void a_record_is_old_by_the_home_of_its_own_prefix(void **state)
{
    (void)state;
    struct record r = {.source_cluster = 1, .home = {.region = "eu", .epoch = 1}, .writer = 7, .seq = 1, .revision = 1};
    struct buf b;
    buf_init(&b);
    record_format(&r, bytes_str("/s/x/"), bytes_str("/s/x/"), &b);
    buf_append_byte(&b, 0);
    fake_put("/federation/region", "eu", 0);
    fake_put("/federation/homes/s/", "{\"region\":\"eu\",\"epoch\":3}", 0);
    fake_put("/federation/homes/s/x/", "{\"region\":\"eu\",\"epoch\":1}", 0);
    fake_put("/federation/mirrors/other/s/x/", (const char *)b.data, 0);
    buf_fini(&b);
    once = true;
    c = open_as("m", "/s/", "/s/");
    ends_with(c, CARRIER_REFUSED, "another mirror");
    c = end_of(c);
    fake_put("/federation/homes/s/x/", "{\"region\":\"eu\",\"epoch\":4}", 0);
    c = open_as("m", "/s/", "/s/");
    fake_run(5000);
    assert_int_equal(view_of(c).state, CARRIER_DONE);
}

static bool looked;

/* The first look at the destination, and the count of what is to be copied. */
static enum fake_fault deny_some(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)n;
    bool first = client == into && !looked;
    looked = looked || first;
    bool counts = client == from && strncmp(what, "range /s/", 9) == 0 && (what[9] < 'a' || what[9] > 'z');
    return first || counts ? FAKE_DENIED : FAKE_FINE;
}

/* What it found out it must not forget before it has begun to make it good. */
static void a_lease_that_ran_out_is_in_the_record_until_its_keys_are_copied(void **state)
{
    (void)state;
    struct kv kv;
    leased = true;
    put("a", "1", fake_grant(100000));
    put("b", "1", 0);
    open_one();
    catches_up();
    tn_lease own = lease_of("/d/a");
    c = end_of(c);
    fake_revoke(own);
    looked = false;
    fake_set_judge(deny_some, NULL);
    open_one();
    fake_run(5000);
    c = end_of(c);
    assert_false(fake_get(bytes_str("/d/a"), &kv));
    fake_set_judge(NULL, NULL);
    open_one();
    fake_run(5000);
    assert_true(fake_get(bytes_str("/d/a"), &kv));
}

/* ---- without memory ---- */

static int runs_without(size_t at)
{
    put_many(0, 5, "1");
    failmalloc_at(at);
    c = open_as("m", "/s/", "/d/");
    if (c) {
        fake_run(300);
        put("001", "2", 0);
        delete ("002");
        put_many(0, 140, "3");
        fake_run(300);
    }
    bool hit = failmalloc_hit();
    failmalloc_off();
    if (!c)
        open_one();
    catches_up();
    return hit;
}

static void without_memory_it_goes_on_later(void **state)
{
    bool hit = true;
    size_t at = 1;
    for (; hit; at++) {
        hit = runs_without(at);
        end(state);
        begin(state);
    }
    assert_true(at > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_and_what_comes_is_copied, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_source_is_a_copy_too, begin, end),
        cmocka_unit_test_setup_teardown(a_large_revision_goes_in_parts, begin, end),
        cmocka_unit_test_setup_teardown(small_revisions_go_together, begin, end),
        cmocka_unit_test_setup_teardown(a_key_that_changes_twice_is_told_twice, begin, end),
        cmocka_unit_test_setup_teardown(a_key_that_changes_all_the_time_is_kept_up_with, begin, end),
        cmocka_unit_test_setup_teardown(a_destination_that_takes_less_gets_less, begin, end),
        cmocka_unit_test_setup_teardown(what_is_too_large_is_named, begin, end),
        cmocka_unit_test_setup_teardown(what_was_compacted_is_compared, begin, end),
        cmocka_unit_test_setup_teardown(a_copy_goes_on_in_the_middle, begin, end),
        cmocka_unit_test_setup_teardown(a_copy_whose_revision_is_compacted_begins_anew, begin, end),
        cmocka_unit_test_setup_teardown(once_ends, begin, end),
        cmocka_unit_test_setup_teardown(the_second_of_a_name_fences_the_first, begin, end),
        cmocka_unit_test_setup_teardown(foreign_keys_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_copy_is_no_source, begin, end),
        cmocka_unit_test_setup_teardown(of_two_against_each_other_one_sees_the_other, begin, end),
        cmocka_unit_test_setup_teardown(a_record_that_is_none_is_left_alone, begin, end),
        cmocka_unit_test_setup_teardown(a_record_that_was_removed_ends_it, begin, end),
        cmocka_unit_test_setup_teardown(the_home_alone_is_copied, begin, end),
        cmocka_unit_test_setup_teardown(what_is_below_must_have_the_same_home, begin, end),
        cmocka_unit_test_setup_teardown(another_history_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(what_others_write_there_is_said_and_undone, begin, end),
        cmocka_unit_test_setup_teardown(many_things_of_others_are_compared, begin, end),
        cmocka_unit_test_setup_teardown(what_is_too_much_to_be_told_is_compared, begin, end),
        cmocka_unit_test_setup_teardown(what_others_wrote_while_it_was_down_is_undone, begin, end),
        cmocka_unit_test_setup_teardown(leases_are_its_own, begin, end),
        cmocka_unit_test_setup_teardown(a_lease_that_ran_out_is_made_again, begin, end),
        cmocka_unit_test_setup_teardown(leases_live_on_while_the_source_is_gone, begin, end),
        cmocka_unit_test_setup_teardown(a_lease_that_is_lost_is_no_end_of_the_others, begin, end),
        cmocka_unit_test_setup_teardown(a_lease_that_a_write_misses_is_looked_for, begin, end),
        cmocka_unit_test_setup_teardown(under_all_faults_what_the_record_says_is_there, begin, end),
        cmocka_unit_test_setup_teardown(what_is_refused_is_in_the_record, begin, end),
        cmocka_unit_test_setup_teardown(the_record_of_another_prefix_is_not_its_own, begin, end),
        cmocka_unit_test_setup_teardown(busy_mirrors_keep_no_new_one_out, begin, end),
        cmocka_unit_test_setup_teardown(a_record_is_old_by_the_home_of_its_own_prefix, begin, end),
        cmocka_unit_test_setup_teardown(a_lease_that_ran_out_is_in_the_record_until_its_keys_are_copied, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_it_goes_on_later, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
