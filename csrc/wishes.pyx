"""What the headers of a SUBSCRIBE or a NACK ask for, in the words of several brokers.

Those that change which messages come, and are not supported, are refused: to ignore them would deliver, or consume, the
wrong messages.
"""
from libc.stdint cimport int8_t, uint32_t, uint64_t

from fastbroker.core.declaring cimport declared_in
from fastbroker.core.destination cimport (
    KIND_EXISTING_QUEUE, KIND_QUEUE, KIND_TEMPORARY, KIND_TOPIC, Kind, is_topic, kind_of, options_of, typed,
    without_options,
)
from fastbroker.core.frame cimport Header, decoded, frame_text, has_header_of, header_text, number_of
from fastbroker.core.profile cimport Profile
from fastbroker.core.replay cimport REPLAY_ALL, REPLAY_BEHIND, REPLAY_LAST
from fastbroker.core.subscription cimport ACK_AUTO, ACK_CLIENT, ACK_CLIENT_INDIVIDUAL
from fastbroker.core.wire cimport KNOWN_QUEUE, KNOWN_REQUEUE, RANK_MOST, known_of, parse_number

from fastbroker.core.frame import Refused

ACK_MODES = {b"auto": ACK_AUTO, b"client": ACK_CLIENT, b"client-individual": ACK_CLIENT_INDIVIDUAL}
NAMES_OF_MODES = {mode: name.decode() for name, mode in ACK_MODES.items()}

# The names of one wish, the first that is there counts.
PREFETCH = (b"prefetch-count", b"activemq.prefetchSize", b"credit")     # RabbitMQ's, ActiveMQ's, Apollo's
SELECTOR = (b"selector",)
cdef frozenset USUAL = frozenset({b"id", b"destination", b"ack", b"receipt"})   # who says no more has no wishes
BROWSER = (b"browser",)
PRIORITY = (b"x-priority", b"activemq.priority")    # among the consumers of a queue: RabbitMQ's, ActiveMQ's
EXCLUSIVE = (b"activemq.exclusive", b"exclusive")   # one consumer has all: ActiveMQ's, Apollo's
NO_LOCAL = (b"no-local", b"activemq.noLocal")   # leave out what the same connection has sent
SINCE, FROM_SEQ, LAST = (b"since",), (b"from-seq",), (b"last",)     # of a topic's history
CONFLATE = (b"conflate",)                       # of a slow subscriber's messages, the newest of each value wait
BROWSER_END, INCLUDE_SEQ = (b"browser-end",), (b"include-seq",)     # of a browser: Apollo's
FROM_HEAD, FROM_TAIL = b"0", b"-1"
cdef bytes LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
NAMES_OF_MESSAGES = (b"content-type", b"subscription")
SUBSCRIPTION_NAME = (b"activemq.subscriptionName",)     # of a durable subscription, which only topics have
TYPE = (b"subscription-type",)                  # Artemis': whether a bare name is a queue or a topic
QUEUE_NAME = (b"x-queue-name",)                 # a topic's messages go to that queue, and its consumers share them
FOR_ONE = SINCE + FROM_SEQ + LAST + QUEUE_NAME + SUBSCRIPTION_NAME + BROWSER + CONFLATE + (
    b"durable", b"persistent", b"durable-subscription-name", b"durable-subscriber-name", b"subscription-group")
# How what it refuses is tried again: ActiveMQ's RedeliveryPolicy.
MAX_REDELIVERIES = (b"activemq.maximumRedeliveries",)
FIRST_PAUSE = (b"activemq.initialRedeliveryDelay",)
NEXT_PAUSE = (b"activemq.redeliveryDelay",)
PAUSES_GROW = (b"activemq.useExponentialBackOff",)
GROW_BY = (b"activemq.backOffMultiplier",)
LONGEST_PAUSE = (b"activemq.maximumRedeliveryDelay",)
NO_LIMIT = b"-1"

