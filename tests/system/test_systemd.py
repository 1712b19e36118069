"""systemd: sockets that it hands over, and what it is told."""

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from harness.broker import ROOT, Broker
from harness.certificates import Authority
from harness.plain import dial, greet
from harness.waiting import DEADLINE, SOON

# What systemd does between fork and exec: the descriptors from 3 on, and whose they are.
HAND_OVER = """
import os, sys
given = [int(number) for number in sys.argv[1].split(",")]
held = [os.dup2(number, 100 + at) for at, number in enumerate(given)]
for at, number in enumerate(held):
    os.dup2(number, 3 + at, inheritable=True)
    os.close(number)
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[2]))
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


@pytest.fixture
def activate(tmp_path):
    """Start a broker with these sockets, as socket activation does."""
    with ExitStack() as stack:

        def start(config, *named, other_process=0, count=None):
            sockets = [each for _, each in named]
            environ = {
                **os.environ,
                "LISTEN_FDS": str(len(named) if count is None else count),
                "LISTEN_FDNAMES": ":".join(name for name, _ in named),
            }

            def run(command, **options):
                numbers = ",".join(str(each.fileno()) for each in sockets)
                line = [sys.executable, "-c", HAND_OVER, numbers, str(other_process), *command[1:]]
                return subprocess.Popen(line, env=environ, pass_fds=[each.fileno() for each in sockets], **options)

            broker = Broker(tmp_path, config, run=run)
            stack.callback(broker.stop)
            return broker

        yield start


@pytest.fixture
def bound():
    with ExitStack() as stack:

        def listen(address=("127.0.0.1", 0), family=socket.AF_INET):
            listener = stack.enter_context(socket.socket(family))
            listener.bind(address)
            listener.listen()
            return listener

        yield listen


def test_sockets_with_names(activate, bound, tmp_path):
    certificate = Authority(tmp_path).certify("server.pem", "localhost")
    tcp, tls, ws = bound(), bound(), bound()
    unix = bound(str(tmp_path / "s.sock"), socket.AF_UNIX)
    config = {"listen": ["tcp://127.0.0.1:1"], "tls": {"certificate": str(certificate)}}
    broker = activate(config, ("tcp", tcp), ("tls", tls), ("ws", ws), ("", unix))
    ports = [each.getsockname()[1] for each in (tcp, tls, ws)]
    assert broker.urls == [
        f"tcp://127.0.0.1:{ports[0]}",
        f"tls://127.0.0.1:{ports[1]}",
        f"ws://127.0.0.1:{ports[2]}/ws",
        f"unix://{tmp_path}/s.sock",
    ]
    with dial(ports[0]) as client:
        greet(client)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s.sock"))
        greet(client)
    assert [record for record in broker.log if record["event"].startswith("listen is not used")]


def test_the_name_of_the_unit_means_tcp(activate, bound):
    listener = bound()
    broker = activate({}, ("fastbroker.socket", listener))
    assert broker.urls == [f"tcp://127.0.0.1:{listener.getsockname()[1]}"]


def test_the_file_of_a_socket_that_was_handed_over_stays(activate, bound, tmp_path):
    broker = activate({}, ("unix", bound(str(tmp_path / "s.sock"), socket.AF_UNIX)))
    broker.stop()
    assert (tmp_path / "s.sock").exists(), "it is systemd's"


def test_sockets_of_another_process_are_not_taken(activate, bound):
    broker = activate({"listen": ["tcp://127.0.0.1:0"]}, ("tcp", bound()), other_process=1)
    with dial(broker.ports["tcp"]) as client:
        greet(client)


def start(tmp_path, *, config="", environ, named):
    (tmp_path / "broker.toml").write_text(config)
    numbers = ",".join(str(each.fileno()) for _, each in named)
    line = [
        sys.executable,
        "-c",
        HAND_OVER,
        numbers,
        "0",
        "-m",
        "fastbroker",
        "serve",
        "-c",
        str(tmp_path / "broker.toml"),
    ]
    names = {"LISTEN_FDS": str(len(named)), "LISTEN_FDNAMES": ":".join(name for name, _ in named)}
    own = {**os.environ, **names, "FASTBROKER__DATA_DIR": "none", **environ}
    return subprocess.run(
        line, cwd=ROOT, env=own, pass_fds=[each.fileno() for _, each in named],
        capture_output=True, text=True, timeout=3 * DEADLINE, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "address", "complaint"),
    [
        ("tcp", ("0.0.0.0", 0), "refusing to listen on tcp://0.0.0.0:"),
        ("tls", ("127.0.0.1", 0), "needs a certificate"),
        ("unix", ("127.0.0.1", 0), "it is not a Unix socket"),
        ("tcp?proxy_protocol", ("127.0.0.1", 0), "needs to know its load balancers"),
    ],
)
def test_the_rules_hold_for_them_too(bound, tmp_path, name, address, complaint):
    """S12"""
    done = start(tmp_path, environ={}, named=[(name, bound(address))])
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("abstract", [False, True])
def test_what_systemd_is_told(tmp_path, abstract):
    if abstract and sys.platform != "linux":
        pytest.skip("only Linux has such names")
    address = f"\0fastbroker-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(2 * DEADLINE)
        environ = {**os.environ, "NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": "200000"}
        broker = Broker(tmp_path, {"listen": ["tcp://127.0.0.1:0"]}, env=environ)

        def told():
            while (text := manager.recv(4096).decode()) == "WATCHDOG=1":
                pass
            return text

        assert told() == "READY=1"
        before = time.monotonic()
        assert [manager.recv(4096) for _ in range(5)] == [b"WATCHDOG=1"] * 5
        assert time.monotonic() - before < SOON
        broker.process.send_signal(1)
        reloading, stamp = told().split("\n")
        assert reloading == "RELOADING=1"
        assert abs(int(stamp.removeprefix("MONOTONIC_USEC=")) / 1e6 - time.monotonic()) < DEADLINE
        assert told() == "READY=1"
        broker.process.terminate()
        assert told() == "STOPPING=1"
        assert broker.process.wait(2 * DEADLINE) == 0


def test_without_systemd_nothing_is_asked_for(tmp_path):
    environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "junk", "LISTEN_FDS": "junk"}
    broker = Broker(tmp_path, {"listen": ["tcp://127.0.0.1:0"]}, env=environ)
    with dial(broker.ports["tcp"]) as client:
        greet(client)
    broker.stop()
