"""The load generator as Python sees it; engine.h says how it is made. It imports nothing of the broker that it may
measure."""
import os
from base64 import b64encode
from hashlib import sha1

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "bench/generator/histogram.h":
    const size_t BUCKETS
    ctypedef struct Histogram:
        uint64_t *counts
    uint64_t middle_of(size_t bucket)

cdef extern from "bench/generator/secure.h":
    enum:
        TLS_FAILED
    ctypedef struct Secure:
        void *sessions
        void *(*open)(void *sessions) noexcept nogil
        void (*close)(void *session) noexcept nogil
        int (*shake)(void *session, const char *bytes, size_t length) noexcept nogil
        ssize_t (*decrypt)(void *session, const char *bytes, size_t length, char *room, size_t size) noexcept nogil
        int (*encrypt)(void *session, const char *bytes, size_t length) noexcept nogil
        const char *(*output)(void *session, size_t *length) noexcept nogil
        const char *(*reason)(void *session) noexcept nogil

cdef extern from "bench/generator/load.h":
    ctypedef struct Load:
        const char *host
        const char *login
        const char *passcode
        const char *virtual_host
        const char *topic_prefix
        const char *queue_prefix
        const char *credit_line
        const char *priority_line
        const char *replay_line
        const char *queue_line
        const char *durable_lines
        const char *selector_prefix
        bint subscribe_receipts
        int port
        const char *scheme
        const char *path
        const char *key
        const char *accept
        const Secure *secure
        uint64_t seed
        const char *protocol
        const char *kind
        const char *ack
        const char *name
        const char *pattern
        bint queue, persistent, durable, content_length, verify, selecting
        int64_t publishers, subscribers, destinations, bystanders, slow, connections
        int64_t size, credit, receipts, transaction, window, backlog, priorities, groups, messages
        double delay, rate, ramp, warm_up, seconds, patience

cdef extern from "bench/generator/engine.h" nogil:
    ctypedef struct Engine:
        char *failure
        char *first_turned_away
        char *version
        char *server
        int phase
        uint32_t up
        uint64_t sent, received, receipts, operations
        Histogram latency, receipt, connect, send_delay

cdef extern from "bench/generator/loop.h" nogil:
    Engine *engine_new(const Load *load)
    void engine_free(Engine *engine)
    bint engine_step(Engine *engine, double seconds)
    bint engine_go(Engine *engine)
    void engine_stop(Engine *engine)

cdef extern from "bench/generator/report.h":
    ctypedef struct Report:
        double seconds, cpu_seconds, blocked_seconds
        uint64_t sends, deliveries, receipts, operations
        double accept_seconds, deliver_seconds, first_seconds
        uint64_t sent, due, received, lost, duplicated, disordered, corrupt, unsent, unconfirmed
        uint64_t frame_bytes, hung_up, reconnects
    Report engine_report(const Engine *engine) nogil

# What RFC 6455 has a server put behind the key of a WebSocket.
cdef bytes WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
cdef tuple PHASES = ("connecting", "ready", "warming up", "measuring", "draining", "settling", "over")
cdef tuple TOTALS = ("sent", "due", "received", "lost", "duplicated", "disordered", "corrupt", "unsent", "unconfirmed")


class GeneratorError(Exception):
    """The load could not go on; the text is for people."""


