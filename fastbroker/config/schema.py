"""Every key of the configuration: its meaning, unit, default and range.

A key is a field, its meaning and range stand in its `Meta`, its section is the struct it belongs to. The reference in
`docs/configuration.md` is made from this file.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

KiB, MiB, GiB = 2**10, 2**20, 2**30
DAY = 86400.0

# What `data_dir` is where nothing is kept on a disk.
NO_DATA_DIR = "none"


def size(description: str, least: int, most: int) -> Meta:
    """Describe a key that counts bytes."""
    return Meta(description=description, ge=least, le=most, extra={"unit": "bytes"})


def seconds(description: str, least: float, most: float) -> Meta:
    """Describe a key that is a duration."""
    return Meta(description=description, ge=least, le=most, extra={"unit": "seconds"})


def milliseconds(description: str, least: int, most: int) -> Meta:
    """Describe a key that is a duration as STOMP's heart-beat header counts it."""
    return Meta(description=description, ge=least, le=most, extra={"unit": "milliseconds"})


def count(description: str, least: int, most: int) -> Meta:
    """Describe a key that counts things."""
    return Meta(description=description, ge=least, le=most)


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; its docstring opens its section of the reference."""


class Log(Table, frozen=True):
    """What is logged, and how. Logs go to the standard error output, one line for each event."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe events that are still logged.")
    ] = "info"
    format: Annotated[
        Literal["text", "json"],
        Meta(description="`text` is for people, coloured only on a terminal; `json` is one object for each line."),
    ] = "text"


class Auth(Table, frozen=True):
    """Who is let in. There are no accounts yet: any login, or none, is accepted."""

    allow_anonymous: Annotated[
        bool,
        Meta(
            description="Let anybody in who reaches an address. Unless this is true, the broker refuses to start with "
            "an address that other machines can reach: any but loopback ones, Unix sockets, and those with "
            '`tls.client_certificates = "required"`; and any with `?proxy_protocol`.'
        ),
    ] = False
    last_will: Annotated[
        bool,
        Meta(
            description="Let clients leave a message behind in CONNECT (`will-destination`, `will-body`), which is "
            "published when they are lost."
        ),
    ] = False


