"""Profiles: what RabbitMQ, ActiveMQ and Artemis word or default differently, as their clients see it.

Each row of the table (csrc/profile.pyx) has a test here that is named after it and says what the other server does.
"""

import subprocess
import sys

import pytest
from harness.broker import Broker
from harness.frames import every_version, frame, receipt

from fastbroker import __version__
from fastbroker.core.profile import ERRORS, KEYS, NAMES, ROWS

SERVERS = {
    "": f"fastbroker/{__version__}",
    "rabbitmq": f"RabbitMQ/4.1.0-fastbroker-{__version__}",
    "activemq": f"ActiveMQ/6.1.6-fastbroker-{__version__}",
    "artemis": f"ActiveMQ-Artemis/2.41.0-fastbroker-{__version__}",
}
FIRST = {"rabbitmq": ["redelivered:false"], "artemis": ["redelivered:false"]}
VERSIONS = "version:1.0,1.1,1.2\n"
LIMITS = {"max_transactions": 2, "max_transaction_frames": 3}

every_profile = pytest.mark.parametrize("profile", NAMES)
with_none_too = pytest.mark.parametrize("profile", SERVERS)


class Guest:
    """A client of a broker with a profile."""

    def __init__(self, dial, broker_with, profile):
        self.profile = profile
        compat = {"compat": {"profile": profile}} if profile else {}
        self.broker = broker_with(limits=LIMITS, **compat)
        self.dial = dial

    def raw(self):
        return self.dial(to=self.broker)

    def login(self, version="1.2", *headers, more=""):
        client = self.raw()
        client.version = version
        client.send(frame("CONNECT", f"accept-version:{version}", "host:localhost", *headers))
        lines = f"version:{version}\nsession:<session>\nserver:{SERVERS[self.profile]}\nheart-beat:<beat>\n{more}"
        client.expect(f"CONNECTED\n{lines}\n\0\n")
        return client

    def always(self, body="", *written):
        """The header lines that a MESSAGE has beside those that its sender has written."""
        jms = ["expires:0", "priority:4", "timestamp:<length>", "persistent:false"]
        lines = {"rabbitmq": [f"content-length:{len(body)}"], "activemq": jms[:3], "artemis": jms}.get(self.profile, [])
        names = {line.partition(":")[0] for line in written}
        return [line for line in lines if line.partition(":")[0] not in names]

    def message(self, client, destination, body, *written, redelivered=False, id="1"):
        """Read a MESSAGE, to the byte."""
        lines = [] if redelivered else list(FIRST.get(self.profile, []))
        with_ack = client.version == "1.2" and client.ack_modes[id] != "auto"
        lines += [f"subscription:{id}", "message-id:<message-id>", *(["ack:<ack>"] if with_ack else [])]
        lines += ["redelivered:true", "delivery-count:<count>"] if redelivered else []
        lines += [f"destination:{destination}", *written, *self.always(body, *written)]
        got = client.expect(frame("MESSAGE", *lines, body=body) + b"\n")
        return got.get("ack") or got["message_id"]


def post(client, destination, body, *headers):
    """Without a receipt, which would come among the messages."""
    client.send(frame("SEND", f"destination:{destination}", *headers, body=body))


@pytest.fixture
def guest(dial, broker_with, profile):
    return Guest(dial, broker_with, profile)


def test_each_row_has_a_test():
    tests = [name.removeprefix("test_row_") for name in globals() if name.startswith("test_row_")]
    rows = [*ROWS, *(key.rpartition(".")[2] for key in KEYS)]
    assert [row for row in rows if row not in tests] == []
    assert [test for test in tests if test not in rows] == []
    assert sorted(CASES) == sorted(key.decode() for key in ERRORS if key != b"login refused")


# ---- what is said differently ----


@with_none_too
def test_row_server(guest):
    """Each says its own name first; clients that look for it find it, and people find ours behind it."""
    guest.login()
    guest.login("1.0")


