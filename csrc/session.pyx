"""Sessions: the state machine of a client and one handler per command.

    NEW --CONNECT accepted--> CONNECTED --DISCONNECT, ERROR, lost--> CLOSING

In NEW only CONNECT and STOMP mean anything; in CLOSING nothing does: frames behind the one that failed are thrown away.
A handler raises Refused when the frame cannot be processed, and has changed nothing then; the connection turns that
into ERROR and closes. A RECEIPT goes out when the handler is done, so receipts come in the order of their frames.

While only the reserve of the memory is left, frames that need memory are parked, and with them every frame that must
not overtake them. The table of commands says which are which.
"""
import inspect

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from fastbroker.core.access cimport access_of
from fastbroker.core.browser cimport browse
from fastbroker.core.declaring cimport dead_letters_of, declaration_hash, declare, declared_in
from fastbroker.core.destination cimport (
    KIND_DIRECT, KIND_EXISTING_QUEUE, KIND_FANOUT, KIND_PRESENCE, KIND_QUEUE, KIND_REPLY, KIND_REPLY_TOPIC,
    KIND_TEMPORARY, KIND_TEMPORARY_TOPIC, KIND_TOPIC, Kind, canonical, canonical_of, check_key, check_pattern,
    followed_topic, is_topic, kind_of, name_in, parts_of, typed,
)
from fastbroker.core.durables cimport Title, in_use
from fastbroker.core.frame cimport (
    FORM_ACTIVEMQ, NAME_UNTOLD, Content, Slice, content_of, decoded, error_frame, frame_text, frame_value,
    has_header_of,
    header_text, put_connected, put_frame, put_receipt, shown,
)
from fastbroker.core.journal cimport Recorded, refuse_persistent
from fastbroker.core.ledger cimport DELIVERY_OUT, NO_SLOT, ledger_new
from fastbroker.core.login cimport (
    agree_on_heart_beats, client_id_of, connected_headers, ends_without_lf, login_of, negotiated_version,
    short_session, software_of, version_name,
)
from fastbroker.core.message cimport message_cost
from fastbroker.core.namespace cimport conflate, consume, known_queue, stations_of, subscribe_several
from fastbroker.core.parking cimport PARKED_END, PARKED_ERROR, PARKED_FRAME, PARKED_RECEIPT, Parked, parking_new
from fastbroker.core.parser cimport PARSE_FRAME, parse_error
from fastbroker.core.pattern cimport is_pattern
from fastbroker.core.profile cimport NACK_DROPS, NACK_REJECTS, Profile
from fastbroker.core.properties cimport read_properties
from fastbroker.core.queue cimport (
    ACKED, NACKED, REJECTED, Queue, QueueRoute, Verdict, leads_somewhere, queue_route,
)
from fastbroker.core.receipts cimport receipt_info, receipts_new
from fastbroker.core.redelivery cimport Refusal
from fastbroker.core.replay cimport REPLAY_ALL, REPLAY_NOTHING
from fastbroker.core.route cimport must_wait
from fastbroker.core.schedule cimport comes_later
from fastbroker.core.scheduling cimport SchedulingRoute
from fastbroker.core.selector cimport Selector, selector_of
from fastbroker.core.settling cimport acknowledge, expect_back, find_message, give_back, settle
from fastbroker.core.several cimport Several
from fastbroker.core.soft cimport SOFT_COST, SOFT_WORK, SoftErrors, is_of_errors
from fastbroker.core.subscription cimport ACK_AUTO, MARK_SHOWN, Subscription, subscription_new
from fastbroker.core.subscriptions cimport subscriptions_of
from fastbroker.core.temporaries cimport is_temporary, temporaries_of
from fastbroker.core.titles cimport title_of, title_to_end
from fastbroker.core.transactions cimport transactions_of
from fastbroker.core.will cimport Will, will_of
from fastbroker.core.wire cimport (
    ASKS_INFO, ASKS_SOMEBODY, COMMAND_ABORT, COMMAND_ACK, COMMAND_BEGIN, COMMAND_COMMIT, COMMAND_CONNECT,
    COMMAND_DISCONNECT, COMMAND_NACK, COMMAND_SEND, COMMAND_STOMP, COMMAND_SUBSCRIBE, COMMAND_UNSUBSCRIBE,
    KNOWN_ACCEPT_VERSION, KNOWN_DESTINATION, KNOWN_HEART_BEAT, KNOWN_ID, KNOWN_LOGIN, KNOWN_MESSAGE_ID, KNOWN_PROPERTY,
    KNOWN_QUEUE, KNOWN_RECEIPT, KNOWN_REPLY_TO, KNOWN_SUBSCRIPTION, KNOWN_TRANSACTION, KNOWN_TYPE, PERSISTS,
    account_charge, ceiling_closed_again,
    ceiling_parked_full, ceiling_reached, link_init, link_join, link_joined, link_leave, parse_number, property_hash,
    ring_init, ring_take, wall_now,
)
from fastbroker.core.wishes cimport Wishes, ack_mode_name, headers_of, place_of, refusal_of, wishes_of

from fastbroker.core.frame import Refused
from fastbroker.core.login import LoginRefused

cdef enum:
    COST = 2560             # bytes of a session, and of the connection that it belongs to
    COMMANDS = 16           # more than there are
    COMMAND_WORK = 448      # what any frame takes that is no plain SEND, in bytes of output beside FRAME_WORK ...
    SUBSCRIBE_WORK = 4096   # ... a subscription ...
    END_WORK = 512          # ... its end ...
    REPLY_WORK = 768        # ... a reply-to that others shall see under another name ...
    COMPLETE_WORK = 1024    # ... header lines that a profile adds ...
    TELL_WORK = 512         # ... and what is told of one message alone
    UNPARK_SLICE = 4194304  # bytes of output that one session's parked frames may cause before others are served

cdef uint32_t UNUSUAL = (1 << KNOWN_REPLY_TO | 1 << KNOWN_PROPERTY | 1 << KNOWN_TRANSACTION
                         | 1 << KNOWN_TYPE | NAME_UNTOLD)   # of a SEND

ACK_NAMES = {
    10: b"message-id", 11: b"message-id and subscription", 12: b"id, which is the value of the MESSAGE's ack header",
}


# ---- what a command does ----

ctypedef int (*Handler)(Session self, const Frame *frame) except -1

cdef struct Command:
    Handler handle
    bint parks              # needs memory: waits at the ceiling
    bint frees              # frees memory and depends on nothing parked, so it may overtake

cdef Command[COMMANDS] TABLE
TABLE[COMMAND_SEND] = Command(on_send, True, False)
TABLE[COMMAND_BEGIN] = Command(on_begin, True, False)
TABLE[COMMAND_SUBSCRIBE] = Command(on_subscribe, False, False)
TABLE[COMMAND_UNSUBSCRIBE] = Command(on_unsubscribe, False, True)
TABLE[COMMAND_ACK] = Command(on_ack, False, True)
TABLE[COMMAND_NACK] = Command(on_ack, False, True)
TABLE[COMMAND_COMMIT] = Command(on_commit, False, False)
TABLE[COMMAND_ABORT] = Command(on_abort, False, False)
TABLE[COMMAND_DISCONNECT] = Command(on_disconnect, False, True)
TABLE[COMMAND_CONNECT] = Command(on_second_connect, False, False)
TABLE[COMMAND_STOMP] = Command(on_second_connect, False, False)