class Limits(Table, frozen=True):
    """What one client, and all clients together, may take. A client that goes over a limit gets an ERROR and is
    disconnected, unless something else is said here."""

    max_frame: Annotated[int, size("Largest frame, headers and body together.", KiB, GiB)] = 4 * MiB
    max_frame_before_login: Annotated[
        int, size("Largest frame of a client that is not connected yet, so its CONNECT.", 256, GiB)
    ] = 16 * KiB
    max_headers: Annotated[int, count("Headers in one frame.", 8, 10_000)] = 100
    max_header_line: Annotated[int, size("Longest header line.", 64, 16 * MiB)] = 8 * KiB
    max_header_block: Annotated[int, size("All header lines of one frame together.", 256, 64 * MiB)] = 64 * KiB
    login_timeout: Annotated[float, seconds("Time from the connection to the end of the login.", 0.1, 3600)] = 10.0
    max_connections: Annotated[
        int,
        count(
            "Connections at one time; more are closed as they come. 0 is as many as the limit of open files "
            "(`ulimit -Hn`) allows, less a reserve of 64, and no more than that are ever taken.",
            0,
            100_000_000,
        ),
    ] = 0
    max_unauthenticated: Annotated[
        int,
        count(
            "Connections at one time that are not logged in. When there are more, one goes that has had a quarter of "
            "`login_timeout`, or a second: [security.md](security.md#before-the-login).",
            1,
            100_000_000,
        ),
    ] = 10_000
    idle_timeout: Annotated[
        float, seconds("A client that agreed on no heart-beats may be silent for so long.", 1, 30 * DAY)
    ] = 7200.0
    queue_idle_timeout: Annotated[
        float, seconds("A queue that is empty and that nobody uses is gone after this time.", 0.1, 30 * DAY)
    ] = 60.0
    frame_timeout: Annotated[
        float,
        seconds(
            "What has begun to come must be complete after this time, before the login too: a frame, a message of "
            "WebSocket or SockJS around it, an HTTP request.",
            0.1,
            DAY,
        ),
    ] = 60.0
    outbound_soft: Annotated[
        int,
        size(
            "Unsent bytes of one connection above which it is a slow consumer: publishers to its topics are held back, "
            "queues give it nothing.",
            4 * KiB,
            GiB,
        ),
    ] = MiB
    outbound_hard: Annotated[
        int,
        size(
            "Unsent bytes that one connection never exceeds: messages of topics wait outside, and a client that does "
            "not read its answers is not read from.",
            8 * KiB,
            4 * GiB,
        ),
    ] = 8 * MiB
    outbound_timeout: Annotated[
        float, seconds("A connection that has unsent bytes and takes none for this time is closed.", 0.1, 3600)
    ] = 10.0
    slow_consumer_grace: Annotated[
        float,
        seconds(
            "Publishers to a topic are held back for a slow consumer for at most this time in a minute, however "
            "often it is slow; what it takes meanwhile earns time, at 4 MiB a second. "
            "Then its policy (`[[topics]]`) is applied.",
            0,
            60,
        ),
    ] = 1.0
    max_subscriptions: Annotated[int, count("Subscriptions of one connection.", 1, 10_000_000)] = 10_000
    max_durable: Annotated[
        int, count("Durable subscriptions to topics; they are there until they are deleted.", 1, 10_000_000)
    ] = 10_000
    queue_memory: Annotated[
        int,
        size(
            "Persistent messages of one queue or durable subscription that are kept in memory, too. What is more is "
            "only on the disk, and is read ahead of its consumers.",
            KiB,
            64 * GiB,
        ),
    ] = 4 * MiB
    max_levels: Annotated[int, count("Words in the name of a topic or in a pattern.", 1, 63)] = 32
    max_transactions: Annotated[int, count("Open transactions of one connection.", 1, 10_000)] = 16
    max_transaction_frames: Annotated[int, count("Frames in one transaction.", 1, 10_000_000)] = 1000
    max_transaction_bytes: Annotated[int, size("Bytes of the frames in one transaction.", KiB, GiB)] = 8 * MiB
    transaction_timeout: Annotated[
        float,
        seconds(
            "A client with an open transaction may be silent for so long; what it sends, heart-beats too, keeps the "
            "transaction open. Nor may it be kept from sending, or its frames wait for memory, for longer.",
            0.1,
            DAY,
        ),
    ] = 60.0
    memory: Annotated[
        int,
        size(
            "Memory for messages, unsent bytes, queues, subscriptions and all else that is held for clients, with "
            "what it costs to hold it. When three thirty-seconds are left, SEND and BEGIN wait. The rest is for what "
            "frees memory; when one is left, SUBSCRIBE, and ACK in a transaction, are refused. Frames that are not "
            "handled yet are counted apart, up to half of it.",
            MiB,
            1024 * GiB,
        ),
    ] = GiB
    max_parked: Annotated[
        int,
        size(
            "Bytes of frames of one connection that may wait while there is no memory for its SENDs; "
            "then nothing more is read from it. All together have a share, too: "
            "[security.md](security.md#the-ceiling-and-its-reserve).",
            KiB,
            GiB,
        ),
    ] = MiB
    linger: Annotated[
        float,
        seconds(
            "After the broker's last word, such as an ERROR, input is still read, and dropped, for this time, so that "
            "the client sees it.",
            0,
            60,
        ),
    ] = 2.0


class Subscriptions(Table, frozen=True):
    """What one consumer of queues, or subscription that acknowledges, is given."""

    prefetch: Annotated[
        int,
        count(
            "Messages a subscription may have unacknowledged when its SUBSCRIBE does not say "
            "(`prefetch-count`, `activemq.prefetchSize`, `credit`).",
            1,
            65_535,
        ),
    ] = 1000
    prefetch_bytes: Annotated[
        int, size("Bytes of messages a subscription may have unacknowledged; one message is always given.", KiB, GiB)
    ] = MiB
    max_prefetch: Annotated[int, count("The most that a SUBSCRIBE may ask for; more counts as this.", 1, 65_535)] = (
        65_535
    )
    nack_delay: Annotated[
        float, seconds("After its NACK a subscription is given nothing from that queue for this time.", 0, 60)
    ] = 0.05


