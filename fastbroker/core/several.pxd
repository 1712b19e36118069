"""One SUBSCRIBE to several destinations."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.access cimport Access
from fastbroker.core.queue cimport Queue, QueueOwner, Spring
from fastbroker.core.subscription cimport Credit, Subscription, Turns
from fastbroker.core.trie cimport Matches, Trie, TrieEntry
from fastbroker.core.wire cimport Census, Link


@cython.final
@cython.no_gc
cdef class QueuePattern:
    cdef bytes text
    cdef TrieEntry entry        # in the trie of such patterns
    cdef Link place             # in the ring of queues: those in front of it have been looked at; then nowhere
    cdef void *several          # Several, which outlives it


@cython.final
@cython.no_gc
cdef class QueuePatterns:
    """All that somebody has subscribed to, and the queues that they may match."""
    cdef Census *census
    cdef Trie trie
    cdef Link queues            # ring, the oldest first
    cdef Matches found

    cdef int came(self, Queue queue) except -1
    cdef void gone(self, Queue queue) noexcept


@cython.final
@cython.no_gc
cdef class Several(Spring):
    cdef Credit credit          # of all members
    cdef Turns turns
    cdef void *whole            # Subscription that the client knows; alive until `end`
    cdef void *home             # Queue, its source, whose spring this is
    cdef Access access          # None: everything is allowed
    cdef QueuePatterns all
    cdef list patterns          # QueuePatterns of its own
    cdef list fresh             # queues that were made since, and match
    cdef list later             # and those for which there was no memory, ...
    cdef uint64_t again         # ... until then
    cdef list parts             # members at destinations that it names
    cdef dict members           # Queue -> the member that consumes it, of those with a name
    cdef list leaving           # members that have gone, and may have deliveries that are not settled
    cdef uint32_t count         # of members that there have been

    cdef int add_pattern(self, bytes pattern) except -1
    cdef Subscription new_part(self)
    cdef void has_part(self, Queue queue)
    cdef list end(self)
    cdef void forget(self) noexcept


cdef QueuePatterns queue_patterns(Census *census)
cdef Several several_new(Subscription whole, Queue home, QueuePatterns all, Access access)
