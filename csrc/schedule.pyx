"""The schedule: messages that are accepted and not published yet.

    heap        the job that is due first on top             [due, number] ...
    by_number   number of a job -> the job, which knows its place in the heap

A job holds a stored message and the route that it takes when it is due; one with a period or a cron expression comes
again. There is one timer, for the top of the heap. What is due at the same time is published in slices: the namespace
takes jobs while its turn has time for them; but nothing while there is still something to be cancelled, as a RECEIPT
has promised that it will not come.

One that outlives the broker is in the journal (kept.pyx) from when it is accepted on; that it was published stands in
one group with what came of that.

A job is due by the steady clock, which goes on while the process stands still: the hub's does not, so the timer looks
again once a second. A time of day is turned into a delay when the message is accepted; a cron expression is asked for
the next time of day whenever one is over.
"""
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memmove, memset

from fastbroker.core.frame cimport decoded
from fastbroker.core.kept cimport (
    KEPT_JOB, TRACE_COST, ItemAgain, trace_again, trace_end, trace_free, trace_new, trace_put,
)
from fastbroker.core.lasting cimport lasting_at
from fastbroker.core.message cimport (
    VISIT_COST, message_content, message_drop, message_new, message_properties, move_message,
)
from fastbroker.core.policy cimport LASTS_NOT, LASTS_WRITTEN
from fastbroker.core.table cimport table_free, table_get, table_init, table_put, table_remove
from fastbroker.core.wire cimport (
    ASKS_SCHEDULE, keeper_join, keeper_leave, parse_number, steady_now, timer_arm, timer_cancel, timer_init, wall_now,
)

from fastbroker.core.frame import Refused

cdef enum:
    FEWEST = 64
    COST = 160          # bytes of a job: itself, and its places in the heap and the table when that has just grown ...
    CRON_COST = 320     # ... and its cron expression ...
    LONGEST_CRON = 256  # ... which may be so long, as it is read again each time
    ADD_WORK = 512      # what accepting a job takes, in bytes of output ...
    PLAN_WORK = 2048    # ... reading when it comes again ...
    LOOK_WORK = 4       # ... looking at one ...
    ASK_WORK = 131072   # ... asking a cron expression ...
    DROP_WORK = 128     # ... and cancelling one
    MOST = 1000         # jobs that one look finds, or one step cancels
    MOST_SWEEPS = 16
    LOOK_AGAIN = 1000   # milliseconds: the hub's clock may have stood still
    LEAST_PERIOD = 100
    DIGITS = 12         # of a delay or period: 31 years

# Header lines of a stored message, in 1.2 encoding.
cdef bytes PERIOD = b"AMQ_SCHEDULED_PERIOD"
cdef bytes REPEAT = b"AMQ_SCHEDULED_REPEAT"
cdef bytes CRON = b"AMQ_SCHEDULED_CRON"
cdef bytes EXPIRES = b"expires"


cdef Schedule schedule_new(Census *census, Wheel *wheel, const uint64_t *now, uint64_t seed, cron, int64_t most):
    cdef Schedule new = Schedule()
    new.census = census
    new.wheel = wheel
    new.now = now
    new.cron = cron
    new.most = most
    new.sweeps = []
    table_init(&new.by_number, seed)
    timer_init(&new.timer, has_come, <void *>new)
    keeper_join(census, &new.keeper, visit_schedule, <void *>new)
    return new


cdef void has_come(void *owner) noexcept:
    (<Schedule>owner).ready = True