class HeartBeat(Table, frozen=True):
    """Heart-beats that the broker offers in CONNECTED; what holds is the slower of both sides' wishes. A number counts
    milliseconds, as in STOMP's header."""

    send: Annotated[int, milliseconds("The broker can send one this often; 0 is never.", 0, 3_600_000)] = 1000
    receive: Annotated[
        int, milliseconds("The broker would like one from the client this often; 0 is never.", 0, 3_600_000)
    ] = 1000
    margin: Annotated[
        float,
        Meta(
            description="A client counts as dead after the agreed interval times this without a byte from it.",
            ge=1.0,
            le=100.0,
        ),
    ] = 2.0


class Compat(Table, frozen=True):
    """What some clients need, and others do not."""

    profile: Annotated[
        Literal["", "rabbitmq", "activemq", "artemis"],
        Meta(
            description="Word and default as that broker does what clients of it may rely on: "
            "[compatibility.md](compatibility.md). It also changes defaults of other keys. Empty is none."
        ),
    ] = ""
    lenient_content_length: Annotated[
        bool,
        Meta(
            description="When `content-length` of a SEND does not end at the NUL, take the body up to the next NUL "
            "instead of an ERROR. For clients that count characters instead of bytes."
        ),
    ] = False
    error_at_stop: Annotated[
        bool,
        Meta(
            description="Tell clients that the broker stops with an ERROR, as other brokers do. Without it connections "
            "are closed, those of WebSocket with code 1012: some clients do not come back after an ERROR, or show it "
            "to people."
        ),
    ] = False


class Journal(Table, frozen=True):
    """How persistent messages are kept in `data_dir`: [durability.md](durability.md)."""

    segment_size: Annotated[
        int,
        size(
            "Bytes of one file of the journal. Three of them are taken at the start, and filled with zeros; a larger "
            "one means fewer files, and more space until what is done with is given back.",
            MiB,
            GiB,
        ),
    ] = 32 * MiB
    commit_delay: Annotated[
        float,
        seconds(
            "Time that what is to be kept may wait for more before it is given to the disk: fewer writes, and each "
            "RECEIPT of a persistent message comes so much later. 0 waits for nothing but the disk.",
            0,
            1,
        ),
    ] = 0.0


Persistent = Literal["asked", "always", "never"]
Durability = Literal["fsync", "written", "memory"]
Overflow = Literal["reject", "drop-oldest", "dead-letter", "block"]


