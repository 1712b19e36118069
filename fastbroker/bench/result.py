"""What a run found out, and the file that keeps it: the JSON that `--json` writes and the report reads.

    Report ─ machine     where and when
           ├ method      how it was measured
           └ results     every single run, none averaged: Result ─ load, rates, latencies, costs, totals, failures
                                                                 └ beside: Results of the loads beside it

A number that was not measured, or that means nothing in a scenario, is null. Times have their unit in their name,
memory is in bytes, CPU is in seconds of one core for each second.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from fastbroker.bench.load import Load, Protocol, SchemeName, Target

FORMAT = 1


class UnknownFormat(Exception):
    """A file is no report, or one of a version that this program does not know."""


class Latency(Struct, frozen=True, kw_only=True):
    """How long something took, over all of the measured window."""

    count: int
    p50_us: float
    p90_us: float
    p99_us: float
    p99_9_us: float
    max_us: float
    histogram: str
    """All of it, in nanoseconds: a compressed HdrHistogram V2 in base64, which every HdrHistogram library reads."""


class Totals(Struct, frozen=True, kw_only=True):
    """Messages from the first to the last of a run, warm-up included; of connect, storm and churn, operations."""

    sent: int = 0
    due: int = 0
    """What all subscribers together must get for what was sent."""
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    corrupt: int = 0
    unsent: int = 0
    """Messages due at the given rate that the server never took."""
    unconfirmed: int = 0
    """Receipts that did not come."""


class Server(Struct, frozen=True, kw_only=True):
    """The server that was measured."""

    name: str
    """What it calls itself, or what the one who started it does."""
    host: str
    port: int
    scheme: SchemeName = "tcp"
    protocol: Protocol = "stomp"
    pid: int | None = None
    """Without it nothing is known of its CPU and memory."""


def server_of(target: Target, name: str, pid: int | None) -> Server:
    """The server that is measured at a target."""
    return Server(
        name=name, host=target.host, port=target.port, scheme=target.scheme, protocol=target.protocol, pid=pid
    )


class Result(Struct, kw_only=True):
    """One run of one load."""

    scenario: str
    server: Server
    load: Load
    started: str = ""
    seconds: float | None = None
    """The measured window. Rates are what happened in it, divided by it. schedule: divided by the time until all were
    taken, and by that from when they were due until the last one came. drain: by the time until the queue was full, and
    by that from when it was to be emptied until it was."""
    sends_per_s: float | None = None
    deliveries_per_s: float | None = None
    receipts_per_s: float | None = None
    operations_per_s: float | None = None
    """ping, request: round trips. connect, storm: logins. churn: pairs of SUBSCRIBE and UNSUBSCRIBE. replay: whole
    replays."""
    restart_seconds: float | None = None
    """From the start of the process, after it was killed, to the first message that it delivers."""
    frame_bytes: float | None = None
    """Size of one SEND, headers and all."""
    latency: Latency | None = None
    """From the time a message was due to be sent to its arrival; round trips of ping and request; whole replays."""
    receipt: Latency | None = None
    """From a frame to its RECEIPT."""
    connect: Latency | None = None
    """From the socket, of the first try, to CONNECTED."""
    send_delay_p99_us: float | None = None
    """How late the generator itself was, at a given rate."""
    blocked: float | None = None
    """Share of the time in which publishers waited for the server to take more."""
    server_cpu: float | None = None
    server_cpu_us_per_message: float | None = None
    """For each delivery; without subscribers for each message sent; elsewhere for each operation."""
    server_memory_peak: int | None = None
    server_memory_per_connection: float | None = None
    """What each idle connection, with its subscription, has added."""
    server_memory_per_message: float | None = None
    """What each scheduled message has added, at the peak."""
    generator_cpu: float | None = None
    generator_cpu_us_per_message: float | None = None
    generator_bound: bool = False
    """The generator used up its core, so the server may be able to do more."""
    hung_up: int = 0
    """Slow subscribers that the server has disconnected. storm: how often a client was hung up on, or not let in."""
    reconnects: int = 0
    """storm: how often one of them has come back."""
    totals: Totals = Totals()
    failures: list[str] = []
    """What went wrong, in words; a run with failures has no rates if it did not come to its end."""
    invalid: str = ""
    """Why the numbers are not those of the server, in words; empty when they are."""
    beside: list["Result"] = []


class Machine(Struct, frozen=True, kw_only=True):
    """Where and when it was measured."""

    date: str
    processor: str
    cores: int
    memory: int
    system: str
    kernel: str
    python: str
    load_before: float
    """Load average of the last minute before the first run."""
    versions: dict[str, str]


class Method(Struct, frozen=True, kw_only=True):
    """How it was measured."""

    repeat: int
    core: int | None
    """The core that the generator was held to."""
    own_server: bool
    """Whether each run had a fresh server of its own."""
    text: str
    """All of it in words."""


class Report(Struct, kw_only=True):
    """Everything that one invocation has measured."""

    format: int = FORMAT
    machine: Machine
    method: Method
    results: list[Result]


class _Versioned(Struct):
    format: int


def write(report: Report, file: Path) -> None:
    """Write the report as JSON."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def read(file: Path) -> Report:
    """Read what `write` has written. Raises UnknownFormat."""
    text = file.read_bytes()
    try:
        version = msgspec.json.decode(text, type=_Versioned).format
        if version != FORMAT:
            raise UnknownFormat(f"{file} has format {version}; this program reads format {FORMAT}")
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError as error:
        raise UnknownFormat(f"{file} is no result of a benchmark: {error}") from None
