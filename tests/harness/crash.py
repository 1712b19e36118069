"""Producers and consumers of a broker that is killed again and again, who remember what they were promised.

Producer    SENDs with receipts, some in transactions, to its queue and to a topic with a durable subscription; some
            that come later, to another queue; and what its own topic is to retain
Consumer    ACKs with receipts what comes of a queue, or of the durable subscription

I1  what has a RECEIPT is delivered, once or more, unless somebody acknowledged it
I2  nothing comes that nobody sent, or not as it was sent
I3  what has the RECEIPT of its ACK does not come again
I4  what one producer has sent to a queue comes in order, but for what says that it comes again, or later
I5  a topic retains the last thing of which somebody heard that it does, or something newer
"""

from __future__ import annotations

import random
import re
import socket
import threading
import time
import zlib
from collections import defaultdict

FRAME = re.compile(rb"([A-Z]+)\n(.*?)\n\n(.*?)\0\n*", re.DOTALL)
WINDOW = 64
LATER = b"/queue/crash.later"
RETAINED = "/topic/crash.retained."
PRODUCERS = 4


def body_of(destination: str, producer: int, number: int) -> bytes:
    """What is sent, with its check sum; of many lengths."""
    text = f"{destination} {producer} {number} {'x' * (number * 7919 % 400)}".encode()
    if number % 97 == 0:
        text += b"y" * 100_000
    return b"%08x %b" % (zlib.crc32(text), text)


class Ledger:
    """What was promised, and what came."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.promised: set[bytes] = set()
        self.sent: set[bytes] = set()
        self.acked: set[bytes] = set()
        self.gone: set[bytes] = set()
        self.delivered: set[bytes] = set()
        self.last: dict[tuple[bytes, bytes], int] = defaultdict(int)
        self.faults: list[str] = []
        self.retained: dict[int, int] = {}  # by producer, what its topic retains at least

    def came(self, key: bytes, body: bytes, again: bool, by: int) -> None:
        """A MESSAGE; `by` tells connections apart, as order is a matter of one."""
        with self.lock:
            if zlib.crc32(body[9:]) != int(body[:8], 16) or key not in self.sent:
                self.faults.append(f"I2: {body[:80]!r}")
            if key in self.gone:
                self.faults.append(f"I3: {key!r}")
            destination, producer, number = key.split(b" ")
            place = (destination + b"%d" % by, producer)
            if not again and destination != LATER and int(number) <= self.last[place]:
                self.faults.append(f"I4: {key!r} behind {self.last[place]}")
            self.last[place] = max(self.last[place], int(number))
            self.delivered.add(key)

    def missing(self) -> set[bytes]:
        """What was promised and never came, once all is drained."""
        return self.promised - self.delivered - self.acked


class Connection:
    """A socket, and the frames that come from it."""

    def __init__(self, port: int, headers: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.rest = b""
        self.send(f"CONNECT\naccept-version:1.2\nhost:x\n{headers}\n\0".encode())
        assert self.read()[0][0] == b"CONNECTED"

    def send(self, frames: bytes) -> None:
        """All of it."""
        self.socket.sendall(frames)

    def read(self) -> list[tuple[bytes, dict[bytes, bytes], bytes]]:
        """The frames that come next, one at least. OSError at the end."""
        found = []
        while not found:
            more = self.socket.recv(1 << 18)
            if not more:
                raise ConnectionResetError
            self.rest += more
            end = 0
            for match in FRAME.finditer(self.rest):
                found.append((match[1], dict(line.split(b":", 1) for line in match[2].split(b"\n")), match[3]))
                end = match.end()
            self.rest = self.rest[end:].lstrip(b"\n")
        return found


class Worker(threading.Thread):
    """Works until its connection breaks."""

    def __init__(self, ledger: Ledger, port: int) -> None:
        super().__init__(daemon=True)
        self.ledger, self.port = ledger, port
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Keeps what else went wrong."""
        try:
            self.work()
        except OSError:
            pass
        except BaseException as failure:
            self.failure = failure

    def work(self) -> None:
        """What it does."""
        raise NotImplementedError


