"""Consumers of a queue that choose: they take what their selectors select, what others have sent, or what is of a group
that is theirs (grouping.pyx).

    shelf       a   b   c   d   e   f   g   ...     all that waits, while one of them is there (queue.pyx)
    consumer 1  -   -   -   -   ^                   it has looked at four, and goes on here; what it did not want stays
    consumer 2  -   ^                               it has no credit, and holds nobody up

In turn each takes the next message that it wants. It looks at a message once, and again only when that came back or
took the place of another one (`Looked` in csrc/choosers.h); those who do not choose take the first. A consumer for
whom there is nothing is set aside, `sated`, until something comes. What is much to look at goes on in the next turn,
each consumer a part of it at a time.

Where some come before others, a message goes to one of a lower rank when all of the higher ones with room have looked
at it and left it.
"""
import secrets

from libc.stdint cimport UINT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free

from fastbroker.core.consumers cimport next_in_line, next_ranked
from fastbroker.core.frame cimport Content
from fastbroker.core.grouping cimport (
    Groups, came, claim, groups_new, groups_of, leave_groups, may_have, settled, went,
)
from fastbroker.core.message cimport Entry, message_content
from fastbroker.core.queue cimport (
    AWAY, CHOSEN, GROUPED, HERE, Presence, QueueOwner, bring, call_when_here, claim_place, expire, fetch_along_shelf,
    first_is_here, give, line_of, look_at_marks, lose, plain_head, shelve_all, take_from_shelf, unshelve_all,
)
from fastbroker.core.route cimport Origin
from fastbroker.core.shelf cimport (
    NOWHERE, Node, Stamp, place_of, shelf_from, shelf_newer, shelf_newer_behind, shelf_renew, shelf_stamp,
    shelf_unstamp,
)
from fastbroker.core.wire cimport (
    USUAL_PRIORITY, Link, Looked, Rank, account_charge, ceiling_grants, ceiling_reached, census_spent,
    choosers_free, choosers_new, link_join, link_joined, looked_new, looked_up_to, rank_behind, ring_empty,
    ring_splice, ring_take,
)

from fastbroker.core.frame import Refused

cdef enum:
    SLICE = 1048576         # bytes of output and work that one queue may cause before others are served ...
    SHARE = 65536           # ... and one consumer of it before the next one
    LOOK_WORK = 32          # what it takes to look at a message beside its selector, in bytes of output
    SERVE_WORK = 32         # and at a consumer
    RENEW_WORK = 2          # and to have one be new again


cdef enum:
    GIVEN                   # it has got a message
    PAUSED                  # it has its share of looking
    NOTHING                 # there is none for it
    FETCHES                 # it cannot look at the next one, whose content is only on the disk
    UNREADABLE              # there is one that nobody can have


# ---- coming and going ----

cdef int join_queue(Queue queue, Subscription consumer) except -1:
    """It is about to be a consumer of the queue. Raises Refused, and has changed nothing, where there is no memory to
    choose."""
    if consumer.chooses:
        begin_choosing(queue, consumer)
    try:
        claim_place(queue, consumer)
    except MemoryError:
        if consumer.chooses:
            end_choosing(queue, consumer)
        raise
    return 0


cdef int begin_choosing(Queue queue, Subscription consumer) except -1:
    if queue.choosers == NULL and not open_up(queue):
        raise Refused(b"server busy", b"There is no memory to choose among so many messages. Consume some of them "
                      b"without a selector first.")
    queue.choosers.count += 1
    if not queue.choosers.chosen:
        queue.choosers.chosen = True
        shelf_renew(&queue.shelf)   # also what was not to be seen of groups
    try:
        begin_to_look(consumer)
    except MemoryError:
        end_choosing(queue, consumer)
        raise
    return 0


cdef int begin_groups(Queue queue) except -1:
    """The first message that has one is about to be put in. Without memory for it, they are kept together later."""
    cdef Groups *groups
    if queue.choosers == NULL and not open_up(queue):
        return 0
    groups = groups_new(queue.census, int.from_bytes(secrets.token_bytes(8), "little"))
    if groups == NULL:
        end_if_unused(queue)
        raise MemoryError()
    queue.choosers.groups = groups
    queue.choosers.came = came
    queue.choosers.went = went
    queue.choosers.settled = settled
    queue.marks |= GROUPED
    return 0


cdef int begin_to_look(Subscription consumer) except -1:
    consumer.looked = looked_new()
    if consumer.looked == NULL:
        raise MemoryError()
    consumer.cost += sizeof(Looked)
    account_charge(consumer.account, sizeof(Looked))
    return 0


cdef void end_choosing(Queue queue, Subscription consumer) noexcept:
    """It is no consumer of the queue any more."""
    if consumer.looked != NULL and queue.choosers.groups != NULL:
        leave_groups(queue, consumer)
    free(consumer.looked)
    consumer.looked = NULL
    queue.choosers.count -= consumer.chooses
    end_if_unused(queue)


cdef void end_if_unused(Queue queue) noexcept:
    if queue.choosers.count == 0 and (queue.choosers.groups == NULL or groups_of(queue).by_name.count == 0):
        close_up(queue)


