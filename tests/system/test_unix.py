"""Unix sockets: the file, who may use it, and who is on the other end."""

import os
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack, closing

import pytest
from harness.broker import ROOT, Broker, complaint
from harness.plain import greet, is_served
from harness.waiting import DEADLINE, eventually

HAS_CREDENTIALS = hasattr(socket, "SO_PEERCRED")


@pytest.fixture
def serve(tmp_path):
    with ExitStack() as stack:

        def start(path=None, **config):
            broker = Broker(tmp_path, {"listen": [f"unix://{path or tmp_path / 's.sock'}"], **config})
            stack.callback(broker.process.kill)
            return broker

        yield start


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(DEADLINE)
    connection.connect(str(path))
    return closing(connection)


def refused(tmp_path, path, **config):
    said = complaint(tmp_path, {"listen": [f"unix://{path}"], **config})
    assert said.count("\n") == 1
    return said


def test_stomp_over_a_unix_socket(serve, tmp_path):
    broker = serve()
    assert broker.urls == [f"unix://{tmp_path}/s.sock"]
    with connect(tmp_path / "s.sock") as client:
        greet(client)
        is_served(client)
        body = b"x" * 2_000_000
        client.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0SEND\ndestination:/queue/a\n\n" + body + b"\0")
        received = b""
        while not received.endswith(b"\0\n"):
            received += client.recv(1 << 20)
        assert received.partition(b"\n\n")[2] == body + b"\0\n"
    broker.stop()
    assert not (tmp_path / "s.sock").exists()


@pytest.mark.skipif(not HAS_CREDENTIALS, reason="this system does not tell who is there")
def test_the_log_says_which_process_it_was(serve, tmp_path):
    broker = serve()
    with connect(tmp_path / "s.sock") as client:
        greet(client)
    record = broker.wait_log(lambda record: record["event"] == "disconnected")
    assert record["peer"] == f"unix:pid={os.getpid()},uid={os.getuid()},gid={os.getgid()}"


@pytest.mark.parametrize(("mode", "bits"), [("", 0o660), ("0600", 0o600), ("666", 0o666)])
def test_its_permissions(serve, tmp_path, mode, bits):
    serve(unix={"mode": mode} if mode else {})
    assert stat.S_IMODE((tmp_path / "s.sock").stat().st_mode) == bits


def test_its_owner(serve, tmp_path):
    if os.getuid():
        pytest.skip("only root can give a file away")
    serve(unix={"user": "1234", "group": "4321"})
    found = (tmp_path / "s.sock").stat()
    assert (found.st_uid, found.st_gid) == (1234, 4321)


def test_owners_that_there_are_not(tmp_path):
    complaint = refused(tmp_path, tmp_path / "s.sock", unix={"user": "no-such-user"})
    assert "no-such-user" in complaint
    assert not (tmp_path / "s.sock").exists()


def test_a_socket_that_a_killed_broker_left_is_replaced(serve, tmp_path):
    broker = serve()
    broker.process.kill()
    broker.process.wait()
    assert (tmp_path / "s.sock").exists()
    serve()
    with connect(tmp_path / "s.sock") as client:
        greet(client)


def test_a_socket_in_use_is_left_alone(serve, tmp_path):
    broker = serve()
    complaint = refused(tmp_path, tmp_path / "s.sock")
    assert f"in use by another broker (process {broker.process.pid})" in complaint
    with connect(tmp_path / "s.sock") as client:
        greet(client)


def test_a_socket_of_another_program_is_left_alone(tmp_path):
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(tmp_path / "s.sock"))
        other.listen()
        assert "another program listens there" in refused(tmp_path, tmp_path / "s.sock")
        with connect(tmp_path / "s.sock"):
            pass


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_left_alone(tmp_path, kind):
    path = tmp_path / "s.sock"
    {"file": lambda: path.write_text("mine"), "directory": path.mkdir, "link": lambda: path.symlink_to("x")}[kind]()
    assert "it is no socket" in refused(tmp_path, path)
    assert path.is_symlink() or path.exists()


def test_a_file_that_took_its_place_is_left_alone(serve, tmp_path):
    broker = serve()
    (tmp_path / "s.sock").unlink()
    (tmp_path / "s.sock").write_text("mine")
    broker.stop()
    assert (tmp_path / "s.sock").read_text() == "mine"


def test_a_directory_that_there_is_not(tmp_path):
    assert "No such file or directory" in refused(tmp_path, tmp_path / "nowhere" / "s.sock")


def test_the_commands_speak_it(serve, tmp_path):
    serve()
    url = ["--url", f"unix://{tmp_path}/s.sock"]

    def command(*arguments):
        line = [sys.executable, "-m", "fastbroker", *arguments, *url]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=3 * DEADLINE, check=True).stdout

    command("send", "/queue/a", "hello")
    assert command("subscribe", "--count", "1", "/queue/a") == "hello\n"


def test_it_ends_with_its_clients(serve, tmp_path):
    broker = serve()
    with connect(tmp_path / "s.sock") as client:
        greet(client)
        broker.process.terminate()
        assert client.recv(4096) == b""
    eventually(lambda: broker.process.poll() == 0, "it is gone")
