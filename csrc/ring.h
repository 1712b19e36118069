/* Floor 0: lists whose links are fields of what they list, so that joining and leaving allocate nothing and cost O(1).
 *
 * The head is a Link as well and closes the ring. A Link that stands in no ring has next == NULL.
 */
#ifndef FASTBROKER_RING_H
#define FASTBROKER_RING_H

#include <stddef.h>

typedef struct Link {
    struct Link *next, *previous;
    void *owner;
} Link;

static inline void ring_init(Link *head) {
    head->next = head->previous = head;
    head->owner = NULL;
}

static inline int ring_empty(const Link *head) {
    return head->next == head;
}

static inline void link_init(Link *link, void *owner) {
    link->next = link->previous = NULL;
    link->owner = owner;
}

static inline int link_joined(const Link *link) {
    return link->next != NULL;
}

static inline void link_leave(Link *link) {
    if (link->next == NULL)
        return;
    link->next->previous = link->previous;
    link->previous->next = link->next;
    link->next = link->previous = NULL;
}

/* To the end of the ring; from another ring if it stood in one. */
static inline void link_join(Link *head, Link *link) {
    link_leave(link);
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

/* Takes the first out of the ring and returns its owner; NULL when the ring is empty. */
static inline void *ring_take(Link *head) {
    Link *link = head->next;
    if (link == head)
        return NULL;
    link_leave(link);
    return link->owner;
}

/* Moves all links of `from` to the end of `to`. */
static inline void ring_splice(Link *to, Link *from) {
    if (ring_empty(from))
        return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    from->next = from->previous = from;
}

#endif
