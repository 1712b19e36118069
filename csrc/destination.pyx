"""Destinations: from what a client writes to a kind and a name.

    /topic/<name>, topic://<name>   topic       every subscription whose pattern matches
    /exchange/amq.topic/<name>      topic       as RabbitMQ's clients call it
    /exchange/amq.direct/<key>      direct      every subscription to that key, which is no pattern
    /exchange/amq.fanout[/<key>]    fanout      every subscription to it, whatever the key
    /queue/<name>, queue://<name>   queue       the next consumer with credit
    <name>                          queue       or a topic, where a header says MULTICAST
    /amq/queue/<name>               queue       which must exist
    /temp-queue/<id>                temporary   a queue of the own connection ...
    /temp-topic/<id>                            ... or a topic
    /reply-queue/<token>            reply       such a queue seen from the others ...
    /reply-topic/<token>                        ... or such a topic
    /remote-temp-queue/<token>      reply       as ActiveMQ's clients call them, /remote-temp-topic/<token> too
    /presence/<topic>               presence    who has subscribed to it
    <destination>,<destination>     composite   each of them

One thing has one canonical name, whatever a client calls it: rules, and later policies and shards, are asked with that.
"""
from urllib.parse import parse_qsl

from fastbroker.core.frame cimport shown
from fastbroker.core.pattern cimport is_pattern, pattern_error

from fastbroker.core.frame import Refused

cdef enum:
    MOST_PARTS = 32     # of a composite destination

PREFIXES = (
    (b"/topic/", KIND_TOPIC),
    # Clients that know neither name of a reply queue take it for the name of a queue: a reply there would lie for good.
    (b"/queue//reply-queue/", KIND_REPLY), (b"/queue//remote-temp-queue/", KIND_REPLY),
    (b"/queue/", KIND_QUEUE), (b"/exchange/amq.topic/", KIND_TOPIC),
    (b"/amq/queue/", KIND_EXISTING_QUEUE), (b"/temp-queue/", KIND_TEMPORARY), (b"/reply-queue/", KIND_REPLY),
    (b"/remote-temp-queue/", KIND_REPLY), (b"/exchange/amq.direct/", KIND_DIRECT),
    (b"/exchange/amq.fanout/", KIND_FANOUT), (b"/temp-topic/", KIND_TEMPORARY_TOPIC),
    (b"/reply-topic/", KIND_REPLY_TOPIC), (b"/remote-temp-topic/", KIND_REPLY_TOPIC),
    (b"queue://", KIND_QUEUE), (b"topic://", KIND_TOPIC),
    (b"/presence/", KIND_PRESENCE),
)
FANOUT = b"/exchange/amq.fanout"
BEGINNINGS = tuple([prefix for prefix, kind in PREFIXES]) + (FANOUT,)
CANONICAL = {
    KIND_TOPIC: b"/topic/", KIND_QUEUE: b"/queue/", KIND_EXISTING_QUEUE: b"/queue/", KIND_TEMPORARY: b"/temp-queue/",
    KIND_REPLY: b"/reply-queue/", KIND_DIRECT: b"/exchange/amq.direct/", KIND_FANOUT: FANOUT,
    KIND_TEMPORARY_TOPIC: b"/temp-topic/", KIND_REPLY_TOPIC: b"/reply-topic/", KIND_PRESENCE: b"/presence/",
}
DESTINATIONS = (
    b"Destinations are /topic/<name>, /queue/<name> or a bare name for a queue, /temp-queue/<id>, /temp-topic/<id>, "
    b"/exchange/amq.topic/<name>, /exchange/amq.direct/<key>, /exchange/amq.fanout and /amq/queue/<name>, "
    b"or several of them with commas between."
)
OPTIONS = b"?consumer."
# What ActiveMQ's clients may write behind a destination, and the header of a SUBSCRIBE that means the same.
OPTION_HEADERS = {
    b"consumer.selector": b"selector",
    **{b"consumer." + name: b"activemq." + name for name in (
        b"prefetchSize", b"priority", b"exclusive", b"noLocal", b"retroactive", b"dispatchAsync",
        b"maximumPendingMessageLimit")},
}
cdef bytes MANAGEMENT = b"ActiveMQ.Scheduler.Management"
TYPES = {b"ANYCAST": b"/queue/", b"MULTICAST": b"/topic/"}


cdef Kind kind_of(bytes destination) except *:
    """Of one destination. Raises Refused for what names nothing."""
    for prefix, kind in PREFIXES:
        if destination.startswith(prefix) and len(destination) > len(prefix):
            return kind
    if destination and b"/" not in destination:
        return KIND_QUEUE
    if destination == FANOUT:
        return KIND_FANOUT
    hint = b""
    if destination.startswith((b"topic/", b"queue/")):
        hint = b"Did you mean /%b? " % shown(destination)
    text = b"There is no destination '%b'. %b%b" % (shown(destination), hint, DESTINATIONS)
    raise Refused(b"unknown destination", text)


cdef bytes name_in(bytes destination, Kind kind):
    """What stands behind the prefix; for a bare name, all of it."""
    if kind == KIND_FANOUT:
        return b""
    for prefix, its_kind in PREFIXES:
        if its_kind == kind and destination.startswith(prefix):
            return destination[len(prefix):]
    return destination


cdef bytes canonical(Kind kind, bytes name):
    """The one destination that stands for all that lead there."""
    return CANONICAL[KIND_QUEUE if is_management(kind, name) else kind] + name


