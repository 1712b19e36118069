"""The namespace: what a destination leads to, and how a message gets there.

    destination --routes--> Route --take--> subscribers of a topic (topics: patterns in a trie)
                                            a queue                (queues: by name)
                                            several of these       (composite, or copied by a policy)

Routes are looked up once and kept, up to a share of the memory. A queue is there from its first SEND or SUBSCRIBE until
nobody has used it for `limits.queue_idle_timeout`, or as its policy says, which clients may refine (declaring.pyx); a
route whose queue has gone finds it again, or makes it anew.
"""
import secrets

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.string cimport memset

from fastbroker.core.bindings cimport bindings_new
from fastbroker.core.browser cimport browsers_new, queue_was_made
from fastbroker.core.choosing cimport end_choosing, join_queue
from fastbroker.core.composite cimport composite_route
from fastbroker.core.conflation cimport conflation_new
from fastbroker.core.deadletters cimport dead_letters_of, dead_reason_name
from fastbroker.core.declaring cimport declare, declare_again
from fastbroker.core.destination cimport (
    KIND_DIRECT, KIND_EXISTING_QUEUE, KIND_PRESENCE, KIND_QUEUE, KIND_REPLY, KIND_REPLY_TOPIC, KIND_TEMPORARY,
    KIND_TEMPORARY_TOPIC, KIND_TOPIC, Kind, canonical, canonical_of, check_key, check_pattern, check_queue, check_topic,
    is_apart, is_management, kind_of, name_in, parts_of,
)
from fastbroker.core.durables cimport durables_of
from fastbroker.core.fanout cimport detour
from fastbroker.core.frame cimport Content, shown
from fastbroker.core.history cimport histories_new
from fastbroker.core.journal cimport RECORD_DURABLE, RECORD_NUMBERS, RECORD_QUEUE, Journal, Part, Recorded, part_of
from fastbroker.core.message cimport Entry, Message, message_content, message_new
from fastbroker.core.names cimport record_names
from fastbroker.core.pattern cimport is_pattern
from fastbroker.core.policy cimport DURABILITY_WRITTEN, QueuePolicy, TopicPolicy
from fastbroker.core.queue cimport (
    DEAD_DELIVERIES, DEAD_REJECTED, RULED, DeadReason, conflate_by, end_entry, forget_duplicates, keep_in, put_to_rest,
    queue_new, queue_route, tell_group,
)
from fastbroker.core.replay cimport replay_begin
from fastbroker.core.replies cimport reply_topic, reply_topic_route
from fastbroker.core.route cimport has_recorded, nowhere
from fastbroker.core.rules cimport bow_to_dead, is_plain, relieve
from fastbroker.core.schedule cimport Job, comes_later, schedule_new
from fastbroker.core.scheduling cimport scheduling_route
from fastbroker.core.selector cimport Selector, selector_of
from fastbroker.core.several cimport Several, queue_patterns, several_new
from fastbroker.core.stored cimport Stored, packed, tidy
from fastbroker.core.subscription cimport ACK_AUTO
from fastbroker.core.table cimport (
    TableSlot, table_free, table_get, table_init, table_next, table_put, table_remove,
)
from fastbroker.core.topic cimport TopicRoute, forget_outdated, topic_route
from fastbroker.core.wire cimport (
    ASKS_SCHEDULE, DuplicatesShare, Properties, Text, account_charge, ceiling_closed, ceiling_reached, census_spent,
    counter_increment, counter_set, link_join, link_leave, ring_empty, ring_init, ring_take, text_free,
)

from fastbroker.core.frame import Refused
from fastbroker.core.policy import SLOW_POLICIES

