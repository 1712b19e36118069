"""Messages of one queue that came back and are not to be given to anybody for a while.

    heap of (due, entry)    the earliest on top; of those that are due together, the one that stands in front

There is one timer, armed for the earliest; the queue takes what is due when it has fired. Others of the queue go on
meanwhile. There is no such room for a queue where nothing rests.
"""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc

from fastbroker.core.message cimport VISIT_COST, message_drop, move_message
from fastbroker.core.wire cimport keeper_join, keeper_leave, timer_arm, timer_cancel, timer_init

cdef enum:
    COST = 256          # bytes of it, beside the heap
    FEWEST = 8


cdef Resting resting_new(Census *census, Wheel *wheel, void (*fire)(void *owner) noexcept, void *owner):
    cdef Resting new = Resting()
    new.census = census
    new.wheel = wheel
    census.memory += COST
    timer_init(&new.timer, fire, owner)
    keeper_join(census, &new.keeper, visit_resting, <void *>new)
    return new


cdef class Resting:

    def __dealloc__(self):
        cdef size_t place
        keeper_leave(&self.keeper)
        timer_cancel(&self.timer)
        for place in range(self.count):
            message_drop(self.heap[place].entry.message)
        if self.census != NULL:
            self.census.memory -= COST + <int64_t>(self.capacity * sizeof(Rested))
        free(self.heap)

    cdef int add(self, const Entry *entry, uint64_t due) except -1:
        """Takes over the entry's reference, also when there is no memory."""
        cdef size_t place = self.count, parent
        if self.count == self.capacity:
            try:
                grow(self)
            except MemoryError:
                message_drop(entry.message)
                raise
        while place > 0:
            parent = (place - 1) // 2
            if is_before(&self.heap[parent], due, entry.number):
                break
            self.heap[place] = self.heap[parent]
            place = parent
        self.heap[place].due = due
        self.heap[place].entry = entry[0]
        self.count += 1
        if place == 0:
            self.arm()
        return 0

    cdef bint take(self, uint64_t now, Entry *entry) noexcept:
        """The next that is due by then, and its reference; or False."""
        if self.count == 0 or self.heap[0].due > now:
            return False
        entry[0] = self.heap[0].entry
        self.count -= 1
        sink(self, &self.heap[self.count])
        return True

    cdef void arm(self) noexcept:
        timer_arm(self.wheel, &self.timer, self.heap[0].due)


cdef inline bint is_before(const Rested *rested, uint64_t due, uint64_t number) noexcept:
    return rested.due < due or (rested.due == due and rested.entry.number < number)


cdef void sink(Resting self, const Rested *last) noexcept:
    """From the top to its place."""
    cdef Rested *heap = self.heap
    cdef size_t place = 0, child
    while True:
        child = 2 * place + 1
        if child >= self.count:
            break
        if child + 1 < self.count and is_before(&heap[child + 1], heap[child].due, heap[child].entry.number):
            child += 1
        if not is_before(&heap[child], last.due, last.entry.number):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = last[0]


cdef int grow(Resting self) except -1:
    cdef size_t capacity = self.capacity * 2 if self.capacity else FEWEST
    cdef Rested *heap = <Rested *>realloc(self.heap, capacity * sizeof(Rested))
    if heap == NULL:
        raise MemoryError()
    self.census.memory += <int64_t>((capacity - self.capacity) * sizeof(Rested))
    self.heap = heap
    self.capacity = capacity
    return 0


cdef int64_t visit_resting(void *owner, int64_t budget) noexcept:
    cdef Resting self = <Resting>owner
    cdef size_t place = self.keeper.place
    while budget > 0 and place < self.count:
        budget -= VISIT_COST + move_message(self.census, &self.heap[place].entry.message)
        place += 1
    self.keeper.place = place if place < self.count else 0
    return budget
