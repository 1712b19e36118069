"""What a worker and the one who started it say to each other: lines of JSON.

to the worker    Order, then `go` when everybody is ready, `stop` to end before the time
from the worker  Phase at every change, Progress about four times a second, at the end Measured or Failed
"""

from typing import Literal

from msgspec import Struct

from fastbroker.bench.load import Load, Target
from fastbroker.bench.result import Totals

GO, STOP = b"go", b"stop"

PhaseName = Literal["connecting", "ready", "warming up", "measuring", "draining", "settling", "over"]


class Order(Struct, frozen=True, kw_only=True):
    """What to do."""

    target: Target
    load: Load
    core: int | None = None
    comes_first: bool = False  # where several loads share a core


class Phase(Struct, frozen=True, tag="phase", tag_field="event"):
    """The generator has come to another phase."""

    phase: PhaseName


class Progress(Struct, frozen=True, kw_only=True, tag="progress", tag_field="event"):
    """How far it is."""

    phase: PhaseName
    seconds: float
    """Since the phase began."""
    sent: int = 0
    received: int = 0
    receipts: int = 0
    operations: int = 0
    connections: int = 0


class Measured(Struct, frozen=True, kw_only=True, tag="result", tag_field="event"):
    """All that the generator knows at the end."""

    seconds: float
    cpu_seconds: float
    sends: int
    deliveries: int
    receipts: int
    operations: int
    totals: Totals
    frame_bytes: float
    hung_up: int
    reconnects: int
    first_turned_away: str
    blocked_seconds: float
    accept_seconds: float
    deliver_seconds: float
    first_seconds: float
    histograms: dict[str, list[tuple[int, int]]]


class Failed(Struct, frozen=True, tag="failed", tag_field="event"):
    """It could not go on."""

    message: str


Event = Phase | Progress | Measured | Failed