cdef enum:
    ACTIVEMQ_PAUSE = 1000       # what ActiveMQ's clients have where they say nothing
    ACTIVEMQ_MULTIPLIER = 5
    LONGEST = 1000000000        # milliseconds; more counts as this
    LONGEST_TEXT = 1024         # bytes; the rest is cut off
    LONGEST_NAME = 64           # of the header that tells a message's place in a queue
    LONGEST_NUMBER = 20         # digits of a multiplier that are looked at
    WIDEST = 1073741824         # bytes of credit: a wider window, and none, count as this


cdef Wishes wishes_of(const Frame *frame, list parts, const Limits *limits, Profile profile):
    """What a SUBSCRIBE to that destination, or to several, asks for. Raises Refused for what cannot be."""
    cdef Wishes new = Wishes()
    cdef Kind kind = kind_of_all(parts)
    cdef dict headers = headers_of(frame)
    headers.update(options_of(headers[b"destination"]))
    new.ack_mode = ack_mode_in(headers)
    new.headers = headers
    new.usual = USUAL.issuperset(headers)
    new.prefetch_bytes = limits.prefetch_bytes
    if new.usual:   # as nearly all are
        new.prefetch = limits.prefetch
        return new
    if name_in(headers, profile.windows) is not None:
        new.prefetch_bytes = window_in(headers, profile.windows)
    new.prefetch = prefetch_in(headers, limits)
    new.selector = text(headers, SELECTOR)
    new.no_local = is_true(headers, NO_LOCAL)
    new.redelivery = redelivery_in(headers)
    new.priority = priority_in(headers)
    new.exclusive = is_true(headers, EXCLUSIVE)
    new.declared = declared_in(frame) if frame.known[KNOWN_QUEUE] else None
    if len(parts) > 1:
        check_for_all(headers, new.declared)
    read_browsing(new, headers, kind)
    if not is_topic(kind) and text(headers, SUBSCRIPTION_NAME):
        raise Refused(b"bad header", b"activemq.subscriptionName is for topics; a queue keeps everything anyway.")
    read_history(new, headers, kind)
    new.conflate = conflate_in(headers, kind, new.asked.what)
    new.queue_name = (text(headers, QUEUE_NAME) or None) if is_topic(kind) else None
    return new


cdef Kind kind_of_all(list parts) except *:
    """A queue, if one of them is: it can do less."""
    for part in parts:
        if not is_topic(kind_of(part)):
            return kind_of(part)
    return kind_of(parts[0])


cdef int check_for_all(dict headers, dict declared) except -1:
    """What a SUBSCRIBE to several destinations cannot ask for."""
    for name in (*FOR_ONE, *(declared or ())):
        if name in headers and headers[name].lower() not in (b"", b"false"):
            raise Refused(b"bad header", b"%b is for one destination; send a SUBSCRIBE for each." % name)
    return 0


cdef Refusal refusal_of(const Frame *frame):
    """What a NACK says beside which message it is about; None: nothing."""
    cdef Refusal new
    cdef bytes delay = header_text(frame, b"delay"), text = header_text(frame, b"reason")
    cdef bytes again = frame_text(frame, KNOWN_REQUEUE)
    if delay is None and text is None and again is None:
        return None
    new = Refusal()
    new.decided = again is not None or delay is not None
    new.requeue = again is None or truth(b"requeue", again)
    if delay is not None:
        new.timed = True
        new.delay = milliseconds(b"delay", delay)
    if text:
        new.text = text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT].decode(errors="ignore").encode()
    return new


cdef bytes place_of(const Frame *frame, bytes destination):
    """What is subscribed to: a bare name may be a topic, and options are no part of it."""
    cdef bytes type = text(headers_of(frame), TYPE) if has_header_of(frame, b"subscription-", 13) else None
    return typed(without_options(destination), type)


