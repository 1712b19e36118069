"""The broker: what a destination means, and where a message goes.

    /topic/<name>               every subscription whose pattern matches
    /queue/<name>, <name>       the next consumer with credit
    /exchange/amq.topic/<name>  the topic, as RabbitMQ's clients call it
    /amq/queue/<name>           the queue, which must exist
    /temp-queue/<id>            a queue of the own connection (session.pyx)
    /reply-queue/<token>        such a queue seen from the others
"""
import secrets

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastbroker.core.batch cimport Batch
from fastbroker.core.frame cimport Content, frame_free, frame_init, head_in_form
from fastbroker.core.message cimport (
    SHARED_BODY, Entry, Message, message_content, message_drop, message_keep, message_new, needs_other_form, put_message,
)
from fastbroker.core.parser cimport Parser
from fastbroker.core.queue cimport Queue, queue_new
from fastbroker.core.route cimport (
    POLICY_DISCONNECT, POLICY_DROP_NEWEST, POLICY_DROP_OLDEST, ROUTE_NOWHERE, ROUTE_QUEUE, ROUTE_TOPIC, Route,
    route_new,
)
from fastbroker.core.subscription cimport ACK_AUTO, Subscription
from fastbroker.core.table cimport TableSlot, hash_seed, table_free, table_get, table_init, table_next, table_put, table_remove
from fastbroker.core.trie cimport Trie, is_pattern, pattern_error, pattern_matches
from fastbroker.core.wire cimport (
    DOOM_SLOW, counter_increment, counter_init, counter_line, OutBuf, link_join, link_joined,
    outbuf_commit, outbuf_doom, outbuf_pending, outbuf_pressure, outbuf_push, outbuf_reserve, outbuf_touch, outbuf_touch_bulk,
    pool_free, ring_init, ring_take, text_free, timer_arm, timer_init, wheel_init,
)

cdef enum:
    ROUTE_COST = 256        # bytes of a route beside its names
    ROUTES_SHARE = 16       # looked-up destinations may take this part of the memory; then all are forgotten
    FEW = 2                 # subscribers that are written to at once; for more, messages are put into a batch
    CACHE = 1048576         # bytes; output for all subscribers that does not fit is sent to each as it is written
    BULK = 256              # subscribers from which on a fan-out is flushed in slices

POLICIES = {"disconnect": POLICY_DISCONNECT, "drop-oldest": POLICY_DROP_OLDEST, "drop-newest": POLICY_DROP_NEWEST}

DESTINATIONS = (
    b"Destinations are /topic/<name>, /queue/<name> or a bare name for a queue, /temp-queue/<id>, "
    b"/exchange/amq.topic/<name> and /amq/queue/<name>."
)


class Refused(Exception):
    """A frame that cannot be processed: (message, body) of the ERROR frame, as bytes."""


