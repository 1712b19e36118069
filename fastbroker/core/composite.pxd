"""The route to several destinations."""
cimport cython

from fastbroker.core.fanout cimport Fanout
from fastbroker.core.frame cimport Content
from fastbroker.core.queue cimport QueueOwner
from fastbroker.core.route cimport Origin, Route


@cython.final
@cython.no_gc
cdef class CompositeRoute(Route):
    cdef list parts         # Routes
    cdef Fanout fanout


cdef CompositeRoute composite_route(bytes destination, list parts, Fanout fanout, QueueOwner owner)
cdef list limited_queues(Route route)