cdef Session session_new(Broker broker, OutBuf *out, Parser parser, void *connection):
    cdef Session new = Session()
    new.broker = broker
    new.namespace = broker.namespace
    new.out = out
    new.parser = parser
    new.account.total = &broker.census.memory
    broker.begun += 1
    new.origin.who = broker.begun or 1  # after so many that it counts from 0 again
    new.subscriptions = subscriptions_of(&broker.census, &broker.ceiling, &new.account)
    new.returning = []
    link_init(&new.go_on, connection)
    broker.census.sessions += 1
    account_charge(&new.account, COST)
    return new


cdef class Session:

    def __cinit__(self):
        ring_init(&self.starved)
        link_init(&self.waiting, <void *>self)

    def __dealloc__(self):
        if self.broker is not None:
            account_charge(&self.account, -self.account.bytes)
            self.broker.census.sessions -= 1

    cdef int on_frame(self, const Frame *frame) except -1:
        """One frame from the client. Raises Refused when it cannot be processed."""
        if self.state == STATE_CONNECTED:
            if frame.command != COMMAND_SEND or self.parking is not None or self.broker.is_full():
                return on_other(self, frame)
            on_send(self, frame)    # what nearly all frames are, in the shortest way
            return receipt(self, frame) if frame.known[KNOWN_RECEIPT] else 0
        if self.state == STATE_CLOSING:
            return 0
        if frame.command == COMMAND_CONNECT or frame.command == COMMAND_STOMP:
            return on_connect(self, frame)
        raise Refused(b"not connected", b"The first frame must be CONNECT or STOMP.")

    cdef int end_of_input(self) except -1:
        """No frame follows for now: nothing that was published is put off any longer."""
        if self.broker.fanout.count:
            settle_fanout(self)
        return 0

    # ---- errors ----

    cdef int refused(self, const Frame *frame, bytes message, bytes body) except -1:
        """The frame could not be processed: ERROR that names its receipt (STOMP 1.2, "ERROR"), and the end; or a soft
        error."""
        cdef bytes name = frame_text(frame, KNOWN_RECEIPT)
        self.end_of_input()
        if self.soft is not None and self.soft.may_tell(frame, message, self.broker.now):
            return tell_softly(self, self.soft.told(frame, message, body + b"\n", self.version))
        say_error(self, frame, message, body, name)
        self.detail = as_text(body)
        self.destination = as_text(frame_text(frame, KNOWN_DESTINATION))
        return close(self, message)

    cdef int malformed(self, int status) except -1:
        """The bytes are no frame; there is no telling where the next one begins."""
        message, body = parse_error(status)
        return self.fail(message, body)

    cdef int fail(self, bytes message, bytes body) except -1:
        """ERROR for a reason that lies in no single frame."""
        self.end_of_input()     # no MESSAGE comes behind it
        say_error(self, NULL, message, body, None)
        self.detail = as_text(body)
        return close(self, message)

    # ---- login ----

    cdef int admit(self, object identity) except -1:
        """The login is accepted."""
        self.hold &= ~HOLD_LOGIN
        self.login_answer = None
        self.identity = identity
        self.state = STATE_CONNECTED
        self.parser.version = self.version
        self.ledger = ledger_new(&self.broker.census, &self.broker.ceiling, &self.account)
        if self.broker.authorize is not None:
            self.access = access_of(self.broker.authorize, identity, &self.account)
        if self.will is not None and not may_leave(self):
            return 0
        put_connected(self.out, self.welcome)
        self.welcome = None
        if self.broker.debug:
            self.broker.log("debug", "login", peer=self.peer, listener=self.listener, login=self.login,
                            version=version_name(self.version), client=self.software)
            self.software = None    # nobody asks again
        return 0

    # ---- the end ----

    cdef int said_all(self) except -1:
        """No frame will follow those that are parked: what is not settled need not wait for them."""
        park(self, PARKED_END, NULL, 0)
        return self.end_subscriptions()

    cdef int end_subscriptions(self) except -1:
        """Everything that it holds of others' is free again, in the next turns if that is much."""
        cdef Subscription subscription
        while self.transactions is not None and self.transactions.open:
            try:
                self.transactions.abort_any()
            except MemoryError:
                lost_messages(self)
        subscription = self.subscriptions.remove_any()
        while subscription is not None:
            try:
                end_subscription(self, subscription)
            except MemoryError:
                lost_messages(self)
            subscription = self.subscriptions.remove_any()
        return give_all_back(self)

    cdef void leave(self) noexcept:
        """The session is over: everything it held is free again. More than once is fine."""
        if self.will is not None:
            leave_will(self)
        self.state = STATE_CLOSING
        self.hold = 0
        self.route = None
        link_leave(&self.waiting)
        self.broker.fanout.settle()     # while those it goes to are still there
        if self.parking is not None:
            self.parking.clear()
            self.parking = None
        self.end_subscriptions()
        self.receipts = None
        if self.temporaries is not None:
            self.temporaries.end()
        if self.short_id is not None:
            self.broker.short_sessions.discard(self.short_id)

    # ---- going on ----

    cdef int drained(self) except -1:
        """The output has room again: subscriptions that waited for it stand in line at their queues."""
        cdef Subscription subscription
        cdef void *owner = ring_take(&self.starved)
        while owner != NULL:
            subscription = <Subscription>owner
            (<Queue>subscription.source).regained(subscription)
            owner = ring_take(&self.starved)
        return 0

    cdef bint in_transaction(self) noexcept:
        return self.transactions is not None and len(self.transactions.open) > 0

    cdef int unpark(self) except -1:
        """Handles parked frames while there is memory and nothing else holds them, up to a slice of work."""
        cdef Parking parking = self.parking
        cdef int64_t before = self.broker.census.messages_in
        self.broker.give_share(UNPARK_SLICE)
        self.hold &= ~HOLD_MEMORY
        parking.draining = True
        try:
            while parking.size() and may_unpark(self):
                handle_parked(self, parking)
                self.parked_at = self.broker.now
                if self.state == STATE_CONNECTED and not self.hold & HOLD_FULL:
                    parking.drop_first()
        finally:
            parking.draining = False
            self.end_of_input()
            self.published += self.broker.census.messages_in - before
        if parking.size() == 0:
            self.parking = None
        elif self.state == STATE_CONNECTED:
            link_join(&self.broker.parking, &parking.link)
            limit_parked(self)
        return 0

    cdef int has_paid(self) except -1:
        """No receipts wait for the journal any more: they are out, or never will be. It may have been about to end."""
        if not self.receipts.empty():
            self.receipts = None
            return self.fail(b"journal failed", b"The broker could not write to its disk. What it has not confirmed "
                             b"may be lost when it ends.")
        if not self.hold & HOLD_JOURNAL:
            return 0
        self.hold &= ~HOLD_JOURNAL
        return close(self, self.parting)

    cdef int carry_on(self) except -1:
        """With what was more than a share, as far as the next one reaches."""
        cdef int64_t before = self.broker.census.messages_in
        if self.committing is not None:
            carry_out(self)
        self.published += self.broker.census.messages_in - before
        return give_all_back(self)


# ---- any frame but a plain SEND ----

