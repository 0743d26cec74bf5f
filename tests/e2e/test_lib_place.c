/* Places with rules of the program's own on a real server. */
#include "others.h"

/* Whoever says the same may hold beside the others, up to two; others have to wait for all before them. */
static size_t two_of_a_kind(const struct tenure_lock_list *before, void *user)
{
    const char *kind = user;
    for (size_t i = before->n; i-- > 0;)
        if (strcmp(before->shares[i].says, kind) != 0)
            return i;
    return before->n < 2 ? before->n : 0;
}

static struct tenure_place_rule rule_of_kind(const char *kind)
{
    return (struct tenure_place_rule){.size = sizeof(struct tenure_place_rule),
                                      .says = kind,
                                      .wait_for = two_of_a_kind,
                                      .user = (void *)(uintptr_t)kind};
}

static tenure_lock *place(tenure_client *c, const char *name, const char *kind)
{
    struct tenure_error err = {0};
    struct tenure_place_rule rule = rule_of_kind(kind);
    tenure_lock *l = tenure_place_acquire(c, name, &rule, NULL, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static void start_place(tenure_client *c, const char *name, const char *kind, struct waiting *w)
{
    struct tenure_place_rule rule = rule_of_kind(kind);
    struct tenure_lock_options o = waiting_options(w);
    w->lock = tenure_place_start(c, name, &rule, &o, NULL);
    assert_non_null(w->lock);
}

static void the_programs_rule_decides(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct waiting third = {0}, other = {0}, fifth = {0};
    tenure_lock *red = place(a, "rule", "red"), *red2 = place(b, "rule", "red");
    assert_true(tenure_lock_held(red) && tenure_lock_held(red2));
    start_place(a, "rule", "red", &third);
    await_queue(a, "rule", 3);
    start_place(b, "rule", "blue \"sky\"", &other);
    await_queue(a, "rule", 4);
    start_place(a, "rule", "red", &fifth);
    await_queue(a, "rule", 5);
    unlock(red);
    await_held(&third);
    unlock(red2);
    assert_int_equal(atomic_load(&other.acquired) + atomic_load(&fifth.acquired), 0);
    unlock(third.lock);
    await_held(&other);
    assert_int_equal(atomic_load(&fifth.acquired), 0);
    unlock(other.lock);
    await_held(&fifth);
    unlock(fifth.lock);
    tenure_close(a);
    tenure_close(b);
}

static void to_all_others_a_place_takes_the_whole(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1};
    struct tenure_place_rule rule = rule_of_kind("red");
    tenure_lock *l = place(c, "whole", "red");
    assert_null(tenure_lock_acquire(c, "whole", &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    assert_null(tenure_rwlock_read(c, "whole", &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    assert_null(tenure_semaphore_acquire(c, "whole", 1, 2, &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    unlock(l);
    l = tenure_lock_acquire(c, "whole", NULL, &err);
    assert_null(tenure_place_acquire(c, "whole", &rule, &try, &err)); /* by its own rule */
    assert_int_equal(err.code, TENURE_EBUSY);
    unlock(l);
    tenure_close(c);
}

static size_t only_when_alone(const struct tenure_lock_list *before, void *user)
{
    snprintf(user, 64, "%s", before->entries[before->n - 1].key);
    return before->n - 1;
}

static void it_works_below_a_namespace(void **state)
{
    tenure_client *c = open_on(*state), *view = tenure_namespace(c, S("app/"), NULL);
    struct tenure_error err = {0};
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1};
    char seen[64] = "";
    struct tenure_place_rule rule = {.size = sizeof rule, .wait_for = only_when_alone, .user = seen};
    tenure_lock *mutex = tenure_lock_acquire(view, "below", NULL, &err);
    assert_non_null(mutex);
    assert_null(tenure_place_acquire(view, "below", &rule, &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    assert_string_equal(seen, tenure_lock_key(mutex));
    unlock(mutex);
    tenure_lock *l = tenure_place_acquire(view, "below", &rule, &try, &err);
    assert_non_null(l);
    unlock(l);
    tenure_close(view);
    tenure_close(c);
}

static void what_it_says_is_listed(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_lock_list *list = NULL;
    tenure_lock *l = place(c, "listed", "blue \"sky\"");
    no_error(tenure_lock_list(c, "listed", NULL, &list, &err), &err);
    assert_int_equal(list->n, 1);
    assert_string_equal(list->shares[0].says, "blue \"sky\"");
    assert_int_equal(list->shares[0].mode, TENURE_LOCK_WHOLE);
    tenure_lock_list_free(list);
    unlock(l);
    tenure_close(c);
}

static void what_cannot_be_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_place_rule none = {.size = sizeof none};
    struct tenure_place_rule rule = rule_of_kind("red");
    assert_null(tenure_place_acquire(c, "x", &none, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_place_acquire(c, "x", NULL, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_place_acquire(c, NULL, &rule, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_place_acquire(c, "a/", &rule, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_programs_rule_decides),  cmocka_unit_test(to_all_others_a_place_takes_the_whole),
        cmocka_unit_test(it_works_below_a_namespace), cmocka_unit_test(what_it_says_is_listed),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
