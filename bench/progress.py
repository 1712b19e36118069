"""What a long run shows while it runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from fastbroker.bench.events import Progress as Event


class Bar(AbstractContextManager["Bar"]):
    """What runs, how far it is, and how long it will still take. Without a terminal: a line for each turn."""

    def __init__(self, total: int, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _TimeLeft())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("", total=total)
        self._title = ""

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, title: str) -> None:
        """Another turn begins."""
        self._title = title
        self._progress.update(self._task, description=title)

    def event(self, event: Event) -> None:
        """The generator has told how far it is."""
        self._progress.update(self._task, description=f"{self._title}, {event.phase}")

    def end(self, text: str, failed: bool) -> None:
        """The turn has ended; what failed is worth a line at any time."""
        self._progress.advance(self._task)
        if failed or not self._console.is_terminal:
            style = "red" if failed else "default"
            self._console.print(f"{self._title}: {text}", style=style, markup=False, highlight=False, soft_wrap=True)


class _TimeLeft(ProgressColumn):
    """Turns take about as long as each other, if one does not look too closely."""

    def render(self, task: Task) -> Text:
        if not task.total or not task.completed or task.elapsed is None:
            return Text("")
        left = task.elapsed / task.completed * (task.total - task.completed)
        return Text(f"{timedelta(seconds=round(left))} left", style="progress.remaining")
