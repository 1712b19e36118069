"""A face to Python of csrc/destination.pyx, for its test."""
from fastbroker.core.destination cimport (
    KIND_EXISTING_QUEUE, KIND_QUEUE, KIND_REPLY, KIND_TEMPORARY, KIND_TOPIC, Kind, canonical, check_pattern,
    check_topic, kind_of, name_in,
)

KINDS = {
    KIND_TOPIC: "topic", KIND_QUEUE: "queue", KIND_EXISTING_QUEUE: "existing queue", KIND_TEMPORARY: "temporary",
    KIND_REPLY: "reply",
}


def parts(bytes destination not None):
    """(kind, name, canonical name)"""
    cdef Kind kind = kind_of(destination)
    name = name_in(destination, kind)
    return KINDS[kind], name, canonical(kind, name)


def topic(bytes name not None, int most_levels):
    check_topic(name, most_levels)


def pattern(bytes name not None, int most_levels):
    check_pattern(name, most_levels)
