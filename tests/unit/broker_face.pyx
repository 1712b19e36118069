"""A face to Python of the rooms between a frame and an output: a broker whose clients have a session, but no socket.

A client says frames and hears what would go to its socket; turns, and the clock, come when the test wants them.
"""
cimport cython
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport malloc, qsort
from libc.string cimport memcpy, memset

from fastbroker.core.broker cimport Broker
from fastbroker.core.carrying cimport carry_on
from fastbroker.core.frame cimport Content
from fastbroker.core.history cimport Histories, History
from fastbroker.core.journal cimport (
    PLACE_UNIT, READER_FETCH, READER_LOCATE, RECORD_ADDED, RECORD_IN_TRANSACTION, RECORD_MORE, RECORD_NOTHING,
    RECORD_SHARED, Located, Record, Store, record_size,
)
from fastbroker.core.ledger cimport DELIVERY_FREE, NO_SLOT, Ledger
from fastbroker.core.message cimport message_content
from fastbroker.core.namespace cimport keep, queued
from fastbroker.core.parser cimport PARSE_FRAME, Parser
from fastbroker.core.policy cimport QueuePolicy
from fastbroker.core.queue cimport Queue, shelve_all
from fastbroker.core.recovery cimport recover
from fastbroker.core.route cimport Origin, Route, route_init
from fastbroker.core.session cimport HOLD_FULL, Session, release_waiters, session_new
from fastbroker.core.settling cimport find_message
from fastbroker.core.shelf cimport NOWHERE, shelf_from
from fastbroker.core.space cimport segment_after
from fastbroker.core.spilling cimport call_starved, hear_fetched, spill_on
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

cdef extern from "csrc/picking.h" nogil:
    struct Staying:
        unsigned char *bits
    void staying_add(Staying *staying, uint64_t number)
    bint is_picked(const Record *record, const Staying *staying)


QUEUE_SETTINGS = (
    "max_deliveries", "dead_letter", "redelivery_delay", "redelivery_multiplier", "redelivery_max_delay",
    "redelivery_jitter",
)
FRAMINGS = {"": FRAMING_NONE, "websocket": FRAMING_WEBSOCKET, "sockjs": FRAMING_SOCKJS}