cdef class Schedule:

    def __dealloc__(self):
        timer_cancel(&self.timer)
        keeper_leave(&self.keeper)
        while self.count:
            if self.heap[self.count - 1].job.trace != NULL:
                trace_free(self.heap[self.count - 1].job.trace)
                self.heap[self.count - 1].job.trace = NULL
            drop(self, self.heap[self.count - 1].job)
        free(self.heap)
        table_free(&self.by_number)

    cdef int check(self, const Content *content) except -1:
        """Raises Refused for a schedule that cannot be: also where a COMMIT will add it, which must not fail then."""
        cdef Job plan
        if content.properties.flags & ASKS_SCHEDULE:
            cron = read_plan(self, content.head[:content.head_length], &plan)
            if cron is not None:
                next_of(self, cron)
        return 0

    cdef int ask_for_room(self, int64_t bytes) except -1:
        """For messages of that size. Nobody can take what is scheduled out by consuming it: it has a share."""
        if self.bytes + bytes > self.most:
            raise Refused(b"server busy", b"What is scheduled has its share of limits.memory. Send it again later.")
        return 0

    cdef int add(self, Route route, const Content *content, bint accepted) except -1:
        """Accept a message that is not to be published now. Raises Refused for a schedule that cannot be, and where the
        journal takes nothing, unless it was accepted before."""
        cdef Job *job
        cdef bytes head
        cdef Job plan
        plan.period = plan.repeat = plan.first = 0
        cron = None
        if content.properties.flags & ASKS_SCHEDULE:
            head = content.head[:content.head_length]
            cron = read_plan(self, head, &plan)
            if line_value(head, EXPIRES) is None:
                plan.first = steady_now(self.census) + content.properties.delay
        job = job_new(self, route, content)
        job.period, job.repeat, job.left, job.first = plan.period, plan.repeat, plan.repeat, plan.first
        job.delay = content.properties.delay
        take_cron(self, job, cron)
        try:
            job.due = job_due(self, job)
            if self.journal is not None:
                leave_trace(self, job, accepted)
            put(self, job)
        except:
            job_free(self, job)
            raise
        return 0

    cdef int restore(self, Route route, Message *message, const KeptItem *item, Trace *trace) except -1:
        """A job that the journal has kept; takes over all of them. Raises Refused if it cannot be any more."""
        cdef Job *job
        cdef Job plan
        cdef Content content
        try:
            job = job_of(self, route, message, item.key)
        except MemoryError:
            message_drop(message)
            trace_free(trace)
            raise
        job.trace = trace
        trace.owner = <void *>job
        trace.write = write_job
        charge(self, TRACE_COST)
        try:
            if message_properties(message).flags & ASKS_SCHEDULE:
                message_content(message, &content)
                take_cron(self, job, read_plan(self, content.head[:content.head_length], &plan))
                job.period, job.repeat = plan.period, plan.repeat
            read_item(self, job, item)
            put(self, job)
        except:
            job_free(self, job)
            raise
        return 0

    cdef Job *take_due(self) noexcept:
        """The next job that is due, taken out of the schedule and for the caller to give back; or NULL."""
        cdef Job *job = NULL
        if self.count and self.heap[0].due <= steady_now(self.census):
            job = self.heap[0].job
            take_out(self, job)
        elif not self.sweeps:
            look_later(self)
        return job

    cdef int give_back(self, Job *job) except -1:
        """It was published. If it is to come again, it is due then; a cron expression may have no next time."""
        job.times += 1
        if (job.cron == NULL and job.left == 0) or is_over(self, job):
            job_free(self, job)
            return 0
        try:
            again(self, job)
        except Refused:
            job_free(self, job)
        except MemoryError:
            job_free(self, job)
            raise
        return 0

    cdef bint cancel(self, uint64_t number) noexcept:
        """Whether there was a job of that number."""
        cdef Job *job = <Job *>table_get(&self.by_number, <const char *>&number, sizeof(number))
        if job == NULL:
            return False
        drop(self, job)
        return True

    cdef int cancel_all(self, uint64_t start, uint64_t end) except -1:
        """What is due between two times of day is cancelled, as far as it is scheduled now."""
        if len(self.sweeps) >= MOST_SWEEPS:
            raise Refused(b"server busy", b"Earlier REMOVEALLs are still under way. Try again later.")
        self.sweeps.append((start, end, newest_number(self), self.count, False))
        self.ready = True
        return 0

    cdef int sweep(self) except -1:
        """A step of that, from the end of the heap on: what is taken out there moves the least. What it moves may pass
        the place that is looked at, so there is another round, until one finds nothing."""
        cdef uint64_t ahead = wall_now(self.census) - steady_now(self.census), start, end, newest
        cdef size_t place, before
        cdef bint again
        cdef const Slot *slot
        cdef list found = []
        start, end, newest, before, again = self.sweeps[0]
        place = before = min(before, self.count)
        while place and len(found) < MOST:
            place -= 1
            slot = &self.heap[place]
            if start <= slot.due + ahead <= end and slot.job.number <= newest:
                found.append(slot.job.number)
        self.census.work += LOOK_WORK * <int64_t>(before - place) + DROP_WORK * len(found)
        for number in found:
            self.cancel(number)
        again = again or len(found) > 0
        if place == 0 and not again:
            self.sweeps.pop(0)
        else:
            self.sweeps[0] = (start, end, newest, place or self.count, again and place > 0)
        return 0

    cdef list within(self, uint64_t start, uint64_t end):
        """Numbers of jobs that are due between two times of day: the first MOST, in their order."""
        cdef uint64_t ahead = wall_now(self.census) - steady_now(self.census)
        cdef Slot[MOST] first
        cdef size_t found = 0, i
        self.census.work += LOOK_WORK * <int64_t>self.count
        for i in range(self.count):
            if start <= self.heap[i].due + ahead <= end:
                found = insert(first, found, &self.heap[i])
        return [first[i].job.number for i in range(found)]

    cdef Job *job(self, uint64_t number) noexcept:
        return <Job *>table_get(&self.by_number, <const char *>&number, sizeof(number))


