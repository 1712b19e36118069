"""Messages as `subscribe` prints them."""

import json
import sys

import pytest

from fastbroker.client import Frame
from fastbroker.client.output import print_json, print_text, safe


def test_json(capfdbinary):
    print_json(Frame("MESSAGE", [("a", "1"), ("a", "2"), ("b", "ü\n")], "grün\n".encode()))
    line = capfdbinary.readouterr().out
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"headers": {"a": "1", "b": "ü\n"}, "body": "grün\n"}


def test_a_body_that_is_no_text(capfdbinary):
    print_json(Frame("MESSAGE", [], b"\xff\0"))
    assert json.loads(capfdbinary.readouterr().out) == {"headers": {}, "body_base64": "/wA="}


def test_text_for_another_program_is_the_body_alone(capfdbinary):
    print_text(Frame("MESSAGE", [("a", "1")], b"\xff\x1b[31m\0"))
    assert capfdbinary.readouterr().out == b"\xff\x1b[31m\0\n"


def test_text_for_a_person_has_the_headers_and_commands_no_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_text(
        Frame("MESSAGE", [("a", "\x1b]0;x\x07"), ("b", "[bold]:smile:")], b"x\x1b[2J\xff\nsecond\tline" + b"y" * 200)
    )
    headers, first, second = capsys.readouterr().out.splitlines()
    assert headers == "\x1b[2ma:\\x1b]0;x\\x07  b:[bold]:smile:\x1b[0m"
    assert first == "x\\x1b[2J\\xff"
    assert second.split() == ["second", "line" + "y" * 200]


@pytest.mark.parametrize(
    ("text", "shown"), [("grün\n\tx", "grün\n\tx"), ("\r", "\\r"), ("\x9b31m", "\\x9b31m"), ("\u202e", "\\u202e")]
)
def test_safe(text, shown):
    assert safe(text) == shown