cdef Redelivery redelivery_in(dict headers):
    """How what a consumer refuses is tried again, by ActiveMQ's names; None: as the policy of its queue says."""
    cdef Redelivery new = Redelivery()
    cdef bytes times = text(headers, MAX_REDELIVERIES)
    if times is not None and times != NO_LIMIT:
        new.max_deliveries = <uint32_t>milliseconds(MAX_REDELIVERIES[0], times) + 1
    if FIRST_PAUSE[0] in headers or NEXT_PAUSE[0] in headers or PAUSES_GROW[0] in headers:
        new.paces = True
        new.pauses.first = pause_in(headers, FIRST_PAUSE, pause_in(headers, NEXT_PAUSE, ACTIVEMQ_PAUSE))
        new.pauses.next = pause_in(headers, NEXT_PAUSE, new.pauses.first)
        new.pauses.most = pause_in(headers, LONGEST_PAUSE, LONGEST)
        new.pauses.multiplier = multiplier_in(headers) if is_true(headers, PAUSES_GROW) else 1
    return new if new.paces or new.max_deliveries else None


cdef uint64_t pause_in(dict headers, tuple names, uint64_t usual) except? 0:
    cdef bytes value = text(headers, names)
    return usual if value is None or value == NO_LIMIT else milliseconds(names[0], value)


cdef double multiplier_in(dict headers) except? 0:
    cdef bytes value = text(headers, GROW_BY)
    if value is None:
        return ACTIVEMQ_MULTIPLIER
    if not value.replace(b".", b"", 1).isdigit():
        raise Refused(b"bad header", b"%b is a number like 2 or 1.5." % GROW_BY[0])
    return float(value[:LONGEST_NUMBER])


cdef uint64_t milliseconds(bytes name, bytes value) except? 0:
    cdef uint64_t number = 0
    if not number_of(value, &number):
        raise Refused(b"bad header", b"%b is a number of at most ten digits." % name)
    return min(number, <uint64_t>LONGEST)


cdef int read_history(Wishes self, dict headers, Kind kind) except -1:
    """What it wants to have of the messages that came before it."""
    cdef bytes since = text(headers, SINCE)
    if kind != KIND_TOPIC:
        if since is not None or text(headers, LAST) is not None:
            raise Refused(b"bad header", b"since and last are for topics: a queue has no history.")
        return 0
    if sum([text(headers, names) is not None for names in (SINCE, FROM_SEQ, LAST)]) > 1:
        raise Refused(b"bad header", b"Of since, from-seq and last a SUBSCRIBE has one.")
    if since is not None:
        self.asked.what = REPLAY_BEHIND
        self.epoch, _, since = since.rpartition(b"-")
        if not self.epoch or not message_number(since, &self.asked.number):
            raise Refused(b"bad header", b"since is the message-id of a MESSAGE.")
    elif text(headers, FROM_SEQ) is not None:
        self.asked.number = count_in(headers, FROM_SEQ, 0)
        self.asked.what = REPLAY_BEHIND if self.asked.number else REPLAY_ALL
        self.asked.number -= self.asked.number > 0
    elif text(headers, LAST) is not None:
        self.asked.what = REPLAY_LAST
        self.asked.number = count_in(headers, LAST, 1)
    return 0


cdef bytes conflate_in(dict headers, Kind kind, int replays):
    """The header with the key; None: it wants all."""
    cdef bytes header = text(headers, CONFLATE)
    if header is None:
        return None
    if not header:
        raise Refused(b"bad header", b"conflate is the name of a header: of each of its values the newest message "
                      b"waits.")
    if not is_topic(kind):
        raise Refused(b"bad header", b"conflate is for topics. A queue has last values: _AMQ_LVQ_NAME on SEND.")
    if replays == REPLAY_BEHIND or replays == REPLAY_ALL:
        raise Refused(b"bad header", b"Of since, from-seq and conflate a SUBSCRIBE has one: newer values overtake "
                      b"older ones, so no message-id tells what was seen. last is possible.")
    return header