cdef class Generator:
    """One load on one server."""

    cdef Engine *engine
    cdef list texts
    cdef object sessions
    cdef Secure secure

    def __cinit__(self, target, load, sessions=None):
        cdef Load fields
        self.texts = []
        self._read_target(target, &fields)
        self._make_keys(&fields)
        self._secure(sessions, &fields)
        self._read_texts(load, &fields)
        self._read_lines(target, load, &fields)
        self._read_numbers(load, &fields)
        with nogil:
            self.engine = engine_new(&fields)
        if self.engine == NULL:
            raise MemoryError
        self._raise_if_failed()

    def __dealloc__(self):
        if self.engine != NULL:
            engine_free(self.engine)

    cdef const char *_text(self, value) except NULL:
        """A text that lives as long as the generator."""
        cdef bytes text = value.encode()
        if b"\0" in text or b"\n" in text:
            raise GeneratorError(f"{value!r} has a line break in it")
        self.texts.append(text)
        return text

    cdef const char *_lines(self, values) except NULL:
        """Several texts, each a line."""
        for value in values:
            self._text(value)
        cdef bytes lines = "\n".join(values).encode()
        self.texts.append(lines)
        return lines

    cdef int _read_target(self, target, Load *fields) except -1:
        fields.host = self._text(target.host)
        fields.port = target.port
        fields.scheme = self._text(target.scheme)
        fields.path = self._text(target.path)
        fields.protocol = self._text(target.protocol)
        fields.login = self._text(target.login)
        fields.passcode = self._text(target.passcode)
        fields.virtual_host = self._text(target.virtual_host)
        fields.topic_prefix = self._text(target.topic_prefix)
        fields.queue_prefix = self._text(target.queue_prefix)
        fields.subscribe_receipts = target.subscribe_receipts
        return 0

    cdef int _make_keys(self, Load *fields) except -1:
        """All WebSockets of a load have one key; it is there so that no cache answers, and none is asked twice."""
        cdef bytes key = b64encode(os.urandom(16))
        fields.key = self._text(key.decode())
        fields.accept = self._text(b64encode(sha1(key + WEBSOCKET).digest()).decode())
        fields.seed = int.from_bytes(os.urandom(8))
        return 0

    cdef int _secure(self, sessions, Load *fields) except -1:
        fields.secure = NULL
        if sessions is None:
            return 0
        self.sessions = sessions
        self.secure = Secure(
            <void *>self.sessions, open_session, close_session, shake, decrypt, encrypt, output, reason
        )
        fields.secure = &self.secure
        return 0

    cdef int _read_lines(self, target, load, Load *fields) except -1:
        """Header lines that each server has in its own way."""
        credit = filled_in(target.credit_header, "credit", load.credit) if load.credit else ""
        replay = filled_in(target.replay_header, "count", load.messages) if load.kind == "replay" else ""
        fields.credit_line = self._text(credit)
        fields.replay_line = self._text(replay)
        fields.priority_line = self._text(target.priority_header if load.priorities else "")
        fields.selector_prefix = self._text(target.selector_prefix)
        fields.queue_line = self._text(target.queue_header if load.queue else "")
        fields.durable_lines = self._lines(target.durable_headers if load.durable else ())
        return 0

    cdef int _read_texts(self, load, Load *fields) except -1:
        fields.kind = self._text(load.kind)
        fields.name = self._text(load.name)
        fields.pattern = self._text(load.pattern)
        fields.ack = self._text(load.ack)
        return 0

    cdef int _read_numbers(self, load, Load *fields) except -1:
        fields.queue, fields.persistent, fields.durable = load.queue, load.persistent, load.durable
        fields.content_length, fields.verify = load.content_length, load.verify
        fields.selecting, fields.priorities, fields.groups = load.selecting, load.priorities, load.groups
        fields.messages, fields.delay = load.messages, load.delay
        fields.publishers, fields.subscribers = load.publishers, load.subscribers
        fields.destinations, fields.connections = load.destinations, load.connections
        fields.bystanders, fields.slow = load.bystanders, load.slow
        fields.size, fields.credit = load.size, load.credit
        fields.receipts, fields.transaction = load.receipts, load.transaction
        fields.window, fields.backlog = load.window, load.backlog
        fields.rate, fields.ramp = load.rate, load.ramp
        fields.warm_up, fields.seconds, fields.patience = load.warm_up, load.seconds, load.patience
        return 0

    cdef int _raise_if_failed(self) except -1:
        if self.engine.failure[0] != 0:
            raise GeneratorError((<bytes>self.engine.failure).decode(errors="replace"))
        return 0

    @property
    def phase(self):
        return PHASES[self.engine.phase]

    def step(self, double seconds):
        """Run for at most so long; False when it is over."""
        cdef bint goes_on
        self._raise_if_failed()
        with nogil:
            goes_on = engine_step(self.engine, seconds)
        self._raise_if_failed()
        return goes_on

    def go(self):
        """ready → warming up."""
        engine_go(self.engine)
        self._raise_if_failed()

    def stop(self):
        """End the measuring now."""
        engine_stop(self.engine)
        self._raise_if_failed()

    def progress(self):
        """Counts since the beginning."""
        cdef Engine *engine = self.engine
        return {
            "sent": engine.sent,
            "received": engine.received,
            "receipts": engine.receipts,
            "operations": engine.operations,
            "connections": engine.up,
        }

    def greeting(self):
        """What the server that let us in last says of itself."""
        version, server = <bytes>self.engine.version, <bytes>self.engine.server
        return version.decode(errors="replace"), server.decode(errors="replace")

    def result(self):
        """What was measured and checked."""
        cdef Report report = engine_report(self.engine)
        cdef dict fields = report
        cdef dict totals = {name: fields.pop(name) for name in TOTALS}
        fields["totals"] = totals
        fields["first_turned_away"] = (<bytes>self.engine.first_turned_away).decode(errors="replace")
        fields["histograms"] = {
            "latency": buckets_of(&self.engine.latency),
            "receipt": buckets_of(&self.engine.receipt),
            "connect": buckets_of(&self.engine.connect),
            "send_delay": buckets_of(&self.engine.send_delay),
        }
        return fields


