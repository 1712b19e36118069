"""The shelf of a queue: what waits out of its turn, by priority, then by age; what expires; the newest of its name.

    nodes     [ entry | place, expires, name | ... ] [ ... ] [ ... ]      without gaps, in no order
                  |                     \\
    a tree over their numbers            buckets: chains of nodes whose names fall together
        places    a search tree, so that any place is found, with the next one behind it
        weights   a heap; as they are random, the tree is flat, whatever the order in which it was filled
        soonest   the earliest expiry below each node, so that the first to expire is found on the way down

A place is one number, the priority in front of the number in the queue: nothing points to a node, and who walks along
the shelf keeps the place where he was. Nodes move: a number of one is good until the next change.

    stamps    [ own, newest ] [ ... ]       of each node, while somebody looks at a part of what waits; newest is of all
                                            below it, so that what has come since a stamp is found on the way down

Who is taken leaves a gap that the last node fills. Buckets are split one at a time, where there are more names than
buckets, so that nobody waits for all of them to be filled anew.
"""
import os

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from fastbroker.core.table cimport hash_fold

cdef enum:
    FEWEST = 8              # nodes that there is room for
    PUT_WORK = 128          # what it takes to put one in or to take one out, in bytes of output

cdef uint64_t chance = int.from_bytes(os.urandom(8), "little")


cdef void shelf_init(Shelf *shelf, Census *census) noexcept:
    memset(shelf, 0, sizeof(Shelf))
    shelf.census = census
    shelf.top = NOWHERE


cdef void shelf_free(Shelf *shelf) noexcept:
    """The entries were taken before."""
    shelf_unstamp(shelf)
    if shelf.capacity:
        resize(shelf, 0)
    forget_names(shelf)


cdef int shelf_put(Shelf *shelf, const Entry *entry, uint64_t place, uint64_t expires, uint64_t name) noexcept:
    """`place` is free; takes over the entry's reference, unless there is no memory, and this is -1."""
    cdef uint32_t at = shelf.count
    cdef Node *node
    if at == shelf.capacity and resize(shelf, shelf.capacity * 2 if shelf.capacity else FEWEST) < 0:
        return -1
    if name and split_bucket(shelf) < 0:
        return -1
    shelf.census.work += PUT_WORK
    node = &shelf.nodes[at]
    node.entry = entry[0]
    node.place = place
    node.expires = node.soonest = expires
    node.name = name
    node.weight = random()
    node.before = node.behind = node.next = NOWHERE
    if shelf.stamps != NULL:
        shelf.stamp += 1
        shelf.stamps[at] = Stamp(shelf.stamp, shelf.stamp)
    shelf.count += 1
    if name:
        join_bucket(shelf, at)
    if shelf.stamps == NULL:
        hang_up(shelf, at, False)
    else:
        hang_up(shelf, at, True)
    return 0


