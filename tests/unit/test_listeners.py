"""From addresses to listening sockets: all of them or none, and one clear sentence when it fails."""

import socket

import pytest

from fastbroker import listeners
from fastbroker.config import Auth, Config
from fastbroker.errors import StartError
from fastbroker.listeners import bound_address, check, open_listeners

V4, V6 = socket.AF_INET, socket.AF_INET6


def opened(*listen, **auth):
    return open_listeners(Config(listen=listen, auth=Auth(**auth)))


def resolve_to(monkeypatch, *found):
    answer = [(V6 if ":" in host else V4, socket.SOCK_STREAM, 6, "", (host, 0)) for host in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)


def test_a_free_port_is_taken_and_connections_wait_in_it():
    (listener,) = opened("tcp://127.0.0.1:0")
    with listener:
        address = bound_address(listener)
        assert address.port > 0
        assert str(address) == f"tcp://127.0.0.1:{address.port}"
        with socket.create_connection((address.host, address.port), timeout=5):
            pass


def test_several_addresses():
    found = opened("tcp://127.0.0.1:0", "tcp://127.0.0.2:0")
    assert [bound_address(listener).host for listener in found] == ["127.0.0.1", "127.0.0.2"]
    for listener in found:
        listener.close()


def test_ipv6():
    try:
        (listener,) = opened("tcp://[::1]:0")
    except StartError:
        pytest.skip("no IPv6 here")
    with listener:
        assert str(bound_address(listener)).startswith("tcp://[::1]:")


def test_an_address_in_use():
    (listener,) = opened("tcp://127.0.0.1:0")
    with listener, pytest.raises(StartError, match=r"^cannot listen on tcp://127.0.0.1:[0-9]+: the address is in use"):
        opened(str(bound_address(listener)))


def test_when_one_address_fails_none_stays_open():
    (taken,) = opened("tcp://127.0.0.1:0")
    (free,) = opened("tcp://127.0.0.1:0")
    again = str(bound_address(free))
    free.close()
    with taken:
        with pytest.raises(StartError):
            opened(again, str(bound_address(taken)))
        (listener,) = opened(again)
        listener.close()


def test_an_address_of_another_machine():
    with pytest.raises(StartError, match=r"^cannot listen on tcp://192.0.2.1:0: this machine has no such address$"):
        opened("tcp://192.0.2.1:0", allow_anonymous=True)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".invalid"])
def test_a_name_that_resolves_to_nothing(host):
    with pytest.raises(StartError, match="the host cannot be resolved"):
        opened(f"tcp://{host}:0")


def test_every_address_behind_a_name_must_be_allowed(monkeypatch):
    resolve_to(monkeypatch, "127.0.0.1", "203.0.113.5")
    with pytest.raises(StartError, match=r"refusing to listen on tcp://localhost:0 \(203\.0\.113\.5\)"):
        opened("tcp://localhost:0")


def test_what_was_checked_is_what_is_bound(monkeypatch):
    """A name that resolves differently the second time must not open the broker."""
    answers = iter([["127.0.0.1"], ["203.0.113.5"]])
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(V4, socket.SOCK_STREAM, 6, "", (host, 0)) for host in next(answers)]
    )
    (listener,) = opened("tcp://localhost:0")
    with listener:
        assert bound_address(listener).host == "127.0.0.1"


def test_a_name_may_have_an_address_of_a_family_that_is_missing(monkeypatch):
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.1", "192.0.2.1")
    (listener,) = opened("tcp://localhost:0", allow_anonymous=True)
    with listener:
        assert bound_address(listener).host == "127.0.0.1"


def test_permission_denied(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(listeners, "_open", refuse)
    with pytest.raises(StartError, match="permission denied; ports below 1024 are for root"):
        opened("tcp://127.0.0.1:1")


def test_check_looks_at_numbers_and_asks_nobody_for_names():
    check(Config(listen=("tcp://127.0.0.1:1", "tcp://no-such-host.invalid:1")))
    with pytest.raises(StartError, match="refusing to listen"):
        check(Config(listen=("tcp://127.0.0.1:1", "tcp://0.0.0.0:1")))
