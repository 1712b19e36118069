"""Where a curve stops being flat, said so that noise does not decide it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# What costs half as much again is no longer the same cost.
LIMIT = 1.5


@dataclass(frozen=True)
class Point:
    """What the runs at one place of a curve have cost."""

    at: float
    costs: tuple[float, ...]

    @property
    def cost(self) -> float:
        """The median of the runs."""
        return median(self.costs)


@dataclass(frozen=True)
class Verdict:
    """How far a curve is flat: to the last point before `knee`, or to its end when there is none."""

    flat_to: Point
    knee: Point | None
    """The first point that costs more than `LIMIT` times `base`."""
    base: Point
    """The cheapest point before the knee; of a flat curve, before the point that costs most beside what came before."""
    ratio: float
    """The cost at the knee over that of the base; of a flat curve, the greatest ratio there is."""


def judge(points: Sequence[Point]) -> Verdict:
    """Finds the first point whose median is above `LIMIT` times the lowest median before it.

    Two things keep noise from being taken for a knee: every run there must cost more than the cheapest point does, and
    the next point, if there is one, must be above the limit too.
    """
    for index in range(1, len(points)):
        base = _cheapest(points[:index])
        if all(_above(point, base) for point in points[index : index + 2]):
            return Verdict(points[index - 1], points[index], base, _ratio(points[index], base))
    return _flat(points)


def _cheapest(points: Sequence[Point]) -> Point:
    return min(points, key=lambda point: point.cost)


def _above(point: Point, base: Point) -> bool:
    return point.cost > LIMIT * base.cost and min(point.costs) > base.cost


def _ratio(point: Point, base: Point) -> float:
    return point.cost / base.cost if base.cost else 1.0


def _flat(points: Sequence[Point]) -> Verdict:
    pairs = [(_cheapest(points[:index]), points[index]) for index in range(1, len(points))]
    base, worst = max(pairs, key=lambda pair: _ratio(pair[1], pair[0]), default=(points[0], points[0]))
    return Verdict(points[-1], None, base, max(1.0, _ratio(worst, base)))