cdef class MemoryStore(Store):
    """Groups of records that are kept when the test wants it, and read by the next broker."""
    cdef readonly list groups       # (segment, bytes) of each
    cdef uint64_t segment           # of the last one
    cdef list forgotten             # segments that go with the group that is on its way
    cdef list asked                 # a segment that was to be picked from
    cdef readonly uint64_t kept     # so many of them are durable
    cdef readonly uint64_t done     # ... and so many were given
    cdef readonly bint busy
    cdef readonly bint sync         # the last one was to be on the disk before anybody hears of it
    cdef list pending               # those that are still to be read, and ...
    cdef bytes reading              # ... the one that is
    cdef readonly uint64_t base     # of that in its segment
    cdef readonly uint64_t locating # a segment
    cdef readonly list fetching     # (segment, places) that are asked for
    cdef public bint slow           # nothing is fetched yet
    cdef public bint short          # there is no memory for what is fetched
    cdef public set lost            # places that cannot be read
    cdef readonly uint64_t fetches
    cdef const Record *records[4096]

    def __init__(self, groups=()):
        self.groups = list(groups)
        self.pending = list(groups)
        self.segment = self.groups[len(self.groups) - 1][0] if groups else 0
        self.forgotten = []
        self.asked = []
        self.lost = set()

    def finish(self):
        """What it was given is durable."""
        self.kept = self.done
        self.busy = False
        self.groups = [each for each in self.groups if each[0] not in self.forgotten]
        self.forgotten = []

    def survivor(self, more=0):
        """A store with what would be left now, and some of the groups that are on their way, if there are any."""
        return MemoryStore(self.groups[:len(self.groups) - self.busy * (not more)])

    cdef long read(self, const Record ***records) except -1:
        cdef size_t at = 0
        cdef const Record *record
        cdef long count = 0
        records[0] = self.records
        while self.pending and count == 0:
            self.base = self.base + len(self.reading) if self.reading and self.pending[0][0] == self.segment else 0
            self.segment, self.reading = self.pending.pop(0)
            at = 0
            while at < <size_t>len(self.reading):
                record = <const Record *>(<const char *>self.reading + at)
                at += record_size(record.length)
                if record.kind != RECORD_NOTHING:
                    assert count < 4096
                    self.records[count] = record
                    count += 1
        return count

    cdef bint idle(self) noexcept:
        return not self.busy

    @property
    def segments(self):
        return sorted({each for each, _ in self.groups})

    cdef uint64_t read_from(self) noexcept:
        return self.segment

    cdef uint32_t place_of(self, const Record *record) noexcept:
        return <uint32_t>((self.base + <size_t>(<const char *>record - <const char *>self.reading)) // PLACE_UNIT)

    def content_of(self, segment):
        return b"".join([group for each, group in self.groups if each == segment])

    cdef int ask(self, int task, uint64_t segment, const uint32_t *places, size_t count) except -1:
        if task == READER_FETCH:
            self.fetching = [segment, [places[i] for i in range(count)]]
            self.fetches += 1
        elif task == READER_LOCATE:
            self.locating = segment
        else:
            self.asked.append(segment)
        return 0

    cdef bint answer(self, int task, char **found, size_t *length) noexcept:
        if task == READER_FETCH:
            return self.fetched(found, length)
        return self.located(found, length) if task == READER_LOCATE else self.picked(found, length)

    cdef bint located(self, char **answer, size_t *length) noexcept:
        cdef bytes content = self.content_of(self.locating)
        cdef const Record *record
        cdef const char *payload
        cdef size_t at = 0, found = 0
        cdef dict places = {}
        cdef Located *located = <Located *>malloc(sizeof(Located) * (<size_t>len(content) // 16 + 1))
        while at < <size_t>len(content):
            record = <const Record *>(<const char *>content + at)
            payload = <const char *>(record + 1) + (8 if record.flags & RECORD_IN_TRANSACTION else 0)
            if record.kind == RECORD_ADDED or record.kind == RECORD_SHARED:
                id = (<const uint64_t *>payload)[0]
                if record.kind == RECORD_ADDED:
                    places[id] = at // PLACE_UNIT
                if id in places:
                    located[found] = Located(id, (<const uint32_t *>payload)[4], places[id])
                    found += 1
            at += record_size(record.length)
        qsort(located, found, sizeof(Located), by_id)
        answer[0] = <char *>located
        length[0] = found * sizeof(Located)
        return True

    cdef bint fetched(self, char **found, size_t *length) noexcept:
        cdef bytes all
        if self.slow:
            return False
        if self.short:
            found[0] = NULL
            return True
        all = b"".join([self.record_at(self.fetching[0], place) for place in self.fetching[1]])
        found[0] = <char *>malloc(len(all) + 1)
        memcpy(found[0], <const char *>all, len(all))
        length[0] = len(all)
        return True

    def place_of_body(self, begin):
        """Of the last record whose body begins so."""
        found = [(segment, self.content_of(segment).rfind(b"\n" + begin)) for segment in self.segments]
        segment, at = max(each for each in found if each[1] >= 0)
        content = self.content_of(segment)
        place = 0
        while place + record_size((<const Record *>(<const char *>(<bytes>content) + <size_t>place)).length) <= at:
            place += record_size((<const Record *>(<const char *>(<bytes>content) + <size_t>place)).length)
        return place // PLACE_UNIT

    def record_at(self, segment, place):
        """As csrc/reader.h draws it."""
        cdef bytes content = self.content_of(segment), payload = b""
        cdef size_t at = place * PLACE_UNIT
        cdef const Record *record
        if at >= <size_t>len(content) or place in self.lost:
            return bytes(8)
        record = <const Record *>(<const char *>content + at)
        tagged = 8 if record.flags & RECORD_IN_TRANSACTION else 0
        assert record.kind == RECORD_ADDED
        while True:
            payload += (<const char *>(record + 1))[:record.length]
            at += record_size(record.length)
            record = <const Record *>(<const char *>content + at)
            if at >= <size_t>len(content) or record.kind != RECORD_MORE:
                break
        payload = payload[tagged:]
        return len(payload).to_bytes(4, "little") + b"\1\0\0\0" + payload + bytes(7 - (len(payload) + 7) % 8)

    cdef uint64_t segment_size(self) noexcept:
        return 20000

    cdef bint is_long(self) noexcept:
        return sum([each == self.segment for each, _ in self.groups]) >= 3

    cdef int forget(self, uint64_t segment) except -1:
        self.forgotten.append(segment)
        return 0

    cdef bint picked(self, char **answer, size_t *length) noexcept:
        cdef Staying staying
        cdef const Record *record
        cdef char *found
        if not self.asked:
            return False
        segment = self.asked.pop()
        memset(&staying, 0, sizeof(staying))
        for each, _ in self.groups:
            if each != segment:
                staying_add(&staying, each)
        kept = b""
        for each, group in self.groups:
            at = 0
            while each == segment and at < len(group):
                record = <const Record *>(<const char *>(<bytes>group) + <size_t>at)
                size = record_size(record.length)
                if record.kind != RECORD_NOTHING and is_picked(record, &staying):
                    kept += group[at:at + size]
                at += size
        found = <char *>malloc(len(kept) + 1)
        memcpy(found, <const char *>kept, len(kept))
        length[0] = len(kept)
        answer[0] = found
        return True

    cdef int append(self, char *run, size_t length, uint64_t number, bint sync, bint fresh) except -1:
        assert not self.busy
        if fresh:
            self.segment = segment_after(self.segment)
        self.groups.append((self.segment, run[:length]))
        sync = sync or bool(self.forgotten)
        assert number == self.done + 1
        self.done, self.busy, self.sync = number, sync, sync
        if not sync:
            self.kept = max(self.kept, number - 1)
        return 0

    cdef uint64_t durable(self) noexcept:
        return self.kept

    cdef uint64_t written(self) noexcept:
        return self.done - self.busy


cdef int by_id(const void *a, const void *b) noexcept nogil:
    cdef const Located *one = <const Located *>a
    cdef const Located *other = <const Located *>b
    if one.id != other.id:
        return -1 if one.id < other.id else 1
    return (one.queue > other.queue) - (one.queue < other.queue)


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
    cdef readonly object found      # what the journal had kept
    cdef readonly uint64_t wall     # the time of day; it goes on only as the clock does, and so does ...
    cdef uint64_t steady            # ... the clock that nobody sets

    def __init__(self, policies=(), authorize=None, queues=(), cron=None, presence=(), authenticate=None,
                 Store store=None, wall=0, **settings):
        settings = {**hub_settings(Config()), "max_connections": 0, **settings}
        self.log = []
        usual = {name: settings.pop(name) for name in QUEUE_SETTINGS if name in settings}
        queues = [*queues, ("#", usual)] if usual else queues
        topics = settings.pop("topics", []) + [(pattern, {"slow_consumer": slow}) for pattern, slow in policies]
        topics = [(pattern, {"presence": True}) for pattern in presence] + [*topics]
        policies = Policies(queues, topics)
        self.broker = Broker(settings, policies, authenticate, authorize, self.note, "fastbroker/test", b"epoch",
                             cron=cron, journal=None if store is None else (store, 8, 1))
        self.wall = wall or wall_now(&self.broker.census)
        self.steady = steady_now(&self.broker.census)
        clocks_set(&self.broker.census, self.wall, self.steady)
        self.found = None if store is None else recover(self.broker.journal, self.broker.namespace)
        if store is not None:
            store.start()
            keep(self.broker.namespace)     # before anybody comes
            if isinstance(store, MemoryStore):
                store.finish()

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
        if self.broker.journal is not None:
            keep(self.broker.namespace)
            fetch(self)

    def carry_on(self):
        """As a tick does."""
        carry_on(self.broker.journal, &self.broker.census, 5000, True)






    def hear_store(self):
        """The store has told that it has finished."""
        self.broker.report(self.broker.journal.store.durable(), self.broker.journal.store.written())
        self.broker.journal.full = self.broker.journal.store.full() != 0

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
        self.broker.report(number, number)

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
        return queued(self.broker.namespace)
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

    @property
    def stats(self):
        return dict(self.broker.census)

    @property
    def is_full(self):
        """(Whether SENDs have to wait, whether what is left for consumers is used up)"""
        return ceiling_closed(&self.broker.ceiling) != 0, ceiling_reached(&self.broker.ceiling) != 0


def give_way(House house not None):
    """A tick in which the ceiling is closed."""
    house.broker.namespace.histories.give_way()


def fetch(House house not None):
    """What was asked for comes, and so on, unless the store is slow."""
    store = house.broker.journal.store
    while house.broker.namespace.fetching.running is not None and not getattr(store, "slow", False):
        hear_fetched(house.broker.spilling)
        house.broker.namespace.dispatch_due()


def spill(House house not None, messages=1000):
    """As a tick does."""
    spill_on(house.broker.spilling, messages)
    call_starved(house.broker.spilling)


def away_in(House house not None, bytes name not None):
    """Bytes of messages that wait there and are only in the store."""
    return (<Queue>table_get(&house.broker.namespace.queues, name, len(name))).away


def store_is_idle(House house not None):
    """Whether its store takes more, and nothing waits for that."""
    return house.broker.journal.store.idle() and house.broker.journal.run.used == 0


def disk_is_full(House house not None):
    """Whether its store has no space for messages, or it has heard that and nothing else yet."""
    return house.broker.journal.full or house.broker.journal.store.full() != 0



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