# ---- a job ----

cdef Job *job_new(Schedule self, Route route, const Content *content) except NULL:
    cdef Message *message = message_new(self.census, content, 0)
    try:
        return job_of(self, route, message, next_number(self))
    except MemoryError:
        message_drop(message)
        raise


cdef Job *job_of(Schedule self, Route route, Message *message, uint64_t number) except NULL:
    """Takes over the reference, unless there is no memory."""
    cdef Job *job = <Job *>malloc(sizeof(Job))
    if job == NULL:
        raise MemoryError()
    memset(job, 0, sizeof(Job))
    job.message = message
    job.number = number
    job.route = <void *>route
    Py_INCREF(route)
    charge(self, COST)
    self.bytes += <int64_t>job.message.size
    self.census.work += ADD_WORK
    return job


cdef uint64_t next_number(Schedule self) noexcept:
    """The journal knows up to which they may have been given."""
    if self.journal is not None:
        self.journal.last_key += 1
        return self.journal.last_key
    self.next_number += 1
    return self.next_number


cdef uint64_t newest_number(Schedule self) noexcept:
    return self.journal.last_key if self.journal is not None else self.next_number


cdef void take_cron(Schedule self, Job *job, cron) noexcept:
    if cron is not None:
        job.cron = <void *>cron
        Py_INCREF(cron)
        charge(self, CRON_COST)


cdef inline void charge(Schedule self, int64_t bytes) noexcept:
    self.bytes += bytes
    self.census.memory += bytes


cdef void job_free(Schedule self, Job *job) noexcept:
    self.bytes -= <int64_t>job.message.size
    message_drop(job.message)
    Py_DECREF(<object>job.route)
    if job.cron != NULL:
        Py_DECREF(<object>job.cron)
        charge(self, -CRON_COST)
    if job.trace != NULL:
        trace_end(job.trace)
        charge(self, -TRACE_COST)
    free(job)
    charge(self, -COST)


cdef uint64_t job_due(Schedule self, const Job *job) except? 0:
    """When it is due for the first time of a round."""
    cdef uint64_t now = steady_now(self.census)
    if job.cron == NULL:
        return now + job.delay + (job.delay > 0)    # a part of a millisecond is over already
    return now + next_of(self, <bytes>job.cron) + job.delay


cdef int again(Schedule self, Job *job) except -1:
    if job.left:
        job.left -= 1
        job.due += job.period
    else:
        job.left = job.repeat
        job.due = job_due(self, job)
    if job.trace != NULL:
        tell_again(self, job)
    put(self, job)
    return 0


cdef bint is_over(Schedule self, const Job *job) noexcept:
    """Nobody would get it any more."""
    cdef uint64_t expires = message_properties(job.message).expires
    return job.first == 0 and 0 < expires <= wall_now(self.census)


