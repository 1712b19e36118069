"""Counts kernels: starts counted.py under callgrind and reads what that has written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.micro import callgrind
from bench.micro.compiled import ROOT, built
from bench.micro.kernels import KERNELS

# What is passed on of the environment, which lies in the memory of the process and so moves what comes behind it.
PASSED_ON = ("PYTHONPATH", "PYTHONSAFEPATH", "LD_LIBRARY_PATH")


class CountingFailed(Exception):
    """It could not be counted, and why."""


class Counted(NamedTuple):
    """One kernel: instructions per operation, in all and by function, those first that take most."""

    name: str
    instructions: float
    functions: list[tuple[str, float]]


def count(valgrind: str, names: Sequence[str]) -> Iterator[Counted]:
    """Each as soon as it was counted. Raises CountingFailed."""
    module = built(Path(__file__).with_name("micro.pyx"))
    with TemporaryDirectory() as directory:
        program = [sys.executable, "-m", "bench.micro.counted", str(module)]
        # What Python keeps compiled is made first: compiling it leaves the memory in another order than loading it.
        subprocess.run(program, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL, check=True)
        for name, process in _run([*_callgrind(valgrind, directory), *program], names):
            yield _counted(name, Path(directory, process).read_text())


def _callgrind(valgrind: str, directory: str) -> list[str]:
    """The functions are those of micro.pyx; `%p` is the process."""
    return [
        valgrind,
        "--tool=callgrind",
        "--quiet",
        "--toggle-collect=micro_counted",
        "--zero-before=micro_forgotten",
        f"--callgrind-out-file={directory}/%p",
    ]


def _environment() -> dict[str, str]:
    return {"PYTHONHASHSEED": "0", **{name: os.environ[name] for name in PASSED_ON if name in os.environ}}


def _run(command: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Kernels and the processes in which they ran."""
    with subprocess.Popen(
        command, cwd=ROOT, env=_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as counting:
        assert counting.stdin
        assert counting.stdout
        try:
            for name in names:
                print(name, file=counting.stdin, flush=True)
                process, status = counting.stdout.readline().split() or ("", "it ended")
                if status != "0":
                    raise CountingFailed(f"The process that runs {name} failed: {status}.")
                yield name, process
        except BaseException:
            counting.kill()
            raise


def _counted(name: str, written: str) -> Counted:
    total, operations = callgrind.total(written), KERNELS[name].rounds * KERNELS[name].operations
    if total == 0:
        raise CountingFailed("callgrind has counted nothing: it does not see the functions of micro.pyx by their names")
    functions = [(function, own / operations) for function, own in callgrind.by_function(written).most_common()]
    return Counted(name, round(total / operations, 2), functions)