cdef class Broker:
    """Settings are those of docs/configuration.md; `policies` are (pattern, name) pairs, the first match wins."""

    def __cinit__(self):
        ring_init(&self.due)
        ring_init(&self.released)
        ring_init(&self.parking)
        ring_init(&self.outlets.dirty)
        ring_init(&self.outlets.bulk)
        self.outlets.census = &self.census
        self.now = 1
        counter_init(&self.number)
        wheel_init(&self.wheel, self.now)
        table_init(&self.routes, hash_seed(int.from_bytes(secrets.token_bytes(8), "little")))
        table_init(&self.queues, hash_seed(int.from_bytes(secrets.token_bytes(8), "little")))

    def __init__(self, settings, policies, authenticate, authorize, log, server):
        self._take_limits(settings)
        frame_init(&self.frame, self.parser_limits.max_headers)
        self.policies = [(pattern.encode(), POLICIES[policy]) for pattern, policy in policies]
        self.dead_letter = settings["dead_letter"].encode()
        self.authenticate = authenticate
        self.authorize = authorize
        self.log = log
        self.server = server.encode()
        self.boot = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(8)).encode()
        self.topics = Trie()
        self.batch = Batch()
        self.parser = Parser()
        self.parser.limits = &self.parser_limits
        self.replies = {}
        self.form_heads = [b"", b""]
        self.short_sessions = set()

    def __dealloc__(self):
        forget_all(&self.routes)
        forget_all(&self.queues)
        frame_free(&self.frame)
        text_free(&self.scratch)
        pool_free(&self.outlets)

    def _take_limits(self, settings):
        for name in ("login_timeout", "idle_timeout", "outbound_timeout", "slow_consumer_grace", "transaction_timeout",
                     "queue_idle_timeout", "nack_delay", "linger", "frame_timeout"):
            settings = {**settings, name: int(settings[name] * 1000)}
        settings["max_failures"] = settings.pop("max_deliveries")
        self.limits = {key: settings[key] for key in LIMIT_NAMES}
        self.parser_limits.max_frame = settings["max_frame"]
        self.parser_limits.max_frame_before_login = settings["max_frame_before_login"]
        self.parser_limits.max_line = settings["max_header_line"]
        self.parser_limits.max_head = settings["max_header_block"]
        self.parser_limits.max_headers = settings["max_headers"]
        self.parser_limits.strict = settings["strict"]
        self.parser_limits.lenient_length = settings["lenient_content_length"]
        self.outlets.soft = settings["outbound_soft"]
        self.outlets.low = self.outlets.soft // 2
        self.outlets.hard = settings["outbound_hard"]
        self.outlets.own = (self.outlets.soft + self.outlets.hard) // 2

    # ---- destinations ----

    cdef Route route_of(self, const char *destination, size_t length):
        """Where a decoded destination leads; raises Refused when it leads nowhere or is a pattern."""
        cdef void *found = table_get(&self.routes, destination, length)
        cdef Route route
        if found == NULL:
            return self._new_route(destination[:length])
        route = <Route>found
        if route.kind == ROUTE_QUEUE and route.queue.removed:
            route.queue = self.queue_of(route.name)
        return route

    cdef Route _new_route(self, bytes destination):
        cdef int kind
        cdef bytes name
        cdef Route route
        if destination.startswith(b"/reply-queue/"):
            return self._reply_route(destination)
        kind, name = target_of(destination)
        route = route_new(kind, destination, name, &self.census)
        if kind == ROUTE_TOPIC:
            check_name(name, self.limits.max_levels)
            route.policy = self._policy(name)
            route.rematch(self.topics)
            self._cache(route)
        elif destination.startswith(b"/amq/queue/"):
            route.queue = self.existing_queue(name)
        else:
            route.queue = self.queue_of(name)
            self._cache(route)
        return route

    cdef Route _reply_route(self, bytes destination):
        cdef Queue queue = self.replies.get(destination)
        cdef Route route = route_new(ROUTE_NOWHERE if queue is None else ROUTE_QUEUE, destination, destination,
                                     &self.census)
        route.queue = queue
        return route

    cdef int _cache(self, Route route) except -1:
        cdef int64_t cost = route_cost(route.destination)
        if self.route_memory + cost > self.limits.memory // ROUTES_SHARE:
            self.census.memory -= self.route_memory
            self.route_memory = 0
            forget_all(&self.routes)
        if table_put(&self.routes, route.destination, len(route.destination), <void *>route) < 0:
            raise MemoryError()
        Py_INCREF(route)
        self.route_memory += cost
        self.census.memory += cost
        return 0

    cdef uint8_t _policy(self, bytes name):
        for pattern, policy in self.policies:
            if pattern_matches(<bytes>pattern, len(pattern), name, len(name)):
                return policy
        return POLICY_DISCONNECT

    # ---- publishing ----

    cdef int publish(self, Route route, const Content *content) except -1:
        """One SEND, to whoever gets it. Afterwards `blocking` is a subscriber that the publisher must wait for."""
        counter_increment(&self.number)
        self.census.messages_in += 1
        self.blocking = NULL
        if self.batch.count and self.batch.route is not route:
            self.deliver_batch()
        if route.kind == ROUTE_TOPIC:
            return self._publish_topic(route, content)
        if route.kind == ROUTE_QUEUE and not route.queue.removed:
            route.queue.offer(content, self.number.value)
        return 0

    cdef int _publish_topic(self, Route route, const Content *content) except -1:
        cdef const char *middle
        cdef size_t length
        cdef Message *message = NULL
        cdef Content stored
        cdef size_t i
        if route.generation != self.topics.generation:
            route.rematch(self.topics)
        if route.matches.count > FEW and content.body_length < SHARED_BODY:
            return self.deliver_batch() if self.batch.add(route, content, &self.number) else 0
        middle = counter_line(&self.number, &length)
        if route.matches.count > 1 and content.body_length >= SHARED_BODY:
            message = message_new(&self.census, content, self.number.value)
            message_content(message, &stored)
            content = &stored   # outputs will point into it
        try:
            for i in range(route.matches.count):
                self._deliver(<Subscription>route.matches.items[i], route, content, middle, length, self.number.value,
                              &message)
        finally:
            if message != NULL:
                message_drop(message)
        return 0

    cdef int deliver_batch(self) except -1:
        """What was published to a topic with many subscribers goes to all of them. Nothing may be put off any longer."""
        cdef Batch batch = self.batch
        cdef Route route = batch.route
        cdef bint large = batch.tails.end * route.matches.count > CACHE
        cdef size_t i
        try:
            for i in range(route.matches.count):
                if not batch.needs_other_form((<Subscription>route.matches.items[i]).version):
                    self._deliver_tails(<Subscription>route.matches.items[i], route, large)
            if batch.seen:
                self._deliver_in_forms(route)
        finally:
            batch.clear()
        return 0

    cdef int _deliver_tails(self, Subscription subscription, Route route, bint large) except -1:
        """All of the batch to one subscription: its prefix and a tail, again and again, in one piece."""
        cdef Batch batch = self.batch
        cdef OutBuf *out = subscription.out
        cdef size_t size = batch.count * subscription.prefix_length + batch.tails.end
        cdef char *room
        cdef uint32_t i
        if self._must_wait(subscription, size):
            return self._deliver_singly(subscription, route)
        room = outbuf_reserve(out, size)
        if room == NULL:
            return 0
        for i in range(batch.count):
            memcpy(room, subscription.prefix, subscription.prefix_length)
            room += subscription.prefix_length
            memcpy(room, batch.middle(i), batch.items[i].length)
            room += batch.items[i].length - 2 + out.frame_end
        outbuf_commit(out, room)
        if route.matches.count > BULK:
            outbuf_touch_bulk(out)
        else:
            outbuf_touch(out)
        if large:
            outbuf_push(out, size)
        self.census.messages_out += batch.count
        self.census.bytes_out += <Py_ssize_t>size
        if outbuf_pressure(out) > self.outlets.soft:
            self._weigh(out, route)
        return 0

    cdef int _deliver_singly(self, Subscription subscription, Route route) except -1:
        cdef uint32_t i
        for i in range(self.batch.count):
            self._deliver_one(subscription, route, i)
        return 0

    cdef int _deliver_in_forms(self, Route route) except -1:
        """To those who read header lines in an older form: message by message, so that each is put together once."""
        cdef uint32_t i
        cdef size_t j
        for i in range(self.batch.count):
            for j in range(route.matches.count):
                if self.batch.needs_other_form((<Subscription>route.matches.items[j]).version):
                    self._deliver_one(<Subscription>route.matches.items[j], route, i)
        return 0

    cdef int _deliver_one(self, Subscription subscription, Route route, uint32_t i) except -1:
        cdef Content content
        self.batch.content(i, &content)
        return self._deliver(subscription, route, &content, self.batch.middle(i), self.batch.items[i].middle_length,
                             self.batch.items[i].number, &self.batch.items[i].message)

    cdef int _deliver(self, Subscription subscription, Route route, const Content *content, const char *middle,
                      size_t length, uint64_t number, Message **message) except -1:
        """One topic message to one subscription; `message` is the stored copy, made when first needed."""
        cdef OutBuf *out = subscription.out
        if self._must_wait(subscription, subscription.prefix_length + length + content.head_length
                           + content.body_length + 3):
            return self._deliver_private(subscription, route, content, number, message)
        if needs_other_form(content, subscription.version):
            content = self._in_form(content, subscription.version, number)
        put_message(out, subscription.prefix, subscription.prefix_length, middle, length, subscription.version,
                    content, message[0] if content.body_length >= SHARED_BODY else NULL)
        outbuf_touch(out)
        self.census.messages_out += 1
        self.census.bytes_out += <Py_ssize_t>(content.head_length + content.body_length)
        if outbuf_pressure(out) > self.outlets.soft:
            self._weigh(out, route)
        return 0

    cdef const Content *_in_form(self, const Content *content, int version, uint64_t number) except NULL:
        """The content for receivers of an older version, put together once per message."""
        cdef Form *form = &self.forms[version - 10]
        if form.number != number:
            form.number = number
            self.form_heads[version - 10] = head_in_form(content.head, content.head_length, version)
            form.content = content[0]
            form.content.head = <bytes>self.form_heads[version - 10]
            form.content.head_length = len(<bytes>self.form_heads[version - 10])
            form.content.seen = 0
        return &form.content

    cdef bint _must_wait(self, Subscription subscription, size_t size) noexcept:
        """Whether a message goes to the subscription's own queue: it acknowledges, has too much before it, or is too slow."""
        cdef OutBuf *out = subscription.out
        if subscription.source is not None and (
                subscription.ack_mode != ACK_AUTO or (<Queue>subscription.source).waiting()):
            return True
        return out.overdue or outbuf_pending(out) + size > self.outlets.hard

    cdef int _deliver_private(self, Subscription subscription, Route route, const Content *content,
                              uint64_t number, Message **message) except -1:
        """To the subscription's own queue: it acknowledges what it gets, or it was too slow and may lose messages."""
        cdef OutBuf *out = subscription.out
        cdef Queue queue
        cdef Entry oldest
        if out.doom:
            return 0
        if out.overdue and route.policy == POLICY_DISCONNECT and outbuf_pressure(out) > self.outlets.soft:
            outbuf_doom(out, DOOM_SLOW)
            return 0
        if out.overdue and route.policy == POLICY_DROP_NEWEST and outbuf_pressure(out) > self.outlets.soft:
            self.census.dropped += 1
            return 0
        if subscription.source is None:
            queue = self.new_queue(None)
            queue.backlog = &out.backlog
            subscription.source = queue
            queue.add_consumer(subscription)
        queue = <Queue>subscription.source
        if message[0] == NULL:
            message[0] = message_new(&self.census, content, number)
        message_keep(message[0])
        queue.push(message[0])
        if out.overdue and route.policy == POLICY_DROP_OLDEST:
            while out.backlog > self.outlets.soft and queue.waiting() > 1 and queue.take(&oldest):
                message_drop(oldest.message)
                self.census.dropped += 1
        queue.dispatch()
        if outbuf_pressure(out) > self.outlets.soft:
            self._weigh(out, route)
        return 0

    cdef int _weigh(self, OutBuf *out, Route route) except -1:
        """Too much waits for this connection: publishers hold back until it has drained or the grace is over."""
        if out.slow_since == 0:
            out.slow_since = self.now
            out.policy = route.policy
            outbuf_touch(out)
        if not out.overdue:
            self.blocking = out
        return 0

    # ---- subscribing ----

    cdef int subscribe_topic(self, Subscription subscription, bytes pattern) except -1:
        cdef Queue queue
        cdef const char *wrong = pattern_error(pattern, len(pattern), self.limits.max_levels)
        if wrong != NULL:
            raise Refused(b"bad destination", b"The pattern is not valid: %b." % <bytes>wrong)
        if subscription.ack_mode != ACK_AUTO:
            queue = self.new_queue(None)
            queue.backlog = &subscription.out.backlog
            subscription.source = queue
            queue.add_consumer(subscription)
        self.topics.insert(pattern, len(pattern), &subscription.entry)
        return 0

    cdef int unsubscribe(self, Subscription subscription) except -1:
        """No more messages for it. What it did not settle must have gone back to its queue before."""
        cdef Queue queue = subscription.source
        subscription.closed = True
        self.topics.remove(&subscription.entry)
        if queue is not None:
            queue.remove_consumer(subscription)
            if queue.name is None:
                queue.purge()
            else:
                self.left(queue)
        return 0

    # ---- queues ----

    cdef Queue queue_of(self, bytes name):
        """The queue of that name; a new one if there is none and there is memory."""
        cdef void *found = table_get(&self.queues, name, len(name))
        if found != NULL:
            return <Queue>found
        if self.is_full():
            raise Refused(b"server busy", b"The memory ceiling is reached; no queue can be created now. Try again later.")
        return self._create_queue(name)

    cdef Queue _create_queue(self, bytes name):
        cdef Queue queue = self.new_queue(name)
        if table_put(&self.queues, queue.name, len(name), <void *>queue) < 0:
            raise MemoryError()
        Py_INCREF(queue)
        self.left(queue)
        return queue

    cdef Queue existing_queue(self, bytes name):
        cdef void *found = table_get(&self.queues, name, len(name))
        if found == NULL:
            raise Refused(b"no such queue", b"/amq/queue/ names a queue that exists, and '%b' does not. "
                          b"Use /queue/ to create it." % shown(name))
        return <Queue>found

    cdef Queue new_queue(self, bytes name):
        cdef Queue queue = queue_new(name, &self.census, &self.due)
        timer_init(&queue.idle, queue_idle, <void *>queue)
        return queue

    cdef void left(self, Queue queue) noexcept:
        """Somebody is done with the queue: if nobody uses it, its days are counted."""
        if queue.name is not None and queue.unused() and not queue.removed:
            timer_arm(&self.wheel, &queue.idle, self.now + self.limits.queue_idle_timeout)

    cdef void remove_queue(self, Queue queue) noexcept:
        queue.removed = True
        queue.purge()
        if table_get(&self.queues, PyBytes_AS_STRING(queue.name), PyBytes_GET_SIZE(queue.name)) == <void *>queue:
            table_remove(&self.queues, PyBytes_AS_STRING(queue.name), PyBytes_GET_SIZE(queue.name))
            self._forget_route(queue.name)
            self._forget_route(b"/queue/" + queue.name)
            Py_DECREF(queue)

    cdef void _forget_route(self, bytes destination) noexcept:
        cdef void *found = table_remove(&self.routes, PyBytes_AS_STRING(destination), PyBytes_GET_SIZE(destination))
        if found != NULL:
            self.route_memory -= route_cost(destination)
            self.census.memory -= route_cost(destination)
            Py_DECREF(<Route>found)

    cdef int dispatch_due(self) except -1:
        """The first step of a turn: queues with new credit. Queues that nobody has used for long end here too."""
        cdef Queue queue
        cdef void *owner = ring_take(&self.due)
        while owner != NULL:
            queue = <Queue>owner
            queue.dispatch()
            if queue.name is not None and queue.unused() and self.now >= queue.idle.due:
                self.remove_queue(queue)
            owner = ring_take(&self.due)
        return 0

    cdef int refuse_message(self, Entry *entry) except -1:
        """To the dead-letter queue, whose oldest go when it is full; takes over the entry's reference."""
        cdef Queue queue
        cdef Entry oldest
        cdef void *found
        self.census.dead_lettered += 1
        if not self.dead_letter:
            message_drop(entry.message)
            return 0
        found = table_get(&self.queues, self.dead_letter, len(self.dead_letter))
        queue = <Queue>found if found != NULL else self._create_queue(self.dead_letter)
        queue.push(entry.message)
        if queue.waiting() > self.limits.dead_letter_limit and queue.take(&oldest):
            message_drop(oldest.message)
        queue.call()
        return 0


