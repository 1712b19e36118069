"""TLS: a transport between that of the socket and the protocol that a client speaks.

    socket -- transport -- TlsTransport -- Connection or WebSocket
                  encrypted           plain

Towards the socket it is an asyncio.BufferedProtocol, towards the client's protocol an asyncio.Transport. All connections of
an address share one read buffer; between two reads OpenSSL holds the keys of a connection, and at most a record.

Handshakes cost up to a millisecond each. A client's first bytes wait for their turn, and in one turn of the loop few have
theirs, so that those who are connected are served in between. A client that sends nothing costs a socket and this object.

Both directions end on their own, as on TCP: after the peer's close_notify it is still written to. Once we have said all,
what comes in is no longer looked at. Why it is not the event loop's TLS stands in docs/transports.md.
"""
from cpython.buffer cimport PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdlib cimport free, malloc

from collections import deque
from ssl import MemoryBIO, SSLError, SSLWantReadError, SSLZeroReturnError

cdef enum:
    READ_SPACE = 262144
    PORTION = 16384             # given to OpenSSL at a time: its buffers stay as large as they once were
    RECORD_HEAD = 5             # of a record: what it is, version, length in two bytes
    LONGEST_RECORD = 5 + 16384 + 256
    LONGEST_HELLO = 32768       # what a client may say before we do
    TURNS = 8                   # handshakes that begin in one turn of the loop
    MOST_OF_ITS_OWN = 65536     # of what TLS itself says to a peer that is told nothing else: 2,000 times new keys


cdef bytes HANDSHAKE = b"\x16"      # what a client's first record is


cdef class TlsAcceptor:

    def __cinit__(self):
        self.space = <char *>malloc(READ_SPACE)
        if self.space == NULL:
            raise MemoryError()

    def __init__(self, loop, context, *, arriving, arrived, failed, double timeout, int most_handshakes):
        self.loop = loop
        self.context = context
        self.arriving = arriving
        self.arrived = arrived
        self.failed = failed
        self.timeout = timeout
        self.most = most_handshakes
        self.queue = deque()
        self.view = PyMemoryView_FromMemory(self.space, READ_SPACE, PyBUF_WRITE)

    def __dealloc__(self):
        free(self.space)

    def connection(self, str peer=""):
        cdef TlsTransport new = TlsTransport()
        new.acceptor = self
        new.peer = peer
        new.left = b""
        return new

    cdef int _wait(self, TlsTransport waiting) except -1:
        self.queue.append(waiting)
        return self._schedule()

    cdef int _done(self) except -1:
        self.busy -= 1
        return self._schedule()

    cdef int _schedule(self) except -1:
        if not self.due and self.queue and self.busy < self.most:
            self.due = True
            self.loop.call_soon(self._turn)
        return 0

    def _turn(self):
        cdef int turns = TURNS
        cdef TlsTransport waiting
        self.due = False
        try:
            while turns and self.queue and self.busy < self.most:
                waiting = self.queue.popleft()
                if not waiting.lost:
                    turns -= 1
                    waiting.begin()
        finally:
            self._schedule()


cdef str reason_of(error):
    """OpenSSL's, without its shouting."""
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
    return reason.replace("_", " ").lower()


