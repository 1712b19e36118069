"""The fan-out: one message to all of an audience, and a batch of them to a large one.

    tail   number LF  header lines  LF  body NUL LF

A message's tail is all of the frame behind the subscription's prefix, the same for all subscribers and put together
once. Tails of messages that come one behind the other stand together in the open batch, so that a subscriber is written
to from a few dozen kilobytes that are in the cache, in one piece, and is looked at once for all of them.

The batch belongs to one route and one origin. It is settled by `send` when it is full, and by `settle`, which whoever
published calls before anything else happens: another message, a RECEIPT, the end of what was read, a change of the
audience.

Plain receivers are written to; others are queues, and so is what a plain one has that is too slow, that is too
full, or that comes when the memory ceiling is reached: there the message is stored once, and counted. Those that choose
stand behind both, and are asked for each message, or found by what it says (keyed.pyx).
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastbroker.core.durables cimport makes_room
from fastbroker.core.frame cimport FORM_ACTIVEMQ, FORMS, form_version, head_in_form
from fastbroker.core.keyed cimport KEYS_MOST, Keyed, keyed_keys
from fastbroker.core.message cimport (
    SHARED_BODY, Entry, count_written, message_content, message_drop, message_keep, message_new, needs_other_form,
    put_message,
)
from fastbroker.core.policy cimport SLOW_DISCONNECT, SLOW_DROP_NEWEST, SLOW_DROP_OLDEST
from fastbroker.core.queue cimport RULED, Queue, push_for, queue_new, take_oldest
from fastbroker.core.subscription cimport Receiver, Subscription
from fastbroker.core.wire cimport (
    DOOM_SLOW, FRAMING_NONE, FRAMING_SOCKJS, NUMBER_SPACE, WS_HEAD_OUT, ceiling_reached, counter_line, flow_press,
    framed_room, link_joined, outbuf_commit, outbuf_doom, outbuf_pending, outbuf_pressure, outbuf_push, outbuf_reserve,
    outbuf_touch, outbuf_touch_bulk, text_free, text_reserve, wall_now, ws_opcode, ws_put_head,
)

cdef enum:
    FEW = 2                 # receivers that are written to at once; for more, messages are put into a batch
    CACHE = 1048576         # bytes; output for all subscribers that does not fit is sent to each as it is written
    BULK = 256              # subscribers from which on a fan-out is flushed in slices
    AROUND = 3 + WS_HEAD_OUT    # bytes of a MESSAGE beside its prefix, middle, header lines and body


cdef Fanout fanout_new(Census *census, Outlets *outlets, const Counter *number, const uint64_t *now,
                       uint64_t slow_consumer_grace, uint64_t key_seed):
    cdef Fanout new = Fanout()
    new.census = census
    new.outlets = outlets
    new.number = number
    new.now = now
    new.slow_consumer_grace = slow_consumer_grace
    new.key_seed = key_seed
    new.form_heads = [b""] * FORMS
    new.most = BATCH_DELIVERIES
    return new


cdef class Fanout:

    def __dealloc__(self):
        clear(self)
        text_free(&self.tails)

    cdef int send(self, object route, const Audience *audience, const Content *content, Origin *origin) except -1:
        """One message. A `full` output in `origin` may come now, or when the batch is settled."""
        cdef size_t count = audience.receivers.count
        if content.properties != NULL:
            self.settle()   # what came before it
            if content.properties.expires and content.properties.expires <= wall_now(self.census):
                return 0
            origin.took += <uint32_t>audience.asked
            return send_from(self, audience, 0, content, origin)
        if count > FEW and content.body_length < SHARED_BODY:
            return self.settle() if add(self, route, audience, content, origin) else 0
        if count > 1 and content.body_length >= SHARED_BODY:
            self.settle()   # smaller ones may have come before it
            return send_from(self, audience, 0, content, origin)
        return send_at_once(self, audience, content, origin)

    cdef int settle(self) except -1:
        """What is in the batch goes to all of its audience."""
        cdef const Audience *audience = self.audience
        cdef bint large
        cdef size_t i
        if self.count == 0:
            return 0
        large = self.tails.end * audience.plain > CACHE
        try:
            for i in range(audience.plain):
                if not needs_form(self, (<Subscription>audience.receivers.items[i]).form):
                    write_tails(self, <Subscription>audience.receivers.items[i], large)
            if self.seen or audience.plain < audience.receivers.count:
                for i in range(self.count):
                    deliver_item(self, audience, i)
        finally:
            clear(self)
        return 0


# ---- one message ----

cdef inline int send_at_once(Fanout self, const Audience *audience, const Content *content, Origin *origin) except -1:
    """To few, in the shortest way; from the first on that needs another, it is taken for all."""
    cdef Subscription subscription
    cdef OutBuf *out
    cdef size_t length, i
    cdef const char *middle = counter_line(self.number, &length)
    for i in range(audience.plain):
        subscription = <Subscription>audience.receivers.items[i]
        out = subscription.out
        if needs_other_form(content, subscription.form) or takes_detour(
                subscription, subscription.prefix_length + length + content.head_length + content.body_length + AROUND):
            return send_from(self, audience, i, content, origin)
        put_message(out, subscription.prefix, subscription.prefix_length, middle, length, subscription.form, content,
                    NULL)
        outbuf_touch(out)
        if outbuf_pressure(out) > self.outlets.soft:
            weigh(self, subscription, out, audience.slow, origin)
    if audience.plain == audience.receivers.count:
        return 0
    return send_from(self, audience, audience.plain, content, origin)


cdef int send_from(Fanout self, const Audience *audience, size_t first, const Content *content,
                   Origin *origin) except -1:
    """To all receivers from there on, whatever they are; what several need is stored once."""
    cdef Transit transit
    cdef Content stored
    cdef size_t i
    transit.content = content
    transit.middle = counter_line(self.number, &transit.middle_length)
    transit.number = self.number.value
    transit.message = NULL
    transit.policy = audience.slow
    transit.owner = audience.owner
    transit.origin = origin
    try:
        if content.body_length >= SHARED_BODY and audience.receivers.count > 1:
            transit.message = message_new(self.census, content, transit.number)
            transit.message.shared.sender = origin.who
            message_content(transit.message, &stored)
            transit.content = &stored   # outputs will point into it
        for i in range(first, audience.asked):
            if i < audience.plain:
                deliver(self, <Subscription>audience.receivers.items[i], &transit)
            else:
                enqueue(self, <Queue>audience.receivers.items[i], &transit)
        ask_all(self, audience, &transit)
    finally:
        if transit.message != NULL:
            message_drop(transit.message)
    return 0


cdef int deliver(Fanout self, Subscription subscription, Transit *transit) except -1:
    """To a plain receiver."""
    cdef OutBuf *out = subscription.out
    cdef const Content *content = transit.content
    if takes_detour(subscription, subscription.prefix_length + transit.middle_length + content.head_length
                    + content.body_length + AROUND):
        return enqueue(self, detour(subscription, transit.owner), transit)
    if needs_other_form(content, subscription.form):
        content = in_form(self, content, subscription.form, transit.number)
    put_message(out, subscription.prefix, subscription.prefix_length, transit.middle, transit.middle_length,
                subscription.form, content, transit.message if content.body_length >= SHARED_BODY else NULL)
    if content.body_length >= SHARED_BODY:
        outbuf_touch_bulk(out)  # or all that others are to be sent would wait behind many copies of it
    else:
        outbuf_touch(out)
    if outbuf_pressure(out) > self.outlets.soft:
        weigh(self, subscription, out, transit.policy, transit.origin)
    return 0


cdef int ask_all(Fanout self, const Audience *audience, Transit *transit) except -1:
    """Those that choose, and can want it at all."""
    cdef size_t i
    for i in range(audience.asked, audience.keyed.first):
        ask(self, <Receiver>audience.receivers.items[i], transit)
    if audience.keyed.first < audience.receivers.count:
        ask_keyed(self, audience, transit)
    return 0


cdef int ask_keyed(Fanout self, const Audience *audience, Transit *transit) except -1:
    cdef uint64_t keys[KEYS_MOST]
    cdef const Keyed *keyed = &audience.keyed
    cdef const uint32_t *before = keyed.chains + keyed.buckets
    cdef Receiver receiver
    cdef uint32_t place
    cdef int i
    for i in range(keyed_keys(keyed, transit.content.head, transit.content.head_length, self.key_seed, keys)):
        place = keyed.chains[keys[i] & (keyed.buckets - 1)]
        while place:
            receiver = <Receiver>audience.receivers.items[keyed.first + place - 1]
            place = before[place - 1]
            if receiver.selector.key == keys[i]:
                ask(self, receiver, transit)
    return 0


cdef int ask(Fanout self, Receiver receiver, Transit *transit) except -1:
    """To one that chooses, if it wants it."""
    if not receiver.wants(transit.content, transit.number, transit.origin, self.census):
        return 0
    transit.origin.took += 1
    if isinstance(receiver, Queue):
        return enqueue(self, <Queue>receiver, transit)
    if must_wait(<Subscription>receiver):
        return enqueue(self, <Queue>(<Subscription>receiver).source, transit)
    return deliver(self, <Subscription>receiver, transit)


cdef inline bint must_wait(Subscription subscription) noexcept:
    """Whether it wants newest values only, and does not take what it is given."""
    return (subscription.source is not None and (<Queue>subscription.source).conflation is not None
            and not (<Queue>subscription.source).conflation.lets_pass(subscription.out))


cdef const Content *in_form(Fanout self, const Content *content, unsigned form, uint64_t number) except NULL:
    """The content for receivers that read it in another form, put together once per message, as long as that is where
    it was: parts of a composite destination may each have a copy."""
    cdef int place = form_version(form) - 10 + (FORMS // 2 if form & FORM_ACTIVEMQ else 0)
    cdef Form *made = &self.forms[place]
    if made.number != number or made.content.body != content.body:
        made.number = number
        self.form_heads[place] = head_in_form(content.head, content.head_length, form)
        made.content = content[0]
        made.content.head = <bytes>self.form_heads[place]
        made.content.head_length = len(<bytes>self.form_heads[place])
        made.content.seen = 0
    return &made.content


# ---- receivers that are too slow, or that are queues ----

cdef inline bint takes_detour(Subscription subscription, size_t size) noexcept:
    """Whether a message may not be written to it now."""
    cdef OutBuf *out = subscription.out
    if subscription.source is not None and (<Queue>subscription.source).waiting():
        return True
    return out.flow.overdue or outbuf_pending(out) + size > out.outlets.hard or ceiling_reached(out.outlets.ceiling)


cdef Queue detour(Subscription subscription, void *owner):
    """The queue of its own, made when it is first needed."""
    cdef Queue queue
    if subscription.source is None:
        queue = queue_new(None, <QueueOwner>owner, (<QueueOwner>owner).policies.usual_queue)
        queue.outlet = subscription.out
        subscription.source = queue
        queue.add_consumer(subscription)
    return <Queue>subscription.source


cdef int enqueue(Fanout self, Queue queue, Transit *transit) except -1:
    cdef OutBuf *out = queue.outlet
    cdef uint8_t policy = policy_for(queue, transit.policy)
    self.census.work += STORE_COST
    if out != NULL and not may_take(self, out, policy):
        transit.origin.dropped += 1
        return 0
    if (queue.marks & RULED or has_group(queue, transit.content)) and not (<QueueOwner>queue.owner).is_plain(
            queue, transit.content, transit.number, transit.origin, True):
        return 0
    if transit.message == NULL:
        transit.message = message_new(self.census, transit.content, transit.number)
        transit.message.shared.sender = transit.origin.who
    if queue.kept is not None and not makes_room(queue, transit.message):
        transit.origin.dropped += 1
        return 0
    message_keep(transit.message)
    push_for(queue, transit.message, transit.origin)
    if queue.ahead:
        queue.spring.rose(queue, transit.message.size)
    if out != NULL and out.flow.overdue and policy == SLOW_DROP_OLDEST:
        drop_oldest(self, queue)
    queue.dispatch()
    if out != NULL and outbuf_pressure(out) > self.outlets.soft:
        weigh(self, queue, out, policy, transit.origin)
    return 0


cdef inline uint8_t policy_for(Queue queue, uint8_t policy) noexcept:
    """Who wants the newest values keeps them, where others would keep the oldest."""
    return SLOW_DROP_OLDEST if queue.conflation is not None and policy == SLOW_DROP_NEWEST else policy


cdef inline bint has_group(Queue queue, const Content *content) noexcept:
    """Whether a queue that has a name keeps a message together with others."""
    return content.properties != NULL and content.properties.group != 0 and queue.name is not None and (
        queue.kept is None)


cdef bint may_take(Fanout self, OutBuf *out, uint8_t policy) noexcept:
    """What the topic's policy says to another message for a subscriber whose grace is over."""
    if out.doom:
        return False
    if not out.flow.overdue or policy == SLOW_DROP_OLDEST or outbuf_pressure(out) <= self.outlets.soft:
        return True
    if policy == SLOW_DISCONNECT:
        outbuf_doom(out, DOOM_SLOW)
    else:
        count_dropped(self, out)
    return False


