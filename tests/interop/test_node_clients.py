"""JavaScript clients when the broker ends a connection: what a program is told, and who comes back by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import node_peers
import pytest
from campaign import WAYS, serving, urls_of
from drivers.node_process import NodeClient, NodeProcess
from harness.broker import Broker
from harness.certificates import authority
from harness.waiting import eventually
from node_peers import NodePeer

CASES = [
    (peer, way)
    for peer in node_peers.TABLE
    if "reconnects" in peer.abilities and not peer.variant
    for way in peer.ways
    if way in ("tcp", "ws")
]
CLOSE_CODES = [peer for peer in node_peers.TABLE if "close codes" in peer.abilities and not peer.variant]
Connect = Callable[[NodePeer, str], NodeClient]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect a client, in a node process of its own."""
    with ExitStack() as stack:

        def connected(peer: NodePeer, url: str) -> NodeClient:
            if reason := peer.missing():
                pytest.skip(reason)
            node = NodeProcess(url, peer.stomp[-1], peer.environment | {"INTEROP_AUTHORITY": authority()})
            stack.callback(node.stop)
            client = NodeClient(url, peer.stomp[-1], node)
            client.connect()
            return client

        yield connected


@pytest.mark.parametrize(("peer", "way"), CASES, ids=[f"{peer.label}/{way}" for peer, way in CASES])
def test_client_comes_back_by_itself_after_a_restart(
    connect: Connect, peer: NodePeer, way: str, tmp_path: Path
) -> None:
    first = serving(tmp_path)
    client = connect(peer, urls_of(first)[way])
    client.subscribe("/topic/restart")
    client.sync()
    first.stop()
    client.await_loss()
    if "close codes" in peer.abilities and way == "ws":
        assert client.close_code == 1012
    second = serving(tmp_path, [f"{scheme}://127.0.0.1:{first.ports[scheme]}" for scheme in WAYS])
    eventually(lambda: second.census()["subscriptions"] == 1, "the client has subscribed again")
    client.send("/topic/restart", b"after")
    assert client.next_message().body == b"after"
    second.stop()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    limits = {"max_frame": "2 KiB", "max_frame_before_login": "1 KiB", "max_subscriptions": 1}
    broker = serving(tmp_path_factory.mktemp("broker"), limits=limits)
    yield broker
    broker.stop()


@pytest.mark.parametrize("peer", CLOSE_CODES, ids=[peer.label for peer in CLOSE_CODES])
def test_frame_above_the_limit_closes_with_1009(connect: Connect, peer: NodePeer, strict: Broker) -> None:
    client = connect(peer, urls_of(strict)["ws"])
    client.send("/queue/large", b"x" * 4096)
    assert client.next_error().headers["message"]
    client.await_loss()
    assert client.close_code == 1009


@pytest.mark.parametrize("peer", CLOSE_CODES, ids=[peer.label for peer in CLOSE_CODES])
def test_one_subscription_too_many_closes_with_1008(connect: Connect, peer: NodePeer, strict: Broker) -> None:
    client = connect(peer, urls_of(strict)["ws"])
    for number in range(2):
        client.subscribe(f"/topic/limit.{number}")
    assert client.next_error().headers["message"]
    client.await_loss()
    assert client.close_code == 1008