@with_none_too
def test_row_answers(guest, profile):
    """ActiveMQ answers request-id, or else receipt, with response-id and receipt-id; Artemis also says receipt-id."""
    both = "response-id:7\nreceipt-id:7\n"
    expected = {"activemq": (both, both), "artemis": ("response-id:7\n", "receipt-id:7\n")}
    asked, receipted = expected.get(profile, ("response-id:7\n", ""))
    guest.login("1.1", "request-id:7", more=asked)
    guest.login("1.1", "receipt:7", more=receipted)


@every_version
@with_none_too
def test_row_first_lines(guest, queue, topic, version):
    """RabbitMQ and Artemis say redelivered:false of a first delivery, and say it once."""
    client = guest.login(version)
    for id, destination, ack in (("1", queue, "client-individual"), ("2", topic, "auto"), ("3", queue + "x", "auto")):
        client.subscribe(destination, id=id, ack=ack)
        post(client, destination, "a")
        delivered = guest.message(client, destination, "a", id=id)
        if id == "1":
            named = f"id:{delivered}" if version == "1.2" else f"message-id:{delivered}\nsubscription:1"
            client.send(frame("NACK", named, "requeue:true"))
            guest.message(client, destination, "a", redelivered=True)


@every_version
@with_none_too
def test_row_always(guest, queue, topic, version):
    """RabbitMQ counts each body; ActiveMQ and Artemis say of each message what JMS knows of it, as its sender does."""
    client = guest.login(version)
    for id, destination in (("1", queue), ("2", topic)):
        client.subscribe(destination, id=id)
        for body, *written in (
            ("plain",),
            ("",),
            ("counted", "content-length:7"),
            ("urgent", "priority:9", "persistent:true"),
            ("odd", "x:y", "x:z", "timestamp:12", "expires:0"),
        ):
            post(client, destination, body, *written)
            guest.message(client, destination, body, *written, id=id)


@every_profile
def test_what_a_message_always_has_in_other_places(guest, queue, profile):
    """In a transaction, with a reply-to and with a life that is told in another way."""
    client = guest.login()
    client.subscribe(queue)
    client.send(frame("BEGIN", "transaction:t"))
    client.send(frame("SEND", f"destination:{queue}", "transaction:t", body="later"))
    client.send(frame("COMMIT", "transaction:t"))
    guest.message(client, queue, "later")
    post(client, queue, "ask", "reply-to:/queue/answers")
    guest.message(client, queue, "ask", "reply-to:/queue/answers")
    post(client, queue, "short", "ttl:60000")
    lines = "".join(f"{line}\n" for line in guest.always("short")).replace("expires:0", "expires:<count>")
    first = "".join(f"{line}\n" for line in FIRST.get(profile, []))
    got = client.expect(
        f"MESSAGE\n{first}subscription:1\nmessage-id:<message-id>\ndestination:{queue}\nttl:60000\n{lines}\nshort\0\n"
    )
    if profile != "rabbitmq":
        assert 59_000 <= int(got["count"]) - int(got["length"]) <= 60_000


@with_none_too
def test_row_receipts_at_commit(guest, queue, profile):
    """RabbitMQ confirms a SEND when it is published, which in a transaction is at COMMIT, and not after ABORT."""
    client = guest.login()
    for end, comes in (("COMMIT", True), ("ABORT", False)):
        client.send(frame("BEGIN", "transaction:t", "receipt:begin"))
        client.send(frame("SEND", f"destination:{queue}", "transaction:t", "receipt:one", body="1"))
        client.send(frame("SEND", f"destination:{queue}", "transaction:t", "receipt:two", body="2"))
        client.expect(receipt("begin"))
        early = profile != "rabbitmq"
        if early:
            client.expect(receipt("one"))
            client.expect(receipt("two"))
        client.send(frame(end, "transaction:t", "receipt:end"))
        if not early and comes:
            client.expect(receipt("one"))
            client.expect(receipt("two"))
        client.expect(receipt("end"))
    client.expect_nothing()