cdef inline void count_dropped(Fanout self, OutBuf *out) noexcept:
    out.flow.dropped += 1
    self.census.dropped += 1


cdef int drop_oldest(Fanout self, Queue queue) except -1:
    cdef Entry oldest
    while queue.outlet.flow.backlog > self.outlets.soft and queue.waiting() > 1 and take_oldest(queue, &oldest):
        message_drop(oldest.message)
        count_dropped(self, queue.outlet)
    return 0


cdef int weigh(Fanout self, Receiver receiver, OutBuf *out, uint8_t policy, Origin *origin) except -1:
    """Too much waits for this connection: publishers hold back until it has drained or the grace is over."""
    if flow_press(&out.flow, self.now[0], self.slow_consumer_grace, policy):
        receiver.filled = self.now[0]
        if not link_joined(&out.link):
            outbuf_touch(out)   # its deadline is seen to when it is flushed
    if not out.flow.overdue:
        origin.full = &out.flow.waiters
    return 0


# ---- the batch ----

cdef bint add(Fanout self, object route, const Audience *audience, const Content *content, Origin *origin) except -1:
    """Puts a tail together; returns whether the batch is full now."""
    cdef Tail *item = &self.items[self.count]
    cdef char *start = text_reserve(&self.tails, NUMBER_SPACE + content.head_length + content.body_length + 4)
    cdef char *end = start
    cdef const char *middle
    cdef size_t length
    if start == NULL:
        raise MemoryError()
    middle = counter_line(self.number, &length)
    item.middle_length = <uint32_t>length
    memcpy(end, middle, length)
    memcpy(end + length, content.head, content.head_length)
    end += length + content.head_length
    end[0] = c'\n'
    memcpy(end + 1, content.body, content.body_length)
    end += 1 + content.body_length
    end[0] = 0
    end[1] = c'\n'
    item.number = self.number.value
    item.start = self.tails.end
    item.length = end + 2 - start
    item.head_length = <uint32_t>content.head_length
    item.seen = content.seen
    item.opcode = 0
    item.message = NULL
    if self.count == 0:
        self.route = route
        self.audience = audience
        self.origin = origin
    self.tails.end += item.length
    self.seen |= content.seen
    self.count += 1
    return (self.count == BATCH_MESSAGES or self.tails.end >= BATCH_BYTES
            or self.count * audience.weight >= self.most)


