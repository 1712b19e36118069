"""TLS: a transport between that of the socket and the protocol that a client speaks.

    socket -- transport -- TlsTransport -- Connection or WebSocket
                  encrypted           plain

Towards the socket it is an asyncio.BufferedProtocol, towards the client's protocol an asyncio.Transport. All
connections share one read buffer; between two reads OpenSSL holds the keys of a connection, and at most a record.

The life of one, and of what its peer says:

    HELLO      the client has yet to say hello                                   SPEAKING   more may come
      |  its first record is whole                                                  |  close_notify, or the socket's end
    WAITING    it waits for its turn, and that time does not count               SAID_ALL   what it said is decrypted
      |  its turn                                                                   |
    SHAKING    the handshake is under way                                        TOLD       and the protocol knows
      |  it is complete; the client gets its protocol
    OPEN       bytes go both ways
      |  write_eof, close                 LOST   from all of them: refused, aborted, or the socket is gone
    SHUT       we have said all

A handshake costs half a millisecond and more, nearly all of it in OpenSSL, which needs no interpreter for it: threads
do it (transports/workers.py), while the loop serves those who are connected. They are given only a little in advance,
so that it is decided late whose turn it is: first come those that are under way, then new ones, host by host. Who must
say something next, and for how long that is waited for, is the business of those who are `arriving`
(transports/arriving.py).

Both directions end on their own, as on TCP: after the peer's close_notify it is still written to. Once we have said
all, what comes in is no longer looked at. Why it is not the event loop's TLS stands in docs/transports.md.
"""
from cpython.buffer cimport PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdlib cimport free, malloc

from fastbroker.core.hub cimport Hub
from fastbroker.core.login cimport peer_of
from fastbroker.core.wire cimport PEER_THERE, peer_state

from collections import OrderedDict, deque
from functools import partial
from ssl import MemoryBIO, SSLWantReadError, SSLZeroReturnError

cdef enum:
    READ_SPACE = 262144
    PORTION = 16384             # given to OpenSSL at a time: its buffers stay as large as they once were
    RECORD_HEAD = 5             # of a record: what it is, version, length in two bytes
    LONGEST_RECORD = 5 + 16384 + 256
    LONGEST_HELLO = 32768       # what a client may say before we do
    USUAL_HELLO = 4096          # more than that is not kept when much else is
    MOST_OF_ITS_OWN = 65536     # of what TLS itself says to a peer that is told nothing else: 2,000 times new keys

cdef enum:
    TOGETHER = 8                # steps of handshakes that a thread is given at a time
    AHEAD = 2                   # times that, for each thread
    AGAIN = 50                  # milliseconds until it is seen again whether there is a place for another handshake

# Seconds that a client has for its hello and for its answer, whatever the crowd.
HELLO_AT_LEAST, ANSWER_AT_LEAST = 2.5, 1.0

cdef bytes HANDSHAKE = b"\x16"      # what a client's first record is


cdef class Handshakes:

    def __cinit__(self):
        self.space = <char *>malloc(READ_SPACE)
        if self.space == NULL:
            raise MemoryError()

    def __init__(self, Hub hub, arriving, workers, *, double timeout, int most):
        self.hub = hub
        self.loop = hub.loop
        self.arriving = arriving
        self.workers = workers
        self.ahead = max(1, AHEAD * workers.most)
        self.hello = arriving.awaited(timeout, min(timeout / 2, HELLO_AT_LEAST))
        self.answer = arriving.awaited(timeout, min(timeout / 5, ANSWER_AT_LEAST))
        self.most = most
        self.answers = deque()
        self.hosts = OrderedDict()
        self.view = PyMemoryView_FromMemory(self.space, READ_SPACE, PyBUF_WRITE)

    def __dealloc__(self):
        free(self.space)

    cdef int serve(self, TlsTransport one) except -1:
        """When it is its turn. What it says meanwhile waits, and so does its end: it may have said all by now."""
        one.waits = True
        if one.life == SHAKING:
            one.transport.pause_reading()
            self.answers.append(one)
        else:
            self.hosts.setdefault(one.ticket.host, deque()).append(one)
        return work(self)

    cdef int place_is_free(self) except -1:
        """A handshake is over, one way or the other."""
        self.busy -= 1
        return schedule(self)

    def _retry(self):
        self.retrying = False
        work(self)

    def _turn(self):
        self.due = False
        work(self)

    def _stepped(self, list results):
        """A thread has made these steps."""
        cdef TlsTransport one
        self.under_way -= 1
        for one, result in results:
            one.stepped(result)
        schedule(self)


cdef int work(Handshakes self) except -1:
    cdef list some
    while self.under_way < self.ahead:
        some = next_ones(self)
        if not some:
            break
        self.under_way += 1
        self.workers.run(partial(made, some), self._stepped)
    return 0


