"""The pictures of the report: one colour for each broker, ours in front, numbers where they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import log10
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")  # the others look for a screen

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from PIL import Image

from fastbroker.bench.metrics import Spread

OURS = "fastbroker"
COLOURS = {
    OURS: "#c1121f",
    "relay": "#8d99ae",
    "nats-server": "#2a9d8f",
    "rabbitmq": "#e89005",
    "activemq": "#7b5ea7",
    "artemis": "#b388d9",
    "apollo": "#3a6ea5",
    "coilmq": "#7aa95c",
    "gostomp": "#38a3c9",
    "disk": "#8d99ae",
    # The same over something else than TCP, or with what survives: another shade.
    "fastbroker-unix": "#780000",
    "fastbroker-ws": "#e5383b",
    "fastbroker-tls": "#f28482",
    "fastbroker-wss": "#f7b2ad",
    "rabbitmq-ws": "#f3b23e",
    "rabbitmq-tls": "#f6cf86",
    "rabbitmq-quorum": "#b56a00",
    "activemq-durable": "#7b5ea7",
    "artemis-durable": "#b388d9",
    "jetstream": "#2a9d8f",
}
OTHER = "#555555"
INK, PALE = "#222222", "#dddddd"
WIDTH = 10.0  # inches, which makes the letters right in a README
DPI = 160  # twice what a README shows, for screens that have so many
COLOURS_KEPT = 128  # of the smooth edges nobody misses any, and the file is a third of the size
NAME_HEIGHT = 0.055  # of the height of a panel of percentiles
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "grid.color": "#eeeeee",
}

Form = Callable[[float], str]


@dataclass(frozen=True)
class Dots:
    """One number for each broker, from top to bottom; a text instead says why there is none."""

    title: str
    values: Mapping[str, Spread | str]
    form: Form


@dataclass(frozen=True)
class Percentiles:
    """The latency of each broker at each of `names`, in microseconds."""

    title: str
    names: Sequence[str]
    values: Mapping[str, Sequence[float]]
    form: Form


@dataclass(frozen=True)
class Line:
    """What each broker's cost does along `at`; `knee` is where ours stops being flat."""

    title: str
    label: str
    values: Mapping[str, tuple[Sequence[float], Sequence[Spread]]]
    knee: float | None
    form_at: Form
    form: Form


def colour(broker: str) -> str:
    """The broker's colour, the same in every picture."""
    return COLOURS.get(broker, OTHER)


def short(number: str) -> str:
    """A number as it is at an axis: 10 k, not 10.0 k."""
    return re.sub(r"\.0+(?= |$)", "", number)