cdef inline bint needs_form(Fanout self, unsigned form) noexcept:
    """Whether a receiver that reads header lines in that form needs some of the batch rewritten."""
    return self.seen & form != 0


cdef int write_tails(Fanout self, Subscription subscription, bint large) except -1:
    """All of the batch to one plain receiver: its prefix and a tail, again and again, in one piece."""
    cdef OutBuf *out = subscription.out
    cdef size_t size = self.count * subscription.prefix_length + self.tails.end + framed_room(out, self.count)
    cdef char *room
    cdef uint32_t i
    if out.framing == FRAMING_SOCKJS or takes_detour(subscription, size):
        return deliver_singly(self, subscription)
    room = outbuf_reserve(out, size)
    if room == NULL:
        return 0
    if out.framing != FRAMING_NONE:
        room = put_framed(self, room, subscription)
    else:
        for i in range(self.count):
            memcpy(room, subscription.prefix, subscription.prefix_length)
            room += subscription.prefix_length
            memcpy(room, self.tails.bytes + self.items[i].start, self.items[i].length)
            room += self.items[i].length - 2 + out.frame_end
    size = room - out.data - out.end
    outbuf_commit(out, room)
    if self.audience.receivers.count > BULK:
        outbuf_touch_bulk(out)
    else:
        outbuf_touch(out)
    count_written(out, self.count, size)
    if large:
        outbuf_push(out, size)
    if outbuf_pressure(out) > self.outlets.soft:
        weigh(self, subscription, out, self.audience.slow, self.origin)
    return 0


