"""Last wills, over sockets: whatever ends a connection but DISCONNECT and the broker's own stop."""

import asyncio
import io
import socket
import struct

import pytest
import uvloop
from harness.waiting import DEADLINE

from fastbroker import server as server_module
from fastbroker.config import Config
from fastbroker.core.log import Log
from fastbroker.log import line_of
from fastbroker.server import Server

WILL = "will-destination:/queue/wills\nwill-body:gone"


class Caller:
    """A client, no more than a socket."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, server, headers="x:y"):
        port = int(server.addresses[0].rpartition(":")[2])
        caller = cls(*await asyncio.open_connection("127.0.0.1", port))
        caller.say(f"CONNECT\naccept-version:1.2\nhost:x\n{headers}\n\n\0")
        assert (await caller.hear()).startswith("CONNECTED\n")
        return caller

    def say(self, frame):
        self.writer.write(frame.encode())

    async def hear(self):
        async with asyncio.timeout(DEADLINE):
            return (await self.reader.readuntil(b"\0")).decode().lstrip("\n")

    async def next_will(self):
        frame = await self.hear()
        assert frame.startswith("MESSAGE\n")
        return frame.partition("\n\n")[2]

    def reset(self):
        there = self.writer.get_extra_info("socket")
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@pytest.fixture
def taking_wills(monkeypatch):
    usual = server_module.hub_settings
    monkeypatch.setattr(server_module, "hub_settings", lambda config: {**usual(config), "last_will": True})


def serving():
    lines = io.StringIO()
    log = Log(
        "info",
        line_of("text", colors=False),
        lambda line: lines.write(line.decode()),
        lambda *arguments: asyncio.get_running_loop().call_later(*arguments),
    )
    return Server(Config(listen=("tcp://127.0.0.1:0",)), log=log)


def run(work):
    uvloop.run(asyncio.wait_for(work(), DEADLINE))


async def heir_of(server):
    heir = await Caller.connect(server)
    heir.say("SUBSCRIBE\nid:1\ndestination:/queue/wills\n\n\0")
    return heir


async def leave(client, how):
    if how == "reset":
        client.reset()
    elif how == "closed":
        client.writer.close()
    elif how == "half closed":
        client.writer.write_eof()
    elif how == "cut off in a frame":
        client.say("SEND\ndestination:/queue/a\n\nhal")
        client.writer.write_eof()
    elif how == "an error":
        client.say("UNSUBSCRIBE\nid:none\n\n\0")
        assert (await client.hear()).startswith("ERROR\n")
    elif how == "malformed":
        client.say("SEND\nno colon\n\n\0")
    # "silent": nothing, though heart-beats were promised


@pytest.mark.usefixtures("taking_wills")
@pytest.mark.parametrize(
    "how", ["reset", "closed", "half closed", "cut off in a frame", "an error", "malformed", "silent"]
)
def test_every_unclean_end_has_it_sent_once(how):
    async def work():
        async with serving() as server:
            heir = await heir_of(server)
            client = await Caller.connect(server, WILL + "\nheart-beat:1000,0")
            await leave(client, how)
            assert await heir.next_will() == "gone\0"
            last = await Caller.connect(server, WILL.replace("gone", "second"))
            last.reset()
            assert await heir.next_will() == "second\0"

    run(work)


@pytest.mark.usefixtures("taking_wills")
@pytest.mark.parametrize("receipt", ["", "receipt:bye\n"])
def test_disconnect_takes_it_back(receipt):
    async def work():
        async with serving() as server:
            heir = await heir_of(server)
            client = await Caller.connect(server, WILL)
            client.say(f"DISCONNECT\n{receipt}\n\0")
            client.reset() if not receipt else await client.hear()
            last = await Caller.connect(server, WILL.replace("gone", "second"))
            last.reset()
            assert await heir.next_will() == "second\0"

    run(work)


@pytest.mark.usefixtures("taking_wills")
def test_it_comes_though_nobody_is_there():
    """The last connection has gone, and the clock still goes until its will is published."""

    async def work():
        async with serving() as server:
            client = await Caller.connect(server, WILL + "\nwill-delay:300")
            client.reset()
            while server.census()["connections"]:
                await asyncio.sleep(0.01)
            assert server.census()["messages"] == 0
            while not server.census()["messages"]:
                await asyncio.sleep(0.01)
            heir = await heir_of(server)
            assert await heir.next_will() == "gone\0"

    run(work)


@pytest.mark.usefixtures("taking_wills")
def test_the_brokers_own_stop_sends_none():
    async def work():
        async with serving() as server:
            heir = await heir_of(server)
            clients = [await Caller.connect(server, WILL) for _ in range(3)]
            waiting = await Caller.connect(server, WILL + "\nwill-delay:1000")
            waiting.reset()
            while server.census()["connections"] > 4:
                await asyncio.sleep(0.01)
        assert [await client.reader.read() for client in (heir, *clients)] == [b"\n"] * 4

    run(work)


def test_by_default_none_is_taken():
    async def work():
        async with serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.addresses[0].rpartition(":")[2]))
            writer.write(f"CONNECT\naccept-version:1.2\nhost:x\n{WILL}\n\n\0".encode())
            assert (await reader.read()).startswith(b"ERROR\nmessage:access refused\n")

    run(work)
