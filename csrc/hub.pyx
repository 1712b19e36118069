"""The hub: connections, the turn, the clock.

The turn runs after all ready sockets were read and before the loop sleeps, when there is anything to do:

    1. sessions whose frames waited for memory, and connections that were held, go on: as many as there is time for
    2. queues with new credit dispatch
    3. every dirty connection is flushed once, and a slice of those that large fan-outs have written to
    4. the clock; timers fire in a tick of their own, and a turn follows

While there is one small read a turn, its output does not wait for the turn: that would be one more round of the loop,
for the sake of others that are not there. Nor does output wait for very many reads: the loop reads all sockets that are
ready before there is a turn, and these can be thousands.

Nobody is closed inside its own call stack: a connection that must end is aborted when it is flushed.

The clock is monotonic and counts only time in which the process ran: after a stop, or a stalled loop, nobody is taken
for dead before its input was read.
"""
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_WRITE
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from fastbroker.core.broker cimport Broker
from fastbroker.core.carrying cimport carry_on
from fastbroker.core.journal cimport RECORD_CLOSED, Journal, Store
from fastbroker.core.namespace cimport keep, queued
from fastbroker.core.policy cimport Policies
from fastbroker.core.receipts cimport Receipts
from fastbroker.core.recovery cimport recover
from fastbroker.core.session cimport Session, release_waiters
from fastbroker.core.spilling cimport call_starved, hear_fetched, spill_on
from fastbroker.core.table cimport hash_seed
from fastbroker.core.turntaker cimport ENDING, TurnTaker
from fastbroker.core.will cimport publish_wills
from fastbroker.core.wire cimport (
    SCAN_SLACK, Blocks, Link, Outlets, ceiling_open, census_spent, link_join, memory_trim, outbuf_pending,
    places_init, pool_free, pool_trim, ring_empty, ring_init, ring_splice, ring_take, round_begin, round_go_on,
    wheel_advance,
)

import os
import select

from fastbroker.core.journal import StoreError

cdef enum:
    TICK_EVERY = 20         # milliseconds
    WAIT_FOR_STORE = 1      # second, between two looks at what it does
    TELL_EVERY = 60000      # lines of the log on a ceiling that is still reached
    CALM = 3000             # without it, and it is left
    STALL = 100             # since the clock was set: the loop was held up
    LONGEST_STEP = 200      # of the clock; more means that the process stood still
    TRIM_EVERY = 50         # ticks
    BULK_SLICE = 128        # connections of large fan-outs flushed in one turn
    READS_SLICE = 256       # small reads whose output may wait for each other
    LEAVING_SLICE = 64      # connections that end, flushed and shut in one turn
    FLUSH_SLICE = 16777216  # bytes given to the kernel in one turn
    WORTH_TRIMMING = 16777216   # bytes that were freed
    CARRIED_SLICE = 524288  # bytes of messages that are recorded again in one tick
    TIGHT = 4               # as many while memory is full
    SPILLED_SLICE = 32768   # messages of which it is looked in one tick whether they need be in memory
    MOVED_SLICE = 2097152   # bytes of messages moved in one tick
    MOVE_SOON = 5           # ticks, where frames wait for memory
    SMALL_OUTPUT = 65536    # of one connection: does not wait for another turn
    SMALL_INPUT = 16384     # read at a time while frames wait for memory
    LEAST_PATIENCE = 1000   # milliseconds that everybody has for the login where `login_timeout` is four times as long


cdef uint64_t monotonic() noexcept:
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <uint64_t>time.tv_sec * 1000 + time.tv_nsec // 1000000