cdef uint64_t next_of(Schedule self, bytes expression) except? 0:
    """Milliseconds until a cron expression says that it is time."""
    cdef uint64_t now = wall_now(self.census)
    self.census.work += ASK_WORK
    try:
        return self.cron(expression.decode(), now) - now
    except ValueError as error:
        raise Refused(b"bad header", b"AMQ_SCHEDULED_CRON cannot be: %b." % str(error).encode())


# ---- in the journal ----

cdef int leave_trace(Schedule self, Job *job, bint accepted) except -1:
    """If it outlives the broker."""
    cdef Route route = <Route>job.route
    cdef int lasts = lasting_at(route, message_properties(job.message).flags)
    if lasts == LASTS_NOT:
        return 0
    if not accepted:
        self.journal.check()
    job.trace = trace_new(self.journal, route.destination_bytes, route.destination_length, lasts == LASTS_WRITTEN,
                          <void *>job, write_job)
    job.trace.key = job.number
    charge(self, TRACE_COST)
    return write_job(job.trace)


cdef int write_job(Trace *trace) except -1:
    cdef Job *job = <Job *>trace.owner
    cdef Route route = <Route>job.route
    cdef KeptItem item
    memset(&item, 0, sizeof(item))
    item.what = KEPT_JOB
    item.time = job.due + ahead_of(job)
    item.delay = job.delay
    item.later = later_by(job)
    item.left = job.left
    item.times = job.times
    item.name_length = <uint32_t>route.destination_length
    return trace_put(trace, &item, job.message, route.destination_bytes)


cdef int tell_again(Schedule self, const Job *job) except -1:
    cdef ItemAgain again
    memset(&again, 0, sizeof(again))
    again.time = job.due + ahead_of(job)
    again.later = later_by(job)
    again.left = job.left
    again.times = job.times
    return trace_again(job.trace, &again)


cdef uint64_t ahead_of(const Job *job) noexcept:
    """What the time of day is ahead of the steady clock."""
    return wall_now(job.message.census) - steady_now(job.message.census)


cdef uint64_t later_by(const Job *job) noexcept:
    return job.due - job.first + 1 if job.first else 0


