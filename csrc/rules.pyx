"""Rules: what properties and a queue's policy make of a message, before it is kept.

    life     who says nothing of it has the policy's `ttl`, and nobody more than its `max_ttl`; what comes too late is
             not kept
    limits   messages and bytes, those that consumers have not settled counted with those that wait. What is too much
             goes: the publisher's (`reject`), others before it (`drop-oldest`), elsewhere (`dead-letter`); or its
             publisher waits with it (`block`), and nobody else: it is not taken, so no RECEIPT comes, and it comes
             again when there is room. Who sends to a topic is not refused, and does not wait, for the sake of a queue
             that gets it, too: that goes without. So it does of what a schedule sends again and again.

A COMMIT is asked about as a whole, less what it settles, before any of it is done; then all of it is kept.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastbroker.core.choosing cimport begin_groups
from fastbroker.core.frame cimport shown
from fastbroker.core.journal cimport Journal, Recorded
from fastbroker.core.message cimport Entry, Message, message_cost, message_new
from fastbroker.core.policy cimport (
    OVERFLOW_BLOCK, OVERFLOW_DEAD_LETTER, OVERFLOW_DROP_OLDEST, OVERFLOW_REJECT,
    PERSISTENT_ALWAYS, PERSISTENT_ASKED, PERSISTENT_NEVER, QueuePolicy, keeps_persistent,
)
from fastbroker.core.queue cimport (
    DEAD_OVERFLOW, GROUPED, RULED, SHELF, WATCHED, QueueOwner, end_entry, end_of_life, has_come, number_entry, push_for,
    take_oldest,
)
from fastbroker.core.route cimport has_recorded
from fastbroker.core.shelf cimport NOWHERE, shelf_named
from fastbroker.core.wire cimport (
    PERSISTS, USUAL_PRIORITY, Properties, link_join, ring_empty, ring_splice, timer_arm, wall_now,
)

from fastbroker.core.frame import Refused

cdef enum:
    DROP_WORK = 64          # what it takes to drop a message, in bytes of output
    DROPPED_AT_ONCE = 4096  # messages that go for a new one; if that was not enough, more go for the next
    LOOK_AGAIN = 100        # milliseconds, where publishers wait and those that may come do not


cdef bint is_plain(Queue queue, const Content *content, uint64_t number, Origin *origin, bint is_copy) except -1:
    """Whether a message that may be none is for the queue as it is. If not, what is to be done with it is done.
    `is_copy`: it was sent to a topic."""
    cdef Content ruled = content[0]
    cdef Properties properties
    cdef Message *message
    if content.properties != NULL:
        properties = content.properties[0]
    else:
        memset(&properties, 0, sizeof(Properties))
        properties.priority = USUAL_PRIORITY
    if queue.marks & RULED:
        if queue.policy.persistent == PERSISTENT_ALWAYS:
            if not (is_copy or origin.accepted) and keeps_persistent(queue.policy) and (
                    (<QueueOwner>queue.owner).journal is not None):
                (<QueueOwner>queue.owner).journal.check()
            properties.flags |= PERSISTS
        elif queue.policy.persistent == PERSISTENT_NEVER:
            properties.flags &= ~<unsigned>PERSISTS
        limit_life(queue, &properties)
        if properties.expires or queue.policy.persistent != PERSISTENT_ASKED:
            ruled.shared = NULL     # others have no such life
    if content.properties != NULL or properties.expires or properties.flags:
        ruled.properties = &properties
    if properties.expires and properties.expires <= wall_now(queue.census):
        come_too_late(queue, &ruled, number, origin)
        return False
    if queue.marks & RULED and not may_come_in(queue, &ruled, number, origin, is_copy):
        return False
    if ruled.properties == NULL and not queue.marks & (SHELF | WATCHED):
        return True
    if properties.group and not queue.marks & GROUPED:
        begin_groups(queue)
    message = message_new(queue.census, &ruled, number)
    message.shared.sender = origin.who
    push_for(queue, message, origin)
    queue.dispatch()
    return False


cdef int come_too_late(Queue queue, const Content *content, uint64_t number, Origin *origin) except -1:
    cdef Entry entry
    cdef Recorded before = recorded_of(queue)
    number_entry(queue, &entry, message_new(queue.census, content, number))
    end_of_life(queue, &entry)
    return wait_for_record(queue, before, origin)


cdef Recorded recorded_of(Queue queue) noexcept:
    cdef Journal journal = (<QueueOwner>queue.owner).journal
    return Recorded(0, 0) if journal is None else journal.recorded


cdef int wait_for_record(Queue queue, Recorded before, Origin *origin) except -1:
    """A message is a dead letter at once: a receipt says that this is kept."""
    cdef Journal journal = (<QueueOwner>queue.owner).journal
    if journal is not None:
        has_recorded(origin, journal, before)
    return 0


cdef void limit_life(Queue queue, Properties *properties) noexcept:
    """By the policy: who says nothing has its `ttl`, and nobody more than its `max_ttl`."""
    cdef QueuePolicy policy = queue.policy
    cdef uint64_t now = wall_now(queue.census) if policy.ttl or policy.max_ttl else 0
    if policy.ttl and properties.expires == 0:
        properties.expires = now + policy.ttl
    if policy.max_ttl and (properties.expires == 0 or properties.expires > now + policy.max_ttl):
        properties.expires = now + policy.max_ttl


# ---- limits ----

cdef bint has_room(Queue queue, uint64_t messages, uint64_t bytes) noexcept:
    """For so much more, beside what waits and what consumers have not settled. There is always room for nothing more,
    also where there is too much already."""
    cdef QueuePolicy policy = queue.policy
    if (messages and policy.max_messages
            and queue.held() + <uint64_t>queue.unsettled + messages > policy.max_messages):
        return False
    return bytes == 0 or policy.max_bytes == 0 or queue.bytes + queue.unsettled_bytes + bytes <= policy.max_bytes


cdef Load load_of(Queue queue, const Properties *asks, size_t size) noexcept:
    """What a message of that size makes more there: nothing if it has come before; if a newer value takes the place of
    an older one, which waits, so many bytes as it is larger."""
    cdef Load load = Load(1, size)
    cdef uint32_t older = NOWHERE
    if has_come(queue, asks):
        return Load(0, 0)
    if asks != NULL and asks.last_value:
        older = shelf_named(&queue.shelf, asks.last_value)
    if older != NOWHERE:
        load.messages = 0
        load.bytes -= min(size, queue.shelf.nodes[older].entry.message.size)
    return load


cdef bint may_come_in(Queue queue, const Content *content, uint64_t number, Origin *origin, bint is_copy) except -1:
    """Whether a message is kept. What is too much is dealt with as the policy says."""
    cdef size_t size = message_cost(content)
    cdef Load load = load_of(queue, content.properties, size)
    cdef Entry entry
    cdef Recorded before
    if has_room(queue, load.messages, load.bytes):
        return True
    if queue.policy.overflow == OVERFLOW_DROP_OLDEST:
        queue.census.dropped += drop_oldest(queue, size)
        return True
    if queue.policy.overflow == OVERFLOW_DEAD_LETTER:
        before = recorded_of(queue)
        number_entry(queue, &entry, message_new(queue.census, content, number))
        (<QueueOwner>queue.owner).dead_letter(queue, &entry, DEAD_OVERFLOW)
        wait_for_record(queue, before, origin)
        origin.dropped += 1
        return False
    if is_copy or origin.again:
        queue.census.dropped += 1
        origin.dropped += 1
        return False
    if origin.accepted:
        return True
    queue.census.messages_in -= 1   # it is not taken
    wait_or_refuse(queue, 1, size, origin)
    return False


cdef int64_t drop_oldest(Queue queue, size_t size) noexcept:
    """As many as it takes to have room for a message of that size. Returns how many that were."""
    cdef Entry entry
    cdef int64_t dropped = 0
    while dropped < DROPPED_AT_ONCE and not has_room(queue, 1, size) and take_oldest(queue, &entry):
        end_entry(queue, &entry)
        dropped += 1
    queue.census.work += dropped * DROP_WORK
    return dropped


cdef int64_t bow_to_dead(Queue queue, const Content *content, Properties *properties) noexcept:
    """A dead letter comes: whatever the policy says to others that are too much, the oldest go for it. Returns how many
    that were."""
    if queue.marks & RULED == 0:
        return 0
    limit_life(queue, properties)
    return drop_oldest(queue, message_cost(content))


cdef int admit(Queue queue, uint64_t messages, uint64_t bytes, Origin *origin) except -1:
    """Asked for a whole COMMIT, or for all parts of a composite destination, before any of it is done. Raises Refused,
    or has it wait, where the policy says so."""
    if (queue.policy.overflow == OVERFLOW_REJECT or queue.policy.overflow == OVERFLOW_BLOCK) and not has_room(
            queue, messages, bytes):
        return wait_or_refuse(queue, messages, bytes, origin)
    return 0


cdef int wait_or_refuse(Queue queue, uint64_t messages, uint64_t bytes, Origin *origin) except -1:
    """So much is too much for it. Who would wait for room that can never be is refused, too."""
    cdef QueuePolicy policy = queue.policy
    cdef bint fits = ((policy.max_messages == 0 or messages <= policy.max_messages)
                      and (policy.max_bytes == 0 or bytes <= policy.max_bytes))
    if policy.overflow == OVERFLOW_BLOCK and fits:
        origin.full = &queue.waiters
        origin.untaken = True
        return 0
    raise queue_full(queue)


cdef object queue_full(Queue queue):
    cdef QueuePolicy policy = queue.policy
    limits = [b"%b = %d" % each for each in ((b"max_messages", policy.max_messages), (b"max_bytes", policy.max_bytes))
              if each[1]]
    return Refused(b"queue full",
                   b"The queue %b has what its policy allows (%b), with what consumers have not settled. "
                   b"Send it again later, or less." % (shown(queue.name), b", ".join(limits)))


cdef void relieve(Queue queue) noexcept:
    """Publishers who waited come again: as many as there is room for, or where only bytes are limited all of them, once
    a quarter is free. Those who come may have gone meanwhile, so the rest is thought of again."""
    cdef QueueOwner owner = <QueueOwner>queue.owner
    cdef QueuePolicy policy = queue.policy
    cdef uint64_t held = queue.held() + <uint64_t>queue.unsettled
    if queue.removed:
        ring_splice(&owner.relieved, &queue.waiters)
    if ring_empty(&queue.waiters) or not has_room(queue, 1, policy.max_bytes // 4 if held else 0):
        return
    if policy.max_messages == 0:
        ring_splice(&owner.relieved, &queue.waiters)
    while held < policy.max_messages and not ring_empty(&queue.waiters):
        link_join(&owner.relieved, queue.waiters.next)
        held += 1
    if not ring_empty(&queue.waiters):
        queue.expires = 0
        timer_arm(owner.wheel, &queue.expiry, owner.now[0] + LOOK_AGAIN)
