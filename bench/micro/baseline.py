"""Counts that were kept, and what new ones are worth beside them."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from os import environ
from pathlib import Path
from sysconfig import get_config_var

import msgspec

COMMITTED = Path(__file__).with_name("instructions.json")
CHANGED = 0.01
TOO_MUCH = 0.03


class Build(msgspec.Struct, frozen=True):
    """What counts depend on besides our code. Counts of different builds are never held against each other."""

    compiler: str
    machine: str
    library: str
    python: str
    cython: str
    valgrind: str

    def differences(self, other: Build) -> list[str]:
        """What is not the same."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in self.__struct_fields__)
        return [f"{name}: {ours}, was {theirs}" for name, ours, theirs in pairs if ours != theirs]


class Baseline(msgspec.Struct):
    """Instructions per operation, by kernel."""

    date: str
    flags: str
    build: Build
    instructions: dict[str, float]


class Verdict(Enum):
    """What became of a kernel."""

    NEW = "new"
    SAME = "same"
    FEWER = "fewer"
    MORE = "more"
    TOO_MANY = "too many"


@dataclass(frozen=True)
class Change:
    """One kernel, before and now."""

    name: str
    before: float | None
    now: float

    @property
    def growth(self) -> float:
        """As a share of what it was."""
        return self.now / self.before - 1 if self.before else 0.0

    @property
    def verdict(self) -> Verdict:
        """Whether it matters."""
        if self.before is None:
            return Verdict.NEW
        if abs(self.growth) <= CHANGED:
            return Verdict.SAME
        if self.growth < 0:
            return Verdict.FEWER
        return Verdict.MORE if self.growth <= TOO_MUCH else Verdict.TOO_MANY


def changes(before: Baseline | None, now: Mapping[str, float]) -> list[Change]:
    """In the order of the new counts."""
    known = before.instructions if before else {}
    return [Change(name, known.get(name), count) for name, count in now.items()]


def merged(before: Baseline | None, now: Baseline) -> Baseline:
    """What to keep when only some kernels were counted. Raises ValueError when the others are of another build."""
    if before is None:
        return now
    if before.build != now.build:
        raise ValueError("the baseline is of another build: count everything to replace it")
    return msgspec.structs.replace(now, instructions=before.instructions | now.instructions)


def read(file: Path) -> Baseline | None:
    """What was kept, or None. Raises ValueError for a file that is something else."""
    return msgspec.json.decode(file.read_bytes(), type=Baseline) if file.exists() else None


def write(baseline: Baseline, file: Path) -> None:
    """To be committed, so it is made to be read."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=1) + b"\n")


# ---- this build ----


def build_of(extension: Path, valgrind: str) -> Build:
    """How that extension module, and what it runs with, were made."""
    binary = extension.read_bytes()
    return Build(
        compiler=compiler_of(binary),
        machine=_machine(),
        library=" ".join(platform.libc_ver()),
        python=_python(),
        cython=cython_of(binary),
        valgrind=valgrind,
    )


def compiler_of(binary: bytes) -> str:
    """As compilers note it in what they make: the one of PATH may be another one."""
    found = re.findall(rb"GCC: \([^\0]*\) [\w.]+|[\w ]*clang version [\w.]+", binary)
    return ", ".join(sorted({each.decode().strip() for each in found})) or "unknown"


def cython_of(binary: bytes) -> str:
    """As it names what the modules that it makes share."""
    found = re.search(rb"_cython_(\d\w+)", binary)
    return found[1].decode().replace("_", ".") if found else "unknown"


def flags(own: list[str]) -> str:
    """What extension modules are compiled with here; not part of the build, since it is ours to change."""
    given = f"{get_config_var('CFLAGS')} {environ.get('CFLAGS', '')}".split()
    return " ".join([*(each for each in given if "/" not in each), *own])


def _python() -> str:
    options = get_config_var("CONFIG_ARGS") or ""
    made = [name for name in ("--enable-optimizations", "--with-lto") if name in options]
    return " ".join([platform.python_version(), *made])


def _machine() -> str:
    """With what decides which memcpy the C library takes."""
    cpuinfo = Path("/proc/cpuinfo")
    avx2 = cpuinfo.exists() and " avx2 " in cpuinfo.read_text()
    return f"{platform.machine()}, AVX2" if avx2 else platform.machine()
