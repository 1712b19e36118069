"""From addresses to listening sockets: all of them or none, and one clear sentence when it fails."""

import socket

import pytest

from fastbroker.config import Auth, Config, ProxyProtocol, Tcp, Tls, Unix
from fastbroker.errors import StartError
from fastbroker.transports import listeners
from fastbroker.transports.listeners import check, open_listeners

V4, V6 = socket.AF_INET, socket.AF_INET6


def opened(*listen, **auth):
    return open_listeners(Config(listen=listen, auth=Auth(**auth)))


def resolve_to(monkeypatch, *found):
    answer = [(V6 if ":" in host else V4, socket.SOCK_STREAM, 6, "", (host, 0)) for host in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)


def test_a_free_port_is_taken_and_connections_wait_in_it():
    ((address, listener, _),) = opened("tcp://127.0.0.1:0")
    with listener:
        assert address.port > 0
        assert str(address) == f"tcp://127.0.0.1:{address.port}"
        with socket.create_connection((address.host, address.port), timeout=5):
            pass


def test_several_addresses():
    found = opened("tcp://127.0.0.1:0", "tcp://127.0.0.2:0")
    assert [each.address.host for each in found] == ["127.0.0.1", "127.0.0.2"]
    for each in found:
        each.socket.close()


def test_ipv6():
    try:
        (listener,) = opened("tcp://[::1]:0")
    except StartError:
        pytest.skip("no IPv6 here")
    with listener.socket:
        assert str(listener.address).startswith("tcp://[::1]:")


def test_an_address_in_use():
    (listener,) = opened("tcp://127.0.0.1:0")
    complaint = r"^cannot listen on tcp://127.0.0.1:[0-9]+: the address is in use"
    with listener.socket, pytest.raises(StartError, match=complaint):
        opened(str(listener.address))


def test_when_one_address_fails_none_stays_open():
    (taken,) = opened("tcp://127.0.0.1:0")
    (free,) = opened("tcp://127.0.0.1:0")
    again = str(free.address)
    free.socket.close()
    with taken.socket:
        with pytest.raises(StartError):
            opened(again, str(taken.address))
        (listener,) = opened(again)
        listener.socket.close()


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
    with listener.socket:
        assert listener.address.host == "127.0.0.1"


def test_a_name_may_have_an_address_of_a_family_that_is_missing(monkeypatch):
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.1", "192.0.2.1")
    (listener,) = opened("tcp://localhost:0", allow_anonymous=True)
    with listener.socket:
        assert listener.address.host == "127.0.0.1"


def test_permission_denied(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(listeners, "_open", refuse)
    with pytest.raises(StartError, match="permission denied; ports below 1024 are for root"):
        opened("tcp://127.0.0.1:1")


def test_check_looks_at_numbers_and_asks_nobody_for_names():
    assert not list(check(Config(listen=("tcp://127.0.0.1:1", "tcp://no-such-host.invalid:1"))))
    found = list(check(Config(listen=("tcp://127.0.0.1:1", "tcp://0.0.0.0:1", "nothing", "tcp://0.0.0.0:2"))))
    assert [values for _, values in found] == [{"listen[1]": "tcp://0.0.0.0:1"}, {"listen[3]": "tcp://0.0.0.0:2"}]
    assert all(sentence.startswith("refusing to listen") for sentence, _ in found)


@pytest.mark.parametrize("key", ["user", "group"])
def test_check_knows_owners_that_are_nobody(key):
    owned = Unix(**{key: "nobody-of-this-name"})
    (conflict,) = check(Config(listen=("unix:///run/x",), unix=owned))
    assert conflict == (f"there is no {key} of that name", {f"unix.{key}": "nobody-of-this-name"})
    assert not list(check(Config(unix=owned))), "no address needs it"


def test_the_system_looks_after_peers():
    settings = Tcp(keepalive=30, keepalive_interval=7, keepalive_count=3, user_timeout=20, reuse_port=True)
    (listener,) = open_listeners(Config(listen=("tcp://127.0.0.1:0",), tcp=settings))
    with listener.socket as found, socket.create_connection(found.getsockname()):
        accepted = eventually_accepted(found)
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            options = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 7, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
            for name, value in options.items():
                if hasattr(socket, name):
                    assert accepted.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
        (again,) = open_listeners(Config(listen=(str(listener.address),), tcp=settings))
        again.socket.close()


def eventually_accepted(listener):
    listener.setblocking(True)
    return listener.accept()[0]


def test_what_the_system_shall_not_look_after():
    (listener,) = open_listeners(Config(listen=("tcp://127.0.0.1:0",), tcp=Tcp(keepalive=0, user_timeout=0)))
    with listener.socket as found:
        assert not found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert not found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


REQUIRED = Tls(certificate="x", client_certificates="required", client_ca="x")


@pytest.mark.parametrize(
    ("listen", "tls", "is_open"),
    [
        ("tls://0.0.0.0:1", Tls(certificate="x"), False),
        ("tls://0.0.0.0:1", Tls(certificate="x", client_certificates="optional", client_ca="x"), False),
        ("tls://0.0.0.0:1", REQUIRED, True),
        ("wss://0.0.0.0:1", REQUIRED, True),
        ("tcp://0.0.0.0:1", REQUIRED, False),
        ("ws://0.0.0.0:1", REQUIRED, False),
        ("unix:///run/x", Tls(), True),
        ("unix:///run/x?proxy_protocol", Tls(), False),
        ("tcp://127.0.0.1:1?proxy_protocol", Tls(), False),
        ("tls://127.0.0.1:1?proxy_protocol", REQUIRED, True),
    ],
)
def test_who_may_be_reached_from_where(listen, tls, is_open):
    """S12: a client certificate that is required lets nobody else in; behind a load balancer is everybody."""
    config = Config(listen=(listen,), tls=tls, proxy_protocol=ProxyProtocol(trusted=("127.0.0.1",)))
    assert [sentence[:19] for sentence, _ in check(config)] == ([] if is_open else ["refusing to listen "])
