"""Reading a CONNECT."""
from libc.stdint cimport uint32_t

from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Frame
from fastbroker.core.limits cimport Limits

cdef int negotiated_version(bytes accepted) except -1
cdef str version_name(int version)
cdef int agree_on_heart_beats(bytes offer, const Limits *limits, uint32_t *send_every, uint32_t *expect_every) except -1
cdef bytes connected_headers(const Frame *frame, int version, Broker broker, bytes short_id, bint sends, bint expects)
cpdef str peer_of(int fd)
cdef bytes short_session(set used)
cdef object login_of(const Frame *frame, tuple origin)
cdef str software_of(const Frame *frame)
cdef bytes client_id_of(const Frame *frame)
cdef bint ends_without_lf(const Frame *frame) noexcept
