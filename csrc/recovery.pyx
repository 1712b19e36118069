"""Recovery: what the journal has kept goes back to the queues and subscriptions of a broker that starts.

A message is where it was, with its id, and counts its deliveries on. After an end that was none in good order, nobody
knows which messages consumers had: those that may have been given out count as if they were.
"""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.choosing cimport begin_groups
from fastbroker.core.finding cimport Findings, FoundQueue, findings_new
from fastbroker.core.journal cimport Record
from fastbroker.core.message cimport Entry, message_properties
from fastbroker.core.namespace cimport go_on_from, restore_queue
from fastbroker.core.queue cimport GROUPED, Queue, belongs_on_shelf, restore_entry, stand_in_ring
from fastbroker.core.space cimport segment_after
from fastbroker.core.wire cimport Properties, link_join


cdef object recover(Journal journal, Namespace namespace):
    """Everything that is kept is there again. Returns how many messages that are, and whether the broker before has
    ended in good order."""
    cdef Findings found = findings_new(journal.store, journal.space, namespace.census, namespace.policies)
    cdef const Record **records
    cdef long count = journal.store.read(&records)
    while count:
        found.read(records, count)
        count = journal.store.read(&records)
    journal.undone = set(found.open)
    found.end()
    return restore_all(found, journal, namespace)


cdef object restore_all(Findings found, Journal journal, Namespace namespace):
    cdef FoundQueue queue
    cdef Queue restored
    cdef uint64_t messages = 0
    journal.last_queue = <uint32_t>found.last_queue
    journal.last_transaction = found.last_transaction
    journal.last_key = found.keys
    go_on_from(namespace, found.numbers, found.dead_numbers)
    for number in sorted(found.queues):
        queue = found.queues.pop(number)
        if queue.texts is None:
            continue    # what said so is damaged
        queue.line_up()
        restored = restore_queue(namespace, queue.kind, <uint32_t>queue.number, queue.texts, queue.not_by,
                                 queue.given, next_place_of(queue))
        link_join(&queue.described.definitions, &restored.stored.link)
        messages += restore(found, queue, restored)
        found.remains.restore_names(restored, number, found.committed)
    found.space.begin(segment_after(journal.store.read_from()))
    journal.fresh = True
    found.remains.restore(journal, namespace, found.numbers, found.committed)
    return messages, found.closed


cdef uint64_t restore(Findings all, FoundQueue found, Queue queue) except? 0xffffffffffffffff:
    """All that is left in it; how many messages. What stands in the ring of a queue stands there already."""
    cdef Entry *item
    cdef size_t i, plain = 0
    cdef uint64_t pause
    cdef const Properties *asks
    cdef uint64_t messages
    for i in range(found.count):
        item = &found.items[i]
        all.space.restored(item.segment, item.message.size)
        if not all.closed and item.number < found.given:
            item.deliveries += 1
        asks = message_properties(item.message)
        if asks != NULL and asks.group and not queue.marks & GROUPED and queue.kept is None:
            begin_groups(queue)
        pause = found.rests.get(item.message.id, 0) if found.rests else 0
        if pause or belongs_on_shelf(queue, item.message):
            put(queue, item, pause)
        else:
            found.items[plain] = item[0]
            plain += 1
    messages, found.count = found.count, 0
    stand_in_ring(queue, found.items, plain, found.capacity)
    found.items = NULL
    return messages


cdef int put(Queue queue, Entry *item, uint64_t pause) except -1:
    cdef Entry entry = item[0]
    item.message = NULL
    return restore_entry(queue, &entry, pause)


cdef uint64_t next_place_of(FoundQueue queue) noexcept:
    """Which nobody has had."""
    return max(queue.items[queue.count - 1].number + 1 if queue.count else 0, queue.given)
