"""SockJS over WebSocket: messages in JSON, all limits as without it, and its real client."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest
from wire import DEADLINE, NARROW, ROOT, Broker, Client, eventually, frame, in_background, receipt, wire
from wire_ws import BINARY, PING, TEXT, WebSocketClient, packed, request
from wire_ws import closing as close_frame

PEERS = ROOT / "build" / "peers" / "node"
KiB, MiB = 2**10, 2**20


class SockJsClient(WebSocketClient):
    """The client of the protocol tests, with its messages wrapped as SockJS does."""

    def __init__(self, broker: Broker, *, path: str = "/ws/000/session/websocket", receive_buffer: int = 0) -> None:
        self.wrapped: list[str] = []
        super().__init__(broker, receive_buffer=receive_buffer, upgrade=request(path))

    def send(self, *frames: str | bytes) -> None:
        """One array of one string for each frame."""
        self.send_text(json.dumps([wire(each).decode() for each in frames]))

    def send_text(self, text: str) -> None:
        """One message, as it is."""
        self.send_raw(packed(text, TEXT))

    def _take_frame(self, opcode: int, payload: bytes) -> None:
        if opcode not in (TEXT, BINARY):
            super()._take_frame(opcode, payload)
            return
        assert opcode == TEXT
        text = payload.decode()
        self.wrapped.append(text)
        if text[0] == "a":
            for each in json.loads(text[1:]):
                self.received += each.encode() + (b"" if each == "\n" else b"\n")

    def last(self) -> str:
        """The last message of the stream."""
        return self.wrapped[-1]


@pytest.fixture
def talk_sockjs(broker: Broker) -> Iterator[Callable[..., SockJsClient]]:
    """Open a session and log in."""
    with ExitStack() as stack:

        def connect(to: Broker | None = None, version: str = "1.2", **options: object) -> SockJsClient:
            client = stack.enter_context(closing(SockJsClient(to or broker, **options)))  # type: ignore[arg-type]
            client.login(version)
            return client

        yield connect


@pytest.mark.parametrize("path", ["/ws/000/abc/websocket", "/sockjs/x/y/websocket", "/sockjs/999/a-b_c/websocket?t=1"])
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
            client.send_raw(packed("x", 0, final=False))
        return not client.is_silent()

    eventually(sent_until_answered, "the broker has had enough", pause=0.05)
    client.expect_error("frame too slow")


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
