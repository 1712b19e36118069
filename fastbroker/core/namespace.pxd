"""The destinations of a virtual host: its topics, its queues, and the routes that lead to them."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.access cimport Access
from fastbroker.core.bindings cimport Bindings
from fastbroker.core.browser cimport Browsers
from fastbroker.core.deadletters cimport DeadLetters
from fastbroker.core.durables cimport Durables, Title
from fastbroker.core.fanout cimport Fanout
from fastbroker.core.frame cimport Content
from fastbroker.core.history cimport Histories
from fastbroker.core.limits cimport Limits
from fastbroker.core.policy cimport Policies
from fastbroker.core.queue cimport Queue, QueueOwner
from fastbroker.core.replay cimport Asked
from fastbroker.core.replies cimport ReplyTopic
from fastbroker.core.route cimport Origin, Route
from fastbroker.core.schedule cimport Schedule
from fastbroker.core.several cimport QueuePatterns, Several
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.table cimport Table, table_get
from fastbroker.core.topic cimport Audiences
from fastbroker.core.trie cimport Trie
from fastbroker.core.wire cimport Census, Ceiling, Counter, Link, Wheel


@cython.final
cdef class Namespace(QueueOwner):
    cdef const Limits *limits
    cdef Counter *counter           # `number`, which it moves on
    cdef Fanout fanout
    cdef readonly bytes epoch       # part of every message-id, in front of the number
    cdef Trie topics
    cdef Bindings bindings
    cdef Audiences audiences
    cdef uint64_t swept             # generation of `topics` whose outdated audiences are forgotten
    cdef Histories histories
    cdef Table routes
    cdef Link known                 # ring of those, the oldest first
    cdef Table queues
    cdef QueuePatterns queue_patterns   # that somebody has subscribed to
    cdef Browsers browsers
    cdef dict replies               # /reply-queue/<token> -> Queue
    cdef Durables durables          # subscriptions to topics that have names
    cdef DeadLetters dead_letters
    cdef dict reply_topics          # /reply-topic/<token> -> ReplyTopic
    cdef set emptying               # queues that were removed and still have messages
    cdef object log
    cdef Schedule schedule
    cdef Origin timed               # of what is published when its time has come

    cdef int publish(self, Route route, const Content *content, Origin *origin) except -1
    cdef int accept(self, Route route, const Content *content, Origin *origin) except -1
    cdef Route route_of(self, const char *destination, size_t length)
    cdef Route new_route(self, bytes destination, list parts)
    cdef Route route_to(self, bytes destination, list parts)
    cdef int subscribe_topic(self, Subscription subscription, bytes pattern, bint apart=*) except -1
    cdef int subscribe_bound(self, Subscription subscription, bytes name, dict declared, bytes pattern,
                             bint apart) except -1
    cdef int subscribe_title(self, Subscription subscription, Title title) except -1
    cdef int replay(self, Subscription subscription, bytes pattern, const Asked *asked) except -1
    cdef int subscribe_queue(self, Subscription subscription, Queue queue) except -1
    cdef int unsubscribe(self, Subscription subscription) except -1
    cdef Queue queue_of(self, bytes name)
    cdef Queue existing_queue(self, bytes name)
    cdef Queue new_reply_queue(self)
    cdef ReplyTopic new_reply_topic(self)
    cdef int dispatch_due(self) except -1
    cdef void sweep(self) noexcept

    cdef inline bint has_given(self, uint64_t number) noexcept:
        """Whether a message has that number."""
        return 0 < number <= self.number.value or self.dead_letters.has_given(number)

    cdef inline Route known_route(self, const char *destination, size_t length):
        """Where a decoded destination leads, if somebody has looked there before; else None."""
        cdef void *found = table_get(&self.routes, destination, length)
        return <Route>found if found != NULL else None


cdef Namespace namespace_new(Census *census, const Ceiling *ceiling, const Limits *limits, Wheel *wheel,
                             const uint64_t *now, Counter *counter, Link *due, Fanout fanout, Policies policies,
                             bytes epoch, cron)
cdef int keep(Namespace self) except -1
cdef int go_on_from(Namespace self, uint64_t number, uint64_t dead_number) except -1
cdef Queue restore_queue(Namespace self, int kind, uint32_t stored_as, list texts, uint64_t not_by, uint64_t given,
                         uint64_t next_place)
cdef tuple queued(Namespace self)
cdef list stations_of(Namespace self, list parts)
cdef int conflate(Namespace self, Subscription subscription, bytes header, bytes pattern, bint apart) except -1
cdef int consume(Namespace self, Subscription subscription, Queue queue, dict declared) except -1
cdef Several subscribe_several(Namespace self, Subscription subscription, Access access)
cdef Queue known_queue(Namespace self, bytes name)
cdef int remove_reply_topic(Namespace self, ReplyTopic topic) except -1