class Queue(Table, frozen=True):
    """What becomes of the messages of queues. There can be several of these tables; the first whose pattern matches the
    name of a queue decides for it, and what that table does not say has its default. Behind them all stands one of the
    broker's own, for the dead-letter queues: `pattern = "DLQ.>"`, `max_messages = 10000`, `overflow = "drop-oldest"`. A
    table of yours for all queues, `pattern = "#"`, stands in front of that: give the dead letters one of their own."""

    pattern: Annotated[
        str,
        Meta(
            description="The queues it is for, without `/queue/`, in the wildcards of topics: `jobs`, `orders.*`, "
            "`orders.>`, `#` for all.",
            min_length=1,
        ),
    ]
    max_deliveries: Annotated[
        int,
        count(
            "A message that was given out so often and always came back goes to the dead-letter queue; 0 is never.",
            0,
            1_000_000,
        ),
    ] = 20
    redelivery_delay: Annotated[
        float, seconds("Time before a message that came back is given out a second time; 0 is at once.", 0, DAY)
    ] = 0.05
    redelivery_multiplier: Annotated[
        float,
        Meta(description="Each delay is so many times the one before it: 1 is always the same.", ge=1.0, le=100.0),
    ] = 2.0
    redelivery_max_delay: Annotated[float, seconds("The longest such delay.", 0, 30 * DAY)] = 60.0
    redelivery_jitter: Annotated[
        float,
        Meta(
            description="So large a part of each delay is random, more or less: what failed together does not come "
            "again together.",
            ge=0.0,
            le=1.0,
        ),
    ] = 0.1
    dead_letter: Annotated[
        str,
        Meta(
            description="Name of the queue for messages that are not delivered again, without `/queue/`; `{name}` "
            "stands for that of the queue they were in. Empty: they are dropped."
        ),
    ] = "DLQ.{name}"
    dead_letter_expired: Annotated[
        bool, Meta(description="Messages that have expired go there, too; otherwise they are dropped.")
    ] = False
    ttl: Annotated[
        float, seconds("Life of a message whose sender says nothing of it; 0 is for ever.", 0, 3650 * DAY)
    ] = 0.0
    max_ttl: Annotated[
        float, seconds("The longest life of any message, whatever it says; 0 is any.", 0, 3650 * DAY)
    ] = 0.0
    max_messages: Annotated[
        int, count("Messages that wait or are not acknowledged; 0 is no limit but `limits.memory`.", 0, 1_000_000_000)
    ] = 0
    max_bytes: Annotated[
        int, size("Bytes of these messages, headers and bodies; 0 is no limit but `limits.memory`.", 0, 1024 * GiB)
    ] = 0
    overflow: Annotated[
        Overflow,
        Meta(
            description="What becomes of a message that is too much: it is refused with an ERROR, takes the place of "
            "the oldest one, which is dropped or goes to the dead-letter queue, or its sender waits."
        ),
    ] = "reject"
    idle_timeout: Annotated[
        float,
        seconds(
            "A queue that is empty and that nobody uses is gone after this time; 0 is `limits.queue_idle_timeout`.",
            0,
            3650 * DAY,
        ),
    ] = 0.0
    auto_delete: Annotated[bool, Meta(description="A queue goes with its last consumer, if it is empty then.")] = False
    dies_with_consumer: Annotated[
        bool,
        Meta(
            description="A queue goes with its last consumer, and what it holds goes with it: for replies to a client "
            "that may have left, such as Spring's `reply-user*`."
        ),
    ] = False
    exclusive: Annotated[
        bool, Meta(description="One consumer gets all messages; when it has gone, the next one does.")
    ] = False
    duplicate_window: Annotated[
        int,
        count(
            "So many ids of messages (`message-dedup-id`, `_AMQ_DUPL_ID`) are remembered, so that a message with one "
            "of them is not taken again; 0 is none.",
            0,
            10_000_000,
        ),
    ] = 10_000
    persistent: Annotated[
        Persistent,
        Meta(
            description="Which messages outlive the broker: those whose senders say so (`persistent:true`), all, or "
            "none. It takes a `data_dir`."
        ),
    ] = "asked"
    durability: Annotated[
        Durability,
        Meta(
            description="What the RECEIPT of a persistent message, or of its ACK, means: it outlives a power cut; it "
            "outlives the broker, and a power cut may cost the last moments; or nothing more than without "
            "`persistent`: [durability.md](durability.md#what-a-receipt-means)."
        ),
    ] = "fsync"
    mirror: Annotated[
        tuple[str, ...],
        Meta(description="Destinations that get a copy of each message: `/queue/<name>`, `/topic/<name>`."),
    ] = ()


_KEPT = count("Messages.", 0, 100_000_000)  # which could not be said where `count` is a key


class History(Table, frozen=True):
    """The last messages of a topic, kept for those who come later."""

    count: Annotated[int, _KEPT] = 0
    bytes: Annotated[int, size("Their bytes, headers and bodies.", 0, 1024 * GiB)] = 0
    age: Annotated[float, seconds("The oldest is no older.", 0, 3650 * DAY)] = 0.0


class Durable(Table, frozen=True):
    """What one durable subscription keeps while nobody takes it."""

    messages: Annotated[int, count("Messages.", 0, 1_000_000_000)] = 1_000_000
    bytes: Annotated[int, size("Their bytes, headers and bodies.", 0, 1024 * GiB)] = 0
    overflow: Annotated[
        Literal["drop-oldest", "reject", "dead-letter"],
        Meta(
            description="What goes when there are more: the oldest, or the newest, which is not taken, or goes to the "
            "dead-letter queue."
        ),
    ] = "drop-oldest"


