"""What a journal holds, for those who only look at it."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.disk cimport Disk
from fastbroker.core.finding cimport Findings
from fastbroker.core.journal cimport Journal
from fastbroker.core.wire cimport Blocks, Census, Text


@cython.final
cdef class Survey:
    cdef Census census
    cdef Blocks blocks          # where messages are
    cdef Disk disk
    cdef Journal journal        # nothing is written to it: it knows the segments, and which shard is whose
    cdef Findings found
    cdef Text joined            # the payload of several records
    cdef bint ended             # all is read
    cdef uint64_t group_count   # that hold ...
    cdef uint64_t seen          # ... and those that were looked at again
    cdef uint64_t known_damage
    cdef readonly list damage   # (file, place, bytes)
