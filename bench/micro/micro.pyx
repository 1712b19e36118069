"""Loops in C over the parts of the core that have no face to Python. Every `run` repeats one operation `rounds` times.

What goes to clients goes to an Output, which is emptied now and then as a socket would empty it.

Callgrind tells by the names of two functions what it shall count (instructions.py): all that happens inside
`micro_counted`, and only what happened since the last `micro_forgotten`. So no header of valgrind's is needed.
"""
import os

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Content, Frame, content_of, frame_free, frame_init
from fastbroker.core.journal cimport Store
from fastbroker.core.ledger cimport Ledger, ledger_new, put_ack
from fastbroker.core.message cimport (
    MIDDLE_SPACE, Entry, Message, message_drop, message_keep, message_new, put_message, put_middle,
)
from fastbroker.core.parser cimport PARSE_FRAME, Parser, ParserLimits
from fastbroker.core.queue cimport Queue, QueueRoute, put_back, queue_new, queue_route
from fastbroker.core.route cimport Origin, Route
from fastbroker.core.selector cimport Selector, selector_of
from fastbroker.core.settling cimport acknowledge
from fastbroker.core.subscription cimport ACK_AUTO, ACK_CLIENT_INDIVIDUAL, Subscription, subscription_new
from fastbroker.core.topic cimport TopicRoute
from fastbroker.core.trie cimport Matches, Trie, matches_free
from fastbroker.core.wire cimport (
    NUMBER_SPACE, SCAN_SLACK, USUAL_PRIORITY, Account, Census, Link, OutBuf, Properties, Text, outbuf_consume,
    outbuf_free, outbuf_init, outbuf_pending, put_number, ring_init, ring_take, text_free, wall_now,
)

from fastbroker.config import Config, hub_settings, policies_of

cdef extern from *:
    """
    #define FINDABLE __attribute__((noinline, visibility("default")))
    /* Keeps what precedes it from becoming a jump instead of a call, and an empty function from being left out. */
    #define STAY_A_FUNCTION() __asm__ volatile("" ::: "memory")

    FINDABLE PyObject *micro_counted(PyObject *function, PyObject *arguments);
    FINDABLE void micro_forgotten(void);

    PyObject *micro_counted(PyObject *function, PyObject *arguments) {
        PyObject *result = PyObject_Call(function, arguments, NULL);
        STAY_A_FUNCTION();
        return result;
    }

    void micro_forgotten(void) {
        STAY_A_FUNCTION();
    }
    """
    object micro_counted(object function, tuple arguments)
    void micro_forgotten()

cdef enum:
    EMPTY_EVERY = 64        # operations between two system calls
    DESTINATION_SPACE = 128
    SEGMENT = 67108864

cdef Census unmoved     # of whom the time of day is asked


def counted(function, *arguments):
    """Calls `function`; what it does is counted."""
    return micro_counted(function, arguments)


def forget():
    """What was counted before does not count."""
    micro_forgotten()


def make_broker():
    """A broker with default settings, without sockets."""
    settings = {**hub_settings(Config()), "max_connections": 0}
    return Broker(settings, policies_of(Config()), None, None, None, "fastbroker/bench")


cdef class Parsing:
    """Frames out of a buffer, as often as wanted."""
    cdef Parser parser
    cdef ParserLimits limits
    cdef Frame frame
    cdef char *bytes
    cdef size_t length

    def __cinit__(self, bytes stream not None, int version=12):
        self.limits.max_frame = self.limits.max_frame_before_login = 1 << 30
        self.limits.max_header_line = self.limits.max_header_block = 1 << 16
        self.limits.max_headers = 100
        frame_init(&self.frame, 100)
        self.parser = Parser()
        self.parser.limits = &self.limits
        self.parser.version = version
        self.length = len(stream)
        self.bytes = <char *>malloc(self.length + SCAN_SLACK)
        if self.bytes == NULL:
            raise MemoryError()
        memcpy(self.bytes, <const char *>stream, self.length)

    def __dealloc__(self):
        frame_free(&self.frame)
        free(self.bytes)

    def run(self, long rounds):
        """Parses the whole stream `rounds` times; returns how many frames that were."""
        cdef long frames = 0, i
        cdef size_t used
        for i in range(rounds):
            self.parser.begin()
            used = 0
            while self.parser.next(self.bytes + used, self.length - used, &self.frame) == PARSE_FRAME:
                used += self.frame.skipped + self.frame.size
                frames += 1
        return frames

    cdef int take_first(self) except -1:
        """Leaves the first frame in `frame`; run() leaves what it found behind the last one."""
        self.parser.begin()
        if self.parser.next(self.bytes, self.length, &self.frame) != PARSE_FRAME:
            raise ValueError("a frame is wanted")
        return 0


