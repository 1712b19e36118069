"""A face to Python of csrc/places.h, for its test."""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.wire cimport (
    Place, Places, place_init, place_leave, place_spoken, place_take, places_init, places_slowest, places_too_many,
)


cdef class Guest:
    """Somebody with a place, or without."""
    cdef Place place
    cdef Crowd crowd
    cdef readonly object name

    def says_what_it_has_to(self):
        place_spoken(&self.place)

    def leaves(self):
        place_leave(&self.crowd.places, &self.place)

    def makes_room(self, uint64_t now):
        """The name of who has to make room for it, or None."""
        cdef void *slowest = places_slowest(&self.crowd.places, &self.place, now)
        return None if slowest == NULL else (<Guest>slowest).name


cdef class Crowd:
    """Places, and who took them."""
    cdef Places places
    cdef list guests            # while they may stand in its ring

    def __cinit__(self, uint32_t most, uint64_t least, uint64_t seed=1):
        self.guests = []
        places_init(&self.places, most, least, seed)

    def enters(self, name, uint64_t now, bytes peer not None=b"10.0.0.1:1"):
        cdef Guest guest = Guest()
        guest.name = name
        guest.crowd = self
        self.guests.append(guest)
        place_init(&guest.place, <void *>guest)
        place_take(&self.places, &guest.place, peer, len(peer), now)
        return guest

    @property
    def taken(self):
        return self.places.taken

    @property
    def is_too_large(self):
        return places_too_many(&self.places) != 0