cdef char *put_framed(Fanout self, char *room, Subscription subscription) noexcept:
    """For a WebSocket, each message behind its head; returns where it ends."""
    cdef const char *tail
    cdef Tail *item
    cdef uint32_t i
    for i in range(self.count):
        item = &self.items[i]
        tail = self.tails.bytes + item.start
        if item.opcode == 0:
            item.opcode = ws_opcode(tail, item.length)
        room += ws_put_head(room, item.opcode, subscription.prefix_length + item.length - 1)
        memcpy(room, subscription.prefix, subscription.prefix_length)
        memcpy(room + subscription.prefix_length, tail, item.length - 1)
        room += subscription.prefix_length + item.length - 1
    return room


cdef int deliver_singly(Fanout self, Subscription subscription) except -1:
    cdef Transit transit
    cdef Content content
    cdef uint32_t i
    for i in range(self.count):
        begin_transit(self, i, &content, &transit)
        try:
            deliver(self, subscription, &transit)
        finally:
            self.items[i].message = transit.message
    return 0


cdef int deliver_item(Fanout self, const Audience *audience, uint32_t index) except -1:
    """One message of the batch to those who read it in another form, which is put together once; and to queues."""
    cdef Transit transit
    cdef Content content
    cdef size_t i
    begin_transit(self, index, &content, &transit)
    try:
        for i in range(audience.plain if self.seen else 0):
            if needs_form(self, (<Subscription>audience.receivers.items[i]).form):
                deliver(self, <Subscription>audience.receivers.items[i], &transit)
        for i in range(audience.plain, audience.asked):
            enqueue(self, <Queue>audience.receivers.items[i], &transit)
        ask_all(self, audience, &transit)
    finally:
        self.items[index].message = transit.message
    return 0


cdef void begin_transit(Fanout self, uint32_t index, Content *content, Transit *transit) noexcept:
    """A message of the batch as a view into its tail."""
    cdef const Tail *item = &self.items[index]
    content.head = self.tails.bytes + item.start + item.middle_length
    content.head_length = item.head_length
    content.body = content.head + item.head_length + 1
    content.body_length = item.length - item.middle_length - item.head_length - 3
    content.seen = item.seen
    content.opcode = item.opcode
    content.properties = NULL
    content.shared = NULL
    transit.content = content
    transit.middle = self.tails.bytes + item.start
    transit.middle_length = item.middle_length
    transit.number = item.number
    transit.message = item.message
    transit.policy = self.audience.slow
    transit.owner = self.audience.owner
    transit.origin = self.origin


cdef void clear(Fanout self) noexcept:
    cdef uint32_t i
    for i in range(self.count):
        if self.items[i].message != NULL:
            message_drop(self.items[i].message)
    self.tails.start = self.tails.end = 0
    self.count = self.seen = 0
    self.route = None
