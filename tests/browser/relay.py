"""A network that can be taken away: a TCP relay between a browser and the broker."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Relay:
    """Passes bytes on to `target` while it is asked to."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.is_open = True
        self.to_broker = threading.Event()
        self.to_browser = threading.Event()
        self.resume()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and each new one at once."""
        self.is_open = False
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()
        self.resume()

    def mend(self, target: int = 0) -> None:
        """Take connections again, to another broker if need be."""
        self.target = target or self.target
        self.is_open = True

    def resume(self) -> None:
        """Let bytes pass; `to_broker.clear()` and `to_browser.clear()` stop them and close nothing."""
        self.to_broker.set()
        self.to_browser.set()

    def close(self) -> None:
        """End it."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser = self._listener.accept()[0]
                if self.is_open:
                    self._join(browser)
                else:
                    browser.close()

    def _join(self, browser: socket.socket) -> None:
        broker = socket.create_connection(("127.0.0.1", self.target))
        self._ends += [browser, broker]
        for source, sink, gate in ((browser, broker, self.to_broker), (broker, browser, self.to_browser)):
            threading.Thread(target=pump, args=(source, sink, gate), daemon=True).start()


def pump(source: socket.socket, sink: socket.socket, gate: threading.Event) -> None:
    """Pass bytes on until either end is closed."""
    with contextlib.suppress(OSError):
        while some := source.recv(65536):
            gate.wait()
            sink.sendall(some)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def relayed(target: int) -> Iterator[Relay]:
    """A relay for the length of a block."""
    relay = Relay(target)
    try:
        yield relay
    finally:
        relay.close()
