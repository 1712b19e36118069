"""`fastbroker journal`: what it says of a data directory is so, and what it makes holds what was promised."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.broker import ROOT, Broker
from harness.client import Client
from harness.crash import Ledger, drain, look_at_retained, subscribe_durably, work_for
from harness.faults import in_little_space
from harness.frames import frame, receipt
from harness.waiting import DEADLINE

CYCLES = max(10, int(os.environ.get("FASTBROKER_CRASHES", "0")) // 10)
SMALL = {"journal": {"segment_size": 2**20}}


def journal(*arguments: object, status: int = 0, source: bytes | None = None) -> str:
    """What `fastbroker journal` prints, or of what went wrong what it says."""
    line = [sys.executable, "-m", "fastbroker", "journal", *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, input=source, capture_output=True, timeout=6 * DEADLINE, check=False)
    assert done.returncode == status, done
    if status:
        assert b"Traceback" not in done.stderr
        return done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """A broker of a directory; it has all that is not said from its defaults."""
    running: list[Broker] = []

    def one(directory: Path, **config: Any) -> Broker:
        config = {"listen": ["tcp://127.0.0.1:0"], "data_dir": str(directory), **SMALL, **config}
        running.append(Broker(tmp_path, config))
        return running[-1]

    yield one
    for broker in running:
        broker.process.kill()
        broker.process.wait()


def kill(broker: Broker) -> None:
    broker.process.kill()
    broker.process.wait(DEADLINE)


FEATURES = {
    "topics": [{"pattern": "kept", "history": {"count": 10}, "persistent": "always"}],
    "queues": [{"pattern": "once", "duplicate_window": 1000}],
}
DURABLE = ("durable:true", "auto-delete:false")


def fill(broker: Broker, talk: Callable[..., Client]) -> None:
    """Something of everything that is kept, and something that has gone."""
    subscriber, client, consumer = (talk(to=broker) for _ in range(3))
    for name in ("one", "two"):
        subscriber.subscribe("/topic/news", *DURABLE, id=name, ack="client")
    subscriber.close()
    for number in range(30):
        client.publish("/topic/news", b"news %d" % number, "persistent:true")
        client.publish("/queue/jobs", b"job %d" % number, "persistent:true", f"priority:{number % 10}")
        client.publish("/queue/once", b"once %d" % number, "persistent:true", f"message-dedup-id:{number}")
        client.publish("/topic/kept", b"kept %d" % number, *(["retain:set"] if number == 7 else []))
    client.publish("/queue/later", b"later", "persistent:true", "delay:3600000")
    client.publish("/queue/binary", bytes(range(256)), "persistent:true", "content-length:256", r"x:a\cb\\c")
    client.publish("/queue/large", b"y" * 300_000, "persistent:true", "expires:99999999999999")
    client.send(frame("BEGIN", "transaction:t"))
    for destination in ("/queue/jobs", "/topic/news"):
        client.send(frame("SEND", f"destination:{destination}", "persistent:true", "transaction:t", body="together"))
    client.send(frame("COMMIT", "transaction:t", "receipt:t"))
    client.expect(receipt("t"))
    consumer.subscribe("/queue/gone", ack="client-individual")
    for number in range(10):
        client.publish("/queue/gone", b"%d" % number, "persistent:true")
        consumer.ack(consumer.expect_message("/queue/gone", b"%d" % number, "persistent:true"))


def content(directory: Path) -> dict[str, list[str]]:
    """What is there, as `export` has it, without what says where in the journal it is, and when it was looked at."""
    found: dict[str, list[str]] = {}
    for line in journal("export", directory).splitlines():
        said = json.loads(line)
        kind = said.pop("kind")
        if kind == "end":
            continue
        for field in ("given", "segment", "due", "version"):
            said.pop(field, None)
        if kind == "numbers":  # of these some are always given ahead
            said = {}
        found.setdefault(kind, []).append(json.dumps(said, sort_keys=True))
    return {kind: sorted(listed) for kind, listed in found.items()}


@pytest.fixture
def filled(tmp_path: Path, start: Callable[..., Broker], talk: Callable[..., Client]) -> Path:
    """The directory of a broker that was killed."""
    broker = start(tmp_path / "data", **FEATURES)
    fill(broker, talk)
    kill(broker)
    return tmp_path / "data"


def bodies_of(lines: list[str], queue: int) -> list[str]:
    said = [json.loads(line) for line in lines]
    return [each.get("body", "") for each in sorted(said, key=lambda each: each["place"]) if each["queue"] == queue]


def numbers(directory: Path) -> dict[str, int]:
    """The numbers of queues, by their names."""
    named = [json.loads(line) for line in journal("export", directory).splitlines()]
    return {each["name"]: each["queue"] for each in named if each["kind"] in ("queue", "durable")}


# ---- what is said ----


def test_what_is_there_is_said(filled: Path) -> None:
    assert journal("verify", filled) == (
        f"{filled}: 1 segment, 125 messages in 7 queues, 12 scheduled or kept by topics: all of it is whole\n"
    )
    facts = json.loads(journal("stats", "--json", filled))
    counts = {queue["name"]: queue["messages"] for queue in facts["queues"]}
    durables = {f"dsub/{name}/topic/news": 31 for name in ("one", "two")}
    assert counts == {"jobs": 31, "once": 30, "binary": 1, "large": 1, "gone": 0, **durables}
    assert (facts["scheduled"], facts["histories"], facts["retained"]) == (1, 10, 1)
    assert (facts["damaged_bytes"], facts["ended"]) == (0, "suddenly")
    assert [segment["file"] for segment in facts["segments"]] == ["segment-0000000000000001"]
    shown = journal("stats", filled)
    assert "large" in shown
    assert "1 scheduled, 10 in histories, 1 retained; ended suddenly; 0 bytes damaged" in shown


def test_records_are_shown_as_they_stand(filled: Path) -> None:
    records = [json.loads(line) for line in journal("inspect", filled).splitlines()]
    assert [each["sequence"] for each in records] == sorted(each["sequence"] for each in records)
    kinds = {each["kind"] for each in records}
    assert {"added", "shared", "settled", "queue", "durable", "kept", "names", "numbers", "committed"} <= kinds
    assert {each["kind"] for each in records if each.get("transaction")} == {"added", "shared"}
    gone = [json.loads(line) for line in journal("inspect", filled, "--queue", "gone").splitlines()]
    settled = [number for each in gone if each["kind"] == "settled" for number in each["ids"]]
    assert settled == [each["id"] for each in gone if each["kind"] == "added"]
    assert [each["body"] for each in gone if each["kind"] == "added"] == [str(number) for number in range(10)]
    some = journal("inspect", filled, "--queue", "/queue/gone", "--kind", "settled").splitlines()
    assert [json.loads(line) for line in some] == [each for each in gone if each["kind"] == "settled"]
    assert "there is no kind 'ended'; there are numbers, queue," in journal(
        "inspect", filled, "--kind", "ended", status=2
    )
    assert "no queue and no durable subscription nobody" in journal("inspect", filled, "--queue", "nobody", status=1)


def test_damage_is_named(filled: Path) -> None:
    segment = filled / "segment-0000000000000001"
    data = bytearray(segment.read_bytes())
    at = data.index(b"job 17")
    data[at] ^= 1
    segment.write_bytes(data)
    said = subprocess.run(
        [sys.executable, "-m", "fastbroker", "journal", "verify", filled], cwd=ROOT, capture_output=True, check=False
    )
    assert said.returncode == 1
    [found] = re.findall(rb"%b: (\d+) bytes cannot be read, from ([\d,]+) on" % bytes(segment), said.stdout)
    place = int(found[1].replace(b",", b""))
    assert 0 < at - place < 200
    assert b"is damaged. A broker that starts there leaves out" in said.stderr
    left = bodies_of(content(filled)["added"], numbers(filled)["jobs"])
    assert sorted(left) == sorted(["together", *(f"job {number}" for number in range(30) if number != 17)])
    assert (
        "is damaged, and so is its copy"
        in subprocess.run(
            [sys.executable, "-m", "fastbroker", "journal", "backup", filled, filled.parent / "copy"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stderr
    )


def test_what_is_no_data_directory_is_told(tmp_path: Path, filled: Path) -> None:
    for command in ("verify", "stats", "inspect", "export", "compact"):
        assert f"{tmp_path} is no data directory" in journal(command, tmp_path, status=1)
    assert "is no data directory" in journal("backup", tmp_path, tmp_path / "copy", status=1)
    (filled / "identity").write_text("{}")
    assert "identity is damaged" in journal("verify", filled, status=1)


def test_a_missing_segment_is_told(tmp_path: Path, start: Callable[..., Broker], talk: Callable[..., Client]) -> None:
    broker = start(tmp_path / "data")
    client = talk(to=broker)
    for _ in range(5):
        client.publish("/queue/a", bytes(400_000), "persistent:true", "content-length:400000")
    kill(broker)
    segments = sorted((tmp_path / "data").glob("segment-*"))
    assert len(segments) > 1
    segments[0].unlink()
    assert f"{segments[0].name} is missing" in journal("verify", tmp_path / "data", status=1)


# ---- what is made ----


def same(made: Path, as_there: Path) -> None:
    """All that is there is the same, up to the order in which it is recorded."""
    first, second = content(made), content(as_there)
    assert first.keys() == second.keys()
    for kind in first:
        assert first[kind] == second[kind], kind


def test_an_export_is_the_same_again(tmp_path: Path, filled: Path) -> None:
    text = journal("export", filled)
    assert journal("import", tmp_path / "piped", source=text.encode()).startswith(f"{tmp_path}/piped: ")
    journal("export", filled, "-o", tmp_path / "text")
    assert (tmp_path / "text").read_text() == text
    journal("import", tmp_path / "new", tmp_path / "text")
    for made in (tmp_path / "piped", tmp_path / "new"):
        same(made, filled)
        assert "all of it is whole" in journal("verify", made)
    assert "is not empty" in journal("import", tmp_path / "new", tmp_path / "text", status=1)


def test_a_copy_is_the_same(tmp_path: Path, filled: Path) -> None:
    journal("backup", filled, tmp_path / "copy")
    assert journal("export", tmp_path / "copy") == journal("export", filled)
    assert "is not empty" in journal("backup", filled, tmp_path / "copy", status=1)


def test_what_is_compacted_is_the_same_and_smaller(
    tmp_path: Path, start: Callable[..., Broker], talk: Callable[..., Client]
) -> None:
    broker = start(tmp_path / "data", **FEATURES)
    fill(broker, talk)
    producer, consumer = talk(to=broker), talk(to=broker)
    # A segment is only as large as it must be when what is in front of it has gone: so some of each stay.
    consumer.subscribe("/queue/big", ack="client-individual")
    for number in range(40):
        producer.publish("/queue/big", bytes(100_000), "persistent:true", "content-length:100000")
        delivery = consumer.expect_message("/queue/big", bytes(100_000), "persistent:true", "content-length:100000")
        if number % 10:
            consumer.ack(delivery)
    kill(broker)
    before = content(tmp_path / "data")
    files = set((tmp_path / "data").glob("segment-*"))
    journal("compact", tmp_path / "data")
    assert not files & set((tmp_path / "data").glob("segment-*"))
    after = content(tmp_path / "data")
    assert after == before
    records = journal("inspect", tmp_path / "data")
    assert '"kind":"settled"' not in records
    assert json.loads(journal("stats", "--json", tmp_path / "data"))["ended"] == "in order"


@pytest.mark.parametrize("how", ["compact", "import", "backup"])
def test_clients_find_what_was_there(
    tmp_path: Path, filled: Path, start: Callable[..., Broker], talk: Callable[..., Client], how: str
) -> None:
    made = tmp_path / "made"
    if how == "import":
        journal("import", made, source=journal("export", filled).encode())
    elif how == "backup":
        journal("backup", filled, made)
    else:
        made = filled
        journal("compact", made)
    broker = start(made, **FEATURES)
    assert not [record for record in broker.log if record.get("level") == "error"]
    client = talk(to=broker)
    by_priority = sorted((f"job {number}" for number in range(30)), key=lambda body: -(int(body[4:]) % 10))
    by_priority.insert(next(i for i, body in enumerate(by_priority) if int(body[4:]) % 10 < 4), "together")
    client.subscribe("/queue/jobs", id="jobs")
    assert [said(client)[1] for _ in range(31)] == [body.encode() for body in by_priority]
    for name in ("one", "two"):
        client.subscribe("/topic/news", *DURABLE, id=name)
        assert [said(client)[1] for _ in range(31)] == [*(b"news %d" % number for number in range(30)), b"together"]
    client.publish("/queue/once", b"again", "persistent:true", "message-dedup-id:29")
    client.subscribe("/queue/once", id="once")
    assert [said(client)[1] for _ in range(30)] == [b"once %d" % number for number in range(30)]
    client.subscribe("/topic/kept", "last:100", id="kept")
    assert [said(client)[1] for _ in range(11)] == [b"kept %d" % number for number in (7, *range(20, 30))]
    client.subscribe("/queue/binary", id="binary")
    head, body = said(client)
    assert body == bytes(range(256))
    assert rb"x:a\cb\\c" in head.split(b"\n")
    client.subscribe("/queue/large", id="large")
    assert said(client)[1] == b"y" * 300_000
    client.subscribe("/queue/gone", id="gone")
    client.subscribe("/queue/later", id="later")
    client.expect_nothing()
    assert broker.census()["scheduled"] == 1


def said(client: Client) -> tuple[bytes, bytes]:
    """Header lines and body of the MESSAGE that comes next."""
    head, _, body = client.read_frame().partition(b"\n\n")
    assert head.startswith(b"MESSAGE\n"), head
    return head, body[:-2]


# ---- beside brokers, and where something fails ----


def test_a_running_broker_is_looked_at_and_not_touched(
    tmp_path: Path, start: Callable[..., Broker], talk: Callable[..., Client]
) -> None:
    broker = start(tmp_path / "data")
    talk(to=broker).publish("/queue/a", b"x", "persistent:true")
    assert "1 message in 1 queue," in journal("verify", tmp_path / "data")
    journal("backup", tmp_path / "data", tmp_path / "copy")
    assert f"in use by a broker (process {broker.process.pid}): stop it first" in journal(
        "compact", tmp_path / "data", status=1
    )
    talk(to=broker).publish("/queue/a", b"y", "persistent:true")
    broker.stop()
    assert "2 messages in 1 queue," in journal("verify", tmp_path / "data")


def test_a_copy_of_a_busy_broker_has_all_that_was_promised_before(tmp_path: Path, start: Callable[..., Broker]) -> None:
    """Segments come and go while it is copied, and the last one is written."""
    ledger = Ledger()
    broker = start(tmp_path / "data")
    subscribe_durably(broker.ports["tcp"])
    workers = work_for(ledger, broker.ports["tcp"], 0.5, 1)
    for number in range(5):
        with ledger.lock:
            promised, gone = set(ledger.promised), set(ledger.gone)
        journal("backup", tmp_path / "data", tmp_path / f"copy-{number}")
        with ledger.lock:
            acked, sent = set(ledger.acked), set(ledger.sent)
        found = {
            b" ".join(body.encode()[9:].split(b" ")[:3])
            for line in journal("export", tmp_path / f"copy-{number}").splitlines()
            if (body := json.loads(line).get("body", "")).count(" ") >= 3
        }
        assert "all of it is whole" in journal("verify", tmp_path / f"copy-{number}")
        assert found <= sent
        assert not found & gone
        assert not promised - found - acked
    kill(broker)
    for worker in workers:
        worker.join()
        assert worker.failure is None, worker.failure
    assert ledger.faults == []


def test_what_was_promised_outlives_kill_9_and_all_that_is_done_to_a_directory(
    tmp_path: Path, start: Callable[..., Broker]
) -> None:
    """Between two brokers it is compacted, which is killed now and then, or it becomes another directory."""
    ledger = Ledger()
    directory = tmp_path / "data"
    broker = start(directory)
    subscribe_durably(broker.ports["tcp"])
    for cycle in range(1, CYCLES + 1):
        workers = work_for(ledger, broker.ports["tcp"], random.uniform(0.02, 0.4), cycle)
        kill(broker)
        for worker in workers:
            worker.join()
            assert worker.failure is None, worker.failure
        directory = treat(directory, tmp_path / f"data-{cycle}", cycle)
        broker = start(directory)
        assert not [record for record in broker.log if record.get("level") == "error"], broker.log
        look_at_retained(ledger, broker.ports["tcp"])
        assert ledger.faults == []
    drain(ledger, broker.ports["tcp"])
    assert ledger.faults == []
    assert not ledger.missing()


def treat(directory: Path, new: Path, cycle: int) -> Path:
    """Where it is then."""
    if cycle % 4 == 0:
        journal("backup", directory, new)
        return new
    if cycle % 4 == 1:
        journal("import", new, source=journal("export", directory).encode())
        return new
    if cycle % 4 == 2:
        journal("compact", directory)
        return directory
    line = [sys.executable, "-m", "fastbroker", "journal", "compact", str(directory)]
    compacting = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = set(directory.glob("segment-*"))
    for _ in range(20_000):
        if set(directory.glob("segment-*")) != before or compacting.poll() is not None:
            break
        time.sleep(0.0005)
    time.sleep(random.uniform(0, 0.02))
    compacting.kill()
    compacting.wait()
    return directory


def test_an_import_that_fails_leaves_nothing(tmp_path: Path, filled: Path) -> None:
    text = journal("export", filled)
    short = "".join(f"{line}\n" for line in text.splitlines()[:-10])
    assert "some is missing" in journal("import", tmp_path / "new", source=short.encode(), status=1)
    assert not list((tmp_path / "new").iterdir())
    journal("import", tmp_path / "new", source=text.encode())


IN_LITTLE_SPACE = """
set -e
journal="$1 -m fastbroker journal"
$journal backup "$2" "$3/data"
$journal export "$3/data" > "$2.before"
if $journal compact "$3/data"; then echo compacted; fi
$journal export "$3/data" > "$2.after"
if $journal import "$3/new" "$2.before"; then echo imported; fi
ls "$3/new"
dd if=/dev/zero of="$3/ballast" 2> "$2.dd" || true
if $journal backup "$2" "$3/copy"; then echo copied; fi
ls "$3/copy"
"""


def test_a_full_disk_loses_nothing(tmp_path: Path, filled: Path) -> None:
    (tmp_path / "small").mkdir()
    run = in_little_space(tmp_path / "small", 4)
    command = ["sh", "-c", IN_LITTLE_SPACE, "sh", sys.executable, str(filled), str(tmp_path / "small")]
    with run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said, wrong = process.communicate(timeout=6 * DEADLINE)
    assert process.returncode == 0, wrong
    assert said.count("\n") == 1  # what was copied
    assert "copy: No space left on device\n" in wrong
    assert "Traceback" not in wrong
    assert wrong.count("No space left on device; make space there, and try again: nothing is lost") == 2
    before, after = (Path(f"{filled}.{when}").read_text() for when in ("before", "after"))
    assert before.splitlines()[1:] == after.splitlines()[1:]