cdef enum:
    JOB_WORK = 256          # what publishing a message that was scheduled takes beside its output, in bytes of that
    SCHEDULE_SHARE = 2      # what is published later may take this part of the memory
    HISTORIES_SHARE = 4     # what topics keep for those who come later may take this part of the memory
    AUDIENCES_SHARE = 16    # what the trie said of destinations may take this part of the memory
    DUPLICATES_SHARE = 8    # and so may the names of messages that have come
    ROUTES_SHARE = 16       # looked-up destinations may take this part of the memory; then the oldest are forgotten ...
    FORGOTTEN = 2           # ... so many for each new one
    MOST_STATIONS = 64      # where one message may pass, by what the sender wrote and what the configuration copies
    CONFLATION_COST = 192   # bytes of a Conflation beside the name of its header
    NUMBERS_AHEAD = 1073741824  # message-ids that are reserved in the journal
    APART_LEVELS = 3        # words that the broker puts in front of a name that stands apart
    TELL_EVERY = 60000      # milliseconds between lines of the log on what one queue loses
    BURY_WORK = 1024        # what a dead letter takes, in bytes of output beside its header lines
    QUEUE_WORK = 64             # what it takes to look at one queue, in bytes of output
    DISPATCH_SLICE = 4194304    # bytes of output and work that queues may cause in one turn ...
    EMPTY_SLICE = 1048576       # ... of which one that is emptied has so much

# Of topics that no pattern reaches, by what is done with a slow subscriber: they keep nothing for those who come later.
APART_POLICIES = {slow: TopicPolicy(slow_consumer=name, retain=False) for name, slow in SLOW_POLICIES.items()}