cdef void read_item(Schedule self, Job *job, const KeptItem *item) noexcept:
    """What became due while there was no broker is due now. What comes again and again comes once for all that was
    missed."""
    cdef uint64_t wall = wall_now(self.census), now = steady_now(self.census)
    cdef uint64_t time = item.time, missed
    job.delay, job.left, job.times = item.delay, item.left, item.times
    if time < wall and job.period and job.left:
        missed = min(job.left, (wall - time) // job.period)
        job.left -= missed
        time += missed * job.period
    job.due = now + (time - wall) if time > wall else now - min(wall - time, now - 1)
    if item.later:
        job.first = job.due - (item.later - 1 + time - item.time) or 1


# ---- what AMQ_SCHEDULED_ headers say of a job beside its delay ----

cdef object read_plan(Schedule self, bytes head, Job *plan):
    """Returns the cron expression, or None."""
    cdef bytes cron = line_value(head, CRON)
    self.census.work += PLAN_WORK
    plan.period = number_in(head, PERIOD)
    plan.repeat = INT64_MAX if line_value(head, REPEAT) == b"-1" else number_in(head, REPEAT)
    if plan.repeat and plan.period < LEAST_PERIOD:
        raise Refused(b"bad header", b"AMQ_SCHEDULED_REPEAT needs an AMQ_SCHEDULED_PERIOD of at least %d milliseconds."
                      % LEAST_PERIOD)
    if cron is not None and self.cron is None:
        raise Refused(b"bad header", b"AMQ_SCHEDULED_CRON is not available here.")
    if cron is not None and len(cron) > LONGEST_CRON:
        raise Refused(b"bad header", b"AMQ_SCHEDULED_CRON has at most %d bytes." % LONGEST_CRON)
    return cron


cdef bytes line_value(bytes head, bytes name):
    """The decoded value of the first header line of that name, or None."""
    for line in head.split(b"\n"):
        if line.startswith(name + b":"):
            value = line[len(name) + 1:]
            return decoded(value, len(value), 12)
    return None


cdef uint64_t number_in(bytes head, bytes name) except? 0xffffffffffffffff:
    cdef bytes value = line_value(head, name)
    cdef uint64_t number = 0
    if value is not None and not parse_number(value, len(value), DIGITS, &number):
        raise Refused(b"bad header", b"%b is a number of at most %d digits." % (name, DIGITS))
    return number


# ---- the heap ----

cdef int put(Schedule self, Job *job) except -1:
    cdef size_t capacity
    cdef Slot *heap
    if self.count == self.capacity:
        capacity = self.capacity * 2 if self.capacity else FEWEST
        heap = <Slot *>realloc(self.heap, capacity * sizeof(Slot))
        if heap == NULL:
            raise MemoryError()
        self.heap = heap
        self.capacity = capacity
    if table_put(&self.by_number, <const char *>&job.number, sizeof(job.number), job) < 0:
        raise MemoryError()
    self.count += 1
    self.census.scheduled += 1
    rise(self, Slot(job.due, job), self.count - 1)
    if job.place == 0:
        look_later(self)
    return 0


cdef void drop(Schedule self, Job *job) noexcept:
    take_out(self, job)
    job_free(self, job)


cdef void take_out(Schedule self, Job *job) noexcept:
    """It is in the schedule no more; the last one fills its place."""
    cdef Slot last
    table_remove(&self.by_number, <const char *>&job.number, sizeof(job.number))
    self.count -= 1
    self.census.scheduled -= 1
    last = self.heap[self.count]
    if last.job != job:
        sink(self, last, job.place)
        rise(self, last, last.job.place)
    if self.count == 0:
        free(self.heap)
        self.heap = NULL
        self.capacity = 0


cdef inline bint comes_first(const Slot *one, const Slot *other) noexcept:
    return one.due < other.due or (one.due == other.due and one.job.number < other.job.number)


cdef inline void stand(Schedule self, Slot slot, size_t place) noexcept:
    self.heap[place] = slot
    slot.job.place = place


cdef void rise(Schedule self, Slot slot, size_t place) noexcept:
    cdef size_t parent
    while place > 0:
        parent = (place - 1) // 2
        if not comes_first(&slot, &self.heap[parent]):
            break
        stand(self, self.heap[parent], place)
        place = parent
    stand(self, slot, place)


cdef void sink(Schedule self, Slot slot, size_t place) noexcept:
    cdef size_t child
    while True:
        child = 2 * place + 1
        if child >= self.count:
            break
        if child + 1 < self.count and comes_first(&self.heap[child + 1], &self.heap[child]):
            child += 1
        if not comes_first(&self.heap[child], &slot):
            break
        stand(self, self.heap[child], place)
        place = child
    stand(self, slot, place)


cdef size_t insert(Slot *first, size_t found, const Slot *slot) noexcept:
    """Among the first ones, if it is one of them; returns how many there are."""
    cdef size_t low = 0, high = found, middle
    if found == MOST and not comes_first(slot, &first[MOST - 1]):
        return found
    while low < high:
        middle = (low + high) // 2
        if comes_first(slot, &first[middle]):
            high = middle
        else:
            low = middle + 1
    found = min(found + 1, <size_t>MOST)
    memmove(&first[low + 1], &first[low], (found - 1 - low) * sizeof(Slot))
    first[low] = slot[0]
    return found


cdef void look_later(Schedule self) noexcept:
    """The timer, for the first job."""
    cdef uint64_t now, due
    self.ready = len(self.sweeps) > 0
    timer_cancel(&self.timer)
    if self.count:
        now = steady_now(self.census)
        due = self.heap[0].due
        timer_arm(self.wheel, &self.timer, self.now[0] + min(due - now if due > now else 0, <uint64_t>LOOK_AGAIN))


# ---- moving ----

cdef int64_t visit_schedule(void *owner, int64_t budget) noexcept:
    """What one job keeps for a year must not hold what thousands had beside it."""
    cdef Schedule schedule = <Schedule>owner
    cdef size_t place = schedule.keeper.place
    while budget > 0 and place < schedule.count:
        budget -= VISIT_COST + move_message(schedule.census, &schedule.heap[place].job.message)
        place += 1
    schedule.keeper.place = place if place < schedule.count else 0
    return budget
