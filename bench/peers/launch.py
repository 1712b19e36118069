"""Starting a server's processes, and making sure that none of them is left."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

SERVER_CORE = 0
STOP_TIMEOUT = 15.0
ENDING = (signal.SIGTERM, signal.SIGHUP)


class PeerFailed(Exception):
    """A server could not be installed, did not start, or ended by itself."""


@dataclass(frozen=True)
class Launch:
    """How a server is started."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    reached: Mapping[str, Any] = field(default_factory=dict)
    """What of the target only this start knows: fields and their values."""


def on_core(number: int) -> tuple[str, ...]:
    """What to put in front of a command so that it runs on one core; nothing where there is no second."""
    if sys.platform != "linux":
        return ()
    usable = sorted(os.sched_getaffinity(0))
    return ("taskset", "--cpu-list", str(usable[number])) if len(usable) > 1 else ()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def launched(launch: Launch, directory: Path, log: Path, core: int | None) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the server in a group of its own; at the end the whole group is gone, and so is what left the group."""
    command = [*(() if core is None else on_core(core)), *launch.command]
    environment = {**os.environ, **launch.environment}
    _allow_many_descriptors()
    _let_signals_raise()
    process = _start(command, environment, directory, log)
    try:
        yield process
    finally:
        _stop(process)


def _start(
    command: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        try:
            return subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise PeerFailed(f"cannot start {command[0]}: {error.strerror}") from None


def _allow_many_descriptors() -> None:
    # Those who run a broker allow it many connections; a child has the limit of its parent.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _let_signals_raise() -> None:
    """A signal that would end this process at once, and leave its servers alone, ends it as an exception would."""
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and what it has started at once; none of them has time for anything more."""
    _kill(process, _family(process.pid))


def _stop(process: subprocess.Popen[bytes]) -> None:
    family = _family(process.pid)
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
    finally:
        # Also when somebody has lost patience and interrupts the waiting.
        _kill(process, family)


def _kill(process: subprocess.Popen[bytes], family: list[psutil.Process]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    psutil.wait_procs(family, timeout=STOP_TIMEOUT)


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []
