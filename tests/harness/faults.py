"""A disk that is full, slow or broken, and a clock that is wrong, for a process that shim.c was loaded into."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("shim.c")
ON_WRITE, ON_SYNC = 1, 2
ALWAYS = 1 << 30


class Orders(ctypes.Structure):
    """As it is drawn in shim.c."""

    _fields_ = [
        ("budget", ctypes.c_int64),
        ("used", ctypes.c_int64),
        ("fails", ctypes.c_int32),
        ("fails_after", ctypes.c_int32),
        ("fails_often", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("failed", ctypes.c_int32),
        ("writes", ctypes.c_int32),
        ("syncs", ctypes.c_int32),
        ("slow", ctypes.c_int32),
        ("clock", ctypes.c_int64),
    ]


class Shim:
    """What a process does to the files of `under`, which there is already."""

    def __init__(self, directory: Path, under: Path, *, traced: bool = False) -> None:
        self.trace = directory / "trace"
        file = directory / "orders"
        file.write_bytes(bytes(Orders(budget=-1)))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), ctypes.sizeof(Orders))
        self.orders = Orders.from_buffer(self._map)
        preloaded = [str(library(directory)), *filter(None, [os.environ.get("LD_PRELOAD")])]
        self.environment = {
            **os.environ,
            "LD_PRELOAD": " ".join(reversed(preloaded)),
            "FASTBROKER_SHIM": str(file),
            "FASTBROKER_SHIM_UNDER": str(under.resolve()),
            **({"FASTBROKER_SHIM_TRACE": str(self.trace)} if traced else {}),
        }

    def run(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Instead of Popen."""
        return subprocess.Popen(command, env=self.environment, **options)

    def fail(self, what: int, error: int, *, after: int = 0, often: int = ALWAYS) -> None:
        """`error` 0 are short writes."""
        self.orders.fails_often = 0
        self.orders.error, self.orders.fails_after, self.orders.failed = error, after, 0
        self.orders.fails = what
        self.orders.fails_often = often

    def heal(self) -> None:
        """Nothing fails any more."""
        self.orders.fails_often = 0


def library(directory: Path) -> Path:
    """The compiled shim."""
    compiler = shutil.which("cc")
    if compiler is None or not Path("/proc/self/fd").exists():
        pytest.skip("the shim takes a C compiler and Linux")
    target = directory / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(target), str(SOURCE), "-ldl", "-pthread"]
    subprocess.run(command, check=True)
    return target


def in_little_space(directory: Path, megabytes: int) -> Callable[..., subprocess.Popen[bytes]]:
    """Instead of Popen, for a process that has a file system of that size at `directory`, and nobody else."""
    unshare = shutil.which("unshare")
    mount = f"mount -t tmpfs -o size={megabytes}m none '{directory}' && exec \"$@\""
    prefix = [str(unshare), "-rm", "sh", "-c", mount, "sh"]
    if unshare is None or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")

    def run(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*prefix, *command], **options)

    return run
