"""The command line: what it prints, and with which status it ends."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from click.testing import CliRunner
from harness.broker import Broker
from harness.frames import unique
from harness.waiting import DEADLINE, eventually, in_background

from fastbroker import __version__
from fastbroker.cli import main

ROOT = Path(__file__).parents[2]


def url(broker):
    return f"tcp://127.0.0.1:{broker.ports['tcp']}"


def start(broker, *arguments, **options):
    environ = os.environ | ({"FASTBROKER_URL": url(broker)} if broker else {})
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    command = [sys.executable, "-m", "fastbroker", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environ, **streams)


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


@pytest.mark.parametrize(
    "command",
    [[], ["serve"], ["config"], ["check-config"], ["certificate"], ["service"], ["version"], ["send"], ["subscribe"]],
)
def test_help(command):
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    assert max(map(len, result.output.splitlines())) <= 100


def invoke(*arguments, **environ):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], env=environ)
    return result.exit_code, result.stdout, result.stderr


def test_config_prints_what_is_in_force(tmp_path):
    file = tmp_path / "fastbroker.toml"
    file.write_text("[limits]\nmax_frame = '2 MiB'\n")
    sources = ["-c", file, "--listen", "tcp://127.0.0.1:1", "--log-format", "json", "--data-dir", "x"]
    status, out, err = invoke("config", *sources, FASTBROKER__STRICT="true")
    assert (status, err) == (0, "")
    assert [re.sub(" +# ", " # ", line) for line in out.splitlines() if "=" in line and "default" not in line] == [
        'listen = ["tcp://127.0.0.1:1"] # --listen',
        "strict = true # FASTBROKER__STRICT",
        'data_dir = "x" # --data-dir',
        'format = "json" # --log-format',
        f'max_frame = "2 MiB" # {file}:2',
    ]


def test_config_prints_every_key_and_takes_nothing_beside_that():
    status, out, err = invoke("config", "--defaults", FASTBROKER__STRICT="true")
    assert (status, err) == (0, "")
    assert "\n# Answer with an ERROR where a client" in out
    assert '\n# Accepted: a size in bytes or with a unit, from 1 KiB to 1 GiB.\n#max_frame = "4 MiB"\n' in out
    assert "\n#strict = false\n" in out
    for more in (["-c", os.devnull], ["--log-level", "debug"]):
        assert invoke("config", "--defaults", *more)[0] == 2


def test_check_config_prints_one_line_when_all_is_right(tmp_path):
    file = tmp_path / "fastbroker.toml"
    file.write_text("listen = ['unix:///run/x', 'ws://127.0.0.1:1', 'tcp://some-host.invalid:1']\n")
    assert invoke("check-config", file) == (0, f"{file}: nothing is wrong\n", "")


def test_check_config_prints_all_that_is_wrong(tmp_path):
    """Of every stage, in one pass."""
    file = tmp_path / "fastbroker.toml"
    file.write_text(WRONG)
    status, out, err = invoke("check-config", file, FASTBROKER_LIMITS_MEMORY="1GiB", FASTBROKER_URL="x")
    first, *lines = err.replace(str(file), "FILE").splitlines()
    assert (status, out, first) == (1, "", "Error: the configuration is wrong:")
    assert [line.strip()[: len(start)] for line, start in zip(lines, ALL_WRONG, strict=True)] == ALL_WRONG
    assert lines[-2].endswith('(tls.hosts[0].certificate = "/nowhere/b.pem", FILE:13)')


WRONG = """\
listen = ["tcp://0.0.0.0:1", "tls://127.0.0.1:1", "tcp://[::", "unix:///run/x"]
lisen = 1
strict = 1
[subscriptions]
prefetch = 5
max_prefetch = 4
[unix]
user = "nobody-of-this-name"
[tls]
certificate = "/nowhere/a.pem"
[[tls.hosts]]
names = ["b"]
certificate = "/nowhere/b.pem"
[websocket]
pages = "/nowhere/pages"
"""
ALL_WRONG = [
    "FILE:2: lisen: unknown key; the nearest is listen",
    "FILE:3: strict: expected true or false; found 1",
    "subscriptions.prefetch must not be more than subscriptions.max_prefetch (subscriptions.prefetch = 5, FILE:5; ",
    "'tcp://[::' is no address: ",
    "FASTBROKER_LIMITS_MEMORY: is not read; did you mean FASTBROKER__LIMITS__MEMORY?",
    "refusing to listen on tcp://0.0.0.0:1: ",
    'there is no user of that name (unix.user = "nobody-of-this-name", FILE:8)',
    'cannot use /nowhere/a.pem for TLS: No such file or directory (tls.certificate = "/nowhere/a.pem", FILE:10)',
    "cannot use /nowhere/b.pem for TLS: No such file or directory",
    "websocket.pages cannot be read: /nowhere/pages: No such file or directory (websocket.pages = ",
]


def test_config_prints_what_is_wrong():
    status, out, err = invoke("config", FASTBROKER__STRICT="1", FASTBROKER_DATA_DIR="x")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        "Error: the configuration is wrong:",
        "  FASTBROKER__STRICT: strict: expected true or false; found 1",
        "  FASTBROKER_DATA_DIR: is not read; did you mean FASTBROKER__DATA_DIR?",
    ]


def test_serve_warns_of_a_variable_that_it_does_not_read(broker_with, monkeypatch):
    monkeypatch.setenv("FASTBROKER_LIMITS_MEMORY", "1 MiB")
    record = broker_with().wait_log(lambda record: record["event"] == "a variable is not read")
    assert (record["level"], record["variable"], record["meant"]) == (
        "warning",
        "FASTBROKER_LIMITS_MEMORY",
        "FASTBROKER__LIMITS__MEMORY",
    )


def test_facts_for_a_report():
    facts = json.loads(invoke("version", "--json")[1])
    assert facts.keys() == {"fastbroker", "python", "uvloop", "openssl", "platform", "core"}
    assert facts["fastbroker"] == __version__
    assert facts["core"].startswith("hub.")
    assert invoke("version")[1].splitlines() == [f"{name} {value}" for name, value in facts.items()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_shells(shell):
    ended = complete(shell, "source")
    assert ended.returncode == 0
    assert "_FASTBROKER_COMPLETE" in ended.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("fastbroker c", ["plain,certificate", "plain,check-config", "plain,config"]),
        ("fastbroker bench --serv", ["plain,--server-pid", "plain,--serve"]),
        ("fastbroker config --def", ["plain,--defaults"]),
        ("fastbroker serve -c x", ["file,"]),
    ],
)
def test_completion(words, offered):
    ended = complete("bash", "complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.rstrip("x") for line in ended.stdout.splitlines()] == offered


def complete(shell, what, **environ):
    return subprocess.run(
        [Path(sysconfig.get_path("scripts"), "fastbroker")],
        env={**os.environ, "_FASTBROKER_COMPLETE": f"{shell}_{what}", **environ},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("environ", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "command", [["--help"], ["--version"], ["config"], ["check-config", os.devnull], ["bench", "--list"]]
)
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
        (["--header", "receipt:1"], "--header receipt: the command itself writes this header"),
        (["--ca", "file"], "--ca is for tls:// and wss://, and --url is tcp://127.0.0.1:61613"),
        (["--insecure", "--url", "ws://localhost/ws"], "--insecure is for tls:// and wss://, and --url is ws://"),
        (["--certificate", "file", "--url", "unix:///a"], "--certificate is for tls:// and wss://, and --url is unix:"),
        (["--key", "file", "--url", "tcp://a"], "--key is for tls:// and wss://, and --url is tcp://a:61613"),
        (["--key", "file", "--url", "tls://a"], "--key needs --certificate"),
        (["--ca", "file", "--insecure", "--url", "tls://a"], "--ca and --insecure exclude each other"),
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


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["x", "--file", "file"], "BODY and --file exclude each other"),
        (["-", "--file", "file"], "BODY and --file exclude each other"),
        (["x", "--lines"], "BODY and --lines exclude each other"),
        (["--lines", "--repeat", "2"], "--lines and --repeat exclude each other"),
        (["--header", "content-length:1"], "--header content-length: the command itself writes this header"),
    ],
)
def test_contradicting_options_of_send(arguments, complaint):
    result = CliRunner().invoke(main, ["send", "/queue/a", *arguments])
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_body_without_quotes():
    result = CliRunner().invoke(main, ["send", "/queue/a", "it's", "here"])
    assert result.exit_code == 2
    assert """BODY is one argument; in quotes it is: 'it'"'"'s here'\n""" in result.stderr


@pytest.mark.parametrize("command", ["serve", "config"])
def test_a_configuration_file_without_its_option(command):
    result = CliRunner().invoke(main, [command, "broker.toml"])
    assert result.exit_code == 2
    assert "unexpected extra argument (broker.toml); a configuration file stands behind -c\n" in result.stderr


@pytest.mark.parametrize("option", [["--url", "tcp://a"], ["--ca", "file"], ["--insecure"], ["--server-pid", "1"]])
def test_a_benchmark_has_one_server(option, monkeypatch):
    monkeypatch.setenv("FASTBROKER_URL", "tcp://of-the-environment")
    result = CliRunner().invoke(main, ["bench", "--serve", *option])
    assert result.exit_code == 2
    assert f"--serve and {option[0]} exclude each other" in result.stderr


@pytest.mark.parametrize("option", ["--login", "--virtual-host", "--topic-prefix", "--pattern"])
def test_a_benchmark_sends_nothing_but_utf_8(option):
    result = CliRunner().invoke(main, ["bench", option, "a\udcff"])
    assert result.exit_code == 2
    assert "'a\\udcff' is not UTF-8" in result.stderr


@pytest.mark.parametrize("arguments", [["/queue/a\udcff"], ["/queue/a", "--login", "\udcff"]])
@pytest.mark.parametrize("command", ["send", "subscribe"])
def test_the_broker_is_asked_what_it_thinks_of_no_utf_8(broker, command, arguments):
    result = CliRunner().invoke(main, [command, "--url", url(broker), *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the broker says: malformed frame\n")


def test_a_benchmark_without_tls_takes_no_certificate():
    result = CliRunner().invoke(main, ["bench", "--ca", "file"])
    assert result.exit_code == 2
    assert "--ca is for tls:// and wss://, and --url is tcp://127.0.0.1:61613" in result.stderr


INTERRUPTED_WHILE_IMPORTING = """
import signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "fastbroker.cli":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from fastbroker.__main__ import main
main()
"""


def test_an_interrupt_before_there_is_a_command():
    command = [sys.executable, "-c", INTERRUPTED_WHILE_IMPORTING]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


class _Http(StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nno")


@pytest.fixture(scope="module")
def http():
    """The port of a server that speaks something else."""
    with ThreadingTCPServer(("127.0.0.1", 0), _Http) as server, in_background(server.serve_forever):
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("tcp://127.0.0.1:{http}", "what answers speaks HTTP; over a WebSocket the broker is ws://"),
        ("tls://127.0.0.1:{http}", "does the broker speak TLS at this address?"),
        ("ws://127.0.0.1:{http}", "there is a server, but no WebSocket of a broker"),
        ("tcp://127.0.0.1:{tls}", "the broker closed the connection at once; is this what is spoken at its address?"),
        ("tls://127.0.0.1:{tcp}", "does the broker speak TLS at this address?"),
        ("tls://127.0.0.1:{tls}", "its certificate is not trusted"),
        ("tcp://127.0.0.1:{ws}", "what answers speaks HTTP; over a WebSocket the broker is ws://"),
        ("ws://127.0.0.1:{ws}/nothing", "received 404; are the port and the path right?"),
        ("unix:///nothing", "is the broker running?"),
        ("tcp://no-such-host.invalid", "cannot connect to tcp://no-such-host.invalid:61613: "),
        ("tcp://no..such-host", "a part of this name is empty or too long"),
        ("ws://no..such-host", "cannot connect to ws://no..such-host:15674"),
    ],
)
@pytest.mark.parametrize("command", ["send", "subscribe"])
def test_an_address_where_no_broker_is(broker, http, command, address, complaint):
    result = CliRunner().invoke(main, [command, "/queue/a", "--url", address.format(http=http, **broker.ports)])
    assert result.exit_code == 1
    assert complaint in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


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
    assert "there is a server, but no WebSocket of a broker: it ended the connection; are the port" in err


def test_a_body_from_the_standard_input_may_be_anything(broker, queue):
    body = bytes(range(256)) * 2000
    assert run(broker, "send", queue, "-", "--receipt", stdin=body) == (0, b"", "")
    assert run(broker, "subscribe", queue, "--count", "1")[1] == body + b"\n"


def test_a_body_that_looks_like_an_option(broker, queue):
    assert run(broker, "send", queue, "--", "-5")[0] == 0
    assert run(broker, "subscribe", queue, "--count", "1")[1] == b"-5\n"


def test_no_body(broker, queue):
    assert run(broker, "send", queue)[0] == 0
    assert run(broker, "subscribe", queue, "--count", "1")[1] == b"\n"


def test_a_body_from_a_pipe(broker, queue):
    assert run(broker, "send", queue, stdin=b"hi\n") == (0, b"", "")
    assert run(broker, "subscribe", queue, "--count", "1")[1] == b"hi\n\n"


def test_a_terminal_is_no_body(broker, queue):
    _, terminal = pty.openpty()
    assert start(broker, "send", queue, stdin=terminal).wait(3 * DEADLINE) == 0
    assert run(broker, "subscribe", queue, "--count", "1")[1] == b"\n"


def test_an_empty_body_leaves_the_standard_input_alone(broker, queue):
    process = start(broker, "send", queue, "")
    assert process.wait(3 * DEADLINE) == 0
    assert run(broker, "subscribe", queue, "--count", "1")[1] == b"\n"


def test_files(broker, queue, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(b"a\nb")
    assert run(broker, "send", queue, "--file", str(file), "--file", "-", "--repeat", "2", stdin=b"c")[0] == 0
    assert run(broker, "subscribe", queue, "--count", "4")[1] == b"a\nb\na\nb\nc\nc\n"
    assert run(broker, "send", queue, "--lines", "--file", str(file), "--file", str(file))[0] == 0
    assert run(broker, "subscribe", queue, "--count", "4")[1] == b"a\nb\na\nb\n"


def test_a_file_that_cannot_be_read(broker, queue, tmp_path):
    for file, reason in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        expected = (1, b"", f"Error: cannot read {file}: {reason}\n")
        assert run(broker, "send", queue, "--file", str(file)) == expected


@pytest.mark.parametrize("receipt", [[], ["--receipt"]])
def test_lines_are_sent_as_they_come(broker, topic, receipt):
    subscriber = ready(start(broker, "subscribe", topic))
    sender = start(broker, "send", topic, "--lines", *receipt)
    for line in (b"one\n", b"\n", b"two\n"):
        sender.stdin.write(line)
        sender.stdin.flush()
        assert subscriber.stdout.readline() == line
    assert sender.communicate(b"without an end", timeout=DEADLINE) == (b"", b"")
    assert subscriber.stdout.readline() == b"without an end\n"
    subscriber.terminate()
    subscriber.communicate(timeout=DEADLINE)
    assert (sender.returncode, subscriber.returncode) == (0, 0)


def test_many_lines(broker, queue):
    lines = b"".join(b"%d\n" % number for number in range(20_000))
    assert run(broker, "send", queue, "--lines", stdin=lines) == (0, b"", "")
    assert run(broker, "subscribe", queue, "--count", "20000")[1] == lines


def test_what_has_arrived_is_told_when_the_broker_refuses_more(broker_with, queue):
    broker = broker_with(limits={"max_frame": "16 KiB"})
    status, _, err = run(broker, "send", queue, "--lines", "--receipt", stdin=b"a\nb\n" + b"c" * 20_000)
    assert status == 1
    assert err.startswith("Error: the broker says: frame too large\n")
    assert err.endswith("; 2 messages had arrived before\n")


def test_progress_is_for_terminals(broker, topic):
    master, terminal = pty.openpty()
    os.set_blocking(master, False)
    process = start(broker, "send", topic, "--lines", stderr=terminal)
    shown = bytearray()

    def progress():
        process.stdin.write(b"x\n")
        process.stdin.flush()
        with suppress(BlockingIOError):
            shown.extend(os.read(master, 4096))
        return b" messages sent" in shown

    eventually(progress, "progress is shown")
    process.stdin.close()
    assert process.wait(DEADLINE) == 0
    assert os.read(master, 4096).endswith(b" messages sent\r\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_send(broker, topic, number):
    subscriber = ready(start(broker, "subscribe", topic, "--count", "1"))
    sender = start(broker, "send", topic, "--lines")
    sender.stdin.write(b"one\n")
    sender.stdin.flush()
    assert subscriber.communicate(timeout=DEADLINE)[0] == b"one\n"
    sender.send_signal(number)
    assert sender.communicate(timeout=DEADLINE) == (b"", b"")
    assert sender.returncode == -number


def test_several_destinations(broker, queue, topic):
    process = ready(ready(start(broker, "subscribe", queue, f"{topic}.*", "--json")))
    for destination in (f"{topic}.a", queue, f"{topic}.b"):
        assert run(broker, "send", destination, "x")[0] == 0
        assert json.loads(process.stdout.readline())["headers"]["destination"] == destination
    process.terminate()
    process.communicate(timeout=DEADLINE)


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


def test_a_count_beyond_all_credit(broker, queue):
    run(broker, "send", queue, "hello")
    process = start(broker, "subscribe", queue, "--count", "99999999999999999999")
    assert process.stdout.readline() == b"hello\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE) == 130


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


@pytest.mark.parametrize("command", [["send", "--lines"], ["subscribe"], ["subscribe", "--ack", "client"]])
def test_a_broker_that_is_killed(tmp_path, topic, command):
    broker = Broker(tmp_path)
    witness = ready(start(broker, "subscribe", topic))
    process = start(broker, *command, topic)
    if command[0] == "send":
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert witness.stdout.readline() == b"one\n"
    else:
        ready(process)
    broker.process.kill()
    for each in (process, witness):
        each.wait(DEADLINE)
        out, err = each.communicate(timeout=DEADLINE)
        assert (each.returncode, out, err) == (1, b"", b"Error: the broker closed the connection\n")


def test_a_subscriber_comes_back(tmp_path, queue):
    address = ["--url", f"unix://{tmp_path}/socket"]
    process = start(None, "subscribe", queue, "--reconnect", *address)
    for why, body, ending in (
        ("cannot connect to unix://", "one", signal.SIGKILL),
        ("the broker closed the connection", "two", signal.SIGTERM),
        ("the broker ", "three", None),
    ):
        assert process.stderr.readline().decode().startswith(why)
        broker = Broker(tmp_path)
        while (line := process.stderr.readline()) != f"subscribed to {queue}\n".encode():
            assert b"; trying again in " in line
        assert run(None, "send", queue, body, *address)[0] == 0
        assert process.stdout.readline() == f"{body}\n".encode()
        if ending:
            broker.process.send_signal(ending)
            broker.process.wait(DEADLINE)
    process.terminate()
    assert process.communicate(timeout=DEADLINE) == (b"", b"")
    assert process.returncode == 0
    broker.stop()


def test_what_would_be_refused_again_is_not_tried_again(broker):
    status, out, err = run(broker, "subscribe", "/nowhere/a", "--reconnect")
    assert (status, out) == (1, b"")
    assert err.startswith("Error: the broker says: unknown destination\n")


def test_a_reader_that_goes_away_is_missed_at_once(broker, topic):
    process = ready(start(broker, "subscribe", topic))
    process.stdout.close()
    assert process.wait(DEADLINE) == 1
    assert process.stderr.read() == b""


def test_a_pipe_that_is_read_and_written(broker, topic, tmp_path):
    """Something to read in it does not mean that nobody reads it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    both = os.open(fifo, os.O_RDWR)
    os.write(both, b"before\n")
    process = ready(start(broker, "subscribe", topic, "--count", "1", stdout=both))
    assert run(broker, "send", topic, "x")[0] == 0
    assert process.wait(DEADLINE) == 0
    assert os.read(both, 100) == b"before\nx\n"
    os.close(both)


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", ">&-", "2>/dev/full", "2>&- </dev/full"])
def test_commands_with_odd_standard_streams(broker, queue, streams):
    for arguments in (["send", queue, "x", "--receipt"], ["subscribe", "--count", "1", queue]):
        whole = [sys.executable, "-m", "fastbroker", *arguments, "--url", url(broker)]
        shell = ["sh", "-c", f'exec "$0" "$@" {streams}', *whole]
        ended = subprocess.run(shell, cwd=ROOT, check=False, timeout=3 * DEADLINE, capture_output=True)
        assert ended.returncode == 0
        assert b"Traceback" not in ended.stderr


def test_send_without_a_standard_input(broker, queue):
    shell = ["sh", "-c", 'exec "$0" "$@" <&-', sys.executable, "-m", "fastbroker", "send", queue, "--url", url(broker)]
    assert subprocess.run(shell, cwd=ROOT, check=False, timeout=3 * DEADLINE).returncode == 0
    assert run(broker, "subscribe", queue, "--count", "1")[1] == b"\n"
