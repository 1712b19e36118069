"""Message groups: what has the same JMSXGroupID goes to one consumer, in order.

    shelf of the queue   a1  b1  -   -   c1  -   ...    the first of each group is seen by all, the rest by nobody
                             |
                             b: its owner, if it has one, may take it; else anybody, who then is its owner

A consumer without credit so holds up only its own groups, and what has no group is for anybody. When the owner of a
group goes, the next one gets it after all that the last one had is settled, or stands in front again: so it moves in
order. What rests of it counts as something that the last one has. A message that closes its group (JMSXGroupSeq:-1)
takes it from its owner at once.

Where consumers choose, too, or did, all messages of a group are seen: those that its owner does not want stay and wait,
while the others behind them are delivered. Who takes a message of a group that has no owner becomes it.

Groups of which nothing waits and nothing is out keep their owners, the last IDLE_MOST of them.
"""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.message cimport message_properties
from fastbroker.core.queue cimport QueueOwner
from fastbroker.core.shelf cimport NOWHERE, shelf_from, shelf_see, shelf_unsee
from fastbroker.core.subscription cimport ACK_AUTO
from fastbroker.core.wire cimport CLOSES_GROUP, Choosers, Properties, ceiling_closed, link_join, link_leave, ring_take

cdef enum:
    IDLE_MOST = 10000       # groups of a queue that are remembered for their owners alone
    LOOK_WORK = 32          # what it takes to look at a message of a group, or at a group, in bytes of output
    OFFERED_MOST = 1024     # messages that are searched for in a turn, as their groups have no owner any more
    SPARE = 16              # places that were left, and more than wait, from which on they are looked through


cdef enum Closing:
    IS_OPEN
    IS_CLOSED               # whoever takes the next message has it
    CLOSES_NOW              # with the message that is being taken


cdef Groups *groups_of(Queue queue) noexcept:
    return <Groups *>queue.choosers.groups


cdef inline uint64_t name_of(const Message *message) noexcept:
    """Of its group; 0: none."""
    cdef const Properties *asks = message_properties(message)
    return 0 if asks == NULL else asks.group


cdef inline Group *group_of(Queue queue, const Message *message) noexcept:
    cdef uint64_t name = name_of(message)
    return group_find(groups_of(queue), name) if name else NULL


# ---- what becomes of messages ----

cdef void came(void *owner, uint32_t at) noexcept:
    """That one has been put on the shelf. Without memory for its group it is one of its own."""
    cdef Queue queue = <Queue>owner
    cdef Groups *groups = groups_of(queue)
    cdef uint64_t name = name_of(queue.shelf.nodes[at].entry.message)
    cdef uint64_t place = queue.shelf.nodes[at].place
    cdef Group *group = group_made(groups, name) if name else NULL
    cdef uint64_t first = group.places[0] if group != NULL and group.count else place
    if group == NULL or place_add(groups, group, place) < 0:
        return
    group_busy(groups, group)
    group.waiting += 1
    if group.count > 2 * group.waiting + SPARE:
        look_through(queue, group)
    if not queue.choosers.chosen:
        hide_second(queue, group, at, first)


cdef void went(void *owner, const void *message) noexcept:
    """It has been taken from the shelf."""
    cdef Queue queue = <Queue>owner
    cdef Group *group = group_of(queue, <const Message *>message)
    if group == NULL:
        return
    group.waiting -= group.waiting > 0
    if group.waiting == 0:
        places_clear(groups_of(queue), group)
    if group.closed == CLOSES_NOW:
        group.closed = IS_CLOSED
        offer(queue, group)
    else:
        show_first(queue, group, False)
    keep_or_forget(queue, group)


cdef void settled(void *owner, const void *message) noexcept:
    """A consumer is done with it, or it is about to stand on the shelf again."""
    cdef Queue queue = <Queue>owner
    cdef Group *group = group_of(queue, <const Message *>message)
    if group == NULL:
        return
    group.out -= group.out > 0
    if group.out == 0 and group.owner == NULL:
        offer(queue, group)
    keep_or_forget(queue, group)


# ---- whose it is ----

cdef bint may_have(Queue queue, Subscription consumer, const Message *message) noexcept:
    """Whether a consumer may take it: it has no group, or one that is the consumer's, or nobody's."""
    cdef const Group *group = group_of(queue, message)
    if group == NULL or group.owner == <void *>consumer:
        return True
    return group.owner == NULL and (group.out == 0 or group.closed != IS_OPEN)