def match(Trie trie not None, list names not None, long rounds):
    """Matches each of the names `rounds` times; returns how many values were found."""
    cdef Matches found
    cdef long total = 0, i
    cdef bytes name
    memset(&found, 0, sizeof(found))
    for i in range(rounds):
        for name in names:
            found.count = 0
            trie.match(name, len(name), &found)
            total += <long>found.count
    matches_free(&found)
    return total


def look_up(Broker broker not None, list destinations not None, long rounds):
    """Looks each of the destinations up `rounds` times; the first time makes the route, as a first SEND does."""
    cdef Route route
    cdef bytes destination
    cdef long i
    for i in range(rounds):
        for destination in destinations:
            route = broker.namespace.route_of(destination, len(destination))
    return route.destination


def make_routes(Broker broker not None, bytes prefix not None, uint64_t first, long rounds):
    """Looks up `rounds` destinations that are not known yet: the prefix and a number from `first` on."""
    cdef char destination[DESTINATION_SPACE]
    cdef size_t length = len(prefix)
    cdef long i
    if length + NUMBER_SPACE > DESTINATION_SPACE:
        raise ValueError("the prefix is too long")
    memcpy(destination, <const char *>prefix, length)
    for i in range(rounds):
        broker.namespace.route_of(destination, length + put_number(destination + length, first + i))


cdef class Send:
    """What of a SEND frame travels on."""
    cdef Parsing parsing
    cdef Content content
    cdef Properties properties
    cdef Text scratch

    def __init__(self, bytes frame not None, int version=12, int priority=USUAL_PRIORITY, uint64_t lives=0):
        self.parsing = Parsing(frame, version)
        self.parsing.take_first()
        content_of(&self.parsing.frame, &self.scratch, NULL, 0, &self.content)
        if priority != USUAL_PRIORITY or lives:
            self.properties.priority = <unsigned char>priority
            self.properties.expires = wall_now(&unmoved) + lives if lives else 0
            self.content.properties = &self.properties

    def __dealloc__(self):
        text_free(&self.scratch)

    def run(self, long rounds):
        """Finds out `rounds` times what travels on."""
        cdef long i
        for i in range(rounds):
            content_of(&self.parsing.frame, &self.scratch, NULL, 0, &self.content)


cdef class Selecting:
    """One selector against one content."""
    cdef Send send
    cdef Selector selector
    cdef Census census

    def __init__(self, Send send not None, bytes selector not None):
        self.send = send
        self.selector = selector_of(selector, b"epoch", 1, &self.census)

    def run(self, long rounds):
        """Asks `rounds` times; returns how often it was wanted."""
        cdef long found = 0, i
        for i in range(rounds):
            found += self.selector.selects(&self.send.content, i, 1, &self.census.work)
        return found


cdef class Output:
    """Where a client's frames go; it takes everything."""
    cdef Broker broker
    cdef OutBuf out
    cdef Account account
    cdef Link starved

    def __init__(self, Broker broker not None):
        self.broker = broker
        self.account.total = &broker.census.memory
        outbuf_init(&self.out, &broker.outlets, <void *>self)
        ring_init(&self.starved)

    def __dealloc__(self):
        if self.broker is not None:
            outbuf_free(&self.out)

    @property
    def pending(self):
        return outbuf_pending(&self.out)

    cdef void empty(self) noexcept:
        outbuf_consume(&self.out, outbuf_pending(&self.out))


