"""The JMS client for STOMP of ActiveMQ's makers, which Maven fetches; Java runs its program from the source.

A program in JMS sees no frames, so it plays none of the scenarios: `test_jms.py` has its own.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from peers import HERE, PEERS, Peer, driver_environment, stamp_of

DRIVERS = HERE / "drivers-java"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
MVN = ("mvn", "-B", "-q", COPY, "-DincludeScope=runtime")
TIME_LIMIT = 180.0


@dataclass(frozen=True)
class JavaPeer(Peer):
    """A client from Maven Central."""

    @property
    def directory(self) -> Path:
        return PEERS / self.label

    @property
    def stamp(self) -> str:
        return stamp_of(pinned=(DRIVERS / "pom.xml").read_text())

    @property
    def module(self) -> str:
        return ""

    @property
    def environment(self) -> dict[str, str]:
        return driver_environment()

    @property
    def command(self) -> tuple[str, ...]:
        """What runs its program; a URL follows."""
        return ("java", "-cp", str(self.directory / "*"), str(DRIVERS / "Jms.java"))

    def missing(self) -> str:
        return super().missing() if shutil.which("javac") else "there is no JDK"

    def fill(self, directory: Path) -> str:
        """Let Maven copy every jar of the POM; return its first complaint when it cannot."""
        if lacking := [tool for tool in ("javac", "mvn") if not shutil.which(tool)]:
            return f"there is no {lacking[0]}"
        command = [*MVN, "-f", str(DRIVERS / "pom.xml"), f"-DoutputDirectory={directory}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return f"mvn was not done after {TIME_LIMIT:g} s"
        return "" if done.returncode == 0 else (done.stdout.splitlines() or [f"mvn ended with {done.returncode}"])[0]


STOMPJMS = JavaPeer("stompjms", "1.19", "", ("1.1",), frozenset())
TABLE = (STOMPJMS,)
