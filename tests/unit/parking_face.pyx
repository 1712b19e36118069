"""A face to Python of csrc/parking.pyx, for its test."""
from libc.stdint cimport int64_t

from fastbroker.core.frame cimport Slice
from fastbroker.core.parking cimport PARKED_END, PARKED_FRAME, PARKED_RECEIPT, Parked, Parking, parking_new

KINDS = {"frame": PARKED_FRAME, "receipt": PARKED_RECEIPT, "end": PARKED_END}
NAMES = {kind: name for name, kind in KINDS.items()}


cdef class Park:
    cdef readonly int64_t memory
    cdef Parking parking

    def __cinit__(self):
        self.parking = parking_new(<void *>self, &self.memory)

    def put(self, str kind, bytes text not None):
        self.parking.put(<Parked><int>KINDS[kind], text, len(text))

    def first(self):
        """(kind, bytes) of what stands in front."""
        cdef Slice record
        cdef Parked kind = self.parking.first(&record)
        return NAMES[kind], record.bytes[:record.length]

    def drop_first(self):
        self.parking.drop_first()

    def clear(self):
        self.parking.clear()

    @property
    def size(self):
        return self.parking.size()

    @property
    def ended(self):
        return bool(self.parking.ended)

    @property
    def depends(self):
        return bool(self.parking.depends)

    @depends.setter
    def depends(self, bint so):
        self.parking.depends = so
