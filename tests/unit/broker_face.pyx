"""A face to Python of the rooms between a frame and an output: a broker whose clients have a session, but no socket.

A client says frames and hears what would go to its socket; turns, and the clock, come when the test wants them.
"""
cimport cython
from libc.stdint cimport int64_t, uint64_t
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t

from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Content
from fastbroker.core.history cimport Histories, History
from fastbroker.core.ledger cimport DELIVERY_FREE, NO_SLOT, Ledger
from fastbroker.core.message cimport message_content
from fastbroker.core.parser cimport PARSE_FRAME, Parser
from fastbroker.core.policy cimport QueuePolicy
from fastbroker.core.queue cimport Queue, shelve_all
from fastbroker.core.route cimport Origin, Route, route_init
from fastbroker.core.session cimport HOLD_FULL, Session, release_waiters, session_new
from fastbroker.core.settling cimport find_message
from fastbroker.core.shelf cimport NOWHERE, shelf_from
from fastbroker.core.table cimport table_get
from fastbroker.core.will cimport publish_wills
from fastbroker.core.wire cimport (
    DOOM_OVERFLOW, FRAMING_NONE, FRAMING_SOCKJS, FRAMING_WEBSOCKET, SCAN_SLACK, SEEN_BACKSLASH, SEEN_CR, SEEN_EMPTY,
    TICK, WRAPPED_SWELL, OutBuf, ceiling_closed, ceiling_reached, clocks_set, flow_ease, link_leave, outbuf_consume,
    outbuf_doom, outbuf_free, outbuf_init, outbuf_peek, outbuf_pending, outbuf_pressure, round_begin, round_go_on,
    steady_now, wall_now, wheel_advance,
)

from fastbroker.config import Config, hub_settings
from fastbroker.core.frame import Refused
from fastbroker.core.policy import Policies

QUEUE_SETTINGS = (
    "max_deliveries", "dead_letter", "redelivery_delay", "redelivery_multiplier", "redelivery_max_delay",
    "redelivery_jitter",
)
FRAMINGS = {"": FRAMING_NONE, "websocket": FRAMING_WEBSOCKET, "sockjs": FRAMING_SOCKJS}


@cython.no_gc
cdef class Recorded(Route):
    """What is sent there is recorded in a journal, which tells later that it is durable."""
    cdef House house

    cdef int take(self, const Content *content, Origin *origin) except -1:
        self.house.recorded += 1
        origin.durable = self.house.recorded
        return 0


