"""Brokers in a loop of one's own: several at once, and nothing of them is left."""

import asyncio
import gc
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import weakref
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import uvloop
from harness.broker import ROOT
from harness.certificates import authority, tls_table
from harness.waiting import DEADLINE

from fastbroker.client import StompError, Trust, connected
from fastbroker.config import Auth, Config, Tls, WebSocket
from fastbroker.core.log import Log
from fastbroker.errors import StartError
from fastbroker.log import line_of
from fastbroker.server import Server
from fastbroker.transports import workers
from fastbroker.transports.address import parse_target

LISTEN = ("tcp://127.0.0.1:0",)


class Lines(io.StringIO):
    """A log that can be read."""

    def __init__(self):
        super().__init__()
        self.log = Log("info", line_of("text", colors=False), lambda line: self.write(line.decode()), self._later)

    @staticmethod
    def _later(*arguments):
        return asyncio.get_running_loop().call_later(*arguments)


def dial(server, at=0):
    return connected(parse_target(server.addresses[at]))


def open_files():
    """Which there are, where the system tells. Numbers are used again; what stands behind them is not."""
    found = set()
    for each in Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").exists() else ():
        with suppress(FileNotFoundError):  # that of the directory itself
            found.add(each.readlink())
    return found


async def exchange(server, text):
    """Send a message and receive it."""
    async with dial(server) as sender, dial(server) as receiver:
        await receiver.subscribe("/topic/same", "auto")
        await sender.send("/topic/same", text, receipt=True)
        async for message in receiver.messages():
            assert message.body == text
            break
        await receiver.disconnect()
        await sender.disconnect()


def test_two_in_one_loop_know_nothing_of_each_other():
    async def work():
        lines = Lines()
        async with (
            Server(Config(listen=LISTEN, data_dir="none"), log=lines.log) as one,
            Server(Config(listen=LISTEN, data_dir="none"), log=lines.log) as two,
        ):
            assert one.addresses != two.addresses
            await asyncio.gather(*(exchange(each, b"%d" % at) for at, each in enumerate([one, two])))
            async with dial(one) as client:
                await client.send("/queue/a", b"x", receipt=True)
                assert (one.census()["messages"], two.census()["messages"]) == (1, 0)
                assert (one.census()["sessions"], two.census()["sessions"]) == (1, 0)
        assert lines.getvalue().count("stopped aborted_connections=0") == 2

    uvloop.run(asyncio.wait_for(work(), DEADLINE))


def test_nothing_is_left_of_one_that_was_closed(tmp_path):
    """No file, no task, no timer, and the broker itself is garbage."""

    async def once():
        listen = ("tcp://127.0.0.1:0", "ws://127.0.0.1:0", "tls://127.0.0.1:0", f"unix://{tmp_path}/s.sock")
        config = Config(listen=listen, tls=Tls(**tls_table()), data_dir=str(tmp_path / "data"))
        async with Server(config, log=Lines().log) as server:
            await exchange(server, b"hello")
            async with dial(server) as client:
                await client.send("/queue/stays", b"x", receipt=True)
            assert (tmp_path / "data" / "listening").read_text().split() == list(server.addresses)
            return weakref.ref(server), weakref.ref(server._log)

    async def work():
        await once()
        before = open_files()
        for _ in range(3):
            server, log = await once()
        async with asyncio.timeout(DEADLINE):
            while server() or log():  # the hub has the log
                await asyncio.sleep(0.02)
                gc.collect()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_files() <= before  # what other tests have left may go meanwhile

    uvloop.run(work())
    assert not (tmp_path / "s.sock").exists()
    assert not (tmp_path / "data" / "listening").exists()


def test_handshakes_are_made_in_threads_where_there_are_processors_for_it(monkeypatch):
    monkeypatch.setattr(workers, "processors", lambda: 4)

    def handshake_threads():
        return sum(thread.name == "handshakes" for thread in threading.enumerate())

    async def work():
        listen = ("tls://127.0.0.1:0", "wss://127.0.0.1:0")
        config = Config(listen=listen, tls=Tls(**tls_table()), data_dir="none")
        async with Server(config, log=Lines().log) as server:
            await asyncio.gather(*(come_and_go(parse_target(address)) for address in server.addresses * 50))
            assert 1 <= handshake_threads() <= 2
        assert handshake_threads() == 0

    async def come_and_go(target):
        async with connected(target, trust=Trust(ca=authority())) as client:
            await client.send("/queue/a", b"x", receipt=True)

    uvloop.run(asyncio.wait_for(work(), DEADLINE))


def test_without_a_log_of_ones_own_lines_go_to_the_standard_error_output(capfd):
    threads = threading.active_count()

    async def work():
        async with Server(Config(listen=LISTEN, data_dir="none")) as server:
            await exchange(server, b"hello")

    uvloop.run(work())
    lines = capfd.readouterr().err.splitlines()
    events = [line.split("] ")[1].split()[0] for line in lines]
    assert sorted(events) == ["disconnected", "disconnected", "draining", "started", "stopped"]
    assert threading.active_count() == threads