cdef str filled_in(str line, str name, value):
    try:
        return line.format(**{name: value})
    except (LookupError, ValueError):
        raise GeneratorError(f"{line!r}: only {{{name}}} can be filled in")


cdef list buckets_of(Histogram *histogram):
    cdef list found = []
    cdef size_t bucket
    for bucket in range(BUCKETS):
        if histogram.counts[bucket]:
            found.append([middle_of(bucket), histogram.counts[bucket]])
    return found


# What tls.c calls. The methods themselves say what has failed; beyond that there is only a lack of memory.

cdef object seen(const char *bytes, size_t length):
    return PyMemoryView_FromMemory(<char *>bytes, length, PyBUF_READ)


cdef void *open_session(void *sessions) noexcept with gil:
    try:
        session = (<object>sessions).open()
    except Exception:
        return NULL
    Py_INCREF(session)
    return <void *>session


cdef void close_session(void *session) noexcept with gil:
    Py_DECREF(<object>session)


cdef int shake(void *session, const char *bytes, size_t length) noexcept with gil:
    try:
        return (<object>session).shake(seen(bytes, length))
    except Exception:
        return TLS_FAILED


cdef ssize_t decrypt(void *session, const char *bytes, size_t length, char *room, size_t size) noexcept with gil:
    try:
        return (<object>session).decrypt(seen(bytes, length), PyMemoryView_FromMemory(room, size, PyBUF_WRITE))
    except Exception:
        return TLS_FAILED


cdef int encrypt(void *session, const char *bytes, size_t length) noexcept with gil:
    try:
        return (<object>session).encrypt(seen(bytes, length))
    except Exception:
        return TLS_FAILED


cdef const char *output(void *session, size_t *length) noexcept with gil:
    cdef bytes waiting
    length[0] = 0
    try:
        waiting = (<object>session).output()
    except Exception:
        return NULL
    length[0] = PyBytes_GET_SIZE(waiting)
    return PyBytes_AS_STRING(waiting)


cdef const char *reason(void *session) noexcept with gil:
    cdef bytes words = (<object>session).reason
    return PyBytes_AS_STRING(words)
