"""Queues.

    returned  a heap of messages that came back (NACK, UNSUBSCRIBE, a lost client), by their original number
    ring      messages that were never delivered, oldest first

Every number in `returned` is lower than every number in `ring`, so the next message is the top of the heap, else the head
of the ring, and one that came back stands exactly where it stood. Consumers with room stand in a ring and take turns; one
found without room leaves it and joins again when it gets credit or its output has drained.
"""
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from fastbroker.core.frame cimport Content
from fastbroker.core.message cimport (
    MIDDLE_SPACE, Entry, Message, message_drop, message_new, put_message, put_middle,
)
from fastbroker.core.subscription cimport ACK_AUTO, Subscription
from fastbroker.core.wire cimport (
    Census, Link, link_init, link_join, link_joined, link_leave, outbuf_touch, ring_empty, ring_init, timer_cancel,
)

cdef enum:
    SMALLEST_RING = 8
    QUEUE_COST = 512        # bytes of a queue beside its name


cdef Queue queue_new(bytes name, Census *census, Link *due):
    cdef Queue new = Queue()
    new.name = name
    new.census = census
    new.due = due
    new.cost = QUEUE_COST + (2 * len(name) if name is not None else 0)
    census.queues += 1
    census.memory += new.cost
    return new


cdef class Queue:

    def __cinit__(self):
        ring_init(&self.consumers)
        link_init(&self.due_link, <void *>self)

    def __dealloc__(self):
        self.purge()
        link_leave(&self.due_link)
        timer_cancel(&self.idle)
        free(self.ring)
        free(self.returned)
        if self.census != NULL:
            self.census.queues -= 1
            self.census.memory -= self.cost

    cdef int offer(self, const Content *content, uint64_t id) except -1:
        """A SEND: straight to a consumer if one waits, without a copy if that is `auto`; else a message is kept."""
        cdef Subscription consumer = next_consumer(self) if self.waiting() == 0 else None
        cdef Entry entry
        if consumer is None:
            self.push(message_new(self.census, content, id))
            return self.dispatch()
        if consumer.ack_mode == ACK_AUTO:
            return pass_on(self, consumer, content, id)
        self._number(&entry, message_new(self.census, content, id))
        self.unsettled += 1
        return consumer.hand_over(&entry)

    cdef void _number(self, Entry *entry, Message *message) noexcept:
        entry.message = message
        entry.number = self.next_number
        entry.failures = 0
        entry.redelivered = False
        self.next_number += 1

    cdef int push(self, Message *message) except -1:
        """To the end; takes over the caller's reference, also when there is no memory."""
        if self.count == self.capacity:
            try:
                grow_ring(self)
            except MemoryError:
                message_drop(message)
                raise
        self._number(&self.ring[(self.head + self.count) & (self.capacity - 1)], message)
        self.count += 1
        keep(self, message)
        return 0

    cdef int put_back(self, Entry *entry) except -1:
        """To its original position; takes over the entry's reference."""
        cdef size_t place = self.returned_count, parent
        if self.returned_count == self.returned_capacity:
            grow_returned(self)
        while place > 0:
            parent = (place - 1) // 2
            if self.returned[parent].number < entry.number:
                break
            self.returned[place] = self.returned[parent]
            place = parent
        self.returned[place] = entry[0]
        self.returned[place].redelivered = True
        self.returned_count += 1
        keep(self, entry.message)
        return 0

    cdef bint take(self, Entry *entry) noexcept:
        """The next message and its reference, or False."""
        if self.returned_count:
            take_returned(self, entry)
        elif self.count:
            entry[0] = self.ring[self.head]
            self.head = (self.head + 1) & (self.capacity - 1)
            self.count -= 1
            if self.count == 0 and self.capacity > SMALLEST_RING:
                free(self.ring)
                self.ring = NULL
                self.head = self.capacity = 0
        else:
            return False
        self.bytes -= entry.message.size
        if self.backlog != NULL:
            self.backlog[0] -= entry.message.size
        return True

    cdef int dispatch(self) except -1:
        """Gives messages to consumers in turn while there are both."""
        cdef Subscription consumer
        cdef Entry entry
        while self.waiting():
            consumer = next_consumer(self)
            if consumer is None:
                return 0
            self.take(&entry)
            if consumer.ack_mode != ACK_AUTO:
                self.unsettled += 1
            consumer.hand_over(&entry)
        return 0

    cdef void add_consumer(self, Subscription consumer) noexcept:
        self.consumer_count += 1
        timer_cancel(&self.idle)
        self.regained(consumer)

    cdef void remove_consumer(self, Subscription consumer) noexcept:
        link_leave(&consumer.ready)
        timer_cancel(&consumer.rest)
        self.consumer_count -= 1

    cdef void regained(self, Subscription consumer) noexcept:
        """The consumer may have room again: it stands in line, and the queue is dispatched in this turn."""
        if not link_joined(&consumer.ready) and not consumer.resting and consumer.has_credit():
            link_join(&self.consumers, &consumer.ready)
        self.call()

    cdef void call(self) noexcept:
        """Messages that wait are dispatched in this turn."""
        if self.waiting() and not link_joined(&self.due_link):
            link_join(self.due, &self.due_link)

    cdef bint unused(self) noexcept:
        return self.waiting() == 0 and self.consumer_count == 0 and self.unsettled == 0 and self.pins == 0

    cdef void purge(self) noexcept:
        cdef Entry entry
        while self.take(&entry):
            message_drop(entry.message)