cdef Subscription subscribe(Output output, bytes id, bytes destination, int version, int ack_mode, uint32_t credit):
    cdef Broker broker = output.broker
    cdef Ledger ledger = ledger_new(&broker.census, &broker.ceiling, &output.account)
    cdef bytes epoch = broker.namespace.epoch
    cdef Subscription new = subscription_new(id, destination, epoch, version, ack_mode, &output.out, ledger,
                                             &output.starved, &output.account)
    new.credit.prefetch = credit
    new.credit.prefetch_bytes = broker.limits.prefetch_bytes
    return new


cdef class Encoding:
    """MESSAGE frames of one content for a subscriber of one version."""
    cdef Send send
    cdef Output output
    cdef Subscription subscription
    cdef Message *message

    def __init__(self, Broker broker not None, Send send not None, int version=12):
        self.send = send
        self.output = Output(broker)
        self.subscription = subscribe(self.output, b"0", b"/topic/a", version, ACK_AUTO, 1)
        self.message = message_new(&broker.census, &send.content, 1)

    def __dealloc__(self):
        if self.message != NULL:
            message_drop(self.message)

    def run(self, long rounds):
        cdef Subscription to = self.subscription
        cdef char middle[MIDDLE_SPACE]
        cdef size_t length
        cdef long i
        for i in range(rounds):
            length = put_middle(middle, i)
            put_message(to.out, to.prefix, to.prefix_length, middle, length, to.form, &self.send.content,
                        self.message)
            if i % EMPTY_EVERY == 0:
                self.output.empty()
        self.output.empty()


cdef class Subscribing:
    """Subscriptions to topics by pattern, all of one connection; they end when this is no longer needed."""
    cdef Broker broker
    cdef Output output
    cdef list subscriptions

    def __init__(self, Broker broker not None, list patterns not None):
        cdef bytes pattern
        self.broker = broker
        self.output = Output(broker)
        self.subscriptions = []
        for pattern in patterns:
            self._add(pattern)

    def __del__(self):
        """The broker points to them."""
        cdef Subscription subscription
        for subscription in self.subscriptions:
            self.broker.namespace.unsubscribe(subscription)

    cdef int _add(self, bytes pattern) except -1:
        cdef Subscription new = subscribe(self.output, b"0", pattern, 12, ACK_AUTO, 1000)
        self.broker.namespace.subscribe_topic(new, pattern)
        self.subscriptions.append(new)
        return 0


cdef class Publishing:
    """SENDs to one destination, with so many subscriptions on connections of their own."""
    cdef Broker broker
    cdef Send send
    cdef Route route
    cdef Origin origin
    cdef list outputs
    cdef list subscriptions

    def __init__(self, Send send not None, bytes destination not None, int subscribers, int version=12):
        self.broker = make_broker()
        self.send = send
        self.route = self.broker.namespace.route_of(destination, len(destination))
        self.outputs = [Output(self.broker) for _ in range(subscribers)]
        self.subscriptions = [self._subscribe(output, destination, version) for output in self.outputs]

    cdef Subscription _subscribe(self, Output output, bytes destination, int version):
        cdef Subscription new = subscribe(output, b"0", destination, version, ACK_AUTO, 1000)
        if isinstance(self.route, TopicRoute):
            self.broker.namespace.subscribe_topic(new, (<TopicRoute>self.route).name)
        else:
            self.broker.namespace.subscribe_queue(new, (<QueueRoute>self.route).queue)
        return new

    def __del__(self):
        """The broker points to the subscriptions."""
        cdef Subscription subscription
        for subscription in self.subscriptions:
            self.broker.namespace.unsubscribe(subscription)

    def run(self, long rounds):
        """Publishes `rounds` times; returns the bytes that this wrote."""
        cdef Output output
        cdef long i
        cdef long long written = 0
        for i in range(1, rounds + 1):
            self.broker.namespace.publish(self.route, &self.send.content, &self.origin)
            if i == rounds:
                self.broker.fanout.settle()
            if i % EMPTY_EVERY == 0 or i == rounds:
                for output in self.outputs:
                    written += <long long>outbuf_pending(&output.out)
                    output.empty()
        return written


