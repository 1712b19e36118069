"""Messages of segments with little else are recorded again."""
from libc.stdint cimport int64_t

from fastbroker.core.journal cimport Journal
from fastbroker.core.wire cimport Census

cdef int carry_on(Journal journal, Census *census, int64_t budget, bint begin) except -1
