"""The tools of the micro benchmarks: what counts mean, what is said of a change, whether kernels do what they claim."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from bench.micro import baseline, callgrind, instructions, kernels, streams, times
from bench.micro.baseline import Baseline, Build, Change, Verdict
from bench.micro.counting import Counted, count
from bench.micro.turns import Turns, acknowledge, ping, send

BUILD = Build("GCC 12", "x86_64", "glibc 2.36", "3.11.7", "3.3.1", "valgrind-3.19.0")
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")

WRITTEN = """\
# callgrind format
events: Ir
fl=(1) csrc/parser.c
fn=(7) __pyx_f_10fastbroker_4core_6parser_6Parser_next
12 100
+3 20
cfi=(2)
cfn=(8) __memcpy_avx_unaligned_erms
calls=5 0
* 75
* 1
fn=(8)
0 75
fn=(9) main
calls=0 12
0 196
fn=(7)
-2 4
totals: 200
"""


def kept(counts: dict[str, float], build: Build = BUILD) -> Baseline:
    return Baseline("2025-01-31", "-O3", build, counts)


# ---- what callgrind writes ----


def test_total() -> None:
    assert callgrind.total(WRITTEN) == 200


def test_a_process_that_was_killed_has_written_no_total() -> None:
    with pytest.raises(ValueError, match="no totals"):
        callgrind.total(WRITTEN.partition("totals")[0])


def test_a_function_is_not_charged_for_those_it_called() -> None:
    assert callgrind.by_function(WRITTEN) == {"parser.Parser.next": 125, "__memcpy_avx_unaligned_erms": 75}


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__pyx_f_10fastbroker_4core_6broker_6Broker_route_of", "broker.Broker.route_of"),
        ("__pyx_f_10fastbroker_4core_6parser_6Parser__skip_eols", "parser.Parser._skip_eols"),
        ("__pyx_f_10fastbroker_4core_4trie_find_edge", "trie.find_edge"),
        ("__pyx_pw_5micro_8Queueing_3deliver_and_settle", "micro.Queueing.deliver_and_settle"),
        ("outbuf_make_room", "outbuf_make_room"),
    ],
)
def test_names_are_those_of_the_source(symbol: str, name: str) -> None:
    assert callgrind.readable(symbol) == name


# ---- verdicts ----


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (None, 100, Verdict.NEW),
        (100, 100, Verdict.SAME),
        (100, 100.9, Verdict.SAME),
        (100, 99.1, Verdict.SAME),
        (100, 98.9, Verdict.FEWER),
        (100, 101.1, Verdict.MORE),
        (1000, 1029.9, Verdict.MORE),
        (1000, 1030.1, Verdict.TOO_MANY),
    ],
)
def test_verdict(before: float | None, now: float, verdict: Verdict) -> None:
    assert Change("parse-ack", before, now).verdict is verdict


def test_kernels_that_are_new_or_gone_are_no_change() -> None:
    changes = baseline.changes(kept({"gone": 10, "parse-ack": 100}), {"parse-ack": 98, "new": 5})
    assert [(each.name, each.verdict) for each in changes] == [("parse-ack", Verdict.FEWER), ("new", Verdict.NEW)]
    assert baseline.changes(None, {"new": 5}) == [Change("new", None, 5)]


# ---- the file ----


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    assert baseline.read(file) is None
    baseline.write(kept({"parse-ack": 578.23}), file)
    assert baseline.read(file) == kept({"parse-ack": 578.23})
    assert file.read_text().endswith("}\n")


def test_a_file_that_is_no_baseline_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    file.write_text('{"date": "today"}')
    with pytest.raises(ValueError, match="flags"):
        baseline.read(file)


def test_the_committed_baseline_is_one() -> None:
    committed = baseline.read(baseline.COMMITTED)
    assert committed
    assert set(committed.instructions) == set(kernels.KERNELS)


def test_the_documented_costs_are_those_of_the_baseline() -> None:
    text = (ROOT / "docs" / "messaging.md").read_text()
    rows = dict(re.findall(r"^\| `((?:turn|feature)-[\w.-]+)` \|.*\| ([\d,]+) \|$", text, re.MULTILINE))
    committed = baseline.read(baseline.COMMITTED)
    assert committed
    assert {name for name in kernels.KERNELS if name.startswith("feature-")} <= set(rows)
    for name, shown in rows.items():
        assert int(shown.replace(",", "")) == pytest.approx(committed.instructions[name], rel=0.01), name


def test_counting_a_few_keeps_the_others() -> None:
    merged = baseline.merged(kept({"parse-ack": 1, "route-one": 2}), kept({"parse-ack": 3}))
    assert merged.instructions == {"parse-ack": 3, "route-one": 2}
    assert baseline.merged(None, kept({"parse-ack": 3})).instructions == {"parse-ack": 3}


def test_counts_of_different_builds_are_not_mixed() -> None:
    other = Build("GCC 13", "x86_64", "glibc 2.36", "3.11.7", "3.3.1", "valgrind-3.19.0")
    assert other.differences(BUILD) == ["compiler: GCC 13, was GCC 12"]
    with pytest.raises(ValueError, match="another build"):
        baseline.merged(kept({"parse-ack": 1}), kept({"route-one": 3}, other))


def test_how_a_module_was_made_is_found_in_it() -> None:
    gcc, clang = b"\0GCC: (Debian 12.2.0-14) 12.2.0\0", b"\0Debian clang version 14.0.6\0"
    assert baseline.compiler_of(gcc + b"\0_cython_3_3_1\0" + gcc) == "GCC: (Debian 12.2.0-14) 12.2.0"
    assert baseline.compiler_of(gcc + clang) == "Debian clang version 14.0.6, GCC: (Debian 12.2.0-14) 12.2.0"
    assert baseline.cython_of(b"\0_cython_3_3_1.generator\0") == "3.3.1"
    assert (baseline.compiler_of(b""), baseline.cython_of(b"")) == ("unknown", "unknown")


def test_flags_name_no_directory_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-ffile-prefix-map=/somewhere=. -fno-plt")
    assert baseline.flags(["-O3"]).endswith("-fno-plt -O3")
    assert "/" not in baseline.flags([])


# ---- the command, with counts that are made up ----


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs it; `counts` is what callgrind is said to have counted."""
    monkeypatch.setattr(instructions.baseline, "build_of", lambda extension, valgrind: BUILD)
    monkeypatch.setattr(instructions.shutil, "which", lambda program: sys.executable)

    def run(counts: dict[str, float], *arguments: str) -> Result:
        counted = [Counted(name, value, [("parser.Parser.next", value / 2)]) for name, value in counts.items()]
        monkeypatch.setattr(instructions, "count", lambda valgrind, names: iter(counted))
        return CliRunner().invoke(instructions.main, ["--baseline", str(tmp_path / "counts.json"), *arguments])

    return run


