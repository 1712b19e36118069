"""The route that leads to the schedule itself."""
cimport cython
from libc.stdint cimport int64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.route cimport Origin, Route
from fastbroker.core.schedule cimport Schedule
from fastbroker.core.wire cimport Counter


@cython.final
@cython.no_gc
cdef class SchedulingRoute(Route):
    cdef Schedule schedule
    cdef Counter *number        # of the message that is made
    cdef dict replies           # /reply-queue/<token> -> Queue


cdef SchedulingRoute scheduling_route(bytes destination, Schedule schedule, Counter *number, dict replies,
                                      int64_t *held)
