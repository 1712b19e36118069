"""The broker as a process: how it starts, what it refuses, how it ends."""

import asyncio
import contextlib
import errno
import io
import itertools
import json
import os
import pty
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness.broker import Broker
from harness.waiting import DEADLINE, eventually

from fastbroker.core.log import Log
from fastbroker.core.logline import text_line
from fastbroker.server import connection_limit, watch_descriptors
from fastbroker.service import log_exception

ROOT = Path(__file__).parents[2]
LISTENING = re.compile(r"listening on (tcp://(.+):([0-9]+))\n")


class Served:
    """A `fastbroker serve` process that has said where it listens."""

    def __init__(self, *arguments, listeners=1, **options):
        self.process = start(*arguments, **options)
        self.lines = [self.process.stdout.readline() for _ in range(listeners)]
        found = [LISTENING.fullmatch(line) for line in self.lines]
        assert all(found), (self.lines, self.process.stderr.read())
        self.addresses = [match[1] for match in found]
        self.sockets = [(match[2].strip("[]"), int(match[3])) for match in found]

    def end(self, number=signal.SIGTERM):
        """Send a signal and return the exit status, the rest of stdout, and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=3 * DEADLINE)
        return self.process.returncode, out, err


def start(*arguments, environ=None, **options):
    """It keeps nothing, unless it is told where."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("FASTBROKER__")}
    environ = own | {"FASTBROKER__DATA_DIR": "none"} | (environ or {})
    command = [sys.executable, "-m", "fastbroker", "serve", *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=environ, text=True, **streams, **options)


