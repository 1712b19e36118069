"""A face to Python of selectors: one against one message."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastbroker.core.frame cimport Content
from fastbroker.core.selector cimport RUN_WORK, SELECTOR_STEPS, STEP_WORK, Selector, selector_of
from fastbroker.core.wire cimport USUAL_PRIORITY, Census, Properties

MOST_STEPS = SELECTOR_STEPS


cdef class Choice:
    cdef Selector selector
    cdef Census census
    cdef readonly int64_t steps     # of the last run
    cdef readonly int64_t parsing

    def __init__(self, bytes text not None, bytes epoch=b"epoch"):
        self.selector = selector_of(text, epoch, 1, &self.census)
        self.parsing = self.census.work

    @property
    def is_none(self):
        """It says nothing, so that there is none."""
        return self.selector is None

    @property
    def cost(self):
        return self.selector.cost

    def selects(self, bytes head not None, bytes body=b"", uint64_t number=1, uint32_t deliveries=1,
                int priority=USUAL_PRIORITY, uint64_t expires=0):
        """Whether it wants a message of those header lines, which are in the encoding of 1.2."""
        cdef Content content
        cdef Properties properties
        cdef int64_t work = 0
        memset(&content, 0, sizeof(content))
        memset(&properties, 0, sizeof(properties))
        properties.priority = <unsigned char>priority
        properties.expires = expires
        content.head = head
        content.head_length = len(head)
        content.body_length = len(body)
        if priority != USUAL_PRIORITY or expires:
            content.properties = &properties
        wanted = bool(self.selector.selects(&content, number, deliveries, &work))
        self.steps = (work - RUN_WORK) // STEP_WORK
        return wanted
