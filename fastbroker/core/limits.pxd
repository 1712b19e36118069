"""What one client, and all together, may take: under the names, and for the reasons, of docs/configuration.md."""
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef struct Limits:
    # times in milliseconds, sizes in bytes
    uint64_t login_timeout
    uint64_t idle_timeout
    uint64_t outbound_timeout
    uint64_t slow_consumer_grace
    uint64_t transaction_timeout
    uint64_t queue_idle_timeout
    uint64_t nack_delay
    uint64_t linger
    uint64_t frame_timeout
    uint32_t heart_beat_send
    uint32_t heart_beat_receive
    double heart_beat_margin
    int64_t memory
    size_t max_parked
    size_t max_transaction_bytes
    size_t prefetch_bytes
    uint32_t max_unauthenticated
    uint32_t max_subscriptions
    uint32_t max_durable
    uint64_t queue_memory
    uint32_t max_transactions
    uint32_t max_transaction_frames
    uint32_t prefetch
    uint32_t max_prefetch
    int max_levels
