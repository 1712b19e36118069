"""Sessions: the state machine of a client and one handler per command.

    NEW --CONNECT accepted--> CONNECTED --DISCONNECT, ERROR, lost--> CLOSING

In NEW only CONNECT and STOMP mean anything; in CLOSING nothing does: frames behind the one that failed are thrown away.
A handler raises Refused when the frame cannot be processed, and has changed nothing then; the connection turns that into
ERROR and closes. A RECEIPT goes out when the handler is done, so receipts come in the order of their frames.

While the memory ceiling is reached, frames that could need memory are parked, and with them every frame that must not
overtake them; ACK, NACK, UNSUBSCRIBE and DISCONNECT still work, since they free memory.
"""
import inspect
import secrets

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from fastbroker.core.broker cimport Broker, shown, target_of
from fastbroker.core.frame cimport (
    Content, Frame, Slice, content_of, decoded, frame_text, frame_value, number_of, put_connected, put_error,
    put_receipt,
)
from fastbroker.core.ledger cimport DELIVERY_IN_TRANSACTION, DELIVERY_OUT, NO_SLOT, Delivery, Ledger
from fastbroker.core.login cimport (
    agree_on_heart_beats, connected_headers, ends_without_lf, login_of, negotiated_version, short_session,
)
from fastbroker.core.message cimport Entry, message_content, message_drop, message_new
from fastbroker.core.parser cimport PARSE_FRAME, Parser, parse_error
from fastbroker.core.queue cimport Queue
from fastbroker.core.route cimport ROUTE_QUEUE, ROUTE_TOPIC, Route, route_new
from fastbroker.core.subscription cimport (
    ACK_AUTO, ACK_CLIENT, ACK_CLIENT_INDIVIDUAL, Subscription, subscription_new,
)
from fastbroker.core.transaction cimport (
    OPERATION_ACK, OPERATION_NACK, OPERATION_REJECT, OPERATION_SEND, Operation, Transaction, transaction_new,
)
from fastbroker.core.wire cimport (
    COMMAND_ABORT, COMMAND_ACK, COMMAND_BEGIN, COMMAND_COMMIT, COMMAND_CONNECT, COMMAND_DISCONNECT, COMMAND_NACK,
    COMMAND_SEND, COMMAND_STOMP, COMMAND_SUBSCRIBE, COMMAND_UNSUBSCRIBE, KNOWN_ACCEPT_VERSION, KNOWN_ACK,
    KNOWN_BROWSER, KNOWN_CREDIT, KNOWN_DESTINATION, KNOWN_HEART_BEAT, KNOWN_ID, KNOWN_LOGIN, KNOWN_MESSAGE_ID,
    KNOWN_PREFETCH_COUNT, KNOWN_PREFETCH_SIZE, KNOWN_RECEIPT, KNOWN_REPLY_TO, KNOWN_REQUEUE, KNOWN_SELECTOR,
    KNOWN_SUBSCRIPTION, KNOWN_TRANSACTION, OutBuf, link_init, link_join, link_joined, link_leave, parse_number,
    ring_init, ring_take, text_free, text_length, text_put, timer_arm, timer_init,
)

from fastbroker.core.broker import Refused
from fastbroker.core.login import LoginRefused

cdef enum:
    PARKED_FRAME
    PARKED_RECEIPT      # of a frame that was handled already: it waits its turn
    PARKED_END          # of the session
    PARKED_HEAD = 5     # kind and length in front of each
    SEARCH_STEP = 16    # what looking at one delivery costs, in bytes of output

ACK_MODES = {b"auto": ACK_AUTO, b"client": ACK_CLIENT, b"client-individual": ACK_CLIENT_INDIVIDUAL}


cdef Session session_new(Broker broker, OutBuf *out, Parser parser, void *connection):
    cdef Session new = Session()
    new.broker = broker
    new.out = out
    new.parser = parser
    new.parked.counted = &broker.census.input
    new.subscriptions = {}
    link_init(&new.go_on, connection)
    broker.census.sessions += 1
    return new