cdef int on_other(Session self, const Frame *frame) except -1:
    if self.parking is not None and self.parking.ended:
        return 0
    self.end_of_input()
    if (self.parking is not None or self.broker.is_full()) and must_park(self, frame):
        park(self, PARKED_FRAME, frame.base, frame.size)
        self.parking.depends |= frame.known[KNOWN_TRANSACTION] != 0
        return 0
    return handle(self, frame)


cdef int handle(Session self, const Frame *frame) except -1:
    cdef const Command *command = &TABLE[frame.command]
    cdef Recorded before = self.broker.recorded[0]
    if command.handle == NULL:
        raise Refused(b"unknown command", b"The frame's command is not one that a client may send.")
    self.broker.census.work += COMMAND_WORK
    command.handle(self, frame)
    if self.broker.recorded.records != before.records:
        must_wait(&self.origin, self.broker.journal, before.strict)
    if frame.known[KNOWN_RECEIPT] and self.state == STATE_CONNECTED and self.committing is None:
        receipt(self, frame)
    return 0


cdef int receipt(Session self, const Frame *frame) except -1:
    """RECEIPT, if the frame wants one; behind those of frames that still wait. One that comes again has none yet."""
    cdef Slice name = frame_value(frame, KNOWN_RECEIPT)
    if name.bytes == NULL or self.hold & HOLD_FULL:
        return 0
    if frame.command == COMMAND_SEND and frame.known[KNOWN_TRANSACTION] and self.broker.profile.receipts_at_commit:
        return transactions(self).owe(frame, name)
    self.end_of_input()
    if self.parking is not None and not self.parking.draining:
        return park(self, PARKED_RECEIPT, name.bytes, name.length)
    return put_or_keep(self, name)


cdef int put_or_keep(Session self, Slice name) except -1:
    """At once, unless it or one before it waits for the journal."""
    cdef bint waits = self.origin.durable > self.broker.durable or self.origin.written > self.broker.written
    cdef bytes info
    if self.receipts is None and self.info is None and not waits:
        return put_receipt(self.out, name, None, self.version)
    info = self.info
    self.info = None
    if self.receipts is None and not waits:
        return put_receipt(self.out, name, info, self.version)
    if self.receipts is not None and self.receipts.empty() and not waits:
        self.receipts = None
        return put_receipt(self.out, name, info, self.version)
    if self.broker.keeps_nothing():
        return refuse_persistent(self.broker.journal)
    if self.receipts is None:
        self.receipts = receipts_new(self.out, self.version, &self.broker.census.input, &self.broker.owing,
                                     &self.go_on)
    return self.receipts.put(&self.origin, name, info)


cdef int tell_softly(Session self, bytes error) except -1:
    """In the place of the RECEIPT that the frame does not get. The next one is looked up anew, were it the same."""
    self.broker.census.work += SOFT_WORK
    self.route = None
    if self.parking is not None and not self.parking.draining:
        return park(self, PARKED_ERROR, error, len(error))
    return say(self, error)


cdef int say_error(Session self, const Frame *frame, bytes message, bytes body, bytes receipt) except -1:
    """ERROR, in the words of the profile."""
    cdef Profile profile = self.broker.profile
    cdef bint versions = profile.error_versions or message == b"unsupported version"
    message = profile.error_message(frame, message, self.login)
    return say(self, error_frame(message, body + b"\n", receipt, versions, max(self.version, 10)))


cdef int say(Session self, bytes text) except -1:
    """A frame, behind the receipts that wait for the journal."""
    return self.receipts.put_frame(text) if self.owes() else put_frame(self.out, text)


cdef int close(Session self, bytes reason) except -1:
    """Once the receipts that wait for the journal are out; until then no frame of it is handled."""
    if self.owes():
        self.parting = reason
        self.hold |= HOLD_JOURNAL
        return self.end_subscriptions()
    self.reason = reason.decode()
    self.leave()
    return 0


cdef str as_text(bytes text):
    """For the log."""
    return shown(text).decode() if text is not None else None


cdef int tell(Session self, str event, Subscription subscription) except -1:
    self.broker.log("debug", event, peer=self.peer, destination=as_text(subscription.destination),
                    id=as_text(subscription.id), ack=ack_mode_name(subscription.ack_mode))
    return 0


cdef int lost_messages(Session self) except -1:
    self.broker.log("error", "out of memory", lost="messages", peer=self.peer)
    return 0


cdef int on_second_connect(Session self, const Frame *frame) except -1:
    raise Refused(b"already connected", b"A connection has one session; a second CONNECT is not possible.")


# ---- CONNECT ----

cdef int on_connect(Session self, const Frame *frame) except -1:
    """Version, heart-beats, then the authenticator, who may take his time (STOMP 1.2, "Connecting")."""
    cdef int version = negotiated_version(frame_text(frame, KNOWN_ACCEPT_VERSION))
    cdef bytes login = frame_text(frame, KNOWN_LOGIN)
    cdef object answer
    self.login = as_text(login) if login else None
    self.client_id = client_id_of(frame)
    if self.client_id is not None:
        account_charge(&self.account, len(self.client_id))
        self.origin.client = property_hash(self.client_id, len(self.client_id), self.broker.property_seed)
    if self.broker.debug:
        self.software = software_of(frame) or self.software
    if version >= 11:
        agree_on_heart_beats(frame_text(frame, KNOWN_HEART_BEAT), &self.broker.limits, &self.send_every,
                             &self.expect_every)
    self.version = version
    if not frame.known[KNOWN_ACCEPT_VERSION]:
        self.short_id = short_session(self.broker.short_sessions)
    self.welcome = connected_headers(frame, version, self.broker, self.short_id, self.send_every > 0,
                                     self.expect_every > 0)
    if self.broker.presence is not None:
        self.id = self.welcome.partition(b"session:")[2].partition(b"\n")[0]
    if has_header_of(frame, b"will-", 5):
        self.will = will_of(frame, self.broker)
        account_charge(&self.account, self.will.cost)
    if wants_soft_errors(frame):
        self.soft = SoftErrors()
        account_charge(&self.account, SOFT_COST)
        self.welcome += b"soft-errors:true\n"
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


cdef bint may_leave(Session self) except -1:
    """Whether it can and may send what it leaves behind where that goes: only who is let in is told what there is."""
    try:
        if self.access is not None:
            ask(self, "send", self.will.destination)
        stations_of(self.namespace, parts_of(self.will.destination))    # it can be sent to
    except Refused as refusal:
        self.will = None
        self.fail(refusal.args[0], b"will-destination: %b" % refusal.args[1])
        return False
    return True


cdef void leave_will(Session self) noexcept:
    """A client that was let in has gone without DISCONNECT, whoever is to blame; unless the broker stops."""
    cdef Will will = self.will
    self.will = None
    account_charge(&self.account, -will.cost)
    if self.state == STATE_CONNECTED and self.broker.takes_wills:
        will.leave()


cdef bint wants_soft_errors(const Frame *frame) except -1:
    cdef bytes value = header_text(frame, b"soft-errors")
    if value is not None and value.lower() not in (b"true", b"false"):
        raise Refused(b"bad header", b"soft-errors is true or false.")
    return value is not None and value.lower() == b"true"


# ---- SEND ----