@with_none_too
@pytest.mark.parametrize("in_transaction", [False, True])
def test_row_nack(guest, queue, profile, in_transaction):
    """RabbitMQ puts back what a NACK says nothing more of, ActiveMQ has it dead, Artemis drops it."""
    dead = {"activemq": "/queue/ActiveMQ.DLQ"}
    client = guest.login()
    client.subscribe(queue, ack="client-individual")
    post(client, queue, "no")
    named = [f"id:{guest.message(client, queue, 'no')}"]
    if in_transaction:
        client.send(frame("BEGIN", "transaction:t"))
        named.append("transaction:t")
    client.send(frame("NACK", *named))
    if in_transaction:
        client.send(frame("COMMIT", "transaction:t"))
    if profile in ("", "rabbitmq"):
        guest.message(client, queue, "no", redelivered=True)
    elif profile == "artemis":
        client.expect_nothing()
    else:
        client.subscribe(dead[profile], id="dead")
        assert b"dead-letter-reason:rejected" in client.read_frame()


@every_profile
def test_a_nack_that_says_more_means_the_same_with_each(guest, queue):
    client = guest.login()
    client.subscribe(queue, ack="client-individual")
    post(client, queue, "again")
    for headers in (["requeue:true"], ["delay:1"], ["reason:tired", "requeue:true"]):
        first = headers == ["requeue:true"]
        delivered = guest.message(client, queue, "again", redelivered=not first)
        client.send(frame("NACK", f"id:{delivered}", *headers))
    client.send(frame("NACK", f"id:{guest.message(client, queue, 'again', redelivered=True)}", "requeue:false"))
    client.expect_nothing()


@with_none_too
def test_row_windows(guest, queue, profile):
    """Artemis counts bytes where ActiveMQ counts messages; 0 is one at a time, -1 as many as there are."""
    for name, value, most in (
        ("consumer-window-size", "0", 1),
        ("consumer-window-size", "600", 2),
        ("consumer-window-size", "-1", 60),
        ("consumer-window-size", "100000", 60),
        ("activemq.prefetchSize", "600", 2),
    ):
        client = guest.login()
        destination = f"{queue}.{name[0]}{value}"
        client.subscribe(destination, f"{name}:{value}", ack="client")
        for _ in range(60):
            post(client, destination, 300 * "x")
        came = most if profile == "artemis" else 60
        for _ in range(came):
            assert b"x" * 300 in client.read_frame()
        client.expect_nothing()


def test_a_window_that_is_none(dial, broker_with, queue):
    guest = Guest(dial, broker_with, "artemis")
    client = guest.login()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", "consumer-window-size:much"))
    assert "consumer-window-size" in client.expect_error("bad header")


@with_none_too
def test_row_error_versions(guest, profile):
    """RabbitMQ says in each ERROR which versions it speaks."""
    client = guest.login()
    client.send(frame("BEGIN", "transaction:t"), frame("BEGIN", "transaction:t", "receipt:r"))
    said = {
        "activemq": r"The transaction was already started\c t",
        "artemis": r"AMQ339012\c Error beginning a transaction t",
    }
    before = VERSIONS if profile == "rabbitmq" else ""
    client.expect_error(said.get(profile, "duplicate transaction"), receipt="r", before=before)


# ---- what is the default ----


@with_none_too
def test_row_prefetch(guest, queue, profile):
    """RabbitMQ gives a consumer all there is unless that says how much it wants; ActiveMQ gives it 1000, as we do."""
    client = guest.login()
    for number in range(1200):
        client.send(frame("SEND", f"destination:{queue}", body=f"{number}"))
    client.subscribe(queue, ack="client")
    for _ in range({"rabbitmq": 1200, "artemis": 40}.get(profile, 1000)):
        assert client.read_frame().startswith(b"MESSAGE")


@with_none_too
def test_row_prefetch_bytes(guest, queue, profile):
    """Artemis gives a consumer 10 KiB; ours is a MiB, and RabbitMQ has no bound."""
    client = guest.login()
    client.subscribe(queue, ack="client")
    for _ in range(12):
        post(client, queue, 4096 * "x")
    for _ in range({"artemis": 3}.get(profile, 12)):
        assert b"x" * 4096 in client.read_frame()
    client.expect_nothing()


