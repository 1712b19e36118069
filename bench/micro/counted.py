"""Runs kernels so that callgrind can count: the program that instructions.py starts under valgrind.

    python -m bench.micro.counted FILE      FILE is the module that micro.pyx was made into

It is told the name of one kernel after the other, since arguments of other lengths would move what lies behind them in
memory, and answers each with the process in which that ran and its status. The process is forked when everything is
imported, so that no kernel finds the memory as another one has left it, and none waits for the interpreter to start.
"""

from __future__ import annotations

import gc
import os
import random
import secrets
import sys
import traceback
from pathlib import Path
from types import ModuleType

from bench.micro.compiled import loaded
from bench.micro.kernels import KERNELS, Kernel


def leave_nothing_to_chance() -> None:
    """Hash seeds and random names are the same in every run, or a hash table's collisions would differ."""
    generator = random.Random(1)
    os.urandom = secrets.token_bytes = generator.randbytes  # type: ignore[assignment]
    secrets.choice = generator.choice
    secrets.token_hex = lambda nbytes=None: generator.randbytes(nbytes or 16).hex()
    gc.disable()


def run(kernel: Kernel, micro: ModuleType) -> None:
    """What was counted until the kernel was warm is forgotten; callgrind writes when the process ends."""
    repeat = kernel.make(micro)
    repeat(kernel.rounds)
    micro.forget()
    repeat(kernel.rounds)


def run_apart(kernel: Kernel, micro: ModuleType) -> tuple[int, int]:
    """In a process of its own: which, and its status."""
    process = os.fork()
    if process == 0:
        try:
            run(kernel, micro)
        except Exception:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return process, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(file: str) -> None:
    """One after the other."""
    leave_nothing_to_chance()
    micro = loaded(Path(file))
    for name in sys.stdin:
        print(*run_apart(KERNELS[name.strip()], micro), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
