"""What clients declare of a queue, in RabbitMQ's words, on SEND and SUBSCRIBE.

    x-message-ttl:<ms>                  a message lives no longer
    x-expires:<ms>                      the queue goes when it had no consumer for so long, and so does what it holds
    x-max-length, x-max-length-bytes    it holds no more
    x-overflow:drop-head|reject-publish what becomes of more; drop-head where there is a limit and nothing is said
    x-dead-letter-routing-key:<name>    the queue of its dead letters; x-dead-letter-exchange is empty or amq.direct
    x-max-priority                      accepted: every queue knows priorities
    auto-delete:true                    it goes with its last consumer, and so does what it holds

The first who says something decides. It refines what the operator wants: his limits stay where they are narrower. Who
says something else is refused; so is a sender who says something of a queue that is in use and was made without it,
as what others have put there would go by it. A consumer may: it could take all of that anyway.
"""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.destination cimport KIND_QUEUE, kind_of
from fastbroker.core.frame cimport Header, decoded, number_of, shown
from fastbroker.core.queue cimport is_stored
from fastbroker.core.table cimport hash_bytes
from fastbroker.core.wire cimport KNOWN_QUEUE, known_of

from fastbroker.core.frame import Refused

LIMITS = {
    b"x-message-ttl": "max_ttl", b"x-expires": "idle_timeout", b"x-max-length": "max_messages",
    b"x-max-length-bytes": "max_bytes",
}
OVERFLOWS = {b"drop-head": "drop-oldest", b"reject-publish": "reject"}
EXCHANGES = (b"", b"amq.direct")
LARGEST_PRIORITY = 255
NO_EFFECT = (b"x-max-priority", b"x-dead-letter-exchange")      # on a queue that is there


cdef dict declared_in(const Frame *frame):
    """Header to value, in one way of writing each; None if there are none. Raises Refused for what cannot be."""
    cdef const Header *header
    cdef dict declared = {}
    cdef bytes name
    cdef uint32_t i
    for i in range(frame.known[KNOWN_QUEUE] - 1 if frame.known[KNOWN_QUEUE] else frame.header_count,
                   frame.header_count):
        header = &frame.headers[i]
        if is_declaring(frame, header):
            name = decoded(frame.base + header.name, header.name_length, frame.version)
            if name not in declared:
                declared[name] = checked(name, decoded(frame.base + header.value, header.value_length, frame.version))
    return declared or None


cdef uint64_t declaration_hash(const Frame *frame, uint64_t seed) noexcept:
    """Two frames that declare the same have the same; 0: it declares nothing."""
    cdef const Header *header
    cdef uint64_t hash = 0
    cdef uint32_t i
    for i in range(frame.header_count if frame.known[KNOWN_QUEUE] else 0):
        header = &frame.headers[i]
        if is_declaring(frame, header):
            hash = hash_bytes(frame.base + header.name, header.value + header.value_length - header.name, seed ^ hash)
    return hash


cdef int declare(Queue queue, dict declared, bint consumes) except -1:
    """A client says that of the queue; `consumes`: on SUBSCRIBE. Raises Refused where it is not so."""
    cdef dict before = queue.declared or {}
    cdef bint may_add = consumes or (queue.waiting() == 0 and queue.unused())
    cdef dict all = {**declared, **before}
    for name, value in declared.items():
        if name in before and before[name] != value:
            raise contradiction(name, value, before[name])
        if name not in before and not may_add:
            if has_effect(name, value):
                raise contradiction(name, value, None)
            del all[name]
    if len(all) > len(before):
        declare_again(queue, all)
        if not queue.policy.dies_with_consumer:     # else it ends with the broker, and many come and go
            is_stored(queue)    # what it is outlives the broker, also where it is empty
    return 0


cdef int declare_again(Queue queue, dict declared) except -1:
    """As it was declared when it was there before."""
    queue.declare(declared, refined(queue, declared))
    return 0