class Topic(Table, frozen=True):
    """What becomes of the messages of topics. There can be several of these tables; the first whose pattern matches the
    topic decides for it, and what that table does not say has its default."""

    pattern: Annotated[
        str,
        Meta(
            description="The topics it is for, as in a SUBSCRIBE but without `/topic/`: `prices.*`, `logs.>`.",
            min_length=1,
        ),
    ]
    slow_consumer: Annotated[
        Literal["disconnect", "drop-oldest", "drop-newest"],
        Meta(
            description="What happens to a subscriber that did not catch up in its `slow_consumer_grace`: it is "
            "disconnected, or loses the oldest messages that wait for it, or the newest."
        ),
    ] = "disconnect"
    retain: Annotated[
        bool,
        Meta(description="Whether a message may ask to be kept for those who come later (`retain:set`)."),
    ] = True
    history: Annotated[
        History,
        Meta(
            description="The last messages are kept for those who come later: so many of them, so many bytes, or none "
            'that is older, whichever comes first: `{ count = 1000, bytes = "1 MiB", age = "10m" }`, any of them. '
            "0 is no such bound; where there is none at all, nothing is kept.",
        ),
    ] = History()
    durable: Annotated[
        Durable,
        Meta(
            description="What a durable subscription keeps at most while nobody takes it, and what becomes of a "
            "message that is too much, as `overflow` of `[[queues]]` says. 0 is no limit but `limits.memory`.",
        ),
    ] = Durable()
    persistent: Annotated[
        Persistent,
        Meta(description="Which messages of durable subscriptions outlive the broker, as in `[[queues]]`."),
    ] = "asked"
    durability: Annotated[
        Durability, Meta(description="What the RECEIPT of such a message, or of its ACK, means, as in `[[queues]]`.")
    ] = "fsync"
    presence: Annotated[
        bool, Meta(description="Whether `/presence/<topic>` tells everybody who may read it who has subscribed.")
    ] = False
    forward: Annotated[
        tuple[str, ...],
        Meta(description="Destinations that get a copy of each message: `/queue/<name>`, `/topic/<name>`."),
    ] = ()


class Tcp(Table, frozen=True):
    """Sockets of `tcp`, `tls`, `ws` and `wss` addresses. What a platform does not have is left as it is."""

    backlog: Annotated[int, count("Connections that the system lets wait until the broker takes them.", 1, 65_535)] = (
        4096
    )
    reuse_port: Annotated[
        bool,
        Meta(
            description="Let other processes listen on the same port (`SO_REUSEPORT`); the system spreads connections."
        ),
    ] = False
    keepalive: Annotated[
        float,
        seconds("The system asks a silent peer after this time whether it is still there; 0 is never.", 0, DAY),
    ] = 60.0
    keepalive_interval: Annotated[float, seconds("Time from one such question to the next.", 1, 3600)] = 15.0
    keepalive_count: Annotated[int, count("A peer that does not answer so many of them is gone.", 1, 100)] = 4
    user_timeout: Annotated[
        float,
        seconds(
            "A peer that acknowledges nothing of what was sent to it for this time is gone (`TCP_USER_TIMEOUT`); "
            "0 is as long as the system thinks.",
            0,
            DAY,
        ),
    ] = 60.0


class TlsHost(Table, frozen=True):
    """Another certificate, for clients that ask for one of these host names (SNI). There can be several of these
    tables; a client that asks for another name, or for none, gets `tls.certificate`."""

    names: Annotated[
        tuple[str, ...],
        Meta(description="The names: `broker.example.com`; `*.example.com` stands for one label.", min_length=1),
    ]
    certificate: Annotated[str, Meta(description="As `tls.certificate`.", min_length=1)]
    key: Annotated[str, Meta(description="As `tls.key`.")] = ""


class Tls(Table, frozen=True):
    """TLS of `tls` and `wss` addresses. SIGHUP reads all of these files again: connections stay, new ones get the new
    certificate, and if anything is wrong with it, the old one."""

    certificate: Annotated[
        str,
        Meta(description="PEM file with the certificate, and the certificates between it and the authority behind it."),
    ] = ""
    key: Annotated[str, Meta(description="PEM file with the private key. Empty: it is in the same file.")] = ""
    min_version: Annotated[Literal["1.2", "1.3"], Meta(description="The oldest version of TLS that is spoken.")] = "1.2"
    client_certificates: Annotated[
        Literal["none", "optional", "required"],
        Meta(
            description="Whether clients are asked for a certificate, and whether they must have one. With `required` "
            "the certificate is what lets a client in, so that such an address may be reached by other machines."
        ),
    ] = "none"
    client_ca: Annotated[
        str, Meta(description="PEM file with the authorities whose client certificates are accepted.")
    ] = ""
    client_identity: Annotated[
        Literal["common-name", "dns", "email", "uri"],
        Meta(
            description="What of a client certificate is the client's name: its subject's common name, or the "
            "alternative name of that kind. There must be exactly one, or the client is refused."
        ),
    ] = "common-name"
    handshake_timeout: Annotated[float, seconds("Time for the handshake.", 0.1, 300)] = 5.0
    max_handshakes: Annotated[
        int, count("Handshakes under way at one time, of all addresses; more clients wait their turn.", 1, 1_000_000)
    ] = 2000
    hosts: tuple[TlsHost, ...] = ()


