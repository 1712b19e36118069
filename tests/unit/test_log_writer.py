"""Lines on their way to a descriptor: nothing that happens to it stops who writes, and what is lost is told."""

import errno
import os
import select
import threading
import time

import pytest
from harness.waiting import DEADLINE, eventually

from fastbroker.log import writer
from fastbroker.log.writer import MOST, Writer

LINE = b"x" * 99 + b"\n"


def note(number):
    return b"lost %d\n" % number


@pytest.fixture
def pipe():
    reader, into = os.pipe()
    yield reader, into
    for descriptor in (reader, into):
        try:
            os.close(descriptor)
        except OSError as error:
            assert error.errno == errno.EBADF, "the test has closed it"


def read(reader, done, gathered=b""):
    """Read until what came is enough."""
    while not done(gathered):
        assert select.select([reader], [], [], DEADLINE)[0], f"only {gathered[-200:]} came"
        gathered += os.read(reader, 1 << 20)
    return gathered


def test_lines_come_in_order(pipe):
    reader, into = pipe
    log = Writer(into, note)
    lines = [b"%d\n" % number for number in range(1000)]
    for line in lines:
        log.write(line)
    log.close()
    assert read(reader, lambda came: came.count(b"\n") == 1000) == b"".join(lines)


def test_a_line_does_not_wait_for_another(pipe):
    reader, into = pipe
    log = Writer(into, note)
    for _ in range(3):
        log.write(LINE)
        assert read(reader, bool) == LINE
        time.sleep(3 * writer.PAUSE)  # it sleeps by now, and must be woken
    log.close()


def test_a_reader_that_stands_still_costs_lines_and_no_time(pipe):
    """What was lost is told where it is missing, as soon as there is room, without another line."""
    reader, into = pipe
    log = Writer(into, note)
    number = 8 * MOST // len(LINE)
    for at in range(number):
        log.write(b"%099d\n" % at)
    came = read(reader, lambda came: told(came) == number)
    assert b"lost" in came
    assert len(came) <= 2 * MOST + (1 << 17), "as much as may wait, be under way, and is in the pipe"
    log.write(b"again\n")
    assert read(reader, lambda came: came.endswith(b"\n")) == b"again\n"
    log.close()


def told(came):
    """The number that the next line has: each that came is the one that was due, but for those told as lost."""
    due = 0
    for line in came.splitlines(keepends=True):
        if line.startswith(b"lost "):
            due += int(line[5:])
        elif line.endswith(b"\n"):
            assert int(line) == due
            due += 1
    return due


def test_the_end_waits_only_a_little_for_a_reader_that_stands_still(pipe, monkeypatch):
    monkeypatch.setattr(writer, "LAST", 0.1)
    reader, into = pipe
    log = Writer(into, note)
    for _ in range(MOST // len(LINE)):
        log.write(LINE)
    log.close()
    assert log._thread.is_alive()
    read(reader, lambda came: not log._thread.is_alive() or len(came) >= MOST // len(LINE) * len(LINE))


def test_a_reader_that_is_gone(pipe):
    reader, into = pipe
    log = Writer(into, note)
    os.close(reader)
    for _ in range(100):
        log.write(LINE)
    log.close()
    assert not log._thread.is_alive()


class Disk:
    """Takes the place of os.write: it has room for so many bytes, and then for none."""

    def __init__(self, monkeypatch, room):
        self.room = room
        self.written = b""
        self.attempts = 0
        monkeypatch.setattr(writer.os, "write", self)

    def __call__(self, _descriptor, some):
        self.attempts += 1
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(some[: self.room])
        self.room -= len(taken)
        self.written += taken
        return len(taken)


def one_by_one(log, disk, *lines):
    for line in lines:
        attempts = disk.attempts
        log.write(line)
        eventually(lambda before=attempts: disk.attempts > before, "it tries")
        time.sleep(2 * writer.PAUSE)


def test_a_full_disk_that_has_room_again(monkeypatch):
    """Nothing is lost but what did not fit, it is told in front of what does, and a line that was torn is ended."""
    disk = Disk(monkeypatch, 15)
    log = Writer(-1, note)
    one_by_one(log, disk, b"one line\n", b"another\n", b"a third\n", b"a fourth\n")
    disk.room = 1000
    one_by_one(log, disk, b"a fifth\n", b"a sixth\n")
    log.close()
    assert disk.written == b"one line\nanothe\nlost 3\na fifth\na sixth\n"


def test_lost_lines_are_not_forgotten_when_they_cannot_be_told(monkeypatch):
    disk = Disk(monkeypatch, 0)
    log = Writer(-1, note)
    one_by_one(log, disk, b"one\n", b"two\n")
    disk.room = 3  # of the note
    one_by_one(log, disk, b"three\n")
    disk.room = 1000
    one_by_one(log, disk, b"four\n")
    log.close()
    assert disk.written == b"los\nlost 3\nfour\n"


def test_what_others_have_made_non_blocking_is_waited_for(pipe):
    reader, into = pipe
    os.set_blocking(into, False)
    log = Writer(into, note)
    number = MOST // len(LINE)
    for _ in range(number):
        log.write(LINE)
    time.sleep(5 * writer.PAUSE)
    assert read(reader, lambda came: len(came) >= number * len(LINE)) == number * LINE
    log.close()


def test_threads_may_write_at_once(pipe):
    reader, into = pipe
    log = Writer(into, note)
    threads = [threading.Thread(target=lambda: [log.write(LINE) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert read(reader, lambda came: came.count(b"\n") == 2000) == LINE * 2000
    for thread in threads:
        thread.join()
    log.close()
