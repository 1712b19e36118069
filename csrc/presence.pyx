"""Presence: who has subscribed to a topic, and who comes and goes, to those who ask.

    topic  --->  Room   counts    session -> its subscriptions to the topic
                        told      session -> who that is, as far as the watchers know
                        joined    not told yet
                        left      not told yet either; who comes and goes meanwhile is in neither
                        watchers  a queue of its own for each

    MESSAGE
    destination:/presence/<topic>
    content-type:application/json
    event:present | joined | left

    [{"user": "ana", "session": "2f0c7e9b1d4a6c8e0f123456"}, ...]

A watcher gets what was told to the others before, and then what is told to all. That is put together for a while, the
longer the more output the last message has caused: when ten thousand come at once, who all watch, nothing else waits.
"""
import json

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from fastbroker.core.frame cimport Content, header_line, shown
from fastbroker.core.message cimport Message, message_drop, message_keep, message_new
from fastbroker.core.pattern cimport is_pattern
from fastbroker.core.policy cimport TopicPolicy
from fastbroker.core.queue cimport Queue, queue_new
from fastbroker.core.subscription cimport ACK_AUTO
from fastbroker.core.wire cimport (
    DOOM_SLOW, Census, ceiling_reached, census_spent, counter_increment, link_init, link_join, link_joined,
    link_leave, outbuf_doom, ring_init, ring_take, timer_arm, timer_cancel, timer_init,
)

from fastbroker.core.frame import Refused

cdef enum:
    COST = 1024             # bytes of a room, beside its topic ...
    PERSON_COST = 512       # ... and of each who is there
    PERSON_WORK = 512       # what it takes to tell of one, in bytes of output ...
    TELL_WORK = 256         # ... and to tell one watcher
    MOST_AT_ONCE = 256      # people in one message
    PERSON_SIZE = 96        # of one in a message, about
    SLICE = 4194304         # bytes of output that a message may cause, if it can be so little
    SOONEST = 100           # milliseconds between messages of one room ...
    PACE = 65536            # ... and between larger ones one more for each so many bytes of output
    MOST_WAITING = 4096     # messages for one watcher who does not take them


cdef Presence presence_of(Namespace namespace):
    """None where no topic tells who is there."""
    cdef Presence new
    if not any([(<TopicPolicy>policy).presence for _, policy in namespace.policies.topics]):
        return None
    new = Presence()
    new.namespace = namespace
    return new


cdef class Room:

    def __dealloc__(self):
        timer_cancel(&self.timer)
        link_leave(&self.due)


cdef class Presence:

    def __cinit__(self):
        self.rooms = {}
        ring_init(&self.due)

    cdef int watch(self, Subscription subscription, bytes topic) except -1:
        """It gets who is there, in its next turn, and then what is told to all."""
        cdef Room room
        cdef Queue queue
        if is_pattern(topic, len(topic)) or subscription.ack_mode != ACK_AUTO:
            raise Refused(b"bad destination", b"/presence/ tells of one topic, to a subscription with ack:auto.")
        if not self.namespace.policies.of_topic(topic).presence:
            raise Refused(b"access refused", b"It is not told who has subscribed to '%b'." % shown(topic))
        if ceiling_reached(self.namespace.ceiling):
            raise Refused(b"server busy", b"There is no memory to tell who is there. Try again later.")
        room = room_of(self, topic)
        queue = queue_new(None, self.namespace, self.namespace.policies.usual_queue)
        queue.outlet = subscription.out
        self.namespace.subscribe_queue(subscription, queue)
        people = [*room.told.values()]
        for start in range(0, max(len(people), 1), MOST_AT_ONCE):
            say(room, b"present", people[start:start + MOST_AT_ONCE], (subscription,))
        room.watchers.add(subscription)
        subscription.present = room.topic
        return 0

    cdef int join(self, Subscription subscription, bytes topic, bytes session, object user) except -1:
        """It is to a topic; nothing, if that does not tell who is there, or for a pattern."""
        cdef Room room
        if is_pattern(topic, len(topic)) or not self.namespace.policies.of_topic(topic).presence:
            return 0
        room = room_of(self, topic)
        room.counts[session] = room.counts.get(session, 0) + 1
        if room.counts[session] == 1:
            if room.left.pop(session, None) is None:
                self.namespace.census.memory += PERSON_COST
                room.joined[session] = json.dumps({"user": user, "session": session.decode()}, default=str).encode()
            changed(room)
        subscription.present = room.topic
        return 0

    cdef int leave(self, Subscription subscription, bytes session) except -1:
        """It watches no more, or is there no more."""
        cdef Room room = self.rooms[subscription.present]
        subscription.present = None
        if subscription in room.watchers:
            room.watchers.remove(subscription)
        else:
            count_down(self, room, session)
        return close_if_empty(self, room)

    cdef int tell(self) except -1:
        """A step of each turn: rooms whose time has come, as many as are no more than a slice together."""
        cdef Census *census = self.namespace.census
        cdef int64_t until = census_spent(census) + SLICE
        cdef void *owner = ring_take(&self.due)
        while owner != NULL:
            tell_changes(<Room>owner)
            owner = ring_take(&self.due) if census_spent(census) < until else NULL
        return 0


