"""Cron expressions, in local time."""

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