def test_without_a_baseline_there_is_nothing_to_compare(command) -> None:
    result = command({"parse-ack": 100})
    assert result.exit_code == 0, result.output
    assert "no baseline" in result.output


def test_the_status_tells_that_something_takes_too_many(command) -> None:
    assert command({"parse-ack": 100, "route-one": 50}, "--save").exit_code == 0
    assert command({"parse-ack": 102, "route-one": 50}).exit_code == 0
    result = command({"parse-ack": 104, "route-one": 40})
    assert result.exit_code == 1
    assert "2 of 2 changed by more than 1%" in result.output
    assert "Over 3% more: parse-ack." in result.output
    assert "+4.0%" in result.output
    assert "-20.0%" in result.output


def test_a_worse_baseline_can_be_saved(command) -> None:
    command({"parse-ack": 100, "route-one": 50}, "--save")
    assert command({"parse-ack": 200}, "--only", "parse-*", "--save").exit_code == 0
    assert command({"parse-ack": 200, "route-one": 50}).exit_code == 0


def test_another_compiler_is_reported_and_not_a_failure(command, tmp_path: Path) -> None:
    other = Build("GCC 13", "x86_64", "glibc 2.36", "3.11.7", "3.3.1", "valgrind-3.19.0")
    baseline.write(kept({"parse-ack": 50}, other), tmp_path / "counts.json")
    result = command({"parse-ack": 100})
    assert result.exit_code == 0
    assert "compiler: GCC 12, was GCC 13" in result.output


