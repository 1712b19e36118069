"""Destinations: from what a client writes to a kind and a name.

    /topic/<name>               topic      every subscription whose pattern matches
    /exchange/amq.topic/<name>  topic      as RabbitMQ's clients call it
    /queue/<name>, <name>       queue      the next consumer with credit
    /amq/queue/<name>           queue      which must exist
    /temp-queue/<id>            temporary  a queue of the own connection
    /reply-queue/<token>        reply      such a queue seen from the others
    /remote-temp-queue/<token>  reply      as ActiveMQ's clients call it

One thing has one canonical name, whatever a client calls it: rules, and later policies and shards, are asked with that.
"""
from fastbroker.core.frame cimport shown
from fastbroker.core.pattern cimport is_pattern, pattern_error

from fastbroker.core.frame import Refused

PREFIXES = (
    (b"/topic/", KIND_TOPIC),
    # Clients that know neither name of a reply queue take it for the name of a queue: a reply there would lie for good.
    (b"/queue//reply-queue/", KIND_REPLY), (b"/queue//remote-temp-queue/", KIND_REPLY),
    (b"/queue/", KIND_QUEUE), (b"/exchange/amq.topic/", KIND_TOPIC),
    (b"/amq/queue/", KIND_EXISTING_QUEUE), (b"/temp-queue/", KIND_TEMPORARY), (b"/reply-queue/", KIND_REPLY),
    (b"/remote-temp-queue/", KIND_REPLY),
)
CANONICAL = {
    KIND_TOPIC: b"/topic/", KIND_QUEUE: b"/queue/", KIND_EXISTING_QUEUE: b"/queue/", KIND_TEMPORARY: b"/temp-queue/",
    KIND_REPLY: b"/reply-queue/",
}
DESTINATIONS = (
    b"Destinations are /topic/<name>, /queue/<name> or a bare name for a queue, /temp-queue/<id>, "
    b"/exchange/amq.topic/<name> and /amq/queue/<name>."
)


cdef Kind kind_of(bytes destination) except *:
    """Raises Refused for what names nothing."""
    for prefix, kind in PREFIXES:
        if destination.startswith(prefix) and len(destination) > len(prefix):
            return kind
    if destination and b"/" not in destination:
        return KIND_QUEUE
    hint = b""
    if destination.startswith((b"topic/", b"queue/")):
        hint = b"Did you mean /%b? " % shown(destination)
    text = b"There is no destination '%b'. %b%b" % (shown(destination), hint, DESTINATIONS)
    raise Refused(b"unknown destination", text)


cdef bytes name_in(bytes destination, Kind kind):
    """What stands behind the prefix; for a bare name, all of it."""
    for prefix, its_kind in PREFIXES:
        if its_kind == kind and destination.startswith(prefix):
            return destination[len(prefix):]
    return destination


cdef bytes canonical(Kind kind, bytes name):
    """The one destination that stands for all that lead there."""
    return CANONICAL[kind] + name


cdef int check_topic(bytes name, int max_levels) except -1:
    """A topic that is sent to: no pattern, not too deep."""
    cdef const char *wrong
    if is_pattern(name, len(name)):
        text = b"A SEND needs one topic; '%b' is a pattern. Patterns are for SUBSCRIBE." % shown(name)
        raise Refused(b"pattern not allowed", text)
    wrong = pattern_error(name, len(name), max_levels)
    if wrong != NULL:
        raise Refused(b"bad destination", b"The topic name is not valid: %b." % <bytes>wrong)
    return 0


cdef int check_pattern(bytes pattern, int max_levels) except -1:
    """A topic, or a pattern of topics, that is subscribed to."""
    cdef const char *wrong = pattern_error(pattern, len(pattern), max_levels)
    if wrong != NULL:
        raise Refused(b"bad destination", b"The pattern is not valid: %b." % <bytes>wrong)
    return 0


def parts_of(bytes destination not None, int max_levels):
    """What policy is asked for it, for who explains that: ("queues", "topics" or "", its name, its canonical name)."""
    cdef Kind kind = kind_of(destination)
    cdef bytes name = name_in(destination, kind)
    if kind == KIND_TOPIC:
        check_topic(name, max_levels)
        return "topics", name, canonical(kind, name)
    return "queues" if kind in (KIND_QUEUE, KIND_EXISTING_QUEUE) else "", name, canonical(kind, name)
