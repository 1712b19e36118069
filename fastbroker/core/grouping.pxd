"""Groups of messages of a queue, each of which goes to one consumer (csrc/groups.h)."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastbroker.core.message cimport Message
from fastbroker.core.queue cimport Queue
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.table cimport Table
from fastbroker.core.wire cimport Census, Link


cdef extern from "csrc/groups.h" nogil:
    struct Group:
        uint64_t name
        void *owner
        uint64_t *places
        uint32_t count
        uint32_t waiting
        uint32_t out
        uint8_t closed
        Link owned
        Link idle
    struct Groups:
        Table by_name
        Link idle
        uint32_t idle_count
    Groups *groups_new(Census *census, uint64_t seed)
    void groups_free(Groups *groups)
    Group *group_find(const Groups *groups, uint64_t name)
    Group *group_made(Groups *groups, uint64_t name)
    void group_end(Groups *groups, Group *group)
    void group_busy(Groups *groups, Group *group)
    void group_rest(Groups *groups, Group *group, uint32_t most)
    int place_add(Groups *groups, Group *group, uint64_t place)
    void place_pop(Group *group)
    void places_sort(Group *group)
    void places_clear(Groups *groups, Group *group)


cdef Groups *groups_of(Queue queue) noexcept
cdef void came(void *owner, uint32_t at) noexcept
cdef void went(void *owner, const void *message) noexcept
cdef void settled(void *owner, const void *message) noexcept
cdef bint may_have(Queue queue, Subscription consumer, const Message *message) noexcept
cdef void claim(Queue queue, Subscription consumer, const Message *message) noexcept
cdef void leave_groups(Queue queue, Subscription consumer) noexcept