cdef class Session:

    def __cinit__(self):
        ring_init(&self.starved)
        link_init(&self.waiting, <void *>self)
        link_init(&self.parking, <void *>self)

    def __dealloc__(self):
        text_free(&self.parked)
        if self.broker is not None:
            self.broker.census.sessions -= 1

    cdef int on_frame(self, const Frame *frame) except -1:
        """One frame from the client. Raises Refused when it cannot be processed."""
        if self.state == STATE_CONNECTED:
            if frame.command != COMMAND_SEND or self.parked.end or self.broker.is_full():
                return self._on_connected(frame)
            self._on_send(frame)    # what nearly all frames are, in the shortest way
            return self._receipt(frame) if frame.known[KNOWN_RECEIPT] else 0
        if self.state == STATE_CLOSING:
            return 0
        if frame.command == COMMAND_CONNECT or frame.command == COMMAND_STOMP:
            return self._on_connect(frame)
        raise Refused(b"not connected", b"The first frame must be CONNECT or STOMP.")

    cdef int _on_connected(self, const Frame *frame) except -1:
        if self.ending:
            return 0
        if (self.parked.end or self.broker.is_full()) and self._must_park(frame):
            self.parked_transaction |= frame.known[KNOWN_TRANSACTION] != 0
            return self._park(PARKED_FRAME, frame.base, frame.size)
        return self._handle(frame)

    cdef int _handle(self, const Frame *frame) except -1:
        cdef int command = frame.command
        if self.broker.batch.count and command != COMMAND_SEND:
            self.deliver_batch()
        if command == COMMAND_SEND:
            self._on_send(frame)
        elif command == COMMAND_ACK:
            self._on_ack(frame, OPERATION_ACK)
        elif command == COMMAND_NACK:
            self._on_ack(frame, OPERATION_NACK)
        elif command == COMMAND_SUBSCRIBE:
            self._on_subscribe(frame)
        elif command == COMMAND_UNSUBSCRIBE:
            self._on_unsubscribe(frame)
        elif command == COMMAND_BEGIN:
            self._on_begin(frame)
        elif command == COMMAND_COMMIT:
            self._on_commit(frame)
        elif command == COMMAND_ABORT:
            self._on_abort(frame)
        elif command == COMMAND_DISCONNECT:
            return self._on_disconnect(frame)
        elif command == COMMAND_CONNECT or command == COMMAND_STOMP:
            raise Refused(b"already connected", b"A connection has one session; a second CONNECT is not possible.")
        else:
            raise Refused(b"unknown command", b"The frame's command is not one that a client may send.")
        return self._receipt(frame)

    cdef int _receipt(self, const Frame *frame) except -1:
        """RECEIPT, if the frame wants one; behind those of frames that still wait."""
        cdef Slice receipt = frame_value(frame, KNOWN_RECEIPT)
        if receipt.bytes == NULL:
            return 0
        if self.broker.batch.count:
            self.deliver_batch()
        if self.parked.end:
            return self._park(PARKED_RECEIPT, receipt.bytes, receipt.length)
        return put_receipt(self.out, receipt, self.version)

    # ---- errors ----

    cdef int refused(self, const Frame *frame, bytes message, bytes body) except -1:
        """The frame could not be processed: ERROR that names its receipt (STOMP 1.2, "ERROR"), and the end."""
        cdef bytes receipt = frame_text(frame, KNOWN_RECEIPT)
        put_error(self.out, message, body + b"\n", receipt, message == b"unsupported version", max(self.version, 10))
        return self._close(message)

    cdef int malformed(self, int status) except -1:
        """The bytes are no frame; there is no telling where the next one begins."""
        message, body = parse_error(status)
        return self.fail(message, body)

    cdef int fail(self, bytes message, bytes body) except -1:
        """ERROR for a reason that lies in no single frame."""
        put_error(self.out, message, body + b"\n", None, False, max(self.version, 10))
        return self._close(message)

    cdef int _close(self, bytes reason) except -1:
        self.reason = reason.decode()
        self.leave()
        return 0

    # ---- CONNECT ----

    cdef int _on_connect(self, const Frame *frame) except -1:
        """Version, heart-beats, then the authenticator, who may take his time (STOMP 1.2, "Connecting")."""
        cdef int version = negotiated_version(frame_text(frame, KNOWN_ACCEPT_VERSION))
        cdef bytes login = frame_text(frame, KNOWN_LOGIN)
        cdef object answer
        self.login = shown(login).decode() if login is not None else ""
        if version >= 11:
            agree_on_heart_beats(frame_text(frame, KNOWN_HEART_BEAT), &self.broker.limits, &self.send_every,
                                 &self.expect_every)
        self.version = version
        if not frame.known[KNOWN_ACCEPT_VERSION]:
            self.short_id = short_session(self.broker.short_sessions)
        self.welcome = connected_headers(frame, version, self.broker, self.short_id)
        if ends_without_lf(frame):
            self.out.frame_end = 1
        if self.broker.authenticate is None:
            return self.admit(None)
        try:
            origin = (self.peer, self.listener, self.secure, self.certificate)
            answer = self.broker.authenticate(login_of(frame, origin))
        except LoginRefused as refusal:
            raise Refused(b"login refused", str(refusal).encode() or b"The login was refused.")
        if inspect.isawaitable(answer):
            self.hold |= HOLD_LOGIN
            self.login_answer = answer
            return 0
        return self.admit(answer)

    cdef int admit(self, object identity) except -1:
        """The login is accepted."""
        self.hold &= ~HOLD_LOGIN
        self.login_answer = None
        self.identity = identity
        self.state = STATE_CONNECTED
        self.parser.version = self.version
        self.ledger = Ledger()
        self.ledger.census = &self.broker.census
        put_connected(self.out, self.welcome)
        self.welcome = None
        return 0

    # ---- SEND ----

    cdef int _on_send(self, const Frame *frame) except -1:
        cdef Content content
        cdef bytes reply_to = None
        if not frame.repeated or self.route is None:
            self._find_route(frame)
        elif self.route.kind == ROUTE_QUEUE and self.route.queue.removed:
            self._find_route(frame)
        if frame.known[KNOWN_REPLY_TO]:
            reply_to = self._reply_to(frame)
        if reply_to is None:
            content_of(frame, &self.broker.scratch, NULL, 0, &content)
        else:
            content_of(frame, &self.broker.scratch, reply_to, len(reply_to), &content)
        if frame.known[KNOWN_TRANSACTION]:
            return self._send_in_transaction(frame, &content)
        self.broker.publish(self.route, &content)
        if self.broker.blocking != NULL:
            self.wait_for(self.broker.blocking)
        return 0

    cdef int _find_route(self, const Frame *frame) except -1:
        """Sets `route`; the last one is looked at first, since most clients send to one destination."""
        cdef Slice destination = frame_value(frame, KNOWN_DESTINATION)
        cdef bytes text
        if destination.bytes == NULL or destination.length == 0:
            raise Refused(b"missing header", b"SEND needs a destination header.")
        if frame.version >= 11 and memchr(destination.bytes, c'\\', destination.length) != NULL:
            text = decoded(destination.bytes, destination.length, frame.version)
            return self._new_route(text, len(text))
        if (self.route is None or self.route.destination_length != destination.length
                or memcmp(self.route.destination_bytes, destination.bytes, destination.length) != 0
                or (self.route.queue is not None and self.route.queue.removed)):
            self._new_route(destination.bytes, destination.length)
        return 0

    cdef int _new_route(self, const char *destination, size_t length) except -1:
        cdef Route route
        if length > 12 and memcmp(destination, b"/temp-queue/", 12) == 0:
            route = route_new(ROUTE_QUEUE, destination[:length], None, &self.broker.census)
            route.queue = self._temporary(destination[12:length])
        else:
            route = self.broker.route_of(destination, length)
        if self.broker.authorize is not None:
            self._ask("send", destination[:length])
        self.route = route
        return 0

    cdef int _ask(self, str action, bytes destination) except -1:
        """The one place where an action on a destination is allowed."""
        if not self.broker.authorize(self.identity, action, destination.decode()):
            raise Refused(b"access refused", b"You may not %b to '%b'." % (action.encode(), shown(destination)))
        return 0

    cdef int deliver_batch(self) except -1:
        """What was sent to a topic with many subscribers is not put off any longer."""
        self.broker.blocking = NULL
        self.broker.deliver_batch()
        if self.broker.blocking != NULL and self.state == STATE_CONNECTED:
            self.wait_for(self.broker.blocking)
        return 0

    cdef bint wait_for(self, OutBuf *out) noexcept:
        """This publisher reads on when the subscriber has drained, or its grace is over."""
        self.hold |= HOLD_SLOW
        link_join(&out.waiters, &self.waiting)
        return True

    # ---- temporary queues ----

    cdef Queue _temporary(self, bytes id):
        """The queue that this connection calls /temp-queue/<id>, and others by its unguessable reply-queue name."""
        cdef Queue queue
        if self.temporaries is None:
            self.temporaries = {}
        queue = self.temporaries.get(id)
        if queue is None:
            if len(self.temporaries) >= <Py_ssize_t>self.broker.limits.max_subscriptions:
                raise Refused(b"too many subscriptions", b"The connection has limits.max_subscriptions temporary queues.")
            queue = self.broker.new_queue(b"/reply-queue/%b" % secrets.token_hex(12).encode())
            queue.pins = 1
            self.temporaries[id] = queue
            self.broker.replies[queue.name] = queue
        return queue

    cdef bytes _reply_to(self, const Frame *frame):
        """What receivers get to see for reply-to:/temp-queue/<id>; None leaves the header as it is.

        Without a SUBSCRIBE of its own the sender gets replies with subscription:/temp-queue/<id>.
        """
        cdef bytes name = frame_text(frame, KNOWN_REPLY_TO)
        cdef Queue queue
        if not name.startswith(b"/temp-queue/") or len(name) == 12:
            return None
        queue = self._temporary(name[12:])
        if queue.consumer_count == 0:
            self._implicit(name, queue)
        return queue.name

    cdef int _implicit(self, bytes name, Queue queue) except -1:
        cdef Subscription subscription
        if name in self.subscriptions:
            return 0
        subscription = self._new_subscription(name, name, ACK_AUTO)
        subscription.implicit = True
        subscription.source = queue
        queue.add_consumer(subscription)
        self.subscriptions[name] = subscription
        return 0

    # ---- SUBSCRIBE, UNSUBSCRIBE ----

    cdef int _on_subscribe(self, const Frame *frame) except -1:
        cdef bytes destination = frame_text(frame, KNOWN_DESTINATION)
        cdef bytes key = self._subscription_key(frame, destination)
        cdef Subscription subscription
        if not destination:
            raise Refused(b"missing header", b"SUBSCRIBE needs a destination header.")
        self._replace_implicit(key)
        if key in self.subscriptions:
            raise Refused(b"duplicate subscription", b"The connection has a subscription with this id; ids must be unique.")
        if len(self.subscriptions) >= <Py_ssize_t>self.broker.limits.max_subscriptions:
            raise Refused(b"too many subscriptions", b"The connection has limits.max_subscriptions subscriptions.")
        refuse_unsupported(frame)
        if self.broker.authorize is not None:
            self._ask("subscribe", destination)
        subscription = self._new_subscription(frame_text(frame, KNOWN_ID), destination, ack_mode(frame))
        subscription.prefetch = self._prefetch(frame)
        self._attach(subscription)
        self.subscriptions[key] = subscription
        return 0

    cdef bytes _subscription_key(self, const Frame *frame, bytes destination):
        """What UNSUBSCRIBE and a 1.1 ACK will call it; a 1.0 client may leave ids out, even twice for a destination."""
        cdef bytes id = frame_text(frame, KNOWN_ID)
        cdef bytes key
        if id is not None:
            return id
        if self.version >= 11:
            raise Refused(b"missing header", b"SUBSCRIBE needs an id header in STOMP 1.1 and 1.2.")
        key = b"\n%b" % destination if destination else b"\n"
        if key in self.subscriptions:
            self.nameless += 1
            key = b"\n%b\n%d" % (destination, self.nameless)
        return key

    cdef Subscription _new_subscription(self, bytes id, bytes destination, int mode):
        cdef Broker broker = self.broker
        cdef Subscription new = subscription_new(
            id, destination, broker.boot, self.version, mode, broker.limits.prefetch, broker.limits.prefetch_bytes,
            self.out, self.ledger, &self.starved)
        timer_init(&new.rest, rested, <void *>new)
        return new

    cdef uint32_t _prefetch(self, const Frame *frame) except? 0:
        """Credit in messages: RabbitMQ's, ActiveMQ's or Apollo's header; 0 and absent mean the configured one."""
        cdef bytes text
        cdef uint64_t number = 0
        for known in (KNOWN_PREFETCH_COUNT, KNOWN_PREFETCH_SIZE, KNOWN_CREDIT):
            text = frame_text(frame, known)
            if text is None:
                continue
            if not number_of(text.partition(b",")[0].strip(), &number):
                raise Refused(b"bad header", b"prefetch-count, activemq.prefetchSize and credit are numbers of messages.")
            break
        if number == 0:
            return self.broker.limits.prefetch
        return <uint32_t>min(number, self.broker.limits.max_prefetch)

    cdef int _attach(self, Subscription subscription) except -1:
        cdef bytes destination = subscription.destination
        cdef Queue queue
        if destination.startswith(b"/temp-queue/") and len(destination) > 12:
            queue = self._temporary(destination[12:])
            self._replace_implicit(destination)
        else:
            kind, name = target_of(destination)
            if kind == ROUTE_TOPIC:
                return self.broker.subscribe_topic(subscription, name)
            queue = (self.broker.existing_queue(name) if destination.startswith(b"/amq/queue/")
                     else self.broker.queue_of(name))
        subscription.source = queue
        queue.add_consumer(subscription)
        return 0

    cdef int _replace_implicit(self, bytes name) except -1:
        """A SUBSCRIBE takes the place of the subscription of that name which a reply-to had made."""
        cdef Subscription implicit = self.subscriptions.get(name)
        if implicit is not None and implicit.implicit:
            self._end_subscription(implicit)
            del self.subscriptions[name]
        return 0

    cdef int _on_unsubscribe(self, const Frame *frame) except -1:
        cdef bytes key = frame_text(frame, KNOWN_ID)
        cdef bytes destination
        cdef Subscription subscription
        if key is None and self.version >= 11:
            raise Refused(b"missing header", b"UNSUBSCRIBE needs an id header in STOMP 1.1 and 1.2.")
        if key is None:
            destination = frame_text(frame, KNOWN_DESTINATION)
            if destination is None:
                raise Refused(b"missing header", b"UNSUBSCRIBE needs an id or a destination header.")
            key = self._key_of(destination)
        subscription = self.subscriptions.get(key)
        if subscription is None or subscription.implicit:
            raise Refused(b"unknown subscription", b"The connection has no such subscription.")
        self._end_subscription(subscription)
        del self.subscriptions[key]
        return 0

    cdef bytes _key_of(self, bytes destination):
        cdef Subscription subscription
        for key, value in self.subscriptions.items():
            subscription = <Subscription>value
            if subscription.destination == destination:
                return key
        return None

    cdef int _end_subscription(self, Subscription subscription) except -1:
        """What it has not settled goes back to the front of its queue, in order."""
        try:
            self._give_back(subscription)
        finally:
            self.broker.unsubscribe(subscription)
        return 0

    cdef int _give_back(self, Subscription subscription) except -1:
        cdef Queue queue = subscription.source
        cdef uint32_t slot = subscription.first, next
        cdef Entry entry
        while slot != NO_SLOT:
            next = self.ledger.slots[slot].next
            if self.ledger.slots[slot].state == DELIVERY_OUT:
                subscription.settle(slot, &entry)
                return_entry(queue, &entry)
            slot = next
        return 0

    # ---- ACK, NACK ----

    cdef int _on_ack(self, const Frame *frame, int kind) except -1:
        cdef uint32_t slot = self._find_delivery(frame)
        cdef Transaction transaction = None
        cdef Subscription subscription
        if frame.known[KNOWN_TRANSACTION]:
            transaction = self._transaction(frame)
        if slot == NO_SLOT or self.ledger.slots[slot].state != DELIVERY_OUT:
            raise Refused(b"unknown ack", b"No unsettled message of this connection has that id.")
        if kind == OPERATION_NACK and frame_text(frame, KNOWN_REQUEUE) == b"false":
            kind = OPERATION_REJECT
        if transaction is not None:
            self._count_frame(transaction, 0)
        subscription = <Subscription>self.ledger.slots[slot].subscription
        return self._settle_all(subscription, slot, kind, transaction)

    cdef uint32_t _find_delivery(self, const Frame *frame) except? 0xffffffff:
        """The slot that an ACK names: by `id` in 1.2, before by `message-id` and, from 1.1 on, `subscription`."""
        cdef Slice value = frame_value(frame, KNOWN_ID if self.version == 12 else KNOWN_MESSAGE_ID)
        cdef Subscription subscription
        cdef uint32_t slot = NO_SLOT
        if value.bytes == NULL:
            raise Refused(b"missing header", b"ACK and NACK need id in STOMP 1.2, message-id before.")
        if self.version == 12:
            return self.ledger.find(value.bytes, value.length)
        if frame.known[KNOWN_SUBSCRIPTION]:
            subscription = self.subscriptions.get(frame_text(frame, KNOWN_SUBSCRIPTION))
            return NO_SLOT if subscription is None else self._find_message(subscription, value)
        if self.version == 11:
            raise Refused(b"missing header", b"ACK and NACK need a subscription header in STOMP 1.1.")
        for subscription in self.subscriptions.values():
            slot = self._find_message(subscription, value)
            if slot != NO_SLOT:
                break
        return slot

    cdef uint32_t _find_message(self, Subscription subscription, Slice id) noexcept:
        """From both ends: clients mostly settle in order, some the newest first. A long search counts as work."""
        cdef uint64_t number = 0
        cdef uint32_t slot = subscription.first
        cdef uint32_t later = subscription.last
        cdef Delivery *slots = self.ledger.slots
        cdef size_t boot = len(self.broker.boot) + 1
        if (id.length <= boot or memcmp(id.bytes, <const char *>self.broker.boot, boot - 1) != 0
                or not parse_number(id.bytes + boot, id.length - boot, 19, &number)):
            return NO_SLOT
        while slot != NO_SLOT and slots[slot].entry.message.id != number:
            if slots[later].entry.message.id == number:
                return later
            if slot == later or slots[slot].next == later:
                return NO_SLOT
            slot = slots[slot].next
            later = slots[later].previous
            self.broker.census.work += SEARCH_STEP
        return slot

    cdef int _settle_all(self, Subscription subscription, uint32_t slot, int kind, Transaction transaction) except -1:
        """The delivery, and in `client` mode all earlier ones of the subscription (STOMP 1.2, "SUBSCRIBE ack Header")."""
        cdef uint32_t current = slot, next
        if subscription.ack_mode == ACK_CLIENT:
            current = subscription.first
        while True:
            next = self.ledger.slots[current].next
            if self.ledger.slots[current].state == DELIVERY_OUT:
                if transaction is None:
                    self._settle(subscription, current, kind)
                else:
                    transaction.add(kind, subscription).slot = current
                    self.ledger.slots[current].state = DELIVERY_IN_TRANSACTION
            if current == slot:
                break
            current = next
        if transaction is None:
            self._settled(subscription, kind)
        return 0

    cdef int _settle(self, Subscription subscription, uint32_t slot, int kind) except -1:
        cdef Queue queue = <Queue>subscription.source
        cdef Entry entry
        subscription.settle(slot, &entry)
        if kind == OPERATION_ACK:
            queue.unsettled -= 1
            message_drop(entry.message)
            return 0
        entry.failures += 1
        if kind == OPERATION_REJECT or entry.failures >= self.broker.limits.max_failures:
            queue.unsettled -= 1
            return self.broker.refuse_message(&entry)
        return return_entry(queue, &entry)

    cdef int _settled(self, Subscription subscription, int kind) except -1:
        """There is credit again; one that has just refused a message is spared for a moment, or it would spin."""
        cdef Queue queue = <Queue>subscription.source
        if subscription.closed:
            self.broker.left(queue)
            return 0
        if kind != OPERATION_ACK:
            subscription.resting = True
            timer_arm(&self.broker.wheel, &subscription.rest, self.broker.now + self.broker.limits.nack_delay)
        queue.regained(subscription)
        return 0

    # ---- transactions ----

    cdef Transaction _transaction(self, const Frame *frame):
        """The open transaction that the frame names."""
        cdef bytes id = frame_text(frame, KNOWN_TRANSACTION)
        cdef Transaction transaction
        if not id:
            raise Refused(b"missing header", b"The frame needs a transaction header.")
        transaction = self.transactions.get(id) if self.transactions else None
        if transaction is None:
            raise Refused(b"unknown transaction", b"No transaction with this id is open; BEGIN starts one.")
        return transaction

    cdef int _on_begin(self, const Frame *frame) except -1:
        cdef bytes id = frame_text(frame, KNOWN_TRANSACTION)
        if not id:
            raise Refused(b"missing header", b"BEGIN needs a transaction header.")
        if self.transactions is None:
            self.transactions = {}
        if id in self.transactions:
            raise Refused(b"duplicate transaction", b"A transaction with this id is open already.")
        if len(self.transactions) >= <Py_ssize_t>self.broker.limits.max_transactions:
            raise Refused(b"too many transactions", b"The connection has limits.max_transactions open transactions.")
        self.transactions[id] = transaction_new(
            id, self.broker.now + self.broker.limits.transaction_timeout, &self.broker.census)
        return 0

    cdef int _count_frame(self, Transaction transaction, size_t size) except -1:
        transaction.frames += 1
        transaction.bytes += size
        if (transaction.frames > self.broker.limits.max_transaction_frames
                or transaction.bytes > self.broker.limits.max_transaction_bytes):
            raise Refused(b"transaction too large", b"limits.max_transaction_frames or max_transaction_bytes is reached.")
        return 0

    cdef int _send_in_transaction(self, const Frame *frame, const Content *content) except -1:
        cdef Transaction transaction = self._transaction(frame)
        cdef Operation *operation
        self._count_frame(transaction, frame.size)
        operation = transaction.add(OPERATION_SEND, self.route)
        operation.message = message_new(&self.broker.census, content, 0)
        if self.route.queue is not None:
            self.route.queue.pins += 1
        return 0

    cdef int _on_commit(self, const Frame *frame) except -1:
        """All of it, in the order of its frames, before any other frame is looked at."""
        cdef Transaction transaction = self._transaction(frame)
        cdef OutBuf *blocking = NULL
        cdef Operation *operation
        cdef Content content
        cdef uint32_t i
        for i in range(transaction.count):
            operation = &transaction.operations[i]
            if operation.kind == OPERATION_SEND:
                message_content(operation.message, &content)
                self.broker.publish(<Route>operation.target, &content)
                if self.broker.blocking != NULL:
                    blocking = self.broker.blocking
            else:
                self._settle(<Subscription>operation.target, operation.slot, operation.kind)
                self._settled(<Subscription>operation.target, operation.kind)
        self._end_transaction(transaction)
        if self.broker.batch.count:
            self.deliver_batch()
        if blocking != NULL:
            self.wait_for(blocking)
        return 0

    cdef int _on_abort(self, const Frame *frame) except -1:
        cdef Transaction transaction = self._transaction(frame)
        self._take_back(transaction)
        return self._end_transaction(transaction)

    cdef int _take_back(self, Transaction transaction) except -1:
        """What was acknowledged in it is not any more; if its subscription has gone meanwhile it goes back to the queue."""
        cdef Subscription subscription
        cdef Operation *operation
        cdef Entry entry
        cdef uint32_t i
        for i in range(transaction.count):
            operation = &transaction.operations[i]
            if operation.kind == OPERATION_SEND:
                continue
            subscription = <Subscription>operation.target
            self.ledger.slots[operation.slot].state = DELIVERY_OUT
            if subscription.closed:
                subscription.settle(operation.slot, &entry)
                return_entry(<Queue>subscription.source, &entry)
        return 0

    cdef int _end_transaction(self, Transaction transaction) except -1:
        cdef Queue queue
        cdef uint32_t i
        for i in range(transaction.count):
            if transaction.operations[i].kind == OPERATION_SEND:
                queue = (<Route>transaction.operations[i].target).queue
                if queue is not None:
                    queue.pins -= 1
                    self.broker.left(queue)
        del self.transactions[transaction.id]
        return 0

    # ---- DISCONNECT and after ----

    cdef int _on_disconnect(self, const Frame *frame) except -1:
        """The client has said all; its unsettled messages are free again, its RECEIPT comes behind all others."""
        self._receipt(frame)
        if self.parked.end:
            return self.said_all()
        return self._close(b"disconnect")

    cdef int said_all(self) except -1:
        """No frame will follow those that are parked: what is not settled need not wait for them."""
        self.ending = True
        self._park(PARKED_END, NULL, 0)
        return self.end_subscriptions()

    cdef int end_subscriptions(self) except -1:
        cdef Transaction transaction
        cdef Subscription subscription
        try:
            if self.broker.batch.count:
                self.deliver_batch()    # while those it goes to are still there
        except MemoryError:
            self._lost_messages()
        while self.transactions:
            transaction = next(iter(self.transactions.values()))
            try:
                self._take_back(transaction)
            except MemoryError:
                self._lost_messages()
            self._end_transaction(transaction)
        while self.subscriptions:
            subscription = self.subscriptions.popitem()[1]
            try:
                self._end_subscription(subscription)
            except MemoryError:
                self._lost_messages()
        return 0

    def _lost_messages(self):
        self.broker.log("error", "out of memory", lost="messages", peer=self.peer)

    cdef void leave(self) noexcept:
        """The session is over: everything it held is free again. More than once is fine."""
        cdef Queue queue
        self.state = STATE_CLOSING
        self.hold = 0
        self.route = None
        link_leave(&self.waiting)
        link_leave(&self.parking)
        text_free(&self.parked)
        self.end_subscriptions()
        if self.temporaries is not None:
            for queue in self.temporaries.values():
                del self.broker.replies[queue.name]
                self.broker.remove_queue(queue)
            self.temporaries = None
        if self.short_id is not None:
            self.broker.short_sessions.discard(self.short_id)

    cdef int drained(self) except -1:
        """The output has room again: subscriptions that waited for it stand in line at their queues."""
        cdef Subscription subscription
        cdef void *owner = ring_take(&self.starved)
        while owner != NULL:
            subscription = <Subscription>owner
            (<Queue>subscription.source).regained(subscription)
            owner = ring_take(&self.starved)
        return 0

    cdef uint64_t next_timeout(self) noexcept:
        """When the oldest open transaction ends; 0: none is open."""
        cdef Transaction transaction
        if not self.transactions:
            return 0
        transaction = next(iter(self.transactions.values()))
        return transaction.deadline

    # ---- frames that wait for memory ----

    cdef bint _must_park(self, const Frame *frame) noexcept:
        """A SEND, unless a transaction bounds it; and behind a parked one all but what frees memory and depends on nothing parked."""
        if not self.parked.end:
            return frame.command == COMMAND_SEND and not frame.known[KNOWN_TRANSACTION]
        if self.parked_transaction or frame.known[KNOWN_TRANSACTION]:
            return True
        if frame.command == COMMAND_UNSUBSCRIBE:
            return frame_text(frame, KNOWN_ID) not in self.subscriptions
        return frame.command != COMMAND_ACK and frame.command != COMMAND_NACK and frame.command != COMMAND_DISCONNECT

    cdef int _park(self, int kind, const char *bytes, size_t length) except -1:
        cdef char head[PARKED_HEAD]
        cdef uint32_t size = <uint32_t>length
        head[0] = <char>kind
        memcpy(head + 1, &size, sizeof(uint32_t))
        if text_put(&self.parked, head, PARKED_HEAD) < 0 or text_put(&self.parked, bytes, length) < 0:
            raise MemoryError()
        if not link_joined(&self.parking):
            link_join(&self.broker.parking, &self.parking)
        self._limit_parked()
        return 0

    cdef void _limit_parked(self) noexcept:
        """Reading stops when one has parked its share, or all together have parked much."""
        if (text_length(&self.parked) > self.broker.limits.max_parked
                or self.broker.census.input > self.broker.limits.memory):
            self.hold |= HOLD_MEMORY

    cdef int unpark(self) except -1:
        """Handles parked frames while there is memory and nothing else holds them."""
        cdef Text parked = self.parked
        cdef Slice record
        cdef uint32_t size
        cdef int kind
        self.parked.bytes = NULL
        self.parked.start = self.parked.end = self.parked.capacity = 0
        self.hold &= ~HOLD_MEMORY
        self.parked_transaction = False
        try:
            while text_length(&parked) and self.state == STATE_CONNECTED:
                if self.broker.is_full() or self.hold:
                    break
                kind = parked.bytes[parked.start]
                memcpy(&size, parked.bytes + parked.start + 1, sizeof(uint32_t))
                record.bytes = parked.bytes + parked.start + PARKED_HEAD
                record.length = size
                parked.start += PARKED_HEAD + size
                self._handle_parked(kind, record)
            if text_length(&parked) and self.state == STATE_CONNECTED:
                self._park_again(&parked)
            if self.broker.batch.count:
                self.deliver_batch()
        finally:
            text_free(&parked)
        return 0

    cdef int _handle_parked(self, int kind, Slice record) except -1:
        cdef Frame *frame = &self.broker.frame
        if kind == PARKED_RECEIPT:
            return put_receipt(self.out, record, self.version)
        if kind == PARKED_END:
            return self._close(b"disconnect")
        self.broker.parser.version = self.version
        self.broker.parser.begin()
        if self.broker.parser.next(record.bytes, record.length, frame) == PARSE_FRAME:
            try:
                self._handle(frame)
            except Refused as refusal:
                self.refused(frame, refusal.args[0], refusal.args[1])
        return 0

    cdef int _park_again(self, const Text *parked) except -1:
        self.parked_transaction = True  # there may be one among them
        if text_put(&self.parked, parked.bytes + parked.start, parked.end - parked.start) < 0:
            raise MemoryError()
        link_join(&self.broker.parking, &self.parking)
        self._limit_parked()
        return 0


