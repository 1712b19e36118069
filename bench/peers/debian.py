"""Programs of Debian, unpacked into a directory: nothing is installed in the system, and no service is started."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bench.peers.download import run_tool
from bench.peers.launch import PeerFailed
from bench.peers.peer import output_of

TOOLS = ("apt-cache", "apt-get", "dpkg-deb")
DEPENDS = ("apt-cache", "depends", "--recurse", "--important")

# Debian's own `erl` knows one place only.
ERL = """\
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/../root/usr/lib/erlang
ROOTDIR=$(cd "$root" && pwd) || exit
BINDIR=$(echo "$ROOTDIR"/erts-*/bin)
EMU=beam
PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "$BINDIR/erlexec" "$@"
"""


def no_debian() -> str:
    """Why nothing can be unpacked; empty if it can."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"not installed, and there is no {lacking[0]} to fetch it with" if lacking else ""


def unpack(package: str, prefix: str, directory: Path) -> None:
    """Unpack a package, and what it depends on as far as its name begins so, into `directory/root`."""
    names = [package, *sorted(depended_on(output_of(*DEPENDS, package), prefix))]
    run_tool(["apt-get", "download", *names], directory)
    for archive in sorted(directory.glob("*.deb")):
        run_tool(["dpkg-deb", "-x", archive, directory / "root"])
        archive.unlink()


def depended_on(said: str, prefix: str) -> set[str]:
    """The packages whose names begin so, of what `apt-cache depends` says."""
    return set(re.findall(rf"^({re.escape(prefix)}\S+)$", said, re.MULTILINE))


def write_erl(directory: Path) -> None:
    """Write programs that find Erlang where it was unpacked, into `directory/bin`, and try them."""
    (directory / "bin").mkdir()
    erl = directory / "bin" / "erl"
    erl.write_text(ERL)
    erl.chmod(0o755)
    for epmd in (directory / "root/usr/lib/erlang").glob("erts-*/bin/epmd"):
        (directory / "bin" / "epmd").symlink_to(Path("..", epmd.relative_to(directory)))
    if not otp_version(erl):
        raise PeerFailed("Erlang was unpacked, but does not run here")


def otp_version(erl: str | Path) -> str:
    """The release of Erlang/OTP that runs; empty if none does."""
    ask = "io:put_chars(erlang:system_info(otp_release)), halt()."
    said = output_of("env", "ERL_CRASH_DUMP_SECONDS=0", str(erl), "-noshell", "-eval", ask)
    return said if said.isdigit() else ""
