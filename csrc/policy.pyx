"""Policies: what the operator wants of queues and topics, by the patterns of their names.

The first pattern that matches a name decides, for all that its table says; what it does not say, and names that none
matches, have the defaults of docs/configuration.md. It is asked once for each queue and each topic.

Behind the operator's tables of queues stands one of our own: dead letters nobody looks at must not fill the memory.
"""
from fastbroker.core.pattern cimport LEVELS_MAX, pattern_matches

SLOW_POLICIES = {"disconnect": SLOW_DISCONNECT, "drop-oldest": SLOW_DROP_OLDEST, "drop-newest": SLOW_DROP_NEWEST}
OVERFLOWS = {"reject": OVERFLOW_REJECT, "drop-oldest": OVERFLOW_DROP_OLDEST, "dead-letter": OVERFLOW_DEAD_LETTER,
             "block": OVERFLOW_BLOCK}
PERSISTENT = {"asked": PERSISTENT_ASKED, "always": PERSISTENT_ALWAYS, "never": PERSISTENT_NEVER}
DURABILITIES = {"fsync": DURABILITY_FSYNC, "written": DURABILITY_WRITTEN, "memory": DURABILITY_MEMORY}
DURABLE_OVERFLOWS = {name: OVERFLOWS[name] for name in ("drop-oldest", "reject", "dead-letter")}
LAST_QUEUES = (("DLQ.>", {"max_messages": 10_000, "overflow": "drop-oldest"}),)

cdef enum:
    TABLE_COST = 128    # what looking at one pattern costs, in bytes of output that would have cost as much


cdef class QueuePolicy:

    def __init__(self, **settings):
        """Times are milliseconds, sizes bytes; 0 is no limit."""
        self.settings = settings
        self.max_deliveries = settings.get("max_deliveries", 20)
        self.redelivery_delay = settings.get("redelivery_delay", 50)
        self.redelivery_multiplier = settings.get("redelivery_multiplier", 2.0)
        self.redelivery_max_delay = settings.get("redelivery_max_delay", 60_000)
        self.redelivery_jitter = settings.get("redelivery_jitter", 0.1)
        self.dead_letter = settings.get("dead_letter", "DLQ.{name}").encode()
        self.dead_letter_expired = settings.get("dead_letter_expired", False)
        self.ttl = settings.get("ttl", 0)
        self.max_ttl = settings.get("max_ttl", 0)
        self.max_messages = settings.get("max_messages", 0)
        self.max_bytes = settings.get("max_bytes", 0)
        self.overflow = OVERFLOWS[settings.get("overflow", "reject")]
        self.idle_timeout = settings.get("idle_timeout", 0)
        self.auto_delete = settings.get("auto_delete", False)
        self.dies_with_consumer = settings.get("dies_with_consumer", False)
        self.idle_drops = self.dies_with_consumer or settings.get("idle_drops", False)
        self.exclusive = settings.get("exclusive", False)
        self.duplicate_window = settings.get("duplicate_window", 10_000)
        self.persistent = PERSISTENT[settings.get("persistent", "asked")]
        self.durability = DURABILITIES[settings.get("durability", "fsync")]
        self.mirror = [name.encode() for name in settings.get("mirror", ())]

    cdef QueuePolicy refined(self, dict more):
        """A copy, in which those settings count instead."""
        return QueuePolicy(**{**self.settings, **more})


cdef class TopicPolicy:

    def __init__(self, **settings):
        """Times are milliseconds, sizes bytes; 0 is no limit."""
        self.slow = SLOW_POLICIES[settings.get("slow_consumer", "disconnect")]
        self.retain = settings.get("retain", True)
        self.history_messages = settings.get("history_messages", 0)
        self.history_bytes = settings.get("history_bytes", 0)
        self.history_age = settings.get("history_age", 0)
        self.durable_messages = settings.get("durable_messages", 1_000_000)
        self.durable_bytes = settings.get("durable_bytes", 0)
        self.durable_overflow = DURABLE_OVERFLOWS[settings.get("durable_overflow", "drop-oldest")]
        self.persistent = PERSISTENT[settings.get("persistent", "asked")]
        self.durability = DURABILITIES[settings.get("durability", "fsync")]
        self.presence = settings.get("presence", False)
        self.forward = [name.encode() for name in settings.get("forward", ())]


cdef class Policies:

    def __init__(self, queues=(), topics=(), usual=None):
        """(pattern, settings) of each, the first that matches counts; `usual` settings have queues that none does."""
        self.queues = [(pattern.encode(), QueuePolicy(**settings)) for pattern, settings in (*queues, *LAST_QUEUES)]
        self.topics = [(pattern.encode(), TopicPolicy(**settings)) for pattern, settings in topics]
        self.usual_queue = QueuePolicy(**(usual or {}))
        self.usual_topic = TopicPolicy()

    cdef Policies counted_in(self, Census *census):
        cdef Policies new = Policies.__new__(Policies)
        new.queues = self.queues
        new.topics = self.topics
        new.usual_queue = self.usual_queue
        new.usual_topic = self.usual_topic
        new.work = &census.work
        return new

    cdef QueuePolicy of_queue(self, bytes name):
        return first(self, self.queues, name, self.usual_queue)

    cdef TopicPolicy of_topic(self, bytes name):
        return first(self, self.topics, name, self.usual_topic)


cdef object first(Policies self, list policies, bytes name, usual):
    cdef size_t length = first_words(name)
    cdef int64_t looked_at = 0
    found = usual
    for pattern, policy in policies:
        looked_at += 1
        if pattern_matches(<bytes>pattern, len(pattern), name, length):
            found = policy
            break
    if self.work != NULL:
        self.work[0] += TABLE_COST * looked_at
    return found


cdef size_t first_words(bytes name) noexcept:
    """How many bytes of a name are asked about: as many words as patterns know, or nobody's limits would hold for a
    queue with a name of more."""
    cdef const char *text = name
    cdef size_t words = 1, at
    for at in range(<size_t>len(name)):
        if text[at] == b"." or text[at] == b"/":
            if words == LEVELS_MAX:
                return at
            words += 1
    return len(name)


def asked_about(bytes name not None):
    """What of a name is asked about."""
    return name[:first_words(name)]
