"""The server that is measured: one that runs somewhere, or one that is started for a single run."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from fastbroker import __version__
from fastbroker.bench.load import Load, Target
from fastbroker.bench.messaging import SETTINGS
from fastbroker.bench.secure import sessions_of
from fastbroker.errors import StartError
from fastbroker.transports.address import Address, parse

if TYPE_CHECKING:
    from fastbroker.bench.generator import Generator

ANSWER_TIMEOUT = 10.0
START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0
POLL = 0.01
LISTENING = "listening on "
DEFAULT_PATH = "/ws"
# It logs in, and does nothing that matters.
ONE_CLIENT, STEP = Load(kind="storm", connections=1, warm_up=0), 0.1
NO_CONNECTION = "no connection to "
HINT = (
    "; is the server running? `fastbroker serve` starts one on this machine, `fastbroker bench --serve` one for the "
    "benchmark alone"
)


class Unreachable(Exception):
    """There is no server to measure; the message says what to do."""


class Serving(NamedTuple):
    """A server that can be measured."""

    target: Target
    name: str
    pid: int | None


def where(address: Address) -> dict[str, Any]:
    """The fields of a target that an address gives."""
    path = DEFAULT_PATH if address.how.websocket and not address.path else address.path
    return {"scheme": address.scheme, "host": address.host or "localhost", "port": address.port, "path": path}


def name_of(address: Address, target: Target) -> str:
    """What the server at an address calls itself; it lets us in then. Raises Unreachable."""
    try:
        version, server = logged_in(target, ANSWER_TIMEOUT).greeting()
    except Unreachable as error:
        hint = HINT if NO_CONNECTION in str(error) else ""
        raise Unreachable(f"{address}: {error}{hint}") from None
    if version != "1.2":
        raise Unreachable(f"{address}: the server does not speak STOMP 1.2, which the benchmark needs")
    return server or "a server without a name"


def logged_in(target: Target, patience: float) -> "Generator":
    """A client that the server has let in. Raises Unreachable."""
    # Imported here, as a help text needs no generator.
    from fastbroker.bench.generator import Generator, GeneratorError

    try:
        client = Generator(target, replace(ONE_CLIENT, patience=patience), sessions_of(target))
        while not client.progress()["operations"]:
            if client.phase == "ready":
                client.go()
            if not client.step(STEP):
                raise Unreachable(f"no answer to CONNECT within {patience:g} s; is that the address of a STOMP server?")
    except (GeneratorError, StartError) as error:
        raise Unreachable(str(error)) from None
    return client


@contextmanager
def own_server() -> Iterator[Serving]:
    """A fastbroker on a free port, for as long as it is wanted. Raises Unreachable if it does not start."""
    command = [sys.executable, "-m", "fastbroker", "serve", "--listen", "tcp://127.0.0.1:0"]
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryDirectory(prefix="fastbroker-bench-", ignore_cleanup_errors=True) as directory,
    ):
        settings = Path(directory, "broker.toml")
        settings.write_text(SETTINGS)
        command += ["--config", str(settings), "--data-dir", str(settings.with_name("data"))]
        # Ctrl-C is for us: the server ends when the run has.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, process_group=0)
        try:
            address = _wait_for_address(child, said)
            target = Target(**where(address))
            yield Serving(target, f"fastbroker/{__version__}", child.pid)
        finally:
            _end(child)


def _wait_for_address(child: subprocess.Popen[bytes], said: IO[bytes]) -> Address:
    deadline = time.monotonic() + START_TIMEOUT
    lines: list[str] = []
    while time.monotonic() < deadline:
        ended = child.poll() is not None
        lines = os.pread(said.fileno(), 1 << 16, 0).decode(errors="replace").splitlines()
        if found := [line for line in lines if line.startswith(LISTENING)]:
            return parse(found[0].removeprefix(LISTENING))
        if ended:
            break
        time.sleep(POLL)
    raise Unreachable("\n".join(["the server for the benchmark did not start:", *lines[-5:]]))


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
