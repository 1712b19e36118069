"""Cron expressions: when it is time next, on the clock of the wall that hangs beside the broker."""

from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim, CronSimError

FIELDS = 5


class Wall(tzinfo):
    """The zone of that clock, which knows when it is set forward and back: cron has rules of its own for these days."""

    def utcoffset(self, when: datetime | None, /) -> timedelta | None:
        """At that time of that clock."""
        return None if when is None else when.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, when: datetime | None, /) -> None:
        """Nobody asks for it, nor for its name."""

    tzname = dst

    def fromutc(self, when: datetime, /) -> datetime:
        """What that clock shows then."""
        return datetime.fromtimestamp(when.replace(tzinfo=UTC).timestamp()).replace(tzinfo=self)  # noqa: DTZ006 - local


WALL = Wall()


def next_time(expression: str, after: int) -> int:
    """Milliseconds since 1970 of the first time behind `after` (the same) that five fields name in local time.

    Raises ValueError with what is wrong with them, or if there is no such time within the next 50 years.
    """
    if len(expression.split()) != FIELDS:
        raise ValueError(f"it has {FIELDS} fields: minute, hour, day of the month, month, day of the week")
    try:
        times = CronSim(expression, datetime.fromtimestamp(after / 1000, WALL))
        return next(time for each in times if (time := round(each.timestamp() * 1000)) > after)
    except CronSimError as error:
        raise ValueError(str(error)) from None
    except StopIteration:
        raise ValueError("it names no time that will come") from None
