"""What systemd says to a service, and what it wants to hear: sockets that are open already, READY, WATCHDOG.

Nothing of it happens unless systemd has set its environment variables.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

FIRST_DESCRIPTOR = 3


def passed_sockets(environ: MutableMapping[str, str]) -> list[tuple[str, socket.socket]]:
    """The sockets that were handed over, each with its name (`FileDescriptorName=`). They are taken once."""
    process, count, names = (environ.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
    if process != str(os.getpid()) or not count.isdecimal():
        return []
    found = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    named = [*names.split(":"), *[""] * len(found)]
    for descriptor in found:
        os.set_inheritable(descriptor, False)
    return [(name, socket.socket(fileno=descriptor)) for descriptor, name in zip(found, named, strict=False)]


class Notifier:
    """Tells systemd how the broker is. Without systemd it tells nobody."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """Take where to send what from the environment, so that no process started from here does the same."""
        self._address = environ.pop("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        watchdog = environ.pop("WATCHDOG_USEC", "")
        process = environ.pop("WATCHDOG_PID", "") or str(os.getpid())
        mine = watchdog.isdecimal() and process == str(os.getpid())
        self.watchdog = int(watchdog) / 1e6 / 2 if mine else 0.0
        """Seconds from one WATCHDOG=1 to the next; 0 when none is wanted."""

    def ready(self) -> None:
        """The broker serves; also after a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The broker reads its files again."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The broker drains."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The loop turns."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.setblocking(False)
            to.sendto(text.encode(), self._address)