cdef Room room_of(Presence self, bytes topic):
    cdef Room room = self.rooms.get(topic)
    if room is not None:
        return room
    room = Room()
    room.topic = topic
    room.counts, room.told, room.joined, room.left, room.watchers = {}, {}, {}, {}, set()
    room.namespace = self.namespace
    room.ring = &self.due
    timer_init(&room.timer, time_has_come, <void *>room)
    link_init(&room.due, <void *>room)
    self.rooms[topic] = room
    self.namespace.census.memory += COST + 2 * <int64_t>len(topic)
    return room


cdef void time_has_come(void *owner) noexcept:
    link_join((<Room>owner).ring, &(<Room>owner).due)


cdef int count_down(Presence self, Room room, bytes session) except -1:
    room.counts[session] -= 1
    if room.counts[session] == 0:
        del room.counts[session]
        if room.joined.pop(session, None) is None:
            room.left[session] = room.told[session]
        else:
            self.namespace.census.memory -= PERSON_COST
        changed(room)
    return 0


cdef int close_if_empty(Presence self, Room room) except -1:
    if not room.watchers and not room.counts:
        del self.rooms[room.topic]
        self.namespace.census.memory -= COST + 2 * <int64_t>len(room.topic) + PERSON_COST * <int64_t>len(room.told)
        timer_cancel(&room.timer)
        link_leave(&room.due)
    return 0


cdef int changed(Room room) except -1:
    """It is told a little later, with what else has changed by then; where nobody watches it is known at once."""
    room.namespace.census.work += PERSON_WORK
    if not room.watchers:
        note(room, room.joined, room.left)
    elif not link_joined(&room.timer.link) and not link_joined(&room.due):
        timer_arm(room.namespace.wheel, &room.timer, room.namespace.now[0] + SOONEST)
    return 0


cdef int note(Room room, dict joined, dict left) except -1:
    """That is known now."""
    room.told.update(joined)
    room.namespace.census.memory -= PERSON_COST * <int64_t>len(left)
    for session in left:
        del room.told[session]
    for changes, known in ((room.joined, [*joined]), (room.left, [*left])):
        for session in known:
            del changes[session]
    return 0


cdef int tell_changes(Room room) except -1:
    """As many as one message should have; the others after a pause that grows with what this one has caused."""
    cdef int64_t caused = 0
    cdef int64_t most = max(min(SLICE // (PERSON_SIZE * (len(room.watchers) + 1)), MOST_AT_ONCE), 1)
    joined = dict([*room.joined.items()][:most])
    left = dict([*room.left.items()][:most])
    if joined:
        caused += say(room, b"joined", [*joined.values()], room.watchers)
    if left:
        caused += say(room, b"left", [*left.values()], room.watchers)
    note(room, joined, left)
    if room.joined or room.left:
        timer_arm(room.namespace.wheel, &room.timer,
                  room.namespace.now[0] + max(<uint64_t>caused // PACE, <uint64_t>SOONEST))
    return 0


cdef int64_t say(Room room, bytes event, list people, watchers) except -1:
    """One message to all of these; it is stored once. Returns how many bytes of output it will be."""
    cdef bytes body = b"[%b]" % b", ".join(people)
    cdef bytes head = b"%bcontent-type:application/json\nevent:%b\ncontent-length:%d\n" % (
        header_line(b"destination", b"/presence/" + room.topic, 12), event, len(body))
    cdef Content content
    cdef Message *message
    memset(&content, 0, sizeof(Content))
    content.head, content.head_length = head, len(head)
    content.body, content.body_length = body, len(body)
    counter_increment(room.namespace.counter)
    message = message_new(room.namespace.census, &content, room.namespace.number.value)
    try:
        for watcher in watchers:
            give(<Subscription>watcher, message)
    finally:
        message_drop(message)
    room.namespace.census.work += <int64_t>len(people) * PERSON_WORK
    return <int64_t>(len(head) + len(body)) * <int64_t>len(watchers)


cdef int give(Subscription watcher, Message *message) except -1:
    cdef Queue queue = watcher.source
    queue.census.work += TELL_WORK
    if queue.waiting() >= MOST_WAITING:
        outbuf_doom(watcher.out, DOOM_SLOW)
        return 0
    message_keep(message)
    queue.push(message)
    queue.call()
    return 0
