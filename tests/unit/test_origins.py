"""Which pages may connect (S8), and pages whose name was made to mean this machine."""

from __future__ import annotations

import pytest

from fastbroker.web.http import Request
from fastbroker.web.origins import Origins, is_loopback

LAN = "192.0.2.1"


def asked(host: str, *origins: str) -> Request:
    return Request("GET", "/ws", "1.1", (("host", host), *(("origin", each) for each in origins)))


def may(host: str, *origins: str, allowed: tuple[str, ...] = (), secure: bool = False, local: str = LAN) -> bool:
    return Origins(allowed).may_connect(asked(host, *origins), secure=secure, local=local)


def test_programs_name_no_page() -> None:
    assert may("evil.example")
    assert may("evil.example", local="127.0.0.1")


@pytest.mark.parametrize(
    ("host", "origin", "secure"),
    [
        ("chat.example", "http://chat.example", False),
        ("chat.example:80", "http://chat.example", False),
        ("chat.example", "http://chat.example:80", False),
        ("chat.example", "https://chat.example", True),
        ("CHAT.example:8080", "HTTP://chat.EXAMPLE:8080", False),
        ("[2001:db8::1]:15674", "http://[2001:db8::1]:15674", False),
    ],
)
def test_pages_of_the_same_address(host: str, origin: str, secure: bool) -> None:
    assert may(host, origin, secure=secure)
    assert not may(host, origin, secure=not secure)


@pytest.mark.parametrize(
    "origin",
    {
        "another": "http://evil.example",
        "another port": "http://chat.example:81",
        "another scheme": "https://chat.example",
        "suffix": "http://chat.example.evil.example",
        "prefix": "http://evilchat.example",
        "below": "http://a.chat.example",
        "above": "http://example",
        "path": "http://chat.example/",
        "login": "http://evil@chat.example",
        "hidden in a login": "http://chat.example@evil.example",
        "null": "null",
        "empty": "",
        "star": "*",
        "file": "file://",
        "no scheme": "chat.example",
        "two in one": "http://chat.example http://evil.example",
        "list": "http://chat.example, http://evil.example",
        "tab": "http://chat.example\t",
        "nul": "http://chat.example\0",
        "look-alike": "http://ch\N{CYRILLIC SMALL LETTER A}t.example",
        "trailing dot": "http://chat.example.",
        "port that is none": "http://chat.example:http",
        "bracket": "http://[chat.example",
    }.items(),
    ids=lambda case: case[0],
)
def test_pages_of_another(origin: tuple[str, str]) -> None:
    assert not may("chat.example", origin[1])
    assert not may("chat.example", origin[1], allowed=("http://chat.example",))


def test_several_origins_are_none() -> None:
    assert not may("chat.example", "http://chat.example", "http://chat.example")
    assert may("chat.example", "http://a.example", "null", allowed=("*",))


def test_those_that_are_named() -> None:
    allowed = ("https://a.example", "http://b.example:8080", "capacitor://localhost")
    assert may("x", "https://a.example:443", allowed=allowed)
    assert may("x", "http://b.example:8080", allowed=allowed)
    assert may("x", "capacitor://localhost", allowed=allowed)
    assert not may("x", "http://a.example", allowed=allowed)
    assert not may("x", "null", allowed=allowed)


@pytest.mark.parametrize("local", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_names_that_were_made_to_mean_this_machine(local: str) -> None:
    """DNS rebinding: the attacker's page is of the attacker's name, and so is our Host."""
    assert not may("evil.example:15674", "http://evil.example:15674", local=local)
    assert not may("localhost.evil.example", "http://localhost.evil.example", local=local)
    assert not may("evil-localhost", "http://evil-localhost", local=local)
    assert not may("192.0.2.7", "http://192.0.2.7", local=local)
    assert may("evil.example:15674", "http://evil.example:15674", local=local, allowed=("http://evil.example:15674",))
    assert may("x.example", "http://x.example", local=local, allowed=("*",))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "chat.localhost"])
def test_names_that_can_only_mean_this_machine(host: str) -> None:
    assert may(f"{host}:15674", f"http://{host}:15674", local="127.0.0.1")


def test_loopback() -> None:
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("::ffff:192.0.2.1")
    assert not is_loopback("")
