"""Subscriptions to topics that have a name: durable ones, which outlive their connections, and shared ones.

    trie --receiver--> Queue of that name --in turn--> consumers: the subscriptions of connections, or nobody

Such a subscription is a queue that gets the messages of a pattern. So what a subscriber has not settled comes back,
several share it, and who is slow holds nobody: instead it keeps as much as the policy of its topics says. A durable one
is there until it is deleted; a shared one that is not durable goes with its last subscriber, and so does what it holds.
"""
from libc.stdint cimport int64_t

from fastbroker.core.frame cimport shown
from fastbroker.core.journal cimport RECORD_DURABLE
from fastbroker.core.message cimport Entry, message_keep
from fastbroker.core.policy cimport OVERFLOW_DEAD_LETTER, OVERFLOW_REJECT, QueuePolicy, TopicPolicy
from fastbroker.core.queue cimport DEAD_OVERFLOW, QueueOwner, end_entry, number_entry, obey, queue_new, take_oldest
from fastbroker.core.stored cimport Stored, packed, stored_new

from fastbroker.core.frame import Refused

cdef enum:
    COST = 1024             # bytes of one beside its queue and its pattern
    DROPPED_AT_ONCE = 256   # messages that go for a new one; if that was not enough, more go for the next
    DROP_WORK = 64          # what it takes to drop one, in bytes of output


cdef class Title:
    pass


cdef class Durable:
    cdef Queue queue
    cdef bytes pattern
    cdef bytes chosen       # by the selector that its queue has; None: everything
    cdef bint lasts
    cdef bint alone         # who has it wants to be the only one


cdef Durables durables_of(object owner, Trie topics, uint32_t most):
    cdef Durables new = Durables()
    new.owner = <void *>owner
    new.topics = topics
    new.by_name = {}
    new.most = most
    return new


cdef class Durables:

    cdef Queue get(self, bytes name):
        """The queue of that one, or None."""
        cdef Durable found = self.by_name.get(name)
        return None if found is None else found.queue

    cdef Queue queue_for(self, Title title):
        """For another subscriber; made, or given another pattern, where that is asked for. The batch of a fan-out must
        be settled. Raises Refused when it cannot be had."""
        cdef Durable found = self.by_name.get(title.name)
        if found is not None and found.queue.consumer_count:
            check_guest(found, title)
        if found is not None and not is_as(found, title):
            if title.renews:
                self.end(found.queue)
                found = None
            else:
                change(self, found, title)
        if found is None:
            found = add(self, title)
        found.alone = title.alone
        return found.queue

    cdef int has_left(self, Queue queue) except -1:
        """A subscriber has gone."""
        cdef Durable left = self.by_name.get(queue.name)
        if left is not None and not left.lasts and queue.consumer_count == 0:
            return self.end(queue)
        return 0

    cdef int end(self, Queue queue) except -1:
        """Nobody subscribes to it; what it holds is freed in the next turns."""
        cdef Durable ended = self.by_name.pop(queue.name)
        self.lasting -= ended.lasts
        queue.census.memory -= cost_of(ended)
        self.topics.remove(&queue.entry)
        (<QueueOwner>self.owner).remove_queue(queue)
        return 0

    cdef int describe(self, Queue queue, Stored stored) except -1:
        """To the journal."""
        cdef Durable durable = self.by_name[queue.name]
        cdef list texts = [queue.name, durable.pattern]
        if durable.chosen is not None:
            texts.append(durable.chosen)
        return stored.define(RECORD_DURABLE, packed(texts), queue.not_by)

    cdef Queue restore(self, list texts, Selector selector, uint64_t not_by):
        """One that a broker before has described so."""
        cdef Title title = Title()
        title.name, title.pattern = texts[:2]
        title.chosen = texts[2] if len(texts) > 2 else None
        title.selector = selector
        title.not_by = not_by
        title.lasts = True
        return make(self, title).queue

    cdef list queues(self):
        return [(<Durable>durable).queue for durable in self.by_name.values()]


cdef object in_use(bytes name):
    return Refused(b"subscription in use", b"'/%b' has a subscriber. Only one may have it, or nobody when it changes "
                   b"or is deleted: end the other subscription, or choose another name." % shown(name))


cdef bint is_as(Durable found, Title title):
    """Whether it gets what is meant."""
    return (found.pattern == title.pattern and found.chosen == title.chosen and found.queue.not_by == title.not_by)


cdef int check_guest(Durable found, Title title) except -1:
    """Somebody has it already."""
    if title.alone or found.alone or found.pattern != title.pattern:
        raise in_use(title.name)
    if not is_as(found, title):
        raise Refused(b"subscription in use", b"All who share '/%b' have the same selector, word for word, and all or "
                      b"none no-local. It can be changed when nobody subscribes to it." % shown(title.name))
    return 0


cdef Durable add(Durables self, Title title):
    cdef Durable new
    if title.lasts and self.lasting >= self.most:
        raise Refused(b"too many subscriptions", b"The broker has limits.max_durable durable subscriptions. "
                      b"Delete one that is not needed by UNSUBSCRIBE.")
    new = make(self, title)
    tell(self, new)
    return new