def made(list some):
    """In a thread: a step of each, and what came of it. Each time, whoever waits for the interpreter can have it."""
    return [(one, (<TlsTransport>one).step()) for one in some]


cdef list next_ones(Handshakes self):
    cdef TlsTransport one
    cdef list some = []
    while len(some) < TOGETHER:
        one = next_one(self)
        if one is None:
            break
        if one.prepare():
            some.append(one)
    return some


cdef TlsTransport next_one(Handshakes self):
    cdef TlsTransport one
    while self.answers:
        one = self.answers.popleft()
        if one.life == SHAKING:
            return one
    return newcomer(self)


cdef TlsTransport newcomer(Handshakes self):
    """Of the host whose turn it is, if there is a place, and the host keeps up with its answers."""
    cdef Py_ssize_t hosts = len(self.hosts)
    cdef TlsTransport one = None
    while hosts and one is None:
        if self.busy >= self.most and not self.arriving.make_room(self.answer, next(iter(self.hosts))):
            return try_again(self)
        host, waiting = self.hosts.popitem(last=False)
        if self.arriving.is_enough(self.answer, host):
            hosts -= 1
        else:
            one = waiting.pop()     # the newest: who has waited for long may have given up
            one = one if one.life == WAITING else None
        if waiting:
            self.hosts[host] = waiting
        else:
            hosts -= 1
    return try_again(self) if one is None and self.hosts else one


cdef TlsTransport try_again(Handshakes self):
    """Not now, but soon: some who are waited for may be too slow by then."""
    if not self.retrying:
        self.retrying = True
        self.loop.call_later(AGAIN / 1000.0, self._retry)
    return None


cdef int schedule(Handshakes self) except -1:
    if not self.due and (self.answers or self.hosts):
        self.due = True
        self.loop.call_soon(self._turn)
    return 0


cdef class TlsAcceptor:

    def __init__(self, Handshakes handshakes, context, *, arrived, failed):
        self.handshakes = handshakes
        self.context = context
        self.arrived = arrived
        self.failed = failed

    def connection(self, str peer=""):
        cdef TlsTransport new = TlsTransport()
        new.acceptor = self
        new.handshakes = self.handshakes
        new.peer = peer
        new.left = new.held = b""
        return new


cdef str reason_of(error):
    """OpenSSL's, without its shouting."""
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
    return reason.replace("_", " ").lower()