def draw_dots(path: Path, panels: Sequence[Dots], columns: int = 3) -> None:
    """A panel for each scenario, a line for each broker, the rate on a logarithmic axis."""
    rows = -(-len(panels) // columns)
    brokers = max(len(panel.values) for panel in panels)
    with _page(path, rows, columns, 0.75 + 0.23 * brokers, sharey=True) as grid:
        for axes, panel in zip(grid, panels, strict=False):
            _dots(axes, panel)


def draw_percentiles(path: Path, panels: Sequence[Percentiles]) -> None:
    """A panel for each scenario, a line for each broker through its percentiles, with its name at the end."""
    with _page(path, 1, len(panels), 3.8, sharey=True) as grid:
        for axes, panel in zip(grid, panels, strict=True):
            _percentiles(axes, panel)
        for axes, panel in zip(grid, panels, strict=True):
            _name_ends(axes, {broker: values[-1] for broker, values in panel.values.items()}, len(panel.names) - 1)


def draw_curves(path: Path, panels: Sequence[Line], columns: int = 3) -> None:
    """A panel for each curve: medians as a line, lowest to highest as a band, the knee as a ring."""
    with _page(path, -(-len(panels) // columns), columns, 2.5) as grid:
        for axes, panel in zip(grid, panels, strict=False):
            _curve(axes, panel)


@contextmanager
def _page(path: Path, rows: int, columns: int, height: float, **options: Any) -> Iterator[list[Axes]]:
    with mpl.rc_context(STYLE):
        figure: Figure
        figure, grid = pyplot.subplots(
            rows, columns, figsize=(WIDTH, rows * height), squeeze=False, layout="constrained", **options
        )
        every = [axes for row in grid for axes in row]
        yield every
        for axes in every:
            if not axes.has_data():
                axes.set_visible(False)
        _save(figure, path)
        pyplot.close(figure)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with BytesIO() as whole:
        # Without the version in it the same numbers give the same file.
        figure.savefig(whole, dpi=DPI, metadata={"Software": None})
        Image.open(whole).convert("RGB").quantize(COLOURS_KEPT).save(path, optimize=True)


def _dots(axes: Axes, panel: Dots) -> None:
    brokers = list(panel.values)
    numbers = [value for value in panel.values.values() if isinstance(value, Spread)]
    low, high = _decades([n.low for n in numbers], [n.high for n in numbers])
    axes.set_xscale("log")
    # Room on the right for the number beside the last dot.
    axes.set_xlim(low, high * (high / low) ** 0.28)
    axes.set_ylim(len(brokers) - 0.4, -0.6)
    for place, (broker, value) in enumerate(panel.values.items()):
        _dot(axes, place, broker, value, panel.form)
    _name_brokers(axes, brokers)
    _decade_ticks(axes, high, panel.form)
    axes.set_title(panel.title)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _dot(axes: Axes, place: int, broker: str, value: Spread | str, form: Form) -> None:
    weight = "bold" if broker == OURS else "normal"
    left = axes.get_xlim()[0]
    if isinstance(value, str):
        axes.annotate(value, (left, place), (4, 0), textcoords="offset points", va="center", color="#999999", size=8.5)
        return
    hue = colour(broker)
    axes.plot([left, value.median], [place, place], color=hue, alpha=0.3, linewidth=4 if broker == OURS else 2)
    axes.plot([value.low, value.high], [place, place], color=hue, linewidth=1.5)
    axes.plot([value.median], [place], "o", color=hue, markersize=8 if broker == OURS else 6)
    axes.annotate(
        form(value.median), (value.high, place), (7, 0), textcoords="offset points", va="center", weight=weight, size=9
    )


def _name_brokers(axes: Axes, brokers: Sequence[str]) -> None:
    axes.set_yticks(range(len(brokers)), brokers)
    axes.tick_params(axis="y", length=0)
    # Only the panels at the left edge have labels.
    for label, broker in zip(axes.get_yticklabels(), brokers, strict=False):
        label.set_color(colour(broker) if broker == OURS else INK)
        label.set_fontweight("bold" if broker == OURS else "normal")


def _decades(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """The powers of ten around the numbers, at least two of them apart."""
    low, high = 1.0, 1.0
    smallest, greatest = min(lows, default=1.0), max(highs, default=10.0)
    while low > smallest:
        low /= 10
    while low * 10 <= smallest:
        low *= 10
    high = low
    while high < greatest:
        high *= 10
    return low, max(high, low * 10)


def _decade_ticks(axes: Axes, high: float, form: Form) -> None:
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: short(form(at)) if at <= high * 1.01 else ""))
    axes.xaxis.set_minor_locator(NullLocator())


def _percentiles(axes: Axes, panel: Percentiles) -> None:
    places = range(len(panel.names))
    for broker, values in panel.values.items():
        ours = broker == OURS
        axes.plot(
            places,
            values,
            "o-",
            color=colour(broker),
            linewidth=2.6 if ours else 1.3,
            markersize=5 if ours else 3.5,
            zorder=3 if ours else 2,
        )
    axes.set_yscale("log")
    axes.set_xticks(places, panel.names)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: short(panel.form(at))))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title(panel.title)
    axes.grid(axis="y")


def _name_ends(axes: Axes, ends: Mapping[str, float], last: int) -> None:
    """Names at the ends of lines, pushed apart where lines end together."""
    bottom, top = (log10(limit) for limit in axes.get_ylim())
    order = sorted(ends, key=lambda broker: ends[broker])
    places = _apart([log10(ends[broker]) for broker in order], (top - bottom) * NAME_HEIGHT, top)
    for broker, place in zip(order, places, strict=True):
        weight = "bold" if broker == OURS else "normal"
        axes.text(last + 0.15, 10**place, broker, va="center", color=colour(broker), weight=weight, size=9)


def _apart(wanted: Sequence[float], gap: float, top: float) -> list[float]:
    """Places at least `gap` apart and not above `top`, as near as that allows to the rising ones that are wanted."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap) if places else place)
    for index in reversed(range(len(places))):
        above = places[index + 1] - gap if index + 1 < len(places) else top
        places[index] = min(places[index], above)
    return places


def _curve(axes: Axes, panel: Line) -> None:
    least = min((at for places, _ in panel.values.values() for at in places if at > 0), default=1.0)
    for broker, (places, spreads) in panel.values.items():
        # Nothing has no place on a logarithmic axis: it is drawn one decade before the first.
        xs = [at or least / 10 for at in places]
        medians = [spread.median for spread in spreads]
        axes.fill_between(xs, [s.low for s in spreads], [s.high for s in spreads], color=colour(broker), alpha=0.18)
        axes.plot(xs, medians, "o-", color=colour(broker), linewidth=2 if broker == OURS else 1.2, markersize=4)
        if len(panel.values) > 1:
            axes.annotate(broker, (xs[-1], medians[-1]), (4, 0), textcoords="offset points", color=colour(broker))
        if broker == OURS and panel.knee is not None:
            _ring(axes, panel.knee, medians[list(places).index(panel.knee)])
    _curve_axes(axes, panel, least)


def _ring(axes: Axes, at: float, cost: float) -> None:
    axes.plot([at], [cost], "o", markersize=12, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.2)


def _curve_axes(axes: Axes, panel: Line, least: float) -> None:
    axes.set_xscale("log")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    places = sorted({at for places, _ in panel.values.values() for at in places})
    axes.set_xticks([at or least / 10 for at in places], [short(panel.form_at(at)) for at in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: short(panel.form(at))))
    axes.set_title(panel.title)
    axes.set_ylabel(panel.label)
    axes.grid(axis="y")
