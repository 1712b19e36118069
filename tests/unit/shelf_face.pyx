"""A face to Python of csrc/shelf.pyx, for its test: entries without messages."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastbroker.core.message cimport Entry
from fastbroker.core.shelf cimport (
    NEVER, NOWHERE, Node, Shelf, Stamp, lane_of, place_of, shelf_expiring, shelf_free, shelf_from, shelf_init,
    shelf_last, shelf_named, shelf_newer, shelf_newer_behind, shelf_put, shelf_see, shelf_soonest, shelf_stamp,
    shelf_take, shelf_unsee, shelf_unstamp,
)
from fastbroker.core.wire cimport Census

NODE = sizeof(Node)


def place(unsigned priority, uint64_t number):
    return place_of(priority, number)


def lane(uint64_t place):
    return lane_of(place)


cdef class Shelved:
    cdef Census census
    cdef Shelf shelf

    def __cinit__(self):
        shelf_init(&self.shelf, &self.census)

    def __dealloc__(self):
        shelf_free(&self.shelf)

    def __len__(self):
        return self.shelf.count

    def put(self, uint64_t place, expires, uint64_t name, number):
        cdef Entry entry
        memset(&entry, 0, sizeof(entry))
        entry.number = number
        if shelf_put(&self.shelf, &entry, place, NEVER if expires is None else expires, name) < 0:
            raise MemoryError()

    def take(self, uint64_t place):
        """The number of the entry there."""
        cdef Entry entry
        cdef uint32_t at = shelf_from(&self.shelf, place)
        assert at != NOWHERE and self.shelf.nodes[at].place == place
        shelf_take(&self.shelf, at, &entry)
        return entry.number

    def after(self, uint64_t place):
        return self._place(shelf_from(&self.shelf, place))

    def begin_to_stamp(self):
        shelf_stamp(&self.shelf)

    def stop_stamping(self):
        shelf_unstamp(&self.shelf)

    def see(self, uint64_t place, seen):
        (shelf_see if seen else shelf_unsee)(&self.shelf, shelf_from(&self.shelf, place))

    @property
    def stamp(self):
        """The last one, or None where it has none."""
        return None if self.shelf.stamps == NULL else self.shelf.stamp

    def newer(self, uint64_t place, int64_t since):
        return self._place(shelf_newer(&self.shelf, place, since))

    def newer_behind(self, uint64_t place, int64_t since):
        """Behind the one that is there."""
        return self._place(shelf_newer_behind(&self.shelf, shelf_from(&self.shelf, place), since))

    def last(self):
        return self._place(shelf_last(&self.shelf))

    def named(self, uint64_t name):
        return self._place(shelf_named(&self.shelf, name))

    def expiring(self):
        """(when, where) something expires first, or None."""
        soonest = shelf_soonest(&self.shelf)
        where = self._place(shelf_expiring(&self.shelf))
        assert (soonest == NEVER) == (where is None)
        return None if where is None else (soonest, where)

    def _place(self, uint32_t at):
        return None if at == NOWHERE else self.shelf.nodes[at].place

    @property
    def depth(self):
        """Of the tree; it is checked on the way."""
        return self._depth(self.shelf.top, NOWHERE)

    def _depth(self, uint32_t at, uint32_t above):
        if at == NOWHERE:
            return 0
        node = &self.shelf.nodes[at]
        assert node.above == above
        assert above == NOWHERE or self.shelf.nodes[above].weight >= node.weight
        return 1 + max(self._depth(node.before, at), self._depth(node.behind, at))

    @property
    def memory(self):
        return self.census.memory

    @property
    def room(self):
        """Bytes that it has allocated."""
        size = sizeof(Node) + (sizeof(Stamp) if self.shelf.stamps != NULL else 0)
        return self.shelf.capacity * size + self.shelf.bucket_capacity * sizeof(uint32_t)
