"""What a load is: who sends how much of what to whom. A scenario names one; the generator is given one."""

from typing import Literal

from msgspec import Struct

Kind = Literal["flow", "ping", "request", "connect", "storm", "churn", "idle", "replay", "schedule", "drain"]
Ack = Literal["auto", "client", "client-individual"]
Protocol = Literal["stomp", "nats", "jetstream", "relay", "disk"]
SchemeName = Literal["tcp", "tls", "unix", "ws", "wss"]

# Window of receipts: ask for one with each SEND, and wait for none.
UNBOUNDED = -1
# A body begins with what the check needs: stream, number, intended time.
LEAST_SIZE = 16


class Target(Struct, frozen=True, kw_only=True):
    """The server under load."""

    host: str
    """What the server is called; it is also whom its certificate must be for."""
    port: int
    scheme: SchemeName = "tcp"
    path: str = ""
    """Of the socket of `unix`; of the WebSocket, with its query."""
    ca: str | None = None
    """File of the authorities that the certificate may be from; None: those of the system."""
    insecure: bool = False
    certificate: str | None = None
    key: str | None = None
    """Files of our own certificate and its key, for a server that asks for one."""
    protocol: Protocol = "stomp"
    login: str = ""
    passcode: str = ""
    virtual_host: str = ""
    """The `host` header; empty: the host above."""
    topic_prefix: str = "/topic/"
    queue_prefix: str = "/queue/"
    credit_header: str = "prefetch-count:{credit}"
    """Header line of SUBSCRIBE that says how many messages may be unacknowledged; empty: there is none."""
    priority_header: str = ""
    """Header line of SEND and SUBSCRIBE with which a queue has priorities; empty: it has them anyway."""
    replay_header: str = "last:{count}"
    """Header line of SUBSCRIBE that asks for what a topic keeps."""
    selector_prefix: str = ""
    """What a selector begins with so that it compares numbers."""
    queue_header: str = ""
    """Header line of SEND and SUBSCRIBE that says of which kind a queue is; empty: there is none."""
    durable_headers: tuple[str, ...] = ("durable-subscription-name:{name}",)
    """Header lines of SUBSCRIBE that make it durable; {name} is its own, and CONNECT has that as client-id."""
    subscribe_receipts: bool = True
    """Whether SUBSCRIBE and UNSUBSCRIBE get their RECEIPT, as they should. If not, a SEND with a receipt, to a topic
    that nobody subscribes to, confirms them."""


class Load(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One load. Publisher p sends to the destinations d with d % publishers == p in turn, or, if there are fewer
    destinations than publishers, to destination p % destinations; subscribers share them in the same way."""

    kind: Kind = "flow"
    queue: bool = False
    name: str = "bench"
    """Beginning of every destination's name; a run puts something unique behind it."""
    publishers: int = 1
    """flow: connections that send. request: connections that ask, each one request at a time."""
    subscribers: int = 1
    """flow: connections that receive. request: connections that answer."""
    destinations: int = 1
    pattern: str = ""
    """Instead of its own destinations each subscriber has one subscription, to this pattern of all of them: {name} in
    it is the name. Destination d of several is called name.ddddddd (seven digits)."""
    bystanders: int = 0
    """Subscriptions to patterns that match nothing, on connections of their own, 10,000 on each."""
    slow: int = 0
    """Further subscribers to everything, that never read. Nothing is due to them, and they may be dropped."""
    connections: int = 1
    """connect, churn, replay: connections at work at once. storm, idle: how many there are."""
    size: int = 100
    """Bytes of a body."""
    ack: Ack = "auto"
    credit: int = 1000
    """prefetch-count of a subscription with acks; 0: leave the header away."""
    persistent: bool = False
    durable: bool = False
    """Topics: the subscriptions are durable."""
    receipts: int = 0
    """Receipts: 0 asks for none, n for one with each SEND (or COMMIT) with at most n open, UNBOUNDED waits for none."""
    transaction: int = 0
    """SENDs in each transaction; 0: no transactions."""
    window: int = 0
    """Most messages under way, sent and not received, over all connections; 0: what the server lets through."""
    backlog: int = 0
    """Queues: messages that are there before the first consumer comes; they stay about as many."""
    priorities: int = 0
    """Messages have the priorities from 0 on, in turn; 0: they say nothing of it."""
    selecting: bool = False
    """Messages have a number, `key`, and each subscriber a selector: each message is wanted by one of them."""
    groups: int = 0
    """Messages belong to so many groups, in turn."""
    messages: int = 100_000
    """replay: what the topic keeps, and each subscriber gets. schedule: messages that are due at one moment.
    drain: what the queue is filled with, and emptied of."""
    delay: float = 30.0
    """schedule: seconds until then, from the beginning."""
    rate: float = 0.0
    """Messages a second over all publishers (ping, request: round trips begun); 0: as fast as the server takes it."""
    content_length: bool = True
    verify: bool = False
    """Give each body a checksum, and check it."""
    ramp: float = 0.0
    """Connections opened a second; 0: as fast as the server takes them."""
    warm_up: float = 0.5
    seconds: float = 3.0
    patience: float = 5.0
    """Seconds without any progress after which what is missing counts as lost."""