cdef void shelf_take(Shelf *shelf, uint32_t at, Entry *entry) noexcept:
    """Takes that node out; its reference goes to the caller."""
    shelf.census.work += PUT_WORK
    entry[0] = shelf.nodes[at].entry
    if shelf.nodes[at].name:
        chain_to(shelf, at)[0] = shelf.nodes[at].next
        shelf.named -= 1
        if shelf.named == 0:
            forget_names(shelf)
    if shelf.stamps == NULL:
        take_down(shelf, at, False)
    else:
        take_down(shelf, at, True)
    shelf.count -= 1
    if at != shelf.count:
        fill_gap(shelf, at)
    if shelf.capacity > FEWEST and shelf.count < shelf.capacity // 4:
        resize(shelf, shelf.capacity // 2)


cdef uint32_t shelf_from(const Shelf *shelf, uint64_t place) noexcept:
    """The first node at that place or behind it; NOWHERE if there is none. 0 is in front of all places."""
    cdef uint32_t at = shelf.top, found = NOWHERE
    while at != NOWHERE:
        if shelf.nodes[at].place < place:
            at = shelf.nodes[at].behind
        else:
            found = at
            at = shelf.nodes[at].before
    return found


cdef uint32_t shelf_last(const Shelf *shelf) noexcept:
    cdef uint32_t at = shelf.top, found = NOWHERE
    while at != NOWHERE:
        found = at
        at = shelf.nodes[at].behind
    return found


cdef uint32_t shelf_expiring(const Shelf *shelf) noexcept:
    """The node that expires first, of several the one in front; NOWHERE if none ever does."""
    cdef uint64_t soonest = shelf_soonest(shelf)
    cdef uint32_t at = shelf.top
    cdef const Node *node
    if soonest == NEVER:
        return NOWHERE
    while True:
        node = &shelf.nodes[at]
        if soonest_of(shelf, node.before) == soonest:
            at = node.before
        elif node.expires == soonest:
            return at
        else:
            at = node.behind


cdef uint32_t shelf_named(const Shelf *shelf, uint64_t name) noexcept:
    """The node with that last value; NOWHERE if there is none."""
    cdef uint32_t at = shelf.buckets[bucket_of(shelf, name)] if shelf.named else NOWHERE
    while at != NOWHERE and shelf.nodes[at].name != name:
        at = shelf.nodes[at].next
    return at


# ---- what has come lately ----

cdef int shelf_stamp(Shelf *shelf) except -1:
    """From now on it is known what has come since a stamp. What is there is new to everybody."""
    if shelf.capacity == 0 and resize(shelf, FEWEST) < 0:
        raise MemoryError()
    shelf.stamps = <Stamp *>malloc(shelf.capacity * sizeof(Stamp))
    if shelf.stamps == NULL:
        raise MemoryError()
    shelf.census.memory += shelf.capacity * <int64_t>sizeof(Stamp)
    shelf_renew(shelf)
    return 0


cdef void shelf_renew(Shelf *shelf) noexcept:
    """All that is there is found, and new."""
    cdef uint32_t at
    shelf.stamp += 1
    for at in range(shelf.count):
        shelf.stamps[at] = Stamp(shelf.stamp, shelf.stamp)


cdef void shelf_see(Shelf *shelf, uint32_t at) noexcept:
    """It is found, and new."""
    shelf.stamp += 1
    set_stamp(shelf, at, shelf.stamp)


cdef void shelf_unsee(Shelf *shelf, uint32_t at) noexcept:
    """Nobody finds it who looks for what is new."""
    set_stamp(shelf, at, -1)


cdef void set_stamp(Shelf *shelf, uint32_t at, int64_t stamp) noexcept:
    shelf.stamps[at].own = stamp
    while at != NOWHERE:
        sum_up(shelf, at, True)
        at = shelf.nodes[at].above


cdef void shelf_unstamp(Shelf *shelf) noexcept:
    """Nobody wants to know any more."""
    if shelf.stamps != NULL:
        free(shelf.stamps)
        shelf.stamps = NULL
        shelf.census.memory -= shelf.capacity * <int64_t>sizeof(Stamp)


cdef uint32_t shelf_newer(const Shelf *shelf, uint64_t place, int64_t since) noexcept:
    """The first node at that place or behind it that has that stamp or a higher one; NOWHERE if there is none."""
    cdef uint32_t at = shelf_from(shelf, place)
    return at if at == NOWHERE or shelf.stamps[at].own >= since else shelf_newer_behind(shelf, at, since)


cdef uint32_t shelf_newer_behind(const Shelf *shelf, uint32_t at, int64_t since) noexcept:
    """The same, behind that node: below it, or else up to the next one that it is in front of, and so on."""
    cdef uint32_t lower
    while not is_newer(shelf, shelf.nodes[at].behind, since):
        lower = at
        at = shelf.nodes[at].above
        while at != NOWHERE and shelf.nodes[at].behind == lower:
            lower = at
            at = shelf.nodes[at].above
        if at == NOWHERE or shelf.stamps[at].own >= since:
            return at
    return first_newer(shelf, shelf.nodes[at].behind, since)


cdef inline bint is_newer(const Shelf *shelf, uint32_t at, int64_t since) noexcept:
    """Whether there is one at that node or below it."""
    return at != NOWHERE and shelf.stamps[at].newest >= since


cdef uint32_t first_newer(const Shelf *shelf, uint32_t at, int64_t since) noexcept:
    """The first of those at that node and below it, of which there is one."""
    while True:
        if is_newer(shelf, shelf.nodes[at].before, since):
            at = shelf.nodes[at].before
        elif shelf.stamps[at].own >= since:
            return at
        else:
            at = shelf.nodes[at].behind


cdef inline uint32_t random() noexcept:
    global chance
    chance += 0x9e3779b97f4a7c15u
    return <uint32_t>(hash_fold(chance, 0xd6e8feb86659fd93u) >> 32)


# ---- memory ----

cdef int resize(Shelf *shelf, uint32_t capacity) noexcept:
    """Where it becomes smaller, the stamps follow, or stay if there is no memory to move them."""
    cdef Node *nodes = NULL
    cdef int64_t size = sizeof(Node) + (sizeof(Stamp) if shelf.stamps != NULL else 0)
    if capacity > shelf.capacity and resize_stamps(shelf, capacity) < 0:
        return -1
    if capacity:
        nodes = <Node *>realloc(shelf.nodes, capacity * sizeof(Node))
        if nodes == NULL:
            return -1
    else:
        free(shelf.nodes)
    shelf.census.memory += (<int64_t>capacity - <int64_t>shelf.capacity) * size
    shelf.nodes = nodes
    if capacity and capacity < shelf.capacity:
        resize_stamps(shelf, capacity)
    shelf.capacity = capacity
    return 0


cdef int resize_stamps(Shelf *shelf, uint32_t capacity) noexcept:
    cdef Stamp *stamps
    if shelf.stamps == NULL:
        return 0
    stamps = <Stamp *>realloc(shelf.stamps, capacity * sizeof(Stamp))
    if stamps == NULL:
        return -1
    shelf.stamps = stamps
    return 0


cdef void fill_gap(Shelf *shelf, uint32_t gap) noexcept:
    """The last node goes there."""
    cdef uint32_t last = shelf.count
    cdef Node *node = &shelf.nodes[last]
    if node.name:
        chain_to(shelf, last)[0] = gap
    link_to(shelf, last)[0] = gap
    if node.before != NOWHERE:
        shelf.nodes[node.before].above = gap
    if node.behind != NOWHERE:
        shelf.nodes[node.behind].above = gap
    shelf.nodes[gap] = node[0]
    if shelf.stamps != NULL:
        shelf.stamps[gap] = shelf.stamps[last]


# ---- the tree ----

cdef inline uint32_t *link_to(Shelf *shelf, uint32_t at) noexcept:
    """Where the number of that node stands in the tree."""
    cdef uint32_t above = shelf.nodes[at].above
    if above == NOWHERE:
        return &shelf.top
    return &shelf.nodes[above].before if shelf.nodes[above].before == at else &shelf.nodes[above].behind


cdef inline uint64_t soonest_of(const Shelf *shelf, uint32_t at) noexcept:
    return NEVER if at == NOWHERE else shelf.nodes[at].soonest


cdef inline int64_t newest_of(const Shelf *shelf, uint32_t at) noexcept:
    return -1 if at == NOWHERE else shelf.stamps[at].newest


cdef inline void sum_up(Shelf *shelf, uint32_t at, bint stamped) noexcept:
    cdef Node *node = &shelf.nodes[at]
    node.soonest = min(node.expires, min(soonest_of(shelf, node.before), soonest_of(shelf, node.behind)))
    if stamped:
        shelf.stamps[at].newest = max(shelf.stamps[at].own,
                                      max(newest_of(shelf, node.before), newest_of(shelf, node.behind)))


cdef inline void hang_up(Shelf *shelf, uint32_t at, bint stamped) noexcept:
    """A new node, at first at the end of a branch, then as far up as its weight brings it."""
    cdef Node *node = &shelf.nodes[at]
    cdef uint32_t above = NOWHERE, here = shelf.top
    cdef uint32_t *link = &shelf.top
    while here != NOWHERE:
        above = here
        shelf.nodes[above].soonest = min(shelf.nodes[above].soonest, node.expires)
        if stamped:
            shelf.stamps[above].newest = shelf.stamp
        link = &shelf.nodes[above].before if node.place < shelf.nodes[above].place else &shelf.nodes[above].behind
        here = link[0]
    link[0] = at
    node.above = above
    while node.above != NOWHERE and shelf.nodes[node.above].weight < node.weight:
        turn_up(shelf, at, stamped)


cdef inline void take_down(Shelf *shelf, uint32_t at, bint stamped) noexcept:
    """First to the end of a branch, below all that are lighter than it, then off."""
    cdef Node *node = &shelf.nodes[at]
    cdef uint32_t above
    while node.before != NOWHERE or node.behind != NOWHERE:
        turn_up(shelf, heavier(shelf, node.before, node.behind), stamped)
    link_to(shelf, at)[0] = NOWHERE
    above = node.above
    while above != NOWHERE:
        sum_up(shelf, above, stamped)
        above = shelf.nodes[above].above


cdef inline uint32_t heavier(const Shelf *shelf, uint32_t one, uint32_t other) noexcept:
    if one == NOWHERE or other == NOWHERE:
        return one if other == NOWHERE else other
    return one if shelf.nodes[one].weight > shelf.nodes[other].weight else other


cdef inline void turn_up(Shelf *shelf, uint32_t at, bint stamped) noexcept:
    """The node changes places with the one above it."""
    cdef Node *node = &shelf.nodes[at]
    cdef uint32_t lower = node.above, moved
    cdef Node *parent = &shelf.nodes[lower]
    link_to(shelf, lower)[0] = at
    node.above = parent.above
    parent.above = at
    if parent.before == at:
        moved = parent.before = node.behind
        node.behind = lower
    else:
        moved = parent.behind = node.before
        node.before = lower
    if moved != NOWHERE:
        shelf.nodes[moved].above = lower
    sum_up(shelf, lower, stamped)
    sum_up(shelf, at, stamped)


# ---- names ----

cdef inline uint32_t mask_of(uint32_t buckets) noexcept:
    """The smallest power of two that is not smaller, less one."""
    cdef uint32_t mask = buckets - 1
    mask |= mask >> 1
    mask |= mask >> 2
    mask |= mask >> 4
    mask |= mask >> 8
    return mask | mask >> 16


cdef inline uint32_t bucket_of(const Shelf *shelf, uint64_t name) noexcept:
    """Those that were not split yet have the names of their other halves, too."""
    cdef uint32_t mask = mask_of(shelf.bucket_count)
    cdef uint32_t bucket = <uint32_t>name & mask
    return bucket if bucket < shelf.bucket_count else bucket & mask >> 1


cdef uint32_t *chain_to(Shelf *shelf, uint32_t at) noexcept:
    """Where the number of that node stands in the chain of its bucket."""
    cdef uint32_t *link = &shelf.buckets[bucket_of(shelf, shelf.nodes[at].name)]
    while link[0] != at:
        link = &shelf.nodes[link[0]].next
    return link


cdef void join_bucket(Shelf *shelf, uint32_t at) noexcept:
    cdef uint32_t *bucket = &shelf.buckets[bucket_of(shelf, shelf.nodes[at].name)]
    shelf.nodes[at].next = bucket[0]
    bucket[0] = at


cdef int split_bucket(Shelf *shelf) noexcept:
    """One more name comes: one more bucket, which gets its own out of the one that had them."""
    cdef uint32_t new = shelf.bucket_count, at, next
    if new == shelf.bucket_capacity and more_buckets(shelf) < 0:
        return -1
    shelf.named += 1
    if shelf.named <= new:
        return 0
    shelf.buckets[new] = NOWHERE
    shelf.bucket_count += 1
    if new == 0:
        return 0
    at = shelf.buckets[new & mask_of(new + 1) >> 1]
    shelf.buckets[new & mask_of(new + 1) >> 1] = NOWHERE
    while at != NOWHERE:
        next = shelf.nodes[at].next
        join_bucket(shelf, at)
        at = next
    return 0


cdef int more_buckets(Shelf *shelf) noexcept:
    cdef uint32_t capacity = shelf.bucket_capacity * 2 if shelf.bucket_capacity else FEWEST
    cdef uint32_t *buckets = <uint32_t *>realloc(shelf.buckets, capacity * sizeof(uint32_t))
    if buckets == NULL:
        return -1
    shelf.census.memory += <int64_t>(capacity - shelf.bucket_capacity) * <int64_t>sizeof(uint32_t)
    shelf.buckets = buckets
    shelf.bucket_capacity = capacity
    return 0


cdef void forget_names(Shelf *shelf) noexcept:
    free(shelf.buckets)
    shelf.census.memory -= <int64_t>shelf.bucket_capacity * <int64_t>sizeof(uint32_t)
    shelf.buckets = NULL
    shelf.bucket_count = shelf.bucket_capacity = 0
