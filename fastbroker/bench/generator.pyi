"""The load generator: one thread that is all publishers and subscribers of a load, and checks what it counts."""

from typing import Any, Literal, final

from fastbroker.bench.load import Load, Target
from fastbroker.bench.secure import Sessions

_Phase = Literal["connecting", "ready", "warming up", "measuring", "draining", "settling", "over"]

class GeneratorError(Exception):
    """The load could not go on. The text is for people; it shows what the server said, if it said anything."""

@final
class Generator:
    """One load on one server: make it, `step` until "ready", `go`, `step` until "over", ask `result`."""

    def __init__(self, target: Target, load: Load, sessions: Sessions | None = None) -> None:
        """Checks the load and resolves the host; connections are opened by `step`.

        `sessions` is what TLS is spoken with, as `fastbroker.bench.secure` makes it.
        """

    @property
    def phase(self) -> _Phase:
        """connecting → ready → warming up → measuring → draining → settling → over."""

    def step(self, seconds: float) -> bool:
        """Runs for at most so long, without the GIL, always in the same thread; returns early when the phase changes.

        False when it is over. Raises GeneratorError when the load cannot go on.
        """

    def go(self) -> None:
        """ready → warming up."""

    def stop(self) -> None:
        """Ends the measuring now; what is under way is still awaited."""

    def progress(self) -> dict[str, int]:
        """Since the beginning: sent, received, receipts, operations, connections (those that are logged in now)."""

    def greeting(self) -> tuple[str, str]:
        """Version and server, as the CONNECTED that came last has them."""

    def result(self) -> dict[str, Any]:
        """What was measured and checked; complete when it is over.

        In the measured window: seconds, cpu_seconds (the generator's own, without waiting in a loop for the next
        intended time), sends, deliveries, receipts, operations, blocked_seconds (publishers waiting for the kernel to
        take more, summed up). Of a schedule also accept_seconds (until the server had confirmed that it has all) and
        deliver_seconds (from the moment when they were due); else 0.

        From beginning to end: totals = {sent, due, received, lost, duplicated, disordered, corrupt, unsent (intended
        within the window, but the server never took it), unconfirmed (receipts that did not come)}, frame_bytes (of one
        SEND), hung_up (slow subscribers that the server dropped; of a storm, how often a client was turned away),
        reconnects (how often one came back), first_turned_away (in words). Of connect, storm and churn the totals
        count operations: begun, due, done, lost.

        histograms = {latency, receipt, connect, send_delay: [[nanoseconds, count], …]} in ascending order.
        """
