"""Presence, over sockets: the names and sessions that clients know themselves by."""

import asyncio
import io
import json

import uvloop
from harness.waiting import DEADLINE

from fastbroker import server as server_module
from fastbroker.config import Config
from fastbroker.core.log import Log
from fastbroker.core.policy import Policies
from fastbroker.log import line_of
from fastbroker.server import Server


async def hear(reader):
    async with asyncio.timeout(DEADLINE):
        text = (await reader.readuntil(b"\0")).decode().lstrip("\n").removesuffix("\0")
    head, _, body = text.partition("\n\n")
    return dict(line.split(":", 1) for line in head.split("\n")[1:]), body


async def enter(server, login, frame):
    """Connect and say that: (reader, writer, the session's id)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.addresses[0].rpartition(":")[2]))
    writer.write(f"CONNECT\naccept-version:1.2\nhost:x\nlogin:{login}\n\n\0{frame}\n\n\0".encode())
    headers, _ = await hear(reader)
    return reader, writer, headers["session"]


def test_a_watcher_learns_who_comes_and_who_is_lost(monkeypatch):
    monkeypatch.setattr(server_module, "policies_of", lambda config: Policies(topics=[("room.#", {"presence": True})]))

    async def work():
        log = Log("info", line_of("text", colors=False), io.BytesIO().write, asyncio.get_running_loop().call_later)
        async with Server(Config(listen=("tcp://127.0.0.1:0",)), log=log) as server:
            there = "SUBSCRIBE\nid:1\ndestination:/topic/room.a\nreceipt:r"
            first, first_writer, ana = await enter(server, "ana", there)
            assert (await hear(first))[0] == {"receipt-id": "r"}
            watching = "SUBSCRIBE\nid:p\ndestination:/presence/room.a\nreceipt:r"
            watcher, last_writer, _ = await enter(server, "watcher", watching)
            assert (await hear(watcher))[0] == {"receipt-id": "r"}
            headers, body = await hear(watcher)
            assert (headers["event"], headers["destination"]) == ("present", "/presence/room.a")
            assert json.loads(body) == [{"user": "ana", "session": ana}]
            _, writer, tom = await enter(server, "tom", there)
            headers, body = await hear(watcher)
            assert (headers["event"], json.loads(body)) == ("joined", [{"user": "tom", "session": tom}])
            writer.transport.abort()
            headers, body = await hear(watcher)
            assert (headers["event"], json.loads(body)) == ("left", [{"user": "tom", "session": tom}])
            for writer in (first_writer, last_writer):  # which are there for as long as they are held
                writer.close()

    uvloop.run(asyncio.wait_for(work(), DEADLINE))