cdef bint open_up(Queue queue) except -1:
    """The first who chooses, or the first group: all that waits goes to the shelf, where it is told what is new. False
    if there is no memory for so much."""
    cdef int64_t cost = <int64_t>queue.waiting() * <int64_t>(sizeof(Node) + sizeof(Stamp))
    if not ceiling_grants((<QueueOwner>queue.owner).ceiling, cost):
        return False
    shelf_stamp(&queue.shelf)
    queue.choosers = choosers_new(queue.census)
    if queue.choosers == NULL:
        shelf_unstamp(&queue.shelf)
        raise MemoryError()
    queue.give_out = give_out
    queue.marks |= CHOSEN
    shelve_all(queue)
    return True


cdef void close_up(Queue queue) noexcept:
    """The last one has gone: consumers take turns again."""
    line_up(queue)
    choosers_free(queue.census, queue.choosers)
    queue.choosers = NULL
    queue.marks &= ~<size_t>(CHOSEN | GROUPED)
    unshelve_all(queue)
    shelf_unstamp(&queue.shelf)
    queue.call()


# ---- the turn ----

cdef int give_out(Queue queue) except -1:
    """What the queue does in place of its own dispatch. Who sends does not go on with what a turn had no time for."""
    cdef int64_t until = census_spent(queue.census) + SLICE
    if queue.choosers.busy and link_joined(&queue.due_link):
        return 0
    queue.choosers.busy = False
    queue.choosers.offered = 0
    if queue.choosers.anew:
        look_anew(queue)
    look_at_marks(queue)
    if queue.returning or not expire(queue):
        return 0
    if queue.choosers.seen != queue.shelf.stamp:
        line_up(queue)
    if queue.ranks == NULL:
        return serve(queue, &queue.consumers, UINT64_MAX, until)
    if queue.ranks.exclusive:
        return serve_holder(queue, until)
    return serve_ranks(queue, until)


cdef void look_anew(Queue queue) noexcept:
    """Much has changed hands (grouping.pyx)."""
    queue.choosers.anew = False
    queue.census.work += RENEW_WORK * <int64_t>queue.shelf.count
    shelf_renew(&queue.shelf)


