"""What the headers of a SUBSCRIBE or a NACK ask for, in the words of several brokers.

Those that change which messages come, and are not supported, are refused: to ignore them would deliver, or consume, the
wrong messages.
"""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.destination cimport KIND_TOPIC
from fastbroker.core.frame cimport Header, decoded, frame_text, number_of
from fastbroker.core.subscription cimport ACK_AUTO, ACK_CLIENT, ACK_CLIENT_INDIVIDUAL
from fastbroker.core.wire cimport KNOWN_REQUEUE

from fastbroker.core.frame import Refused

ACK_MODES = {b"auto": ACK_AUTO, b"client": ACK_CLIENT, b"client-individual": ACK_CLIENT_INDIVIDUAL}
NAMES_OF_MODES = {mode: name.decode() for name, mode in ACK_MODES.items()}

# The names of one wish, the first that is there counts.
PREFETCH = (b"prefetch-count", b"activemq.prefetchSize", b"credit")     # RabbitMQ's, ActiveMQ's, Apollo's
SELECTOR = (b"selector",)
BROWSER = (b"browser",)
NO_LOCAL = (b"no-local", b"activemq.noLocal")   # leave out what the same connection has sent
SUBSCRIPTION_NAME = (b"activemq.subscriptionName",)     # of a durable subscription, which only topics have


cdef Wishes wishes_of(const Frame *frame, Kind kind, const Limits *limits):
    """What a SUBSCRIBE to a destination of that kind asks for. Raises Refused for what cannot be."""
    cdef Wishes new = Wishes()
    cdef dict headers = headers_of(frame)
    new.ack_mode = ack_mode_in(headers)
    new.prefetch = prefetch_in(headers, limits)
    new.headers = headers
    new.selector = text(headers, SELECTOR)
    new.no_local = is_true(headers, NO_LOCAL)
    if kind != KIND_TOPIC and (new.selector or new.no_local):
        raise for_topics(name_in(headers, SELECTOR + NO_LOCAL))
    for names in (BROWSER,):
        if is_true(headers, names):
            raise unsupported(name_in(headers, names))
    if kind != KIND_TOPIC and text(headers, SUBSCRIPTION_NAME):
        raise Refused(b"bad header", b"activemq.subscriptionName is for topics; a queue keeps everything anyway.")
    return new


cdef bint requeue(const Frame *frame) except -1:
    """Whether a NACK gives the message back to its queue."""
    cdef bytes value = frame_text(frame, KNOWN_REQUEUE)
    return value is None or truth(b"requeue", value)


cdef str ack_mode_name(int mode):
    return NAMES_OF_MODES[mode]


cdef int ack_mode_in(dict headers) except -1:
    cdef bytes value = headers.get(b"ack", b"auto")
    if value not in ACK_MODES:
        raise Refused(b"bad ack mode", b"ack is auto, client or client-individual.")
    return ACK_MODES[value]


cdef uint32_t prefetch_in(dict headers, const Limits *limits) except? 0:
    """Credit in messages; 0 and absent mean the configured one."""
    cdef bytes value = text(headers, PREFETCH)
    cdef uint64_t number = 0
    if value is not None and not number_of(value.partition(b",")[0].strip(), &number):
        raise Refused(b"bad header", b"prefetch-count, activemq.prefetchSize and credit are numbers of messages.")
    return <uint32_t>min(number, limits.max_prefetch) if number else limits.prefetch


cdef object for_topics(bytes name):
    return Refused(b"bad header", b"%b is for topics so far; a queue gives its messages to all who consume it." % name)


cdef object unsupported(bytes name):
    return Refused(b"bad header", b"%b is not supported." % name)


# ---- reading headers ----

cdef dict headers_of(const Frame *frame):
    """The decoded headers of a frame; the first of each name (STOMP 1.2, "Repeated Header Entries")."""
    cdef dict headers = {}
    cdef const Header *header
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        headers.setdefault(decoded(frame.base + header.name, header.name_length, frame.version),
                           decoded(frame.base + header.value, header.value_length, frame.version))
    return headers


cdef bytes name_in(dict headers, tuple names):
    """Under which of its names a wish is there."""
    return next((name for name in names if name in headers), None)


cdef bytes text(dict headers, tuple names):
    return headers.get(name_in(headers, names))


cdef bint is_true(dict headers, tuple names) except -1:
    return any([truth(name, headers[name]) for name in names if name in headers])


cdef bint truth(bytes name, bytes value) except -1:
    """What a header says that is true or false; Python's clients write True and False."""
    if value.lower() not in (b"true", b"false"):
        raise Refused(b"bad header", b"%b is true or false." % name)
    return value.lower() == b"true"
