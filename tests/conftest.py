"""Fixtures of all tests that talk to a real broker process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from harness.broker import Broker
from harness.client import Client
from harness.frames import unique
from harness.transports import CLIENTS
from hypothesis import settings

# What is tried at random is tried a hundred times, or what a test makes of that; far more often in `make soak`, and
# less often where each time is slow, as in the builds with checks.
settings.register_profile("suite", deadline=None)
settings.register_profile("soak", settings.get_profile("suite"), max_examples=5000)
settings.register_profile("checked", settings.get_profile("suite"), max_examples=40)
settings.load_profile("suite")


def pytest_configure() -> None:
    # No test writes into the directory of whoever runs it: a broker that is not told another one does not start.
    os.environ["XDG_DATA_HOME"] = os.devnull
    os.environ.pop("STATE_DIRECTORY", None)
    # Whoever runs the tests in the background, or with nohup, has them ignored; and what the tests start inherits that.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker with default settings that most tests share."""
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def broker_with(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Broker]]:
    """Start a broker with other settings; the tests of a module that ask for the same settings share one."""
    running: dict[str, Broker] = {}

    def start(**config: Any) -> Broker:
        key = json.dumps(config, sort_keys=True)
        if key not in running:
            running[key] = Broker(tmp_path_factory.mktemp("broker"), config)
        return running[key]

    yield start
    with ExitStack() as stack:
        for broker in running.values():
            stack.callback(broker.stop)


@pytest.fixture
def transport() -> str:
    """How clients reach the broker. The protocol tests run over every transport."""
    return "tcp"


@pytest.fixture
def dial(request: pytest.FixtureRequest, transport: str) -> Iterator[Callable[..., Client]]:
    """Open a connection to the shared broker, or to the broker `to`; it is closed when the test ends."""
    with ExitStack() as stack:

        def connect(*, to: Broker | None = None, receive_buffer: int = 0) -> Client:
            broker = to or request.getfixturevalue("broker")
            return stack.enter_context(closing(CLIENTS[transport](broker, receive_buffer=receive_buffer)))

        yield connect


@pytest.fixture
def talk(dial: Callable[..., Client]) -> Callable[..., Client]:
    """Open a connection and log in."""

    def connect(version: str = "1.2", *headers: str, to: Broker | None = None, receive_buffer: int = 0) -> Client:
        client = dial(to=to, receive_buffer=receive_buffer)
        client.login(version, *headers)
        return client

    return connect


@pytest.fixture
def publish(talk: Callable[..., Client]) -> Callable[..., None]:
    """Send a message to the shared broker over a connection of its own, and wait for the RECEIPT."""
    client = talk()
    return client.publish


@pytest.fixture
def queue() -> str:
    """A queue that no other test uses."""
    return unique("/queue/test.")


@pytest.fixture
def topic() -> str:
    """A topic that no other test uses."""
    return unique("/topic/test.")
