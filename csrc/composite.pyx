"""Composite routes: one message to several destinations, in their order.

    /queue/a,/topic/b           what a client wrote with commas between
    /topic/a                    a topic or a queue whose messages the operator has copied elsewhere, too

Each part is a route like any other, and none is composite: whoever makes one has followed all copies, and has left out
what a message has passed already. All get the same message, with its one number and its header lines as they were sent.
It is stored once: 32 queues would take 32 times the memory that a SEND was let in for.
"""
from fastbroker.core.message cimport Message, message_cost, message_drop
from fastbroker.core.queue cimport RULED, Queue, QueueRoute, leads_somewhere
from fastbroker.core.route cimport route_charge, route_init
from fastbroker.core.rules cimport Load, admit, load_of

cdef enum:
    PART_COST = 1024    # bytes of a part's place, and of its queue, which may have gone and be held here alone
    PART_WORK = 64      # what one takes beside its output, in bytes of that


cdef CompositeRoute composite_route(bytes destination, list parts, Fanout fanout, QueueOwner owner):
    cdef CompositeRoute new = CompositeRoute()
    route_init(new, destination, owner.census, &owner.route_memory)
    route_charge(new, PART_COST * len(parts))
    new.parts = parts
    new.fanout = fanout
    return new


cdef class CompositeRoute(Route):

    cdef int take(self, const Content *content, Origin *origin) except -1:
        cdef bint accepted = origin.accepted
        cdef Content shared = content[0]
        cdef void *stored = NULL
        if not accepted and not all_have_room(self, content, origin):
            return 0
        self.census.work += PART_WORK * len(self.parts)
        origin.accepted = True
        shared.shared = &stored
        try:
            for part in self.parts:
                self.fanout.settle()    # the batch is for one audience
                (<Route>part).take(&shared, origin)
        finally:
            if stored != NULL:
                message_drop(<Message *>stored)
            origin.accepted = accepted
        return 0

    cdef bint has_somebody(self) except -1:
        return any([(<Route>part).has_somebody() for part in self.parts])

    cdef bint keeps(self) except -1:
        return any([(<Route>part).keeps() for part in self.parts])


cdef list limited_queues(Route route):
    """Those with rules that a message gets into there."""
    if isinstance(route, CompositeRoute):
        return [queue for part in (<CompositeRoute>route).parts for queue in limited_queues(part)]
    if isinstance(route, QueueRoute) and leads_somewhere(<QueueRoute>route) and (<QueueRoute>route).queue.marks & RULED:
        return [(<QueueRoute>route).queue]
    return []


cdef bint all_have_room(CompositeRoute self, const Content *content, Origin *origin) except -1:
    """All parts get it, or none: queues with limits are asked first. Raises Refused, or has it wait and come again."""
    cdef size_t size = message_cost(content)
    cdef Load load
    self.census.messages_in -= 1    # it is not taken yet
    for queue in limited_queues(self):
        load = load_of(<Queue>queue, content.properties, size)
        admit(<Queue>queue, load.messages, load.bytes, origin)
        if origin.untaken:
            return False
    self.census.messages_in += 1
    return True
