"""Tools of the wire tests: a real broker process, and a client that speaks in bytes.

A test writes down the bytes that go out and the bytes that must come back. What the broker is free to choose stands
in the expected bytes as a field in angle brackets (`<session>`, `<message-id>`, `<ack>` …), and each field has its own
strict pattern.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from certificates import tls_table

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = float(os.environ.get("FASTBROKER_TEST_DEADLINE", "20"))
"""Seconds that one wait may take before its test fails: many, as a busy machine is no failure. Slow builds raise it."""
SOON = DEADLINE / 4
"""Seconds for what is over in a moment on a quiet machine: still less than any default that would end it instead."""

VERSIONS = ("1.0", "1.1", "1.2")
every_version = pytest.mark.parametrize("version", VERSIONS)
from_1_1 = pytest.mark.parametrize("version", VERSIONS[1:])
only_1_2 = pytest.mark.parametrize("version", VERSIONS[2:])

FIELDS = {
    "session": rb"[A-Za-z0-9._/-]{4,64}",
    "short-session": rb"[A-Za-z0-9._/-]{4}",
    "server": rb"fastbroker/[0-9][A-Za-z0-9._/-]*",
    "beat": rb"[0-9]+,[0-9]+",
    "message-id": rb"[A-Za-z0-9]{8}-[0-9]+",
    "ack": rb"[A-Za-z0-9._/-]{1,64}",
    "token": rb"[A-Za-z0-9._-]{8,64}",
    "length": rb"[0-9]+",
    "text": rb"[^\0]+\n",
}
FIELD = re.compile(rb"<(" + b"|".join(name.encode() for name in FIELDS) + rb")>")
CONTENT_LENGTH = re.compile(rb"^content-length:([0-9]+)$", re.MULTILINE)
OVER_TCP = ("tcp", "tls", "ws", "wss")
LISTENING = re.compile(r"listening on ([a-z]+)://127\.0\.0\.1:([0-9]+)")

NARROW = 65_536
"""A receive buffer so small that a client that does not read soon stalls the broker's output."""

LARGE = 10_000
"""Bytes of an expected frame from which on its body is compared apart: a pattern of megabytes takes seconds."""

numbers = itertools.count(1)


def wire(text: str | bytes) -> bytes:
    """The bytes of a frame written as text."""
    return text.encode() if isinstance(text, str) else text


def frame(command: str, *headers: str, body: str | bytes = b"") -> bytes:
    """A frame as a client writes it, its header lines exactly as given."""
    head = "".join(f"{line}\n" for line in (command, *headers))
    return head.encode() + b"\n" + wire(body) + b"\0"


def receipt(value: str) -> bytes:
    """The RECEIPT that the broker must send for `receipt:<value>`."""
    return f"RECEIPT\nreceipt-id:{value}\n\n\0\n".encode()


def unique(kind: str) -> str:
    """A name that no other test uses."""
    return f"{kind}{next(numbers)}"


@lru_cache(maxsize=512)
def compiled(template: bytes) -> re.Pattern[bytes]:
    """An expected frame as a pattern: its fields become named groups, all the rest must be the same byte for byte."""
    parts = FIELD.split(template)
    for at in range(0, len(parts), 2):
        parts[at] = re.escape(parts[at])
    for at in range(1, len(parts), 2):
        name = parts[at].decode()
        parts[at] = b"(?P<" + name.replace("-", "_").encode() + b">" + FIELDS[name] + b")"
    return re.compile(b"".join(parts))


def matched(template: bytes, got: bytes) -> dict[str, bytes] | None:
    """The fields of an expected frame as they came, or None when something else came."""
    if len(template) > LARGE and not FIELD.search(template, template.index(b"\n\n")):
        body = template.index(b"\n\n")
        at = max(len(got) - (len(template) - body), 0)
        return matched(template[:body], got[:at]) if got[at:] == template[body:] else None
    match = compiled(template).fullmatch(got)
    return match.groupdict() if match else None


def toml(config: Mapping[str, Any]) -> str:
    """Settings as TOML: single values first, then tables, then arrays of tables."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in config.items() if not has_tables(value)]
    for name, value in config.items():
        if isinstance(value, Mapping):
            lines += [f"[{name}]", toml(value)]
        elif has_tables(value):
            lines += [line for table in value for line in (f"[[{name}]]", toml(table))]
    return "\n".join(lines) + "\n"


def has_tables(value: object) -> bool:
    """Whether a setting is written as one table or several."""
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(item, Mapping) for item in value))


def eventually(condition: Callable[[], Any], what: str, *, timeout: float = DEADLINE, pause: float = 0.005) -> Any:
    """Wait until `condition()` is true and return what it gave; `what` names it when it never becomes true."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"in {timeout} s it never came about that {what}"
        time.sleep(pause)
    return value