@with_none_too
def test_row_dead_letter(guest, queue, profile):
    """ActiveMQ has ActiveMQ.DLQ for all queues, Artemis has DLQ; here each queue has one of its own."""
    dead = {"activemq": "/queue/ActiveMQ.DLQ", "artemis": "/queue/DLQ"}.get(profile)
    client = guest.login()
    client.subscribe(queue, ack="client-individual")
    post(client, queue, "bad")
    client.send(frame("NACK", f"id:{guest.message(client, queue, 'bad')}", "requeue:false"))
    client.roundtrip()
    client.subscribe(dead or f"/queue/DLQ.{queue.removeprefix('/queue/')}", id="dead")
    while f"original-destination:{queue}\n".encode() not in client.read_frame():
        assert dead, "others may have left something in a common one"


@every_profile
def test_what_is_said_in_the_configuration_is_stronger(dial, broker_with, queue, profile):
    broker = broker_with(
        compat={"profile": profile},
        subscriptions={"prefetch": 2, "prefetch_bytes": "1 KiB"},
        queues=[{"pattern": "#", "dead_letter": "mine"}],
    )
    guest = Guest(dial, lambda **_: broker, profile)
    client = guest.login()
    client.subscribe(queue, ack="client-individual")
    for _ in range(3):
        post(client, queue, "x")
    client.send(frame("NACK", f"id:{guest.message(client, queue, 'x')}", "requeue:false"))
    guest.message(client, queue, "x")
    guest.message(client, queue, "x")
    client.subscribe("/queue/mine", id="dead")
    assert b"dead-letter-reason:rejected" in client.read_frame()


# ---- what is wrong ----

# By our own words, with the command and the version where it takes them: what is sent, and what it comes to be said of.
CASES = {
    "not connected": ("", ["SEND\ndestination:a\n\n\0"], {}),
    "already connected": ("1.2", ["CONNECT\naccept-version:1.2\nhost:x\n\n\0"], {}),
    "unsupported version": ("", ["CONNECT\naccept-version:9.9\nhost:x\n\n\0"], {"accept-version": "9.9"}),
    "bad heart-beat": ("", ["CONNECT\naccept-version:1.1\nheart-beat:x\n\n\0"], {"heart-beat": "x"}),
    "unknown command": ("1.2", ["RESEND\nx:y\n\n\0"], {"command": "RESEND"}),
    "access refused": ("1.2", ["SUBSCRIBE\nid:1\ndestination:/presence/x\n\n\0"], {}),
    "unknown destination": ("1.2", ["SEND\ndestination:/nowhere/x\n\n\0"], {"destination": "/nowhere/x"}),
    "bad destination": ("1.2", ["SUBSCRIBE\nid:1\ndestination:/reply-queue/x\n\n\0"], {}),
    "no such queue": ("1.2", ["SUBSCRIBE\nid:1\ndestination:/amq/queue/no\n\n\0"], {"destination": "/amq/queue/no"}),
    "missing header SEND": ("1.1", ["SEND\n\n\0"], {}),
    "missing header SUBSCRIBE": ("1.1", ["SUBSCRIBE\nid:1\n\n\0"], {}),
    "missing header UNSUBSCRIBE": ("1.0", ["UNSUBSCRIBE\nx:y\n\n\0"], {}),
    "missing header ACK": ("1.1", ["ACK\nsubscription:1\n\n\0"], {}),
    "missing header ACK 1.2": ("1.2", ["ACK\nx:y\n\n\0"], {}),
    "missing header NACK": ("1.1", ["NACK\nsubscription:1\n\n\0"], {}),
    "missing header NACK 1.2": ("1.2", ["NACK\nx:y\n\n\0"], {}),
    "missing header BEGIN": ("1.2", ["BEGIN\nx:y\n\n\0"], {}),
    "missing header COMMIT": ("1.2", ["COMMIT\nx:y\n\n\0"], {}),
    "missing header ABORT": ("1.2", ["ABORT\nx:y\n\n\0"], {}),
    "unknown transaction": ("1.2", ["SEND\ndestination:a\ntransaction:t\n\n\0"], {"transaction": "t"}),
    "unknown transaction COMMIT": ("1.2", ["COMMIT\ntransaction:t\n\n\0"], {"transaction": "t"}),
    "unknown transaction ABORT": ("1.1", ["ABORT\ntransaction:t\n\n\0"], {"transaction": "t"}),
    "duplicate transaction": (
        "1.2",
        ["BEGIN\ntransaction:t\n\n\0", "BEGIN\ntransaction:t\n\n\0"],
        {"transaction": "t"},
    ),
    "too many transactions": ("1.2", [f"BEGIN\ntransaction:{name}\n\n\0" for name in "abc"], {}),
    "transaction too large": (
        "1.2",
        ["BEGIN\ntransaction:t\n\n\0", *["SEND\ndestination:a\ntransaction:t\n\n\0"] * 4],
        {},
    ),
    "unknown ack ACK": ("1.1", ["ACK\nsubscription:1\nmessage-id:x\n\n\0"], {"message-id": "x"}),
    "unknown ack NACK": ("1.0", ["NACK\nmessage-id:x\n\n\0"], {"message-id": "x"}),
    "unknown ack ACK 1.2": ("1.2", ["ACK\nid:x-1\n\n\0"], {"id": "x-1", "message-id": "null"}),
    "unknown ack NACK 1.2": ("1.2", ["NACK\nid:x-1\n\n\0"], {"id": "x-1", "message-id": "null"}),
    "unknown subscription": ("1.2", ["UNSUBSCRIBE\nid:9\n\n\0"], {}),
    "duplicate subscription": ("1.2", ["SUBSCRIBE\nid:1\ndestination:a\n\n\0"] * 2, {"id": "1"}),
}


