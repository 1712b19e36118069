"""The peers of the comparison: their settings, why they are missing, and that starting one leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from bench import disk_limit, programs
from bench.peers import (
    ARTEMIS_DURABLE,
    BROKER,
    DISK,
    EVERY,
    NATS,
    OWN,
    PEERS,
    RELAY,
    UNIX,
    Peer,
    PeerFailed,
    Server,
    debian,
    disk,
    download,
    java,
    named,
    own,
    peer,
)
from bench.peers.client import Client, Frame, Refused, encoded, taken
from bench.peers.download import Downloaded, complaint
from bench.peers.launch import Launch, free_port
from bench.peers.settings import PLACEHOLDER, filled_in
from bench.peers.trials import TRIALS, Trial
from bench.scenarios import ALL as EVERY_SCENARIO
from fastbroker.bench.load import Target
from fastbroker.bench.serving import logged_in

needs_compiler = pytest.mark.skipif(not shutil.which(programs.compiler()), reason="no C compiler")
STOMP = [each for each in PEERS if each.protocol == "stomp"]


class Shell(Peer):
    """A server that is a shell script."""

    name = "shell"

    def __init__(self, script: str) -> None:
        self.script = script

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return "1"

    def install(self) -> None:
        pass

    def launch(self, directory: Path, port: int) -> Launch:
        relay = (
            f"{sys.executable} -m fastbroker serve --listen tcp://127.0.0.1:{port} --data-dir none --log-level error"
        )
        return Launch(["sh", "-c", self.script.format(serve=relay)], {"PYTHONPATH": str(ROOT)})


class Fetched(Downloaded):
    """A peer whose download is a file, or fails."""

    name = "fetched"
    version_wanted, failure_text, lacking = "1", "", ""

    def needs(self) -> str:
        return self.lacking

    def wanted(self) -> str:
        return self.version_wanted

    def fetch(self, directory: Path) -> None:
        (directory / "file").write_text(self.version_wanted)
        if self.failure_text:
            raise PeerFailed(self.failure_text)

    def version(self) -> str:
        return (self.place / "file").read_text()

    def launch(self, directory: Path, port: int) -> Launch:
        raise NotImplementedError


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetched:
    monkeypatch.setattr(download, "PLACE", tmp_path)
    return Fetched()


def test_what_is_not_installed_says_how_to_install_it(fetched: Fetched) -> None:
    assert "python -m bench.peers.install fetched" in fetched.missing()
    fetched.install()
    assert (fetched.missing(), fetched.version()) == ("", "1")


def test_another_version_takes_the_place_of_the_first(fetched: Fetched) -> None:
    fetched.install()
    fetched.version_wanted = "2"
    assert fetched.missing()
    fetched.install()
    assert (fetched.missing(), fetched.version()) == ("", "2")


def test_a_failed_install_is_the_reason_until_one_succeeds(fetched: Fetched) -> None:
    fetched.failure_text = "no such package"
    with pytest.raises(PeerFailed, match="no such package"):
        fetched.install()
    assert "no such package" in fetched.missing()
    assert not fetched.place.exists()
    fetched.failure_text = ""
    fetched.install()
    assert fetched.missing() == ""


def test_what_the_machine_lacks_comes_before_anything_else(fetched: Fetched) -> None:
    fetched.lacking = "there is no Java 17"
    assert fetched.missing() == "there is no Java 17"
    with pytest.raises(PeerFailed, match="no Java 17"):
        fetched.install()
    with pytest.raises(PeerFailed, match="fetched is missing: there is no Java 17"), fetched.running():
        pass


@pytest.mark.parametrize(("found", "reason"), [(0, "there is no Java 17"), (11, "there is no Java 17, only 11")])
def test_java_that_is_missing_or_old_is_a_reason(found: int, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "java_version", lambda: found)
    assert named("activemq").missing() == reason


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("command not found", 0),
    ],
)
def test_feature_version_of_java(said: str, version: int) -> None:
    assert java.feature_version(said) == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nats-server: v2.9.10", "2.9.10"),
        ("/usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/sbin", "3.10.8"),
        ("activemq-broker-6.3.1", "6.3.1"),
        ("gostomp: go1.26.8\n\tpath\tgostomp", "1.26.8"),
        ("none", "unknown"),
    ],
)
def test_first_version(text: str, version: str) -> None:
    assert peer.first_version(text) == version


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            "[ERROR] Could not find artifact a:b:1 in central (https://some.host/maven2) -> [1]\n[ERROR] Re-run Maven",
            "Could not find artifact a:b:1 in central (…) -> [1]",
        ),
        ("E: Unable to locate package x", "Unable to locate package x"),
        ("go: downloading x\nnothing to see", "nothing to see"),
        ("", ""),
    ],
)
def test_a_complaint_is_one_line_without_addresses(output: str, line: str) -> None:
    assert complaint(output) == line


def test_packages_a_package_depends_on() -> None:
    said = "rabbitmq-server\n  Depends: erlang-base\n  Depends: adduser\nerlang-base\n  Depends: libc6\nadduser\n"
    assert debian.depended_on(said, "erlang-") == {"erlang-base"}


def test_settings_get_every_value_and_nothing_else() -> None:
    assert filled_in("port = @port@ # ${port}", {"port": 5}) == "port = 5 # ${port}"
    with pytest.raises(ValueError, match="port"):
        filled_in("port = @port@", {})
    with pytest.raises(ValueError, match="host"):
        filled_in("port = @port@", {"port": 5, "host": "x"})


@pytest.mark.parametrize("peer", [each for each in EVERY if each is not DISK], ids=lambda each: each.name)
def test_every_peer_is_told_its_port(peer: Peer, tmp_path: Path) -> None:
    # They compile what is in C.
    if peer in (RELAY, ARTEMIS_DURABLE) and RELAY.missing():
        pytest.skip(RELAY.missing())
    launch = peer.launch(tmp_path, 54321)
    written = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert "54321" in " ".join([*launch.command, *written.values()])
    assert not [path for path, text in written.items() if PLACEHOLDER.search(text)]


def test_peers_are_found_by_name() -> None:
    assert [named(each.name) for each in EVERY] == list(EVERY)
    with pytest.raises(KeyError, match="no peer 'hornetq'; there are fastbroker, fastbroker-unix"):
        named("hornetq")


def test_only_nats_has_no_queues() -> None:
    assert [each for each in PEERS if not each.has_queues] == [NATS]


@pytest.mark.parametrize("peer", STOMP, ids=lambda each: each.name)
def test_a_credit_header_is_a_header_line(peer: Peer) -> None:
    line = peer.target(1).credit_header.format(credit=7)
    assert not line or line.partition(":")[2].startswith("7")


FRAMES = [("MESSAGE", {"a": "b:c", "ack": "1"}, b"body"), ("RECEIPT", {"receipt-id": "x"}, b""), ("A", {}, b"\0\n")]


def test_frames_are_taken_wherever_the_stream_is_cut() -> None:
    stream = b"\n".join(encoded(command, headers, body) for command, headers, body in FRAMES)
    for cut in range(len(stream)):
        first, rest = taken(stream[:cut])
        second, rest = taken(rest + stream[cut:])
        assert [(each.command, each.body) for each in first + second] == [(f[0], f[2]) for f in FRAMES]
        assert not rest.strip(b"\n")


def test_a_repeated_header_counts_once_and_escapes_are_undone() -> None:
    assert taken(b"MESSAGE\nid:\\\\c\\c\nid:second\n\n\0") == ([Frame("MESSAGE", {"id": "\\c:"}, b"")], b"")


def temporary_directories(name: str) -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"bench-{name}-*"))


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return gone(pid)


@needs_compiler
@pytest.mark.parametrize("peer", [BROKER, RELAY], ids=lambda each: each.name)
def test_a_peer_answers_while_it_runs_and_leaves_nothing(peer: Peer) -> None:
    before = temporary_directories(peer.name)
    with pytest.raises(ZeroDivisionError), peer.running() as server:  # noqa: PT012
        assert (server.name, server.target.protocol) == (peer.name, peer.protocol)
        listening = [each.laddr for each in psutil.Process(server.pid).net_connections() if each.status == "LISTEN"]
        assert (server.target.host, server.target.port) in listening
        assert server.start_seconds > 0
        raise ZeroDivisionError
    assert gone(server.pid)
    assert temporary_directories(peer.name) <= before


@pytest.mark.parametrize("peer", OWN, ids=lambda each: each.name)
def test_our_own_answers_over_every_scheme_and_over_that_alone(peer: Peer) -> None:
    with peer.running() as server:
        listening = [each for each in psutil.Process(server.pid).net_connections() if each.status == "LISTEN"]
        assert len(listening) == (peer is not UNIX)
        assert peer.name == f"fastbroker-{server.target.scheme}"
    assert gone(server.pid)


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="processes are not held to cores there")
def test_a_peer_is_held_to_its_core() -> None:
    usable = sorted(os.sched_getaffinity(0))
    with RELAY.running(core=0) as server:
        assert os.sched_getaffinity(server.pid) == ({usable[0]} if len(usable) > 1 else set(usable))


def test_a_server_that_ends_says_why() -> None:
    script = "echo all is well; echo 'java.lang.Error: no memory'; echo '\tat java.base/Thread.run'; exit 3"
    with pytest.raises(
        PeerFailed, match=r"shell ended with status 3; it said:\nall is well\njava.lang.Error: no memory$"
    ):
        Shell(script).running().__enter__()


def test_a_program_that_is_not_there_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shell, "launch", lambda *_: Launch(["/no/such/program"]))
    with pytest.raises(PeerFailed, match="cannot start /no/such/program: No such file"):
        Shell("").running().__enter__()


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "START_TIMEOUT", 0.2)
    with pytest.raises(PeerFailed, match=r"did not answer within 0.2 s; it said:\nstill loading"):
        Shell("echo still loading; exec sleep 1000").running().__enter__()


@pytest.mark.parametrize("start", ["sleep 1000", "setsid sleep 1000"], ids=["in its group", "in a group of its own"])
def test_nothing_that_a_server_started_survives_it(start: str) -> None:
    if not shutil.which(start.split()[0]):
        pytest.skip("no setsid")
    with Shell(f"{start} & {{serve}}").running() as server:
        family = psutil.Process(server.pid).children(recursive=True)
        assert "sleep" in {each.name() for each in family}
    assert all(wait_until_gone(each.pid) for each in family)


RUNNER = """
import sys
from bench.peers import RELAY
with RELAY.running() as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


