"""From what was counted to what it means: rates, costs, and whether it counts at all."""

from collections.abc import Iterator

from msgspec import Struct

from fastbroker.bench.events import Measured
from fastbroker.bench.latency import latency, p99_us
from fastbroker.bench.load import Load
from fastbroker.bench.result import Latency, Result, Totals

# A generator that is later than this did not offer the load it was asked for.
LATEST_US = 1000.0
# From here on the generator had no time left: the server might have done more.
BUSY = 0.97
MICRO = 1e6
# Loads in which a delivery is what counts, and costs something; in others an operation is.
MESSAGES = ("flow", "replay", "schedule", "drain")
# Loads in which everything is sent in one span of time, and delivered in another.
APART = ("schedule", "drain")


class Used(Struct, frozen=True, kw_only=True):
    """What the server has used, as far as that is known."""

    cpu_seconds: float | None = None
    memory_before: int = 0
    memory_peak: int = 0
    memory_at_end: int = 0


def fill_in(result: Result, measured: Measured, used: Used) -> Result:
    """Add to a result all that follows from the counts."""
    seconds, load = measured.seconds, result.load
    result.seconds = seconds
    result.sends_per_s = _rate(_sent(load, measured), _sending(load, measured))
    result.deliveries_per_s = _rate(measured.deliveries, _delivering(load, measured))
    result.receipts_per_s = _rate(measured.receipts, seconds)
    result.operations_per_s = _rate(measured.operations, seconds)
    result.frame_bytes = measured.frame_bytes or None
    result.hung_up, result.reconnects = measured.hung_up, measured.reconnects
    result.totals = measured.totals
    _add_latencies(result, measured)
    _add_costs(result, measured, used)
    result.generator_bound = not load.rate and (result.generator_cpu or 0) >= BUSY
    result.failures += _failures(load, measured)
    result.invalid = _invalid(result.send_delay_p99_us)
    return result


def _sent(load: Load, measured: Measured) -> int:
    """A queue is filled before the window is opened."""
    return measured.totals.sent if load.kind == "drain" else measured.sends


def _sending(load: Load, measured: Measured) -> float:
    return measured.accept_seconds if load.kind in APART else measured.seconds


def _delivering(load: Load, measured: Measured) -> float:
    return measured.deliver_seconds if load.kind in APART else measured.seconds


def _rate(count: int, seconds: float) -> float | None:
    return count / seconds if count and seconds else None


def _add_latencies(result: Result, measured: Measured) -> None:
    def of(name: str) -> Latency | None:
        return latency(measured.histograms.get(name, ()))

    load = result.load
    # In a flood a message's latency is the depth of all buffers, which says nothing of the server.
    if load.rate or load.kind in ("ping", "request", "replay", "schedule"):
        result.latency = of("latency")
    result.receipt = of("receipt")
    # Whoever empties a queue comes when the window is open, which says nothing of logging in.
    result.connect = of("connect") if load.kind != "drain" else None
    if load.rate:
        result.send_delay_p99_us = p99_us(measured.histograms.get("send_delay", ()))


def _add_costs(result: Result, measured: Measured, used: Used) -> None:
    load, messages = result.load, _messages(result.load, measured)
    if measured.seconds:
        result.generator_cpu = measured.cpu_seconds / measured.seconds
        result.blocked = measured.blocked_seconds / measured.seconds / max(load.publishers, 1)
    if messages:
        result.generator_cpu_us_per_message = measured.cpu_seconds / messages * MICRO
    if used.cpu_seconds is not None and measured.seconds:
        result.server_cpu = used.cpu_seconds / measured.seconds
        result.server_cpu_us_per_message = used.cpu_seconds / messages * MICRO if messages else None
    result.server_memory_peak = used.memory_peak or None
    if load.kind == "idle" and used.memory_before and used.memory_at_end:
        result.server_memory_per_connection = (used.memory_at_end - used.memory_before) / load.connections
    if load.kind == "schedule" and used.memory_before:
        result.server_memory_per_message = (used.memory_peak - used.memory_before) / load.messages


def _messages(load: Load, measured: Measured) -> int:
    """What costs are divided by."""
    if load.kind not in MESSAGES:
        return measured.operations
    if load.kind != "flow":
        return measured.deliveries
    return measured.deliveries if load.subscribers else measured.sends


def _failures(load: Load, measured: Measured) -> Iterator[str]:
    totals: Totals = measured.totals
    things = "messages" if load.kind in (*MESSAGES, "ping", "request") else "operations"
    if totals.lost:
        yield f"{totals.lost:,} of {totals.due:,} {things} were lost"
    if totals.duplicated:
        yield f"{totals.duplicated:,} messages came more than once"
    if totals.disordered:
        where = ", or to another consumer than others of their group" if load.groups else ""
        yield f"{totals.disordered:,} messages came out of order{where}"
    if totals.corrupt:
        when = ", or before they were due" if load.kind == "schedule" else ""
        yield f"{totals.corrupt:,} messages came with another body than they were sent with{when}"
    if totals.unsent:
        yield f"{totals.unsent:,} messages were due at this rate, and the server never took them"
    if totals.unconfirmed:
        yield f"{totals.unconfirmed:,} receipts did not come"
    if load.kind == "schedule" and not 0 < measured.accept_seconds < load.delay:
        yield f"the server had not taken all messages when they were due, after {load.delay:g} s; --delay gives it more"
    if load.kind == "storm" and measured.hung_up:
        yield (
            f"{measured.hung_up:,} times a client was turned away, {measured.reconnects:,} times one came back; the "
            f"first: {measured.first_turned_away}"
        )
    # What came too late for the window is in the totals: a server may have held everybody for so long.
    if load.kind != "idle" and not _messages(load, measured) and not totals.received:
        yield f"nothing came through in the {measured.seconds:.3g} s that were measured, or after"


def _invalid(send_delay_p99_us: float | None) -> str:
    if send_delay_p99_us is None or send_delay_p99_us <= LATEST_US:
        return ""
    return f"the generator itself was late: p99 of its send delay is {send_delay_p99_us / 1000:.2f} ms, more than 1 ms"
