"""Servers that are fetched from a registry, each into a directory of its own under `build/bench-peers`."""

from __future__ import annotations

import re
import shutil
import subprocess
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.peers.launch import PeerFailed
from bench.peers.peer import ROOT, Peer

PLACE = ROOT / "build" / "bench-peers"
TIME_LIMIT = 600.0
ADDRESS = re.compile(r"\b[a-z]+://[^\s)\]>\"']+")
WRONG = re.compile(r"error|could not|cannot|no matching|forbidden|not found", re.IGNORECASE)


class Downloaded(Peer):
    """A server that this repository does not contain."""

    @property
    def package(self) -> str:
        """What is installed; several peers may be the same program."""
        return self.name

    @property
    def place(self) -> Path:
        """Where it is installed."""
        return PLACE / self.package

    @property
    def failure(self) -> Path:
        """Why it could not be installed is written here."""
        return PLACE / f"{self.package}.failed"

    def needs(self) -> str:
        """What this machine lacks for it to be installed or run; empty if nothing."""
        return ""

    @abstractmethod
    def wanted(self) -> str:
        """What is to be there. Something else that is there is replaced."""

    @abstractmethod
    def fetch(self, directory: Path) -> None:
        """Fetches it into an empty directory, which gets its final name afterwards. Raises PeerFailed."""

    def installed(self) -> bool:
        """Whether what is wanted is there."""
        stamp = self.place / "wanted"
        return stamp.exists() and stamp.read_text() == self.wanted()

    def missing(self) -> str:
        """What the machine lacks, or why it is not installed."""
        if reason := self.needs():
            return reason
        if self.installed():
            return ""
        if self.failure.exists():
            return self.failure.read_text()
        return f"not installed; `python -m bench.peers.install {self.package}` does it"

    def install(self) -> None:
        """Fetches it, unless it is there. What is only half there is never used."""
        if reason := self.needs():
            raise PeerFailed(reason)
        if not self.installed():
            self.failure.unlink(missing_ok=True)
            try:
                self._fetch()
            except PeerFailed as failure:
                self.failure.write_text(f"could not be installed: {failure}")
                raise

    def _fetch(self) -> None:
        partial = PLACE / f"{self.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.fetch(partial)
        (partial / "wanted").write_text(self.wanted())
        shutil.rmtree(self.place, ignore_errors=True)
        partial.rename(self.place)


def run_tool(
    command: Sequence[str | Path], directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Runs what fetches or builds. Raises PeerFailed with what it complained of."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
        )
    except FileNotFoundError:
        raise PeerFailed(f"there is no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise PeerFailed(f"{command[0]} was not done after {TIME_LIMIT:g} s") from None
    if done.returncode:
        raise PeerFailed(complaint(done.stderr + "\n" + done.stdout) or f"{command[0]} ended with {done.returncode}")


def complaint(output: str) -> str:
    """The line that says what is wrong, without addresses: which registry was asked is the machine's business."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    line = next(iter([line for line in lines if WRONG.search(line)] or lines[-1:]), "")
    return ADDRESS.sub("…", re.sub(r"^\W*(ERROR|E)\W+", "", line))[:300]
