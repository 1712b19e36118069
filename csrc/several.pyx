"""One SUBSCRIBE to several destinations: those that it names, with commas between, and all queues that match a pattern.

    Subscription "1"  --source-->  home, a Queue that holds nothing      Several is its spring
       credit <-------------------------------------------------.        hungry: members that found no room
    member  --source-->  /queue/a.1     in line among its consumers     |
    member  --source-->  /queue/a.2     likewise                        |--- of all of them
    member               /topic/b       in the trie of topics           |

The client knows the subscription; who stands in line at a queue, or in the trie, is one member for each destination.
They share one credit, and with that one row of deliveries in the order in which they went out: so an ACK in mode
`client` is for those of all queues, and each goes back to where it came from (settling.pyx).

Who finds no room is hungry. When there is some, the one that has waited longest is put back in line (`pass_turn`), and
the next when that has had what it could get: so they take turns, and a queue that is never empty starves no other.

A new pattern walks along the ring of all queues, some at a time; a queue that is made later is shown to the patterns
that match it (QueuePatterns.trie). A member that came so keeps no queue: one that is empty and that nobody else uses
goes, and its members with it; should it come again, so do they.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from fastbroker.core.choosing cimport end_choosing, join_queue
from fastbroker.core.ledger cimport NO_SLOT
from fastbroker.core.pattern cimport LEVELS_MAX, pattern_error, pattern_matches
from fastbroker.core.queue cimport join, part
from fastbroker.core.subscription cimport subscription_member
from fastbroker.core.trie cimport matches_free
from fastbroker.core.wire cimport (
    account_charge, ceiling_reached, link_init, link_join, link_leave, ring_empty, ring_init, ring_take, timer_arm,
)

from fastbroker.core.frame import Refused

cdef enum:
    COST = 1024             # bytes of one beside its home and its members ...
    PATTERN_COST = 256      # ... and of a pattern beside its text
    PATTERN_WORK = 1280     # what it takes to have one, in bytes of output ...
    LEAVING_COST = 640      # ... and of a member that has gone and has deliveries
    LOOK_WORK = 128         # ... to look whether a queue matches ...
    LEAVE_WORK = 128        # ... and to leave one
    LOOKS = 4096            # queues that are looked at, and ...
    JOINS = 512             # ... joined before others are served
    AGAIN = 1000            # milliseconds until somebody who found no memory tries again
    FEW = 16                # members that have gone, of which nobody looks whether they have anything


# ---- patterns of queues ----

cdef QueuePatterns queue_patterns(Census *census):
    cdef QueuePatterns new = QueuePatterns()
    new.census = census
    new.trie = Trie()
    new.trie.count_in(census)
    return new


cdef class QueuePattern:
    pass


cdef class QueuePatterns:

    def __cinit__(self):
        ring_init(&self.queues)

    def __dealloc__(self):
        matches_free(&self.found)
        while not ring_empty(&self.queues):
            ring_take(&self.queues)

    cdef int came(self, Queue queue) except -1:
        """It was made."""
        cdef size_t i
        link_join(&self.queues, &queue.sibling)
        if find(self, queue):
            for i in range(self.found.count):
                invite(<Several>(<QueuePattern>self.found.items[i]).several, queue)
        return 0

    cdef void gone(self, Queue queue) noexcept:
        """Those who had come by a pattern leave it."""
        cdef size_t i
        link_leave(&queue.sibling)
        if queue.joined and find(self, queue):
            for i in range(self.found.count):
                lose(<Several>(<QueuePattern>self.found.items[i]).several, queue)


cdef bint find(QueuePatterns self, Queue queue) except -1:
    """The patterns that match its name, if any. What is too long for a topic is no match for a pattern."""
    cdef const char *name = PyBytes_AS_STRING(queue.name)
    cdef size_t length = PyBytes_GET_SIZE(queue.name)
    self.found.count = 0
    if len(self.trie) == 0 or pattern_error(name, length, LEVELS_MAX) != NULL:
        return False
    self.trie.match(name, length, &self.found)
    self.census.work += LOOK_WORK * <int64_t>self.found.count
    return self.found.count > 0


cdef bint matches(QueuePattern pattern, Queue queue) noexcept:
    cdef const char *name = PyBytes_AS_STRING(queue.name)
    cdef size_t length = PyBytes_GET_SIZE(queue.name)
    return pattern_error(name, length, LEVELS_MAX) == NULL and pattern_matches(
        PyBytes_AS_STRING(pattern.text), PyBytes_GET_SIZE(pattern.text), name, length)


# ---- one subscription ----

cdef Several several_new(Subscription whole, Queue home, QueuePatterns all, Access access):
    """Of which the subscription is the face from now on."""
    cdef Several new = Several()
    new.credit = whole.credit[0]
    new.credit.turns = &new.turns
    new.turns.home = <void *>home
    ring_init(&new.turns.hungry)
    link_init(&new.turns.thirst, <void *>whole)
    new.whole = <void *>whole
    new.home = <void *>home
    new.all = all
    new.access = access
    new.patterns, new.fresh, new.later, new.parts, new.leaving, new.members = [], [], [], [], [], {}
    whole.credit = &new.credit
    whole.several = new
    home.spring_from(new)
    charge(new, COST)
    return new


cdef class Several(Spring):

    cdef bint has_run_dry(self, Queue queue) except -1:
        """A step: queues that match are joined, and one member that is hungry gets its turn. It stays the spring."""
        if self.patterns and not join_some(self):
            queue.look()
        if self.leaving and self.credit.outstanding == 0:
            hold(self, [])
        feed_next(self)
        return False

    cdef int add_pattern(self, bytes pattern) except -1:
        """All queues that match it, in the next turns; and those that are made later."""
        cdef QueuePattern new = QueuePattern()
        new.text = pattern
        new.several = <void *>self
        new.entry.value = <void *>new
        link_init(&new.place, NULL)
        self.all.trie.insert(pattern, len(pattern), &new.entry)
        self.patterns.append(new)
        charge(self, PATTERN_COST + <int64_t>len(pattern))
        link_join(self.all.queues.next, &new.place)     # in front of all
        (<Queue>self.home).look()
        self.all.census.work += PATTERN_WORK
        return 0

    cdef Subscription new_part(self):
        """A member for a destination that is named, which is for the caller to attach."""
        cdef Subscription new = member_of(self)
        self.parts.append(new)
        return new

    cdef void has_part(self, Queue queue):
        """That one consumes a queue, which a pattern may match, too."""
        self.members[queue] = None

    cdef list end(self):
        """The subscription gets nothing more. Returns its parts, which are for the caller to unsubscribe. What is not
        settled is still in its row, until `forget`."""
        cdef list parts = self.parts
        for pattern in self.patterns:
            self.all.trie.remove(&(<QueuePattern>pattern).entry)
            link_leave(&(<QueuePattern>pattern).place)
        self.leaving += parts
        for queue, member in self.members.items():
            if member is not None:
                leave(<Queue>queue, <Subscription>member)
                self.leaving.append(member)
        self.all.census.work += LEAVE_WORK * <int64_t>len(self.members)
        self.members, self.parts, self.patterns, self.fresh, self.later = {}, [], [], [], []
        link_leave(&self.turns.thirst)
        if self.credit.outstanding == 0:
            self.forget()
        return parts

    cdef void forget(self) noexcept:
        """All that comes back has come back; what a transaction has is kept by that."""
        self.leaving = []


cdef Subscription member_of(Several self):
    self.count += 1
    return subscription_member(<Subscription>self.whole, self.count)


# ---- joining and leaving queues ----

cdef int invite(Several self, Queue queue) except -1:
    """It was made, and matches."""
    self.fresh.append(queue)
    (<Queue>self.home).look()
    return 0


cdef bint join_some(Several self) except -1:
    """Whether nothing is left to be joined, for now."""
    cdef int joins = JOINS
    if self.later and owner_of(self).now[0] >= self.again:
        self.fresh += self.later
        self.later = []
    if not self.fresh and not walks(self):
        return True
    if ceiling_reached(owner_of(self).ceiling):
        try_again(self)
        return True
    for queue in self.fresh[:JOINS]:
        joins -= try_to_join(self, <Queue>queue)
    del self.fresh[:JOINS]
    for pattern in self.patterns:
        joins -= walk_on(self, <QueuePattern>pattern, joins)
    return not self.fresh and not walks(self)


cdef void try_again(Several self) noexcept:
    """Where there was no memory."""
    self.again = owner_of(self).now[0] + AGAIN
    timer_arm(owner_of(self).wheel, &(<Queue>self.home).idle, self.again)


cdef inline QueueOwner owner_of(Several self):
    return <QueueOwner>(<Queue>self.home).owner


cdef bint walks(Several self) noexcept:
    for pattern in self.patterns:
        if (<QueuePattern>pattern).place.next != NULL:
            return True
    return False


cdef int walk_on(Several self, QueuePattern pattern, int joins) except -1:
    """Looks at the next queues, and joins those that match; how many. At the end of the ring it leaves that."""
    cdef Link *next = pattern.place.next
    cdef int looks = LOOKS, joined = 0
    if next == NULL:
        return 0
    while looks and joined < joins and next != &self.all.queues:
        looks -= 1
        link_join(next.next, &pattern.place)    # in front of the one behind it
        if next.owner != NULL and matches(pattern, <Queue>next.owner):
            joined += try_to_join(self, <Queue>next.owner)
        next = pattern.place.next
    self.all.census.work += LOOK_WORK * (LOOKS - looks)
    if next == &self.all.queues:
        link_leave(&pattern.place)
    return joined


cdef bint try_to_join(Several self, Queue queue) except -1:
    """Unless it has gone meanwhile, is one of its own already, or may not be read. Where there is no memory to choose
    among so many messages, it is tried again later."""
    if queue.removed or queue in self.members or not may_read(self, queue):
        return False
    try:
        join_as_member(self, queue)
    except Refused:
        self.later.append(queue)
        try_again(self)
        return False
    return True


cdef int join_as_member(Several self, Queue queue) except -1:
    cdef Subscription member
    member = member_of(self)
    member.source = queue
    try:
        self.members[queue] = member
        join_queue(queue, member)
    except:
        self.members.pop(queue, None)
        account_charge(member.account, -member.cost)
        raise
    join(queue, member)
    return 0


cdef bint may_read(Several self, Queue queue) except -1:
    """Who may subscribe to a pattern may not be permitted all that it matches; what is not, is left out."""
    if self.access is None:
        return True
    try:
        self.access.ask("subscribe", b"/queue/" + queue.name)
    except Exception:   # whoever is asked may fail; nobody's frame is to blame
        return False
    return True


cdef int leave(Queue queue, Subscription member) except -1:
    """It gets nothing more from there. What it has not settled is still its own."""
    member.closed = True
    account_charge(member.account, -member.cost)
    part(queue, member)
    if queue.choosers != NULL:
        end_choosing(queue, member)
    return 0


cdef int lose(Several self, Queue queue) except -1:
    """The queue has gone."""
    cdef Subscription member = self.members.get(queue)
    if member is None:
        return 0
    del self.members[queue]
    leave(queue, member)
    if queue.unsettled:
        self.leaving.append(member)
        charge(self, LEAVING_COST)
    if len(self.leaving) > FEW + 2 * <Py_ssize_t>self.credit.outstanding:
        hold(self, those_with_deliveries(self))
    return 0


cdef void hold(Several self, list leaving) noexcept:
    """Of those that leave only these are still there."""
    charge(self, LEAVING_COST * (<int64_t>len(leaving) - <int64_t>len(self.leaving)))
    self.leaving = leaving


cdef void charge(Several self, int64_t bytes) noexcept:
    """While it is subscribed."""
    cdef Subscription whole = <Subscription>self.whole
    whole.cost += bytes
    account_charge(whole.account, bytes)


cdef list those_with_deliveries(Several self):
    cdef Subscription whole = <Subscription>self.whole
    cdef uint32_t slot = self.credit.first
    cdef set found = set()
    while slot != NO_SLOT:
        found.add(<Subscription>whole.ledger.slots[slot].subscription)
        slot = whole.ledger.slots[slot].next
    self.all.census.work += LOOK_WORK * <int64_t>self.credit.outstanding
    return [member for member in self.leaving if member in found]


# ---- turns ----

cdef int feed_next(Several self) except -1:
    """The member that has waited longest stands in line again, if there is room for what it gets. Then the next: the
    home is behind that queue in the ring of those that are dispatched."""
    cdef Subscription whole = <Subscription>self.whole, member
    if ring_empty(&self.turns.hungry) or not whole.has_credit():
        return 0
    if not whole.has_outlet(ceiling_reached(owner_of(self).ceiling)):
        link_join(whole.starved, &self.turns.thirst)
        return 0
    member = <Subscription>ring_take(&self.turns.hungry)
    (<Queue>member.source).regained(member)
    if not ring_empty(&self.turns.hungry):
        (<Queue>self.home).look()
    return 0
