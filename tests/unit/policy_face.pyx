"""A face to Python of csrc/policy.pyx, for its test: what the core has understood of a configuration."""
from fastbroker.core.policy cimport Policies, QueuePolicy, TopicPolicy
from fastbroker.core.wire cimport Census

from fastbroker.core.policy import DURABILITIES, OVERFLOWS, PERSISTENT, SLOW_POLICIES

OVERFLOW_NAMES = {number: name for name, number in OVERFLOWS.items()}
DURABILITY_NAMES = {number: name for name, number in DURABILITIES.items()}
PERSISTENT_NAMES = {number: name for name, number in PERSISTENT.items()}
SLOW_NAMES = {number: name for name, number in SLOW_POLICIES.items()}


def queue(Policies policies not None, bytes name not None):
    """What holds for a queue, under the names of the keys."""
    cdef QueuePolicy found = policies.of_queue(name)
    return {
        "max_deliveries": found.max_deliveries, "redelivery_delay": found.redelivery_delay,
        "redelivery_multiplier": found.redelivery_multiplier, "redelivery_max_delay": found.redelivery_max_delay,
        "redelivery_jitter": found.redelivery_jitter, "dead_letter": found.dead_letter.decode(),
        "dead_letter_expired": found.dead_letter_expired, "ttl": found.ttl, "max_ttl": found.max_ttl,
        "max_messages": found.max_messages, "max_bytes": found.max_bytes, "overflow": OVERFLOW_NAMES[found.overflow],
        "idle_timeout": found.idle_timeout, "auto_delete": found.auto_delete,
        "dies_with_consumer": found.dies_with_consumer, "exclusive": found.exclusive,
        "duplicate_window": found.duplicate_window, "persistent": PERSISTENT_NAMES[found.persistent],
        "durability": DURABILITY_NAMES[found.durability], "mirror": [each.decode() for each in found.mirror],
    }


def topic(Policies policies not None, bytes name not None):
    """The same for a topic."""
    cdef TopicPolicy found = policies.of_topic(name)
    return {
        "slow_consumer": SLOW_NAMES[found.slow], "retain": found.retain, "history_messages": found.history_messages,
        "history_bytes": found.history_bytes, "history_age": found.history_age,
        "durable_messages": found.durable_messages, "durable_bytes": found.durable_bytes,
        "durable_overflow": OVERFLOW_NAMES[found.durable_overflow], "presence": found.presence,
        "persistent": PERSISTENT_NAMES[found.persistent], "durability": DURABILITY_NAMES[found.durability],
        "forward": [each.decode() for each in found.forward],
    }


def work_of(Policies policies not None, bytes name not None):
    """What it counts as to ask for a queue, and for a topic."""
    cdef Census census
    cdef Policies counted
    census.work = 0
    counted = policies.counted_in(&census)
    counted.of_queue(name)
    queues = census.work
    counted.of_topic(name)
    return queues, census.work - queues
