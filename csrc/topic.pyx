"""Topic routes: the trie is asked once, and again when a subscription has come or gone.

What it said may take a share of the memory. When that is used up, all but the last answer is forgotten: also those that
are right, and those of routes that only a publisher still knows, or the memory would never come back.

A topic with a history has another kind of route, which keeps each message before it is sent; so others do not ask.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.history cimport history_keep, history_record, keeps
from fastbroker.core.keyed cimport keyed_free, keyed_sort
from fastbroker.core.policy cimport keeps_persistent
from fastbroker.core.queue cimport Queue
from fastbroker.core.route cimport Origin, route_init
from fastbroker.core.subscription cimport Receiver
from fastbroker.core.trie cimport Matches, matches_free
from fastbroker.core.wire cimport link_init, link_join, link_leave

cdef enum:
    LOOK_WORK = 32          # what it takes to look at a receiver, in bytes of output
    CHAIN_WORK = 48         # what it takes to find one that has a key anew, in bytes of output
    CHOICE_WEIGHT = 15      # how many plain receivers more one that chooses may take as much time as


cdef TopicRoute topic_route(bytes destination, bytes name, TopicPolicy policy, Trie topics, Fanout fanout,
                            QueueOwner owner, Audiences *audiences, Histories histories):
    cdef TopicRoute new = KeptTopicRoute() if keeps(policy) else TopicRoute()
    route_init(new, destination, owner.census, &owner.route_memory)
    new.name = name
    new.topics = topics
    new.fanout = fanout
    new.policy = policy
    new.histories = histories
    new.audience.slow = policy.slow
    new.audience.owner = <void *>owner
    new.generation = <uint64_t>-1
    new.audiences = audiences
    link_init(&new.link, <void *>new)
    return new


cdef class TopicRoute(Route):

    def __dealloc__(self):
        forget(self)

    cdef int take(self, const Content *content, Origin *origin) except -1:
        if self.generation != self.topics.generation:
            rematch(self)
        if content.properties != NULL:
            self.histories.heed_and_record(self.name, self.policy, content, origin)
        return self.fanout.send(self, &self.audience, content, origin) if self.audience.receivers.count else 0

    cdef bint has_somebody(self) except -1:
        if self.generation != self.topics.generation:
            rematch(self)
        return self.audience.receivers.count > 0

    cdef bint keeps(self) except -1:
        cdef size_t i
        if self.generation != self.topics.generation:
            rematch(self)
        for i in range(self.audience.plain, self.audience.receivers.count):
            self.census.work += LOOK_WORK
            receiver = <Receiver>self.audience.receivers.items[i]
            if isinstance(receiver, Queue) and (<Queue>receiver).lasts and keeps_persistent((<Queue>receiver).policy):
                return True
        return False


cdef class KeptTopicRoute(TopicRoute):

    cdef int take(self, const Content *content, Origin *origin) except -1:
        if self.history is None or self.history.removed:
            self.history = self.histories.of(self.name)
        if self.histories.journal is None:
            history_keep(self.history, content)
        else:
            history_record(self.history, content, origin)
        return TopicRoute.take(self, content, origin)


cdef int rematch(TopicRoute self) except -1:
    """As much work as one delivery to each subscriber, so it is not done in pieces. Those who are not asked then are
    counted here."""
    cdef Matches *receivers = &self.audience.receivers
    cdef int64_t before = size_of(&self.audience)
    receivers.count = 0
    try:
        self.topics.match(self.name, len(self.name), receivers)
        leave_twins_out(receivers)
        sort_audience(&self.audience)
    finally:
        charge(self, size_of(&self.audience) - before)
        link_join(&self.audiences.routes, &self.link)
    self.census.work += CHAIN_WORK * <int64_t>(receivers.count - self.audience.keyed.first)
    self.generation = self.topics.generation
    if self.audiences.bytes > self.audiences.most:
        forget_others(self)
    return 0


cdef inline int64_t size_of(const Audience *audience) noexcept:
    return audience.receivers.capacity * sizeof(void *) + audience.keyed.room * sizeof(uint32_t)


cdef void charge(TopicRoute self, int64_t bytes) noexcept:
    self.audiences.bytes += bytes
    self.census.memory += bytes


cdef void forget(TopicRoute self) noexcept:
    """The next message asks the trie."""
    link_leave(&self.link)
    if self.audience.receivers.capacity:
        charge(self, -size_of(&self.audience))
    matches_free(&self.audience.receivers)
    keyed_free(&self.audience.keyed)
    self.generation = <uint64_t>-1


cdef void forget_others(TopicRoute self) noexcept:
    cdef Link *routes = &self.audiences.routes
    link_join(routes, &self.link)   # to the end
    while routes.next != &self.link:
        forget(<TopicRoute>routes.next.owner)


cdef void forget_outdated(Audiences *audiences) noexcept:
    """Those that the trie must be asked about again anyway."""
    cdef Link *link = audiences.routes.next
    cdef TopicRoute route
    while link != &audiences.routes:
        route = <TopicRoute>link.owner
        link = link.next
        if route.generation != route.topics.generation:
            forget(route)


cdef int leave_twins_out(Matches *receivers) except -1:
    """A subscription to several destinations has each message once, however many of them match: the first has it."""
    cdef dict firsts = None
    cdef size_t i, kept = 0
    for i in range(receivers.count):
        if (<Receiver>receivers.items[i]).part:
            firsts = {} if firsts is None else firsts
            note_first(firsts, <Receiver>receivers.items[i])
    if firsts is None:
        return 0
    for i in range(receivers.count):
        if (<Receiver>receivers.items[i]).part == 0 or (
                firsts[(<Receiver>receivers.items[i]).several] is <Receiver>receivers.items[i]):
            receivers.items[kept] = receivers.items[i]
            kept += 1
    receivers.count = kept
    return 0


cdef int note_first(dict firsts, Receiver receiver) except -1:
    cdef Receiver first = firsts.get(receiver.several)
    if first is None or receiver.part < first.part:
        firsts[receiver.several] = receiver
    return 0


cdef void sort_audience(Audience *audience) noexcept:
    """The plain receivers in front, those that choose behind all others."""
    cdef void **items = audience.receivers.items
    cdef size_t plain = 0, asked = audience.receivers.count, i = 0
    while i < asked:
        if (<Receiver>items[i]).chooses:
            asked -= 1
            items[i], items[asked] = items[asked], items[i]
            continue
        if (<Receiver>items[i]).plain:
            items[i], items[plain] = items[plain], items[i]
            plain += 1
        i += 1
    audience.plain = plain
    audience.asked = asked
    keyed_sort(&audience.keyed, items, asked, audience.receivers.count)
    audience.weight = audience.receivers.count + CHOICE_WEIGHT * (audience.receivers.count - asked)