cdef class TlsTransport:

    data_received = None    # looked for at each new connection; to miss it costs an exception

    # ---- what the transport of the socket calls ----

    def connection_made(self, transport):
        self.transport = transport
        if not self.peer:
            self.peer = peer_of(transport.get_extra_info("socket").fileno())
        self.ticket = self.handshakes.arriving.enter(self, self.peer, self.handshakes.hello)

    def get_buffer(self, size_hint):
        return self.handshakes.view

    def buffer_updated(self, Py_ssize_t length):
        received = self.handshakes.view[:length]
        if self.life == OPEN:
            take(self, received)
            if length == READ_SPACE:
                let_others(self)
        elif self.life < OPEN:
            keep(self, self.left + bytes(received))
            if self.waits:
                self.transport.pause_reading()
                if len(self.left) > USUAL_HELLO and is_crowded(self):
                    refuse(self, "server busy")
            elif self.life == HELLO:
                look(self)
            else:
                self.handshakes.serve(self)

    def eof_received(self):
        if self.protocol is None:
            refuse(self, how_it_ended(self))
            return False
        if self.theirs != TOLD:
            peer_has_ended(self)
        return self.life == OPEN

    def pause_writing(self):
        if self.protocol is not None:
            self.protocol.pause_writing()

    def resume_writing(self):
        if self.protocol is not None:
            self.protocol.resume_writing()

    def connection_lost(self, exception):
        protocol, self.protocol = self.protocol, None
        if protocol is None:
            refuse(self, how_it_ended(self))
        self.life = LOST
        self.ssl = self.incoming = self.outgoing = None
        keep(self, b"")
        if protocol is not None:
            protocol.connection_lost(self.failure or exception)

    # ---- the handshake ----

    cdef bint prepare(self) except -1:
        """Whether there is a step to be made, with what the client has said. A failure is nobody else's business."""
        try:
            return may_step(self)
        except Exception as failure:
            return broken(self, failure)

    cdef object step(self):
        """In a thread: the connection may be lost meanwhile. Returns whether the handshake is complete, or what came of
        it instead."""
        connection = self.ssl
        try:
            connection.do_handshake()
        except SSLWantReadError:
            return False
        except Exception as failure:
            return failure
        return True

    cdef int stepped(self, result) except -1:
        """Nor is what fails here."""
        self.waits = False
        if self.life != SHAKING:
            return 0
        try:
            return proceed(self, result)
        except Exception as failure:
            return broken(self, failure)

    def turn_away(self, str reason):
        """It is not waited for any longer."""
        refuse(self, reason)

    def _hang_up(self):
        """The alert goes out if it can: close() waits for a peer that takes nothing."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _go_on(self):
        """In a turn of its own, after a pause: what is left, and then what comes."""
        try:
            if not self.paused:
                take(self, b"")
            if not self.paused and self.life < LOST:
                self.transport.resume_reading()
        except BaseException:
            self.abort()
            raise

    # ---- what the protocol calls ----

    def write(self, data):
        if self.life == OPEN:
            self.of_its_own = 0
            put(self, data)

    def set_write_buffer_limits(self, high=None, low=None):
        self.transport.set_write_buffer_limits(0)   # nothing is kept here: what counts is what the kernel takes

    def get_write_buffer_size(self):
        return self.transport.get_write_buffer_size()

    def get_extra_info(self, name, default=None):
        if name == "ssl_object":
            return self.ssl
        if name == "peercert":
            return self.ssl.getpeercert() if self.ssl is not None else default
        return self.transport.get_extra_info(name, default)

    def is_reading(self):
        return not self.paused and not self.is_closing()

    def pause_reading(self):
        self.paused = True
        self.transport.pause_reading()

    def resume_reading(self):
        self.paused = False
        self.handshakes.loop.call_soon(self._go_on)

    def is_closing(self):
        return self.life == LOST or self.transport.is_closing()

    def can_write_eof(self):
        return True

    def write_eof(self):
        end(self)
        self.transport.write_eof()

    def close(self):
        end(self)
        self.transport.close()

    def abort(self):
        if OPEN <= self.life < LOST:
            self.life = SHUT
        self.transport.abort()


# ---- before there is a protocol ----

cdef int keep(TlsTransport self, bytes rest) except -1:
    """Bytes that wait to be looked at; the census counts them as input."""
    self.handshakes.hub.broker.census.input += len(rest) - len(self.left)
    self.left = rest
    return 0


cdef bint is_crowded(TlsTransport self) noexcept:
    """Whether so much input is kept that only small amounts may be added."""
    return self.handshakes.hub.broker.census.input > self.handshakes.hub.broker.limits.memory // 2


cdef int look(TlsTransport self) except -1:
    """Its turn may come when the first record is whole: who is slow takes nobody's place."""
    cdef Py_ssize_t length = len(self.left), record = RECORD_HEAD
    if length >= RECORD_HEAD:
        record += int.from_bytes(self.left[RECORD_HEAD - 2:RECORD_HEAD], "big")
    if self.left[:1] != HANDSHAKE or record > LONGEST_RECORD or length > LONGEST_HELLO:
        return refuse(self, "what was sent is no TLS")
    if length > USUAL_HELLO and is_crowded(self):
        return refuse(self, "server busy")
    if length >= record and length > RECORD_HEAD:
        self.life = WAITING
        self.ticket.has_spoken()
        return self.handshakes.serve(self)
    return 0


cdef bint is_gone(TlsTransport self) except -1:
    """Whether the client went away while it was not read from."""
    return peer_state(self.transport.get_extra_info("socket").fileno()) != PEER_THERE


cdef int broken(TlsTransport self, failure) except -1:
    self.handshakes.hub.broker.log("error", "internal error", peer=self.peer, error=repr(failure))
    self.abort()
    return 0


cdef bint may_step(TlsTransport self) except -1:
    if self.life == WAITING:
        if not self.transport.is_reading() and is_gone(self):
            refuse(self, "closed by client")
            return False
        begin(self)
    self.incoming.write(self.left[:PORTION])
    keep(self, self.left[PORTION:])
    return True


cdef int begin(TlsTransport self) except -1:
    self.life = SHAKING
    self.handshakes.busy += 1
    self.incoming, self.outgoing = MemoryBIO(), MemoryBIO()
    self.ssl = self.acceptor.context.wrap_bio(self.incoming, self.outgoing, server_side=True)
    return 0


cdef int proceed(TlsTransport self, result) except -1:
    """Behind a step: the answer goes out, and the client is waited for, or is in."""
    if result is True and self.ssl.version() == "TLSv1.3":
        self.held = self.outgoing.read()    # the ticket for the next time, which nobody waits for
    hand_over(self)     # with the alert that says why, if it has failed
    if isinstance(result, (OSError, ValueError)):
        return refuse(self, reason_of(result))
    if result is not True and result is not False:
        raise result
    if not self.transport.is_reading():
        self.transport.resume_reading()
    if result is True:
        return arrive(self)
    if self.left:
        return self.handshakes.serve(self)
    if not self.asked:
        self.asked = True
        self.ticket.must_speak(self.handshakes.answer)
    return 0


