"""Temporary queues and topics: what a client calls /temp-queue/<id>, and others by an unguessable
/reply-queue/<token>; and the same with /temp-topic/<id> and /reply-topic/<token>.

One is made when its client first names it, in a SEND, a SUBSCRIBE or a reply-to, and goes with the connection.
"""
from libc.stdint cimport int64_t
from libc.string cimport memcmp

from fastbroker.core.destination cimport KIND_TEMPORARY, KIND_TEMPORARY_TOPIC, Kind, kind_of, name_in
from fastbroker.core.namespace cimport remove_reply_topic
from fastbroker.core.wire cimport account_charge

from fastbroker.core.frame import Refused

cdef enum:
    COST = 512          # bytes of one beside its id and the queue
    LONGEST_KEPT = 128  # bytes of the last reply-to


cdef Temporaries temporaries_of(Namespace namespace, Account *account):
    cdef Temporaries new = Temporaries()
    new.namespace = namespace
    new.account = account
    new.queues = {}
    new.topics = {}
    return new


cdef bint is_temporary(bytes destination):
    return destination.startswith((b"/temp-queue/", b"/temp-topic/"))


cdef class Temporaries:

    cdef Queue queue(self, bytes id):
        """The queue that this client knows by that id."""
        cdef Queue queue = self.queues.get(id)
        if queue is not None:
            return queue
        make_room(self, id)
        queue = self.namespace.new_reply_queue()
        self.queues[id] = queue
        return queue

    cdef ReplyTopic topic(self, bytes id):
        """The topic that this client knows by that id."""
        cdef ReplyTopic topic = self.topics.get(id)
        if topic is not None:
            return topic
        make_room(self, id)
        topic = self.namespace.new_reply_topic()
        self.topics[id] = topic
        return topic

    cdef bytes seen_by_others(self, bytes destination):
        """A temporary one by the name that leads there from anywhere; any other as it is."""
        cdef Kind kind = kind_of(destination)
        if kind == KIND_TEMPORARY:
            return self.queue(name_in(destination, kind)).name
        if kind == KIND_TEMPORARY_TOPIC:
            return self.topic(name_in(destination, kind)).name
        return destination

    cdef bytes reply_line(self, bytes destination, Slice value):
        """The header line of a reply-to with one of them, for others."""
        cdef Kind kind = kind_of(destination)
        cdef bytes line = b"reply-to:" + self.seen_by_others(destination)
        if value.length <= LONGEST_KEPT:
            self.last_value = value.bytes[:value.length]
            self.last_line = line
            self.last_queue = self.queues.get(name_in(destination, kind)) if kind == KIND_TEMPORARY else None
        return line

    cdef bint was_last(self, Slice value) noexcept:
        """Whether it is the one of the last line, and its queue still has somebody who listens."""
        return (self.last_value is not None and <size_t>len(self.last_value) == value.length
                and memcmp(<const char *>self.last_value, value.bytes, value.length) == 0
                and (self.last_queue is None or self.last_queue.consumer_count > 0))

    cdef int end(self) except -1:
        """The connection ends."""
        while self.queues:
            self.namespace.remove_queue(self.queues.popitem()[1])
        while self.topics:
            remove_reply_topic(self.namespace, self.topics.popitem()[1])
        return 0


cdef int make_room(Temporaries self, bytes id) except -1:
    if len(self.queues) + len(self.topics) >= <Py_ssize_t>self.namespace.limits.max_subscriptions:
        raise Refused(b"too many subscriptions",
                      b"The connection has limits.max_subscriptions temporary queues and topics.")
    account_charge(self.account, COST + <int64_t>len(id))
    return 0

