"""Reading which durable or shared subscription a frame means."""
from fastbroker.core.durables cimport Title
from fastbroker.core.subscription cimport Subscription

cdef Title title_of(dict headers, bytes client_id, bytes pattern)
cdef bytes title_to_end(dict headers, bytes client_id, Subscription own)