cdef void claim(Queue queue, Subscription consumer, const Message *message) noexcept:
    """It is about to be given to the consumer, who has its group from now on."""
    cdef Group *group = group_of(queue, message)
    if group == NULL:
        return
    group.out += consumer.ack_mode != ACK_AUTO
    if message_properties(message).flags & CLOSES_GROUP:
        give_up(group)
        group.closed = CLOSES_NOW
    elif group.owner != <void *>consumer:
        group.owner = <void *>consumer
        group.closed = IS_OPEN
        link_join(&consumer.looked.groups, &group.owned)


cdef void give_up(Group *group) noexcept:
    if group.owner != NULL:
        group.owner = NULL
        link_leave(&group.owned)


cdef void leave_groups(Queue queue, Subscription consumer) noexcept:
    """It is no consumer of the queue any more; what it has not settled is still to come back."""
    cdef void *owned = ring_take(&consumer.looked.groups)
    cdef Group *group
    while owned != NULL:
        queue.census.work += LOOK_WORK
        group = <Group *>owned
        group.owner = NULL
        if group.out == 0:
            offer(queue, group)
        keep_or_forget(queue, group)
        owned = ring_take(&consumer.looked.groups)


cdef void offer(Queue queue, Group *group) noexcept:
    """It has no owner any more: who has looked at it looks again. Where that is much, all that waits is new, in the
    next turn: one step for each message, and not a search."""
    cdef Choosers *choosers = queue.choosers
    if not choosers.chosen:
        show_first(queue, group, True)
        return
    choosers.offered += group.count
    if choosers.offered > OFFERED_MOST:
        choosers.anew = True
    else:
        look_through(queue, group)
        see_all(queue, group)


cdef void keep_or_forget(Queue queue, Group *group) noexcept:
    cdef Groups *groups = groups_of(queue)
    if group.waiting or group.out:
        return
    if group.owner == NULL or ceiling_closed((<QueueOwner>queue.owner).ceiling):
        group_end(groups, group)
    else:
        group_rest(groups, group, IDLE_MOST)


# ---- what is seen of it ----

cdef uint32_t node_at(Queue queue, const Group *group, uint64_t place) noexcept:
    """The node of that group at that place, or NOWHERE: another one may have taken it."""
    cdef uint32_t at = shelf_from(&queue.shelf, place)
    queue.census.work += LOOK_WORK
    if at == NOWHERE or queue.shelf.nodes[at].place != place:
        return NOWHERE
    return at if name_of(queue.shelf.nodes[at].entry.message) == group.name else NOWHERE


cdef void show_first(Queue queue, Group *group, bint anew) noexcept:
    """The first of it that waits is seen; `anew`, also by those who have seen it already."""
    cdef uint32_t at = NOWHERE
    while group.count and at == NOWHERE:
        at = node_at(queue, group, group.places[0])
        if at == NOWHERE:
            place_pop(group)
    if at != NOWHERE and (anew or queue.shelf.stamps[at].own < 0):
        shelf_see(&queue.shelf, at)


cdef void hide_second(Queue queue, const Group *group, uint32_t at, uint64_t first) noexcept:
    """That one has come to what waits from `first` on: of the two the one behind is seen no more."""
    if group.places[0] == first and queue.shelf.nodes[at].place != first:
        shelf_unsee(&queue.shelf, at)
    elif group.places[0] != first:
        at = node_at(queue, group, first)
        if at != NOWHERE:
            shelf_unsee(&queue.shelf, at)


cdef void see_all(Queue queue, const Group *group) noexcept:
    """Of one that was looked through."""
    cdef uint32_t i
    for i in range(group.count):
        shelf_see(&queue.shelf, shelf_from(&queue.shelf, group.places[i]))


cdef void look_through(Queue queue, Group *group) noexcept:
    """Leaves only places where something of it waits, each once."""
    cdef uint32_t i, kept = 0
    places_sort(group)
    for i in range(group.count):
        if ((kept == 0 or group.places[kept - 1] != group.places[i])
                and node_at(queue, group, group.places[i]) != NOWHERE):
            group.places[kept] = group.places[i]
            kept += 1
    group.count = kept
