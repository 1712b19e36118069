"""What the headers of a SUBSCRIBE or a NACK ask for, in the words of several brokers.

Those that change which messages come, and are not supported, are refused: to ignore them would deliver, or consume, the
wrong messages, or promise that a topic keeps them.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp

from fastbroker.core.destination cimport KIND_TOPIC
from fastbroker.core.frame cimport Header, decoded, frame_text, number_of
from fastbroker.core.subscription cimport ACK_AUTO, ACK_CLIENT, ACK_CLIENT_INDIVIDUAL
from fastbroker.core.wire cimport (
    KNOWN_ACK, KNOWN_BROWSER, KNOWN_CREDIT, KNOWN_PREFETCH_COUNT, KNOWN_PREFETCH_SIZE, KNOWN_REQUEUE, KNOWN_SELECTOR,
)

from fastbroker.core.frame import Refused

ACK_MODES = {b"auto": ACK_AUTO, b"client": ACK_CLIENT, b"client-individual": ACK_CLIENT_INDIVIDUAL}
NAMES_OF_MODES = {mode: name.decode() for name, mode in ACK_MODES.items()}
NOT_MINE = (b"no-local", b"activemq.noLocal")   # leave out what the same connection has sent
KEPT = (b"durable", b"persistent")              # a topic keeps messages for a subscriber that is not there ...
KEPT_AS = (b"activemq.subscriptionName", b"durable-subscription-name")  # ... under that name


cdef int ack_mode(const Frame *frame) except -1:
    cdef bytes text = frame_text(frame, KNOWN_ACK)
    if text is None:
        return ACK_AUTO
    if text not in ACK_MODES:
        raise Refused(b"bad ack mode", b"ack is auto, client or client-individual.")
    return ACK_MODES[text]


cdef str ack_mode_name(int mode):
    return NAMES_OF_MODES[mode]


cdef uint32_t prefetch(const Frame *frame, const Limits *limits) except? 0:
    """Credit in messages: RabbitMQ's, ActiveMQ's or Apollo's header; 0 and absent mean the configured one."""
    cdef bytes text
    cdef uint64_t number = 0
    for known in (KNOWN_PREFETCH_COUNT, KNOWN_PREFETCH_SIZE, KNOWN_CREDIT):
        text = frame_text(frame, known)
        if text is None:
            continue
        if not number_of(text.partition(b",")[0].strip(), &number):
            raise Refused(b"bad header", b"prefetch-count, activemq.prefetchSize and credit are numbers of messages.")
        break
    if number == 0:
        return limits.prefetch
    return <uint32_t>min(number, limits.max_prefetch)


cdef bint requeue(const Frame *frame) except -1:
    """Whether a NACK gives the message back to its queue."""
    return is_true(b"requeue", frame_text(frame, KNOWN_REQUEUE), True)


cdef int refuse_unsupported(const Frame *frame, Kind kind) except -1:
    cdef bytes name
    if frame.known[KNOWN_SELECTOR]:
        raise unsupported(b"selector")
    if is_true(b"browser", frame_text(frame, KNOWN_BROWSER), False):
        raise unsupported(b"browser")
    for name in NOT_MINE + KEPT if kind == KIND_TOPIC else NOT_MINE:
        if is_true(name, text_of(frame, name), False):
            raise unsupported(name)
    for name in KEPT_AS if kind == KIND_TOPIC else ():
        if text_of(frame, name):
            raise unsupported(name)
    return 0


cdef object unsupported(bytes name):
    return Refused(b"bad header", b"%b is not supported." % name)


cdef bint is_true(bytes name, bytes text, bint otherwise) except -1:
    """What a header says that is true or false; Python's clients write True and False."""
    if text is None:
        return otherwise
    if text.lower() not in (b"true", b"false"):
        raise Refused(b"bad header", b"%b is true or false." % name)
    return text.lower() == b"true"


cdef bytes text_of(const Frame *frame, bytes name):
    """The decoded value of the first header of that name, which no other command reads; or None."""
    cdef const Header *header
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        if header.name_length == len(name) and memcmp(frame.base + header.name, <const char *>name, len(name)) == 0:
            return decoded(frame.base + header.value, header.value_length, frame.version)
    return None