class Producer(Worker):
    """Sends to its queue and to the topic, in turns, and in every tenth round a transaction."""

    def __init__(self, ledger: Ledger, port: int, number: int, first: int) -> None:
        super().__init__(ledger, port)
        self.number, self.next = number, first

    def work(self) -> None:
        """Never more under way than a window."""
        connection = Connection(self.port)
        pending: dict[bytes, list[bytes]] = {}
        while True:
            frames, keys = self.round()
            with self.ledger.lock:
                for sent in keys.values():
                    self.ledger.sent.update(sent)
            pending.update(keys)
            connection.send(frames)
            while len(pending) > WINDOW:
                for command, headers, _ in connection.read():
                    assert command == b"RECEIPT", (command, headers)
                    with self.ledger.lock:
                        self.promised(headers[b"receipt-id"], pending)

    def promised(self, receipt: bytes, pending: dict[bytes, list[bytes]]) -> None:
        """It came."""
        if receipt.startswith(b"retained-"):
            self.ledger.retained[self.number] = int(receipt[9:])
        else:
            self.ledger.promised.update(pending.pop(receipt))

    def round(self) -> tuple[bytes, dict[bytes, list[bytes]]]:
        """Some frames, and for each receipt what it promises."""
        frames, keys = b"", {}
        together: list[bytes] = []
        transaction = self.next // 10 % 10 == 0
        name = f"t{self.next}"
        if transaction:
            frames += f"BEGIN\ntransaction:{name}\n\n\0".encode()
        for _ in range(10):
            self.next += 1
            destination = f"/queue/crash.{self.number % 2}" if self.next % 3 else "/topic/crash"
            body = body_of(destination, self.number, self.next)
            key = b" ".join(body[9:].split(b" ")[:3])
            last = f"transaction:{name}" if transaction else f"receipt:{self.next}"
            head = f"SEND\ndestination:{destination}\npersistent:true\n{last}\ncontent-length:{len(body)}\n\n"
            frames += head.encode() + body + b"\0"
            together.append(key)
            if not transaction:
                keys[str(self.next).encode()] = [key]
        if transaction:
            frames += f"COMMIT\ntransaction:{name}\nreceipt:{name}\n\n\0".encode()
            keys[name.encode()] = together
        return frames + self.later(keys) + self.to_retain(), keys

    def later(self, keys: dict[bytes, list[bytes]]) -> bytes:
        """A message that comes after a while."""
        self.next += 1
        body = body_of(LATER.decode(), self.number, self.next)
        keys[str(self.next).encode()] = [b" ".join(body[9:].split(b" ")[:3])]
        head = f"SEND\ndestination:{LATER.decode()}\npersistent:true\ndelay:{self.next % 200 + 1}\nreceipt:{self.next}"
        return f"{head}\ncontent-length:{len(body)}\n\n".encode() + body + b"\0"

    def to_retain(self) -> bytes:
        """What its topic retains from now on."""
        head = f"SEND\ndestination:{RETAINED}{self.number}\npersistent:true\nretain:set\nreceipt:retained-{self.next}"
        return f"{head}\n\n{self.next}\0".encode()


class Consumer(Worker):
    """Takes from one destination and acknowledges nearly all."""

    def __init__(self, ledger: Ledger, port: int, subscribe: str, number: int, *, patience: float = 20) -> None:
        super().__init__(ledger, port)
        self.subscribe, self.number, self.patience = subscribe, number, patience

    def work(self) -> None:
        """Until nothing more comes for a while."""
        connection = Connection(self.port)
        connection.socket.settimeout(self.patience)
        connection.send(f"SUBSCRIBE\nid:c\nack:client-individual\n{self.subscribe}\n\n\0".encode())
        while True:
            frames = connection.read()
            connection.send(b"".join(self.take(*frame) for frame in frames))

    def take(self, command: bytes, headers: dict[bytes, bytes], body: bytes) -> bytes:
        """What is said to it."""
        if command == b"RECEIPT":
            with self.ledger.lock:
                self.ledger.gone.add(headers[b"receipt-id"])
            return b""
        assert command == b"MESSAGE", (command, headers)
        key = b" ".join(body[9:].split(b" ")[:3])
        self.ledger.came(key, body, b"redelivered" in headers, self.number)
        if random.random() < 0.02:
            return b"NACK\nid:%b\n\n\0" % headers[b"ack"]
        with self.ledger.lock:
            self.ledger.acked.add(key)
        return b"ACK\nid:%b\nreceipt:%b\n\n\0" % (headers[b"ack"], key)


SUBSCRIPTIONS = (
    "destination:/queue/crash.0",
    "destination:/queue/crash.1",
    "destination:/topic/crash\ndurable:true\nauto-delete:false",
    f"destination:{LATER.decode()}",
)


def subscribe_durably(port: int) -> None:
    """The topic's messages are kept from now on."""
    connection = Connection(port)
    connection.send(f"SUBSCRIBE\nid:c\nreceipt:r\n{SUBSCRIPTIONS[2]}\n\n\0".encode())
    assert connection.read()[0][0] == b"RECEIPT"
    connection.socket.close()


def work_for(ledger: Ledger, port: int, seconds: float, cycle: int) -> list[Worker]:
    """Some of each, for so long; they go on until the broker dies."""
    consumers = [Consumer(ledger, port, SUBSCRIPTIONS[n % 4], 100 * cycle + n) for n in range(5)]
    producers = [Producer(ledger, port, n, 1_000_000 * cycle) for n in range(PRODUCERS)]
    workers: list[Worker] = [*consumers, *producers]
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    return workers


def look_at_retained(ledger: Ledger, port: int) -> None:
    """Each topic must still have what was promised."""
    connection = Connection(port)
    missing = dict(ledger.retained)
    for producer in missing:
        connection.send(f"SUBSCRIBE\nid:{producer}\ndestination:{RETAINED}{producer}\n\n\0".encode())
    while missing:
        for _, headers, body in connection.read():
            if int(body) < missing.pop(int(headers[b"subscription"])):
                ledger.faults.append(f"I5: {body!r} is older than {ledger.retained}")
    connection.socket.close()


def drain(ledger: Ledger, port: int) -> None:
    """All that is left is taken."""
    consumers = [Consumer(ledger, port, each, -1 - n, patience=3) for n, each in enumerate(SUBSCRIPTIONS)]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join()
        assert consumer.failure is None, consumer.failure