cdef bytes canonical_of(bytes destination):
    cdef Kind kind = kind_of(destination)
    return canonical(kind, name_in(destination, kind))


cdef bint is_management(Kind kind, bytes name):
    """The schedule, which clients of ActiveMQ know as a topic, and others as a queue. It is one thing, with one name;
    what is apart from topics and queues may be called the same."""
    return name == MANAGEMENT and (kind == KIND_TOPIC or kind == KIND_QUEUE or kind == KIND_EXISTING_QUEUE)


cdef bint is_topic(Kind kind) noexcept:
    """Whether everybody who has subscribed gets each message."""
    return kind == KIND_TOPIC or is_apart(kind) or kind == KIND_TEMPORARY_TOPIC


cdef bint is_apart(Kind kind) noexcept:
    """A topic in a name space of its own, that no pattern reaches."""
    return kind == KIND_DIRECT or kind == KIND_FANOUT or kind == KIND_REPLY_TOPIC


cdef list parts_of(bytes destination):
    """The destinations that a composite one names, or the one that it is; without options. One of a composite that has
    no prefix is of the kind of the one before."""
    cdef list parts = []
    if b"," not in destination or not is_composite(destination):
        return [without_options(destination)]
    if destination.count(b",") >= MOST_PARTS:
        raise Refused(b"bad destination", b"A destination has at most 32 parts; name the others in another frame.")
    for part in destination.split(b","):
        part = without_options(part.strip())
        parts.append(part if part.startswith(BEGINNINGS) or not parts else prefix_of(parts[len(parts) - 1]) + part)
    return parts


cdef bint is_composite(bytes destination):
    """A comma divides if another destination begins behind it; any other is part of a name, as RabbitMQ's may have it.
    """
    cdef list parts = destination.split(b",", MOST_PARTS)
    return any([part.lstrip().startswith(BEGINNINGS) for part in parts[1:]])


cdef bytes prefix_of(bytes destination):
    return next((prefix for prefix in BEGINNINGS if destination.startswith(prefix)), b"")


cdef bytes without_options(bytes destination):
    return destination.partition(OPTIONS)[0]


cdef dict options_of(bytes destination):
    """What stands behind it as ?consumer.<name>=<value>&..., as headers of a SUBSCRIBE."""
    cdef bytes options = destination.partition(OPTIONS)[2]
    cdef dict headers = {}
    if not options:
        return headers
    if b"," in options and is_composite(options):
        raise Refused(b"bad destination", b"Options stand behind the last of several destinations, and are for all.")
    try:
        pairs = parse_qsl(b"consumer." + options, True, True, max_num_fields=MOST_PARTS)
    except ValueError:
        raise Refused(b"bad destination", b"Options behind a destination are ?consumer.<name>=<value>&...")
    for name, value in pairs:
        if name not in OPTION_HEADERS:
            raise Refused(b"bad destination", b"There is no option '%b' of a destination." % shown(name))
        headers[OPTION_HEADERS[name]] = value
    return headers


cdef bytes typed(bytes destination, bytes type):
    """With Artemis' word for what a bare name is, or None: ANYCAST a queue, MULTICAST a topic."""
    if type is None:
        return destination
    if type not in TYPES:
        raise Refused(b"bad header", b"destination-type and subscription-type are ANYCAST or MULTICAST.")
    if b"/" not in destination:
        return TYPES[type] + destination
    for part in parts_of(destination):
        if is_topic(kind_of(part)) != (type == b"MULTICAST"):
            raise Refused(b"bad header", b"The destination '%b' is not %b: leave destination-type and "
                          b"subscription-type out, or the prefix." % (shown(part), type))
    return destination


cdef bytes followed_topic(bytes queue):
    """The virtual topic whose messages a queue of that name gets, too, as ActiveMQ has it; None: it is like any other.
    """
    cdef bytes topic
    if not queue.startswith(b"Consumer."):
        return None
    topic = queue.partition(b".")[2].partition(b".")[2]
    return topic if topic.startswith(b"VirtualTopic.") else None


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


cdef int check_key(bytes name, int max_levels) except -1:
    """The key of an exchange that has no patterns, in a SEND or a SUBSCRIBE."""
    if is_pattern(name, len(name)):
        text = b"'%b' is a pattern, and this exchange has none: /topic/ and /exchange/amq.topic/ have." % shown(name)
        raise Refused(b"pattern not allowed", text)
    return check_pattern(name, max_levels)


cdef int check_queue(bytes name) except -1:
    """A queue that is made: its name is no pattern of queues, which a SUBSCRIBE may have."""
    if is_pattern(name, len(name)):
        text = b"'%b' is a pattern, and no queue's name. Patterns are for SUBSCRIBE." % shown(name)
        raise Refused(b"pattern not allowed", text)
    return 0


def policy_asked(bytes destination not None, int max_levels):
    """What policy is asked for it, for who explains that: ("queues", "topics" or "", its name, its canonical name)."""
    cdef Kind kind = kind_of(destination)
    cdef bytes name = name_in(destination, kind)
    if kind == KIND_TOPIC:
        check_topic(name, max_levels)
        return "topics", name, canonical(kind, name)
    return "queues" if kind in (KIND_QUEUE, KIND_EXISTING_QUEUE) else "", name, canonical(kind, name)