@needs_compiler
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_run_ends_the_server_too(number: signal.Signals) -> None:
    command = [sys.executable, "-c", RUNNER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout
        pid = int(run.stdout.readline())
        run.send_signal(number)
        assert run.wait(30) != 0
    assert wait_until_gone(pid)


def test_nobody_answers_on_a_free_port() -> None:
    assert not peer.answers(Target(host="127.0.0.1", port=free_port()))


@pytest.fixture(scope="module")
def broker() -> Iterator[Server]:
    with BROKER.running() as server:
        yield server


@pytest.mark.parametrize("trial", [trial for trial, _ in TRIALS], ids=lambda trial: trial.__name__)
def test_the_broker_can_do_what_the_scenarios_ask(broker: Server, trial: Callable[[Trial], None]) -> None:
    with ExitStack() as stack:
        trial(Trial(broker.target, stack))


def test_an_error_says_what_the_server_said(broker: Server) -> None:
    with Client(broker.target) as client, pytest.raises(Refused, match="ERROR: "):
        client.ask("ACK", {"id": "no such"})


def test_nothing_comes_to_those_who_did_not_ask(broker: Server) -> None:
    with Client(broker.target) as one, Client(broker.target) as two:
        one.subscribe("/topic/one")
        two.ask("SEND", {"destination": "/topic/two"}, b"x")
        assert one.nothing_comes(0.1)


def test_an_earlier_tree_is_measured_when_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "FASTBROKER_BEFORE names no tree" in own.Broker(before=True).missing()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setenv("FASTBROKER_BEFORE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", "a build of this tree")
    before = own.Broker("ws", before=True)
    assert (before.name, before.missing()) == ("before-ws", "")
    launch = before.launch(tmp_path, 1234)
    assert launch.command[0] == str(python)
    assert launch.environment["PYTHONPATH"] == str(tmp_path)
    assert "history" in before.lacks
    assert (tmp_path / "broker.toml").read_text() == ""
    assert "persistence" in before.lacks
    assert not own.Broker().lacks
    assert "a build of this tree" in own.Broker().launch(tmp_path, 1234).environment["PYTHONPATH"]


# ---- what survives ----


def test_a_server_is_killed_and_started_where_it_was() -> None:
    with BROKER.running() as server:
        again = server.restart()
        assert again.pid != server.pid
        assert not psutil.pid_exists(server.pid)
        assert logged_in(server.target, 5.0).greeting()[1].startswith("fastbroker/")
        assert 0 < time.monotonic() - again.at < 60
    assert not psutil.pid_exists(again.pid)


def test_what_survives_lies_on_a_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(disk.PLACE, str(tmp_path / "there"))
    assert disk.on_disk() == disk.directory() == tmp_path / "there"
    monkeypatch.setattr(disk, "file_system", lambda place: disk.FileSystem("tmpfs", "none"))
    with pytest.raises(disk.NoDisk, match=r"there is in memory \(tmpfs\): set FASTBROKER_BENCH_DISK"):
        disk.on_disk()


def test_a_file_system_is_that_of_the_innermost_mount(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounted = [
        SimpleNamespace(mountpoint=str(at), fstype=kind, device=f"/dev/{kind}")
        for at, kind in ((tmp_path, "ext4"), (tmp_path / "a", "xfs"), (tmp_path / "ab", "zfs"), ("/", "overlay"))
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounted)
    assert disk.file_system(tmp_path / "a" / "b") == ("xfs", "/dev/xfs")
    assert disk.file_system(Path("/")).kind == "overlay"


@pytest.mark.skipif(bool(DISK.missing()), reason="there is no C compiler")
def test_the_disk_appends_and_syncs(tmp_path: Path) -> None:
    appended = disk.append(tmp_path, 100, 10, 0, 0.1)
    assert appended.messages == sum(count for _, count in appended.buckets) > 0
    assert appended.messages % 10 == 0
    assert appended.seconds >= 0.1
    assert not list(tmp_path.iterdir())
    # Whatever is due goes together, however slow the disk is.
    paced = disk.append(tmp_path, 100, 1, 500, 0.5)
    assert 100 <= paced.messages <= 260
    assert disk.typical_sync_ns(tmp_path) > 0


@pytest.mark.skipif(bool(DISK.missing()), reason="there is no C compiler")
def test_the_limit_of_the_disk_is_of_the_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(disk.PLACE, str(tmp_path))
    four = EVERY_SCENARIO["durable-4-4-receipts-10"]
    assert disk_limit.in_flight(four.load) == 40
    frame = disk_limit.frame_bytes(four.load)
    assert disk_limit.frame_bytes(four.load) == frame > four.load.size
    result = disk_limit.measure(four, 0.1)
    assert (result.server.name, result.frame_bytes, result.failures) == ("disk", frame, [])
    assert result.receipts_per_s
    assert result.receipt
    drained = disk_limit.measure(EVERY_SCENARIO["durable-drain-100k"], 0.1)
    assert drained.sends_per_s
    assert drained.receipts_per_s is None
