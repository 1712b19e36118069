"""The server that is measured: one that runs somewhere, or one that is started for a single run."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from fastbroker import __version__
from fastbroker.address import Address, parse
from fastbroker.bench.load import Target
from fastbroker.client import Frame, StompError, encode, read_frame

ANSWER_TIMEOUT = 10.0
START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0
POLL = 0.01
LISTENING = "listening on "


class Unreachable(Exception):
    """There is no server to measure; the message says what to do."""


class Serving(NamedTuple):
    """A server that can be measured."""

    target: Target
    name: str
    pid: int | None


def name_of(address: Address, target: Target) -> str:
    """What the server at an address calls itself; it lets us in then. Raises Unreachable."""
    try:
        return asyncio.run(_ask(address, target))
    except StompError as error:
        raise Unreachable(f"{address}: {error}") from None
    except TimeoutError:
        raise Unreachable(
            f"{address} did not answer CONNECT within {ANSWER_TIMEOUT:g} s; is that the address of a STOMP server?"
        ) from None
    except socket.gaierror as error:
        raise Unreachable(f"cannot connect to {address}: {error.strerror}") from None
    except OSError:
        raise Unreachable(
            f"cannot connect to {address}; is the server running? `fastbroker serve` starts one on this machine, "
            "`fastbroker bench --serve` one for the benchmark alone"
        ) from None


async def _ask(address: Address, target: Target) -> str:
    async with asyncio.timeout(ANSWER_TIMEOUT):
        answers, requests = await asyncio.open_connection(address.host, address.port)
        try:
            requests.write(encode(_connect(target)))
            answer = await read_frame(answers)
        finally:
            requests.close()
    if answer.command == "ERROR":
        detail = answer.body.decode(errors="replace").strip()
        raise StompError("\n".join(filter(None, [f"the server says: {answer.header('message')}", detail])))
    if answer.command != "CONNECTED" or answer.header("version") != "1.2":
        raise StompError("it does not speak STOMP 1.2, which the benchmark needs")
    return answer.header("server", "a server without a name")


def _connect(target: Target) -> Frame:
    headers = [("accept-version", "1.2"), ("host", target.virtual_host or target.host)]
    if target.login or target.passcode:
        headers += [("login", target.login), ("passcode", target.passcode)]
    return Frame("CONNECT", headers)


@contextmanager
def own_server() -> Iterator[Serving]:
    """A fastbroker on a free port, for as long as it is wanted. Raises Unreachable if it does not start."""
    command = [sys.executable, "-m", "fastbroker", "serve", "--listen", "tcp://127.0.0.1:0"]
    with tempfile.TemporaryFile() as said:
        # Ctrl-C is for us: the server ends when the run has.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, process_group=0)
        try:
            address = _wait_for_address(child, said)
            target = Target(host=address.host, port=address.port)
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
