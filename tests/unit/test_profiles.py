"""Profiles: the defaults of the configuration that one changes, and what receipts that come with COMMIT may hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from broker_frames import bodies, messages, send, subscribe
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled
from fastbroker.cli import main
from fastbroker.config import Config
from fastbroker.config.overlay import load
from fastbroker.config.policies import deciding, doubts, own_queues
from fastbroker.config.profiles import defaults_of
from fastbroker.config.schema import Compat, Queue, Subscriptions
from fastbroker.config.settings import policies_of
from fastbroker.config.toml import as_toml
from fastbroker.core.frame import Refused
from fastbroker.core.profile import ERRORS, KEYS, NAMES, ROWS
from fastbroker.errors import ConfigError

Face = Any  # of a module that the type checker knows nothing of
PROFILE = "FASTBROKER__COMPAT__PROFILE"
IN_T = b"transaction:t\n"
BEGIN, COMMIT, ABORT = (b"%b\n%b\n\0" % (command, IN_T) for command in (b"BEGIN", b"COMMIT", b"ABORT"))

every_profile = pytest.mark.parametrize("profile", NAMES)


# ---- the table ----


def test_each_row_changes_something() -> None:
    for usual, *theirs in ROWS.values():
        assert any(value != usual for value in theirs)
    for rows in (ERRORS, KEYS):
        for key, row in rows.items():
            assert len(row) == len(NAMES)
            assert set(row) - {None}, key


def test_what_is_said_in_an_error_is_short_and_names_what_a_frame_has() -> None:
    texts = [said for row in ERRORS.values() for said in row if said is not None]
    assert all(len(text) < 200 and b"\n" not in text for text in texts)
    names = {part.partition(b"}")[0] for text in texts for part in text.split(b"{")[1:]}
    assert names <= {
        b"accept-version", b"command", b"destination", b"heart-beat", b"id", b"login", b"message-id", b"transaction",
    }  # fmt: skip


def test_the_table_is_documented() -> None:
    """Each ERROR has its row in docs/compatibility.md, and so has each key; what is on the wire is named there."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "compatibility.md").read_text()
    for ours, row in ERRORS.items():
        cells = ("" if said is None else f"`{said.decode()}`" for said in row)
        assert f"| `{ours.decode()}` | {' | '.join(cells)} |" in page
    for key in KEYS:
        assert f"`{key.rpartition('.')[2]}`" in page.replace("subscriptions.", "")
    for name in (*ROWS["always"][3], *ROWS["windows"][3], "content-length", "redelivered:false", "receipt-id"):
        assert name.decode() if isinstance(name, bytes) else name in page
    assert all(f"{server.decode()}…" in page for server in ROWS["server"][1:])


# ---- the configuration ----


@every_profile
def test_its_defaults_are_below_all_sources(tmp_path: Path, profile: str) -> None:
    config, origins = load(None, {PROFILE: profile}, {})
    expected = dict(defaults_of(profile))
    for key in ("prefetch", "prefetch_bytes"):
        value = expected.get(f"subscriptions.{key}", getattr(Subscriptions(), key))
        assert getattr(config.subscriptions, key) == value
    file = tmp_path / "broker.toml"
    file.write_text(
        '[subscriptions]\nprefetch = 7\n[[queues]]\npattern = "a"\ndead_letter = "d"\n[[queues]]\npattern = "b"\n'
    )
    config, origins = load(str(file), {PROFILE: profile, "FASTBROKER__SUBSCRIPTIONS__PREFETCH_BYTES": "5 KiB"}, {})
    assert config.subscriptions == Subscriptions(prefetch=7, prefetch_bytes=5120)
    letters = expected.get("queues[].dead_letter", "DLQ.{name}")
    assert [each.dead_letter for each in config.queues] == ["d", letters]
    told = origins.get("queues[1].dead_letter")
    assert told == (f"profile {profile}" if "queues[].dead_letter" in expected else None)


def test_without_one_nothing_is_changed() -> None:
    assert load(None, {PROFILE: ""}, {}).config == load(None, {}, {}).config == Config()
    assert list(defaults_of("")) == []


def test_one_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match=r'compat\.profile: expected "", "rabbitmq", "activemq" or "artemis"'):
        load(None, {PROFILE: "qpid"}, {})


@every_profile
def test_what_is_printed_says_the_same(tmp_path: Path, profile: str) -> None:
    file = tmp_path / "broker.toml"
    file.write_text('[[queues]]\npattern = "a"\n')
    effective = load(str(file), {PROFILE: profile}, {})
    printed = as_toml(*effective)
    assert ("# profile" in printed) == bool(list(defaults_of(profile)))
    file.write_text(printed)
    assert load(str(file), {}, {}).config == effective.config


def test_a_bound_of_ones_own_may_contradict_it() -> None:
    with pytest.raises(ConfigError, match="prefetch = 65535, profile rabbitmq"):
        load(None, {PROFILE: "rabbitmq", "FASTBROKER__SUBSCRIPTIONS__MAX_PREFETCH": "100"}, {})


