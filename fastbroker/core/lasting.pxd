"""Whether what is sent to a destination outlives the broker."""
from fastbroker.core.route cimport Route

cdef int lasting_at(Route route, unsigned flags) except -1
