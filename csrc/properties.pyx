"""What the headers of a SEND ask for, in the words of several brokers, read once into Properties.

    priority:0 ... 9                        4 where nothing is said; more counts as 9, as RabbitMQ has 255
    expires:<ms since 1970>                 expiration:<ms>, ttl:<ms>: from now on; 0 is never
    delay:<ms>, AMQ_SCHEDULED_DELAY:<ms>    AMQ_SCHEDULED_TIME:<ms since 1970>; a time to live begins then
    AMQ_SCHEDULED_PERIOD, _REPEAT, _CRON    read by the schedule (schedule.pyx)
    JMSXGroupID, message_group              JMSXGroupSeq:-1 closes the group
    _AMQ_DUPL_ID, message-dedup-id          sent twice, it comes once
    _AMQ_LVQ_NAME                           the newest of that name takes the place of older ones
    retain:set|remove, ActiveMQ.Retain:true the topic keeps it for those who come later
    persistent:true                         queues keep it in the journal, and it outlives the broker
    mandatory:true, receipt-info:true       what the sender wants to be told

Of several headers that mean the same, the first counts (STOMP 1.2, "Repeated Header Entries").
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memset

from fastbroker.core.frame cimport Header, decoded
from fastbroker.core.wire cimport (
    ASKS_FORGET, ASKS_INFO, ASKS_RETAIN, ASKS_SCHEDULE, ASKS_SOMEBODY, CLOSES_GROUP, PERSISTS, PRIORITIES,
    PROPERTY_ACTIVEMQ_RETAIN, PROPERTY_DELAY, PROPERTY_DUPLICATE, PROPERTY_EXPIRES, PROPERTY_GROUP,
    PROPERTY_GROUP_SEQUENCE, PROPERTY_LAST_VALUE, PROPERTY_MANDATORY, PROPERTY_NONE, PROPERTY_PERSISTENT,
    PROPERTY_PRIORITY, PROPERTY_RECEIPT_INFO, PROPERTY_RETAIN, PROPERTY_SCHEDULED_CRON, PROPERTY_SCHEDULED_DELAY,
    PROPERTY_SCHEDULED_PERIOD, PROPERTY_SCHEDULED_REPEAT, PROPERTY_SCHEDULED_TIME, PROPERTY_TTL, USUAL_PRIORITY,
    parse_number, property_hash, property_of, wall_now,
)

from fastbroker.core.frame import Refused

cdef enum:
    DIGITS = 18     # of the longest number


cdef bint read_properties(const Frame *frame, const Census *census, uint64_t seed, Properties *properties) except -1:
    """Whether the sender asks for anything that is not usual. Raises Refused for a value that says nothing."""
    cdef const Header *header
    cdef uint64_t known = 0, ttl = 0
    cdef uint32_t i
    cdef int which
    memset(properties, 0, sizeof(Properties))
    properties.priority = USUAL_PRIORITY
    for i in range(frame.header_count):
        header = &frame.headers[i]
        which = same_as(property_of(frame.base + header.name, header.name_length))
        if which != PROPERTY_NONE and not known >> which & 1:
            known |= <uint64_t>1 << which
            read_property(frame, header, which, census, seed, properties, &ttl)
    if ttl:
        expire(properties, wall_now(census) + properties.delay + ttl)
    return (properties.expires or properties.delay or properties.group or properties.duplicate
            or properties.last_value or properties.flags or properties.priority != USUAL_PRIORITY)


cdef inline int same_as(int which) noexcept:
    """One for all that mean the same."""
    return PROPERTY_DELAY if which == PROPERTY_SCHEDULED_DELAY else which


cdef int read_property(const Frame *frame, const Header *header, int which, const Census *census, uint64_t seed,
                       Properties *properties, uint64_t *ttl) except -1:
    if which == PROPERTY_PRIORITY:
        properties.priority = <unsigned char>min(number(frame, header), <uint64_t>PRIORITIES - 1)
    elif which == PROPERTY_EXPIRES:
        expire(properties, number(frame, header))
    elif which == PROPERTY_TTL:
        ttl[0] = number(frame, header)
    elif which == PROPERTY_DELAY:
        properties.delay = number(frame, header)
    elif which == PROPERTY_SCHEDULED_TIME:
        properties.delay = until(number(frame, header), census)
    elif which == PROPERTY_GROUP:
        properties.group = hash_of(frame, header, seed)
    elif which == PROPERTY_DUPLICATE:
        properties.duplicate = hash_of(frame, header, seed)
    elif which == PROPERTY_LAST_VALUE:
        properties.last_value = hash_of(frame, header, seed)
    elif which == PROPERTY_GROUP_SEQUENCE:
        if value_of(frame, header) == b"-1":
            properties.flags |= CLOSES_GROUP
    elif which in (PROPERTY_SCHEDULED_PERIOD, PROPERTY_SCHEDULED_REPEAT, PROPERTY_SCHEDULED_CRON):
        properties.flags |= ASKS_SCHEDULE
    elif which == PROPERTY_RETAIN:
        properties.flags |= retain_flag(value_of(frame, header))
    elif which == PROPERTY_ACTIVEMQ_RETAIN:
        properties.flags |= ASKS_RETAIN if truth(frame, header) else 0
    elif which == PROPERTY_MANDATORY:
        properties.flags |= ASKS_SOMEBODY if truth(frame, header) else 0
    elif which == PROPERTY_PERSISTENT:
        properties.flags |= PERSISTS if truth(frame, header) else 0
    elif which == PROPERTY_RECEIPT_INFO:
        properties.flags |= ASKS_INFO if truth(frame, header) else 0
    return 0


cdef void expire(Properties *properties, uint64_t expires) noexcept:
    """The earliest of several counts."""
    if expires and (properties.expires == 0 or expires < properties.expires):
        properties.expires = expires


cdef uint64_t until(uint64_t time, const Census *census) noexcept:
    cdef uint64_t now = wall_now(census)
    return time - now if time > now else 0


cdef uint64_t number(const Frame *frame, const Header *header) except? 0xffffffffffffffff:
    cdef uint64_t value = 0
    if not parse_number(frame.base + header.value, header.value_length, DIGITS, &value):
        raise Refused(b"bad header", b"%b is a number of at most %d digits." % (name_of(frame, header), DIGITS))
    return value


cdef uint64_t hash_of(const Frame *frame, const Header *header, uint64_t seed) except? 0:
    """0 for an empty value, which says nothing."""
    cdef const char *start = frame.base + header.value
    cdef bytes plain
    if header.value_length == 0:
        return 0
    if memchr(start, c'\\', header.value_length) == NULL:
        return property_hash(start, header.value_length, seed)
    plain = value_of(frame, header)
    return property_hash(plain, len(plain), seed)


cdef int retain_flag(bytes value) except -1:
    if value not in (b"set", b"remove"):
        raise Refused(b"bad header", b"retain is set or remove.")
    return ASKS_RETAIN if value == b"set" else ASKS_FORGET


cdef bint truth(const Frame *frame, const Header *header) except -1:
    cdef bytes value
    if header.value_length == 4 and memcmp(frame.base + header.value, b"true", 4) == 0:
        return True     # as nearly everybody writes it
    value = value_of(frame, header).lower()
    if value not in (b"true", b"false"):
        raise Refused(b"bad header", b"%b is true or false." % name_of(frame, header))
    return value == b"true"


cdef bytes name_of(const Frame *frame, const Header *header):
    return (frame.base + header.name)[:header.name_length]


cdef bytes value_of(const Frame *frame, const Header *header):
    return decoded(frame.base + header.value, header.value_length, frame.version)
