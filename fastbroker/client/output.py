"""Messages as the command `subscribe` prints them."""

import base64
import sys
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from fastbroker.client.frames import Frame


def print_json(message: Frame) -> None:
    """Print one object on one line; a body that is no text stands there in base64."""
    headers: dict[str, str] = {}
    for name, value in message.headers:
        headers.setdefault(name, value)
    _write(orjson.dumps({"headers": headers} | _json_body(message.body)))


def print_text(message: Frame) -> None:
    """Print the body: on a terminal below its headers and made safe, else byte for byte."""
    if not sys.stdout.isatty():
        _write(message.body)
        return
    console = Console()
    headers = "  ".join(f"{name}:{value}" for name, value in message.headers)
    console.print(Text(safe(headers), style="dim"), soft_wrap=True)
    console.print(Text(safe(message.body.decode(errors="backslashreplace"))), soft_wrap=True)


def safe(text: str) -> str:
    """Escape what a terminal would obey; new lines and tabs stay."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else character.encode("unicode_escape").decode()
        for character in text
    )


def _json_body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
