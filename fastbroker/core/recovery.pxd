"""From the records of a journal to the queues and subscriptions of a broker that starts."""
from fastbroker.core.journal cimport Journal
from fastbroker.core.namespace cimport Namespace

cdef object recover(Journal journal, Namespace namespace)