# ---- reading headers ----

cdef int ack_mode(const Frame *frame) except -1:
    cdef bytes text = frame_text(frame, KNOWN_ACK)
    if text is None:
        return ACK_AUTO
    if text not in ACK_MODES:
        raise Refused(b"bad ack mode", b"ack is auto, client or client-individual.")
    return ACK_MODES[text]


cdef int refuse_unsupported(const Frame *frame) except -1:
    """Headers that change which messages come: to ignore them would deliver, or consume, the wrong ones."""
    if frame.known[KNOWN_SELECTOR]:
        raise Refused(b"bad header", b"selector is not supported.")
    if frame_text(frame, KNOWN_BROWSER) == b"true":
        raise Refused(b"bad header", b"browser is not supported.")
    return 0


# ---- queues ----

cdef int return_entry(Queue queue, Entry *entry) except -1:
    """A delivery that was not settled: to its place in the queue, or nowhere if that has gone."""
    queue.unsettled -= 1
    if queue.removed:
        message_drop(entry.message)
        return 0
    queue.put_back(entry)
    queue.call()
    return 0


cdef void rested(void *owner) noexcept:
    """The moment after a NACK is over."""
    cdef Subscription subscription = <Subscription>owner
    subscription.resting = False
    (<Queue>subscription.source).regained(subscription)