cdef Namespace namespace_new(Census *census, const Ceiling *ceiling, const Limits *limits, Wheel *wheel,
                             const uint64_t *now, Counter *counter, Link *due, Fanout fanout, Policies policies,
                             bytes epoch, cron):
    cdef Namespace new = Namespace()
    new.census = census
    new.ceiling = ceiling
    new.limits = limits
    new.wheel = wheel
    new.now = now
    new.counter = counter
    new.number = counter
    new.due = due
    new.nack_delay = limits.nack_delay
    new.queue_idle_timeout = limits.queue_idle_timeout
    new.queue_memory = limits.queue_memory
    new.policies = policies.counted_in(census)
    new.schedule = schedule_new(census, wheel, now, random_seed(), cron, limits.memory // SCHEDULE_SHARE)
    new.timed.accepted = True
    new.fanout = fanout
    new.epoch = epoch
    new.dead_letters = dead_letters_of(epoch)
    new.topics.count_in(census)
    new.durables = durables_of(new, new.topics, limits.max_durable)
    new.bindings = bindings_new(census, new.topics)
    new.queue_patterns = queue_patterns(census)
    new.audiences.most = limits.memory // AUDIENCES_SHARE
    new.duplicates = DuplicatesShare(ceiling, census, 0, limits.memory // DUPLICATES_SHARE)
    new.browsers = browsers_new(&new.queues)
    new.histories = histories_new(census, ceiling, wheel, now, counter, new.policies,
                                  limits.memory // HISTORIES_SHARE)
    return new


cdef class Namespace(QueueOwner):

    def __cinit__(self):
        self.topics = Trie()
        self.replies = {}
        self.reply_topics = {}
        self.emptying = set()
        ring_init(&self.audiences.routes)
        ring_init(&self.known)
        ring_init(&self.relieved)
        ring_init(&self.deep)
        table_init(&self.routes, random_seed())
        table_init(&self.queues, random_seed())

    def __dealloc__(self):
        while not ring_empty(&self.known):
            forget_oldest(self)
        table_free(&self.routes)
        forget_queues(&self.queues)
        while not ring_empty(&self.deep):
            link_leave(self.deep.next)

    # ---- publishing ----

    cdef int publish(self, Route route, const Content *content, Origin *origin) except -1:
        """One message to whoever gets it. `origin.full` may then be an output that the publisher must wait for."""
        counter_increment(self.counter)
        self.census.messages_in += 1
        if self.fanout.count and self.fanout.route is not route:
            self.fanout.settle()
        return route.take(content, origin)

    cdef int accept(self, Route route, const Content *content, Origin *origin) except -1:
        """A message whose sender may want it to come later."""
        if content.properties == NULL or not comes_later(content.properties):
            return self.publish(route, content, origin)
        add_to_schedule(self, route, content, origin)
        self.census.messages_in += 1
        return 0

    cdef Route route_of(self, const char *destination, size_t length):
        """Where a decoded destination leads; raises Refused when it leads nowhere or is a pattern."""
        cdef Route found = self.known_route(destination, length)
        return found if found is not None else self.new_route(destination[:length], parts_of(destination[:length]))

    cdef Route new_route(self, bytes destination, list parts):
        """Where its parts lead, kept for those who come there again."""
        cdef Route route = self.route_to(destination, parts)
        return kept(self, route) if all([lasts(kind_of(part)) for part in parts]) else route

    cdef Route route_to(self, bytes destination, list parts):
        """Where all of them lead, which is not kept; raises Refused, and has made nothing, if one leads nowhere."""
        cdef list stations = stations_of(self, parts)
        if len(stations) == 1:
            return single_route(self, destination, stations[0])
        return composite_route(destination, [single_route(self, each, each) for each in stations], self.fanout, self)

    # ---- subscribing ----

    cdef int subscribe_topic(self, Subscription subscription, bytes pattern, bint apart=False) except -1:
        """`apart`: to a topic that no pattern reaches, by its canonical name."""
        cdef Trie topics = self.bindings.topics_of(apart)
        cdef Queue queue
        check_listener(self, pattern, apart)
        self.fanout.settle()
        subscription.apart = apart
        if subscription.ack_mode == ACK_AUTO:
            topics.insert(pattern, len(pattern), &subscription.entry)
            return 0
        queue = queue_new(None, self, self.policies.of_queue(pattern))
        queue.outlet = subscription.out
        queue.choose_as(subscription)
        queue.apart = apart
        topics.insert(pattern, len(pattern), &queue.entry)
        return self.subscribe_queue(subscription, queue)

    cdef int subscribe_bound(self, Subscription subscription, bytes name, dict declared, bytes pattern,
                             bint apart) except -1:
        """To the queue of that name, which gets the messages of a topic, or of what a pattern matches."""
        cdef bint made = table_get(&self.queues, name, len(name)) == NULL
        cdef Queue queue
        check_listener(self, pattern, apart)
        queue = self.queue_of(name)
        self.fanout.settle()
        try:
            self.bindings.bind(queue, pattern, apart, made)
            return consume(self, subscription, queue, declared)
        except:
            if made or self.bindings.is_over(queue):
                self.remove_queue(queue)
            raise

    cdef int subscribe_title(self, Subscription subscription, Title title) except -1:
        """To topics, as one that shares a subscription, or finds its own again."""
        check_pattern(title.pattern, self.limits.max_levels)
        self.fanout.settle()
        return self.subscribe_queue(subscription, self.durables.queue_for(title))
    cdef int replay(self, Subscription subscription, bytes pattern, const Asked *asked) except -1:
        """To a new subscription to topics, in front of what comes: what was retained, and the history it asks for."""
        return replay_begin(subscription, self, self.histories, pattern, asked)

    cdef int subscribe_queue(self, Subscription subscription, Queue queue) except -1:
        if queue.name is not None:
            join_queue(queue, subscription)
        subscription.source = queue
        queue.add_consumer(subscription)
        return 0

    cdef int unsubscribe(self, Subscription subscription) except -1:
        """No more messages for it. What it did not settle comes back to its queue later, or goes with that."""
        cdef Queue queue = subscription.source
        if subscription.closed:
            return 0
        subscription.closed = True
        account_charge(subscription.account, -subscription.cost)
        self.fanout.settle()
        self.bindings.leave(subscription)
        if queue is None:
            return 0
        if subscription.several is not None and subscription.part == 0:
            for part in (<Several>subscription.several).end():
                self.unsubscribe(part)
        queue.remove_consumer(subscription)
        if queue.choosers != NULL:
            end_choosing(queue, subscription)
        if queue.name is None:
            self.bindings.leave(queue)
            queue.removed = True
            queue.spring_from(None)
            queue.purge(INT64_MAX)  # no more than an output may have to wait for
        elif queue.kept is not None:
            self.durables.has_left(queue)
        elif self.bindings.is_over(queue) or (
                queue.policy.dies_with_consumer and queue.consumer_count == 0 and not queue.owned):
            self.remove_queue(queue)
        else:
            queue.left()
        return 0

    # ---- queues ----

    cdef Queue queue_of(self, bytes name):
        """The queue of that name; a new one if there is none and there is memory."""
        cdef void *found = table_get(&self.queues, name, len(name))
        if found != NULL:
            return <Queue>found
        if ceiling_reached(self.ceiling):
            raise Refused(b"server busy",
                          b"The memory ceiling is reached; no queue can be created now. Try again later.")
        check_queue(name)
        self.fanout.settle()
        return create_queue(self, name)

    cdef Queue existing_queue(self, bytes name):
        cdef void *found = table_get(&self.queues, name, len(name))
        if found == NULL:
            raise Refused(b"no such queue", b"/amq/queue/ names a queue that exists, and '%b' does not. "
                          b"Use /queue/ to create it." % shown(name))
        return <Queue>found

    cdef Queue renewed(self, bytes name, dict declared):
        cdef void *found = table_get(&self.queues, name, len(name))
        cdef Queue queue
        if found != NULL:
            return <Queue>found
        queue = create_queue(self, name)
        if declared is not None:
            declare(queue, declared, True)  # nobody has put anything there
        return queue

    cdef bint is_plain(self, Queue queue, const Content *content, uint64_t number, Origin *origin,
                       bint is_copy) except -1:
        return is_plain(queue, content, number, origin, is_copy)

    cdef int describe(self, Queue queue, Stored stored) except -1:
        cdef list texts = [queue.name]
        stored.lax = queue.policy.durability == DURABILITY_WRITTEN
        if queue.kept is not None:
            self.durables.describe(queue, stored)
        else:
            for each in (queue.declared or {}).items():
                texts.extend(each)
            stored.define(RECORD_QUEUE, packed(texts), 0)
        keep_in(queue, stored)
        return 0

    cdef Queue new_reply_queue(self):
        """A queue with a name that nobody can guess."""
        cdef bytes name = b"/reply-queue/%b" % secrets.token_hex(12).encode()
        cdef Queue queue = queue_new(name, self, self.policies.usual_queue)
        queue.owned = True
        self.replies[queue.name] = queue
        return queue

    cdef ReplyTopic new_reply_topic(self):
        """A topic with a name that nobody can guess."""
        cdef ReplyTopic topic = reply_topic(b"/reply-topic/%b" % secrets.token_hex(12).encode())
        self.reply_topics[topic.name] = topic
        return topic

    cdef void remove_queue(self, Queue queue) noexcept:
        """Nothing comes to it any more; the messages that wait there are freed in the next turns."""
        cdef bytes name = queue.name
        queue.removed = True
        queue.marks |= RULED    # its routes look at marks first
        if queue.stored is not None:
            queue.stored.gone()
            queue.stored = None
            if queue.names is not None:
                queue.names.gone()
        while not ring_empty(&queue.watchers):
            (<Queue>ring_take(&queue.watchers)).look()
        relieve(queue)
        forget_duplicates(queue)
        self.bindings.release(queue)
        self.queue_patterns.gone(queue)
        if queue.held():
            self.emptying.add(queue)
            queue.look()
        if queue.owned:
            self.replies.pop(name, None)
            return
        if table_remove(&self.queues, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)) != NULL:
            forget_route(self, name)
            forget_route(self, b"/queue/" + name)
            Py_DECREF(queue)

    cdef int dispatch_due(self) except -1:
        """A step of each turn: queues with new credit. Queues that nobody has used for long end here, too, and those
        that have gone are emptied."""
        cdef Queue queue
        cdef int64_t until = census_spent(self.census) + DISPATCH_SLICE
        cdef void *owner
        if self.schedule.ready:
            publish_due(self, until)
        owner = ring_take(self.due)     # which publishing may have been the last to know
        while owner != NULL:
            queue = <Queue>owner
            self.census.work += QUEUE_WORK
            if queue.removed:
                empty(self, queue)
            else:
                queue.dispatch()
                relieve(queue)
                if queue.name is not None and queue.unused() and self.now[0] >= queue.idle.due:
                    self.remove_queue(queue)
            owner = ring_take(self.due) if census_spent(self.census) <= until else NULL
        return 0

    cdef int dead_letter(self, Queue source, Entry *entry, DeadReason reason, bytes text=None) except -1:
        """To the dead-letter queue. At the memory ceiling, what can be tried again is:
        dead letters are larger than what has died."""
        cdef bytes name = self.dead_letters.queue_for(source, entry.message)
        cdef bint was_out = reason == DEAD_REJECTED or reason == DEAD_DELIVERIES
        if name is not None and ceiling_reached(self.ceiling):
            if was_out and not source.removed:
                return put_to_rest(source, entry, self.now[0] + source.policy.redelivery_max_delay)
            name = None
        if was_out:
            tell_group(source, entry)
        self.census.dead_lettered += 1
        source.dead += 1
        try:
            tell_of_dead(self, source, entry, reason, name)
            if name is None:
                self.census.dead_dropped += 1
            else:
                bury(self, name, entry, reason, text)
        finally:
            end_entry(source, entry)
        return 0

    cdef int has_lost(self, Queue queue, uint64_t messages) except -1:
        self.census.dropped += messages
        queue.dead += messages
        if queue.told == 0 or self.now[0] >= queue.told + TELL_EVERY:
            queue.told = self.now[0]
            self.log("warning", "subscription full", subscription="/" + shown(queue.name).decode(),
                     dropped=queue.dead, key="topics.durable")
        return 0

    cdef void sweep(self) noexcept:
        """Once a second: audiences that are out of date need not keep their memory until somebody publishes."""
        cdef uint64_t generation = self.topics.generation + self.bindings.apart.generation
        if self.swept != generation and self.audiences.bytes > self.audiences.most // 4:
            self.swept = generation
            forget_outdated(&self.audiences)


cdef tuple queued(Namespace self):
    """(messages that wait in queues and durable subscriptions or are not settled, and in how many of them)"""
    cdef size_t cursor = 0
    cdef TableSlot *slot = table_next(&self.queues, &cursor)
    cdef int64_t messages = 0, queues = 0, here
    while slot != NULL:
        here = (<Queue>slot.value).held() + (<Queue>slot.value).unsettled
        messages += here
        queues += here > 0
        slot = table_next(&self.queues, &cursor)
    for queue in self.durables.queues():
        here = (<Queue>queue).held() + (<Queue>queue).unsettled
        messages += here
        queues += here > 0
    return messages + self.census.scheduled, queues


cdef int conflate(Namespace self, Subscription subscription, bytes header, bytes pattern, bint apart) except -1:
    """A new subscription to topics shall have the newest message of each value of a header, when it is slow."""
    cdef Queue queue = detour(subscription, <void *>self)
    conflate_by(queue, conflation_new(header, not apart and is_pattern(pattern, len(pattern))))
    subscription.be_asked(CONFLATION_COST + len(header))
    return 0


cdef int consume(Namespace self, Subscription subscription, Queue queue, dict declared) except -1:
    """The queue, and it says what that shall be; None: nothing."""
    cdef dict before = queue.declared
    cdef QueuePolicy policy = queue.policy
    if declared is None:
        return self.subscribe_queue(subscription, queue)
    declare(queue, declared, True)
    try:
        return self.subscribe_queue(subscription, queue)
    except:
        queue.declare(before, policy)
        raise


cdef Several subscribe_several(Namespace self, Subscription subscription, Access access):
    """To several destinations, which the caller then names. Of queues that match a pattern, it gets those that `access`
    permits."""
    cdef Queue home = queue_new(None, self, self.policies.usual_queue)
    cdef Several several = several_new(subscription, home, self.queue_patterns, access)
    self.subscribe_queue(subscription, home)
    return several


cdef int add_to_schedule(Namespace self, Route route, const Content *content, Origin *origin) except -1:
    cdef Recorded before
    if self.journal is None:
        return self.schedule.add(route, content, True)
    before = self.journal.recorded
    self.schedule.add(route, content, origin.accepted)
    has_recorded(origin, self.journal, before)
    return 0


cdef int publish_due(Namespace self, int64_t until) except -1:
    """Messages whose time has come, as many as there is time and memory for."""
    cdef Job *job
    while self.schedule.sweeps:
        if census_spent(self.census) > until:
            return 0
        self.schedule.sweep()
    while census_spent(self.census) <= until and not ceiling_closed(self.ceiling):
        job = self.schedule.take_due()
        if job == NULL:
            return 0
        try:
            publish_job(self, job)
        finally:
            self.schedule.give_back(job)
        if self.timed.full != NULL:
            self.timed.full = NULL
            return 0    # others are slow: the rest comes in the next turns
    return 0


cdef int publish_job(Namespace self, const Job *job) except -1:
    cdef Content content
    cdef Properties properties
    message_content(job.message, &content)
    properties = content.properties[0]
    properties.delay = 0
    properties.flags &= ~<unsigned>ASKS_SCHEDULE
    if properties.expires and job.first:
        properties.expires += job.due - job.first   # its time to live begins each time that it comes
    if job.times:
        properties.duplicate = 0    # it is no duplicate of itself
    content.properties = &properties
    self.timed.again = job.times > 0
    self.census.work += JOB_WORK
    try:
        self.publish(<Route>job.route, &content, &self.timed)
        self.fanout.settle()
    except Refused:
        self.census.dropped += 1
    self.census.messages_in -= 1    # it was counted when it was accepted
    return 0


cdef int bury(Namespace self, bytes name, const Entry *entry, DeadReason reason, bytes text) except -1:
    cdef Queue queue = self.renewed(name, None)
    cdef Content content
    cdef Properties properties
    cdef Text head
    memset(&head, 0, sizeof(head))
    try:
        self.dead_letters.write(entry, reason, text, &head, &content, &properties)
        self.census.work += BURY_WORK + content.head_length
        self.census.dead_dropped += bow_to_dead(queue, &content, &properties)
        queue.push(message_new(self.census, &content, self.dead_letters.next_number()))
    finally:
        text_free(&head)
    queue.call()
    return 0


cdef int tell_of_dead(Namespace self, Queue source, const Entry *entry, DeadReason reason, bytes name) except -1:
    """The first of a queue that goes to another, and the first that goes nowhere, and each again after a while."""
    cdef uint64_t *told = &source.told if name is not None else &source.told_of_lost
    cdef Content content
    if told[0] and self.now[0] < told[0] + TELL_EVERY:
        return 0
    message_content(entry.message, &content)
    self.census.work += content.head_length     # which is looked through
    told[0] = self.now[0]
    self.log("warning", "dead letter", destination=destination_in(content.head[:content.head_length]),
             reason=dead_reason_name(reason).decode(), to=why_nowhere(self, source, entry.message) if name is None
             else "/queue/" + shown(name).decode(), messages=source.dead, key="queues.dead_letter")
    return 0


cdef str why_nowhere(Namespace self, Queue source, const Message *message):
    if self.dead_letters.queue_for(source, message) is not None:
        return "nowhere: the memory ceiling is reached"
    return "nowhere: it died in a dead-letter queue" if source.policy.dead_letter else "nowhere"


cdef str destination_in(bytes lines):
    """As the sender wrote it, in the header lines that go with a message."""
    for line in lines.split(b"\n"):
        if line.startswith(b"destination:"):
            return shown(line.partition(b":")[2]).decode()
    return None


cdef int remove_reply_topic(Namespace self, ReplyTopic topic) except -1:
    topic.gone = True
    del self.reply_topics[topic.name]
    return 0


# ---- routes ----

cdef bint lasts(Kind kind) noexcept:
    """Whether what is found there will be there again."""
    return kind != KIND_EXISTING_QUEUE and kind != KIND_REPLY and kind != KIND_REPLY_TOPIC


cdef list stations_of(Namespace self, list parts):
    """Where a message passes, each once: the destinations, and those that the configuration has copies sent to."""
    cdef set known = set()
    cdef list stations = []
    cdef list waiting = list(parts)
    for destination in waiting:     # which grows
        name = canonical_of(destination)
        if name not in known:
            known.add(name)
            stations.append(destination)
            waiting += checked_copies(self, destination)
        if len(stations) > MOST_STATIONS:
            raise Refused(b"bad destination", b"A message to '%b' would be copied to more than 64 destinations."
                          % shown(parts[0]))
    if len(stations) > 1 and any([is_management_of(each) for each in stations]):
        raise Refused(b"bad destination", b"ActiveMQ.Scheduler.Management stands alone: what it refuses, nobody else "
                      b"may have got.")
    return stations


cdef bint is_management_of(bytes destination):
    cdef Kind kind = kind_of(destination)
    return is_management(kind, name_in(destination, kind))


cdef list checked_copies(Namespace self, bytes destination):
    """Where else the messages of a destination go. Raises Refused if nothing can be sent to it."""
    cdef Kind kind = kind_of(destination)
    cdef bytes name = name_in(destination, kind)
    if is_management(kind, name):
        return []
    if kind == KIND_TOPIC:
        check_topic(name, self.limits.max_levels)
        return self.policies.of_topic(name).forward
    if kind == KIND_QUEUE:
        check_queue(name)
        return self.policies.of_queue(name).mirror
    if kind == KIND_EXISTING_QUEUE:
        return self.existing_queue(name).policy.mirror
    if kind == KIND_DIRECT:
        check_key(name, self.limits.max_levels)
    if kind == KIND_PRESENCE:
        raise Refused(b"bad destination", b"/presence/ can be subscribed to; nobody sends there.")
    if kind == KIND_TEMPORARY or kind == KIND_TEMPORARY_TOPIC:
        raise Refused(b"bad destination", b"'%b' means something to its own connection only." % shown(destination))
    return []


cdef Route single_route(Namespace self, bytes destination, bytes station):
    """To one that can be sent to. `destination` is what the sender wrote."""
    cdef Kind kind = kind_of(station)
    cdef bytes name = name_in(station, kind)
    if is_management(kind, name):
        return scheduling_route(destination, self.schedule, self.counter, self.replies, &self.route_memory)
    if kind == KIND_REPLY:
        return reply_route(self, destination, canonical(kind, name))
    if kind == KIND_REPLY_TOPIC:
        return reply_topic_route_to(self, destination, canonical(kind, name))
    if kind == KIND_TOPIC:
        return topic_route(destination, name, self.policies.of_topic(name), self.topics, self.fanout, self,
                           &self.audiences, self.histories)
    if is_apart(kind):
        return apart_route(self, destination, canonical(kind, name))
    if kind == KIND_EXISTING_QUEUE:
        return queue_route(destination, self.existing_queue(name))
    return queue_route(destination, self.queue_of(name))


cdef TopicRoute apart_route(Namespace self, bytes destination, bytes name):
    """To a topic that no pattern reaches. It keeps nothing for those who come later."""
    cdef TopicPolicy policy = APART_POLICIES[self.policies.of_topic(name[1:]).slow]
    return topic_route(destination, name[1:], policy, self.bindings.apart, self.fanout, self, &self.audiences,
                       self.histories)


cdef Route reply_topic_route_to(Namespace self, bytes destination, bytes name):
    cdef ReplyTopic topic = self.reply_topics.get(name)
    if topic is None:
        return nowhere(destination, self.census, &self.route_memory)
    return reply_topic_route(destination, topic, apart_route(self, destination, name), self)


cdef Route reply_route(Namespace self, bytes destination, bytes name):
    cdef Queue queue = self.replies.get(name)
    if queue is None:
        return nowhere(destination, self.census, &self.route_memory)
    return queue_route(destination, queue)


cdef int check_listener(Namespace self, bytes pattern, bint apart) except -1:
    if apart:
        return check_key(pattern, self.limits.max_levels + APART_LEVELS)
    return check_pattern(pattern, self.limits.max_levels)


cdef Route kept(Namespace self, Route route):
    for _ in range(FORGOTTEN):
        if self.route_memory > self.limits.memory // ROUTES_SHARE and not ring_empty(&self.known):
            forget_oldest(self)
    if table_put(&self.routes, route.destination_bytes, route.destination_length, <void *>route) < 0:
        raise MemoryError()
    link_join(&self.known, &route.known)
    Py_INCREF(route)
    return route


cdef void forget_oldest(Namespace self) noexcept:
    """Also one that comes again and again: it is looked up anew."""
    forget_route(self, (<Route>self.known.next.owner).destination)


cdef void forget_route(Namespace self, bytes destination) noexcept:
    cdef void *found = table_remove(&self.routes, PyBytes_AS_STRING(destination), PyBytes_GET_SIZE(destination))
    if found != NULL:
        link_leave(&(<Route>found).known)
        Py_DECREF(<Route>found)


cdef int empty(Namespace self, Queue queue) except -1:
    queue.purge(census_spent(self.census) + EMPTY_SLICE)
    if queue.held():
        queue.look()
    else:
        self.emptying.discard(queue)
    return 0


cdef Queue create_queue(Namespace self, bytes name):
    cdef Queue queue = queue_new(name, self, self.policies.of_queue(name))
    if table_put(&self.queues, queue.name, len(name), <void *>queue) < 0:
        raise MemoryError()
    Py_INCREF(queue)
    queue.left()
    self.queue_patterns.came(queue)
    if self.fanout.count == 0:  # its audience is what the trie has said
        self.bindings.follow(queue)
    if self.browsers.absent:
        queue_was_made(self.browsers, name)
    return queue


# ---- what was kept of a broker before ----

cdef int keep(Namespace self) except -1:
    """What was recorded goes to the store, if that is idle."""
    cdef Journal journal = self.journal
    if not journal.store.idle():
        return 0
    record_names(journal)
    tidy(journal)
    keep_numbers(self)
    return journal.commit() if journal.run.used else 0


cdef int keep_numbers(Namespace self) except -1:
    """A broker that starts after this one begins behind the numbers that were reserved, half of them before they are
    used up."""
    cdef uint64_t[3] numbers
    cdef Part part = part_of(&numbers[0], sizeof(numbers))
    if self.number.value + NUMBERS_AHEAD // 2 < self.journal.numbers:
        return 0
    self.journal.numbers = self.number.value + NUMBERS_AHEAD
    numbers = [self.journal.numbers, self.dead_letters.last + NUMBERS_AHEAD, self.journal.last_key + NUMBERS_AHEAD]
    self.journal.recorded.strict += 1
    self.journal.put(RECORD_NUMBERS, 0, &part, 1)
    return 0


cdef int go_on_from(Namespace self, uint64_t number, uint64_t dead_number) except -1:
    """Ids up to these may have been given."""
    counter_set(self.counter, number)
    self.dead_letters.last = max(self.dead_letters.last, dead_number)
    return 0


cdef Queue restore_queue(Namespace self, int kind, uint32_t stored_as, list texts, uint64_t not_by, uint64_t given,
                         uint64_t next_place):
    """One that stored.pyx has described."""
    cdef Queue queue
    cdef Selector selector
    cdef Stored stored = Stored()
    if kind == RECORD_DURABLE:
        selector = selector_of(texts[2], self.epoch, self.fanout.key_seed, self.census) if len(texts) > 2 else None
        queue = self.durables.restore(texts, selector, not_by)
    else:
        queue = create_queue(self, texts[0])
        if len(texts) > 1:
            declare_again(queue, dict(zip(texts[1::2], texts[2::2])))
    stored.journal = self.journal
    stored.number = stored_as
    stored.shard = self.journal.shard_of(queue.name, len(queue.name))
    stored.kind, stored.texts, stored.not_by, stored.given = kind, packed(texts), not_by, given
    keep_in(queue, stored)
    queue.next_number = next_place
    return queue


cdef Queue known_queue(Namespace self, bytes name):
    """The queue of that name, or None. Raises Refused if there cannot be one."""
    cdef void *found = table_get(&self.queues, name, len(name))
    check_queue(name)
    return <Queue>found if found != NULL else None


# ---- the tables ----

cdef object random_seed():
    return int.from_bytes(secrets.token_bytes(8), "little")


cdef void forget_queues(Table *queues) noexcept:
    cdef size_t cursor = 0
    cdef TableSlot *slot = table_next(queues, &cursor)
    while slot != NULL:
        Py_DECREF(<object>slot.value)
        slot = table_next(queues, &cursor)
    table_free(queues)