cdef class Queueing:
    """A queue and one consumer that settles what it gets, by ack id as a client does."""
    cdef Broker broker
    cdef Send send
    cdef Output output
    cdef Queue queue
    cdef QueueRoute route
    cdef Origin origin
    cdef Subscription consumer

    def __init__(self, Send send not None, int credit):
        self.broker = make_broker()
        self.send = send
        self.output = Output(self.broker)
        self.queue = queue_new(b"a", self.broker.namespace, self.broker.namespace.policies.usual_queue)
        self.route = queue_route(b"/queue/a", self.queue)
        self.consumer = subscribe(self.output, b"0", b"/queue/a", 12, ACK_CLIENT_INDIVIDUAL, credit)
        self.consumer.source = self.queue

    cdef int _settle_first(self, Subscription consumer) except -1:
        """What an ACK does, its look-up by ack id included."""
        cdef char ack[MIDDLE_SPACE]
        cdef uint32_t slot = consumer.credit.first
        cdef size_t length = put_ack(ack, slot, consumer.ledger.slots[slot].generation)
        if consumer.ledger.find(ack, length) != slot:
            raise LookupError("the ledger does not know its own ack id")
        return acknowledge(consumer, slot)

    def deliver_and_settle(self, long rounds):
        """Messages that come one by one to a consumer with credit, and are acknowledged."""
        cdef long i
        self.queue.add_consumer(self.consumer)
        for i in range(rounds):
            self.broker.namespace.publish(self.route, &self.send.content, &self.origin)
            self._settle_first(self.consumer)
            if i % EMPTY_EVERY == 0:
                self.output.empty()
        self._leave()

    def fill_and_drain(self, long rounds):
        """Messages that wait for a consumer, then go to it a credit's worth at a time."""
        cdef long i
        for i in range(rounds):
            self.broker.namespace.publish(self.route, &self.send.content, &self.origin)
        self.queue.add_consumer(self.consumer)
        while self.queue.waiting():
            self.queue.dispatch()
            self.output.empty()
            while self.consumer.credit.outstanding:
                self._settle_first(self.consumer)
        self._leave()

    def give_back_and_take(self, long rounds):
        """Messages that come back in no order, and are taken again in theirs."""
        cdef Message *message = message_new(&self.broker.census, &self.send.content, 1)
        cdef Entry entry
        cdef long i
        memset(&entry, 0, sizeof(entry))
        entry.message = message
        for i in range(rounds):
            entry.number = (<uint64_t>i * 7919) % 1000003
            message_keep(message)
            put_back(self.queue, &entry)
        while self.queue.take_first(&entry):
            message_drop(entry.message)
        message_drop(message)

    cdef int _leave(self) except -1:
        self.output.empty()
        self.queue.remove_consumer(self.consumer)
        while ring_take(&self.broker.due) != NULL:
            pass
        return 0


cdef class Kept(Store):
    """A journal's store that keeps nothing: a group is durable when the broker asks the next time, as if a disk took no
    longer than a turn."""
    cdef uint64_t given
    cdef uint64_t told
    cdef uint64_t segment
    cdef object ready       # both ends of a pipe that has something to read, always

    def __init__(self):
        self.ready = os.pipe()
        os.write(self.ready[1], b"!")

    def __dealloc__(self):
        for end in self.ready:
            os.close(end)

    def fileno(self):
        return self.ready[0]

    @property
    def news(self):
        """Whether there is anything that the broker has not heard."""
        return self.given != self.told

    def hear(self):
        self.told = self.given

    cdef bint idle(self) noexcept:
        return self.given == self.told

    cdef uint64_t segment_size(self) noexcept:
        return SEGMENT

    cdef int append(self, char *run, size_t length, uint64_t number, bint sync, bint fresh) except -1:
        self.segment += fresh
        self.given = number
        return 0

    cdef uint64_t durable(self) noexcept:
        return self.told

    cdef uint64_t written(self) noexcept:
        return self.told