class Broker:
    """A `fastbroker serve` process with a configuration of its own, its port and its log."""

    def __init__(self, directory: Path, config: Mapping[str, Any] | None = None) -> None:
        path = directory / "broker.toml"
        path.write_text(toml({"tls": tls_table(), **(config or {})}))
        urls = [*(f"{scheme}://127.0.0.1:0" for scheme in OVER_TCP), f"unix://{directory / 'socket'}"]
        listen = [word for url in urls for word in ("--listen", url)]
        self.path = directory / "socket"
        command = [sys.executable, "-m", "fastbroker", "serve", "-c", str(path), *listen, "--log-format", "json"]
        self.log: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._collect, args=(stream,), daemon=True).start()
        try:
            self.wait_log(lambda record: record["event"] == "started", timeout=2 * DEADLINE)
            self.ports = {scheme: self._port(scheme) for scheme in OVER_TCP}
        except AssertionError:
            self.process.kill()
            raise
        self.port = self.ports["tcp"]

    def _port(self, scheme: str) -> int:
        """Where it listens, as it has said."""
        start = f"listening on {scheme}://"
        record = self.wait_log(lambda record: str(record["event"]).startswith(start), timeout=DEADLINE)
        found = LISTENING.search(str(record["event"]))
        assert found, record
        return int(found[2])

    def _collect(self, stream: IO[bytes]) -> None:
        for line in stream:
            try:
                record = json.loads(line)
            except ValueError:
                record = {"event": line.decode(errors="replace").rstrip()}
            with self._news:
                self.log.append(record)
                self._news.notify_all()
        self.process.wait()
        with self._news:
            self._news.notify_all()

    def wait_log(
        self, wanted: Callable[[dict[str, Any]], Any], *, since: int = 0, timeout: float = DEADLINE
    ) -> dict[str, Any]:
        """The first log record behind position `since` that is wanted; it is waited for."""
        with self._news:
            self._news.wait_for(lambda: any(map(wanted, self.log[since:])) or self._died(), timeout)
            found = next(filter(wanted, self.log[since:]), None)
            assert found is not None, f"no such log record, but: {self.log[since:][-20:]}"
            return found

    def _died(self) -> bool:
        return self.process.poll() is not None

    def wait_disconnected(self, client: Client, reason: str, *, timeout: float = DEADLINE) -> dict[str, Any]:
        """Wait for the log record that says why a client is gone; there is one for each connection."""
        record = self.wait_log(
            lambda record: is_disconnect_of(record, client), since=client.log_position, timeout=timeout
        )
        assert re.search(reason, record["reason"]), record
        return record

    def census(self) -> dict[str, int]:
        """The broker's own count of all that is alive in it."""
        since = len(self.log)
        self.process.send_signal(signal.SIGUSR1)
        record = self.wait_log(lambda record: record["event"] == "census", since=since)
        return {name: value for name, value in record.items() if type(value) is int}

    def resident(self) -> int:
        """Resident memory of the broker process in bytes; Linux only.

        Always 0 with the address sanitizer, which keeps freed memory to itself.
        """
        if "libasan" in os.environ.get("LD_PRELOAD", ""):
            return 0
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            pytest.skip("resident memory is read from /proc")
        return int(re.search(r"VmRSS:\s+([0-9]+) kB", status.read_text())[1]) * 1024  # type: ignore[index]

    def processor_time(self) -> float:
        """Seconds that the broker's loop has had a processor, which a busy machine does not change; Linux only."""
        schedstat = Path(f"/proc/{self.process.pid}/schedstat")
        if not schedstat.exists():
            pytest.skip("processor time is read from /proc")
        return int(schedstat.read_text().split()[0]) / 1e9

    def stop(self) -> None:
        """End the broker politely; it must leave with exit code 0 and without a stack trace in its log."""
        self.process.terminate()
        try:
            self.process.wait(3 * DEADLINE)
        finally:
            self.process.kill()
        assert self.process.returncode == 0, self.log[-20:]
        assert not [record for record in self.log if "Traceback" in json.dumps(record)]


