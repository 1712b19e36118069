"""The clients in Ruby and Perl, as Debian has them: unpacked into a directory, and not installed in the system.

The interpreters are used as they are found; where one is missing, only root lets Debian install it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from node_peers import NO_ESCAPES, TRIMS
from peers import HEADERS, HERE, PEERS, RECEIPTS, Gap, Peer, driver_environment, stamp_of

TOOLS = ("apt-get", "dpkg-deb")
TIME_LIMIT = 180.0


@dataclass(frozen=True)
class DebianPeer(Peer):
    """A client whose program speaks as those of `drivers-node` do."""

    interpreter: str = ""
    main: str = ""
    """Its program, beside this file."""
    packages: tuple[str, ...] = ()
    search_path: tuple[str, str] = ("", "")
    """The variable that tells the interpreter where libraries are, and where the packages have them."""

    @property
    def directory(self) -> Path:
        return PEERS / self.packages[0]

    @property
    def stamp(self) -> str:
        return stamp_of(packages=self.packages)

    @property
    def module(self) -> str:
        return "node_process"

    @property
    def environment(self) -> dict[str, str]:
        variable, place = self.search_path
        settings = {
            "INTEROP_PROGRAM": json.dumps([self.interpreter, str(HERE / self.main)]),
            "INTEROP_ADAPTER": self.adapter,
            "INTEROP_OPTIONS": "{}",
            variable: str(self.directory / place),
        }
        return driver_environment(**settings)

    def missing(self) -> str:
        return self._no_interpreter() or super().missing()

    def _no_interpreter(self) -> str:
        return "" if shutil.which(self.interpreter) else f"{self.interpreter} is not installed"

    def fill(self, directory: Path) -> str:
        """Let Debian fetch its packages, and unpack them; return its last complaint when it cannot."""
        if lacking := [tool for tool in TOOLS if not shutil.which(tool)]:
            return f"there is no {lacking[0]}"
        directory.mkdir()
        if complaint := self._fetch(directory):
            return complaint
        for archive in sorted(directory.glob("*.deb")):
            if complaint := run(["dpkg-deb", "-x", archive.name, "."], directory):
                return complaint
            archive.unlink()
        return self._no_interpreter()

    def _fetch(self, directory: Path) -> str:
        """With lists that are there or, as root, with new ones."""
        download = ["apt-get", "-qq", "download", *self.packages]
        complaint = run(download, directory)
        if os.getuid() == 0 and (complaint or self._no_interpreter()):
            complaint = run(["apt-get", "-qq", "update"], directory) or run(download, directory)
            if not complaint and self._no_interpreter():
                install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", self.interpreter]
                complaint = run(install, directory)
        return complaint


def run(command: list[str], directory: Path) -> str:
    """Run a program; return the last line of its complaint when it fails."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=directory, env=quiet, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} was not done after {TIME_LIMIT:g} s"
    complaints = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (complaints or [f"{command[0]} ended with code {done.returncode}"])[-1]


NO_BEATS = Gap("sends no heart-beats", ("heart_beats_keep_an_idle_connection",), ("1.1",))

TABLE = (
    DebianPeer(
        "stomp",
        "1.4.10",
        "gem",
        ("1.0", "1.1", "1.2"),
        RECEIPTS | HEADERS,
        interpreter="ruby",
        main="drivers-ruby/main.rb",
        packages=("ruby-stomp",),
        search_path=("RUBYLIB", "usr/lib/ruby/vendor_ruby"),
    ),
    DebianPeer(
        "Net::Stomp",
        "0.61",
        "Net::Stomp",
        ("1.0", "1.1"),
        RECEIPTS | HEADERS | {"anonymous subscriptions"},
        ("tcp",),
        (TRIMS, NO_ESCAPES, NO_BEATS),
        interpreter="perl",
        main="drivers-perl/main.pl",
        packages=("libnet-stomp-perl", "libclass-accessor-perl", "liblog-any-perl"),
        search_path=("PERL5LIB", "usr/share/perl5"),
    ),
)
