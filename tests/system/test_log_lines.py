"""What the log says of a broker that is in use: warnings with their cause, the end of each connection, and for whoever
wants to know more, who comes and what they subscribe to. `docs/log.md` has all of it."""

import signal
import socket

import pytest
from harness.broker import Broker
from harness.client import NARROW
from harness.frames import frame
from harness.waiting import DEADLINE, eventually, in_background
from harness.websocket import UPGRADE, request

KiB, MiB = 1 << 10, 1 << 20


def told(broker, event, **wanted):
    """The first line of an event, or of those that say something: it is waited for."""
    return broker.wait_log(
        lambda record: record["event"] == event and wanted.items() <= record.items(), timeout=2 * DEADLINE
    )


def lines(broker, event):
    return [record for record in broker.log if record["event"] == event]


def all_are_gone(broker):
    return eventually(lambda: broker.census()["connections"] == 0 and "so it is", "nobody is connected")


# ---- the start and the end ----


def test_the_start_line_says_what_was_started(tmp_path):
    broker = Broker(tmp_path, {"limits": {"memory": "96 MiB"}, "data_dir": str(tmp_path / "data")})
    line = lines(broker, "started")[0]
    assert line["config"] == str(tmp_path / "broker.toml")
    assert line["data_dir"] == str(tmp_path / "data")
    assert (line["memory"], line["pid"]) == ("96 MiB", broker.process.pid)
    assert line["files"] - 64 >= line["connections"] > 0
    assert line["access"] == "anybody on this machine"
    broker.stop()


def test_a_stop_says_what_is_lost(talk, tmp_path):
    """What waits, and what a consumer has and did not settle; nothing of it is kept."""
    broker = Broker(tmp_path)
    client = talk(to=broker)
    for destination in ("/queue/waits", "/queue/taken", "/queue/taken", "/queue/read"):
        client.publish(destination, "x")
    client.subscribe("/queue/taken", id="2", ack="client-individual")
    client.expect_message("/queue/taken", "x", id="2")
    client.expect_message("/queue/taken", "x", id="2")
    client.subscribe("/queue/read", id="3")
    client.expect_message("/queue/read", "x", id="3")
    broker.stop()
    stopped = told(broker, "stopped")
    assert (stopped["level"], stopped["messages"], stopped["queues"]) == ("warning", 3, 2)


# ---- warnings ----


def test_the_memory_ceiling(talk, broker_with):
    broker = broker_with(limits={"memory": MiB, "max_frame": 256 * KiB, "outbound_soft": 64 * KiB})
    publisher, consumer = talk(to=broker), talk(to=broker)
    publisher.send(*[frame("SEND", "destination:/queue/full", body="x" * 100_000) for _ in range(12)])
    reached = told(broker, "memory ceiling reached")
    assert reached["level"] == "warning"
    assert 0 < reached["memory"] <= reached["limit"] == MiB
    assert (reached["publishers"], reached["key"]) == (1, "limits.memory")
    consumer.subscribe("/queue/full")
    for _ in range(12):
        consumer.expect_message("/queue/full", "x" * 100_000)
    left = told(broker, "memory ceiling left")
    assert left["memory"] < reached["memory"]
    assert left["seconds"] < DEADLINE
    assert len(lines(broker, "memory ceiling reached")) == 1


def test_the_first_dead_letter_of_a_queue(talk, broker_with):
    broker = broker_with(limits={"linger": 1})
    publisher, client = talk(to=broker), talk(to=broker)
    client.subscribe("/queue/letters", ack="client-individual")
    for _ in range(3):
        publisher.publish("/queue/letters", "x")
        client.nack(client.expect_message("/queue/letters", "x"), "requeue:false")
    client.roundtrip()
    line = told(broker, "dead letter")
    assert (line["destination"], line["to"], line["messages"]) == ("/queue/letters", "/queue/DLQ.letters", 1)
    assert line["reason"] == "rejected"
    assert broker.census()["dead_lettered"] == 3
    assert len(lines(broker, "dead letter")) == 1


def flood(client, destination, amount=1500):
    client.send(*[frame("SEND", f"destination:{destination}", body="x" * 10_000) for _ in range(amount)])
    client.roundtrip()


