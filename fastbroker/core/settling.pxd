"""ACK and NACK: from the delivery that a client names to the queue that gets it back."""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.queue cimport Verdict
from fastbroker.core.redelivery cimport Refusal
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.transaction cimport Transaction

cdef uint32_t find_message(Subscription subscription, uint64_t number) noexcept
cdef int acknowledge(Subscription subscription, uint32_t slot) except -1
cdef int settle(Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1
cdef int settle_in(Transaction transaction, Subscription subscription, uint32_t slot, Verdict verdict,
                   Refusal refusal) except -1
cdef int settle_one(Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1
cdef int take_back(Subscription subscription, uint32_t slot) except -1
cdef int give_back(Subscription subscription) except -1
cdef void expect_back(Subscription subscription) noexcept
