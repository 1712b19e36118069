"""Plots and the page with them."""

from html.parser import HTMLParser

import pytest

pytest.importorskip("matplotlib")

from fastbroker.bench.latency import latency
from fastbroker.bench.load import Load
from fastbroker.bench.machine import machine
from fastbroker.bench.page import page
from fastbroker.bench.plot import NothingToDraw, as_svg, figure, save_png
from fastbroker.bench.result import Method, Report, Result, Server

PNG = b"\x89PNG\r\n\x1a\n"
LATENCY = latency([(1000 * at, 1000 // at) for at in range(1, 500)])


def result(name, load=None, server="some/1.0", **fields):
    return Result(scenario=name, server=Server(name=server, host="h", port=1), load=load or Load(), **fields)


def report(*results):
    return Report(
        machine=machine(), method=Method(repeat=1, core=None, own_server=True, text="somehow"), results=list(results)
    )


FULL = report(
    result("flood-1-1", deliveries_per_s=4e6),
    result("flood-1-1", deliveries_per_s=5e6),
    result("sink", Load(subscribers=0), sends_per_s=5e6),
    result("ping", Load(kind="ping"), operations_per_s=1e4, latency=LATENCY),
    result("latency-50", Load(rate=2e6), deliveries_per_s=2e6, latency=LATENCY),
    result("connect-rate", Load(kind="connect"), operations_per_s=1e4, connect=LATENCY),
)


class Tags(HTMLParser):
    """Collects what a page consists of, and complains about what is not closed."""

    def __init__(self):
        super().__init__()
        self.seen, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def panels(drawn):
    return {axes.get_title(loc="left"): axes for axes in drawn.axes}


def test_there_is_a_panel_for_each_kind_of_number():
    titles = list(panels(figure(FULL)))
    assert titles[:3] == [
        "messages delivered a second",
        "messages sent a second, nobody subscribes",
        "operations a second",
    ]
    assert len(titles) == 5


def test_a_bar_is_the_median_and_a_given_rate_has_none():
    axes = panels(figure(FULL))["messages delivered a second"]
    assert [bar.get_width() for bar in axes.patches] == [4.5e6]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["flood-1-1"]


def test_machine_and_date_are_in_the_title():
    texts = [text.get_text() for text in figure(FULL).texts]
    assert texts[0] == "some/1.0"
    assert FULL.machine.date[:10] in texts[1]
    assert FULL.machine.processor in texts[1]


def test_png(tmp_path):
    save_png(FULL, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)


def test_a_page_needs_nothing_else():
    tags = Tags()
    tags.feed(page(FULL, as_svg(FULL)))
    assert not tags.open
    kinds = [tag for tag, _ in tags.seen]
    assert (kinds.count("svg"), kinds.count("table")) == (1, 2)
    assert not {"script", "link", "img", "iframe"} & set(kinds)
    assert not [attrs for _, attrs in tags.seen if attrs.get("src") or str(attrs.get("href", "#"))[0] != "#"]


def test_what_a_server_calls_itself_is_not_obeyed():
    name = "<script>$\\frac{$"
    wrong = report(result("flood-1-1", server=name, deliveries_per_s=1.0, failures=["<b>"]), FULL.results[3])
    html = page(wrong, as_svg(wrong))
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;$\\frac{$" in html


def test_a_page_without_plots():
    idle = report(result("idle", Load(kind="idle"), server_memory_per_connection=3000.0))
    html = page(idle, as_svg(idle))
    assert "<svg" not in html
    assert "2.93 KiB" in html


def test_nothing_to_draw():
    with pytest.raises(NothingToDraw):
        figure(report(result("idle", Load(kind="idle"))))
    with pytest.raises(NothingToDraw):
        figure(report(result("flood-1-1", deliveries_per_s=1.0, failures=["lost"])))