def test_functions_are_shown_on_demand(command) -> None:
    assert "Parser.next" not in command({"parse-ack": 100}).output
    assert "Parser.next" in command({"parse-ack": 100}, "--hot", "1").output


def test_without_valgrind_it_says_so(command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions.shutil, "which", lambda program: None)
    result = command({"parse-ack": 100})
    assert result.exit_code == 2
    assert "valgrind" in result.output


def test_a_kernel_that_does_not_exist(command) -> None:
    result = command({}, "--only", "parse-nonsense")
    assert result.exit_code == 2
    assert "parse-ack" in result.output


# ---- times ----


def benchmark(name: str, **extra_info: object) -> SimpleNamespace:
    stats = SimpleNamespace(median=0.003, min=0.002)
    return SimpleNamespace(fullname=f"test_core.py::{name}", name=name, stats=stats, extra_info=extra_info)


def test_times_are_those_of_one_operation() -> None:
    [one] = times.timed([benchmark("test_kernel[parse-ack]", operations=1000), benchmark("test_other")], {})
    assert one.line().split() == ["0.33", "3000.0", "2000.0", "parse-ack"]


def test_the_change_is_that_of_the_best() -> None:
    saved = {"test_core.py::test_match": {"stats": {"min": 0.001, "median": 0.003}, "extra_info": {"operations": 250}}}
    [one] = times.timed([benchmark("test_match", operations=1000, subscriptions=7)], saved)
    assert one.line().split(maxsplit=5) == [
        "0.33",
        "3000.0",
        "2000.0",
        "4000.0",
        "-50.0%",
        "test_match, 7 subscriptions",
    ]


def test_what_was_compared_with_is_named() -> None:
    assert "0001_before.json" in times.compared_with({Path("machine/0001_before.json"): {}})
    assert "bench-micro-save" in times.compared_with({})


# ---- the kernels ----


def uncounted(function, *arguments: object) -> None:
    function(*arguments)


@pytest.mark.parametrize(
    ("prepare", "messages"),
    [
        (send(streams.PLAIN * 500), 500),
        (send(streams.PLAIN * 300, 10, version=b"1.0"), 3000),
        (send(streams.fresh(streams.PLAIN, 20, b"receipt")), 20),
        (send(streams.QUEUED * 10), 10),
        (acknowledge(streams.QUEUED * 600), 600),
        (ping(streams.PLAIN), 1),
    ],
)
def test_a_turn_delivers_everything(prepare, messages: int) -> None:
    turns = Turns(uncounted)
    run = prepare(turns)
    run(1)
    run(2)
    stats = turns.hub.stats()
    assert stats["messages_out"] == 3 * messages
    assert (stats["messages"], stats["deliveries"], stats["dropped"]) == (0, 0, 0)


def test_fresh_heads_all_differ() -> None:
    heads = {frame.partition(b"\n\n")[0] for frame in streams.fresh(streams.COUNTED, 500).split(b"\0\n")[:-1]}
    assert len(heads) == 500


def test_every_kernel_has_a_name_of_its_own() -> None:
    assert len(kernels.KERNELS) == len(kernels.TIMED) + len(kernels.TURNS) + len(kernels.FEATURES)


@pytest.mark.skipif(SANITIZED, reason="valgrind and the sanitizers want the same memory")
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_callgrind_counts_a_kernel() -> None:
    [parsing] = count(shutil.which("valgrind"), ["parse-ack"])
    assert parsing.name == "parse-ack"
    assert 50 < parsing.instructions < 50_000  # of one frame; a debug build takes many
    assert sum(own for _, own in parsing.functions) == pytest.approx(parsing.instructions, rel=0.001)
    assert "parser.Parser.next" in dict(parsing.functions)
