"""Reading what a SUBSCRIBE or a NACK asks for."""
from libc.stdint cimport uint32_t

from fastbroker.core.destination cimport Kind
from fastbroker.core.frame cimport Frame
from fastbroker.core.limits cimport Limits

cdef int ack_mode(const Frame *frame) except -1
cdef str ack_mode_name(int mode)
cdef uint32_t prefetch(const Frame *frame, const Limits *limits) except? 0
cdef bint requeue(const Frame *frame) except -1
cdef int refuse_unsupported(const Frame *frame, Kind kind) except -1
