"""A journal that is written without a broker."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.disk cimport Disk
from fastbroker.core.journal cimport Journal
from fastbroker.core.wire cimport Census


@cython.final
cdef class Rewriting:
    cdef Census census
    cdef Disk disk
    cdef Journal journal
    cdef list before            # numbers of the segments that were there
