/* Intrusive doubly linked list: a head and nodes inside the objects. Insertion and removal never fail. Pure. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_push_back(struct list *head, struct list *n)
{
    n->prev = head->prev;
    n->next = head;
    head->prev->next = n;
    head->prev = n;
}
static inline void list_push_front(struct list *head, struct list *n)
{
    list_push_back(head->next, n);
}
/* Leaves n a list of its own, so that a second removal does nothing. */
static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}
/* Moves all of from to the end of head; from is empty afterwards. */
static inline void list_splice_back(struct list *head, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
#define LIST_FOREACH(it, head)         for (struct list *it = (head)->next; it != (head); it = it->next)
/* The body may remove it. */
#define LIST_FOREACH_SAFE(it, head)                                                                                    \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
