"""The broker: what all sessions of a loop share."""
import secrets

from libc.stdint cimport INT64_MAX

from fastbroker.core.fanout cimport fanout_new
from fastbroker.core.fetching cimport fetching_new
from fastbroker.core.frame cimport NAME_UNTOLD, frame_free, frame_init
from fastbroker.core.journal cimport journal_new
from fastbroker.core.namespace cimport namespace_new
from fastbroker.core.policy cimport Policies
from fastbroker.core.presence cimport presence_of
from fastbroker.core.profile cimport profile_of
from fastbroker.core.receipts cimport Receipts
from fastbroker.core.spilling cimport spilling_new
from fastbroker.core.wire cimport (
    blocks_end, blocks_init, ceiling_init, counter_init, link_join, memory_settle, pool_free, ring_init, text_free,
    wheel_init,
)

EPOCH_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
LIMIT_NAMES = (
    "login_timeout", "idle_timeout", "outbound_timeout", "slow_consumer_grace", "transaction_timeout",
    "queue_idle_timeout", "nack_delay", "linger", "frame_timeout", "heart_beat_send", "heart_beat_receive",
    "heart_beat_margin", "memory", "max_parked", "max_transaction_bytes", "prefetch_bytes", "max_unauthenticated",
    "max_subscriptions", "max_durable", "queue_memory", "max_transactions", "max_transaction_frames", "prefetch",
    "max_prefetch", "max_levels",
)


cdef bytes random_epoch():
    """What tells the message-ids of one run of a broker from those of all others: its numbers begin anew."""
    return "".join(secrets.choice(EPOCH_ALPHABET) for _ in range(8)).encode()


cdef class Broker:
    """Settings are those of docs/configuration.md.

    `epoch` stands in every message-id, whose numbers begin anew with it; a random one if none is given. `journal` is
    what outlives it, and None if nothing does: a store, how many shards it has, and the seed of hashes that are kept
    there.
    """

    def __cinit__(self):
        blocks_init(&self.blocks, &self.census)
        ring_init(&self.due)
        ring_init(&self.released)
        ring_init(&self.parking)
        ring_init(&self.owing)
        ring_init(&self.wills_due)
        ring_init(&self.outlets.dirty)
        ring_init(&self.outlets.bulk)
        self.outlets.census = &self.census
        self.outlets.ceiling = &self.ceiling
        self.recorded = &self.nothing
        self.now = 1
        self.share_ends = INT64_MAX
        counter_init(&self.number)
        wheel_init(&self.wheel, self.now)
        memory_settle()

    def __init__(self, settings, Policies policies not None, authenticate, authorize, log, server, epoch=None,
                 debug=False, cron=None, journal=None):
        take_limits(self, settings)
        frame_init(&self.frame, self.parser_limits.max_headers)
        self.authenticate = authenticate
        self.authorize = authorize
        self.log = log
        self.debug = debug
        self.server = self.profile.server_named(server.encode())
        self.parser = Parser()
        self.parser.limits = &self.parser_limits
        self.short_sessions = set()
        self.wills = set()
        self.property_seed = int.from_bytes(secrets.token_bytes(8), "little")
        if journal is not None:
            store, shards, self.property_seed = journal
            self.journal = journal_new(store, &self.census, shards, self.property_seed)
            self.recorded = &self.journal.recorded
        self.fanout = fanout_new(&self.census, &self.outlets, &self.number, &self.now,
                                 self.limits.slow_consumer_grace, self.property_seed)
        self.namespace = namespace_new(&self.census, &self.ceiling, &self.limits, &self.wheel, &self.now, &self.number,
                                       &self.due, self.fanout, policies, epoch or random_epoch(), cron)
        self.namespace.log = log
        self.namespace.journal = self.namespace.schedule.journal = self.namespace.histories.journal = self.journal
        if self.journal is not None:
            self.namespace.fetching = fetching_new(self.journal, &self.census, log, self.namespace.epoch)
            self.spilling = spilling_new(self.namespace)
        self.presence = presence_of(self.namespace)

    def __dealloc__(self):
        blocks_end(&self.blocks)
        frame_free(&self.frame)
        text_free(&self.scratch)
        pool_free(&self.outlets)

    cdef int report(self, uint64_t durable, uint64_t written) except -1:
        """The journal has all groups up to the first number on the disk, and the system has all up to the second:
        receipts that promise that go out."""
        cdef Link *owing = self.owing.next
        self.durable = durable
        self.written = written
        while owing != &self.owing:
            (<Receipts>owing.owner).release(durable, written)
            if (<Receipts>owing.owner).empty():
                link_join(&self.released, (<Receipts>owing.owner).go_on)
            owing = owing.next
        return 0


cdef int take_limits(Broker self, dict settings) except -1:
    self.limits = {name: settings[name] for name in LIMIT_NAMES}
    ceiling_init(&self.ceiling, &self.census, self.limits.memory)
    self.takes_wills = settings.get("last_will", False)
    self.profile = profile_of(settings.get("profile", ""))
    self.parser_limits.names = NAME_UNTOLD if self.profile.always else 0
    self.parser_limits.max_frame = settings["max_frame"]
    self.parser_limits.max_frame_before_login = settings["max_frame_before_login"]
    self.parser_limits.max_header_line = settings["max_header_line"]
    self.parser_limits.max_header_block = settings["max_header_block"]
    self.parser_limits.max_headers = settings["max_headers"]
    self.parser_limits.strict = settings["strict"]
    self.parser_limits.lenient_content_length = settings["lenient_content_length"]
    self.outlets.soft = settings["outbound_soft"]
    self.outlets.low = self.outlets.soft // 2
    self.outlets.hard = settings["outbound_hard"]
    self.outlets.own = (self.outlets.soft + self.outlets.hard) // 2
    return 0
