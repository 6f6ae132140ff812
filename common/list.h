/* An intrusive doubly linked list: the link lies in the object, the list in its owner.
 *
 * A list is a ring through its head, so insertion and removal have no cases. An object is in a list
 * exactly when its link's next is not NULL. */
#ifndef DHT_COMMON_LIST_H
#define DHT_COMMON_LIST_H

#include "common/base.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct list *link)
{
    return link->next != NULL;
}

static inline void list_append(struct list *head, struct list *link)
{
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

static inline void list_prepend(struct list *head, struct list *link)
{
    list_append(head->next, link);
}

/* Takes link out of its list; does nothing if it is in none. */
static inline void list_remove(struct list *link)
{
    if (!link->next)
        return;
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
}

/* The first link, or NULL. */
static inline struct list *list_first(const struct list *head)
{
    return head->next == head ? NULL : head->next;
}

#endif