class Unix(Table, frozen=True):
    """The files of `unix` addresses. Whoever may write to the file may connect."""

    mode: Annotated[str, Meta(description="Its permissions, in octal.")] = "0660"
    user: Annotated[str, Meta(description="Its owner, by name or number. Empty: whom the broker runs as.")] = ""
    group: Annotated[str, Meta(description="Its group, by name or number. Empty: whom the broker runs as.")] = ""


class ProxyProtocol(Table, frozen=True):
    """Addresses that end in `?proxy_protocol` are for load balancers that say first whom they speak for, in version 1
    or 2 of the PROXY protocol. What they say is the peer in logs and for access."""

    trusted: Annotated[
        tuple[str, ...],
        Meta(
            description="The load balancers: addresses or networks, `10.0.0.5`, `10.1.0.0/16`, `fd00::/8`. Everybody "
            "else is turned away. A Unix socket trusts whoever may open it."
        ),
    ] = ()
    header_timeout: Annotated[float, seconds("Time for the header, from the connection on.", 0.1, 300)] = 3.0


class WebSocket(Table, frozen=True):
    """WebSockets of `ws` and `wss` addresses."""

    path: Annotated[
        str,
        Meta(
            description="Path of the WebSocket endpoint; a slash behind it makes no difference. While it is `/ws`, "
            "`/stomp` leads there as well.",
            min_length=1,
        ),
    ] = "/ws"
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Web pages that may connect besides those of the broker's own address: "
            "`https://chat.example.com`, exactly as browsers send it: scheme, host, and port if not the default one. "
            "`*` is every page: only where logins protect the broker."
        ),
    ] = ()
    sockjs: Annotated[
        bool,
        Meta(
            description="SockJS over WebSocket, as Spring has it, with the paths above and `/sockjs` as base: "
            "`<base>/info`, WebSockets with SockJS's framing, and `<base>/websocket` without."
        ),
    ] = True
    pages: Annotated[
        str,
        Meta(
            description="Directory whose files are answered to GET, `index.html` at `/`, in the place of whatever "
            "else is there. They are read at start, 16 MiB together at most; names that begin with a dot are left out. "
            "Empty is none."
        ),
    ] = ""


class Config(Table, frozen=True):
    """Keys that stand above all tables."""

    listen: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses to listen on: `tcp://host:port`, `tls://`, `ws://`, `wss://` likewise, IPv6 in "
            "brackets, port 0 for a free one; `unix:///path`. `?proxy_protocol` behind it: see `[proxy_protocol]`. "
            "Sockets that systemd hands over take the place of all of them.",
            min_length=1,
        ),
    ] = ("tcp://127.0.0.1:61613",)
    drain_timeout: Annotated[
        float, seconds("After SIGTERM or SIGINT clients have this time to take what is still to be sent.", 0, 3600)
    ] = 10.0
    strict: Annotated[
        bool,
        Meta(description="Answer with an ERROR where a client breaks the specification in a way that does no harm."),
    ] = False
    data_dir: Annotated[
        str,
        Meta(
            description="Directory of this broker alone, created with mode 0700: the journal of persistent messages is "
            "there, and the file `listening`, which names the bound addresses while the broker runs. Empty is that of "
            "the platform: the first of `STATE_DIRECTORY`, which systemd sets; `$XDG_DATA_HOME/fastbroker`; "
            "`~/.local/share/fastbroker`, on macOS `~/Library/Application Support/fastbroker`. `none` keeps all in "
            "memory: [durability.md](durability.md#where-it-is)."
        ),
    ] = ""
    log: Log = Log()
    auth: Auth = Auth()
    tcp: Tcp = Tcp()
    tls: Tls = Tls()
    unix: Unix = Unix()
    proxy_protocol: ProxyProtocol = ProxyProtocol()
    websocket: WebSocket = WebSocket()
    limits: Limits = Limits()
    subscriptions: Subscriptions = Subscriptions()
    heart_beat: HeartBeat = HeartBeat()
    compat: Compat = Compat()
    journal: Journal = Journal()
    queues: tuple[Queue, ...] = ()
    topics: tuple[Topic, ...] = ()
