"""Plots of results: how many, with the range of the runs, and how long, as percentile curves.

Needs matplotlib, which `pip install "fastbroker[plot]"` brings; nobody imports this before a plot is asked for.
"""

import io
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fastbroker.bench.latency import curve
from fastbroker.bench.load import Load
from fastbroker.bench.metrics import METRICS, rate, spread, time_us
from fastbroker.bench.result import Machine, Report, Result
from fastbroker.bench.table import LATENCIES, by_scenario

# Inches.
WIDTH, HEAD, BETWEEN, BAR, CURVES = 9.0, 0.85, 0.85, 0.3, 3.2
# Room beside the plots: for names, for the last number of a bar, for what the curves are.
LEFT, RIGHT, LEGEND = 1.8, 0.4, 2.2
DPI = 150
# Light enough for print; curves differ in their dashes too, for where there is no colour.
FILL, EDGE, INK, PALE, GRID = "#b7d3e9", "#4a7fa7", "#333333", "#777777", "#e3e3e3"
LINES = ("#2b6ca3", "#dd8452", "#55a868", "#8c6bb1", "#a3774f", "#c44e52", "#6b6b6b", "#3fa7a7")
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": "#999999",
    "xtick.color": INK,
    "ytick.color": INK,
    # A server may call itself what it likes, and no formula comes of it.
    "text.parse_math": False,
    "svg.hashsalt": "fastbroker",
}
RATES = {
    "messages delivered a second": "deliveries_per_s",
    "messages sent a second, nobody subscribes": "sends_per_s",
    "operations a second": "operations_per_s",
}
TIMES = {
    "message": "time from when a message was due to its arrival, or of a round trip",
    "receipt": "time from a frame to its receipt",
    "login": "time from opening a connection to CONNECTED",
}
# As HDR plots have them: each step to the right leaves a tenth of the messages.
SHARES = {1: "0 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10**4: "99.99 %", 10**5: "99.999 %", 10**6: "99.9999 %"}


class NothingToDraw(Exception):
    """No run has a rate or a latency."""


class Panel(NamedTuple):
    """One of the plots that stand above each other."""

    height: float
    right: float
    draw: Callable[[Axes], None]


def save_png(report: Report, file: Path) -> None:
    """Write the plots as an image. Raises NothingToDraw."""
    with mpl.rc_context(STYLE):
        figure(report).savefig(file, format="png", dpi=DPI)


def as_svg(report: Report) -> str:
    """The plots as an element for a page; nothing if there is nothing to draw."""
    if not _panels(report):
        return ""
    with mpl.rc_context(STYLE), io.StringIO() as text:
        figure(report).savefig(text, format="svg", metadata={"Date": None})
        # What stands before the element is for a file of its own.
        return text.getvalue()[text.getvalue().index("<svg") :]


def figure(report: Report) -> Figure:
    """All plots of a report, above each other."""
    panels = _panels(report)
    if not panels:
        raise NothingToDraw("there is no rate and no latency to draw")
    height = HEAD + sum(panel.height + BETWEEN for panel in panels)
    drawn = Figure(figsize=(WIDTH, height))
    _put_title(drawn, report, height)
    top = height - HEAD
    for panel in panels:
        box = (LEFT / WIDTH, (top - panel.height) / height, 1 - (LEFT + panel.right) / WIDTH, panel.height / height)
        panel.draw(drawn.add_axes(box))
        top -= panel.height + BETWEEN
    return drawn


def _panels(report: Report) -> list[Panel]:
    return [*_rate_panels(report.results), *_latency_panels(report.results)]


def _put_title(drawn: Figure, report: Report, height: float) -> None:
    names = ", ".join(dict.fromkeys(result.server.name for result in report.results))
    drawn.text(0.02, 1 - 0.22 / height, names, fontsize=12, fontweight="bold", va="center")
    drawn.text(0.02, 1 - 0.46 / height, _where(report.machine), fontsize=8, color=PALE, va="center")


def _where(machine: Machine) -> str:
    memory = f"{machine.memory / 2**30:.0f} GiB"
    system = f"{machine.system} {machine.kernel}"
    return f"{machine.processor}, {machine.cores} cores, {memory}, {system}, {machine.date[:10]}"


# ---- how many ----


def _rate_panels(results: Sequence[Result]) -> list[Panel]:
    groups = {title: _with_rate(results, metric) for title, metric in RATES.items()}
    return [
        Panel(BAR * len(runs) + 0.1, RIGHT, partial(draw_rates, title=title, metric=RATES[title], groups=runs))
        for title, runs in groups.items()
        if runs
    ]


def _with_rate(results: Sequence[Result], metric: str) -> dict[str, list[Result]]:
    """The scenarios that are drawn by this rate, where it was found out and not given."""
    groups = by_scenario(results).items()
    return {name: runs for name, runs in groups if spread(runs, metric) and _rate_of(runs[0].load) == metric}


def _rate_of(load: Load) -> str:
    if load.rate:
        return ""
    if load.kind != "flow":
        return "operations_per_s"
    return "deliveries_per_s" if load.subscribers else "sends_per_s"


def draw_rates(axes: Axes, title: str, metric: str, groups: dict[str, list[Result]]) -> None:
    """A bar for each group: its median, with a line from the lowest of its runs to the highest."""
    spreads = [found for runs in groups.values() if (found := spread(runs, metric))]
    rows = range(len(spreads))
    axes.barh(rows, [each.median for each in spreads], height=0.62, color=FILL, edgecolor=EDGE, linewidth=0.6)
    for row, each in zip(rows, spreads, strict=True):
        if each.high > each.low:
            axes.plot([each.low, each.high], [row, row], color=INK, linewidth=1.2, solid_capstyle="butt")
        axes.annotate(
            METRICS[metric].written(each.median),
            (each.high, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    axes.set_yticks(rows, [_label(name, runs) for name, runs in groups.items()])
    axes.set_ylim(len(spreads) - 0.4, -0.6)
    axes.set_xlim(0, max(each.high for each in spreads) * 1.12)
    axes.set_title(title, loc="left")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _at: _round(rate(value))))
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    _clean(axes, "left")


# ---- how long ----


def _latency_panels(results: Sequence[Result]) -> list[Panel]:
    groups = {kind: _with_latency(results, kind) for kind in LATENCIES}
    return [
        Panel(CURVES, LEGEND, partial(draw_latencies, what=LATENCIES[kind], groups=curves))
        for kind, curves in groups.items()
        if curves
    ]


def _with_latency(results: Sequence[Result], kind: str) -> dict[str, list[str]]:
    found = {
        _label(name, runs): [latency.histogram for run in runs if (latency := getattr(run, kind)) and not run.failures]
        for name, runs in by_scenario(results).items()
    }
    return {name: histograms for name, histograms in found.items() if histograms}


def draw_latencies(axes: Axes, what: str, groups: dict[str, list[str]]) -> None:
    """A curve for each group of histograms: which share of all was at most how late."""
    styles = zip(cycle(LINES), cycle(DASHES), strict=False)
    furthest = 10.0
    for (name, histograms), (colour, dashes) in zip(groups.items(), styles, strict=False):
        points = list(curve(histograms))
        furthest = max(furthest, points[-1][0])
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=dashes, linewidth=1.4, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1, furthest)
    axes.xaxis.set_major_locator(FixedLocator([share for share in SHARES if share <= furthest]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _at: SHARES[round(value)]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: _round(time_us(value))))
    axes.set_xlabel("percentile")
    axes.set_title(TIMES[what], loc="left")
    axes.grid(color=GRID, linewidth=0.6)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8.5, handlelength=2.6)
    _clean(axes)


def _label(name: str, runs: Sequence[Result]) -> str:
    return f"{name} (not valid)" if any(run.invalid for run in runs) else name


def _round(written: str) -> str:
    """A number on an axis, which is a round one: without the zeros behind the point."""
    number, blank, unit = written.partition(" ")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + blank + unit


def _clean(axes: Axes, *sides: str) -> None:
    for side in ("top", "right", *sides):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