cdef int arrive(TlsTransport self) except -1:
    self.ticket.has_spoken()
    leave_handshake(self)
    self.life = OPEN
    try:
        protocol = self.acceptor.arrived(self)
    except Exception as error:
        return refuse(self, str(error))
    self.protocol = protocol
    protocol.connection_made(self)
    return take(self, b"")      # what came with the end of the handshake


cdef int leave_handshake(TlsTransport self) except -1:
    ticket, self.ticket = self.ticket, None
    if ticket is not None:
        ticket.leave()
    if self.life == SHAKING:
        self.handshakes.place_is_free()
    return 0


cdef str how_it_ended(TlsTransport self):
    return "closed by client" if self.left or self.ssl is not None else "nothing was sent"


cdef int refuse(TlsTransport self, str reason) except -1:
    if self.life != LOST:
        leave_handshake(self)
        self.life = LOST
        keep(self, b"")
        self.acceptor.failed(self, reason)
        self.handshakes.loop.call_soon(self._hang_up)
    return 0


# ---- input ----

cdef int take(TlsTransport self, received) except -1:
    """Hands on what is in these bytes and in those before them, until the protocol wants no more for now."""
    cdef Py_ssize_t at = 0, filled = 1
    if self.left:
        received = self.left + bytes(received)
        keep(self, b"")
    while filled and not self.paused and self.life == OPEN and self.protocol is not None:
        filled = decrypt(self, received, &at)
        if filled:
            self.protocol.buffer_updated(filled)
    if self.life != OPEN or self.protocol is None:
        return 0
    if self.theirs == SAID_ALL and not self.paused:
        peer_has_ended(self)
    elif self.theirs == SPEAKING and self.failure is None and at < len(received):
        keep(self, bytes(received[at:]))
        if len(self.left) > LONGEST_HELLO and is_crowded(self):
            self.failure = ConnectionError("server busy")
    return answer(self)


cdef Py_ssize_t decrypt(TlsTransport self, received, Py_ssize_t *at) except -1:
    """As much as fits into what the protocol has room for; what is behind the peer's end is dropped."""
    cdef Py_ssize_t length = len(received), filled, next
    space = self.protocol.get_buffer(-1)
    filled = read(self, space, 0)
    while at[0] < length and filled < len(space) and self.theirs == SPEAKING and self.failure is None:
        next = min(at[0] + PORTION, length)
        self.incoming.write(received[at[0]:next])
        at[0] = next
        filled = read(self, space, filled)
    return filled


cdef Py_ssize_t read(TlsTransport self, space, Py_ssize_t filled) except -1:
    cdef Py_ssize_t room = len(space), length
    try:
        while filled < room and (self.incoming.pending or self.ssl.pending()):
            length = self.ssl.read(room - filled, space[filled:] if filled else space)
            filled += length
            if length == 0:
                said_all(self)
                break
    except SSLWantReadError:
        pass
    except SSLZeroReturnError:
        said_all(self)
    except (OSError, ValueError) as failure:
        self.failure = ConnectionError(reason_of(failure))
    return filled


cdef void said_all(TlsTransport self) noexcept:
    if self.theirs == SPEAKING:
        self.theirs = SAID_ALL


cdef int peer_has_ended(TlsTransport self) except -1:
    self.theirs = TOLD
    if not self.protocol.eof_received():
        self.close()
    return 0


cdef int let_others(TlsTransport self) except -1:
    """It has filled the buffer: it goes on in the next turn."""
    if not self.paused and self.life < LOST:
        self.transport.pause_reading()
        self.handshakes.loop.call_soon(self._go_on)
    return 0


# ---- output ----

cdef int put(TlsTransport self, data) except -1:
    try:
        if data:
            self.ssl.write(data)
    except (OSError, ValueError) as failure:
        self.failure = ConnectionError(reason_of(failure))
    hand_over(self)
    if self.failure is not None:
        self.abort()
    return 0


cdef int hand_over(TlsTransport self) except -1:
    if self.outgoing.pending:
        data = self.outgoing.read()
        if self.held:
            data, self.held = self.held + data, b""
        self.transport.write(data)
    return 0


cdef int answer(TlsTransport self) except -1:
    """What TLS itself has to say: new keys, alerts. After a failure that is the last."""
    if self.outgoing.pending or self.failure is not None:
        self.of_its_own += self.outgoing.pending
        put(self, b"")
        if self.of_its_own > MOST_OF_ITS_OWN:
            self.failure = ConnectionError("new keys again and again")
            self.abort()
    return 0


cdef int end(TlsTransport self) except -1:
    if self.life == OPEN:
        self.life = SHUT
        try:
            self.ssl.unwrap()
        except (OSError, ValueError):
            pass    # the peer has not ended yet, or is past being told
        hand_over(self)
    return 0