cdef class TlsTransport:

    # ---- what the transport of the socket calls ----

    def connection_made(self, transport):
        self.transport = transport
        self.counted = self.acceptor.arriving.enter()
        if not self.counted:
            self._refuse("server busy")
        else:
            self.deadline = self.acceptor.loop.call_later(self.acceptor.timeout, self._too_slow)

    def get_buffer(self, size_hint):
        return self.acceptor.view

    def buffer_updated(self, Py_ssize_t length):
        received = self.acceptor.view[:length]
        if self.lost:
            return
        if self.shaken:
            self._take(received)
            if length == READ_SPACE:
                self._let_others()
        elif self.ssl is not None:
            self.left = bytes(received)
            self._shake()
        else:
            self.left += bytes(received)
            self._look()

    def eof_received(self):
        if self.protocol is None:
            self._refuse(self._how_it_ended())
            return False
        if not self.peer_ended:
            self._peer_has_ended()
        return not self.ended

    def pause_writing(self):
        if self.protocol is not None:
            self.protocol.pause_writing()

    def resume_writing(self):
        if self.protocol is not None:
            self.protocol.resume_writing()

    def connection_lost(self, exception):
        protocol, self.protocol = self.protocol, None
        if protocol is None and not self.lost:
            self._refuse(self._how_it_ended())
        self.lost = self.ended = True
        self._leave_handshake()
        self.ssl = self.incoming = self.outgoing = None
        self.left = b""
        if protocol is not None:
            protocol.connection_lost(self.failure or exception)

    # ---- the handshake ----

    cdef int _look(self) except -1:
        """Its turn may come when the first record is whole: who is slow takes nobody's place."""
        cdef Py_ssize_t length = len(self.left), record = RECORD_HEAD
        if length >= RECORD_HEAD:
            record += int.from_bytes(self.left[RECORD_HEAD - 2:RECORD_HEAD], "big")
        if self.left[:1] != HANDSHAKE or record > LONGEST_RECORD or length > LONGEST_HELLO:
            return self._refuse("what was sent is no TLS")
        if length >= record and length > RECORD_HEAD:
            self.waiting = True
            self.transport.pause_reading()
            return self.acceptor._wait(self)
        return 0

    cdef int begin(self) except -1:
        """It is this client's turn. The time that it waited does not count."""
        try:
            return self._begin()
        except BaseException:
            self.abort()
            raise

    cdef int _begin(self) except -1:
        self.waiting = False
        self.busy = True
        self.acceptor.busy += 1
        self.deadline.cancel()
        self.deadline = self.acceptor.loop.call_later(self.acceptor.timeout, self._too_slow)
        self.incoming, self.outgoing = MemoryBIO(), MemoryBIO()
        self.ssl = self.acceptor.context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.transport.resume_reading()
        return self._shake()

    cdef int _shake(self) except -1:
        """As far as what has come reaches."""
        while self.left and not self.shaken:
            self.incoming.write(self.left[:PORTION])
            self.left = self.left[PORTION:]
            try:
                self.ssl.do_handshake()
                self.shaken = True
            except SSLWantReadError:
                pass
            except (OSError, ValueError) as error:
                self._send()    # the alert that says why
                return self._refuse(reason_of(error))
        self._send()            # at the end of it also tickets for the next
        return self._arrive() if self.shaken else 0

    cdef int _arrive(self) except -1:
        self._leave_handshake()
        try:
            protocol = self.acceptor.arrived(self)
        except Exception as error:
            return self._refuse(str(error))
        self.protocol = protocol
        protocol.connection_made(self)
        return self._take(b"")  # what came with the end of the handshake

    cdef int _leave_handshake(self) except -1:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
        if self.counted:
            self.counted = False
            self.acceptor.arriving.leave()
        if self.busy:
            self.busy = False
            self.acceptor._done()
        return 0

    cdef str _how_it_ended(self):
        return "closed by client" if self.left or self.ssl is not None else "nothing was sent"

    def _too_slow(self):
        if not self.waiting:
            self._refuse("timed out")

    cdef int _refuse(self, str reason) except -1:
        if not self.lost:
            self.lost = True
            self._leave_handshake()
            self.acceptor.failed(self, reason)
            self.acceptor.loop.call_soon(self._hang_up)
        return 0

    def _hang_up(self):
        """The alert goes out if it can: close() waits for a peer that takes nothing."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    # ---- input ----

    cdef int _take(self, received) except -1:
        """Hands on what is in these bytes and in those before them, until the protocol wants no more for now."""
        cdef Py_ssize_t at = 0, filled = 1
        if self.left:
            received, self.left = self.left + bytes(received), b""
        while filled and not (self.paused or self._is_over()):
            filled = self._decrypt(received, &at)
            if filled:
                self.protocol.buffer_updated(filled)
        if self._is_over():
            return 0
        if self.read_all:
            if not self.paused and not self.peer_ended:
                self._peer_has_ended()
        elif self.failure is None and at < len(received):
            self.left = bytes(received[at:])
        return self._answer()

    cdef bint _is_over(self) noexcept:
        return self.lost or self.ended or self.protocol is None

    cdef Py_ssize_t _decrypt(self, received, Py_ssize_t *at) except -1:
        """As much as fits into what the protocol has room for; what is behind the peer's end is dropped."""
        cdef Py_ssize_t length = len(received), filled, next
        space = self.protocol.get_buffer(-1)
        filled = self._read(space, 0)
        while at[0] < length and filled < len(space) and not self.read_all and self.failure is None:
            next = min(at[0] + PORTION, length)
            self.incoming.write(received[at[0]:next])
            at[0] = next
            filled = self._read(space, filled)
        return filled

    cdef Py_ssize_t _read(self, space, Py_ssize_t filled) except -1:
        cdef Py_ssize_t room = len(space), length
        try:
            while filled < room and (self.incoming.pending or self.ssl.pending()):
                length = self.ssl.read(room - filled, space[filled:] if filled else space)
                filled += length
                if length == 0:
                    self.read_all = True
                    break
        except SSLWantReadError:
            pass
        except SSLZeroReturnError:
            self.read_all = True
        except (OSError, ValueError) as failure:
            self.failure = ConnectionError(reason_of(failure))
        return filled

    cdef int _peer_has_ended(self) except -1:
        self.peer_ended = True
        if not self.protocol.eof_received():
            self.close()
        return 0

    cdef int _let_others(self) except -1:
        """It has filled the buffer: it goes on in the next turn."""
        if not self.paused and not self.lost:
            self.transport.pause_reading()
            self.acceptor.loop.call_soon(self._go_on)
        return 0

    def _go_on(self):
        try:
            if not self.paused:
                self._take(b"")
            if not self.paused and not self.lost:
                self.transport.resume_reading()
        except BaseException:
            self.abort()
            raise

    # ---- output ----

    cdef int _write(self, data) except -1:
        try:
            if data:
                self.ssl.write(data)
        except (OSError, ValueError) as failure:
            self.failure = ConnectionError(reason_of(failure))
        self._send()
        if self.failure is not None:
            self.abort()
        return 0

    cdef int _send(self) except -1:
        if self.outgoing.pending:
            self.transport.write(self.outgoing.read())
        return 0

    cdef int _answer(self) except -1:
        """What TLS itself has to say: new keys, alerts. After a failure that is the last."""
        if self.outgoing.pending or self.failure is not None:
            self.of_its_own += self.outgoing.pending
            self._write(b"")
            if self.of_its_own > MOST_OF_ITS_OWN:
                self.failure = ConnectionError("new keys again and again")
                self.abort()
        return 0

    cdef int _end(self) except -1:
        if not self.ended:
            self.ended = True
            try:
                self.ssl.unwrap()
            except (OSError, ValueError):
                pass    # the peer has not ended yet, or is past being told
            self._send()
        return 0

    # ---- what the protocol calls ----

    def write(self, data):
        if not self.ended:
            self.of_its_own = 0
            self._write(data)

    def writelines(self, data):
        self.write(b"".join(data))

    def set_write_buffer_limits(self, high=None, low=None):
        self.transport.set_write_buffer_limits(0)   # nothing is kept here: what counts is what the kernel takes

    def get_write_buffer_size(self):
        return self.transport.get_write_buffer_size()

    def get_extra_info(self, name, default=None):
        if name == "sslcontext":
            return self.acceptor.context
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
        self.acceptor.loop.call_soon(self._go_on)

    def is_closing(self):
        return self.lost or self.transport.is_closing()

    def can_write_eof(self):
        return True

    def write_eof(self):
        self._end()
        self.transport.write_eof()

    def close(self):
        self._end()
        self.transport.close()

    def abort(self):
        self.ended = True
        self.transport.abort()
