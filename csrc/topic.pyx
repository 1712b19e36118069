"""Topic routes: the trie is asked once, and again when a subscription has come or gone."""
from libc.stdint cimport int64_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.route cimport Origin, route_charge, route_init
from fastbroker.core.subscription cimport Receiver
from fastbroker.core.trie cimport Matches, matches_free

cdef enum:
    PLACE_COST = 8          # bytes of a receiver's place in an audience


cdef TopicRoute topic_route(bytes destination, bytes name, uint8_t policy, Trie topics, Fanout fanout,
                            QueueOwner owner):
    cdef TopicRoute new = TopicRoute()
    route_init(new, destination, owner.census, &owner.route_memory)
    new.name = name
    new.topics = topics
    new.fanout = fanout
    new.audience.policy = policy
    new.audience.owner = <void *>owner
    new.generation = <uint64_t>-1
    return new


cdef class TopicRoute(Route):

    def __dealloc__(self):
        matches_free(&self.audience.receivers)

    cdef int take(self, const Content *content, Origin *origin) except -1:
        if self.generation != self.topics.generation:
            rematch(self)
        return self.fanout.send(self, &self.audience, content, origin) if self.audience.receivers.count else 0

    cdef void forget_audience(self) noexcept:
        """If it is out of date: the next message asks the trie anyway."""
        if self.generation != self.topics.generation:
            route_charge(self, -<int64_t>self.audience.receivers.capacity * PLACE_COST)
            matches_free(&self.audience.receivers)


cdef int rematch(TopicRoute self) except -1:
    """As much work as one delivery to each subscriber, so it is not done in pieces."""
    cdef Matches *receivers = &self.audience.receivers
    cdef size_t before = receivers.capacity
    receivers.count = 0
    try:
        self.topics.match(self.name, len(self.name), receivers)
    finally:
        route_charge(self, (<int64_t>receivers.capacity - <int64_t>before) * PLACE_COST)
    self.audience.plain = plain_first(receivers)
    self.generation = self.topics.generation
    return 0


cdef size_t plain_first(Matches *receivers) noexcept:
    """Puts the plain receivers in front, in their order, and returns how many they are."""
    cdef size_t plain = 0, i
    cdef void *receiver
    for i in range(receivers.count):
        receiver = receivers.items[i]
        if (<Receiver>receiver).plain:
            receivers.items[i] = receivers.items[plain]
            receivers.items[plain] = receiver
            plain += 1
    return plain