cdef int tell(Durables self, Durable durable) except -1:
    """A durable one outlives the broker."""
    cdef QueueOwner owner = <QueueOwner>self.owner
    cdef Queue queue = durable.queue
    if owner.journal is not None and durable.lasts:
        owner.describe(queue, queue.stored or stored_new(owner.journal, queue.name))
    return 0


cdef Durable make(Durables self, Title title):
    cdef Durable new = Durable()
    new.queue = queue_for_topics(<QueueOwner>self.owner, title)
    new.pattern = title.pattern
    new.lasts = title.lasts
    choose(new, title)
    self.by_name[title.name] = new
    try:
        self.topics.insert(title.pattern, len(title.pattern), &new.queue.entry)
    except MemoryError:
        del self.by_name[title.name]
        raise
    self.lasting += new.lasts
    new.queue.census.memory += cost_of(new)
    return new


cdef Queue queue_for_topics(QueueOwner owner, Title title):
    cdef TopicPolicy kept = owner.policies.of_topic(title.pattern)
    cdef Queue queue = queue_new(title.name, owner, redelivery_of(owner.policies.of_queue(title.name), kept))
    queue.owned = True
    queue.lasts = title.lasts
    queue.kept = kept
    return queue


cdef QueuePolicy redelivery_of(QueuePolicy said, TopicPolicy kept):
    """What is said of queues with such a name holds for what comes back; but limits, and what outlives the broker, are
    those of topics, and when it goes does not depend on its use."""
    cdef QueuePolicy new = QueuePolicy()
    new.max_deliveries = said.max_deliveries
    new.redelivery_delay = said.redelivery_delay
    new.redelivery_multiplier = said.redelivery_multiplier
    new.redelivery_max_delay = said.redelivery_max_delay
    new.redelivery_jitter = said.redelivery_jitter
    new.dead_letter = said.dead_letter
    new.dead_letter_expired = said.dead_letter_expired
    new.persistent = kept.persistent
    new.durability = kept.durability
    return new


cdef int change(Durables self, Durable durable, Title title) except -1:
    """What it holds stays, what comes is that of other topics, or others of their messages."""
    cdef bytes pattern = title.pattern
    self.topics.remove(&durable.queue.entry)
    try:
        self.topics.insert(pattern, len(pattern), &durable.queue.entry)
    except MemoryError:
        self.topics.insert(durable.pattern, len(durable.pattern), &durable.queue.entry)
        raise
    durable.queue.census.memory -= cost_of(durable)
    durable.pattern = pattern
    durable.queue.kept = (<QueueOwner>self.owner).policies.of_topic(pattern)
    obey(durable.queue, redelivery_of((<QueueOwner>self.owner).policies.of_queue(title.name), durable.queue.kept))
    choose(durable, title)
    durable.queue.census.memory += cost_of(durable)
    return tell(self, durable)


cdef void choose(Durable durable, Title title) noexcept:
    """What is not wanted is not kept."""
    durable.chosen = title.chosen
    durable.queue.selector = title.selector
    durable.queue.not_by = title.not_by
    durable.queue.chooses = title.selector is not None or title.not_by != 0


cdef int64_t cost_of(Durable durable) noexcept:
    cdef Selector selector = durable.queue.selector
    cdef int64_t chosen = 0 if selector is None else selector.cost + <int64_t>len(durable.chosen)
    return COST + <int64_t>len(durable.pattern) + chosen


# ---- limits ----

cdef bint makes_room(Queue queue, Message *message) except -1:
    """Whether it takes another message; older ones may have gone for it, or it goes elsewhere."""
    cdef TopicPolicy policy = queue.kept
    cdef size_t size = message.size
    cdef Entry oldest
    cdef int dropped = 0
    if not is_full(queue, policy, size):
        return True
    if policy.durable_overflow == OVERFLOW_DEAD_LETTER:
        return bury(queue, message)
    if policy.durable_overflow == OVERFLOW_REJECT or (policy.durable_bytes and size > policy.durable_bytes):
        (<QueueOwner>queue.owner).has_lost(queue, 1)
        return False
    while dropped < DROPPED_AT_ONCE and is_full(queue, policy, size) and take_oldest(queue, &oldest):
        end_entry(queue, &oldest)
        dropped += 1
    queue.census.work += dropped * DROP_WORK
    (<QueueOwner>queue.owner).has_lost(queue, dropped)
    return True


cdef bint bury(Queue queue, Message *message) except -1:
    """It is too much, and goes to the dead-letter queue: False."""
    cdef Entry entry
    message_keep(message)
    number_entry(queue, &entry, message)
    (<QueueOwner>queue.owner).dead_letter(queue, &entry, DEAD_OVERFLOW)
    return False


cdef inline bint is_full(Queue queue, TopicPolicy policy, size_t size) noexcept:
    return ((policy.durable_messages and queue.held() >= policy.durable_messages)
            or (policy.durable_bytes and queue.bytes + size > policy.durable_bytes))