cdef int on_send(Session self, const Frame *frame) except -1:
    cdef Content content
    if frame.names & UNUSUAL:
        return send_unusually(self, frame)
    if not frame.repeated or self.route is None:
        find_route(self, frame)
    content_of(frame, &self.broker.scratch, NULL, 0, &content)
    self.namespace.publish(self.route, &content, &self.origin)
    if self.origin.full != NULL:
        wait_for_room(self)
    return 0


cdef int send_unusually(Session self, const Frame *frame) except -1:
    """With a reply-to, in a transaction, or with other wishes."""
    cdef Content content
    cdef bytes reply_line
    if frame.known[KNOWN_TYPE]:
        find_typed_route(self, frame)
    elif not frame.repeated or self.route is None:
        find_route(self, frame)
    reply_line = replies_to(self, frame) if frame.known[KNOWN_REPLY_TO] else None
    if reply_line is None:
        content_of(frame, &self.broker.scratch, NULL, 0, &content)
    else:
        content_of(frame, &self.broker.scratch, reply_line, len(reply_line), &content)
    if frame.known[KNOWN_PROPERTY] and read_properties(frame, &self.broker.census, self.broker.property_seed,
                                                       &self.broker.properties):
        content.properties = &self.broker.properties
    if frame.names & NAME_UNTOLD:
        self.broker.census.work += COMPLETE_WORK
        self.broker.profile.complete(frame, &self.broker.scratch, wall_now(&self.broker.census), &content)
    if content.properties != NULL and content.properties.flags & PERSISTS and not self.broker.keeps_more():
        check_kept(self)
    if content.properties != NULL and comes_later(content.properties):
        return send_later(self, frame, &content)
    if frame.known[KNOWN_TRANSACTION]:
        return send_in_transaction(self, frame, &content)
    if content.properties != NULL and content.properties.flags & (ASKS_INFO | ASKS_SOMEBODY):
        return publish_and_tell(self, frame, &content)
    return accept(self, &content)


cdef int check_kept(Session self) except -1:
    """Raises Refused where a persistent message would have to outlive the broker."""
    if self.route.keeps():
        refuse_persistent(self.broker.journal)
    return 0


cdef int send_later(Session self, const Frame *frame, const Content *content) except -1:
    """Who gets it then nobody knows yet, so nothing is told. What cannot be scheduled is refused now, not at COMMIT."""
    if frame.known[KNOWN_TRANSACTION]:
        self.namespace.schedule.check(content)
        return send_in_transaction(self, frame, content)
    self.namespace.schedule.ask_for_room(message_cost(content))
    return accept(self, content)


cdef int send_in_transaction(Session self, const Frame *frame, const Content *content) except -1:
    if content.properties != NULL and content.properties.flags & ASKS_SOMEBODY:
        raise Refused(b"bad header", b"mandatory is for a SEND outside of a transaction: COMMIT does all or nothing.")
    if isinstance(self.route, SchedulingRoute):
        raise Refused(b"bad header", b"AMQ_SCHEDULER_ACTION is for a SEND outside of a transaction: it may fail, and "
                      b"COMMIT does all or nothing.")
    return transactions(self).send(frame, self.route, content)


cdef int publish_and_tell(Session self, const Frame *frame, const Content *content) except -1:
    """For a sender who wants to know what becomes of it."""
    cdef unsigned flags = content.properties.flags
    cdef uint64_t number = self.namespace.number.value + 1
    cdef Recorded before = self.broker.recorded[0]
    settle_fanout(self)     # what is told is of this message alone
    self.broker.census.work += TELL_WORK
    if flags & ASKS_SOMEBODY and not self.route.has_somebody():
        raise Refused(b"nobody there", b"mandatory:true, and nobody has subscribed to '%b'."
                      % shown(self.route.destination))
    self.origin.took = self.origin.dropped = 0
    self.origin.duplicate = False
    accept(self, content)
    if self.origin.untaken or self.hold & HOLD_FULL:
        return 0    # it comes again
    if flags & ASKS_INFO and frame.known[KNOWN_RECEIPT]:
        self.info = receipt_info(self.namespace.epoch, number, &self.origin,
                                 b"fsync" if self.broker.recorded.strict != before.strict
                                 else b"written" if self.broker.recorded.records != before.records
                                 else b"memory" if flags & PERSISTS else None)
    return 0


cdef int accept(Session self, const Content *content) except -1:
    self.namespace.accept(self.route, content, &self.origin)
    if self.origin.full != NULL:
        wait_for_room(self)
    return 0


cdef inline int find_route(Session self, const Frame *frame) except -1:
    """Sets `route`; the last one is looked at first, since most clients send to one destination."""
    cdef Slice destination = frame_value(frame, KNOWN_DESTINATION)
    cdef bytes text
    if destination.bytes == NULL or destination.length == 0:
        raise Refused(b"missing header", b"SEND needs a destination header.")
    if frame.version >= 11 and memchr(destination.bytes, c'\\', destination.length) != NULL:
        text = decoded(destination.bytes, destination.length, frame.version)
        return new_route(self, frame, text, len(text))
    if (self.route is None or self.route.destination_length != destination.length
            or memcmp(self.route.destination_bytes, destination.bytes, destination.length) != 0):
        new_route(self, frame, destination.bytes, destination.length)
    elif frame.known[KNOWN_QUEUE] and not is_declared(self, frame):
        find_declared(self, frame, destination.bytes, destination.length)
    return 0


cdef int find_typed_route(Session self, const Frame *frame) except -1:
    """The same, where a header says whether a bare name is a queue or a topic."""
    cdef bytes destination = frame_text(frame, KNOWN_DESTINATION)
    if not destination:
        raise Refused(b"missing header", b"SEND needs a destination header.")
    destination = typed(destination, frame_text(frame, KNOWN_TYPE))
    return new_route(self, frame, destination, len(destination))


cdef int new_route(Session self, const Frame *frame, const char *destination, size_t length) except -1:
    cdef Route route
    if self.access is not None:
        ask(self, "send", destination[:length])
    if frame.known[KNOWN_QUEUE] and not is_temporary(destination[:length]):
        return find_declared(self, frame, destination, length)
    route = self.namespace.known_route(destination, length)
    self.route = route if route is not None else made_route(self, destination[:length])
    return 0


cdef int find_declared(Session self, const Frame *frame, const char *destination, size_t length) except -1:
    """A route of its own, which declares the queue anew should that have gone."""
    cdef dict declared = declared_in(frame)
    cdef Recorded before = self.broker.recorded[0]
    cdef Route route
    self.route = None   # or frames that are alike would go on with what was before, if this one is refused
    may_declare(self, declared)
    route = self.namespace.route_of(destination, length)
    if type(route) is QueueRoute and not (<QueueRoute>route).queue.owned and leads_somewhere(<QueueRoute>route):
        declare((<QueueRoute>route).queue, declared, False)
        if self.broker.recorded.records != before.records:
            must_wait(&self.origin, self.broker.journal, before.strict)
        route = queue_route(route.destination, (<QueueRoute>route).queue, declared)
        (<QueueRoute>route).declared_as = declaration_hash(frame, self.broker.property_seed)
    self.route = route
    return 0


cdef bint is_declared(Session self, const Frame *frame) noexcept:
    """Whether its last SEND has declared the same of the same queue."""
    return (type(self.route) is QueueRoute
            and (<QueueRoute>self.route).declared_as == declaration_hash(frame, self.broker.property_seed))


