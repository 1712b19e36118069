"""Reading what a SUBSCRIBE or a NACK asks for."""
cimport cython
from libc.stdint cimport int8_t, uint32_t

from fastbroker.core.browser cimport Browsing
from fastbroker.core.frame cimport Frame
from fastbroker.core.limits cimport Limits
from fastbroker.core.profile cimport Profile
from fastbroker.core.redelivery cimport Redelivery, Refusal
from fastbroker.core.replay cimport Asked


@cython.final
@cython.no_gc
cdef class Wishes:
    """What a SUBSCRIBE asks for."""
    cdef int ack_mode
    cdef bint usual             # it has no other wishes
    cdef uint32_t prefetch      # messages ...
    cdef size_t prefetch_bytes  # ... and bytes
    cdef dict headers           # decoded: what it asks for of topics alone is read from them later
    cdef bytes selector         # which messages, None: all ...
    cdef bint no_local          # ... but those of its own connection
    cdef Redelivery redelivery  # or None
    cdef int8_t priority        # among the consumers of a queue
    cdef bint exclusive         # it wants all of a queue
    cdef dict declared          # what it says of the queue; or None
    cdef bytes destination      # as the kind of thing that the client means, without options
    cdef bytes conflate         # of a topic: the header by which newer messages replace older ones; None: none
    cdef bytes queue_name       # None: it has none of its own
    cdef Asked asked            # of what was there before
    cdef bint browses           # it looks at a queue and takes nothing ...
    cdef Browsing browsing      # ... in this way ...
    cdef bytes numbered         # ... with each message's place in the queue in that header; None: without
    cdef bytes epoch            # in the message-id that says so; None: none does


cdef Wishes wishes_of(const Frame *frame, list parts, const Limits *limits, Profile profile)
cdef bytes place_of(const Frame *frame, bytes destination)
cdef Refusal refusal_of(const Frame *frame)
cdef str ack_mode_name(int mode)
cdef dict headers_of(const Frame *frame)
cdef bytes text(dict headers, tuple names)
cdef bint is_true(dict headers, tuple names) except -1
