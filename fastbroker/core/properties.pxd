"""Reading what the sender of a message asks for."""
from libc.stdint cimport uint64_t

from fastbroker.core.frame cimport Frame
from fastbroker.core.wire cimport Census, Properties

cdef bint read_properties(const Frame *frame, const Census *census, uint64_t seed, Properties *properties) except -1
