/* NULL in every function of the library. Where its header does not allow it, the call is refused with TENURE_EINVALID, before
 * anything is asked of a server; what frees or lets go does nothing; what only looks answers as of nothing there.
 *
 * null_rows.h has a row for each function. Here it is read twice: as functions, and as a table, which is compared with the
 * list of what the library exports (tests/tidy/symbols.txt, named by $SYMBOLS). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenure/tenure.h>

/* What a row may name. No server is there: a call that is not refused at the door ends in another way. */
static tenure_client *c;
static tenure_queue *q;
static tenure_value *shared;
static tenure_cache *cache;
static tenure_leaders *leads;
static tenure_ttl_cache *ttl;
static struct tenure_error err;
static struct tenure_get_result *g;
static int64_t n;
static const char *text = "http://127.0.0.1:1";
static struct tenure_bytes key = {"k", 1}, no_data = {NULL, 3};
static const struct tenure_permission_range one_key = {.key = {"k", 1}};
static const struct tenure_v3_leader leader = {.name = {"n", 1}, .key = {"k", 1}, .revision = 1, .lease = 1};
static const struct tenure_multilock_part part = {.size = sizeof part, .name = "x"},
                                          nameless = {.size = sizeof nameless};
static const struct tenure_cron_options hourly = {.size = sizeof hourly, .schedule = "@hourly"};

static size_t wait_for_none(const struct tenure_lock_list *before, void *user)
{
    (void)user;
    return before->n;
}
static const struct tenure_place_rule rule = {.size = sizeof rule, .wait_for = wait_for_none};

static int on_lead(tenure_election *e, tenure_token token, void *arg)
{
    (void)e, (void)token, (void)arg;
    return 0;
}
static int on_work(tenure_lock *lock, void *arg)
{
    (void)lock, (void)arg;
    return 0;
}
static int on_job(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    (void)k, (void)run, (void)arg;
    return 0;
}
static int on_body(tenure_stm_view *v, void *arg)
{
    (void)v, (void)arg;
    return 0;
}
static int on_piece(void *user, const void *data, size_t len, uint64_t remaining)
{
    (void)user, (void)data, (void)len, (void)remaining;
    return 0;
}

static int on_shall(const struct tenure_value_state *is, struct tenure_bytes *shall, void *arg)
{
    (void)is, (void)shall, (void)arg;
    return TENURE_VALUE_LEAVE;
}

/* Completions, which never come. */
static void never(void)
{
    abort();
}
#define on_done        ((tenure_done_cb)never)
#define on_get         ((tenure_get_cb)never)
#define on_lease       ((tenure_lease_cb)never)
#define on_lease_info  ((tenure_lease_info_cb)never)
#define on_lease_list  ((tenure_lease_list_cb)never)
#define on_members     ((tenure_member_list_cb)never)
#define on_status      ((tenure_status_cb)never)
#define on_health      ((tenure_health_cb)never)
#define on_alarms      ((tenure_alarm_list_cb)never)
#define on_hash        ((tenure_hash_cb)never)
#define on_hash_kv     ((tenure_hash_kv_cb)never)
#define on_auth_status ((tenure_auth_status_cb)never)
#define on_names       ((tenure_names_cb)never)
#define on_permissions ((tenure_permissions_cb)never)
#define on_latch       ((tenure_latch_cb)never)
#define on_item        ((tenure_queue_item_cb)never)
#define on_length      ((tenure_queue_length_cb)never)
#define on_queue_list  ((tenure_queue_list_cb)never)
#define on_number      ((tenure_counter_cb)never)
#define on_v3_lock     ((tenure_v3_lock_cb)never)
#define on_v3_leader   ((tenure_v3_leader_cb)never)
#define on_stm         ((tenure_stm_cb)never)
#define on_value       ((tenure_value_cb)never)
#define on_cached      ((tenure_cache_item_cb)never)
#define on_cached_list ((tenure_cache_list_cb)never)
#define on_leader      ((tenure_leader_cb)never)

/* ---- the words of the rows ---- */

/* A code, and a text. */
static void is_refused(int code, int line)
{
    if (code != TENURE_EINVALID || err.code != TENURE_EINVALID || !err.text[0])
        fail_msg("null_rows.h:%d: %d, err %d: %s", line, code, err.code, err.text);
}
#define BAD(call)                                                                                                      \
    do {                                                                                                               \
        err = (struct tenure_error){0};                                                                                \
        is_refused((call), __LINE__);                                                                                  \
    } while (0)
/* The same where an object is answered. */
#define NONE(call)                                                                                                     \
    do {                                                                                                               \
        err = (struct tenure_error){0};                                                                                \
        is_refused((call) ? 0 : TENURE_EINVALID, __LINE__);                                                            \
    } while (0)
#define IS(what) assert_true(what)
/* What is done to a transaction t is told by its commit. */
#define SPOILS_AS(code, call)                                                                                          \
    do {                                                                                                               \
        tenure_txn *t = tenure_txn_new(c);                                                                             \
        call;                                                                                                          \
        assert_int_equal(tenure_txn_commit(t, 0, NULL, &err), (code));                                                 \
        tenure_txn_free(t);                                                                                            \
    } while (0)
#define SPOILS(call) SPOILS_AS(TENURE_EINVALID, call)

/* A function's name may not be written, but its line is: cmocka tells it. */
#define ROW(name, ...)                                                                                                 \
    static void null_##name(void)                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__;                                                                                                   \
    }
#include "null_rows.h"
#undef ROW

struct row {
    const char *name;
    void (*run)(void);
};
#define ROW(name, ...) {#name, null_##name},
static const struct row rows[] = {
#include "null_rows.h"
};
#undef ROW
enum { ROWS = sizeof rows / sizeof rows[0] };

/* ---- the tests ---- */

static int open_handle(void **state)
{
    const struct tenure_options o = {.size = sizeof o, .call_timeout_ms = 1000, .close_timeout_ms = 1};
    (void)state;
    c = tenure_open("127.0.0.1:1", &o, NULL);
    q = tenure_queue_open(
        c, "work",
        &(struct tenure_queue_options){.size = sizeof(struct tenure_queue_options), .kind = TENURE_QUEUE_WORK}, NULL);
    shared = tenure_value_open(c, key, NULL, NULL);
    cache = tenure_cache_open(c, key, NULL, NULL);
    leads = tenure_leaders_open(c, "n", NULL, NULL);
    ttl = tenure_ttl_cache_open(c, NULL, NULL);
    return c && q && shared ? 0 : -1;
}

static int close_handle(void **state)
{
    (void)state;
    tenure_close(c);
    return 0;
}

static void null_is_refused_where_it_is_not_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        err = (struct tenure_error){0};
        rows[i].run();
    }
}

static bool has_row(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return true;
    return false;
}

static void no_function_is_left_out(void **state)
{
    char line[256];
    size_t symbols = 0;
    (void)state;
    assert_non_null(getenv("SYMBOLS"));
    FILE *f = fopen(getenv("SYMBOLS"), "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "tenure_", 7) != 0)
            continue;
        symbols++;
        if (!has_row(line))
            print_error("%s is exported, but null_rows.h has no row for it\n", line);
    }
    fclose(f);
    assert_true(symbols > 0);
    assert_int_equal(ROWS, symbols);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_is_refused_where_it_is_not_allowed),
        cmocka_unit_test(no_function_is_left_out),
    };
    return cmocka_run_group_tests(tests, open_handle, close_handle);
}
