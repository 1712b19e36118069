"""Routes: looked up once, and still right after any SUBSCRIBE and UNSUBSCRIBE; against the plainest matcher."""

from __future__ import annotations

import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.broker import Broker
from harness.client import Client
from harness.frames import VERSIONS, frame, receipt, unique
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from test_trie import NAMES, PATTERNS, plain_match, words_of

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

PREFIXES = ("/topic/", "/exchange/amq.topic/")
MOST_SUBSCRIPTIONS = 40

destinations = st.tuples(st.sampled_from(PREFIXES), PATTERNS.filter(bool)).map(lambda pair: pair[0] + pair[1].decode())
# Few names, so that the same ones come again and again: a route is only kept for what comes again.
few_names = NAMES.filter(bool).map(bytes.decode) | st.sampled_from(["a", "a.b", "a/b", "a.b.a"])
modes = st.sampled_from(["auto", "auto", "client", "client-individual"])
picks = st.integers(0, 1000)


class RouteMachine(RuleBasedStateMachine):
    """Subscriptions of several connections come and go while others publish to a few topics."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self.broker = broker
        self.publishers: list[Client] = []
        self.subscribers: list[Client] = []
        self.subscriptions: dict[tuple[Client, str], str] = {}
        self.names: list[str] = []

    def teardown(self) -> None:
        for client in self.publishers + self.subscribers:
            client.close()

    def connect(self, version: str) -> Client:
        client = Client(self.broker)
        client.login(version)
        return client

    @initialize(versions=st.tuples(*[st.sampled_from(VERSIONS)] * 5), names=st.lists(few_names, min_size=2, max_size=5))
    def begin_with(self, versions: tuple[str, ...], names: list[str]) -> None:
        self.publishers = [self.connect(version) for version in versions[:2]]
        self.subscribers = [self.connect(version) for version in versions[2:]]
        self.names = names

    @rule(who=picks, destination=destinations, mode=modes)
    def subscribe(self, who: int, destination: str, mode: str) -> None:
        if len(self.subscriptions) < MOST_SUBSCRIPTIONS:
            client, id = self.subscribers[who % 3], unique("s")
            client.subscribe(destination, id=id, ack=mode)
            self.subscriptions[client, id] = destination.removeprefix(PREFIXES[0]).removeprefix(PREFIXES[1])

    @rule(who=picks, which=picks, mode=modes, prefix=st.sampled_from(PREFIXES))
    def subscribe_to_a_topic(self, who: int, which: int, mode: str, prefix: str) -> None:
        self.subscribe(who, prefix + self.names[which % len(self.names)], mode)

    @rule(which=picks)
    def unsubscribe(self, which: int) -> None:
        if self.subscriptions:
            client, id = [*self.subscriptions][which % len(self.subscriptions)]
            client.unsubscribe(id)
            del self.subscriptions[client, id]

    @rule(who=st.integers(0, 2), version=st.sampled_from(VERSIONS))
    def connect_again(self, who: int, version: str) -> None:
        gone = self.subscribers[who]
        gone.send(frame("DISCONNECT", "receipt:bye"))
        gone.expect(receipt("bye"))
        gone.close()
        self.subscribers[who] = self.connect(version)
        self.subscriptions = {key: pattern for key, pattern in self.subscriptions.items() if key[0] is not gone}

    @rule(who=picks, which=st.lists(st.tuples(picks, st.sampled_from(PREFIXES)), min_size=1, max_size=6))
    def publish(self, who: int, which: list[tuple[int, str]]) -> None:
        """Some messages in one write, to one topic or to several; everybody gets his, in the order sent."""
        publisher = self.publishers[who % 2]
        topics = [(self.names[number % len(self.names)], prefix, unique("body")) for number, prefix in which]
        publisher.send(*(frame("SEND", f"destination:{prefix}{name}", body=body) for name, prefix, body in topics))
        publisher.roundtrip()
        for client in self.subscribers:
            expected = [(body, sorted(self.ids_of(client, name))) for name, _, body in topics]
            got = received(client)
            assert Counter(got) == Counter((id, body) for body, ids in expected for id in ids)
            for id in {id for id, _ in got}:
                bodies = [body for other, body in got if other == id]
                assert bodies == [body for body, ids in expected if id in ids], "out of order"

    def ids_of(self, client: Client, name: str) -> list[str]:
        words = words_of(name.encode())
        return [
            id
            for (owner, id), pattern in self.subscriptions.items()
            if owner is client and plain_match(words_of(pattern.encode()), words)
        ]

    @invariant()
    def nothing_comes_unasked(self) -> None:
        assert all(client.is_silent() for client in self.subscribers)


def received(client: Client) -> list[tuple[str, str]]:
    """(subscription, body) of every message that has been sent to this client."""
    name = unique("all")
    client.send(f"BEGIN\ntransaction:all\nreceipt:{name}\n\n\0ABORT\ntransaction:all\n\n\0")
    found = []
    while (got := client.read_frame()) != receipt(name):
        head, _, body = got.removesuffix(b"\0\n").decode().partition("\n\n")
        headers = dict(line.split(":", 1) for line in head.split("\n")[1:])
        found.append((headers["subscription"], body))
    return found


@pytest.mark.hypothesis
def test_routes_follow_all_that_comes_and_goes(broker_with: Callable[..., Broker]) -> None:
    broker = broker_with()  # what others have had retained on theirs comes to whoever subscribes to all topics
    run_state_machine_as_test(
        lambda: RouteMachine(broker),  # type: ignore[arg-type]
        settings=settings(
            stateful_step_count=50,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


ENDINGS = {
    "malformed": "SEND\nno colon\n\n\0",
    "no command": "x" * 100,
    "unknown command": "NONSENSE\n\n\0",
    "refused message": "SEND\ndestination:/nowhere\n\n\0",
    "refused": "UNSUBSCRIBE\nid:none\n\n\0",
    "unsubscribe": "UNSUBSCRIBE\nid:1\n\n\0UNSUBSCRIBE\nid:0\n\n\0",
    "disconnect": "DISCONNECT\n\n\0",
    "nothing": "",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("subscriptions", [1, 2, 3, 10, 300])
@pytest.mark.parametrize("mode", ["auto", "client"])
def test_a_client_that_ends_right_behind_its_messages(
    talk: Callable[..., Client], topic: str, ending: str, subscriptions: int, mode: str
) -> None:
    """It is one of the subscribers itself; all in one write."""
    witness, client = talk(), talk()
    witness.subscribe(topic)
    subscribe = "".join(f"SUBSCRIBE\nid:{n}\ndestination:{topic}\nack:{mode}\n\n\0" for n in range(subscriptions))
    client.send(subscribe, frame("SEND", f"destination:{topic}", body="x") * 3, ending)
    client.socket.shutdown(socket.SHUT_WR)
    witness.expect_bodies(topic, ["x", "x", "x"])
    assert client.read_all().count(b"\nx\0") <= 3 * subscriptions
    witness.send(frame("SEND", f"destination:{topic}", body="still here"))
    witness.expect_message(topic, "still here")


# ---- routes to queues ----------------------------------------------------------------------------


@pytest.mark.parametrize("between", [[], ["/queue/other"]], ids=["the last one", "another in between"])
def test_a_route_to_a_queue_that_has_gone(
    talk: Callable[..., Client], broker_with: Callable[..., Broker], between: list[str]
) -> None:
    """The publisher's route outlives the queue; the next message goes to the new queue of that name."""
    broker = broker_with(limits={"queue_idle_timeout": 0.1})
    publisher, consumer = talk(to=broker), talk(to=broker)
    name = unique("short-lived")
    for body in ("first", "second"):
        publisher.publish(f"/queue/{name}", body)
        consumer.subscribe(f"/queue/{name}")
        consumer.expect_message(f"/queue/{name}", body)
        consumer.unsubscribe()
        for other in between:
            publisher.publish(other, "x")
        time.sleep(0.3)
        late = talk(to=broker)
        late.send(frame("SUBSCRIBE", "id:1", f"destination:/amq/queue/{name}"))
        late.expect_error("no such queue")


def test_more_destinations_than_routes_are_kept_for(
    talk: Callable[..., Client], broker_with: Callable[..., Broker]
) -> None:
    """Some must be forgotten then, and looked up again when they come again."""
    broker = broker_with(limits={"memory": 4 << 20, "max_frame": 1 << 16})
    publisher, subscriber = talk(to=broker), talk(to=broker)
    subscriber.subscribe("/topic/number.0.#")
    for turn in ("first", "second"):
        publisher.publish("/topic/number.0", turn)
        publisher.send("".join(f"SEND\ndestination:/topic/number.{n}\n\n\0" for n in range(1, 5000)))
        publisher.roundtrip()
        subscriber.expect_message("/topic/number.0", turn)
    assert broker.census()["routes"] < 2000


def test_they_are_forgotten_one_by_one() -> None:
    """The oldest first, and nobody waits for many of them to go."""
    face = compiled(Path(__file__).with_name("broker_face.pyx"))
    house, before, most = face.House(memory=4 << 20), 0, 0
    for number in range(3000):
        house.publish(b"/topic/%d" % number, b"x")
        routes = house.stats["routes"]
        assert routes >= before - 1
        before, most = routes, max(most, routes)
    assert 300 < most < 1000
    assert before > most - 10
