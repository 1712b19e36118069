"""SockJS over WebSocket: messages in JSON, all limits as without it, and its real client."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest
from harness.broker import ROOT, Broker
from harness.client import NARROW, Client
from harness.frames import frame, receipt
from harness.waiting import DEADLINE, eventually, in_background
from harness.websocket import CONTINUATION, PING, TEXT, SockJsClient, WebSocketClient, head, packed, request
from harness.websocket import closing as close_frame

PEERS = ROOT / "build" / "peers" / "node"
KiB, MiB = 2**10, 2**20


@pytest.fixture
def talk_sockjs(broker: Broker) -> Iterator[Callable[..., SockJsClient]]:
    """Open a session and log in."""
    with ExitStack() as stack:

        def connect(to: Broker | None = None, version: str = "1.2", **options: object) -> SockJsClient:
            client = stack.enter_context(closing(SockJsClient(to or broker, **options)))  # type: ignore[arg-type]
            client.login(version)
            return client

        yield connect


@pytest.mark.parametrize(
    "path",
    ["/ws/000/abc/websocket", "/stomp/0/a/websocket", "/sockjs/x/y/websocket", "/sockjs/999/a-b_c/websocket?t=1"],
)
def test_session(talk_sockjs: Callable[..., SockJsClient], path: str, topic: str) -> None:
    client = talk_sockjs(path=path)
    assert client.wrapped[0] == "o"
    client.subscribe(topic)
    client.send(frame("SEND", f"destination:{topic}", body='żółć "quoted" \\ \n\x01'))
    client.expect_message(topic, 'żółć "quoted" \\ \n\x01')
    client.send(frame("DISCONNECT", "receipt:1"))
    client.expect(receipt("1"))
    client.expect_close(1000)
    assert client.last() == 'c[1000,""]'


@pytest.mark.parametrize("path", ["/ws/a/websocket", "/ws/a.b/c/websocket", "/ws//c/websocket", "/x/a/b/websocket"])
def test_paths_that_are_no_session(broker: Broker, path: str) -> None:
    with closing(WebSocketClient(broker, upgrade=request(path))) as client:
        assert client.response.startswith(b"HTTP/1.1 404 ")


def test_raw_websocket_beside_it(broker: Broker, topic: str) -> None:
    with closing(WebSocketClient(broker, upgrade=request("/ws/websocket"))) as client:
        client.login("1.2")
        client.subscribe(topic)


def test_each_message_of_ours_is_one_frame(talk_sockjs: Callable[..., SockJsClient], topic: str) -> None:
    client = talk_sockjs()
    client.subscribe(topic)
    client.send(*(frame("SEND", f"destination:{topic}", body=f"{n}") for n in range(50)))
    client.expect_bodies(topic, [f"{n}" for n in range(50)])
    assert all(len(json.loads(text[1:])) == 1 for text in client.wrapped[1:])


def test_strings_cut_frames_anywhere(talk_sockjs: Callable[..., SockJsClient], topic: str) -> None:
    client = talk_sockjs()
    client.subscribe(topic)
    sent = frame("SEND", f"destination:{topic}", body="cut żółć").decode()
    client.send_text(json.dumps(list(sent)))
    client.send_text(json.dumps([sent[:9], "", sent[9:]], ensure_ascii=False))
    client.send_text(f" [ {json.dumps(sent)} ]")
    for at in range(0, len(sent), 7):
        client.send_text(json.dumps([sent[at : at + 7]]))
    client.send_text("[]")
    client.expect_bodies(topic, ["cut żółć"] * 4)


def test_message_behind_a_control_frame_is_not_written_over(
    talk_sockjs: Callable[..., SockJsClient], topic: str
) -> None:
    """The end of an array that was begun before, a PING, and another array come in one read."""
    client = talk_sockjs()
    client.subscribe(topic)
    bodies = ["a" * 5000, "b" * 20_000]
    first, second = (json.dumps([frame("SEND", f"destination:{topic}", body=body).decode()]) for body in bodies)
    client.send_raw(packed(first[:-20], TEXT, final=False))
    client.roundtrip_of_pings()
    client.send_raw(packed(first[-20:], CONTINUATION) + packed("p", PING) + packed(second, TEXT))
    client.expect_bodies(topic, bodies)
    client.expect_pong(b"p")


def test_brackets_and_quotes_within_strings(talk_sockjs: Callable[..., SockJsClient], topic: str) -> None:
    client = talk_sockjs()
    client.subscribe(topic)
    bodies = ["]", '"]', '\\"]', "\\", '\\\\"', '["a"]', "a[" * 50, '"]["']
    for text in bodies:
        client.send(frame("SEND", f"destination:{topic}", body=text))
    client.expect_bodies(topic, bodies)


def test_byte_by_byte(talk_sockjs: Callable[..., SockJsClient], topic: str) -> None:
    client = talk_sockjs()
    client.subscribe(topic)
    text = json.dumps([frame("SEND", f"destination:{topic}", body='\\"]').decode()]).encode()
    client.send_raw(packed(text[:1], TEXT, final=False))
    for at in range(1, len(text)):
        client.send_raw(packed(text[at : at + 1], 0, final=False), *([packed("p", PING)] * (at % 40 == 0)))
    client.send_raw(packed("", 0))
    client.expect_message(topic, '\\"]')
    client.expect_pong(b"p")


@pytest.mark.parametrize("size", [70_000, 300_000, MiB])
def test_large_bodies(talk_sockjs: Callable[..., SockJsClient], topic: str, size: int) -> None:
    client = talk_sockjs()
    client.subscribe(topic)
    content = 'x"ż' * (size // 4)
    client.send(frame("SEND", f"destination:{topic}", body=content))
    client.expect_message(topic, content)


def test_body_that_is_no_utf_8(talk_sockjs: Callable[..., SockJsClient], broker: Broker, topic: str) -> None:
    """SockJS has no binary messages; content-length is still right, and the client goes on."""
    client = talk_sockjs()
    client.subscribe(topic)
    with closing(Client(broker)) as other:
        other.login("1.2")
        other.publish(topic, b"a\xff\xc5\xbc\xc3", "content-length:5")
    client.expect_message(topic, b"a?\xc5\xbc?", "content-length:5")
    client.roundtrip()


@pytest.mark.parametrize("size", [100, 8192, 70_000, MiB])
def test_every_byte_is_escaped(talk_sockjs: Callable[..., SockJsClient], broker: Broker, topic: str, size: int) -> None:
    """To one, and to several, who share what is large; what is no UTF-8 becomes a question mark for each byte."""
    clients = [talk_sockjs() for _ in range(3)]
    for client in clients:
        client.subscribe(topic)
    content = bytes(range(1, 256)) * (size // 255 + 1)
    expected = bytes(byte if byte < 0x80 else ord("?") for byte in content)
    with closing(Client(broker)) as other:
        other.login("1.2")
        other.publish(topic, content, f"content-length:{len(content)}")
    for client in clients:
        client.expect_message(topic, expected, f"content-length:{len(content)}")
        client.roundtrip()


def test_large_body_for_many_that_do_not_read(broker_with: Callable[..., Broker], topic: str) -> None:
    """What they share is escaped once, and held once."""
    broker = broker_with(limits={"slow_consumer_grace": 60.0, "outbound_timeout": 60.0})
    content = b"\xff\x01" * (2 * MiB - 100)
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(SockJsClient(broker, receive_buffer=NARROW))) for _ in range(60)]
        for client in clients:
            client.login("1.2")
            client.subscribe(topic)
        publisher = stack.enter_context(closing(Client(broker)))
        publisher.login("1.2")
        before, used = broker.resident(), broker.processor_time()
        publisher.send(frame("SEND", f"destination:{topic}", f"content-length:{len(content)}", body=content))
        eventually(lambda: broker.census()["memory"] > 14 * MiB, "what is escaped is counted")
        assert broker.resident() - before < 96 * MiB
        assert broker.processor_time() - used < 1.5
        for client in clients[:2]:
            client.expect_message(topic, b"?\x01" * (2 * MiB - 100), f"content-length:{len(content)}")
    eventually(lambda: broker.census()["memory"] < MiB, "it is freed")


def test_slow_consumer_gets_everything(talk_sockjs: Callable[..., SockJsClient], broker: Broker, queue: str) -> None:
    client = talk_sockjs(receive_buffer=NARROW)
    client.subscribe(queue)
    with closing(Client(broker)) as publisher:
        publisher.login("1.2")
        with in_background(lambda: [publisher.publish(queue, "ż" * 15_000) for _ in range(100)]):
            client.expect_bodies(queue, ["ż" * 15_000] * 100)


@pytest.mark.parametrize(
    "text", ["x]", "[1]", '["a"', '{"a":1}]', "[[]]", '["a",]', "[null]", '["\\ud800"]', '["a" "b"]', '["\n"]', "]"]
)
def test_what_is_no_array_of_strings(talk_sockjs: Callable[..., SockJsClient], text: str) -> None:
    client = talk_sockjs()
    client.send_text(text)
    client.expect_error("bad SockJS message")
    assert client.close_code == 1002
    assert client.last() == 'c[1002,"bad SockJS message"]'


def test_the_broker_stops(broker_with: Callable[..., Broker], talk_sockjs: Callable[..., SockJsClient]) -> None:
    broker = broker_with(drain_timeout=5.4)
    client = talk_sockjs(to=broker)
    broker.process.terminate()
    client.expect_close(1012)
    assert client.last() == 'c[1012,"server shutting down"]'


def test_error_then_close(talk_sockjs: Callable[..., SockJsClient]) -> None:
    client = talk_sockjs()
    client.send(frame("NONSENSE"))
    assert b"message:unknown command" in client.read_frame()
    client.expect_close(1002)
    assert client.last() == 'c[1002,"unknown command"]'


def test_close_of_the_client(talk_sockjs: Callable[..., SockJsClient]) -> None:
    client = talk_sockjs()
    client.send_raw(close_frame(1000))
    client.expect_close(1000)


def test_heart_beats(broker: Broker) -> None:
    with closing(SockJsClient(broker)) as client:
        client.login("1.2", "heart-beat:0,100")
        client.expect("\n")
        client.expect("\n")
        assert client.last() == 'a["\\n"]'


# ---- limits ----


def test_sum_before_login_is_capped(broker: Broker) -> None:
    with closing(SockJsClient(broker)) as client:
        with suppress(OSError):
            client.send_raw(packed('["CONNECT\\n', TEXT, final=False))
            for _ in range(40):
                client.send_raw(packed("x" * 500, 0, final=False))
        client.expect_error("frame too large")
        assert client.close_code == 1009


def test_strings_before_login_are_capped_as_one_frame(broker: Broker) -> None:
    with closing(SockJsClient(broker)) as client:
        with suppress(OSError):
            client.send("CONNECT\n")
            for n in range(40):
                client.send(f"x{n}:" + "x" * 500 + "\n")
        client.expect_error("frame too large")


def test_array_is_capped(broker_with: Callable[..., Broker], talk_sockjs: Callable[..., SockJsClient]) -> None:
    client = talk_sockjs(to=broker_with(limits={"max_frame": 64 * KiB}))
    with suppress(OSError):
        client.send_raw(packed('["SEND\\n', TEXT, final=False))
        for _ in range(200):
            client.send_raw(packed("x" * 1000, 0, final=False))
    client.expect_error("frame too large")
    assert client.close_code == 1009


def test_dribble_is_cut(broker_with: Callable[..., Broker], talk_sockjs: Callable[..., SockJsClient]) -> None:
    client = talk_sockjs(to=broker_with(limits={"frame_timeout": 0.3}))
    client.send_raw(packed('["SEND\\n', TEXT, final=False))

    def sent_until_answered() -> bool:
        with suppress(OSError):
            client.send_raw(packed("x", CONTINUATION, final=False))
        return not client.is_silent()

    eventually(sent_until_answered, "the broker has had enough", pause=0.05)
    client.expect_error("frame too slow")


def test_array_does_not_span_messages(talk_sockjs: Callable[..., SockJsClient], topic: str) -> None:
    """What follows a broken one is not looked at."""
    client = talk_sockjs()
    client.send_raw(packed('["a', TEXT), packed('"]', TEXT))
    client.expect_error("bad SockJS message")


@pytest.mark.parametrize(
    "beginning",
    [
        packed('["a', TEXT, final=False),
        head(TEXT, 100) + b"x",
        head(TEXT, 100)[:1],
        packed("", TEXT, final=False),
    ],
    ids=["array", "frame", "header", "empty fragment"],
)
def test_unfinished_input_and_silence(
    broker_with: Callable[..., Broker], talk_sockjs: Callable[..., SockJsClient], beginning: bytes
) -> None:
    client = talk_sockjs(to=broker_with(limits={"frame_timeout": 0.3}))
    client.send_raw(beginning)
    client.expect_error("frame too slow")
    assert client.close_code == 1008


def test_those_who_let_large_frames_stand_turn_nobody_away(
    broker_with: Callable[..., Broker], talk_sockjs: Callable[..., SockJsClient], topic: str
) -> None:
    """Everybody may keep an equal share of what there is, and they themselves end by the clock."""
    broker = broker_with(limits={"memory": 32 * MiB, "frame_timeout": 3.0})
    for _ in range(40):
        stalled = talk_sockjs(to=broker)
        stalled.send_raw(packed('["SEND\\n' + "x" * (MiB // 2), TEXT, final=False))
    eventually(lambda: broker.census()["input"] > 12 * MiB, "they hold much")
    client = talk_sockjs(to=broker)
    client.subscribe(topic)
    content = "y" * 200_000
    whole = json.dumps([frame("SEND", f"destination:{topic}", body=content).decode()])
    for at in range(0, len(whole), 50_000):
        part = whole[at : at + 50_000]
        client.send_raw(packed(part, CONTINUATION if at else TEXT, final=at + 50_000 >= len(whole)))
        client.roundtrip_of_pings()
    client.expect_message(topic, content)
    eventually(lambda: broker.census()["input"] < MiB, "those who let them stand are gone")


def test_what_waits_is_counted_and_freed(broker: Broker, talk_sockjs: Callable[..., SockJsClient]) -> None:
    client = talk_sockjs()
    before = broker.census()["input"]
    client.send_raw(packed('["SEND\\n' + "x" * MiB, TEXT, final=False))
    eventually(lambda: broker.census()["input"] >= before + MiB, "it is counted as input")
    client.reset()
    eventually(lambda: broker.census()["input"] == before, "it is freed")


# ---- the real client ----

PROGRAM = """
const { createRequire } = require("module");
const load = createRequire(process.argv[2] + "/");
const SockJS = load("sockjs-client");
const session = new SockJS(process.argv[3]);
let received = "", transport;
session.onopen = () => {
  transport = session.transport;
  session.send("CONNECT\\naccept-version:1.2\\nhost:x\\n\\n\\0");
};
session.onmessage = (event) => {
  received += event.data;
  if (event.data.startsWith("CONNECTED")) {
    session.send("SUBSCRIBE\\nid:1\\ndestination:/topic/sockjs\\n\\n\\0");
    session.send("SEND\\ndestination:/topic/sockjs\\n\\nżółć \\"quoted\\"\\0DISCONNECT\\nreceipt:r\\n\\n\\0");
  }
};
session.onclose = (event) => console.log(JSON.stringify([transport, event.code, received]));
"""


@pytest.mark.parametrize("base", ["ws", "sockjs"])
def test_sockjs_client(broker: Broker, base: str) -> None:
    if not shutil.which("node") or not (PEERS / "node_modules" / "sockjs-client").exists():
        pytest.skip("sockjs-client is not installed: run python tests/interop/install_peers.py")
    url = f"http://127.0.0.1:{broker.ports['ws']}/{base}"
    command = ["node", "-e", PROGRAM, "x", str(PEERS), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    transport, code, received = json.loads(done.stdout)
    assert (transport, code) == ("websocket", 1000)
    assert "MESSAGE\nsubscription:1\n" in received
    assert 'destination:/topic/sockjs\n\nżółć "quoted"\0RECEIPT\nreceipt-id:r\n\n\0' in received
