"""What systemd's environment variables mean; tests/system/test_systemd.py has the process."""

import os

import pytest

from fastbroker.transports.systemd import Notifier, passed_sockets


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": str(os.getpid())},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "-1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "tcp"},
    ],
)
def test_nothing_was_handed_over(environ):
    assert passed_sockets(environ) == []
    assert environ == {}, "no process that is started from here may take it for its own"


@pytest.mark.parametrize(
    ("environ", "pause"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "often"}, 0),
    ],
)
def test_the_watchdog(environ, pause):
    assert Notifier(environ).watchdog == pause
    assert environ == {}


def test_nobody_listens(tmp_path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready()
    notifier.stopping()