def test_the_example_of_the_readme():
    (example,) = re.findall(r"```python\n([^`]*Server\([^`]*)```", (ROOT / "README.md").read_text())
    ran = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=True, timeout=3 * DEADLINE
    )
    assert re.match(r"\('tcp://127\.0\.0\.1:[0-9]+',\)\n{'connections': 0,", ran.stdout)


def test_the_process_is_left_alone():
    async def work():
        state = [gc.get_threshold(), gc.get_freeze_count(), sys.unraisablehook, signal.getsignal(signal.SIGTERM)]
        umask = os.umask(0o022)
        os.umask(umask)
        async with Server(Config(listen=LISTEN, data_dir="none"), log=Lines().log) as server:
            await exchange(server, b"hello")
            assert os.umask(umask) == umask
            assert asyncio.get_running_loop().get_exception_handler() is None
        assert state == [
            gc.get_threshold(), gc.get_freeze_count(), sys.unraisablehook, signal.getsignal(signal.SIGTERM),
        ]  # fmt: skip

    uvloop.run(work())


def test_the_loop_is_uvloops():
    with pytest.raises(StartError, match="uvloop"):
        asyncio.run(Server(Config(listen=LISTEN, data_dir="none")).start())


def test_clients_wait_from_start_to_serve():
    async def work():
        server = Server(Config(listen=LISTEN, data_dir="none"), log=Lines().log)
        await server.start()
        client = asyncio.ensure_future(exchange(server, b"hello"))
        await asyncio.sleep(0.05)
        assert server.census()["connections"] == 0
        assert not client.done()
        await server.serve()
        await asyncio.wait_for(client, DEADLINE)
        assert await server.drain() == 0
        server.close()

    uvloop.run(work())


def test_draining_tells_how_many_it_has_cut_off():
    async def work():
        lines = Lines()
        async with Server(Config(listen=LISTEN, data_dir="none"), log=lines.log) as server:
            deaf = socket.create_connection(server.addresses[0].removeprefix("tcp://").split(":"))
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(b"CONNECT\n\n\0SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0")
            async with dial(server) as sender:
                for _ in range(4):
                    await sender.send("/queue/a", b"x" * 3_000_000, receipt=True)
            drained = asyncio.ensure_future(server.drain(timeout=3600))
            await asyncio.sleep(0.1)
            assert not drained.done()
            server.hurry()
            assert await asyncio.wait_for(drained, DEADLINE) == 1
            deaf.close()
        assert "aborted_connections=1" in lines.getvalue()

    uvloop.run(work())


def test_what_cannot_be_started_leaves_nothing_behind(tmp_path):
    async def work():
        async with Server(Config(listen=LISTEN, data_dir=str(tmp_path)), log=Lines().log) as server:
            taken = Config(listen=(f"unix://{tmp_path}/s.sock", server.addresses[0]), data_dir="none")
            exposed = Config(listen=("tcp://0.0.0.0:0",), data_dir="none")
            for config in (taken, Config(listen=LISTEN, data_dir=str(tmp_path)), exposed):
                with pytest.raises(StartError):
                    await Server(config, log=Lines().log).start()
            assert not (tmp_path / "s.sock").exists()
        # Not its port: another test may have got that meanwhile.
        async with Server(Config(listen=taken.listen[:1], data_dir="none"), log=Lines().log):
            assert (tmp_path / "s.sock").exists()

    uvloop.run(work())


def test_it_can_be_told_who_may_come_in(tmp_path):
    from fastbroker.auth import Access
    from fastbroker.core.login import LoginRefused

    def authenticate(login):
        if login.passcode != "right":
            raise LoginRefused("no")
        return login.login

    async def work():
        may = Access(authenticate, lambda who, verb, destination: verb == "subscribe")
        async with (
            Server(Config(listen=LISTEN, data_dir="none"), log=Lines().log, may=may) as server,
            AsyncExitStack() as stack,
        ):
            address = parse_target(server.addresses[0])
            with pytest.raises(StompError):
                await stack.enter_async_context(connected(address, "me", "wrong"))
            client = await stack.enter_async_context(connected(address, "me", "right"))
            with pytest.raises(StompError, match="access"):
                await client.send("/queue/a", b"", receipt=True)

    uvloop.run(work())


def test_certificates_are_read_again():
    async def work():
        lines = Lines()
        listen = ("wss://127.0.0.1:0",)
        config = Config(listen=listen, tls=Tls(**tls_table()), auth=Auth(), websocket=WebSocket(), data_dir="none")
        async with Server(config, log=lines.log) as server:
            server.reload()
        assert "certificates reloaded" in lines.getvalue()

    uvloop.run(work())