def refused(*arguments, **options):
    """Start a broker that must not start; return its one line of complaint."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=3 * DEADLINE)
    assert process.returncode == 2, err
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err.strip()


@pytest.fixture
def serve():
    """Start brokers that do not outlive the test."""
    running = []

    def start_one(*arguments, **options):
        running.append(Served(*arguments, **options))
        return running[-1]

    yield start_one
    for served in running:
        served.process.kill()
        served.process.communicate()


FREE = ("--listen", "tcp://127.0.0.1:0")


# ---- start ----


def test_it_can_be_reached_as_soon_as_it_says_so(serve):
    served = serve(*FREE)
    with socket.create_connection(served.sockets[0], timeout=DEADLINE) as client:
        client.sendall(b"CONNECT\naccept-version:1.2\nhost:x\n\n\0")
        assert client.recv(4096).startswith(b"CONNECTED\n")


def test_every_address_is_printed_and_nothing_else(serve):
    served = serve(*FREE, "--listen", "tcp://127.0.0.2:0", listeners=2)
    assert [host for host, _ in served.sockets] == ["127.0.0.1", "127.0.0.2"]
    for address in served.sockets:
        socket.create_connection(address, timeout=DEADLINE).close()
    status, out, err = served.end()
    assert (status, out) == (0, "")
    assert "started" in err


def test_ipv6(serve):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    served = serve("--listen", "tcp://[::1]:0")
    assert served.lines[0].startswith("listening on tcp://[::1]:")
    socket.create_connection(served.sockets[0], timeout=DEADLINE).close()


def test_file_environment_and_flags_reach_the_broker(serve, tmp_path):
    file = tmp_path / "fastbroker.toml"
    file.write_text(
        'listen = ["tcp://127.0.0.9:0"]\n[log]\nformat = "json"\n[heart_beat]\nsend = 7000\nreceive = 7000\n'
    )
    environ = {"FASTBROKER__LISTEN": "tcp://127.0.0.8:0", "FASTBROKER__HEART_BEAT__RECEIVE": "9s"}
    served = serve("-c", file, *FREE, environ=environ)
    assert served.sockets[0][0] == "127.0.0.1"
    with socket.create_connection(served.sockets[0], timeout=DEADLINE) as client:
        client.sendall(b"CONNECT\naccept-version:1.2\nhost:x\nheart-beat:1,1\n\n\0")
        assert b"\nheart-beat:7000,9000\n" in client.recv(4096)
    _, _, err = served.end()
    assert {json.loads(line)["level"] for line in err.splitlines()} == {"info"}


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]"])
def test_without_accounts_other_machines_are_kept_out(address):
    """S12"""
    complaint = refused("--listen", f"tcp://{address}:0")
    assert f"refusing to listen on tcp://{address}:0" in complaint
    assert "auth.allow_anonymous = true" in complaint


def test_the_operator_may_open_the_broker(serve):
    serve("--listen", "tcp://0.0.0.0:0", environ={"FASTBROKER__AUTH__ALLOW_ANONYMOUS": "true"})


def test_an_address_in_use(serve):
    address = serve(*FREE).addresses[0]
    assert f"cannot listen on {address}: the address is in use" in refused("--listen", address)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--listen", "tcp://no-such-host.invalid:1"], "the host cannot be resolved"),
        (["-c", "/nonexistent/fastbroker.toml"], "cannot be read"),
        ([*FREE, "--data-dir", "/dev/null"], "cannot use the data directory /dev/null: File exists; it must be one"),
    ],
)
def test_what_else_keeps_it_from_starting(arguments, complaint):
    process = start(*arguments)
    out, err = process.communicate(timeout=3 * DEADLINE)
    assert (process.returncode, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err


def test_wrong_flags_and_variables_are_named():
    process = start("--log-level", "loud", "--listen", "x", environ={"FASTBROKER__LIMITS__MEMRY": "1"})
    _, err = process.communicate(timeout=3 * DEADLINE)
    assert process.returncode == 2
    assert "FASTBROKER__LIMITS__MEMRY: unknown key; the nearest is FASTBROKER__LIMITS__MEMORY" in err
    assert '--log-level: log.level: expected "debug"' in err


# ---- the process ----


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="limits are read from /proc")
def test_it_may_open_as_many_files_as_the_system_lets_it(serve):
    served = serve(*FREE, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 1000)))
    limits = Path(f"/proc/{served.process.pid}/limits").read_text()
    assert re.search(r"Max open files +1000 +1000 ", limits)


def test_when_files_run_out_those_who_are_in_notice_nothing(serve):
    """R10: the broker refuses before the system does."""
    served = serve(*FREE, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
    connect = b"CONNECT\naccept-version:1.2\nhost:x\n\n\0"
    with contextlib.ExitStack() as open_sockets:
        clients = []
        for _ in range(150):
            client = open_sockets.enter_context(socket.create_connection(served.sockets[0], timeout=DEADLINE))
            with contextlib.suppress(ConnectionError):
                client.sendall(connect)
                if client.recv(4096).startswith(b"CONNECTED\n"):
                    clients.append(client)
        assert len(clients) == 100 - 64
        for client in clients:
            client.sendall(b"SEND\ndestination:/topic/a\nreceipt:1\n\n\0")
            assert client.recv(4096) == b"RECEIPT\nreceipt-id:1\n\n\0\n"
    _, _, err = served.end()
    assert "unhandled exception" not in err


@pytest.mark.parametrize(
    ("configured", "descriptors", "taken"),
    [(0, 1000, 936), (10, 1000, 10), (5000, 1000, 936), (0, 10, 1), (0, 2**40, 100_000_000)],
)
def test_connections_leave_descriptors_for_the_broker_itself(configured, descriptors, taken):
    assert connection_limit(configured, descriptors) == taken


def test_what_nobody_caught_is_one_line_of_the_log():
    stream = io.StringIO()
    try:
        raise RuntimeError("a\nb")
    except RuntimeError as error:
        log = Log("info", text_line, lambda line: stream.write(line.decode()), lambda *_: None)
        log_exception(log, {"message": "in a callback", "exception": error})
    assert stream.getvalue().count("\n") == 1
    assert re.search(r"RuntimeError.*where='test_server.py:[0-9]+ test_what_nobody", stream.getvalue())


def test_a_census_on_request(tmp_path):
    broker = Broker(tmp_path)
    census = broker.census()
    assert census["connections"] == 0
    broker.stop()


def test_a_reader_of_the_log_that_stands_still_stops_nobody(serve):
    """Its pipe is full; the broker answers nevertheless, and says later how much of the log is missing."""
    served = serve(*FREE, "--log-format", "json")
    hello = b"CONNECT\naccept-version:1.2\nhost:x\nlogin:%s\n\n\0" % (b"x" * 250)
    with socket.create_connection(served.sockets[0], timeout=DEADLINE) as witness:
        witness.sendall(hello)
        assert witness.recv(4096).startswith(b"CONNECTED\n")
        for number in range(6000):  # as many lines, of 400 bytes: the pipe's 64 KiB, and what may wait
            with socket.create_connection(served.sockets[0], timeout=DEADLINE) as client:
                client.sendall(hello)
                client.recv(4096)
            if number % 100 == 0:
                witness.sendall(b"SEND\ndestination:/topic/a\nreceipt:%d\n\n\0" % number)
                assert witness.recv(4096) == b"RECEIPT\nreceipt-id:%d\n\n\0\n" % number
    status, _, err = served.end()
    lines = [json.loads(line) for line in err.splitlines()]
    told = [line["lines"] for line in lines if line["event"] == "log lines lost"]
    assert status == 0
    assert sum(told) > 0
    assert sum(told) + len(lines) - len(told) == 6001 + 3, "started, draining, stopped"


def test_a_reader_of_the_log_that_stands_still_does_not_keep_it_from_ending(serve):
    served = serve(*FREE, "--log-level", "debug")
    hello = b"CONNECT\naccept-version:1.2\nhost:x\nlogin:%s\n\n\0" % (b"x" * 250)
    for _ in range(500):  # 200 KB for a pipe of 64 KiB
        with socket.create_connection(served.sockets[0], timeout=DEADLINE) as client:
            client.sendall(hello)
            client.recv(4096)
    served.process.terminate()
    assert served.process.wait(3 * DEADLINE) == 0


def test_a_reader_of_the_log_that_goes_away_does_not_harm_it(serve):
    served = serve(*FREE)
    served.process.stderr.close()
    for _ in range(3):
        socket.create_connection(served.sockets[0], timeout=DEADLINE).close()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(3 * DEADLINE) == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(tmp_path, closed):
    """Or the first sockets would take their places."""
    command = f'exec "$0" "$@" {closed}'
    arguments = [sys.executable, "-m", "fastbroker", "serve", *FREE, "--data-dir", str(tmp_path)]
    process = subprocess.Popen(["sh", "-c", command, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    listening = tmp_path / "listening"
    eventually(listening.exists, "it listens", timeout=3 * DEADLINE)
    *_, host, port = re.split("[:/]+", listening.read_text().strip())
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as client:
        client.sendall(b"CONNECT\naccept-version:1.2\nhost:x\n\n\0")
        assert client.recv(4096).startswith(b"CONNECTED\n")
    process.terminate()
    assert process.wait(3 * DEADLINE) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_where_it_listens_must_be_told():
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "fastbroker", "serve", *FREE, "--data-dir", "none"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
        _, err = process.communicate(timeout=3 * DEADLINE)
    assert process.returncode == 2
    assert err == "Error: cannot write to the standard output: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_standard_error_output_changes_no_status():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "fastbroker", "serve", "--listen", "nonsense"]
        assert subprocess.run(command, cwd=ROOT, stderr=full, check=False, timeout=3 * DEADLINE).returncode == 2
        served = [sys.executable, "-m", "fastbroker", "serve", *FREE, "--data-dir", "none"]
        process = subprocess.Popen(served, cwd=ROOT, stdout=subprocess.PIPE, stderr=full)
        assert process.stdout.readline().startswith(b"listening on ")
        process.terminate()
        process.communicate(timeout=3 * DEADLINE)
        assert process.returncode == 0


# ---- the data directory ----


def test_the_data_directory(serve, tmp_path):
    path = tmp_path / "data"
    served = serve(*FREE, "--listen", "tcp://127.0.0.2:0", "--data-dir", path, listeners=2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert (path / "listening").read_text().splitlines() == served.addresses
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}
    complaint = refused(*FREE, "--data-dir", path)
    assert f"{path} is in use by another broker (process {served.process.pid})" in complaint
    assert (path / "listening").exists()
    assert served.end()[0] == 0
    assert not (path / "listening").exists()
    serve(*FREE, "--data-dir", path)


def test_the_data_directory_of_who_says_nothing(serve, tmp_path):
    default = {"FASTBROKER__DATA_DIR": "", "XDG_DATA_HOME": str(tmp_path)}
    served = serve(*FREE, environ=default)
    path = tmp_path / "fastbroker"
    assert (path / "listening").read_text().splitlines() == served.addresses
    complaint = refused(*FREE, environ=default)
    assert f"{path} is in use by another broker (process {served.process.pid}): stop that one; or, " in complaint
    assert "with --data-dir DIR (key data_dir), or --data-dir none to keep all in memory, and --listen" in complaint
    assert f"data_dir={path}" in served.end()[2]
    served = serve(*FREE, environ=default | {"STATE_DIRECTORY": f"{tmp_path}/state:/nowhere"})
    assert (tmp_path / "state" / "listening").exists()
    assert served.end()[0] == 0


def test_a_default_data_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    complaint = refused(*FREE, environ={"FASTBROKER__DATA_DIR": "", "XDG_DATA_HOME": f"{tmp_path}/file"})
    assert f"cannot use the data directory {tmp_path}/file/fastbroker: Not a directory; " in complaint
    assert (
        "name another directory with --data-dir DIR (key data_dir), or --data-dir none to keep all in memory"
        in complaint
    )


def test_a_broker_without_one_writes_nothing(serve, tmp_path):
    served = serve(*FREE, "--data-dir", "none", environ={"XDG_DATA_HOME": str(tmp_path)})
    assert "data_dir=none" in served.end()[2]
    assert not list(tmp_path.iterdir())
    assert not Path(ROOT, "none").exists()


def test_a_killed_broker_does_not_block_its_data_directory(serve, tmp_path):
    served = serve(*FREE, "--data-dir", tmp_path)
    served.process.kill()
    served.process.wait()
    again = serve(*FREE, "--data-dir", tmp_path)
    assert (tmp_path / "listening").read_text().splitlines() == again.addresses


# ---- end ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(serve, number):
    status, out, err = serve(*FREE).end(number)
    assert (status, out) == (0, "")
    assert [line.split("] ")[1].split()[0] for line in err.splitlines()] == ["started", "draining", "stopped"]


@contextlib.contextmanager
def owed_much(broker):
    """A client that is owed more than the kernel holds for it, and reads nothing, keeps the drain waiting."""
    address = ("127.0.0.1", broker.ports["tcp"])
    with socket.create_connection(address) as subscriber, socket.create_connection(address) as sender:
        subscriber.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        subscriber.sendall(b"CONNECT\n\n\0SUBSCRIBE\nid:1\nreceipt:1\ndestination:/queue/a\n\n\0")
        eventually(lambda: b"RECEIPT" in subscriber.recv(4096, socket.MSG_PEEK), "it is subscribed")
        body = b"x" * 4_000_000
        for _ in range(4):
            sender.sendall(b"SEND\ndestination:/queue/a\n\n" + body + b"\0" if _ else b"CONNECT\n\n\0")
        sender.sendall(b"SEND\nreceipt:1\ndestination:/queue/a\n\n\0")
        eventually(lambda: b"RECEIPT" in sender.recv(4096, socket.MSG_PEEK), "all is sent")
        sender.close()
        yield


def test_the_status_tells_that_a_second_signal_cut_it_short(tmp_path):
    broker = Broker(tmp_path, {"drain_timeout": 60})
    with owed_much(broker):
        broker.process.terminate()
        broker.wait_log(lambda record: record["event"] == "draining")
        broker.process.terminate()
        assert broker.process.wait(DEADLINE) == 1


def signals_until_it_ends(process, numbers):
    """As many as the system takes; what they end has one of two statuses, whenever they come."""
    sent = 0
    for number in itertools.cycle(numbers):
        if process.poll() is not None:
            return sent
        process.send_signal(number)
        sent += 1
        time.sleep(0.0005)
    return sent


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGTERM, signal.SIGINT)])
def test_signals_in_quick_succession_change_no_status(serve, numbers):
    """From the first line on, so before it serves, while it drains, and when the loop has taken its handlers back."""
    for _ in range(3):
        process = serve(*FREE).process
        assert signals_until_it_ends(process, numbers) > 2
        _, err = process.communicate(timeout=3 * DEADLINE)
        assert process.returncode == 0, "nobody was cut off"
        assert "Traceback" not in err and "stopped" in err


@pytest.mark.parametrize("between", [0, 0.001, 0.02])
def test_two_signals_cut_off_whoever_is_not_done(tmp_path, between):
    broker = Broker(tmp_path, {"drain_timeout": 60})
    with owed_much(broker):
        broker.process.terminate()
        time.sleep(between)
        broker.process.send_signal(signal.SIGINT)
        broker.process.terminate()
        assert broker.process.wait(DEADLINE) == 1
    assert broker.wait_log(lambda record: record["event"] == "stopped")["aborted_connections"] == 1


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGUSR1])
def test_signals_that_do_not_end_it_do_not_do_so_while_it_starts(serve, number):
    served = serve(*FREE)
    for _ in range(20):
        served.process.send_signal(number)
    status, _, err = served.end()
    assert status == 0 and "stopped" in err


def test_it_is_said_when_the_system_gives_no_more_files(monkeypatch):
    """uvloop closes new connections then, and tells nobody."""
    said = []

    def refuse(_):
        raise OSError(errno.EMFILE, "Too many open files")

    async def watch():
        task = asyncio.ensure_future(watch_descriptors(lambda level, event, **fields: said.append(fields), 0.01))
        await asyncio.sleep(0.05)
        assert not said
        monkeypatch.setattr(os, "dup", refuse)
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(watch())
    assert said[0] == {"reason": "out of file descriptors: Too many open files"}


def test_a_terminal_that_is_closed_ends_it(tmp_path):
    """SIGHUP without a terminal reads the certificates again (test_tls.py); from a terminal it is the end."""
    config = tmp_path / "fastbroker.toml"
    config.write_text(f'data_dir = "{tmp_path}/data"')
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-m", "fastbroker", "serve", "-c", str(config), *FREE])
    listening = tmp_path / "data" / "listening"
    eventually(listening.exists, "it listens", timeout=3 * DEADLINE)
    os.close(terminal)
    status = eventually(lambda: os.waitpid(process, os.WNOHANG)[0] and "ended", "it ends", timeout=3 * DEADLINE)
    assert status == "ended"
    assert not listening.exists()