cdef class House:
    """A broker, and its clock."""
    cdef Broker broker
    cdef Origin origin
    cdef readonly uint64_t recorded     # the number of the last record of the journal
    cdef readonly list log
    cdef readonly uint64_t wall     # the time of day; it goes on only as the clock does, and so does ...
    cdef uint64_t steady            # ... the clock that nobody sets

    def __init__(self, policies=(), authorize=None, queues=(), cron=None, presence=(), authenticate=None, **settings):
        settings = {**hub_settings(Config()), "max_connections": 0, **settings}
        self.log = []
        usual = {name: settings.pop(name) for name in QUEUE_SETTINGS if name in settings}
        queues = [*queues, ("#", usual)] if usual else queues
        topics = settings.pop("topics", []) + [(pattern, {"slow_consumer": slow}) for pattern, slow in policies]
        topics = [(pattern, {"presence": True}) for pattern in presence] + [*topics]
        policies = Policies(queues, topics)
        self.broker = Broker(settings, policies, authenticate, authorize, self.note, "fastbroker/test", b"epoch",
                             cron=cron)
        self.wall = wall_now(&self.broker.census)
        self.steady = steady_now(&self.broker.census)
        clocks_set(&self.broker.census, self.wall, self.steady)

    def note(self, level, event, **fields):
        self.log.append((level, event, fields))

    def publish(self, bytes destination not None, bytes body not None, bytes headers=b""):
        """As somebody without a session does. The header lines are in the encoding of 1.2."""
        cdef bytes text = b"destination:%b\n%b\n%b" % (destination, headers, body)
        cdef Content content
        cdef Route route = self.broker.namespace.route_of(destination, len(destination))
        content.head = text
        content.head_length = len(text) - len(body) - 1
        content.body = content.head + content.head_length + 1
        content.body_length = len(body)
        content.seen = (SEEN_BACKSLASH if b"\\" in headers else 0) | (SEEN_CR if b"\\r" in headers else 0)
        content.seen |= SEEN_EMPTY if b":\n" in headers else 0
        content.opcode = 0
        content.properties = NULL
        content.shared = NULL
        self.broker.namespace.publish(route, &content, &self.origin)

    def share(self, amount):
        """Whoever is served next has so much output and work to cause."""
        self.broker.give_share(amount)

    def settle(self):
        """The end of what was read."""
        self.broker.fanout.settle()

    def must_wait(self):
        """Whether what was published filled an output, since the last time."""
        full = self.origin.full != NULL
        self.origin.full = NULL
        return full

    def turn(self):
        if self.broker.presence is not None:
            self.broker.presence.tell()
        self.broker.namespace.dispatch_due()
        publish_wills(self.broker)
        release_waiters(self.broker, &self.broker.namespace.relieved)

    def set_time_of_day(self, int64_t milliseconds):
        """Somebody sets it, forward or back."""
        self.wall += milliseconds
        clocks_set(&self.broker.census, self.wall, self.steady)

    def shelve(self, bytes name not None):
        """Somebody is going to walk along all that waits there."""
        shelve_all(<Queue>table_get(&self.broker.namespace.queues, name, len(name)))

    def walk(self, bytes name not None):
        """The bodies that are on the shelf, in order."""
        cdef Queue queue = <Queue>table_get(&self.broker.namespace.queues, name, len(name))
        cdef uint32_t at = shelf_from(&queue.shelf, 0)
        cdef Content content
        found = []
        while at != NOWHERE:
            message_content(queue.shelf.nodes[at].entry.message, &content)
            found.append(content.body[:content.body_length])
            at = shelf_from(&queue.shelf, queue.shelf.nodes[at].place + 1)
        return found

    def bytes_in(self, bytes name not None):
        """Of messages that wait there."""
        return (<Queue>table_get(&self.broker.namespace.queues, name, len(name))).bytes

    def move_messages(self):
        """Once around all who keep messages."""
        round_begin(&self.broker.blocks, 0)
        round_go_on(&self.broker.blocks, INT64_MAX)

    def advance(self, uint64_t milliseconds):
        cdef uint64_t end = self.broker.now + milliseconds
        while self.broker.now < end:
            self.broker.now += TICK
            self.wall += TICK
            self.steady += TICK
            clocks_set(&self.broker.census, self.wall, self.steady)
            wheel_advance(&self.broker.wheel, self.broker.now)
        self.turn()

    def report(self, uint64_t number):
        """The journal tells that it has made all records up to that number durable."""
        self.broker.report(number)

    def queue(self, bytes name not None):
        """(messages that wait or rest, that consumers have, consumers), or None if there is no such queue."""
        cdef void *found = table_get(&self.broker.namespace.queues, name, len(name))
        cdef Queue queue = None if found == NULL else <Queue>found
        return None if queue is None else (queue.held(), queue.unsettled, queue.consumer_count)

    def durable(self, bytes name not None):
        """The same of a durable or shared subscription."""
        cdef Queue queue = self.broker.namespace.durables.get(name)
        return None if queue is None else (queue.waiting(), queue.unsettled, queue.consumer_count)

    def policy(self, bytes name not None):
        """What counts for that queue."""
        cdef QueuePolicy policy = (<Queue>table_get(&self.broker.namespace.queues, name, len(name))).policy
        return {
            "ttl": policy.ttl, "max_ttl": policy.max_ttl, "max_messages": policy.max_messages,
            "max_bytes": policy.max_bytes, "overflow": policy.overflow, "idle_timeout": policy.idle_timeout,
            "idle_drops": bool(policy.idle_drops), "dies_with_consumer": bool(policy.dies_with_consumer),
            "dead_letter": policy.dead_letter, "dead_letter_expired": bool(policy.dead_letter_expired),
        }

    @property
    def durables(self):
        return sorted(self.broker.namespace.durables.by_name)

    @property
    def queued(self):
        return self.broker.namespace.queued()
    def history(self, bytes name not None):
        """(messages that are kept, their bytes, the number of the newest that was lost), or None if the topic keeps
        nothing."""
        cdef History history = self.broker.namespace.histories.find(name, len(name))
        return None if history is None else (history.count, history.bytes, history.lost)

    @property
    def kept(self):
        """(bytes of all histories and retained messages, how many histories wait for their time)"""
        cdef Histories histories = self.broker.namespace.histories
        return histories.bytes, histories.ageing

    def give_way(self):
        """A tick in which the ceiling is closed."""
        self.broker.namespace.histories.give_way()

    @property
    def stats(self):
        return dict(self.broker.census)

    @property
    def is_full(self):
        """(Whether SENDs have to wait, whether what is left for consumers is used up)"""
        return ceiling_closed(&self.broker.ceiling) != 0, ceiling_reached(&self.broker.ceiling) != 0


