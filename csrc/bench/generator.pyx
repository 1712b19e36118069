"""The load generator as Python sees it; engine.h says how it is made. It imports nothing of the broker that it may measure."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "csrc/bench/histogram.h":
    const size_t BUCKETS
    ctypedef struct Histogram:
        uint64_t *counts
    uint64_t middle_of(size_t bucket)

cdef extern from "csrc/bench/load.h":
    ctypedef struct Load:
        const char *host
        const char *login
        const char *passcode
        const char *virtual_host
        const char *topic_prefix
        const char *queue_prefix
        const char *credit_line
        bint subscribe_receipts
        int port
        const char *protocol
        const char *kind
        const char *ack
        const char *name
        const char *pattern
        bint queue, persistent, content_length, verify
        int64_t publishers, subscribers, destinations, bystanders, slow, connections
        int64_t size, credit, receipts, transaction, window, backlog
        double rate, ramp, warm_up, seconds, patience

cdef extern from "csrc/bench/report.h":
    ctypedef struct Report:
        double seconds, cpu_seconds, blocked_seconds
        uint64_t sends, deliveries, receipts, operations
        uint64_t sent, due, received, lost, duplicated, disordered, corrupt, unsent, unconfirmed
        uint64_t frame_bytes, hung_up

cdef extern from "csrc/bench/engine.h" nogil:
    ctypedef struct Engine:
        char *failure
        int phase
        uint32_t up
        uint64_t sent, received, receipts, operations
        Histogram latency, receipt, connect, send_delay
    Engine *engine_new(const Load *load)
    void engine_free(Engine *engine)
    bint engine_step(Engine *engine, double seconds)
    bint engine_go(Engine *engine)
    void engine_stop(Engine *engine)
    Report engine_report(const Engine *engine)

cdef tuple PHASES = ("connecting", "ready", "warming up", "measuring", "draining", "settling", "over")
cdef tuple TOTALS = ("sent", "due", "received", "lost", "duplicated", "disordered", "corrupt", "unsent", "unconfirmed")


class GeneratorError(Exception):
    """The load could not go on; the text is for people."""


cdef class Generator:
    """One load on one server."""

    cdef Engine *engine
    cdef list texts

    def __cinit__(self, target, load):
        cdef Load fields
        self.texts = []
        self._read_target(target, &fields)
        self._read_texts(load, &fields)
        self._read_credit(target, load, &fields)
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

    cdef int _read_target(self, target, Load *fields) except -1:
        fields.host = self._text(target.host)
        fields.port = target.port
        fields.protocol = self._text(target.protocol)
        fields.login = self._text(target.login)
        fields.passcode = self._text(target.passcode)
        fields.virtual_host = self._text(target.virtual_host)
        fields.topic_prefix = self._text(target.topic_prefix)
        fields.queue_prefix = self._text(target.queue_prefix)
        fields.subscribe_receipts = target.subscribe_receipts
        return 0

    cdef int _read_credit(self, target, load, Load *fields) except -1:
        try:
            line = target.credit_header.format(credit=load.credit) if load.credit else ""
        except (LookupError, ValueError):
            raise GeneratorError(f"{target.credit_header!r}: only {{credit}} can be filled in")
        fields.credit_line = self._text(line)
        return 0

    cdef int _read_texts(self, load, Load *fields) except -1:
        fields.kind = self._text(load.kind)
        fields.name = self._text(load.name)
        fields.pattern = self._text(load.pattern)
        fields.ack = self._text(load.ack)
        return 0

    cdef int _read_numbers(self, load, Load *fields) except -1:
        fields.queue, fields.persistent = load.queue, load.persistent
        fields.content_length, fields.verify = load.content_length, load.verify
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

    def result(self):
        """What was measured and checked."""
        cdef Report report = engine_report(self.engine)
        cdef dict fields = report
        cdef dict totals = {name: fields.pop(name) for name in TOTALS}
        fields["totals"] = totals
        fields["histograms"] = {
            "latency": buckets_of(&self.engine.latency),
            "receipt": buckets_of(&self.engine.receipt),
            "connect": buckets_of(&self.engine.connect),
            "send_delay": buckets_of(&self.engine.send_delay),
        }
        return fields



cdef list buckets_of(Histogram *histogram):
    cdef list found = []
    cdef size_t bucket
    for bucket in range(BUCKETS):
        if histogram.counts[bucket]:
            found.append([middle_of(bucket), histogram.counts[bucket]])
    return found