cdef int read_browsing(Wishes self, dict headers, Kind kind) except -1:
    """How it looks at a queue, if it is to take nothing of it."""
    cdef bytes since = None if is_topic(kind) else text(headers, FROM_SEQ)
    self.browses = is_true(headers, BROWSER)
    if self.browses and kind != KIND_QUEUE and kind != KIND_EXISTING_QUEUE and kind != KIND_TEMPORARY:
        raise Refused(b"bad header", b"browser is for queues; a topic has a history.")
    if not self.browses:
        if since is not None and since != FROM_HEAD:
            raise Refused(b"bad header", b"from-seq is for topics, and for a queue with browser:true.")
        return 0
    self.browsing.stays = text(headers, BROWSER_END) is not None and not is_true(headers, BROWSER_END)
    self.browsing.behind_all = since == FROM_TAIL
    if since is not None and since != FROM_TAIL:
        self.browsing.first = count_in(headers, FROM_SEQ, 0)
        self.browsing.first -= self.browsing.first > 0
    self.numbered = numbered_in(headers)
    return 0


cdef bytes numbered_in(dict headers):
    """The header that tells a message's place in the queue, with the colon; not one that has another meaning."""
    cdef bytes name = text(headers, INCLUDE_SEQ)
    if not name:
        return None
    if (len(name) > LONGEST_NAME or name.translate(None, LETTERS) or known_of(name, len(name))
            or name in NAMES_OF_MESSAGES):
        raise Refused(b"bad header", b"include-seq is the name of a header without another meaning: at most 64 "
                      b"letters, digits, '.', '-' or '_'.")
    return name + b":"


cdef uint64_t count_in(dict headers, tuple names, uint64_t least) except? 0:
    cdef uint64_t number = 0
    if not message_number(text(headers, names), &number) or number < least:
        raise Refused(b"bad header", b"%b is a number, %d or more." % (name_in(headers, names), least))
    return number


cdef bint message_number(bytes value, uint64_t *number) noexcept:
    """Which may have more digits than other numbers."""
    return parse_number(value, len(value), 18, number) != 0


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


cdef size_t window_in(dict headers, tuple names) except? 0:
    """Credit in bytes: 0 is one message at a time, -1 as many as may be. Taken out of the headers: to others the same
    name counts messages."""
    cdef bytes name = name_in(headers, names)
    cdef bytes value = headers[name]
    cdef uint64_t number = 0
    for each in names:
        headers.pop(each, None)
    if value == NO_LIMIT:
        return WIDEST
    if not number_of(value, &number):
        raise Refused(b"bad header", b"%b is a number of bytes, or -1." % name)
    return <size_t>min(max(number, <uint64_t>1), <uint64_t>WIDEST)


cdef int8_t priority_in(dict headers) except? 0:
    """A whole number, which RabbitMQ's may be below 0; what is further from 0 than RANK_MOST counts as that."""
    cdef bytes value = text(headers, PRIORITY)
    cdef uint64_t number = 0
    if value is None:
        return 0
    if not number_of(value.removeprefix(b"-"), &number):
        raise Refused(b"bad header", b"%b is a whole number." % name_in(headers, PRIORITY))
    number = min(number, <uint64_t>RANK_MOST)
    return <int8_t>(-<int>number if value.startswith(b"-") else <int>number)


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
    for name in names:
        if name in headers:
            return name
    return None


cdef bytes text(dict headers, tuple names):
    return headers.get(name_in(headers, names))


cdef bint is_true(dict headers, tuple names) except -1:
    for name in names:
        if name in headers and truth(name, headers[name]):
            return True
    return False


cdef bint truth(bytes name, bytes value) except -1:
    """What a header says that is true or false; Python's clients write True and False."""
    if value.lower() not in (b"true", b"false"):
        raise Refused(b"bad header", b"%b is true or false." % name)
    return value.lower() == b"true"
