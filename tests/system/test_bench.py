"""`fastbroker bench`, the real thing: against a broker, against servers that go wrong, interrupted, starved."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import psutil
import pytest
from click.testing import CliRunner
from harness.broker import Broker
from harness.certificates import authority
from harness.waiting import DEADLINE, eventually

from fastbroker.bench import every
from fastbroker.bench.messaging import MESSAGING
from fastbroker.bench.metrics import METRICS
from fastbroker.bench.result import Report, Result, read
from fastbroker.bench.scenarios import FLOOD, SCENARIOS, USUAL
from fastbroker.bench.series import sustained
from fastbroker.cli import main

# What must survive has a set of its own (tests/unit/test_bench_tools.py).
HERE = {**SCENARIOS, **MESSAGING}

ROOT = Path(__file__).parents[2]
SHORT = ("--duration", "0.1", "--warm-up", "0.02")
# What would take its time is scaled down.
SCALED = {
    "topics-100k": ("--destinations", "1000"),
    "connect-storm": ("--connections", "100"),
    "idle": ("--connections", "100"),
    "churn": ("--connections", "4"),
    "replay-100k": ("--messages", "1000"),
    "scheduled-100k": ("--messages", "1000", "--delay", "0.5"),
    "scheduled-1m": ("--messages", "1000", "--delay", "0.5"),
}
LIMIT = 30 * DEADLINE


def start(*arguments: str, **options) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fastbroker", "bench", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Its exit status, what it printed, and what it said besides."""
    out, err = process.communicate(timeout=LIMIT)
    assert not [word for word in (b"Traceback", b"child process", b"Warning") if word in err], err.decode()
    return process.returncode, out.decode(), err.decode()


def bench(*arguments: str, **options) -> tuple[int, str, str]:
    return finish(start(*arguments, **options))


def url(port: int) -> tuple[str, str]:
    return ("--url", f"tcp://127.0.0.1:{port}")


# ---- every scenario ----


# How many processes share the scenarios. Those with a share of the flood's rate go alone, before: beside others they
# would be asked for more than there is.
SIDE_BY_SIDE = 3
SHARED = [name for name, scenario in SCENARIOS.items() if scenario.share]


