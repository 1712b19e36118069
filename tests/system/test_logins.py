"""What an authenticator is told of a client, and the example of the documentation that uses it."""

import json
import os
import pwd
import re
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
from harness.broker import ROOT, Broker
from harness.certificates import Authority
from harness.plain import dial, ended, greet, read_frame
from harness.waiting import DEADLINE

SERVE = """
import json, sys
from fastbroker import server
from fastbroker.auth import Access
from fastbroker.cli import main

exec(sys.argv.pop(1))
notes = open(sys.argv.pop(1), "w", buffering=1)

def note(login):
    certificate = login.certificate and login.certificate["identity"]
    told = {"peer": login.peer, "listener": login.listener, "secure": login.secure, "certificate": certificate}
    try:
        told["name"] = authenticate(login).name
    finally:
        print(json.dumps(told), file=notes)

server.access = lambda: Access(note, None)
main()
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def broker(tmp_path, authority):
    """Lets in whom the example lets in; `told()` is what it was told of the last one."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "transports.md").read_text(), re.DOTALL)[1]
    certificate = str(authority.certify("server.pem", "localhost"))
    config = {
        "listen": [
            "tcp://127.0.0.1:0",
            "tls://127.0.0.1:0",
            f"unix://{tmp_path}/s.sock",
            f"unix://{tmp_path}/balanced.sock?proxy_protocol",
        ],
        "auth": {"allow_anonymous": True},
        "tls": {"certificate": certificate, "client_certificates": "optional", "client_ca": str(authority.path)},
    }

    def run(command, **options):
        line = [sys.executable, "-c", SERVE, example, str(tmp_path / "notes"), *command[3:]]
        return subprocess.Popen(line, **options)

    with ExitStack() as stack:
        broker = Broker(tmp_path, config, run=run)
        stack.callback(broker.stop)
        broker.told = lambda: json.loads((tmp_path / "notes").read_text().splitlines()[-1])
        yield broker


def local(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(DEADLINE)
    connection.connect(str(path))
    return connection


def is_refused(client):
    client.sendall(b"CONNECT\naccept-version:1.2\nhost:x\n\n\0")
    return b"message:login refused" in read_frame(client)


def test_a_certificate_says_who_one_is(broker, authority):
    known = authority.trusting(authority.certify("known.pem", "sensor-7"))
    with known.wrap_socket(dial(broker.ports["tls"]), server_hostname="localhost") as client:
        greet(client)
        peer = "{}:{}".format(*client.getsockname())
        expected = {"peer": peer, "listener": broker.urls[1], "secure": True, "certificate": "sensor-7"}
        assert broker.told() == {**expected, "name": "sensor-7"}
    with authority.trusting().wrap_socket(dial(broker.ports["tls"]), server_hostname="localhost") as client:
        assert is_refused(client)
        assert (broker.told()["secure"], broker.told()["certificate"]) == (True, None)
        assert ended(client)


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell")
def test_the_system_says_who_one_is(broker, tmp_path):
    with local(tmp_path / "s.sock") as client:
        greet(client)
        peer = f"unix:pid={os.getpid()},uid={os.getuid()},gid={os.getgid()}"
        expected = {"peer": peer, "listener": broker.urls[2], "secure": False, "certificate": None}
        assert broker.told() == {**expected, "name": pwd.getpwuid(os.getuid()).pw_name}


def test_nobody_says_who_one_is(broker):
    with dial(broker.ports["tcp"]) as client:
        assert is_refused(client)
        assert broker.told()["peer"] == "{}:{}".format(*client.getsockname())
        assert broker.told()["listener"] == broker.urls[0]


def test_a_load_balancer_cannot_claim_to_be_a_process(broker, tmp_path):
    with local(tmp_path / "balanced.sock") as client:
        forged = b"unix:pid=1,uid=0,gid=0".ljust(108, b"\0")
        client.sendall(b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8" + forged + forged)
        assert is_refused(client)
        assert broker.told()["peer"] == "unix"
