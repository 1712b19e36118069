"""Profiles: what RabbitMQ, ActiveMQ and Artemis word or default differently, for clients that rely on it.

    ROWS        what a profile does on the wire, one row each      -> a field of Profile, read when something is set up
    ERRORS      the `message` of an ERROR, one row for each of ours
    KEYS        defaults of the configuration, one row for each key

A column is a server, and what it does here was read in its sources: docs/compatibility.md tells it to people. Without a
profile nothing of this is looked at for a message: what is the same in each MESSAGE of a subscription stands in its
prefix, and a SEND that lacks something is told apart by a bit among those of its header names, which the parser begins
with.
"""

from fastbroker.core.frame cimport header_named, header_text, put_as_is, shown

NAMES = ("rabbitmq", "activemq", "artemis")

cdef enum:
    PLAIN = 0               # the column of those who have no profile

# Header lines of CONNECTED, and the headers of CONNECT whose value they have, the first that is there.
ANSWER = ((b"response-id", (b"request-id",)),)

ROWS = {
    # field: without a profile, with rabbitmq, activemq, artemis
    "server": (b"", b"RabbitMQ/4.1.0", b"ActiveMQ/6.1.6", b"ActiveMQ-Artemis/2.41.0"),
    "answers": (
        ANSWER, ANSWER,
        ((b"response-id", (b"request-id", b"receipt")), (b"receipt-id", (b"request-id", b"receipt"))),
        (*ANSWER, (b"receipt-id", (b"receipt",))),
    ),
    "first_lines": (b"", b"redelivered:false\n", b"", b"redelivered:false\n"),
    "always": (
        (), (b"content-length",), (b"expires", b"priority", b"timestamp"),
        (b"expires", b"priority", b"timestamp", b"persistent"),
    ),
    "receipts_at_commit": (False, True, False, False),
    "nack": (NACK_REQUEUES, NACK_REQUEUES, NACK_REJECTS, NACK_DROPS),
    "windows": ((), (), (), (b"consumer-window-size", b"activemq.prefetchSize")),
    "error_versions": (False, True, False, False),
}

# What `always` means where a sender says nothing; the others are found out.
USUAL = {b"priority": b"4", b"persistent": b"false"}

# Ours, or ours and the command, or these and the version: what they say. {name} stands for that header of the frame.
ERRORS = {
    b"not connected": (
        b"Illegal command", b"Not connected.", b"AMQ339008: Connection has not been established."),
    b"already connected": (None, b"Already connected.", None),
    b"unsupported version": (
        b"Version mismatch",
        b"Invalid Protocol version[{accept-version}], supported versions are: [1.2, 1.1, 1.0]",
        b"AMQ339002: Stomp versions not supported: {accept-version}"),
    b"login refused": (
        b"Bad CONNECT", b"User name [{login}] or password is invalid.",
        b"Security Error occurred: User name [{login}] or password is invalid"),
    b"bad heart-beat": (None, b"Invalid heart-beat header:{heart-beat}", None),
    b"unknown command": (
        b"Bad command", b"Unknown STOMP action: {command}", b"AMQ339029: Unsupported command: {command}"),
    b"access refused": (b"access_refused", None, None),
    b"unknown destination": (
        b"Unknown destination",
        b"Illegal destination name: [{destination}] -- ActiveMQ STOMP destinations must begin with one of: /queue/ "
        b"/topic/ /temp-queue/ /temp-topic/",
        None),
    b"bad destination": (b"Invalid destination", None, None),
    b"no such queue": (b"not_found", None, b"AMQ339001: Destination does not exist: {destination}"),
    b"missing header SEND": (
        b"Missing destination", b"SEND received without a Destination specified!", None),
    b"missing header SUBSCRIBE": (
        b"Missing destination", b"Invalid 'null' Destination.",
        b"AMQ339015: Client must set destination or id header to a SUBSCRIBE command"),
    b"missing header UNSUBSCRIBE": (
        b"Missing destination or id",
        b"Must specify the subscriptionId or the destination you are unsubscribing from",
        b"AMQ339035: Must specify the subscription's id or the destination you are unsubscribing from"),
    b"missing header ACK": (b"Missing header", b"ACK received without a message-id to acknowledge!", None),
    b"missing header ACK 1.2": (
        b"Missing header", b"ACK received without a ack id for acknowledge!",
        b"AMQ339039: No id header in ACK/NACK frame."),
    b"missing header NACK": (b"Missing header", b"NACK received without a message-id to acknowledge!", None),
    b"missing header NACK 1.2": (
        b"Missing header", b"NACK received without an ack header to acknowledge!",
        b"AMQ339039: No id header in ACK/NACK frame."),
    b"missing header BEGIN": (
        b"Missing transaction", b"Must specify the transaction you are beginning",
        b"AMQ339032: Need a transaction id to begin"),
    b"missing header COMMIT": (
        b"Missing transaction", b"Must specify the transaction you are committing",
        b"AMQ339030: transaction header is mandatory to COMMIT a transaction"),
    b"missing header ABORT": (
        b"Missing transaction", b"Must specify the transaction you are committing",
        b"AMQ339033: transaction header is mandatory to ABORT a transaction"),
    b"unknown transaction": (b"Bad transaction", b"Invalid transaction id: {transaction}", None),
    b"unknown transaction COMMIT": (
        b"Bad transaction", b"Invalid transaction id: {transaction}", b"AMQ339013: Error committing {transaction}"),
    b"unknown transaction ABORT": (
        b"Bad transaction", b"Invalid transaction id: {transaction}", b"AMQ339014: Error aborting {transaction}"),
    b"duplicate transaction": (
        None, b"The transaction was already started: {transaction}",
        b"AMQ339012: Error beginning a transaction {transaction}"),
    b"too many transactions": (b"Transaction limit exceeded", None, None),
    b"transaction too large": (b"Transaction too large", None, None),
    b"unknown ack ACK": (
        b"Message not found", b"Unexpected ACK received for message-id [{message-id}]",
        b"AMQ339018: Error acknowledging message {message-id}"),
    b"unknown ack NACK": (
        b"Message not found", b"Unexpected NACK received for message-id [{message-id}]",
        b"AMQ339018: Error acknowledging message {message-id}"),
    b"unknown ack ACK 1.2": (
        b"Message not found", b"Unexpected ACK received for message-id [{message-id}]",
        b"AMQ339018: Error acknowledging message {id}"),
    b"unknown ack NACK 1.2": (
        b"Message not found", b"Unexpected NACK received for message-id [{message-id}]",
        b"AMQ339018: Error acknowledging message {id}"),
    b"unknown subscription": (b"No subscription found", b"No subscription matched.", None),
    b"duplicate subscription": (
        b"Duplicated subscription identifier", None,
        b"There already is a subscription for: {id}. Either use unique subscription IDs or do not create multiple "
        b"subscriptions for the same destination"),
}