@pytest.fixture(scope="module")
def measured(broker_with: Callable[..., Broker], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """A result of every scenario."""
    broker = broker_with(topics=[{"pattern": "history.#", "history.count": 1000}])
    folder = tmp_path_factory.mktemp("bench")
    common = (*url(broker.ports["tcp"]), *SHORT, "--server-pid", str(broker.process.pid))
    plain = [name for name in HERE if name not in (FLOOD, *SHARED, *SCALED)]
    shares = [plain[at::SIDE_BY_SIDE] for at in range(SIDE_BY_SIDE)]
    scaled = [[name, *options] for name, options in SCALED.items()]
    results = measured_by(folder, common, [[FLOOD, *SHARED]]) + measured_by(folder, common, [*shares, *scaled])
    # A window in which a busy machine has given somebody no time is opened once more, alone and for longer.
    for result in [result for result in results if lacking(result)]:
        again = [result.scenario, *SCALED.get(result.scenario, ())]
        results += measured_by(folder, (*common, "--duration", "3"), [again])
    return {result.scenario: result for result in results}


def lacking(result: Result) -> list[str]:
    """What a scenario is about and was not measured."""
    return [metric for metric in HERE[result.scenario].measures if METRICS[metric].value(result) is None]


def measured_by(folder: Path, common: Sequence[str], runs: list[list[str]]) -> list[Result]:
    """The results of several processes that run side by side."""
    files = [folder / f"{arguments[0]}.json" for arguments in runs]
    running = [start(*common, *one, "--json", str(file)) for one, file in zip(runs, files, strict=True)]
    return [
        result for process, file in zip(running, files, strict=True) if finish(process) for result in read(file).results
    ]


def test_every_scenario_was_run(measured: dict[str, Result]) -> None:
    assert set(measured) == set(HERE)


@pytest.mark.parametrize("name", HERE)
def test_a_scenario_measures_what_it_is_about(measured: dict[str, Result], name: str) -> None:
    result = measured[name]
    assert result.failures == []
    assert not lacking(result)
    totals = result.totals
    assert (totals.lost, totals.duplicated, totals.disordered, totals.corrupt) == (0, 0, 0, 0)
    assert totals.received == totals.due


def test_the_latency_scenarios_send_their_share_of_the_flood(measured: dict[str, Result]) -> None:
    flood = sustained(measured[FLOOD])
    for percent in (10, 50, 80):
        assert measured[f"latency-{percent}"].load.rate == pytest.approx(flood * percent / 100)


def test_a_storm_is_noticed_by_who_is_there_already(measured: dict[str, Result]) -> None:
    storm = measured["connect-storm"]
    (ping,) = storm.beside
    assert ping.latency
    assert (storm.hung_up, storm.reconnects) == (0, 0)
    assert ping.seconds
    assert storm.seconds
    # From before the storm until the last one has left.
    assert ping.seconds > storm.seconds


def test_a_load_beside_another_one_has_its_own_result(measured: dict[str, Result]) -> None:
    (firehose,) = measured["firehose-ping"].beside
    assert firehose.deliveries_per_s
    assert firehose.failures == []


# ---- every address ----


EVERY = (FLOOD, "queue-client-individual", "ping", "connect-rate")
SCHEMES = ("ws", "tls", "unix")


@pytest.fixture(scope="module")
def over(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[Result]]]:
    """By scheme: the exit status, what was said, and the results."""
    folder = tmp_path_factory.mktemp("schemes")
    running = {}
    for scheme in SCHEMES:
        where = str(broker.path) if scheme == "unix" else f"127.0.0.1:{broker.ports[scheme]}"
        trust = ("--ca", authority()) if scheme == "tls" else ()
        file = str(folder / f"{scheme}.json")
        running[scheme] = start("--url", f"{scheme}://{where}", *trust, *EVERY, *SHORT, "--json", file)
    ended = {scheme: finish(process) for scheme, process in running.items()}
    return {
        scheme: (status, err, read(folder / f"{scheme}.json").results) for scheme, (status, _, err) in ended.items()
    }


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme(over: dict[str, tuple[int, str, list[Result]]], scheme: str) -> None:
    status, err, results = over[scheme]
    assert status in (0, 3), err
    assert [result.scenario for result in results] == list(EVERY)
    assert {result.server.scheme for result in results} == {scheme}
    assert all(result.server.name.startswith("fastbroker/") and result.totals.received for result in results)


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("tls://127.0.0.1:{tls}", (), "its certificate is not trusted"),
        ("tls://127.0.0.1:{tcp}", ("--ca", authority()), "TLS failed"),
        ("tls://127.0.0.1:{tls}", ("--ca", __file__), "holds no certificate"),
        ("ws://127.0.0.1:{ws}/nowhere", (), "404"),
        ("unix:///no/such/socket", (), "unix:///no/such/socket: no connection to /no/such/socket: No such file"),
    ],
)
def test_an_address_that_lets_nobody_in(broker: Broker, url: str, options: tuple[str, ...], words: str) -> None:
    status, _, err = bench("--url", url.format(**broker.ports), *options, FLOOD)
    assert status == 2
    assert words in err


# ---- what is printed and written ----


def test_the_usual_scenarios_on_a_server_of_their_own(tmp_path: Path) -> None:
    json_file, page = tmp_path / "report.json", tmp_path / "report.html"
    status, out, err = bench("--serve", *SHORT, "--json", str(json_file), "--plot", str(page))
    assert status in (0, 3), err
    report: Report = read(json_file)
    assert [result.scenario for result in report.results] == list(USUAL)
    assert report.method.own_server
    assert report.machine.versions["fastbroker"] in report.results[0].server.name
    assert all(result.server_memory_peak and result.server_cpu is not None for result in report.results)
    assert len({result.server.pid for result in report.results}) == len(USUAL)
    assert not any(psutil.pid_exists(result.server.pid or 0) for result in report.results)
    for name in USUAL:
        assert name in out
        assert f"{name}: {SCENARIOS[name].title}\n" in err
    assert page.read_text().count("<svg") == 1


