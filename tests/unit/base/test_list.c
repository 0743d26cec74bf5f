/* list: the order of what is pushed, and removal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct thing {
    int number;
    struct list node;
};

static void assert_numbers(const struct list *head, const int *want, size_t n)
{
    size_t i = 0;
    LIST_FOREACH(it, head)
    {
        assert_true(i < n);
        assert_int_equal(LIST_ENTRY(it, struct thing, node)->number, want[i++]);
    }
    assert_int_equal(i, n);
    for (const struct list *it = head->prev; it != head; it = it->prev)
        assert_int_equal(LIST_ENTRY(it, struct thing, node)->number, want[--i]);
}

static void things_stand_in_the_order_they_were_pushed(void **state)
{
    (void)state;
    struct list head;
    list_init(&head);
    assert_true(list_empty(&head));
    struct thing things[] = {{.number = 0}, {.number = 1}, {.number = 2}};
    list_push_back(&head, &things[1].node);
    list_push_back(&head, &things[2].node);
    list_push_front(&head, &things[0].node);
    assert_false(list_empty(&head));
    assert_numbers(&head, (int[]){0, 1, 2}, 3);
}

static void removing_twice_does_nothing(void **state)
{
    (void)state;
    struct list head;
    list_init(&head);
    struct thing things[] = {{.number = 0}, {.number = 1}};
    list_push_back(&head, &things[0].node);
    list_push_back(&head, &things[1].node);
    list_remove(&things[0].node);
    list_remove(&things[0].node);
    assert_numbers(&head, (int[]){1}, 1);
    list_remove(&things[1].node);
    assert_true(list_empty(&head));
}

static void a_walk_may_remove_what_it_stands_on(void **state)
{
    (void)state;
    struct list head;
    list_init(&head);
    struct thing things[6];
    for (int i = 0; i < 6; i++) {
        things[i].number = i;
        list_push_back(&head, &things[i].node);
    }
    LIST_FOREACH_SAFE(it, &head)
    {
        if (LIST_ENTRY(it, struct thing, node)->number % 2)
            list_remove(it);
    }
    assert_numbers(&head, (int[]){0, 2, 4}, 3);
}

static void splicing_empties_the_source(void **state)
{
    (void)state;
    struct list head, more;
    list_init(&head);
    list_init(&more);
    list_splice_back(&head, &more);
    assert_true(list_empty(&head));
    struct thing things[] = {{.number = 0}, {.number = 1}, {.number = 2}};
    list_push_back(&more, &things[0].node);
    list_push_back(&more, &things[1].node);
    list_splice_back(&head, &more);
    assert_true(list_empty(&more));
    list_push_back(&more, &things[2].node);
    list_splice_back(&head, &more);
    assert_numbers(&head, (int[]){0, 1, 2}, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_stand_in_the_order_they_were_pushed),
        cmocka_unit_test(removing_twice_does_nothing),
        cmocka_unit_test(a_walk_may_remove_what_it_stands_on),
        cmocka_unit_test(splicing_empties_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