cdef class Client:
    cdef House house
    cdef Session session
    cdef OutBuf out
    cdef bytes kept         # what it has said and was not handled yet
    cdef readonly bytes greeting    # what its CONNECT was answered

    def __init__(self, House house not None, bytes version=b"1.2", str framing="", int frame_end=2,
                 bytes headers=b""):
        cdef Parser parser = Parser()
        parser.limits = &house.broker.parser_limits
        self.house = house
        outbuf_init(&self.out, &house.broker.outlets, <void *>self)
        self.session = session_new(house.broker, &self.out, parser, <void *>self)
        self.say(b"CONNECT\naccept-version:%b\nhost:x\n%b\n\0" % (version, headers))
        self.greeting = self.hear()
        self.out.framing = FRAMINGS[framing]
        self.out.swell = WRAPPED_SWELL if framing == "sockjs" else 1
        self.out.frame_end = frame_end if not framing else 1

    def __del__(self):
        self.leave()

    def leave(self):
        """The connection is lost."""
        if self.session is not None:
            link_leave(&self.session.go_on)     # as its connection does
            self.session.leave()
            link_leave(&self.session.go_on)
            release_waiters(self.house.broker, &self.out.flow.waiters)
            self.session = None
            outbuf_free(&self.out)

    def say(self, bytes frames not None, bint is_all=True):
        """One read, or with `is_all=False` the beginning of one. Raises Refused as the session does."""
        """One read, or with `is_all=False` the beginning of one. Raises Refused as the session does, unless its client
        asks for soft errors."""
        cdef const char *bytes
        cdef size_t used = 0
        cdef Broker broker = self.house.broker
        frames = (self.kept or b"") + frames
        self.kept = None
        if self.session.hold & HOLD_FULL:
            self.kept = frames
            return
        text = frames + b"\0" * SCAN_SLACK
        bytes = text
        self.session.parser.begin()
        while self.session.parser.next(bytes + used, len(frames) - used, &broker.frame) == PARSE_FRAME:
            try:
                self.session.on_frame(&broker.frame)
            except Refused as refusal:
                if self.session.soft is None:
                    raise
                self.session.refused(&broker.frame, refusal.args[0], refusal.args[1])
            if self.session.hold & HOLD_FULL:
                self.kept = frames[used:]
                break
            used += broker.frame.skipped + broker.frame.size
        if is_all:
            self.session.end_of_input()

    def hear(self):
        """All that its socket would get."""
        cdef const char *start = NULL
        cdef size_t length
        heard = []
        while outbuf_pending(&self.out):
            length = outbuf_peek(&self.out, &start, outbuf_pending(&self.out))
            heard.append(start[:length])
            outbuf_consume(&self.out, length)
            self.out.sent += length
        self.session.drained()
        if outbuf_pressure(&self.out) <= self.out.outlets.low:
            flow_ease(&self.out.flow, self.house.broker.now)
        return b"".join(heard)

    def records(self, bytes destination not None):
        """Its SENDs to that destination go to the journal, while it sends to no other."""
        cdef Recorded route = Recorded()
        route_init(route, destination, &self.house.broker.census, &self.house.broker.namespace.route_memory)
        route.house = self.house
        self.session.route = route

    def knows(self, bytes ack not None):
        """Whether this is the ack id of an unsettled delivery."""
        return self.session.ledger.find(ack, len(ack)) != NO_SLOT

    def knows_number(self, uint64_t number):
        return self.session.ledger.find_number(number, False) != NO_SLOT

    def has(self, bytes id not None, uint64_t number):
        """Whether that subscription has an unsettled delivery of that message."""
        return find_message(self.session.subscriptions.get(id), number) != NO_SLOT

    @property
    def noted(self):
        """(messages that an ACK may name, since the first that did; further deliveries of those)"""
        cdef Ledger ledger = self.session.ledger
        further = 0
        for slot in range(ledger.capacity if ledger.indexed else 0):
            further += ledger.slots[slot].state != DELIVERY_FREE and ledger.same[slot].previous != NO_SLOT
        return ledger.by_message.count, further

    def carry_on(self):
        """Its turn has come again."""
        self.session.carry_on()

    @property
    def unfinished(self):
        """Whether it has more to do than its share."""
        return bool(self.session.unfinished())

    def end(self):
        """Its session ends; the client is still there."""
        self.session.leave()

    def unpark(self):
        """What the turn does with a session whose frames wait for memory."""
        self.session.unpark()

    @property
    def parked(self):
        return 0 if self.session.parking is None else self.session.parking.size()

    @property
    def parked_for(self):
        """Milliseconds since a frame of its began to wait, or was handled that had waited."""
        return self.house.broker.now - self.session.parked_at

    @property
    def holds(self):
        return self.session.hold

    @property
    def pending(self):
        return outbuf_pending(&self.out)

    @property
    def is_slow(self):
        return self.out.flow.slow_since != 0

    def give_up(self):
        """Its grace is over, and its topic's policy is not to disconnect."""
        self.out.flow.overdue = True

    def be_doomed(self):
        outbuf_doom(&self.out, DOOM_OVERFLOW)

    @property
    def doom(self):
        return self.out.doom

    @property
    def messages(self):
        """How many were written to it."""
        return self.out.messages

    @property
    def backlog(self):
        return self.out.flow.backlog

    @property
    def charged(self):
        """Bytes in its account."""
        return self.session.account.bytes


def block(Client client not None, bint blocked=True):
    """Its socket takes less than there is, or everything again."""
    client.out.blocked = blocked
