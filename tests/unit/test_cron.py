"""Cron expressions, in local time."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from fastbroker.cron import next_time


def at(*parts: int) -> int:
    return round(datetime(*parts).timestamp() * 1000)  # type: ignore[arg-type,misc]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        ("* * * * *", (2026, 11, 29, 12, 0, 30), (2026, 11, 29, 12, 1)),
        ("* * * * *", (2026, 11, 29, 12, 1), (2026, 11, 29, 12, 2)),
        ("0 12 * * *", (2026, 11, 29, 12, 0), (2026, 11, 30, 12, 0)),
        ("30 8 * * 1", (2026, 11, 29, 12, 0), (2026, 11, 30, 8, 30)),
        ("0 0 29 2 *", (2026, 11, 29, 12, 0), (2028, 2, 29, 0, 0)),
    ],
)
def test_the_next_time(expression: str, after: tuple[int, ...], then: tuple[int, ...]) -> None:
    assert next_time(expression, at(*after)) == at(*then)


@pytest.mark.parametrize("expression", ["", "*", "* * * *", "* * * * * *", "60 * * * *", "x * * * *", "0 0 30 2 *"])
def test_what_names_no_time(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        next_time(expression, at(2026, 11, 29))


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("expression", "after", "hours"),
    [
        # On 25 October 2026, 2:00 to 3:00 comes twice.
        ("*/30 * * * *", (2026, 10, 25, 1, 30), [0.5, 1, 1.5, 2, 2.5, 3]),
        ("30 2 * * *", (2026, 10, 25, 0, 30), [2, 27]),
        ("30 * * * *", (2026, 10, 25, 1, 30), [1, 2, 3]),
        # On 29 March 2026 it does not come.
        ("*/30 * * * *", (2026, 3, 29, 1, 0), [0.5, 1, 1.5]),
        ("30 2 * * *", (2026, 3, 29, 0, 0), [2, 25.5]),
    ],
)
def test_when_the_clock_is_set_forward_or_back(expression: str, after: tuple[int, ...], hours: list[float]) -> None:
    """As Debian's cron has it: a job of a certain time comes once a day, one of each hour each hour that passes."""
    start = then = at(*after)
    heard = []
    for _ in hours:
        then = next_time(expression, then)
        heard.append((then - start) / 3_600_000)
    assert heard == hours


@pytest.mark.usefixtures("berlin")
def test_it_is_never_over_already() -> None:
    """In the second of the two hours, too."""
    start = at(2026, 10, 25, 1, 0)
    for minutes in range(180):
        after = start + minutes * 60_000
        assert all(next_time(each, after) > after for each in ("30 2 * * *", "* * * * *", "*/7 2 * * *", "15 * * * *"))