cdef int serve_ranks(Queue queue, int64_t until) except -1:
    """The highest first. If it has not looked at all in its time, which is half of what there is, the next one gets
    what stands in front of the rest."""
    cdef Rank *rank = rank_behind(queue.ranks, &queue.ranks.ring)
    cdef uint64_t end = UINT64_MAX
    while rank != NULL and queue.waiting():
        serve(queue, &rank.ready, end, until - (until - census_spent(queue.census)) // 2)
        end = min(end, first_unseen(queue, &rank.ready))
        rank = rank_behind(queue.ranks, &rank.link)
    return 0


cdef int serve(Queue queue, Link *line, uint64_t end, int64_t until) except -1:
    """Those in a line take turns while there is something for them, in front of that place."""
    cdef Subscription consumer
    cdef int served
    while queue.waiting() and not ring_empty(line):
        if census_spent(queue.census) > until:
            return go_on(queue)
        if not expire(queue):
            return 0
        consumer = next_in_line(line, is_tight(queue))
        if consumer is None:
            return 0
        served = serve_one(queue, consumer, end, until)
        if served == NOTHING or served == FETCHES:
            link_join(&queue.choosers.sated, &consumer.ready)
            if end != UINT64_MAX:
                queue.choosers.seen = -1    # there may be, as soon as others have looked further
    return 0


cdef int serve_holder(Queue queue, int64_t until) except -1:
    """The exclusive consumer."""
    cdef Subscription consumer
    cdef int served = GIVEN
    while queue.waiting() and served != NOTHING and served != FETCHES:
        if census_spent(queue.census) > until:
            return go_on(queue)
        if not expire(queue):
            return 0
        consumer = next_ranked(queue.ranks, is_tight(queue), queue.unsettled == 0)
        if consumer is None:
            return 0
        served = serve_one(queue, consumer, UINT64_MAX, until)
    return 0


cdef int go_on(Queue queue) except -1:
    """In the next turn."""
    queue.choosers.busy = True
    queue.look()
    return 0


cdef void line_up(Queue queue) noexcept:
    """Something has come: those who were sated stand in line again."""
    cdef void *owner
    queue.choosers.seen = queue.shelf.stamp
    if queue.ranks == NULL:
        ring_splice(&queue.consumers, &queue.choosers.sated)
        return
    owner = ring_take(&queue.choosers.sated)
    while owner != NULL:
        link_join(line_of(queue, <Subscription>owner), &(<Subscription>owner).ready)
        owner = ring_take(&queue.choosers.sated)


cdef inline bint is_tight(Queue queue) noexcept:
    return ceiling_reached((<QueueOwner>queue.owner).ceiling)


# ---- one consumer ----

cdef int serve_one(Queue queue, Subscription consumer, uint64_t end, int64_t until) except -1:
    cdef Entry entry
    cdef uint32_t at
    cdef int served = GIVEN
    queue.census.work += SERVE_WORK
    if consumer.looked == NULL and queue.choosers.groups != NULL:
        begin_to_look(consumer)
    if consumer.looked != NULL:
        until = min(until, census_spent(queue.census) + SHARE)
        served = find_wanted(queue, consumer, min(end, on_shelf(queue)), until, &at)
        if served == GIVEN:
            if queue.choosers.groups != NULL:
                claim(queue, consumer, queue.shelf.nodes[at].entry.message)
            take_from_shelf(queue, at, &entry)
    elif first_place(queue) >= end:
        served = NOTHING
    elif queue.away and not first_is_here(queue):
        served = FETCHES
    elif not queue.take_first(&entry):
        served = NOTHING
    if served == UNREADABLE:
        take_from_shelf(queue, at, &entry)
        lose(queue, &entry)
    if served != GIVEN:
        return served
    give(queue, consumer, &entry)
    return GIVEN


cdef uint64_t on_shelf(Queue queue) noexcept:
    """In front of that place all is on the shelf; the rest is still to be moved there."""
    cdef const Entry *head = plain_head(queue)
    return UINT64_MAX if head == NULL else place_of(USUAL_PRIORITY, head.number)


cdef uint64_t first_place(Queue queue) noexcept:
    """Of all that waits, of which there is something."""
    cdef uint64_t place = on_shelf(queue)
    return min(place, queue.shelf.nodes[shelf_from(&queue.shelf, 0)].place) if queue.shelf.count else place


# ---- looking ----

cdef int find_wanted(Queue queue, Subscription consumer, uint64_t end, int64_t until, uint32_t *found) except -1:
    """The first that the consumer wants of those in front of that place which it has not looked at."""
    cdef Looked *looked = consumer.looked
    cdef int64_t now = queue.shelf.stamp + 1, since = 0
    cdef uint64_t border = 0, place = 0
    cdef Presence presence
    cdef uint32_t at = next_unseen(queue, looked, &border, &since)
    while at != NOWHERE and queue.shelf.nodes[at].place < end:
        while at != NOWHERE and queue.shelf.nodes[at].place < min(border, end):
            place = queue.shelf.nodes[at].place + 1
            found[0] = at
            if queue.away:
                presence = bring(queue, &queue.shelf.nodes[at].entry)
                if presence != HERE:
                    looked_up_to(looked, place - 1, now)
                    return fetch_from(queue, at) if presence == AWAY else UNREADABLE
            if wants(queue, consumer, &queue.shelf.nodes[at]):
                looked_up_to(looked, place, now)
                return GIVEN
            if census_spent(queue.census) > until:
                looked_up_to(looked, place, now)
                return PAUSED
            at = shelf_newer_behind(&queue.shelf, at, since)
        looked_up_to(looked, min(border, end), now)
        at = next_unseen(queue, looked, &border, &since)
    return NOTHING


cdef int fetch_from(Queue queue, uint32_t at) except -1:
    """All who look are called when it is here."""
    fetch_along_shelf(queue, queue.shelf.nodes[at].place)
    call_when_here(queue, &queue.shelf.nodes[at].entry, queue)
    return FETCHES


cdef uint32_t next_unseen(Queue queue, Looked *looked, uint64_t *border, int64_t *since) noexcept:
    """The first message that somebody has not looked at, up to which place others are so, and from which stamp on."""
    cdef uint64_t start = 0
    cdef uint32_t at, i
    for i in range(looked.depth):
        at = shelf_newer(&queue.shelf, start, looked.levels[i].since)
        if at != NOWHERE and queue.shelf.nodes[at].place < looked.levels[i].place:
            border[0] = looked.levels[i].place
            since[0] = looked.levels[i].since
            return at
        start = looked.levels[i].place
    border[0] = UINT64_MAX
    since[0] = 0
    return shelf_newer(&queue.shelf, start, 0)


cdef bint wants(Queue queue, Subscription consumer, const Node *node) noexcept:
    cdef Content content
    queue.census.work += LOOK_WORK
    if queue.choosers.groups != NULL and not may_have(queue, consumer, node.entry.message):
        return False
    if consumer.not_from != NULL and node.entry.message.shared.sender == (<const Origin *>consumer.not_from).who:
        return False
    if consumer.selector is None:
        return True
    message_content(node.entry.message, &content)
    return consumer.selector.selects(&content, node.entry.message.id, node.entry.deliveries + 1, &queue.census.work)


cdef uint64_t first_unseen(Queue queue, const Link *line) noexcept:
    """In front of that place all who still stand in a line have looked at everything."""
    cdef const Link *link = line.next
    cdef uint64_t first = UINT64_MAX, border = 0
    cdef int64_t since = 0
    cdef uint32_t at
    while link != line and first:
        queue.census.work += SERVE_WORK
        if (<Subscription>link.owner).looked == NULL:
            return 0
        at = next_unseen(queue, (<Subscription>link.owner).looked, &border, &since)
        first = min(first, UINT64_MAX if at == NOWHERE else queue.shelf.nodes[at].place)
        link = link.next
    return first
