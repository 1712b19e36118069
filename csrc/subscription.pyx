"""Subscriptions: writing a queued message to the client, and the list of what it has not settled."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, strlen

from fastbroker.core.frame cimport FORM_ACTIVEMQ, Content, encoded, form_of
from fastbroker.core.ledger cimport NO_SLOT, Delivery, Ledger, put_ack
from fastbroker.core.message cimport (
    MIDDLE_SPACE, Entry, message_content, message_drop, put_message, put_middle, put_redelivered,
)
from fastbroker.core.wire cimport Account, Link, OutBuf, account_charge, link_init, outbuf_touch, put_number


cdef enum:
    MAKE_WORK = 2560    # what it takes to make one, in bytes of output
    MEMBER_WORK = 1024  # and one that is part of another
    COST = 640  # bytes of a subscription beside its texts: this object, those of its texts, its places in tables


cdef bytes prefix_of(bytes id, bytes epoch, int version):
    """Everything of a MESSAGE in front of the number in its message-id (STOMP 1.2, "MESSAGE")."""
    if id is None:
        return b"MESSAGE\nmessage-id:%b-" % epoch
    return b"MESSAGE\nsubscription:%b\nmessage-id:%b-" % (encoded(id, version), epoch)


cdef Subscription subscription_new(bytes id, bytes destination, bytes epoch, int version, int ack_mode,
                                   OutBuf *out, Ledger ledger, Link *starved, Account *account):
    """`account` outlives it; its credit is for the caller to set."""
    cdef Subscription new = Subscription()
    new.id = id
    new.destination = destination
    new.prefix_owner = prefix_of(id, epoch, version)
    new.prefix = PyBytes_AS_STRING(new.prefix_owner)
    new.prefix_length = PyBytes_GET_SIZE(new.prefix_owner)
    new.again = new.prefix
    new.again_length = new.prefix_length
    new.version = version
    new.form = form_of(version)
    new.ack_mode = ack_mode
    new.plain = ack_mode == ACK_AUTO
    new.out = out
    new.ledger = ledger
    new.starved = starved
    new.census = ledger.census
    new.census.subscriptions += 1
    new.census.work += MAKE_WORK
    new.account = account
    new.cost = COST + 2 * (len(id) if id is not None else 0) + 2 * len(destination)
    account_charge(account, new.cost)
    new.entry.value = <void *>new
    link_init(&new.ready, <void *>new)
    return new


cdef Subscription subscription_member(Subscription whole, uint32_t part):
    """A consumer of one of several destinations: what it has not settled is in the row of the whole."""
    cdef Subscription new = Subscription()
    new.several = whole.several
    new.credit = whole.credit
    new.part = part
    new.id = whole.id
    new.destination = whole.destination
    new.prefix_owner = whole.prefix_owner
    new.prefix = whole.prefix
    new.prefix_length = whole.prefix_length
    new.again_owner = whole.again_owner
    new.again = whole.again
    new.again_length = whole.again_length
    new.version = whole.version
    new.form = whole.form
    new.ack_mode = whole.ack_mode if whole.ack_mode == ACK_AUTO else whole.ack_mode + ACK_CLIENT_INDIVIDUAL
    new.plain = whole.plain
    new.chooses = whole.chooses
    new.selector = whole.selector
    new.not_from = whole.not_from
    new.not_by = whole.not_by
    new.priority = whole.priority
    new.exclusive = whole.exclusive
    new.redelivery = whole.redelivery
    new.out = whole.out
    new.ledger = whole.ledger
    new.starved = whole.starved
    new.census = whole.census
    new.census.work += MEMBER_WORK
    new.account = whole.account
    new.cost = COST
    account_charge(new.account, new.cost)
    new.entry.value = <void *>new
    link_init(&new.ready, <void *>new)
    return new


cdef class Receiver:
    pass


cdef class Subscription(Receiver):

    def __cinit__(self):
        self.credit = &self.own
        self.own.first = self.own.last = NO_SLOT

    def __dealloc__(self):
        free(self.looked)
        if self.census != NULL and self.part == 0:
            self.census.subscriptions -= 1

    cdef void choose(self, Selector selector, const void *not_from) noexcept:
        """From now on it takes only what a selector selects (None: everything), and nothing of that Origin (NULL: from
        everybody), which is its session's, as long as that is there."""
        if selector is None and not_from == NULL:
            return
        self.selector = selector
        self.not_from = not_from
        self.be_asked(0 if selector is None else selector.cost)

    cdef void choose_nothing(self) noexcept:
        """It takes all that it is given: somebody else chooses for it."""
        if self.selector is not None:
            self.cost -= self.selector.cost
            account_charge(self.account, -self.selector.cost)
        self.selector = None
        self.not_from = NULL
        self.chooses = False
        self.plain = self.ack_mode == ACK_AUTO

    cdef void be_asked(self, int64_t cost) noexcept:
        """It is not written to en bloc, for something that costs so many bytes."""
        self.chooses = True
        self.plain = False
        self.cost += cost
        account_charge(self.account, cost)

    cdef void begin_with(self, bytes lines):
        """Those stand in front of each message that was not given out before."""
        self.again_owner = self.prefix_owner
        self.prefix_owner = b"MESSAGE\n%b%b" % (lines, self.again_owner[8:])
        self.prefix = PyBytes_AS_STRING(self.prefix_owner)
        self.prefix_length = PyBytes_GET_SIZE(self.prefix_owner)
        self.cost += self.prefix_length
        account_charge(self.account, self.prefix_length)

    cdef int hand_over(self, Entry *entry) except -1:
        """Writes one MESSAGE; takes over the entry's reference, until the client settles it unless it is `auto`."""
        cdef char middle[MIDDLE_SPACE]
        cdef const char *prefix = self.prefix
        cdef size_t prefix_length = self.prefix_length
        cdef size_t length = put_middle(middle, entry.message.id)
        cdef Content content
        cdef uint32_t slot
        entry.deliveries += 1
        message_content(entry.message, &content)
        if self.ack_mode != ACK_AUTO:
            slot = remember(self, entry)
            if self.version == 12:
                memcpy(middle + length, b"ack:", 4)
                length += 4 + put_ack(middle + length + 4, slot, self.ledger.slots[slot].generation)
                middle[length] = c'\n'
                length += 1
        if entry.deliveries > 1:
            prefix = self.again
            prefix_length = self.again_length
            length += put_redelivered(middle + length, entry)
        if self.marks:
            length += put_marks(self, entry, middle + length)
        put_message(self.out, prefix, prefix_length, middle, length, self.form, &content, entry.message)
        outbuf_touch(self.out)
        if self.ack_mode == ACK_AUTO:
            message_drop(entry.message)
        return 0

    cdef void take_out(self, uint32_t slot, Entry *entry) noexcept:
        """Takes a delivery out of the ledger; its message reference goes to the caller with `entry`."""
        cdef Delivery *slots = self.ledger.slots
        cdef Delivery *delivery = &slots[slot]
        entry[0] = delivery.entry
        if delivery.previous == NO_SLOT:
            self.credit.first = delivery.next
        else:
            slots[delivery.previous].next = delivery.next
        if delivery.next == NO_SLOT:
            self.credit.last = delivery.previous
        else:
            slots[delivery.next].previous = delivery.previous
        self.credit.outstanding -= 1
        self.credit.outstanding_bytes -= delivery.entry.message.size
        self.ledger.give_back(slot)