cdef class Hub:

    def __cinit__(self):
        ring_init(&self.connections)
        self.input = <char *>malloc(INPUT_FRONT + INPUT_SPACE + SCAN_SLACK)
        if self.input == NULL:
            raise MemoryError()

    def __init__(self, loop, *, settings, policies=None, authenticate=None, authorize=None, log, server,
                 handshake=None, debug=False, cron=None, journal=None, epoch=None):
        self.loop = loop
        self.lost = set()
        self.broker = Broker(settings, policies or Policies(), authenticate, authorize, log, server, debug=debug,
                             cron=cron, journal=journal, epoch=epoch)
        self.input_view = PyMemoryView_FromMemory(self.input + INPUT_FRONT, INPUT_SPACE, PyBUF_WRITE)
        self.small_view = self.input_view[:SMALL_INPUT]
        self.slice = self.until = LARGEST_SLICE
        self.run_turn = self._turn
        self.run_tick = self._tick
        self.run_commit = self._commit
        self.real = monotonic()
        self.most_connections = settings["max_connections"]
        self.error_at_stop = settings["error_at_stop"]
        self.commit_delay = settings.get("commit_delay", 0)
        places_init(&self.places, self.broker.limits.max_unauthenticated,
                    min(self.broker.limits.login_timeout // 4, <uint64_t>LEAST_PATIENCE),
                    hash_seed(int.from_bytes(os.urandom(8), "little")))
        self.handshake = handshake

    def __dealloc__(self):
        free(self.input)

    # ---- for the server ----

    @property
    def connection_count(self):
        return self.broker.census.connections

    @property
    def unauthenticated(self):
        return self.places.taken

    def recover(self):
        """All that the journal has kept is there again, and it takes more. Returns how many messages that were, and
        whether the broker before has ended in good order."""
        cdef Journal journal = self.broker.journal
        found = recover(journal, self.broker.namespace)
        journal.store.start()
        keep(self.broker.namespace)
        wait_for_store(self)    # or another broker might give the same ids
        check_store(journal.store)
        watch_store(self)
        if keeps_time(self):
            self.tick_on()
        return found

    def hear_journal(self):
        """The store has news."""
        cdef Journal journal = self.broker.journal
        journal.store.hear()
        self.broker.report(journal.store.durable(), journal.store.written())
        hear_fetched(self.broker.spilling)
        if self.broker.spilling.asked:
            spill_on(self.broker.spilling, SPILLED_SLICE)
        watch_store(self)
        commit(self)
        self.schedule()

    def close_journal(self):
        """What was recorded is written, and that this was all. Returns the error number of what has failed, or 0."""
        cdef Journal journal = self.broker.journal
        if self.waiting:
            self.commit_timer.cancel()
        wait_for_store(self)
        if journal.store.idle():
            keep(self.broker.namespace)
        wait_for_store(self)
        if journal.store.idle():
            journal.put(RECORD_CLOSED, 0, NULL, 0)
            journal.recorded.strict += 1
            journal.commit()
        return journal.store.close()

    def drain(self):
        cdef Link *link = self.connections.next
        cdef Link *next
        self.draining = True
        self.broker.takes_wills = False
        self.broker.wills.clear()
        while link != &self.connections:
            next = link.next
            (<TurnTaker>link.owner).drain()
            link = next

    def abort(self):
        cdef Link *link = self.connections.next
        while link != &self.connections:
            (<TurnTaker>link.owner).abort("server stopped")
            link = link.next

    def charge_input(self, Py_ssize_t more):
        self.broker.census.input += more

    def queued(self):
        return queued(self.broker.namespace)

    def kept(self):
        """How many of those are there again when a broker starts."""
        cdef Journal journal = self.broker.journal
        return 0 if journal is None or journal.failed else journal.space.live

    def stats(self):
        cdef Link *link = self.connections.next
        cdef dict stats = dict(self.broker.census)
        while link != &self.connections:
            stats["messages_out"] += (<TurnTaker>link.owner).out.messages
            link = link.next
        return stats

    # ---- the turn ----

    cdef int schedule(self) except -1:
        if not self.turn_due:
            self.turn_due = True
            self.loop.call_soon(self.run_turn)
        return 0

    cdef int answer_at_once(self) except -1:
        """After a read: what it caused goes out now if the turns before had one read each, so that nothing would join
        it; and so does what very many have caused."""
        self.reads += 1
        if self.reads == 1 and self.lone or self.reads % READS_SLICE == 0:
            flush(self)
        return 0

    def _turn(self):
        self.turn_due = False
        self.lone = self.reads == 1
        self.reads = 0
        try:
            set_clock(self)
            self.until = census_spent(&self.broker.census) + TURN_SLICE
            unpark(self)
            go_on(self)
            if self.broker.presence is not None:
                self.broker.presence.tell()
            self.broker.namespace.dispatch_due()
            release_waiters(self.broker, &self.broker.namespace.relieved)
            if not ring_empty(&self.broker.wills_due):
                publish_wills(self.broker)
            if self.broker.journal is not None:
                commit(self)
            flush(self)
        finally:
            if not (ring_empty(&self.broker.released) and ring_empty(&self.broker.outlets.dirty)
                    and ring_empty(&self.broker.outlets.bulk) and ring_empty(&self.broker.due)
                    and ring_empty(&self.broker.wills_due)):
                self.schedule()

    def _commit(self):
        """The run has waited for others as long as it may."""
        self.waiting = False
        self.waited = True
        commit(self)

    # ---- the clock ----

    cdef int tick_on(self) except -1:
        """While there is anybody, the clock goes; where nobody was for a while, it is set first."""
        if not self.ticking:
            self.ticking = True
            set_clock(self)
            self.loop.call_later(TICK_EVERY / 1000.0, self.run_tick)
        return 0

    def _tick(self):
        """After a stall, input that has come meanwhile is read before anybody's time is over, in the next tick."""
        self.ticking = False
        self.stalled = not self.stalled and monotonic() - self.real > STALL
        set_clock(self)
        if not self.stalled:
            wheel_advance(&self.broker.wheel, self.broker.now)
        self.ticks += 1
        self.peak = max(self.peak, apart(self))
        move_messages(self)
        if self.broker.journal is not None:
            carry_on(self.broker.journal, &self.broker.census, CARRIED_SLICE,
                     self.ticks % TRIM_EVERY == 0)
            spill_on(self.broker.spilling, SPILLED_SLICE * (TIGHT if self.broker.is_full() else 1))
            call_starved(self.broker.spilling)
        watch_ceiling(self)
        if self.ticks % TRIM_EVERY == 0:
            pool_trim(&self.broker.outlets)
            self.broker.namespace.sweep()
            trim(self)
        if self.broker.census.connections or self.full_since or self.broker.wills or (
                keeps_time(self) and not self.draining):
            self.tick_on()
        else:
            pool_free(&self.broker.outlets)
            trim(self)
        self.schedule()


cdef int watch_store(Hub self) except -1:
    """The log hears when the disk is full, when it is not any more, and when it has failed: then those who wait for a
    receipt are told, as it never comes."""
    cdef Journal journal = self.broker.journal
    cdef Link *owing = self.broker.owing.next
    cdef int full = journal.store.full()
    if journal.full != (full != 0):
        journal.full = full != 0
        if full:
            self.broker.log("error", "disk full", reason=os.strerror(full))
        else:
            self.broker.log("warning", "disk has space again")
    if journal.failed or not journal.store.failure:
        return 0
    journal.failed = True
    journal.run.used = journal.settled_of = 0   # nobody will ever read it
    self.broker.log("error", "journal failed", reason=os.strerror(journal.store.failure))
    while owing != &self.broker.owing:
        link_join(&self.broker.released, (<Receipts>owing.owner).go_on)
        owing = owing.next
    return 0


cdef int check_store(Store store) except -1:
    """Raises StoreError where nothing can be kept."""
    if store.failure:
        raise StoreError(f"cannot write to the data directory: {os.strerror(store.failure)}")
    if store.stuck():
        raise StoreError(f"there is no space for the journal ({os.strerror(store.full())}): free "
                         f"{2 * store.segment_size() >> 20} MiB on the disk of the data directory")
    return 0


cdef int wait_for_store(Hub self) except -1:
    """While there are no clients; not for space that nobody has."""
    cdef Store store = self.broker.journal.store
    while not (store.idle() or store.failure or store.stuck()):
        select.select([self.broker.journal.store], [], [], WAIT_FOR_STORE)
        self.broker.journal.store.hear()
    return 0


cdef int commit(Hub self) except -1:
    """What was recorded goes to the store, if that is idle; publishers who waited for that go on."""
    if self.commit_delay and not self.waited and waits(self):
        return 0
    keep(self.broker.namespace)
    if self.broker.journal.run.used == 0:
        self.waited = False
        release_waiters(self.broker, &self.broker.journal.waiters)
    return 0


cdef bint waits(Hub self) except -1:
    """Whether the run waits for what others have to record: from its first record on for `commit_delay`, unless
    publishers wait for it."""
    cdef Journal journal = self.broker.journal
    if journal.run.used == 0 or journal.is_pressed():
        return False
    if not self.waiting:
        self.waiting = True
        self.commit_timer = self.loop.call_later(self.commit_delay / 1000.0, self.run_commit)
    return True


cdef bint keeps_time(Hub self) noexcept:
    """Whether something ends by the clock that nobody holds."""
    return (self.broker.census.queues > 0 or self.broker.census.scheduled > 0
            or self.broker.namespace.histories.ageing > 0)


cdef int watch_ceiling(Hub self) except -1:
    """The log hears when the memory ceiling is reached, again and again while it is, and when it was not for a while:
    memory that comes and goes at the ceiling is one time of it."""
    cdef uint64_t now = self.broker.now
    if self.broker.is_full() or not ring_empty(&self.broker.parking):
        self.broker.namespace.histories.give_way()
        self.full_last = now
        if self.full_since == 0:
            self.full_since = now
        elif now < self.full_told + TELL_EVERY:
            return 0
        self.full_told = now
        return tell_full(self)
    if self.full_since and now >= self.full_last + CALM:
        self.broker.log("warning", "memory ceiling left", seconds=(self.full_last - self.full_since) / 1000.0,
                        memory=self.broker.census.memory, limit=self.broker.limits.memory)
        self.full_since = 0
    return 0


cdef int tell_full(Hub self) except -1:
    cdef const Link *link = self.broker.parking.next
    cdef int64_t waiting = 0
    while link != &self.broker.parking:
        waiting += 1
        link = link.next
    self.broker.log("warning", "memory ceiling reached", seconds=(self.full_last - self.full_since) / 1000.0,
                    memory=self.broker.census.memory, limit=self.broker.limits.memory, publishers=waiting,
                    messages=self.broker.census.messages, key="limits.memory")
    return 0


cdef void move_messages(Hub self) noexcept:
    """Once a second, where a few hold much more than their size; soon, and for less, where frames wait for memory."""
    cdef Blocks *blocks = &self.broker.blocks
    if self.ticks % TRIM_EVERY == 0:
        round_begin(blocks, blocks.taken // 4)
    elif self.ticks % MOVE_SOON == 0 and not ring_empty(&self.broker.parking):
        round_begin(blocks, 0)
    round_go_on(blocks, MOVED_SLICE)


cdef int64_t apart(Hub self) noexcept:
    """What is held beside messages, and comes from malloc."""
    return self.broker.census.memory - self.broker.blocks.account.bytes + <int64_t>self.broker.outlets.kept


cdef void trim(Hub self) noexcept:
    """Once much of what there was has gone, the allocator gives back what it keeps of that."""
    cdef int64_t held = apart(self)
    if held < self.peak // 4 * 3 and self.peak - held > WORTH_TRIMMING:
        self.peak = held
        memory_trim()


cdef int unpark(Hub self) except -1:
    """Frames that waited for memory, once there is some: not at the first byte, which the first frame would use up.
    They have half of the turn."""
    cdef Broker broker = self.broker
    cdef int64_t until = self.until - TURN_SLICE // 2
    cdef Link waiting
    cdef void *owner
    if ring_empty(&broker.parking) or not ceiling_open(&broker.ceiling):
        return 0
    ring_init(&waiting)
    ring_splice(&waiting, &broker.parking)
    owner = ring_take(&waiting)
    while owner != NULL:
        (<TurnTaker>(<Session>owner).go_on.owner).unpark()
        owner = ring_take(&waiting) if census_spent(&self.broker.census) < until else NULL
    ring_splice(&waiting, &broker.parking)
    ring_splice(&broker.parking, &waiting)      # those who wait come first
    return 0


cdef int go_on(Hub self) except -1:
    """Those that were held, or have more to do than their share, in the order in which they came; who finds nothing
    left comes first in the next turn. One that does little counts as if it did more: it may be read from now."""
    cdef Link waiting
    cdef TurnTaker one
    cdef int64_t until = self.until, before
    self.slice = LARGEST_SLICE
    if ring_empty(&self.broker.released):
        return 0
    ring_init(&waiting)
    ring_splice(&waiting, &self.broker.released)
    self.slice = slice_for(&waiting)
    before = census_spent(&self.broker.census)
    while before < until and not ring_empty(&waiting):
        one = <TurnTaker>ring_take(&waiting)    # which it may be the last to know
        self.until = before + self.slice
        self.broker.give_share(self.slice)
        one.go_on()
        until -= max(before + SMALLEST_SLICE - census_spent(&self.broker.census), <int64_t>0)
        before = census_spent(&self.broker.census)
    self.until = until
    ring_splice(&waiting, &self.broker.released)
    ring_splice(&self.broker.released, &waiting)
    return 0


cdef int64_t slice_for(const Link *ring) noexcept:
    """Of each of those who stand there; and as much is left for who does not yet."""
    cdef const Link *link = ring.next
    cdef int64_t slice = TURN_SLICE, count = 1
    while link != ring and slice > SMALLEST_SLICE:
        count += 1
        slice = TURN_SLICE // count
        link = link.next
    return max(min(slice, <int64_t>LARGEST_SLICE), <int64_t>SMALLEST_SLICE)


cdef int flush(Hub self) except -1:
    """Those that are dirty, and a slice of a large fan-out. When that was much for the kernel to take, the large ones
    go on in the next turn, and the small ones are served in between; so are those who stay when thousands leave."""
    cdef int slice = BULK_SLICE, leaving = LEAVING_SLICE
    cdef Outlets *outlets = &self.broker.outlets
    cdef uint64_t until = outlets.sent + FLUSH_SLICE
    cdef TurnTaker one
    cdef Link dirty, later
    ring_init(&dirty)
    ring_init(&later)
    ring_splice(&dirty, &outlets.dirty)
    while not ring_empty(&dirty):
        one = <TurnTaker>ring_take(&dirty)
        leaving -= one.ours == ENDING
        if (leaving >= 0 or one.ours != ENDING) and (outlets.sent < until or outbuf_pending(&one.out) <= SMALL_OUTPUT):
            one.flush()
        else:
            link_join(&later, &one.out.link)
    ring_splice(&later, &outlets.dirty)
    ring_splice(&outlets.dirty, &later)     # those who wait come first
    while slice > 0 and not ring_empty(&outlets.bulk) and outlets.sent < until:
        slice -= 1
        (<TurnTaker>ring_take(&self.broker.outlets.bulk)).flush()
    return 0


cdef void set_clock(Hub self) noexcept:
    cdef uint64_t real = monotonic()
    self.broker.now += min(real - self.real, <uint64_t>LONGEST_STEP)
    self.real = real