LIMIT_NAMES = (
    "login_timeout", "idle_timeout", "outbound_timeout", "slow_consumer_grace", "transaction_timeout",
    "queue_idle_timeout", "nack_delay", "linger", "frame_timeout", "heart_beat_send", "heart_beat_receive", "heart_beat_margin",
    "memory", "max_parked", "max_transaction_bytes", "prefetch_bytes", "dead_letter_limit", "max_connections",
    "max_unauthenticated", "max_subscriptions", "max_transactions", "max_transaction_frames", "max_failures",
    "prefetch", "max_prefetch", "max_levels",
)


cdef void queue_idle(void *owner) noexcept:
    """The idle timer fired; the turn looks whether the queue is still unused."""
    cdef Queue queue = <Queue>owner
    if not link_joined(&queue.due_link):
        link_join(queue.due, &queue.due_link)


cdef void forget_all(Table *table) noexcept:
    """Empties a table of objects that it holds references to."""
    cdef size_t cursor = 0
    cdef TableSlot *slot = table_next(table, &cursor)
    while slot != NULL:
        Py_DECREF(<object>slot.value)
        slot = table_next(table, &cursor)
    table_free(table)


cdef int64_t route_cost(bytes destination) noexcept:
    return ROUTE_COST + 2 * PyBytes_GET_SIZE(destination)