@pytest.mark.parametrize("case", CASES)
@with_none_too
def test_an_error_has_their_words(guest, profile, case):
    version, frames, words = CASES[case]
    client = guest.login(version) if version else guest.raw()
    client.send(*frames)
    ours = next(case[:end] for end in range(len(case), 0, -1) if case[:end] in OURS)
    said = ERRORS[case.encode()][NAMES.index(profile)] if profile else None
    text = ours if said is None else said.decode()
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    assert "{" not in text
    if version > "1.0":
        text = text.replace(":", r"\c")
    client.expect_error(text, before=VERSIONS if profile == "rabbitmq" or ours == "unsupported version" else "")


OURS = {
    "not connected", "already connected", "unsupported version", "bad heart-beat", "unknown command", "access refused",
    "unknown destination", "bad destination", "no such queue", "missing header", "unknown transaction",
    "duplicate transaction", "too many transactions", "transaction too large", "unknown ack", "unknown subscription",
    "duplicate subscription",
}  # fmt: skip


CAREFUL = """
import asyncio
from fastbroker import server
from fastbroker.auth import Access
from fastbroker.cli import main
from fastbroker.core.login import LoginRefused

async def later(login):
    await asyncio.sleep(0.01)
    raise LoginRefused("no")

def at_once(login):
    raise LoginRefused("no")

server.access = lambda: Access(lambda login: (later if login.login == "late" else at_once)(login), None)
main()
"""


@pytest.mark.over("tcp")
@with_none_too
def test_a_refused_login_has_their_words(dial, tmp_path, profile):
    """RabbitMQ says Bad CONNECT, the others whose login it was."""
    broker = Broker(
        tmp_path,
        {"compat": {"profile": profile}},
        run=lambda command, **options: subprocess.Popen([sys.executable, "-c", CAREFUL, *command[3:]], **options),
    )
    whose = "User name [{}] or password is invalid"
    said = {"rabbitmq": "Bad CONNECT", "activemq": f"{whose}.", "artemis": f"Security Error occurred: {whose}"}
    try:
        for login, shown in (("late", "late"), ("guest", "guest"), ("", "null")):
            client = dial(to=broker)
            client.send(frame("CONNECT", "accept-version:1.0", f"login:{login}"))
            before = VERSIONS if profile == "rabbitmq" else ""
            client.expect_error(said.get(profile, "login refused").format(shown), before=before)
    finally:
        broker.stop()