@pytest.mark.parametrize("mode", ["auto", "client"])
@pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "drop-newest"])
def test_a_slow_consumer(talk, broker_with, policy, mode):
    topics = [{"pattern": f"{each}.#", "slow_consumer": each} for each in ("drop-oldest", "drop-newest")]
    broker = broker_with(limits={"outbound_soft": 64 * KiB, "slow_consumer_grace": 0.2}, topics=topics)
    topic, before = f"/topic/{policy}.{mode}", broker.census()["dropped"]
    stalled, publisher = talk(to=broker, receive_buffer=NARROW), talk(to=broker)
    stalled.subscribe("/topic/none", id="0")
    stalled.subscribe(topic, ack=mode)
    with in_background(lambda: flood(publisher, topic)):
        line = told(broker, "slow consumer", destination=topic)
    assert (line["level"], line["policy"]) == ("warning", policy)
    assert line["waiting"] > 16 * KiB, "it was slow, and is not half empty yet"
    assert 0.2 <= line["seconds"] < DEADLINE
    assert stalled.is_peer(line["peer"])
    assert "limits.slow_consumer_grace" in line["key"]
    lost = broker.census()["dropped"] - before
    stalled.close()
    assert broker.wait_disconnected(stalled, "").get("dropped", 0) == lost
    assert (lost > 0) == (policy != "disconnect")


def test_a_consumer_of_a_queue_that_takes_nothing(talk, broker_with, queue):
    broker = broker_with(limits={"outbound_soft": 64 * KiB, "outbound_timeout": 0.5})
    stalled, publisher = talk(to=broker, receive_buffer=NARROW), talk(to=broker)
    stalled.subscribe(queue)
    flood(publisher, queue)
    line = told(broker, "slow consumer")
    assert (line["destination"], line["key"]) == (queue, "limits.outbound_timeout")
    broker.wait_disconnected(stalled, "slow consumer: nothing taken")


def test_no_room(talk, dial, broker_with):
    broker = broker_with(limits={"max_connections": 2, "login_timeout": 20, "max_unauthenticated": 1})
    first = talk(to=broker)
    waiting, outside = dial(to=broker), dial(to=broker)
    line = told(broker, "no room for a connection")
    assert outside.is_peer(line["peer"])
    assert (line["connections"], line["limit"], line["key"]) == (2, 2, "limits.max_connections")
    waiting.login("1.2")
    first.close()
    waiting.close()


def test_no_room_for_those_who_do_not_log_in(dial, broker_with):
    broker = broker_with(limits={"login_timeout": 20, "max_unauthenticated": 1})
    dial(to=broker)
    dial(to=broker)
    line = told(broker, "no room for a connection")
    assert (line["not_logged_in"], line["key"]) == (1, "limits.max_unauthenticated")


@pytest.mark.parametrize("path", ["/ws", "/sockjs/info"])
def test_a_page_that_may_not_connect(broker_with, path):
    broker = broker_with(listen=["ws://127.0.0.1:0"], strict=path == "/ws")  # one for each, that has told nothing yet
    headers = UPGRADE if path == "/ws" else {"Host": UPGRADE["Host"]}
    with socket.create_connection(("127.0.0.1", broker.ports["ws"]), timeout=DEADLINE) as client:
        client.sendall(request(path, headers, Origin="https://evil.example"))
        client.recv(4096)
    line = told(broker, "origin refused")
    assert (line["level"], line["origin"]) == ("warning", "https://evil.example")
    assert (line["host"], line["key"]) == (UPGRADE["Host"], "websocket.allowed_origins")


# ---- the end of a connection ----


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss", "unix"])
@pytest.mark.parametrize("subscribers", [1, 5])
def test_messages_and_bytes_of_a_connection(talk, broker, topic, transport, subscribers):
    """Each path on which messages are written; those of a transaction count when they are committed."""
    clients = [talk("1.2", f"login:{number}") for number in range(subscribers)]
    for client in clients:
        client.subscribe(topic)
    publisher = talk()
    publisher.send(*[frame("SEND", f"destination:{topic}", body="x" * 1000) for _ in range(4)])
    publisher.send(frame("BEGIN", "transaction:1"), frame("BEGIN", "transaction:2"))
    for transaction in ("1", "2"):
        publisher.send(frame("SEND", f"destination:{topic}", f"transaction:{transaction}", body="x" * 10_000))
    publisher.send(frame("COMMIT", "transaction:1"))
    publisher.roundtrip()
    for number, client in enumerate(clients):
        for size in (*[1000] * 4, 10_000):
            client.expect_message(topic, "x" * size)
        client.send(frame("DISCONNECT"))
        client.read_all()
        client.close()
        line = told(broker, "disconnected", login=str(number), reason="disconnect", messages_out=5)
        assert (line["messages_in"], line["version"]) == (0, "1.2")
        assert 14_000 < line["bytes_out"] < 18_000
        assert 50 < line["bytes_in"] < 1000
    publisher.close()
    line = broker.wait_log(
        lambda record: record["event"] == "disconnected" and record["messages_in"] == 5, since=publisher.log_position
    )
    assert line["messages_out"] == 0
    assert 24_000 < line["bytes_in"] < 28_000
    assert "login" not in line and "detail" not in line and "dropped" not in line