cdef size_t put_marks(Subscription self, const Entry *entry, char *room) noexcept:
    """What there is to say of this message only."""
    cdef const char *retained = b"retained:true\n"
    cdef size_t length = 0
    if self.form & FORM_ACTIVEMQ:
        retained = b"ActiveMQ.Retained:true\n"
    if self.marks & MARK_GAP:
        memcpy(room, b"gap:true\n", 9)
        length = 9
    if self.marks & MARK_RETAINED:
        memcpy(room + length, retained, strlen(retained))
        length += strlen(retained)
    if self.numbered is not None:
        length += put_place(self.numbered, entry.number + 1, room + length)
    self.marks &= MARK_SHOWN
    return length


cdef size_t put_place(bytes name, uint64_t number, char *room) noexcept:
    cdef size_t length = len(name)
    memcpy(room, <const char *>name, length)
    length += put_number(room + length, number)
    room[length] = c'\n'
    return length + 1


cdef uint32_t remember(Subscription self, const Entry *entry) except? 0xffffffff:
    cdef uint32_t slot = self.ledger.take()
    cdef Delivery *slots = self.ledger.slots
    cdef Delivery *delivery = &slots[slot]
    cdef Credit *credit = self.credit
    delivery.entry = entry[0]
    if self.ledger.indexed:
        self.ledger.note(slot)
    delivery.subscription = <void *>self
    delivery.next = NO_SLOT
    delivery.previous = credit.last
    if credit.last == NO_SLOT:
        credit.first = slot
    else:
        slots[credit.last].next = slot
    credit.last = slot
    credit.outstanding += 1
    credit.outstanding_bytes += entry.message.size
    return slot
