"""Who may be let in: without accounts only this machine, unless the configuration says otherwise (S12)."""

import pytest

from fastbroker.auth import access, is_loopback, refuse_exposed
from fastbroker.config import Auth, Config
from fastbroker.errors import StartError
from fastbroker.transports.address import Address, parse


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"])
def test_loopback(host):
    assert is_loopback(host)
    refuse_exposed(Config(), parse("tcp://localhost:1"), [host])


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "192.168.0.1",
        "10.0.0.1",
        "203.0.113.9",
        "128.0.0.1",
        "::ffff:192.168.0.1",
        "fe80::1",
        "fe80::1%lo",
        "2001:db8::1",
        "64:ff9b::7f00:1",
    ],
)
def test_everything_else_is_exposed(host):
    assert not is_loopback(host)
    with pytest.raises(StartError, match=r"auth.allow_anonymous = true"):
        refuse_exposed(Config(), Address("tcp", host, 1), [host])


def test_one_exposed_address_behind_a_name_is_enough():
    with pytest.raises(StartError, match=r"refusing to listen on tcp://both.example:1 \(10\.0\.0\.1\)"):
        refuse_exposed(Config(), parse("tcp://both.example:1"), ["127.0.0.1", "10.0.0.1"])


def test_the_operator_may_open_the_broker():
    refuse_exposed(Config(auth=Auth(allow_anonymous=True)), parse("tcp://[::]:1"), ["::"])


def test_without_accounts_nobody_need_be_asked():
    assert access() == (None, None)