def test_bytes_are_those_of_the_socket(dial, broker):
    client = dial()
    said = frame("CONNECT", "accept-version:1.1", "host:x") + frame("DISCONNECT", "receipt:1")
    client.send(said)
    heard = client.read_all()
    line = broker.wait_disconnected(client, "disconnect")
    assert (line["bytes_in"], line["bytes_out"], line["version"]) == (len(said), len(heard), "1.1")


def test_messages_out_are_counted_while_a_connection_lives_and_after(talk, tmp_path, topic):
    broker = Broker(tmp_path)
    client = talk(to=broker)
    client.subscribe(topic)
    for number in range(3):
        client.send(frame("SEND", f"destination:{topic}", body=str(number)))
        client.expect_message(topic, str(number))
    assert broker.census()["messages_out"] == 3
    client.close()
    broker.wait_disconnected(client, "closed by client")
    assert broker.census()["messages_out"] == 3
    broker.stop()


@pytest.mark.parametrize(
    ("last", "destination", "detail"),
    [
        (frame("SEND", "destination:/nowhere/x"), "/nowhere/x", "There is no destination '/nowhere/x'"),
        (frame("SUBSCRIBE", "id:1", "destination:/topic/x", "ack:x"), "/topic/x", "ack is auto, client or"),
        (frame("SEND", "no colon"), None, "colon"),
    ],
)
def test_an_error_says_what_was_wrong(talk, broker, last, destination, detail):
    client = talk()
    client.send(last)
    client.read_all()
    client.close()
    line = broker.wait_disconnected(client, "")
    assert line.get("destination") == destination
    assert detail in line["detail"]


# ---- for those who want to know more ----


@pytest.fixture
def chatty(broker_with):
    return broker_with(log={"level": "debug"})


def test_who_connects_and_logs_in(talk, chatty):
    client = talk("1.1", "login:me", "client-id:ID:7", to=chatty)
    came = chatty.wait_log(lambda record: record["event"] == "connected" and client.is_peer(record["peer"]))
    assert came["listener"] == chatty.urls[0]
    line = told(chatty, "login", login="me")
    assert client.is_peer(line["peer"])
    assert (line["level"], line["listener"], line["version"]) == ("debug", chatty.urls[0], "1.1")
    assert line["client"] == "ID\\c7" or line["client"] == "ID:7"
    talk("1.2", to=chatty)
    assert "login" not in told(chatty, "login", version="1.2")


def test_the_software_of_a_browser(chatty):
    with socket.create_connection(("127.0.0.1", chatty.ports["ws"]), timeout=DEADLINE) as client:
        opening = frame("CONNECT", "accept-version:1.2", "host:x", "login:browser")
        client.sendall(request(**{"User-Agent": "Mozilla/5.0 (X)"}))
        client.recv(4096)
        client.sendall(bytes([0x82, 0x80 | len(opening)]) + bytes(4) + opening)
        assert told(chatty, "login", login="browser")["client"] == "Mozilla/5.0 (X)"


def test_subscriptions(talk, chatty, queue):
    client = talk(to=chatty)
    client.subscribe(queue, id="7", ack="client")
    client.unsubscribe("7")
    for event in ("subscribe", "unsubscribe"):
        line = told(chatty, event, destination=queue)
        assert client.is_peer(line["peer"])
        assert (line["level"], line["id"], line["ack"]) == ("debug", "7", "client")


def test_probes_are_lines_for_those_who_want_to_know(chatty):
    for scheme, octets, reason in (("tcp", b"", "closed by client"), ("ws", request("/", {"Host": "x"}), "HTTP 200")):
        with socket.create_connection(("127.0.0.1", chatty.ports[scheme]), timeout=DEADLINE) as client:
            peer = "{}:{}".format(*client.getsockname())
            client.sendall(octets)
            if octets:
                client.recv(4096)
        assert told(chatty, "disconnected", peer=peer, reason=reason)["level"] == "debug"


def test_others_hear_nothing_of_it(talk, dial, tmp_path):
    broker = Broker(tmp_path)
    dial(to=broker).close()
    client = talk(to=broker)
    client.subscribe("/queue/a")
    client.close()
    broker.wait_disconnected(client, "closed by client")
    all_are_gone(broker)
    assert len(lines(broker, "disconnected")) == 1
    assert {record["level"] for record in broker.log if "level" in record} == {"info"}
    broker.stop()


def test_sigusr2_is_harmless(broker):
    broker.process.send_signal(signal.SIGUSR2)
    assert broker.census()["connections"] >= 0
    assert broker.process.poll() is None