cdef bytes dead_letters_of(dict declared):
    """Where messages of others would go by it; None: nowhere."""
    return declared.get(b"x-dead-letter-routing-key")


cdef inline bint is_declaring(const Frame *frame, const Header *header) noexcept:
    return known_of(frame.base + header.name, header.name_length) == KNOWN_QUEUE


cdef bint has_effect(bytes name, bytes value):
    return name not in NO_EFFECT and (name != b"auto-delete" or value == b"true")


cdef object contradiction(bytes name, bytes value, bytes before):
    return Refused(b"bad header", b"%b:%b contradicts what was declared before of this queue, which is %b." % (
        name, shown(value), b"nothing" if before is None else b"%b:%b" % (name, shown(before))))


# ---- values ----

cdef bytes checked(bytes name, bytes value):
    if name == b"auto-delete":
        return one_of(name, value.lower(), (b"true", b"false"))
    if name == b"x-overflow":
        return one_of(name, value, tuple(OVERFLOWS))
    if name == b"x-dead-letter-exchange":
        if value not in EXCHANGES:
            raise Refused(b"bad header", b"x-dead-letter-exchange is empty or amq.direct; dead letters go to a queue.")
        return value
    if name == b"x-dead-letter-routing-key":
        if not value or b"{name}" in value or kind_of(b"/queue/" + value) != KIND_QUEUE:    # {name}: see QueuePolicy
            raise Refused(b"bad header", b"x-dead-letter-routing-key is the name of a queue.")
        return value
    return count_in(name, value)


cdef bytes one_of(bytes name, bytes value, tuple values):
    if value not in values:
        raise Refused(b"bad header", b"%b is %b." % (name, b" or ".join(values)))
    return value


cdef bytes count_in(bytes name, bytes value):
    """0 would be no limit to us, and none of them is useful with it."""
    cdef uint64_t number = 0
    if not number_of(value, &number) or number == 0:
        raise Refused(b"bad header", b"%b is a number of at most ten digits, and not 0." % name)
    if name == b"x-max-priority" and number > <uint64_t>LARGEST_PRIORITY:
        raise Refused(b"bad header", b"x-max-priority is at most %d." % LARGEST_PRIORITY)
    return b"%d" % number


# ---- what they come to ----

cdef QueuePolicy refined(Queue queue, dict declared):
    cdef QueuePolicy wanted = policy_of(queue)
    cdef dict more = {}
    for name, setting in LIMITS.items():
        if name in declared:
            more[setting] = narrower(int(declared[name]), wanted.settings.get(setting, 0))
    if b"x-message-ttl" in declared:
        more["ttl"] = more["max_ttl"]
    if b"x-expires" in declared:
        more["idle_drops"] = True
    if declared.get(b"auto-delete") == b"true":
        more["dies_with_consumer"] = True
    dead_letters = dead_letters_of(declared)
    if dead_letters is not None:
        if dead_letters == queue.name:
            raise Refused(b"bad header", b"x-dead-letter-routing-key names another queue than this one.")
        more["dead_letter"] = dead_letters.decode()
        more["dead_letter_expired"] = True
    return wanted.refined({**more, **overflow(declared)})


cdef dict overflow(dict declared):
    """The head is dropped where nothing is said; to where dead letters go, if that is said."""
    cdef str what = OVERFLOWS[declared.get(b"x-overflow", b"drop-head")]
    if b"x-overflow" not in declared and b"x-max-length" not in declared and b"x-max-length-bytes" not in declared:
        return {}
    if what == "drop-oldest" and dead_letters_of(declared) is not None:
        what = "dead-letter"
    return {"overflow": what}


cdef object narrower(object number, object limit):
    return min(number, limit) if limit else number


cdef QueuePolicy policy_of(Queue queue):
    """What the operator wants of it."""
    return (<QueueOwner>queue.owner).policies.of_queue(queue.name)