@pytest.mark.parametrize(("profile", "letters"), [("activemq", "ActiveMQ.DLQ"), ("artemis", "DLQ")])
def test_the_common_dead_letters_have_a_bound(profile: str, letters: str) -> None:
    config = Config(compat=Compat(profile=profile), queues=(Queue(pattern="a", dead_letter=letters),))  # type: ignore[arg-type]
    assert list(doubts(config)) == []
    own = own_queues(profile)
    table = own[deciding(own, letters) or 0]
    assert (table.max_messages, table.overflow, table.dead_letter) == (10_000, "drop-oldest", letters)


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ("/queue/a", "# No table [[queues]] matches it: these are the defaults."),
        ("/temp-queue/a", "# No table is for it: these are the defaults."),
        ("/queue/DLQ.a", "# No table [[queues]] of the configuration matches it; this is the broker's own."),
    ],
)
def test_what_it_changes_is_explained(destination: str, said: str) -> None:
    result = CliRunner().invoke(main, ["config", "--explain", destination], env={PROFILE: "activemq"})
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert said in lines
    assert 'dead_letter = "ActiveMQ.DLQ" # profile activemq' in lines


def test_queues_without_a_name_have_it_too(face: Face) -> None:
    """What a subscription to a topic refuses is a dead letter as well."""
    policies = policies_of(Config(compat=Compat(profile="activemq")))
    assert compiled(Path(__file__).with_name("policy_face.pyx")).queue(policies, b"x")["dead_letter"] == "ActiveMQ.DLQ"


# ---- receipts that come with COMMIT ----


@given(
    sizes=st.lists(st.integers(0, 300), max_size=30),
    shares=st.lists(st.integers(0, 2000), min_size=1, max_size=10),
)
def test_receipts_come_behind_all_that_is_committed_in_their_order(
    face: Face, sizes: list[int], shares: list[int]
) -> None:
    house = face.House(profile="rabbitmq")
    client, witness = face.Client(house), face.Client(house)
    witness.say(subscribe(b"1", b"/queue/a"))
    charged = client.charged
    client.say(BEGIN)
    for number, size in enumerate(sizes):
        client.say(send(b"/queue/a", b"%d " % number + b"x" * size, IN_T + b"receipt:%d\n" % number))
    assert client.hear() == b""
    house.share(shares[0])
    client.say(COMMIT.replace(b"\n\n", b"\nreceipt:end\n\n"))
    heard, turns = witness.hear(), 0
    while client.unfinished:
        assert client.hear() == b""
        turns += 1
        house.share(shares[turns % len(shares)] + 1)
        client.carry_on()
        heard += witness.hear()
    house.turn()
    heard += witness.hear()
    assert [body.split()[0] for body in bodies(heard)] == [b"%d" % number for number in range(len(sizes))]
    names = [*(b"%d" % number for number in range(len(sizes))), b"end"]
    assert client.hear() == b"".join(b"RECEIPT\nreceipt-id:%b\n\n\0\n" % name for name in names)
    assert client.charged <= charged + 1024


@pytest.mark.parametrize("end", ["abort", "lost", "disconnect"])
def test_receipts_that_do_not_come_are_given_back(face: Face, end: str) -> None:
    house = face.House(profile="rabbitmq")
    before = house.stats["memory"]
    client = face.Client(house)
    client.say(BEGIN)
    charged = client.charged
    for _ in range(100):
        client.say(send(b"/queue/a", b"", IN_T + b"receipt:" + b"r" * 1000 + b"\n"))
    assert client.charged >= charged + 100_000, "what is owed counts"
    if end == "abort":
        client.say(ABORT)
        assert client.charged < charged
    elif end == "disconnect":
        client.say(b"DISCONNECT\n\n\0")
    assert client.hear() == b""
    client.leave()
    house.advance(600_000)
    house.turn()
    assert house.stats["memory"] <= before + 4096


def test_receipts_are_bounded_as_transactions_are(face: Face) -> None:
    house = face.House(profile="rabbitmq", max_transaction_bytes=1_000_000)
    client = face.Client(house)
    client.say(BEGIN)
    with pytest.raises(Refused, match="transaction too large"):
        for _ in range(2000):
            client.say(send(b"/queue/a", b"", IN_T + b"receipt:" + b"r" * 1000 + b"\n"))
    assert client.charged < 4_000_000


# ---- the prefix of what comes first ----


@given(takes=st.lists(st.sampled_from(["requeue", "leave", "stay"]), max_size=12))
def test_what_comes_again_says_so_once(face: Face, takes: list[str]) -> None:
    house = face.House(profile="artemis", redelivery_delay=0, nack_delay=0, max_deliveries=0)
    publisher = face.Client(house)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
    publisher.say(send(b"/queue/a", b"x"))
    times = 0
    for take in takes:
        heard = client.hear()
        if heard:
            times += 1
            assert heard.count(b"\nredelivered:") == 1
            (message,) = messages(heard)
            assert message.redelivered == (times > 1)
            delivered = message.ack
        if take == "requeue":
            client.say(b"NACK\nid:%b\nrequeue:true\n\n\0" % delivered)
            house.advance(100)
            house.turn()
        elif take == "leave":
            client.leave()
            client = face.Client(house)
            client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
            house.turn()