@every_profile
def test_what_a_client_sends_is_shown_short_and_on_one_line(guest, profile):
    client = guest.login()
    client.send(frame("COMMIT", "transaction:" + 300 * "t" + r"\n{id}"))
    message = client.read_frame().decode().partition("message:")[2].partition("\n")[0]
    assert 201 * "t" not in message
    assert (200 * "t" in message) == (profile != "rabbitmq")


def test_soft_errors_are_ours(dial, broker_with):
    """Who asks for them is no client of another broker."""
    client = Guest(dial, broker_with, "rabbitmq").login("1.2", "soft-errors:true", more="soft-errors:true\n")
    client.send(frame("UNSUBSCRIBE", "id:9"))
    assert b"message:unknown subscription\n" in client.read_frame()


# ---- all of it ----


def test_a_session_with_rabbitmqs_words(dial, broker_with, queue):
    guest = Guest(dial, broker_with, "rabbitmq")
    client = guest.raw()
    client.send(f"""CONNECT
accept-version:1.1,1.2
host:/

\0SUBSCRIBE
id:1
destination:{queue}
ack:client-individual
prefetch-count:10
receipt:subscribed

\0BEGIN
transaction:t

\0SEND
destination:{queue}
transaction:t
receipt:sent

hello\0COMMIT
transaction:t
receipt:done

\0""")
    client.expect(f"CONNECTED\nversion:1.2\nsession:<session>\nserver:{SERVERS['rabbitmq']}\nheart-beat:0,0\n\n\0\n")
    client.expect(receipt("subscribed"))
    heard = {client.read_frame() for _ in range(3)}
    assert {receipt("sent"), receipt("done")} < heard
    message = next(each for each in heard if each.startswith(b"MESSAGE\nredelivered:false\nsubscription:1\n"))
    assert message.endswith(f"destination:{queue}\ncontent-length:5\n\nhello\0\n".encode())
    client.send("NACK\nid:none\n\n\0")
    client.expect_error("Message not found", before=VERSIONS)


@pytest.mark.parametrize(
    ("profile", "product"), [("activemq", "ActiveMQ/6.1.6"), ("artemis", "ActiveMQ-Artemis/2.41.0")]
)
def test_a_session_with_activemqs_words(dial, broker_with, queue, profile, product):
    client = Guest(dial, broker_with, profile).raw()
    client.send(f"""CONNECT
accept-version:1.1
client-id:me
receipt:hello

\0SUBSCRIBE
id:1
destination:{queue}
ack:client
activemq.prefetchSize:1000
receipt:subscribed

\0SEND
destination:{queue}
receipt:sent

hello\0""")
    answers = "response-id:hello\nreceipt-id:hello\n" if profile == "activemq" else "receipt-id:hello\n"
    head = f"CONNECTED\nversion:1.1\nsession:<session>\nserver:{product}-fastbroker-{__version__}\nheart-beat:0,0\n"
    client.expect(f"{head}{answers}\n\0\n")
    client.expect(receipt("subscribed"))
    heard = {client.read_frame() for _ in range(2)}
    assert receipt("sent") in heard
    (message,) = heard - {receipt("sent")}
    first = b"redelivered:false\n" if profile == "artemis" else b""
    assert message.startswith(b"MESSAGE\n" + first + b"subscription:1\nmessage-id:")
    assert b"\nexpires:0\npriority:4\ntimestamp:" in message
    client.send("NACK\nsubscription:1\nmessage-id:none\n\n\0")
    said = (
        r"Unexpected NACK received for message-id [none]"
        if profile == "activemq"
        else r"AMQ339018\c Error acknowledging message none"
    )
    client.expect_error(said)
