"""The worker: a process with the generator in it and nothing else, so that no interface disturbs it.

`python -m fastbroker.bench.worker`; `events.py` has what it is told and what it tells.
"""

import gc
import os
import select
import sys
import time
from contextlib import suppress

import msgspec

from fastbroker.bench.events import GO, STOP, Event, Failed, Measured, Order, Phase, Progress
from fastbroker.bench.generator import Generator, GeneratorError
from fastbroker.bench.secure import sessions_of
from fastbroker.errors import StartError

STEP = 0.25
DONE, CANNOT, ALONE = 0, 2, 3


class _Alone(Exception):
    """Whoever started the worker is gone."""


class _Orders:
    """Lines of the standard input, read without a thread: nothing may run beside the generator."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = b""

    def next(self) -> bytes:
        """Wait for a line."""
        while b"\n" not in self._text:
            self._read()
        line, _, self._text = self._text.partition(b"\n")
        return line

    def pending(self) -> bytes:
        """The next line, or nothing if there is none yet."""
        if select.select([self._descriptor], [], [], 0)[0]:
            self._read()
        return self.next() if b"\n" in self._text else b""

    def _read(self) -> None:
        text = os.read(self._descriptor, 65536)
        if not text:
            raise _Alone
        self._text += text


class _Teller:
    """Tells what the generator is at."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._phase = ""
        self._since = 0.0

    def tell(self) -> None:
        """Say how far it is, and whether that is another phase than before."""
        phase = self._generator.phase
        if phase != self._phase:
            self._phase, self._since = phase, time.monotonic()
            _say(Phase(phase))
        _say(Progress(phase=phase, seconds=time.monotonic() - self._since, **self._generator.progress()))


def main() -> int:
    """Do what the first line of the standard input says."""
    orders = _Orders(sys.stdin.fileno())
    try:
        order = msgspec.json.decode(orders.next(), type=Order)
        _hold_to(order.core)
        if order.comes_first:
            _come_first()
        # Nothing here makes garbage, so no collection shall interrupt the generator either.
        gc.disable()
        _say(_load(Generator(order.target, order.load, sessions_of(order.target)), orders))
    except (GeneratorError, StartError) as error:
        _say(Failed(str(error)))
        return CANNOT
    except (_Alone, BrokenPipeError):
        return ALONE
    return DONE


def _come_first() -> None:
    """Wait for nobody else on the core, if the system grants that.

    If the others were nice instead, the scheduler would take their core for a free one, and put the server there.
    """
    if hasattr(os, "sched_setscheduler"):
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def _hold_to(core: int | None) -> None:
    # macOS has no such call.
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def _load(generator: Generator, orders: _Orders) -> Measured:
    teller = _Teller(generator)
    teller.tell()
    while generator.step(STEP):
        teller.tell()
        if generator.phase == "ready":
            _wait_for_go(orders)
            generator.go()
            teller.tell()
        elif orders.pending() == STOP:
            generator.stop()
    teller.tell()
    return msgspec.convert({**generator.result(), "event": "result"}, Measured)


def _wait_for_go(orders: _Orders) -> None:
    while orders.next() != GO:
        pass


def _say(event: Event) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