cdef int may_declare(Session self, dict declared) except -1:
    """Dead letters go only to where it may send."""
    cdef bytes dead_letters = dead_letters_of(declared) if self.access is not None else None
    if dead_letters is not None:
        self.access.ask("send", canonical(KIND_QUEUE, dead_letters))
    return 0


cdef Route made_route(Session self, bytes destination):
    """It may name what only this connection knows."""
    cdef list parts = parts_of(destination)
    if not any([is_temporary(part) for part in parts]):
        return self.namespace.new_route(destination, parts)
    return self.namespace.route_to(destination, [temporaries(self).seen_by_others(part) for part in parts])


cdef int ask(Session self, str action, bytes destination) except -1:
    for part in parts_of(destination):
        self.access.ask(action, canonical_of(part))
    return 0


cdef int settle_fanout(Session self) except -1:
    self.broker.fanout.settle()
    if self.origin.full != NULL:
        wait_for_room(self)
    return 0


cdef void wait_for_room(Session self) noexcept:
    """This publisher reads on when the subscriber has drained, or its grace is over; or it sends the same again when
    there is room in the queue."""
    if self.state == STATE_CONNECTED:
        self.hold |= HOLD_FULL if self.origin.untaken else HOLD_SLOW
        link_join(self.origin.full, &self.waiting)
    self.origin.full = NULL
    self.origin.untaken = False


cdef void release_waiters(Broker broker, Link *waiters) noexcept:
    """Publishers who waited there go on."""
    cdef Session waiting
    cdef void *owner = ring_take(waiters)
    while owner != NULL:
        waiting = <Session>owner
        waiting.hold &= ~(HOLD_SLOW | HOLD_FULL)
        link_join(&broker.released, &waiting.go_on)
        owner = ring_take(waiters)


# ---- temporary queues and topics ----

cdef Temporaries temporaries(Session self):
    if self.temporaries is None:
        self.temporaries = temporaries_of(self.namespace, &self.account)
    return self.temporaries


cdef bytes replies_to(Session self, const Frame *frame):
    """The line that receivers get to see for reply-to:/temp-queue/<id>, or /temp-topic/<id>; None leaves the header as
    it is.

    Without a SUBSCRIBE of its own the sender gets replies to a queue with subscription:/temp-queue/<id>.
    """
    cdef Slice value = frame_value(frame, KNOWN_REPLY_TO)
    cdef bytes name
    if self.temporaries is not None and self.temporaries.was_last(value):
        return self.temporaries.last_line
    name = decoded(value.bytes, value.length, frame.version)
    if not is_temporary(name):
        return None
    self.broker.census.work += REPLY_WORK
    if kind_of(name) == KIND_TEMPORARY:
        listen_to(self, name, temporaries(self).queue(name_in(name, KIND_TEMPORARY)))
    return temporaries(self).reply_line(name, value)


cdef int listen_to(Session self, bytes name, Queue queue) except -1:
    """To a temporary queue of its own, if it does not yet."""
    cdef Subscription subscription
    if queue.consumer_count == 0 and self.subscriptions.get(name) is None:
        subscription = new_subscription(self, name, name, ACK_AUTO)
        subscription.implicit = True
        self.namespace.subscribe_queue(subscription, queue)
        self.subscriptions.add(name, subscription)
    return 0


# ---- SUBSCRIBE, UNSUBSCRIBE ----

cdef int on_subscribe(Session self, const Frame *frame) except -1:
    cdef bytes destination = frame_text(frame, KNOWN_DESTINATION)
    cdef bytes id = frame_text(frame, KNOWN_ID)
    cdef bytes key, place
    cdef Wishes wishes
    cdef Selector selector
    cdef Subscription subscription, before
    self.broker.census.work += SUBSCRIBE_WORK
    if id is None and needs_id(self):
        raise Refused(b"missing header", b"SUBSCRIBE needs an id header in STOMP 1.1 and 1.2.")
    if not destination:
        raise Refused(b"missing header", b"SUBSCRIBE needs a destination header.")
    key = self.subscriptions.new_key(id, destination)
    before = self.subscriptions.get(key)
    if (before is not None and not before.implicit) or (self.soft is not None and key == b"errors"):
        raise Refused(b"duplicate subscription", b"The connection has a subscription with this id; ids must be unique.")
    check_room(self, before)
    place = place_of(frame, destination)
    wishes = wishes_of(frame, parts_of(place), &self.broker.limits, self.broker.profile)
    wishes.destination = place
    if self.access is not None:
        ask_to_hear(self, wishes)
        if wishes.declared is not None:
            may_declare(self, wishes.declared)
    selector = selector_in(self, wishes)
    subscription = new_subscription(self, id, destination, wishes.ack_mode)
    subscription.choose(selector, &self.origin if wishes.no_local else NULL)
    if has_header_of(frame, b"activemq.", 9):
        subscription.form |= FORM_ACTIVEMQ
    try:
        subscription.credit.prefetch = wishes.prefetch
        subscription.credit.prefetch_bytes = wishes.prefetch_bytes
        subscription.redelivery = wishes.redelivery
        subscription.priority = wishes.priority
        subscription.exclusive = wishes.exclusive
        attach(self, subscription, wishes)
        replace_implicit(self, key)
    except:
        end_subscription(self, subscription)
        raise
    if self.broker.debug:
        tell(self, "subscribe", subscription)
    return self.subscriptions.add(key, subscription)


cdef Selector selector_in(Session self, Wishes wishes):
    if wishes.selector is None:
        return None
    return selector_of(wishes.selector, self.namespace.epoch, self.broker.property_seed, &self.broker.census)


cdef bint needs_id(Session self) noexcept:
    """Whether a subscription is named by its id only, as all but 1.0 want it."""
    return self.version >= 11 and self.broker.parser_limits.strict