cdef Subscription next_consumer(Queue queue):
    """The first consumer with room, who then stands last in line; None if there is none."""
    cdef Subscription consumer
    while not ring_empty(&queue.consumers):
        consumer = <Subscription>queue.consumers.next.owner
        if not consumer.has_credit() or consumer.resting:
            link_leave(&consumer.ready)
        elif not consumer.has_outlet():
            link_join(consumer.starved, &consumer.ready)
        else:
            if consumer.ready.next != &queue.consumers:     # it is not last already, being the only one
                link_join(&queue.consumers, &consumer.ready)
            return consumer
    return None


cdef int pass_on(Queue queue, Subscription consumer, const Content *content, uint64_t id) except -1:
    cdef char middle[MIDDLE_SPACE]
    put_message(consumer.out, consumer.prefix, consumer.prefix_length, middle, put_middle(middle, id),
                consumer.version, content, NULL)
    outbuf_touch(consumer.out)
    queue.census.messages_out += 1
    queue.census.bytes_out += <Py_ssize_t>(content.body_length + content.head_length)
    return 0


cdef void keep(Queue queue, const Message *message) noexcept:
    queue.bytes += message.size
    if queue.backlog != NULL:
        queue.backlog[0] += message.size


cdef int grow_ring(Queue queue) except -1:
    cdef size_t capacity = queue.capacity * 2 if queue.capacity else SMALLEST_RING
    cdef size_t behind = queue.capacity - queue.head
    cdef Entry *ring = <Entry *>malloc(capacity * sizeof(Entry))
    if ring == NULL:
        raise MemoryError()
    if queue.count:
        memcpy(ring, queue.ring + queue.head, behind * sizeof(Entry))
        memcpy(ring + behind, queue.ring, queue.head * sizeof(Entry))
    free(queue.ring)
    queue.ring = ring
    queue.head = 0
    queue.capacity = capacity
    return 0


cdef int grow_returned(Queue queue) except -1:
    cdef size_t capacity = queue.returned_capacity * 2 if queue.returned_capacity else SMALLEST_RING
    cdef Entry *returned = <Entry *>realloc(queue.returned, capacity * sizeof(Entry))
    if returned == NULL:
        raise MemoryError()
    queue.returned = returned
    queue.returned_capacity = capacity
    return 0


cdef void take_returned(Queue queue, Entry *entry) noexcept:
    """The top of the heap; the last one sinks from there to its place."""
    cdef Entry *heap = queue.returned
    cdef Entry last
    cdef size_t place = 0, child
    entry[0] = heap[0]
    queue.returned_count -= 1
    last = heap[queue.returned_count]
    while True:
        child = 2 * place + 1
        if child >= queue.returned_count:
            break
        if child + 1 < queue.returned_count and heap[child + 1].number < heap[child].number:
            child += 1
        if last.number < heap[child].number:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = last