PREFIXES = ((b"/topic/", ROUTE_TOPIC), (b"/queue/", ROUTE_QUEUE), (b"/exchange/amq.topic/", ROUTE_TOPIC),
            (b"/amq/queue/", ROUTE_QUEUE))


cdef tuple target_of(bytes destination):
    """(kind, name) of a destination that any connection may use."""
    for prefix, kind in PREFIXES:
        if destination.startswith(prefix) and len(destination) > len(prefix):
            return kind, destination[len(prefix):]
    if destination and b"/" not in destination:
        return ROUTE_QUEUE, destination
    hint = b""
    if destination.startswith((b"topic/", b"queue/")):
        hint = b"Did you mean /%b? " % shown(destination)
    raise Refused(b"unknown destination", b"There is no destination '%b'. %b%b" % (shown(destination), hint, DESTINATIONS))


cdef bytes shown(bytes text):
    """A client's text for an ERROR body or a log line: short, and one line."""
    return text[:200].decode("utf-8", "ignore").encode().replace(b"\r", b" ").replace(b"\n", b" ")


cdef int check_name(bytes name, int max_levels) except -1:
    """A topic that is sent to: no pattern, not too deep."""
    cdef const char *wrong
    if is_pattern(name, len(name)):
        raise Refused(b"pattern not allowed", b"A SEND needs one topic; '%b' is a pattern. Patterns are for SUBSCRIBE." % shown(name))
    wrong = pattern_error(name, len(name), max_levels)
    if wrong != NULL:
        raise Refused(b"bad destination", b"The topic name is not valid: %b." % <bytes>wrong)
    return 0

