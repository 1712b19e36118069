"""Threads beside the loop: they do what they are given, the loop hears of it, and nothing is left of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from harness.waiting import DEADLINE

from fastbroker.transports import workers
from fastbroker.transports.workers import Workers

PROCESSORS = 5


def handshake_threads() -> int:
    return sum(thread.name == "handshakes" for thread in threading.enumerate())


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.AbstractEventLoop]:
    monkeypatch.setattr(workers, "processors", lambda: PROCESSORS)
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def results(loop: asyncio.AbstractEventLoop, pool: Workers, pieces: int) -> list[tuple[int, int]]:
    """Of each piece of work its number and its thread, in the order in which the loop heard of them."""
    heard: list[tuple[int, int]] = []
    all_are_there = asyncio.Event()

    def then(result: tuple[int, int]) -> None:
        assert threading.get_ident() == threading.main_thread().ident
        heard.append(result)
        if len(heard) == pieces:
            all_are_there.set()

    async def work() -> None:
        for number in range(pieces):
            pool.run(lambda it=number: (it, threading.get_ident()), then)  # type: ignore[misc]
        await asyncio.wait_for(all_are_there.wait(), DEADLINE)

    loop.run_until_complete(work())
    return heard


def test_the_loop_hears_of_all_that_is_done(loop: asyncio.AbstractEventLoop) -> None:
    pool = Workers(loop)
    heard = results(loop, pool, 200)
    assert sorted(number for number, _ in heard) == list(range(200))
    assert threading.main_thread().ident not in {thread for _, thread in heard}
    pool.close()
    assert handshake_threads() == 0


def test_there_are_no_more_threads_than_work_or_processors(loop: asyncio.AbstractEventLoop) -> None:
    pool = Workers(loop)
    assert handshake_threads() == 0
    for _ in range(3):
        results(loop, pool, 1)
    assert handshake_threads() == 1
    may_end = threading.Event()
    for _ in range(10):
        pool.run(may_end.wait, lambda _: None)
    assert handshake_threads() == PROCESSORS - 2
    may_end.set()
    pool.close()
    assert handshake_threads() == 0


@pytest.mark.parametrize("possible", [0, 1])
def test_where_no_thread_can_be_started_all_is_done_nevertheless(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, possible: int
) -> None:
    start, starts = threading.Thread.start, iter(range(1000))

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "handshakes" and next(starts) >= possible:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    pool = Workers(loop)
    assert len(results(loop, pool, 50)) == 50
    assert handshake_threads() == possible
    pool.close()


@pytest.mark.parametrize("processors", [1, 2])
def test_with_few_processors_the_loop_does_it_between_its_turns(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    monkeypatch.setattr(workers, "processors", lambda: processors)
    pool = Workers(loop)
    turns: list[int] = []
    pool.run(lambda: turns.append(1), lambda _: pool.run(lambda: turns.append(2), lambda _: loop.stop()))
    assert not turns
    loop.run_forever()
    assert turns == [1, 2]
    assert handshake_threads() == 0


def test_what_was_not_begun_is_not_done_at_the_end(loop: asyncio.AbstractEventLoop) -> None:
    pool = Workers(loop)
    began, may_end = threading.Semaphore(0), threading.Event()
    done = []

    def work(number: int) -> None:
        began.release()
        may_end.wait(DEADLINE)
        done.append(number)

    for number in range(10):
        pool.run(lambda it=number: work(it), lambda _: None)  # type: ignore[misc]
    for _ in range(PROCESSORS - 2):
        assert began.acquire(timeout=DEADLINE)
    threading.Timer(0.1, may_end.set).start()
    pool.close()
    assert len(done) == PROCESSORS - 2
    assert handshake_threads() == 0
