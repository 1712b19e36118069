"""The command line: what it prints, and with which status it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from harness.frames import unique
from harness.waiting import DEADLINE

from fastbroker import __version__
from fastbroker.cli import main

ROOT = Path(__file__).parents[2]


def url(broker):
    return f"tcp://127.0.0.1:{broker.ports['tcp']}"


def start(broker, *arguments, **options):
    environ = os.environ | ({"FASTBROKER_URL": url(broker)} if broker else {})
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "fastbroker", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environ, **streams, **options)


def run(broker, *arguments, stdin=b""):
    """Run a command to its end; return its status, stdout and stderr."""
    process = start(broker, *arguments)
    out, err = process.communicate(stdin, timeout=3 * DEADLINE)
    assert b"Traceback" not in err
    return process.returncode, out, err.decode()


def ready(process):
    """Wait until a `subscribe` is subscribed."""
    assert process.stderr.readline().startswith(b"subscribed to ")
    return process


@pytest.fixture
def queue():
    return unique("/queue/cli.")


@pytest.fixture
def topic():
    return unique("/topic/cli.")


# ---- without a broker ----


def test_version():
    status, out, err = run(None, "--version")
    assert (status, out.decode(), err) == (0, f"fastbroker {__version__}\n", "")


@pytest.mark.parametrize("command", [[], ["serve"], ["check-config"], ["send"], ["subscribe"]])
def test_help(command):
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    assert max(map(len, result.output.splitlines())) <= 100


def test_check_config_prints_the_settings(tmp_path, monkeypatch):
    file = tmp_path / "fastbroker.toml"
    file.write_text("[limits]\nmax_frame = '2 MiB'\n")
    monkeypatch.setenv("FASTBROKER__STRICT", "true")
    result = CliRunner().invoke(main, ["check-config", str(file)])
    assert result.exit_code == 0
    assert "strict = true  # FASTBROKER__STRICT\n" in result.output
    assert f"max_frame = 2097152  # {file}\n" in result.output
    assert "\nmax_headers = 100\n" in result.output


def test_check_config_prints_what_is_wrong(tmp_path):
    file = tmp_path / "fastbroker.toml"
    file.write_text("lisen = 1\nstrict = 1\n")
    result = CliRunner().invoke(main, ["check-config", str(file)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Error: the configuration is wrong:\n"
        f"  {file}: lisen: unknown key; the nearest is listen\n"
        f"  {file}: strict: expected true or false; found 1\n"
    )


def test_check_config_knows_what_serve_would_refuse(tmp_path):
    file = tmp_path / "fastbroker.toml"
    file.write_text("listen = ['tcp://0.0.0.0:61613']\n")
    result = CliRunner().invoke(main, ["check-config", str(file)])
    assert result.exit_code == 1
    assert "refusing to listen on tcp://0.0.0.0:61613" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("environ", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", [["--help"], ["--version"], ["check-config", os.devnull], ["bench", "--list"]])
def test_a_full_standard_output(command, environ):
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | environ
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "fastbroker", *command],
            cwd=ROOT, env=environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == "Error: cannot write to the standard output: No space left on device\n"


def test_a_reader_of_the_standard_output_that_is_gone():
    process = start(None, "bench", "--list")
    process.stdout.close()
    assert process.wait(3 * DEADLINE) == 1
    assert process.stderr.read() == b""


@pytest.mark.parametrize("command", [["send", "/queue/a"], ["subscribe", "/queue/a"]])
def test_nobody_listens(command):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{bound.getsockname()[1]}"
        result = CliRunner().invoke(main, [*command, "--url", address])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: cannot connect to {address}; is the broker running? `fastbroker serve` starts one on this machine\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--url", "localhost:61613"], "write it as tcp://127.0.0.1:61613"),
        (["--header", "colonless"], "'colonless' is no header; write it as name:value"),
        (["--header", ":value"], "':value' is no header; write it as name:value"),
    ],
)
@pytest.mark.parametrize("command", ["send", "subscribe"])
def test_wrong_options(command, arguments, complaint):
    result = CliRunner().invoke(main, [command, "/queue/a", *arguments])
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_wrong_count_and_mode():
    for arguments in (["--count", "0"], ["--ack", "never"]):
        assert CliRunner().invoke(main, ["subscribe", "/queue/a", *arguments]).exit_code == 2


# ---- with one ----


def test_send_and_subscribe(broker, queue):
    assert run(broker, "send", queue, "hello") == (0, b"", "")
    assert run(broker, "subscribe", queue, "--count", "1") == (0, b"hello\n", f"subscribed to {queue}\n")


def test_the_url_may_stand_on_the_command_line(broker, queue):
    assert run(None, "send", queue, "hello", "--url", url(broker))[0] == 0
    assert run(None, "subscribe", queue, "--count", "1", "--url", url(broker))[1] == b"hello\n"


def test_websocket_where_none_is_spoken_is_an_error_and_no_time_out(broker, queue):
    status, _, err = run(None, "send", queue, "hello", "--url", f"ws://127.0.0.1:{broker.ports['tcp']}")
    assert status == 1
    assert "there is a server, but no WebSocket of a broker: it ended the connection" in err


def test_a_body_from_the_standard_input_may_be_anything(broker, queue):
    body = bytes(range(256)) * 2000
    assert run(broker, "send", queue, "-", "--receipt", stdin=body) == (0, b"", "")
    assert run(broker, "subscribe", queue, "--count", "1")[1] == body + b"\n"


def test_no_body(broker, queue):
    assert run(broker, "send", queue)[0] == 0
    assert run(broker, "subscribe", queue, "--count", "1")[1] == b"\n"


def test_headers_and_json(broker, queue):
    run(broker, "send", queue, "grün", "--header", "a:b:c", "--header", "x: y", "--receipt")
    _, out, _ = run(broker, "subscribe", queue, "--count", "1", "--json")
    message = json.loads(out)
    assert message["body"] == "grün"
    assert message["headers"].items() >= {"a": "b:c", "x": " y", "destination": queue}.items()
    assert "receipt" not in message["headers"]


def test_json_of_what_is_no_text(broker, queue):
    run(broker, "send", queue, "-", stdin=b"\xff\0")
    assert json.loads(run(broker, "subscribe", queue, "--count", "1", "--json")[1])["body_base64"] == "/wA="


@pytest.mark.parametrize("mode", [[], ["--ack", "client"], ["--ack", "client-individual"]])
def test_messages_beyond_the_count_stay(broker, queue, mode):
    for number in range(5):
        run(broker, "send", queue, str(number))
    assert run(broker, "subscribe", queue, "--count", "2", *mode)[1] == b"0\n1\n"
    assert run(broker, "subscribe", queue, "--count", "3", *mode)[1] == b"2\n3\n4\n"


def test_a_topic(broker, topic):
    process = ready(start(broker, "subscribe", topic, "--ack", "auto"))
    for number in range(3):
        run(broker, "send", topic, str(number))
        assert process.stdout.readline() == f"{number}\n".encode(), "each message is printed as it comes"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=DEADLINE) == (b"", b"")
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("count", "status"), [([], 0), (["--count", "2"], 130)])
def test_an_interrupted_subscribe(broker, topic, number, count, status):
    process = ready(start(broker, "subscribe", topic, *count))
    process.send_signal(number)
    assert process.communicate(timeout=DEADLINE) == (b"", b"")
    assert process.returncode == status


@pytest.mark.parametrize("command", [["send", "/nowhere/a", "x"], ["subscribe", "/nowhere/a"]])
def test_an_error_of_the_broker(broker, command):
    status, out, err = run(broker, *command)
    assert (status, out) == (1, b"")
    assert err.startswith("Error: the broker says: unknown destination\n")


def test_a_broker_that_shuts_down(broker_with, topic):
    broker = broker_with(drain_timeout=1)
    process = ready(start(broker, "subscribe", topic))
    broker.process.terminate()
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (1, b"")
    assert err == b"Error: the broker closed the connection\n"
    assert broker.process.wait(DEADLINE) == 0


def test_a_reader_that_goes_away(broker, topic):
    process = ready(start(broker, "subscribe", topic))
    process.stdout.close()
    run(broker, "send", topic, "x")
    assert process.wait(DEADLINE) == 1
    assert b"Traceback" not in process.stderr.read()


def test_login_and_passcode_come_from_the_environment(broker, queue, monkeypatch):
    monkeypatch.setenv("FASTBROKER_LOGIN", "me")
    monkeypatch.setenv("FASTBROKER_PASSCODE", "secret:canary")
    assert run(broker, "send", queue, "x")[0] == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_a_message_that_cannot_be_printed(broker, queue, form):
    """It is not acknowledged."""
    assert run(broker, "send", queue, "hello")[0] == 0
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "fastbroker", "subscribe", "--url", url(broker), "--count", "1", *form, queue]
        ended = subprocess.run(
            command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False, timeout=3 * DEADLINE
        )
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines() == [
        f"subscribed to {queue}",
        "Error: cannot write to the standard output: No space left on device",
    ]
    assert run(broker, "subscribe", "--count", "1", queue)[:2] == (0, b"hello\n")


def test_commands_with_closed_standard_streams(broker, queue):
    command = 'exec "$0" "$@" <&- >&- 2>&-'
    for arguments in (["send", queue, "-"], ["subscribe", "--count", "1", queue]):
        whole = [sys.executable, "-m", "fastbroker", *arguments, "--url", url(broker)]
        assert (
            subprocess.run(["sh", "-c", command, *whole], cwd=ROOT, check=False, timeout=3 * DEADLINE).returncode == 0
        )
