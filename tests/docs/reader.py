"""A reader who does what a page says, from top to bottom, in a directory of their own.

Commands go to a shell, in a directory that looks like a fresh checkout. Those that stay (`STAYS`: a broker, a
subscriber) are left running, as in terminals of their own, until the page starts another broker; what they are shown to
print must have come by then. All others must end, with status 0 unless an error is shown, and print what is shown,
where `...` stands for what varies. The ports are other ones, so that the readers of all pages can work side by side.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import chromium
import pages
from documents import BROWSER, FILE, NOT_RUN, ROOT, Block, Command, blocks, commands
from harness.waiting import DEADLINE, SOON
from python_peers import PEERS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PORTS = ("61613", "61614", "15674", "15673", "8000")
BROKER = re.compile(r"fastbroker serve|make (run|chat)")
STAYS = re.compile(rf"{BROKER.pattern}|fastbroker subscribe(?!.*--count)|worker\.py|http\.server")
READY = "...listening on..."
STOMP_PY = PEERS / "stomp.py-9.0.0"
STOMPJS = "npm install @stomp/stompjs"
# What is fetched from registries: where it is here, and what installs it.
REGISTRIES = {
    "pip install stomp.py": (STOMP_PY, "tests/interop/install_peers.py"),
    STOMPJS: (pages.BUNDLE, "tests/browser/install_browser.py"),
}


class Missing(Exception):
    """This machine has not what a page needs."""


def free_port() -> int:
    """One that nobody has, and that the system gives nobody who asks for any."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def matches(shown: list[str], printed: list[str]) -> bool:
    """Whether this is what was shown; `...` is any text, and in a line of its own any lines."""
    pattern = "".join("(?:.*\n)*" if line == "..." else f"{pattern_of(line)}\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def pattern_of(line: str) -> str:
    """A line that is shown, as an expression."""
    return re.escape(line).replace(r"\.\.\.", ".*")


class Terminal:
    """A command, and what it prints, but for `unsaid`."""

    def __init__(self, command: Command, line: str, unsaid: str, **options: Any) -> None:
        self.command = command
        self._unsaid = unsaid
        self.printed: list[str] = []
        self._news = threading.Condition()
        self._seen = 0
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(line, shell=True, text=True, start_new_session=True, **streams, **options)
        self._reading = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reading.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._news:
                self.printed.append(line.rstrip("\n").replace(self._unsaid, ""))
                self._news.notify_all()

    def wait_line(self, shown: str) -> None:
        """Wait for a line, behind those that were waited for."""
        pattern = re.compile(pattern_of(shown))
        with self._news:
            found = self._news.wait_for(lambda: self._find(pattern), 2 * DEADLINE)
        assert found, f"$ {self.command.line}\nhas not printed\n{shown}\nbut\n{self.text}"

    def _find(self, pattern: re.Pattern[str]) -> bool:
        for at in range(self._seen, len(self.printed)):
            if pattern.fullmatch(self.printed[at]):
                self._seen = at + 1
                return True
        return False

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.printed)

    def wait_end(self) -> None:
        """Wait until it has ended, and compare."""
        self.process.wait(3 * DEADLINE)
        self._reading.join(SOON)
        shown = self.command.shown
        complaint = f"$ {self.command.line}\nended with {self.process.returncode} and printed\n{self.text}"
        assert self.process.returncode == 0 or any(line.startswith("Error: ") for line in shown), complaint
        assert not shown or matches(shown, self.printed), f"{complaint}\ninstead of\n" + "\n".join(shown)

    def end(self) -> None:
        """End it as somebody who closes the terminal would, more or less."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(2 * DEADLINE)
        assert "Traceback" not in self.text, self.text


class Reader:
    """Reads one page; `skipped` says what could not be done on this machine."""

    def __init__(self, page: str, directory: Path) -> None:
        self.page = page
        self.directory = directory
        self.skipped: list[str] = []
        self._ports = {documented: str(free_port()) for documented in PORTS}
        self._running: list[Terminal] = []
        self._closing = ExitStack()
        self._tab: Page | None = None
        for path in ROOT.iterdir():
            if path.name not in (".git", page):
                (directory / path.name).symlink_to(path)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._closing:
            for terminal in self._running:
                if terminal.process.poll() is None:
                    os.killpg(terminal.process.pid, signal.SIGKILL)

    def read(self) -> None:
        """Do all of it."""
        for block in blocks(self.page):
            if block.note == NOT_RUN:
                self._bring(block)
                continue
            try:
                self._do(block)
            except Exception as failure:
                raise AssertionError(f"{block.place}: {failure}") from failure
        self._settle()

    def _do(self, block: Block) -> None:
        text = self._here(block.text)
        if block.note == FILE:
            self._save(block.about, text)
        elif block.language == "console":
            for command in commands(replace(block, text=text)):
                self._type(command)
        elif block.language == "python":
            self._save("snippet.py", text)
            self._type(Command("python snippet.py", []))
        elif block.language == BROWSER:
            self._open(*text.split(" shows: "))

    def _bring(self, block: Block) -> None:
        """What is not fetched from a registry again: it is on this machine, or the page cannot be read to its end."""
        for command, (brought, how) in REGISTRIES.items():
            if command in block.text and not brought.exists():
                raise Missing(f"not on this machine: what `{command}` gets; run python {how}")
        if STOMPJS in block.text:
            self._save("site/stomp.umd.min.js", pages.BUNDLE.read_text())

    def _here(self, text: str) -> str:
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda port: self._ports[port[0]], text)

    def _save(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        assert path.parent.resolve().is_relative_to(self.directory), f"{name} is not the reader's"
        path.write_text(text)

    # ---- the terminal ----

    def _type(self, command: Command) -> None:
        if BROKER.search(command.line):
            self._settle()
        typed, unsaid = self._typed(command.line), f"--url {self._address} "
        terminal = Terminal(command, typed, unsaid, cwd=self.directory, env=self._environment())
        self._running.append(terminal)
        if STAYS.search(command.line):
            terminal.wait_line(command.shown[0] if command.shown else READY)
        else:
            terminal.wait_end()
            self._move_ports()

    def _move_ports(self) -> None:
        """What a command has written speaks of the usual ports, too."""
        for file in self.directory.glob("*.toml"):
            if not file.is_symlink():
                file.write_text(self._here(file.read_text()))

    def _settle(self) -> None:
        """What is left running is closed, the latest first; it has printed what it is shown to."""
        for terminal in reversed(self._running):
            for line in terminal.command.shown[1:] if STAYS.search(terminal.command.line) else ():
                terminal.wait_line(line)
        for terminal in reversed(self._running):
            terminal.end()
        self._running.clear()

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FASTBROKER")}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        return environment | {
            "PATH": programs,
            "FASTBROKER_URL": self._address,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{STOMP_PY}",
            "XDG_DATA_HOME": str(self.directory / "data-home"),
        }

    def _typed(self, line: str) -> str:
        """The default address is said, since it is another one here; what was built is not built again."""
        if line.endswith("fastbroker serve"):
            return f"{line} --listen {self._address}"
        return re.sub(r"^make run$", f"make -o build run ARGS='--listen {self._address} --data-dir data'", line)

    @property
    def _address(self) -> str:
        """What stands in the place of the default address."""
        return f"tcp://127.0.0.1:{self._ports['61613']}"

    # ---- the browser ----

    def _open(self, url: str, shown: str) -> None:
        if why_not := chromium.missing():
            self.skipped.append(why_not)
            return
        if self._tab is None:
            self._tab = self._closing.enter_context(browser()).new_page()
        self._tab.goto(url.replace("file:", f"file://{self.directory}/"))
        self._tab.get_by_text(shown).first.wait_for(timeout=DEADLINE * 1000)


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, for as long as it is entered."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium.program(), args=list(chromium.FLAGS))
        yield launched
        launched.close()