def is_disconnect_of(record: Mapping[str, Any], client: Client) -> bool:
    """Whether a log record tells of the end of this client's connection."""
    return record["event"] == "disconnected" and client.is_peer(str(record.get("peer", "")))


class Delivery(NamedTuple):
    """What is needed to settle a MESSAGE."""

    subscription: str
    message_id: str
    ack: str


class Client:
    """A socket to the broker that sends bytes and reads frames as they come, changing nothing."""

    scheme = "tcp"

    def __init__(self, broker: Broker, *, receive_buffer: int = 0) -> None:
        self.log_position = len(broker.log)
        self.version = ""
        self.frame_end = b"\0\n"
        self.received = bytearray()
        self.ack_modes: dict[str, str] = {}
        self.port = 0
        self.socket = self._connect(broker, receive_buffer)

    def _connect(self, broker: Broker, receive_buffer: int) -> socket.socket:
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(DEADLINE)
        connection.connect(("127.0.0.1", broker.ports[self.scheme]))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = connection.getsockname()[1]
        return connection

    def is_peer(self, peer: str) -> bool:
        """Whether a log record means this client."""
        return peer.endswith(f":{self.port}")

    def send(self, *frames: str | bytes) -> None:
        """Write bytes to the socket, all of them in one piece."""
        self.socket.sendall(b"".join(map(wire, frames)))

    def stop_sending(self) -> None:
        """Say that nothing follows, and go on receiving."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket as a program that ends would."""
        self.socket.close()

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # Reading

    def _read_socket(self) -> bytes:
        """What comes next; nothing at the end of the stream."""
        try:
            return self.socket.recv(1 << 18)
        except TimeoutError:
            pytest.fail(f"nothing more came within {self.socket.gettimeout()} s, but before: {bytes(self.received)!r}")
        except ConnectionResetError:
            return b""

    def _receive(self) -> bool:
        """Read some more; False at the end of the stream."""
        data = self._read_socket()
        self.received += data
        return bool(data)

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        while len(self.received) < size:
            assert self._receive(), f"the connection ended behind {bytes(self.received)!r}"
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def _find(self, mark: bytes, start: int = 0) -> int:
        """Position of `mark` in what comes."""
        while (at := self.received.find(mark, start)) < 0:
            start = max(start, len(self.received) - len(mark))
            assert self._receive(), f"the connection ended behind {bytes(self.received)!r}"
        return at

    def read_frame(self) -> bytes:
        """One frame as it came, with the LF behind its NUL."""
        body = self._find(b"\n\n") + 2
        length = CONTENT_LENGTH.search(self.received, 0, body - 1)
        end = body + int(length[1]) if length else self._find(b"\0", body)
        return self.read(end + len(self.frame_end))

    def read_all(self) -> bytes:
        """Everything up to the end of the stream."""
        while self._receive():
            pass
        return self.read(len(self.received))

    def expect(self, template: str | bytes) -> dict[str, str]:
        """Read one frame (or one heart-beat), which must be this one, and return the fields of the template."""
        template = wire(template)
        got = self.read(1) if template == b"\n" else self.read_frame()
        fields = matched(template, got)
        assert fields is not None, f"\nexpected {template!r}\ngot      {got!r}"
        return {name: value.decode() for name, value in fields.items()}

    def expect_error(self, message: str, *, receipt: str = "", before: str = "") -> str:
        """Read an ERROR with this short message, then the end of the stream, and return the text of its body."""
        culprit = f"receipt-id:{receipt}\n" if receipt else ""
        kind = "content-type:text/plain;charset=utf-8"
        head = f"ERROR\n{before}message:{message}\n{culprit}{kind}\ncontent-length:<length>\n"
        got = self.expect(f"{head}\n<text>\0\n")
        assert int(got["length"]) == len(got["text"].encode())
        assert "Traceback" not in got["text"]
        self.expect_end()
        return got["text"]

    def expect_end(self) -> None:
        """The broker has ended the stream, and nothing is left in it."""
        rest = self.read_all()
        assert rest == b"", f"expected the end of the stream, got {rest!r}"

    def is_silent(self) -> bool:
        """Whether not a byte has come that was not read yet."""
        return not self.received and not select.select([self.socket], [], [], 0)[0]

    def skip_heart_beats(self) -> None:
        """Read the heart-beats in front of the next frame."""
        while not self.received.lstrip(b"\n"):
            assert self._receive(), "the connection ended"
        self.received = self.received.lstrip(b"\n")

    def roundtrip(self) -> None:
        """Have everything sent so far processed: a transaction is opened, with a receipt, and dropped."""
        name = unique("roundtrip")
        self.send(f"BEGIN\ntransaction:{name}\nreceipt:{name}\n\n\0ABORT\ntransaction:{name}\n\n\0")
        self.expect(receipt(name))

    def expect_nothing(self) -> None:
        """Show that nothing is on its way: the first round trip settles what was sent, the second what came of it."""
        self.roundtrip()
        self.roundtrip()

    # Conversation

    def login(self, version: str, *headers: str) -> dict[str, str]:
        """CONNECT, and the CONNECTED that must come back."""
        self.version = version
        self.send(frame("CONNECT", f"accept-version:{version}", "host:localhost", *headers))
        return self.expect(
            f"CONNECTED\nversion:{version}\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n\n\0\n"
        )

    def subscribe(self, destination: str, *headers: str, id: str = "1", ack: str = "auto") -> None:
        """SUBSCRIBE, and wait for its RECEIPT."""
        self.ack_modes[id] = ack
        name = unique("subscribe")
        lines = [f"destination:{destination}", f"ack:{ack}", f"receipt:{name}", *headers]
        self.send(frame("SUBSCRIBE", *([f"id:{id}"] if id else []), *lines))
        self.expect(receipt(name))

    def unsubscribe(self, id: str = "1") -> None:
        """UNSUBSCRIBE, and wait for its RECEIPT."""
        name = unique("unsubscribe")
        self.send(frame("UNSUBSCRIBE", f"id:{id}", f"receipt:{name}"))
        self.expect(receipt(name))

    def publish(self, destination: str, body: str | bytes = "", *headers: str) -> None:
        """SEND, and wait for its RECEIPT."""
        name = unique("publish")
        self.send(frame("SEND", f"destination:{destination}", *headers, f"receipt:{name}", body=body))
        self.expect(receipt(name))

    def expect_message(
        self, destination: str, body: str | bytes = "", *headers: str, id: str = "1", redelivered: bool = False
    ) -> Delivery:
        """Read a MESSAGE of subscription `id`, the exact bytes that this version and its ack mode call for."""
        with_ack = self.version == "1.2" and self.ack_modes[id] != "auto"
        lines = [f"subscription:{id}"] if id else []
        lines += ["message-id:<message-id>", *(["ack:<ack>"] if with_ack else [])]
        lines += ["redelivered:true"] if redelivered else []
        got = self.expect(frame("MESSAGE", *lines, f"destination:{destination}", *headers, body=body) + b"\n")
        return Delivery(id, got["message_id"], got.get("ack", ""))

    def expect_bodies(self, destination: str, bodies: Iterator[str] | list[str], *, id: str = "1") -> list[Delivery]:
        """Read one MESSAGE for each body, in this order."""
        return [self.expect_message(destination, body, id=id) for body in bodies]

    def settle(self, delivery: Delivery, *headers: str, command: str = "ACK") -> None:
        """ACK (or NACK) a message with the headers that this version wants."""
        self.send(frame(command, *self.settling_headers(delivery), *headers))

    def settling_headers(self, delivery: Delivery) -> list[str]:
        """The headers by which an ACK names its message in this version."""
        if self.version == "1.2":
            return [f"id:{delivery.ack}"]
        if self.version == "1.1":
            return [f"subscription:{delivery.subscription}", f"message-id:{delivery.message_id}"]
        return [f"message-id:{delivery.message_id}"]

    def ack(self, delivery: Delivery, *headers: str) -> None:
        """ACK, and wait for its RECEIPT."""
        name = unique("ack")
        self.settle(delivery, f"receipt:{name}", *headers)
        self.expect(receipt(name))

    def nack(self, delivery: Delivery, *headers: str) -> None:
        """NACK, and wait for its RECEIPT."""
        name = unique("nack")
        self.settle(delivery, f"receipt:{name}", *headers, command="NACK")
        self.expect(receipt(name))


@contextmanager
def in_background(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run `work` in a thread beside the test; an exception of its fails the test at the end of the block."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(4 * DEADLINE)
    assert not thread.is_alive(), f"{work} did not end"
    if failures:
        raise failures[0]
