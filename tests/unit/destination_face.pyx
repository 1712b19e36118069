"""A face to Python of csrc/destination.pyx, for its test."""
from fastbroker.core.destination cimport (
    KIND_DIRECT, KIND_EXISTING_QUEUE, KIND_FANOUT, KIND_QUEUE, KIND_REPLY, KIND_REPLY_TOPIC, KIND_TEMPORARY,
    KIND_TEMPORARY_TOPIC, KIND_TOPIC, Kind, canonical, check_pattern, check_topic, followed_topic, kind_of, name_in,
    options_of, parts_of,
)

KINDS = {
    KIND_TOPIC: "topic", KIND_QUEUE: "queue", KIND_EXISTING_QUEUE: "existing queue", KIND_TEMPORARY: "temporary",
    KIND_REPLY: "reply", KIND_DIRECT: "direct", KIND_FANOUT: "fanout", KIND_TEMPORARY_TOPIC: "temporary topic",
    KIND_REPLY_TOPIC: "reply topic",
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


def divided(bytes destination not None):
    """The parts of a composite destination."""
    return parts_of(destination)


def options(bytes destination not None):
    return options_of(destination)


def followed(bytes queue not None):
    return followed_topic(queue)
