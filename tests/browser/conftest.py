"""Fixtures of the tests in a browser: a broker that serves the chat, and browsers to visit it with."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chromium
import pytest
from harness.certificates import tls_table

TESTS = Path(__file__).resolve().parents[1]
EXAMPLE = TESTS.parent / "examples" / "chat"
sys.path.insert(0, str(EXAMPLE))
sys.path.append(str(chromium.DIRECTORY))

import pages
from harness.broker import Broker

if TYPE_CHECKING:
    from chatter import Chatter
    from playwright.sync_api import Browser

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module")
def serve_chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Broker]]:
    """Start a broker that serves the chat, with further settings of `[websocket]` if wanted."""
    try:
        pages.put_together()
    except pages.Missing as missing:
        pytest.skip(str(missing))
    running: list[Broker] = []

    def start(**websocket: Any) -> Broker:
        config = {
            "listen": ["ws://127.0.0.1:0", "wss://127.0.0.1:0", "tcp://127.0.0.1:0"],
            "drain_timeout": 0.5,
            "websocket": {"pages": str(pages.PAGES), **websocket},
            "tls": tls_table(),
            "topics": tomllib.loads((EXAMPLE / "chat.toml").read_text())["topics"],
        }
        running.append(Broker(tmp_path_factory.mktemp("chat"), config))
        return running[-1]

    yield start
    for broker in running:
        if broker.process.poll() is None:
            broker.stop()


@pytest.fixture
def chat(serve_chat: Callable[..., Broker]) -> Iterator[Broker]:
    """The broker of a test, whose rooms remember nothing of another one."""
    broker = serve_chat()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; each person gets a context of its own in it, which shares nothing with the others."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium.program(), args=list(chromium.FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def enter(browser: Browser, chat: Broker) -> Iterator[Callable[..., Chatter]]:
    """Let somebody enter the chat, at `url` if that is not the shared one; nothing may fail in any page.

    `script` runs in every page of that person before those of the page.
    """
    from chatter import Chatter

    everybody: list[Chatter] = []

    def come(name: str, *, room: str = "", url: str = "", script: str = "", **options: Any) -> Chatter:
        context = browser.new_context(**{**DESK, **options})
        context.add_init_script(script)
        url = url or f"http://127.0.0.1:{chat.ports['ws']}/"
        everybody.append(Chatter(context.new_page(), url, name, room=room))
        return everybody[-1]

    yield come
    faults = {person.name: person.faults for person in everybody if person.faults}
    for person in everybody:
        person.page.context.close()
    assert not faults