def test_what_a_topic_keeps_is_told_to_a_server_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    assert bench("--serve", *SHORT, "replay-100k", "--messages", "500", "--json", str(file))[0] == 0
    (result,) = read(file).results
    assert result.totals.due == result.totals.received >= 500


def test_a_load_of_ones_own(broker: Broker, tmp_path: Path) -> None:
    file, plot = tmp_path / "own.json", tmp_path / "own.png"
    options = "--queue --publishers 2 --subscribers 3 --destinations 2 --ack client --credit 50 --window 500 --size 200"
    more = "--verify --persistent --no-content-length --receipts 10 --backlog 100 --quiet"
    files = ("--json", str(file), "--plot", str(plot))
    status, out, err = bench(
        *url(broker.ports["tcp"]), *options.split(), *more.split(), *SHORT, *files, "--repeat", "2"
    )
    assert (status, err) == (0, ""), out
    result, other = read(file).results
    assert result.scenario == other.scenario == "custom"
    assert result.load.name != other.load.name
    assert (result.load.publishers, result.load.credit, result.load.content_length) == (2, 50, False)
    assert result.totals.received == result.totals.due > 100
    assert plot.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_patterns_rates_and_transactions(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    options = ["--rate", "2000", "--destinations", "10", "--pattern", "{name}.*", "--transaction", "5"]
    status, out, err = bench(*url(broker.ports["tcp"]), *options, *SHORT, "--json", str(file))
    assert status in (0, 3), out + err
    (result,) = read(file).results
    assert result.sends_per_s == pytest.approx(2000, rel=0.2)
    assert result.latency


def test_nothing_to_draw_is_said(broker: Broker, tmp_path: Path) -> None:
    plot = tmp_path / "idle.png"
    status, _, err = bench(*url(broker.ports["tcp"]), "idle", "--connections", "3", *SHORT, "--plot", str(plot))
    assert status == 0
    assert "was not written: there is no rate and no latency to draw" in err
    assert not plot.exists()


def test_list() -> None:
    status, out, _ = bench("--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == list(every.EVERY)


def test_the_manual_knows_every_scenario_option_and_field() -> None:
    manual = (ROOT / "docs" / "benchmarking.md").read_text()
    options = {name for option in main.get_command(None, "bench").params for name in option.opts if name[:2] == "--"}
    words = [*every.EVERY, *options - {"--help", "--list", "--quiet"}, *Result.__struct_fields__]
    assert not [word for word in words if word not in manual]


def test_help() -> None:
    result = CliRunner().invoke(main, ["bench", "--help"])
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 100


def test_serving_does_not_pay_for_the_benchmark() -> None:
    code = "import sys, fastbroker.cli, fastbroker.service; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"fastbroker.bench", "psutil", "hdrh", "matplotlib"} & set(loaded.split())


# ---- what cannot be measured ----


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        status, out, err = bench(*url(bound.getsockname()[1]))
    assert (status, out) == (2, "")
    assert "is the server running? `fastbroker serve` starts one on this machine" in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["flood-1"], "there is no scenario 'flood-1'; the nearest is flood-1-1"),
        (["ping", "--publishers", "2"], "--publishers changes nothing for ping"),
        (["--queue", "--pattern", "x.*"], "patterns"),
        (["--size", "15"], "size"),
        (["--receipts", "all"], "neither a number nor 'unbounded'"),
        (["--core", "-1"], "'-1' is not one of none"),
        (["--plot", "x.jpg"], "ends neither with .png nor with .html"),
        (["--plot", "no/where/x.png"], "there is no directory no/where"),
        (["--json", "no/where/x.json"], "there is no directory no/where"),
        (["--server-pid", "99999999"], "no process of this machine has the number 99999999"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(main, ["bench", "--serve", *arguments])
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())


def test_plots_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbroker.bench.options.find_spec", lambda _: None)
    result = CliRunner().invoke(main, ["bench", "--serve", "--plot", "x.png"])
    assert result.exit_code == 2
    assert 'pip install "fastbroker[plot]"' in result.stderr


def test_too_few_open_files() -> None:
    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    status, _, err = bench("--serve", "idle", "--connections", "1000", preexec_fn=bound)
    assert status == 2
    assert "open files" in err
    assert "256" in err


# ---- servers that go wrong ----


class Stub(StreamRequestHandler):
    """As little of a STOMP server as one publisher and one subscriber need; `copies` decides what it gets wrong."""

    subscriber: Stub
    header = b""
    sent = 0
    copies: Callable[[int], int]

    def handle(self) -> None:
        pending = b""
        with suppress(ConnectionError):
            while data := self.request.recv(65536):
                *frames, pending = (pending + data).split(b"\0")
                for frame in frames:
                    self.answer(type(self), frame.lstrip(b"\n"))

    def answer(self, stub: type[Stub], frame: bytes) -> None:
        head, _, body = frame.partition(b"\n\n")
        command, *lines = head.split(b"\n")
        headers = dict(line.split(b":", 1) for line in lines)
        if command == b"CONNECT":
            self.wfile.write(b"CONNECTED\nversion:1.2\nserver:stub/1\n\n\0")
        elif command == b"SUBSCRIBE":
            stub.subscriber, stub.header = self, headers[b"id"]
        elif command == b"SEND":
            stub.sent += 1
            head = b"MESSAGE\nsubscription:%s\nmessage-id:%d\ndestination:%s\ncontent-length:%d\n\n" % (
                (stub.header, stub.sent, headers[b"destination"], len(body))
            )
            stub.subscriber.wfile.write((head + body + b"\0") * self.copies(stub.sent))
        if b"receipt" in headers:
            self.wfile.write(b"RECEIPT\nreceipt-id:%s\n\n\0" % headers[b"receipt"])


@contextmanager
def stub(copies: Callable[[int], int], kind: type[Stub] = Stub) -> Iterator[int]:
    class Server(ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Its clients go as they like."""

    handler = type("One", (kind,), {"copies": staticmethod(copies)})
    with Server(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


SLOWLY = ("--rate", "500", "--duration", "0.2", "--warm-up", "0.05", "--patience", "0.3")


@pytest.mark.parametrize(
    ("copies", "failure"),
    [
        (lambda number: number != 50, "1 of"),
        (lambda number: 1 + (number == 50), "1 messages came more than once"),
        (lambda number: 0, "nothing came through"),
    ],
    ids=["one lost", "one twice", "all lost"],
)
def test_what_a_server_does_wrong_is_a_failure(copies: Callable[[int], int], failure: str, tmp_path: Path) -> None:
    file = tmp_path / "failed.json"
    with stub(copies) as port:
        status, out, err = bench(*url(port), *SLOWLY, "--json", str(file))
    assert status == 1, err
    assert failure in out
    (result,) = read(file).results
    assert result.server.name == "stub/1"
    assert result.failures


def test_a_server_that_does_its_best_is_good_enough() -> None:
    with stub(lambda _: 1) as port:
        status, out, err = bench(*url(port), *SLOWLY)
    assert status in (0, 3), out + err


def test_a_server_that_hangs_up() -> None:
    class HangsUp(Stub):
        def answer(self, stub: type[Stub], frame: bytes) -> None:
            super().answer(stub, frame)
            if stub.sent == 50:
                self.wfile.write(b"ERROR\nmessage:enough of you\n\n\0")
                self.request.shutdown(socket.SHUT_RDWR)

    with stub(lambda _: 1, HangsUp) as port:
        status, out, _ = bench(*url(port), *SLOWLY)
    assert status == 1
    assert "enough of you" in out


def test_a_server_that_goes_mute(tmp_path: Path) -> None:
    class Mute(Stub):
        def answer(self, stub: type[Stub], frame: bytes) -> None:
            if stub.sent < 50:
                super().answer(stub, frame)

    with stub(lambda _: 1, Mute) as port:
        status, out, _ = bench(*url(port), *SLOWLY)
    assert status == 1
    assert "were lost" in out


def test_a_server_that_lets_nobody_in() -> None:
    class Refuses(Stub):
        def answer(self, stub: type[Stub], frame: bytes) -> None:
            self.wfile.write(b"ERROR\nmessage:who are you\n\nwrong passcode\0")

    with stub(lambda _: 1, Refuses) as port:
        status, _, err = bench(*url(port))
    assert status == 2
    assert "the server refused a client: ERROR\nmessage:who are you\n\nwrong passcode" in err


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbroker.bench.serving.ANSWER_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = CliRunner().invoke(main, ["bench", *url(silent.getsockname()[1])])
    assert result.exit_code == 2
    assert "no answer to CONNECT within 0.1 s" in result.stderr


# ---- workers that are disturbed ----


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The workers that run a load."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "fastbroker.bench.worker" in child.cmdline()]


def a_worker_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    return eventually(lambda: workers_of(process), "there is a worker")[0]


def test_a_late_generator_is_not_valid(broker: Broker) -> None:
    process = start(*url(broker.ports["tcp"]), "--rate", "1000", "--duration", "1")
    worker = a_worker_of(process)
    with suppress(psutil.NoSuchProcess):
        while process.poll() is None and worker.is_running():
            worker.suspend()
            time.sleep(0.03)
            worker.resume()
            time.sleep(0.03)
    status, out, _ = finish(process)
    assert status == 3
    assert "not valid" in out
    assert "the generator itself was late" in out


def test_a_worker_that_dies_is_a_failure(broker: Broker) -> None:
    process = start(*url(broker.ports["tcp"]), FLOOD, "--duration", "60")
    a_worker_of(process).kill()
    status, out, _ = finish(process)
    assert status == 1
    assert "the load generator ended with signal 9" in out


def test_a_worker_that_is_stuck_does_not_keep_anybody(broker: Broker) -> None:
    process = start(*url(broker.ports["tcp"]), FLOOD, "--duration", "60")
    worker = a_worker_of(process)
    worker.suspend()
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    assert not worker.is_running()


@pytest.mark.parametrize(("number", "background"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_an_interrupted_run_leaves_nobody_behind(number: signal.Signals, background: bool) -> None:
    """A shell without job control has SIGINT ignored in what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.SIG_DFL)
    process = start("--serve", "firehose-ping", "--duration", "60")
    signal.signal(signal.SIGINT, before)
    eventually(lambda: len(workers_of(process)) == 2, "both workers run")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    assert finish(process)[0] == 130
    assert len(children) == 3
    assert not any(child.is_running() for child in children)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(("option", "file"), [("--json", "/dev/full"), ("--plot", "/proc/none.html")])
def test_a_file_that_cannot_be_written(broker: Broker, option: str, file: str) -> None:
    status, out, err = bench(*url(broker.ports["tcp"]), "ping", *SHORT, "--quiet", option, file)
    assert status == 1
    assert "ping" in out
    assert err.startswith(f"Error: cannot write {file}: ")
    assert err.count("\n") == 1


def test_what_was_measured_before_an_interrupt_is_kept(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "part.json"
    process = start(*url(broker.ports["tcp"]), "ping", *SHORT, "--repeat", "1000", "--json", str(file))
    first = a_worker_of(process)
    eventually(lambda: not first.is_running() and workers_of(process), "the second run is on")
    process.send_signal(signal.SIGINT)
    status, out, _ = finish(process)
    assert status == 130
    assert "ping" in out
    assert len(read(file).results) == 1


def test_workers_do_not_outlive_who_started_them(broker: Broker) -> None:
    process = start(*url(broker.ports["tcp"]), FLOOD, "--duration", "60")
    worker = a_worker_of(process)
    process.kill()
    process.communicate()
    eventually(lambda: not worker.is_running(), "the worker has ended")