cdef int check_room(Session self, Subscription replaced) except -1:
    """Room is kept for consumers at the memory ceiling: for each its share of the reserve, until that is used up."""
    cdef Py_ssize_t others = len(self.subscriptions.by_key) - (replaced is not None)
    if others >= <Py_ssize_t>self.broker.limits.max_subscriptions:
        raise Refused(b"too many subscriptions", b"The connection has limits.max_subscriptions subscriptions.")
    if ceiling_reached(&self.broker.ceiling) or (
            self.broker.is_full() and self.account.bytes > COST + self.broker.ceiling.reserve // 16):
        raise Refused(b"server busy",
                      b"The memory ceiling is reached; nothing can be subscribed to now. Try again later.")
    return 0


cdef Subscription new_subscription(Session self, bytes id, bytes destination, int mode):
    cdef Subscription new = subscription_new(id, destination, self.namespace.epoch, self.version, mode, self.out,
                                             self.ledger, &self.starved, &self.account)
    new.credit.prefetch = self.broker.limits.prefetch
    new.credit.prefetch_bytes = self.broker.limits.prefetch_bytes
    if self.broker.profile.first_lines:
        new.begin_with(self.broker.profile.first_lines)
    return new


cdef int attach(Session self, Subscription subscription, Wishes wishes) except -1:
    cdef bytes destination = wishes.destination
    cdef list parts = parts_of(destination)
    cdef Kind kind = kind_of(parts[0])
    cdef bytes name = name_in(destination, kind)
    if len(parts) > 1:
        return attach_to_all(self, subscription, wishes, parts)
    if kind == KIND_REPLY or kind == KIND_REPLY_TOPIC:
        raise Refused(b"bad destination", b"A reply queue or topic can be sent to; its owner subscribes to "
                      b"/temp-queue/<id> or /temp-topic/<id>.")
    if kind == KIND_PRESENCE and self.broker.presence is not None:
        return self.broker.presence.watch(subscription, name)
    if kind == KIND_PRESENCE:
        raise Refused(b"access refused", b"This broker does not tell who has subscribed to a topic.")
    if wishes.browses:
        return look_at(self, subscription, kind, name, wishes)
    if is_topic(kind):
        attach_to_topic(self, subscription, wishes)
        return appear(self, subscription, kind, name)
    if kind == KIND_TEMPORARY:
        self.namespace.subscribe_queue(subscription, temporaries(self).queue(name))
        return replace_implicit(self, destination)
    if kind == KIND_EXISTING_QUEUE:
        return consume(self.namespace, subscription, self.namespace.existing_queue(name), wishes.declared)
    if kind == KIND_QUEUE and is_pattern(name, len(name)):
        return attach_to_queues(self, subscription, wishes, name)
    return consume(self.namespace, subscription, self.namespace.queue_of(name), wishes.declared)


cdef int attach_to_queues(Session self, Subscription subscription, Wishes wishes, bytes pattern) except -1:
    """To all that match."""
    check_pattern(pattern, self.broker.limits.max_levels)
    if wishes.declared is not None:
        raise Refused(b"bad header", b"%b says something of one queue, and '%b' is a pattern." % (
            next(iter(wishes.declared)), shown(pattern)))
    subscribe_several(self.namespace, subscription, self.access).add_pattern(pattern)
    return 0


cdef int attach_to_all(Session self, Subscription subscription, Wishes wishes, list parts) except -1:
    """To each of them, or to none."""
    cdef Several several
    for part in parts:
        check_part(self, part)
    several = subscribe_several(self.namespace, subscription, self.access)
    for part in {canonical_of(part): part for part in parts}.values():
        wishes.destination = part
        attach_part(self, several, wishes)
    return 0


cdef int attach_part(Session self, Several several, Wishes wishes) except -1:
    cdef bytes name = name_in(wishes.destination, kind_of(wishes.destination))
    cdef Subscription member
    if kind_of(wishes.destination) == KIND_QUEUE and is_pattern(name, len(name)):
        return several.add_pattern(name)
    member = several.new_part()
    attach(self, member, wishes)
    if not is_topic(kind_of(wishes.destination)):
        several.has_part(member.source)
    return 0


cdef int check_part(Session self, bytes destination) except -1:
    """Raises Refused for what cannot be a part of several, as far as that is known before."""
    cdef Kind kind = kind_of(destination)
    cdef bytes name = name_in(destination, kind)
    if kind == KIND_PRESENCE or kind == KIND_REPLY or kind == KIND_REPLY_TOPIC:
        raise Refused(b"bad destination", b"'%b' is none of those that a SUBSCRIBE may name with others."
                      % shown(destination))
    if kind == KIND_EXISTING_QUEUE:
        self.namespace.existing_queue(name)
    elif kind == KIND_DIRECT or kind == KIND_FANOUT:
        check_key(name, self.broker.limits.max_levels)
    elif is_topic(kind) or (kind == KIND_QUEUE and is_pattern(name, len(name))):
        check_pattern(name, self.broker.limits.max_levels)
    return 0


cdef int look_at(Session self, Subscription subscription, Kind kind, bytes name, Wishes wishes) except -1:
    """A browser makes no queue, declares nothing, and is nobody's rival."""
    cdef Queue queue
    if kind == KIND_TEMPORARY:
        queue = temporaries(self).queue(name)
    elif kind == KIND_EXISTING_QUEUE:
        queue = self.namespace.existing_queue(name)
    else:
        queue = known_queue(self.namespace, name)
    subscription.numbered = wishes.numbered
    self.browsed = True
    return browse(self.namespace.browsers, subscription, self.namespace, queue, name, &wishes.browsing)


cdef int attach_to_topic(Session self, Subscription subscription, Wishes wishes) except -1:
    """Topics that no pattern reaches are called by their canonical names, without the slash in front."""
    cdef Kind kind = kind_of(wishes.destination)
    cdef bytes name = name_in(wishes.destination, kind)
    cdef bint apart = kind != KIND_TOPIC
    cdef Title title = None if wishes.usual else title_of(wishes.headers, self.client_id, name)
    if title is not None:
        check_title(title, wishes, apart)
        return attach_to_title(self, subscription, title, wishes)
    if kind == KIND_TEMPORARY_TOPIC:
        return join_topic(self, subscription, temporaries(self).topic(name).name[1:], wishes)
    if apart:
        name = canonical(kind, name)[1:]
    if wishes.queue_name is None:
        join_topic(self, subscription, name, wishes)
        return 0 if apart else replay(self, subscription, name, wishes)
    if wishes.conflate is not None:
        raise Refused(b"bad header", b"A queue that x-queue-name names takes no conflate.")
    if wishes.asked.what != REPLAY_NOTHING:
        raise Refused(b"bad header", b"A queue that x-queue-name names has no history: leave out since, from-seq and "
                      b"last.")
    return self.namespace.subscribe_bound(subscription, wishes.queue_name, wishes.declared, name, apart)


cdef int join_topic(Session self, Subscription subscription, bytes name, Wishes wishes) except -1:
    cdef bint apart = kind_of(wishes.destination) != KIND_TOPIC
    self.namespace.subscribe_topic(subscription, name, apart)
    return 0 if wishes.conflate is None else conflate(self.namespace, subscription, wishes.conflate, name, apart)


cdef int appear(Session self, Subscription subscription, Kind kind, bytes name) except -1:
    """Others may see that it is there."""
    if self.broker.presence is None or kind != KIND_TOPIC:
        return 0
    return self.broker.presence.join(subscription, name, self.id, getattr(self.identity, "name", self.login))


cdef int attach_to_title(Session self, Subscription subscription, Title title, Wishes wishes) except -1:
    """What is chosen is chosen where it is kept."""
    title.selector = subscription.selector
    title.chosen = None if title.selector is None else wishes.selector
    title.not_by = self.origin.client if wishes.no_local else 0
    subscription.choose_nothing()
    if self.access is not None:
        self.access.ask("subscribe", b"/" + title.name)
    return self.namespace.subscribe_title(subscription, title)


cdef int check_title(Title title, Wishes wishes, bint apart) except -1:
    """What a durable or shared subscription cannot be."""
    if apart:
        raise Refused(b"bad header", b"Only /topic/ has durable and shared subscriptions; this keeps nothing.")
    if wishes.queue_name is not None:
        raise Refused(b"bad header", b"A durable or shared subscription has its own queue: leave out x-queue-name.")
    if wishes.conflate is not None:
        raise Refused(b"bad header", b"A durable or shared subscription keeps all that comes: leave out conflate.")
    if wishes.no_local and not title.renews:
        raise Refused(b"bad header", b"no-local is for a durable subscription with a client-id and a name: nobody can "
                      b"say what those who share another one have sent themselves.")
    if wishes.asked.what != REPLAY_NOTHING:
        raise Refused(b"bad header", b"A durable or shared subscription goes on where it was: leave out since, "
                      b"from-seq and last.")
    return 0


cdef int ask_to_hear(Session self, Wishes wishes) except -1:
    """Also for the topic that a queue follows, and for the queue that a topic's messages shall go to."""
    cdef Kind kind
    cdef bytes topic
    ask(self, "subscribe", wishes.destination)
    for part in parts_of(wishes.destination):
        kind = kind_of(part)
        topic = None if is_topic(kind) else followed_topic(name_in(part, kind))
        if topic is not None:
            self.access.ask("subscribe", canonical(KIND_TOPIC, topic))
    if wishes.queue_name is not None:
        self.access.ask("subscribe", canonical(KIND_QUEUE, wishes.queue_name))
    return 0


cdef int replay(Session self, Subscription subscription, bytes pattern, Wishes wishes) except -1:
    """A message-id of another run of the broker tells nothing: all is sent, and that something may be missing."""
    if wishes.epoch is not None and wishes.epoch != self.namespace.epoch:
        wishes.asked.what = REPLAY_ALL
        wishes.asked.elsewhere = True
    return self.namespace.replay(subscription, pattern, &wishes.asked)


cdef int replace_implicit(Session self, bytes name) except -1:
    """A SUBSCRIBE takes the place of the subscription of that name which a reply-to had made."""
    cdef Subscription implicit = self.subscriptions.get(name)
    if implicit is not None and implicit.implicit:
        end_subscription(self, self.subscriptions.remove(name))
    return 0


cdef int on_unsubscribe(Session self, const Frame *frame) except -1:
    cdef bytes key = frame_text(frame, KNOWN_ID)
    cdef bytes destination, title
    cdef Subscription subscription
    if frame.header_count > 1:
        title = title_to_end(headers_of(frame), self.client_id, self.subscriptions.get(key))
        if title is not None:
            return delete_durable(self, key, title)
    if key is None and needs_id(self):
        raise Refused(b"missing header", b"UNSUBSCRIBE needs an id header in STOMP 1.1 and 1.2.")
    if key is None:
        destination = frame_text(frame, KNOWN_DESTINATION)
        if destination is None:
            raise Refused(b"missing header", b"UNSUBSCRIBE needs an id or a destination header.")
        key = self.subscriptions.key_of(destination)
    subscription = self.subscriptions.get(key)
    if subscription is None or subscription.implicit:
        raise Refused(b"unknown subscription", b"The connection has no such subscription.")
    if self.broker.debug:
        tell(self, "unsubscribe", subscription)
    end_subscription(self, self.subscriptions.remove(key))
    return give_all_back(self)


cdef int delete_durable(Session self, bytes key, bytes title) except -1:
    """With the subscription of that key, if it is one to it; nobody else may have it."""
    cdef Subscription own = self.subscriptions.get(key)
    cdef Queue queue = self.namespace.durables.get(title)
    if self.access is not None:
        self.access.ask("subscribe", b"/" + title)
    if queue is None:
        raise Refused(b"unknown subscription", b"There is no durable subscription '/%b'." % shown(title))
    if own is not None and own.source is not queue:
        own = None
    if queue.consumer_count > <uint32_t>(own is not None):
        raise in_use(title)
    if own is not None:
        end_subscription(self, self.subscriptions.remove(key))
    self.namespace.durables.end(queue)
    return give_all_back(self)


cdef int end_subscription(Session self, Subscription subscription) except -1:
    """It gets nothing any more. What it has not settled goes back to the front of its queue, which waits for that."""
    self.broker.census.work += END_WORK
    if subscription.credit.outstanding:
        expect_back(subscription)
        self.returning.append(subscription)
    disappear(self, subscription)
    for part in (<Several>subscription.several).parts if subscription.several is not None else ():
        disappear(self, <Subscription>part)
    return self.namespace.unsubscribe(subscription)


cdef int disappear(Session self, Subscription subscription) except -1:
    """Where it is told who is there, that is told, too."""
    if subscription.present is not None:
        self.broker.presence.leave(subscription, self.id)
    return 0


cdef int give_all_back(Session self) except -1:
    """What ended subscriptions have not settled; what is more than a share, in the next turns."""
    cdef Subscription subscription
    while self.returning and not self.broker.share_is_over():
        subscription = self.returning.pop()
        try:
            give_back(subscription)
        except MemoryError:
            lost_messages(self)
        (<Queue>subscription.source).has_returned()
    if self.returning:
        link_join(&self.broker.released, &self.go_on)
    return 0


# ---- ACK, NACK ----

cdef int on_ack(Session self, const Frame *frame) except -1:
    cdef uint32_t slot = find_delivery(self, frame)
    cdef Subscription subscription
    if slot == NO_SLOT or self.ledger.slots[slot].state != DELIVERY_OUT:
        if (self.soft is not None and is_of_errors(frame)) or (self.browsed and is_of_the_end(frame)):
            return 0
        slot = find_loosely(self, frame)
        if slot == NO_SLOT:
            return 0
    subscription = <Subscription>self.ledger.slots[slot].subscription
    if frame.command == COMMAND_NACK:
        return refuse(self, frame, subscription, slot)
    if frame.known[KNOWN_TRANSACTION]:
        return transactions(self).settle(frame, subscription, slot, ACKED, None)
    return acknowledge(subscription, slot)


cdef bint is_of_the_end(const Frame *frame):
    """Whether an ACK names the end marker of a browser: clients that acknowledge all that comes do."""
    return (frame_text(frame, KNOWN_ID) or frame_text(frame, KNOWN_MESSAGE_ID)) == b"0"


cdef int refuse(Session self, const Frame *frame, Subscription subscription, uint32_t slot) except -1:
    cdef Refusal refusal
    cdef Verdict verdict
    if subscription.marks & MARK_SHOWN:
        raise Refused(b"unknown ack", b"A browser is shown what waits in a queue and has nothing of it: "
                      b"there is nothing to refuse.")
    refusal = refusal_of(frame)
    verdict = verdict_of(self.broker.profile, refusal)
    if frame.known[KNOWN_TRANSACTION]:
        return transactions(self).settle(frame, subscription, slot, verdict, refusal)
    return settle(subscription, slot, verdict, refusal)


cdef Verdict verdict_of(Profile profile, Refusal refusal):
    if refusal is not None and refusal.decided:
        return NACKED if refusal.requeue else REJECTED
    return REJECTED if profile.nack == NACK_REJECTS else ACKED if profile.nack == NACK_DROPS else NACKED


cdef uint32_t find_delivery(Session self, const Frame *frame) except? 0xffffffff:
    """The slot that an ACK names as its version wants it: by `id` in 1.2, before by `message-id` and `subscription`,
    which 1.0 may leave out; or NO_SLOT."""
    cdef Slice value = frame_value(frame, KNOWN_ID if self.version == 12 else KNOWN_MESSAGE_ID)
    cdef Subscription subscription
    cdef uint64_t number = 0
    if value.bytes == NULL:
        return NO_SLOT
    if self.version == 12:
        return self.ledger.find(value.bytes, value.length)
    if not number_in(self, value, &number):
        return NO_SLOT
    if not frame.known[KNOWN_SUBSCRIPTION]:
        return self.ledger.find_number(number, False) if self.version == 10 else NO_SLOT
    subscription = self.subscriptions.get(frame_text(frame, KNOWN_SUBSCRIPTION))
    return NO_SLOT if subscription is None else find_message(subscription, number)


cdef uint32_t find_loosely(Session self, const Frame *frame) except? 0xffffffff:
    """The slot that an ACK names in another way: by a `message-id` alone, which is enough where one delivery has it.
    NO_SLOT: it is for an `auto` subscription, whose messages need none. Raises Refused for all else, and if `strict`.
    """
    cdef Slice id = frame_value(frame, KNOWN_ID if self.version == 12 and frame.known[KNOWN_ID] else KNOWN_MESSAGE_ID)
    cdef Subscription named = None
    cdef uint64_t number = 0
    cdef uint32_t slot
    if self.broker.parser_limits.strict:
        raise unknown_ack(self, frame, id)
    if frame.known[KNOWN_SUBSCRIPTION]:
        named = self.subscriptions.get(frame_text(frame, KNOWN_SUBSCRIPTION))
    if named is not None and named.ack_mode == ACK_AUTO:
        return NO_SLOT
    if (named is not None and self.version < 12) or not number_in(self, id, &number):
        raise unknown_ack(self, frame, id)
    slot = self.ledger.find_number(number, True)
    if slot == NO_SLOT and not is_auto(self, number):
        raise unknown_ack(self, frame, id)
    return slot


cdef bint is_auto(Session self, uint64_t number) except -1:
    """Whether a message that nobody names the subscription of may have come on an `auto` one."""
    return (self.subscriptions.autos > 0 and self.namespace.has_given(number)
            and self.ledger.find_number(number, False) == NO_SLOT)


cdef object unknown_ack(Session self, const Frame *frame, Slice id):
    """What is raised then. Which headers there must be, only `strict` minds."""
    cdef int needed = KNOWN_ID if self.version == 12 else KNOWN_MESSAGE_ID if self.version == 10 else KNOWN_SUBSCRIPTION
    cdef bytes how = b"In this version of STOMP ACK and NACK name a message by %b." % ACK_NAMES[self.version]
    if id.bytes == NULL or (self.broker.parser_limits.strict and not frame.known[needed]):
        return Refused(b"missing header", how)
    return Refused(b"unknown ack", b"That names no unsettled message of this connection, or several. " + how)


cdef bint number_in(Session self, Slice id, uint64_t *number) noexcept:
    """Of a message-id of ours: <epoch>-<number>."""
    cdef size_t epoch = len(self.namespace.epoch)
    return (id.length > epoch + 1 and memcmp(id.bytes, <const char *>self.namespace.epoch, epoch) == 0
            and parse_number(id.bytes + epoch + 1, id.length - epoch - 1, 19, number))


# ---- transactions ----

cdef Transactions transactions(Session self):
    if self.transactions is None:
        self.transactions = transactions_of(self.namespace, &self.account)
    return self.transactions


cdef int on_begin(Session self, const Frame *frame) except -1:
    return transactions(self).begin(frame)


cdef int on_commit(Session self, const Frame *frame) except -1:
    """What is more than a share goes on in the next turns, whatever becomes of the client. No other frame of it is
    handled meanwhile, and the receipt comes behind all."""
    cdef Slice name = frame_value(frame, KNOWN_RECEIPT)
    transactions(self).ask_for_room(frame, &self.origin)
    if self.origin.untaken:
        wait_for_room(self)
        return 0
    self.committing = transactions(self).commit(frame)
    carry_out(self)
    if self.committing is not None and name.bytes != NULL:
        self.committing.owe(name.bytes, name.length)
    return 0


cdef int carry_out(Session self) except -1:
    cdef Transaction transaction = self.committing
    cdef bytes receipt = transaction.receipt
    cdef list owed = transaction.owed
    cdef bint done = True
    cdef Recorded before = self.broker.recorded[0]
    self.origin.accepted = True
    transaction.begin_records(self.broker.journal)
    try:
        done = self.transactions.carry_out(transaction, &self.origin, self.broker.share_ends)
    finally:
        self.origin.accepted = False
        transaction.end_records(self.broker.journal, self.broker.recorded.records != before.records, done)
        if self.broker.recorded.records != before.records:
            must_wait(&self.origin, self.broker.journal, before.strict)
        if done:
            self.committing = None
            self.hold &= ~HOLD_COMMIT
    settle_fanout(self)
    if not done:
        self.hold |= HOLD_COMMIT
        link_join(&self.broker.released, &self.go_on)
    elif self.state == STATE_CONNECTED:
        for name in (owed or []) + ([receipt] if receipt is not None else []):
            put_or_keep(self, Slice(<bytes>name, len(name)))
    return 0


cdef int on_abort(Session self, const Frame *frame) except -1:
    return transactions(self).abort(frame)


# ---- DISCONNECT ----

cdef int on_disconnect(Session self, const Frame *frame) except -1:
    """The client has said all; its unsettled messages are free again, its RECEIPT comes behind all others."""
    if self.will is not None:
        account_charge(&self.account, -self.will.cost)
        self.will = None
    receipt(self, frame)
    if self.parking is not None and not self.parking.draining:
        return self.said_all()
    return close(self, b"disconnect")


# ---- frames that wait for memory ----

cdef bint must_park(Session self, const Frame *frame) except -1:
    """What needs memory; and behind a parked frame all but what frees memory and depends on nothing parked."""
    cdef const Command *command = &TABLE[frame.command]
    if self.parking is None:
        return command.parks
    if self.parking.depends or frame.known[KNOWN_TRANSACTION]:
        return True
    if frame.command == COMMAND_UNSUBSCRIBE:
        return self.subscriptions.get(frame_text(frame, KNOWN_ID)) is None
    return not command.frees


cdef int park(Session self, Parked kind, const char *bytes, size_t length) except -1:
    if self.parking is None:
        self.parking = parking_new(<void *>self, &self.broker.census.input)
        self.parked_at = self.broker.now
    self.parking.put(kind, bytes, length)
    if not link_joined(&self.parking.link):
        link_join(&self.broker.parking, &self.parking.link)
    return limit_parked(self)


cdef int limit_parked(Session self) except -1:
    """Reading stops when one has parked its share, or all together have parked much."""
    if self.parking.size() > self.broker.limits.max_parked or ceiling_parked_full(&self.broker.ceiling):
        self.hold |= HOLD_MEMORY
    return 0


cdef bint may_unpark(Session self) noexcept:
    if self.state != STATE_CONNECTED or self.hold or self.unfinished() or self.broker.share_is_over():
        return False
    return not ceiling_closed_again(&self.broker.ceiling)


cdef int handle_parked(Session self, Parking parking) except -1:
    cdef Frame *frame = &self.broker.frame
    cdef Slice record
    cdef Parked kind = parking.first(&record)
    self.broker.census.work += record.length + FRAME_WORK
    if kind == PARKED_RECEIPT:
        return put_or_keep(self, record)
    if kind == PARKED_ERROR:
        return say(self, record.bytes[:record.length])
    if kind == PARKED_END:
        return close(self, b"disconnect")
    self.broker.parser.version = self.version
    self.broker.parser.begin()
    if self.broker.parser.next(record.bytes, record.length, frame) == PARSE_FRAME:
        try:
            if frame.command != COMMAND_SEND:
                self.end_of_input()     # it may change the audience, or free the output that publishing waits for
            handle(self, frame)
        except Refused as refusal:
            self.refused(frame, refusal.args[0], refusal.args[1])
    return 0