# What the configuration has where it says nothing: `queues[]` stands for each table of queues, and for all queues that
# have none. None is as without a profile.
KEYS = {
    "subscriptions.prefetch": (65_535, None, 65_535),
    "subscriptions.prefetch_bytes": (2 ** 30, None, 10 * 1024),
    "queues[].dead_letter": (None, "ActiveMQ.DLQ", "DLQ"),
}

cdef dict VERSIONS = {10: b" 1.0", 11: b" 1.1", 12: b" 1.2"}


cdef Profile profile_of(str name):
    """Of the name that `compat.profile` has; empty: none."""
    cdef Profile new = Profile()
    cdef Py_ssize_t column = NAMES.index(name) + 1 if name else PLAIN
    cdef dict row = {field: values[column] for field, values in ROWS.items()}
    new.server = row["server"]
    new.answers = row["answers"]
    new.first_lines = row["first_lines"]
    new.always = row["always"]
    new.receipts_at_commit = row["receipts_at_commit"]
    new.nack = row["nack"]
    new.windows = row["windows"]
    new.error_versions = row["error_versions"]
    new.errors = {}
    if column != PLAIN:
        new.errors = {ours: said[column - 1] for ours, said in ERRORS.items() if said[column - 1] is not None}
    return new


cdef class Profile:

    cdef bytes server_named(self, bytes ours):
        """What CONNECTED calls the broker: clients look for a name in front, and people for ours behind it."""
        return b"%b-%b" % (self.server, ours.replace(b"/", b"-")) if self.server else ours

    cdef bytes error_message(self, const Frame *frame, bytes message, str login):
        """What ERROR says in the place of `message`; NULL: it is about no frame."""
        cdef bytes command = command_in(frame)
        if not self.errors:
            return message
        for key in (b"%b %b%b" % (message, command, VERSIONS.get(frame.version, b"") if frame != NULL else b""),
                    b"%b %b" % (message, command), message):
            if key in self.errors:
                return filled(self.errors[key], frame, login)
        return message

    cdef int complete(self, const Frame *frame, Text *scratch, uint64_t now, Content *content) except -1:
        """Adds the header lines that each MESSAGE has there to those of a SEND. The time is that of day."""
        cdef bytes lines = missing_lines(self, frame, now, content)
        if not lines:
            return 0
        if content.head != scratch.bytes:
            scratch.start = scratch.end = 0
            put_as_is(scratch, content.head, content.head_length - 1)
        put_as_is(scratch, lines, len(lines) - 1)
        content.head = scratch.bytes
        content.head_length = scratch.end
        return 0


cdef bytes missing_lines(Profile self, const Frame *frame, uint64_t now, const Content *content):
    """Those that the sender has not written."""
    cdef list lines = []
    for name in self.always:
        if header_named(frame, name) == NULL:
            lines.append(b"%b:%b\n" % (name, usual_value(name, now, content)))
    return b"".join(lines)


cdef bytes usual_value(bytes name, uint64_t now, const Content *content):
    if name == b"content-length":
        return b"%d" % content.body_length
    if name == b"timestamp":
        return b"%d" % now
    if name == b"expires":
        return b"%d" % (content.properties.expires if content.properties != NULL else 0)
    return USUAL[name]


cdef bytes command_in(const Frame *frame):
    """As the client wrote it."""
    return frame.base[:frame.head_start].partition(b"\n")[0].rstrip(b"\r\0") if frame != NULL else b""


cdef bytes filled(bytes template, const Frame *frame, str login):
    """With what the frame says; as in Java, what it does not say is null."""
    cdef list parts = template.split(b"{")
    cdef list texts = [parts[0]]
    cdef bytes value
    for part in parts[1:]:
        name, _, rest = part.partition(b"}")
        if name == b"command":
            value = command_in(frame)
        elif name == b"login":
            value = login.encode() if login else None
        else:
            value = header_text(frame, name) if frame != NULL else None
        texts += [shown(value) if value is not None else b"null", rest]
    return b"".join(texts)
