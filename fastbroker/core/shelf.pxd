"""What waits in a queue out of its turn: by priority, then by age."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.message cimport Entry
from fastbroker.core.wire cimport PRIORITIES, Census

cdef extern from *:
    """
    #define NOWHERE ((uint32_t)0xffffffffu)
    #define NEVER (~(uint64_t)0)
    """
    const uint32_t NOWHERE
    const uint64_t NEVER

cdef enum:
    PLACE_BITS = 60         # of a place that are the entry's number; the priority is in front of it


cdef struct Node:
    Entry entry
    uint64_t place          # what all are ordered by: those with a high priority first, then by number
    uint64_t expires        # time of day, milliseconds; NEVER
    uint64_t soonest        # the earliest of its own and of all below it
    uint64_t name           # of its last value, hashed; 0: none
    uint32_t weight         # random; nobody has more than the one above it
    uint32_t above          # numbers of nodes, or NOWHERE
    uint32_t before
    uint32_t behind
    uint32_t next           # in the bucket of its name


cdef struct Stamp:
    # of a node that somebody looks for
    int64_t own             # when it was put there: each time a higher number; -1: nobody shall find it
    int64_t newest          # the highest of its own and of all below it


cdef struct Shelf:
    Census *census
    Node *nodes
    Stamp *stamps           # of each node; NULL: nobody looks for what has come lately
    int64_t stamp           # the last one
    uint32_t count
    uint32_t capacity
    uint32_t top            # of the tree
    uint32_t named          # nodes with a last value
    uint32_t *buckets
    uint32_t bucket_count   # in use
    uint32_t bucket_capacity


cdef inline uint64_t place_of(unsigned priority, uint64_t number) noexcept:
    return <uint64_t>(PRIORITIES - 1 - priority) << PLACE_BITS | number

cdef inline uint64_t lane_of(uint64_t place) noexcept:
    """The first place of the same priority."""
    return place >> PLACE_BITS << PLACE_BITS

cdef inline uint64_t shelf_soonest(const Shelf *shelf) noexcept:
    """When something expires; NEVER."""
    return shelf.nodes[shelf.top].soonest if shelf.count else NEVER

cdef void shelf_init(Shelf *shelf, Census *census) noexcept
cdef void shelf_free(Shelf *shelf) noexcept
cdef int shelf_put(Shelf *shelf, const Entry *entry, uint64_t place, uint64_t expires, uint64_t name) noexcept
cdef void shelf_take(Shelf *shelf, uint32_t at, Entry *entry) noexcept
cdef uint32_t shelf_from(const Shelf *shelf, uint64_t place) noexcept
cdef uint32_t shelf_last(const Shelf *shelf) noexcept
cdef int shelf_stamp(Shelf *shelf) except -1
cdef void shelf_unstamp(Shelf *shelf) noexcept
cdef void shelf_renew(Shelf *shelf) noexcept
cdef void shelf_see(Shelf *shelf, uint32_t at) noexcept
cdef void shelf_unsee(Shelf *shelf, uint32_t at) noexcept
cdef uint32_t shelf_newer(const Shelf *shelf, uint64_t place, int64_t since) noexcept
cdef uint32_t shelf_newer_behind(const Shelf *shelf, uint32_t at, int64_t since) noexcept
cdef uint32_t shelf_expiring(const Shelf *shelf) noexcept
cdef uint32_t shelf_named(const Shelf *shelf, uint64_t name) noexcept
