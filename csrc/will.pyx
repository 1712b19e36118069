"""Last wills: what a client leaves behind, to be published if it goes without DISCONNECT.

    CONNECT
    will-destination:/topic/status
    will-body:gone                      one line, as the headers of CONNECT have no escapes
    will-delay:5000                     milliseconds after its end; at once without it
    will-<name>:<value>                 a header of the message: <name>:<value>

    frame   SEND LF destination:... LF <name>:<value> LF ... LF body NUL    as its client would have written it, in 1.2

It is read as a SEND twice: when it is left, to see that it is right, and when its time has come. Until its client goes
that pays for it; then it waits on the wheel, and with others for a turn that publishes it. A delay ends early for
nobody, but the end of the broker: wills that wait then are gone.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastbroker.core.frame cimport (
    NAME_UNTOLD, Content, Header, content_of, frame_free, frame_init, header_line, number_of, shown,
)
from fastbroker.core.parser cimport PARSE_FRAME
from fastbroker.core.properties cimport read_properties
from fastbroker.core.route cimport Origin
from fastbroker.core.wire cimport (
    KNOWN_PROPERTY, SCAN_SLACK, ceiling_reached, census_spent, link_init, link_join, link_leave, ring_take,
    timer_arm, timer_cancel, timer_init, wall_now,
)

from fastbroker.core.frame import Refused

cdef enum:
    COST = 512              # bytes of one beside its frame
    WORK = 4096             # what publishing one takes beside its deliveries, in bytes of output
    SLICE = 4194304         # bytes of output and work that wills may cause in one turn
    SHARE = 16              # all of them may take this part of the memory
    LATER = 1000            # milliseconds until one that finds no memory tries again
    LONGEST_DELAY = 86400000


cdef Will will_of(const Frame *frame, Broker broker):
    """What a CONNECT with headers `will-...` leaves. Raises Refused for what cannot be."""
    cdef dict headers = will_headers(frame)
    cdef bytes destination = headers.pop(b"destination", b"")
    cdef bytes body = headers.pop(b"body", b"")
    cdef Will new = Will()
    check(broker, destination)
    new.broker = <void *>broker
    new.destination = destination
    new.delay = delay_in(headers.pop(b"delay", b"0"))
    headers.pop(b"content-length", None)
    lines = [header_line(name, value, 12) for name, value in headers.items()]
    new.frame = b"".join([b"SEND\n", header_line(b"destination", destination, 12), *lines, b"\n", body,
                          bytes(1 + SCAN_SLACK)])
    new.cost = COST + <int64_t>len(new.frame) + <int64_t>len(destination)
    timer_init(&new.timer, time_has_come, <void *>new)
    link_init(&new.due, <void *>new)
    new.of_all = &broker.will_memory
    broker.will_memory += new.cost
    publish(broker, new, True)
    return new


cdef dict will_headers(const Frame *frame):
    """Without the `will-` in front; the first of each name."""
    cdef dict headers = {}
    cdef const Header *header
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        name = (frame.base + header.name)[:header.name_length]
        if name.startswith(b"will-") and len(name) > 5:
            headers.setdefault(name[5:], (frame.base + header.value)[:header.value_length])
    return headers


cdef int check(Broker broker, bytes destination) except -1:
    if not broker.takes_wills:
        raise Refused(b"access refused", b"This broker takes no last wills; leave will-destination out.")
    if not destination:
        raise Refused(b"missing header", b"A last will needs a will-destination header.")
    if ceiling_reached(&broker.ceiling) or broker.will_memory > broker.limits.memory // SHARE:
        raise Refused(b"server busy", b"There is no memory for another last will. Try again later.")
    return 0


cdef uint64_t delay_in(bytes text) except? 0xffffffffffffffff:
    cdef uint64_t delay = 0
    if not number_of(text, &delay) or delay > LONGEST_DELAY:
        raise Refused(b"bad header", b"will-delay is a number of milliseconds, at most %d." % LONGEST_DELAY)
    return delay


cdef class Will:

    def __dealloc__(self):
        timer_cancel(&self.timer)
        link_leave(&self.due)
        if self.of_all != NULL:
            self.of_all[0] -= self.cost
        if self.memory != NULL:
            self.memory[0] -= self.cost

    cdef int leave(self) except -1:
        """Its client has gone, and what it paid for."""
        cdef Broker broker = <Broker>self.broker
        broker.wills.add(self)
        self.memory = &broker.census.memory
        self.memory[0] += self.cost
        timer_arm(&broker.wheel, &self.timer, broker.now + self.delay)
        return 0


cdef void time_has_come(void *owner) noexcept:
    cdef Will will = <Will>owner
    link_join(&(<Broker>will.broker).wills_due, &will.due)


cdef int publish_wills(Broker broker) except -1:
    """A step of each turn: those whose time has come, as many as there is room for."""
    cdef int64_t until = census_spent(&broker.census) + SLICE
    cdef void *owner = ring_take(&broker.wills_due)
    cdef Will will
    while owner != NULL:
        will = <Will>owner
        if broker.is_full():
            timer_arm(&broker.wheel, &will.timer, broker.now + LATER)
        else:
            broker.wills.discard(will)
            try:
                publish(broker, will, False)
            except Refused as refusal:
                broker.log("warning", "last will lost", destination=shown(will.destination).decode(),
                           reason=refusal.args[0].decode())
        broker.census.work += WORK
        owner = ring_take(&broker.wills_due) if census_spent(&broker.census) < until else NULL
    return 0


cdef int publish(Broker broker, Will will, bint only_try) except -1:
    """The SEND, as a session of its own; or as far as that it can be read."""
    cdef Frame frame
    cdef Origin origin
    cdef Content content
    memset(&frame, 0, sizeof(Frame))
    memset(&origin, 0, sizeof(Origin))
    origin.accepted = True  # with the CONNECT
    frame_init(&frame, broker.parser_limits.max_headers)
    try:
        read(broker, will, &frame)
        content_of(&frame, &broker.scratch, NULL, 0, &content)
        if frame.known[KNOWN_PROPERTY] and read_properties(&frame, &broker.census, broker.property_seed,
                                                           &broker.properties):
            content.properties = &broker.properties
        if frame.names & NAME_UNTOLD:
            broker.profile.complete(&frame, &broker.scratch, wall_now(&broker.census), &content)
        if not only_try:
            broker.namespace.accept(broker.namespace.route_of(will.destination, len(will.destination)), &content,
                                    &origin)
            broker.fanout.settle()
        elif content.properties != NULL:
            broker.namespace.schedule.check(&content)
    finally:
        frame_free(&frame)
    return 0


cdef int read(Broker broker, Will will, Frame *frame) except -1:
    broker.parser.version = 12
    broker.parser.begin()
    if broker.parser.next(will.frame, len(will.frame) - SCAN_SLACK, frame) != PARSE_FRAME:
        raise Refused(b"bad header", b"The headers will-... make no SEND that the broker could read.")
    return 0
