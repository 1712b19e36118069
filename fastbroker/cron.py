"""Cron expressions: when it is time next, on the clock of the wall that hangs beside the broker."""

from datetime import datetime

from cronsim import CronSim, CronSimError

FIELDS = 5


def next_time(expression: str, after: int) -> int:
    """Milliseconds since 1970 of the first time behind `after` (the same) that five fields name in local time.

    Raises ValueError with what is wrong with them, or if there is no such time within the next 50 years.
    """
    if len(expression.split()) != FIELDS:
        raise ValueError(f"it has {FIELDS} fields: minute, hour, day of the month, month, day of the week")
    try:
        local = datetime.fromtimestamp(after / 1000)  # noqa: DTZ006 - of the clock on the wall, whatever zone that is in
        return round(next(CronSim(expression, local)).timestamp() * 1000)
    except CronSimError as error:
        raise ValueError(str(error)) from None
    except StopIteration:
        raise ValueError("it names no time that will come") from None
