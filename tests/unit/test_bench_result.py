"""What counts mean, and the file that keeps it."""

import json

import msgspec
import pytest

from fastbroker.bench.evaluate import Used, fill_in
from fastbroker.bench.events import Measured
from fastbroker.bench.latency import latency
from fastbroker.bench.load import Load
from fastbroker.bench.machine import in_words, machine
from fastbroker.bench.metrics import METRICS, cost, rate, share, size, spread, time_us
from fastbroker.bench.result import FORMAT, Method, Report, Result, Server, Totals, UnknownFormat, read, write
from fastbroker.bench.table import problems, tables

SERVER = Server(name="some/1.0", host="127.0.0.1", port=61613)


def result(load=None, name="flood-1-1", **fields):
    return Result(scenario=name, server=SERVER, load=load or Load(), **fields)


def measured(**fields):
    counts = dict.fromkeys(("sends", "deliveries", "receipts", "operations"), 0)
    return Measured(
        **{
            **counts,
            "seconds": 2.0,
            "cpu_seconds": 1.0,
            "totals": Totals(),
            "frame_bytes": 150,
            "hung_up": 0,
            "reconnects": 0,
            "first_turned_away": "",
            "blocked_seconds": 0.5,
            "accept_seconds": 0.0,
            "deliver_seconds": 0.0,
            "first_seconds": 0.0,
            "histograms": {},
            **fields,
        }
    )


def report(*results):
    method = Method(repeat=1, core=None, own_server=True, text="in some way")
    return Report(machine=machine(), method=method, results=list(results))


# ---- what counts mean ----


def test_rates_and_costs():
    used = Used(cpu_seconds=0.5, memory_before=1, memory_peak=1000, memory_at_end=900)
    found = fill_in(result(Load(subscribers=2)), measured(sends=1000, deliveries=2000), used)
    assert (found.sends_per_s, found.deliveries_per_s, found.receipts_per_s) == (500, 1000, None)
    assert (found.generator_cpu, found.generator_cpu_us_per_message) == (0.5, 500)
    assert (found.server_cpu, found.server_cpu_us_per_message) == (0.25, 250)
    assert (found.server_memory_peak, found.server_memory_per_connection) == (1000, None)
    assert (found.blocked, found.failures, found.invalid) == (0.25, [], "")


def test_without_subscribers_costs_are_those_of_a_message_sent():
    found = fill_in(result(Load(subscribers=0)), measured(sends=1000), Used(cpu_seconds=0.5))
    assert found.server_cpu_us_per_message == 500


def test_elsewhere_costs_are_those_of_an_operation():
    found = fill_in(result(Load(kind="ping")), measured(sends=10, deliveries=10, operations=10), Used(cpu_seconds=1))
    assert (found.operations_per_s, found.server_cpu_us_per_message) == (5, 1e5)


def test_idle_connections_have_memory():
    used = Used(memory_before=1000, memory_peak=6000, memory_at_end=5000)
    found = fill_in(result(Load(kind="idle", connections=4)), measured(), used)
    assert (found.server_memory_per_connection, found.failures) == (1000, [])


@pytest.mark.parametrize(
    ("totals", "failure"),
    [
        (Totals(due=1000, lost=3), "3 of 1,000 messages were lost"),
        (Totals(duplicated=1), "1 messages came more than once"),
        (Totals(disordered=2), "2 messages came out of order"),
        (Totals(corrupt=2), "2 messages came with another body than they were sent with"),
        (Totals(unsent=2), "2 messages were due at this rate, and the server never took them"),
        (Totals(unconfirmed=2), "2 receipts did not come"),
    ],
)
def test_what_goes_wrong_is_a_failure(totals, failure):
    assert fill_in(result(), measured(sends=1, deliveries=1, totals=totals), Used()).failures == [failure]


def test_who_was_turned_away_in_a_storm_is_a_failure():
    counts = {"operations": 10, "hung_up": 1200, "reconnects": 1199}
    reason = {"first_turned_away": "the server hung up on a client"}
    found = fill_in(result(Load(kind="storm", connections=10)), measured(**counts, **reason), Used())
    assert (found.hung_up, found.reconnects) == (1200, 1199)
    assert found.failures == [
        "1,200 times a client was turned away, 1,199 times one came back; the first: the server hung up on a client"
    ]
    assert not fill_in(result(Load(slow=1)), measured(deliveries=1, hung_up=1), Used()).failures


def scheduled(accept_seconds, **fields):
    counts = {"sends": 1000, "deliveries": 1000, "accept_seconds": accept_seconds, "deliver_seconds": 0.5}
    used = Used(cpu_seconds=0.5, memory_before=10_000, memory_peak=510_000)
    return fill_in(result(Load(kind="schedule", messages=1000, delay=5)), measured(**counts, **fields), used)


def test_a_schedule_is_taken_and_delivered_in_times_of_their_own():
    found = scheduled(0.25)
    assert (found.sends_per_s, found.deliveries_per_s, found.failures) == (4000, 2000, [])
    assert (found.server_cpu_us_per_message, found.server_memory_per_message) == (500, 500)


def test_a_drain_is_filled_and_emptied_in_times_of_their_own():
    load = Load(kind="drain", queue=True, messages=1000, receipts=10)
    counts = {"deliveries": 1000, "totals": Totals(sent=1000, due=1000, received=1000)}
    histograms = {"connect": [(1000, 1)]}
    times = {"accept_seconds": 0.25, "deliver_seconds": 0.5}
    found = fill_in(result(load), measured(**counts, **times, histograms=histograms), Used())
    assert (found.sends_per_s, found.deliveries_per_s, found.failures) == (4000, 2000, [])
    assert found.connect is None


@pytest.mark.parametrize("accept_seconds", [0.0, 5.5], ids=["not confirmed", "confirmed too late"])
def test_a_schedule_must_be_taken_before_it_is_due(accept_seconds):
    (failure,) = scheduled(accept_seconds).failures
    assert failure.startswith("the server had not taken all messages when they were due, after 5 s")


def test_what_comes_before_it_is_due_is_a_failure():
    (failure,) = scheduled(0.25, totals=Totals(corrupt=2)).failures
    assert failure == "2 messages came with another body than they were sent with, or before they were due"


def test_a_group_that_is_torn_is_a_failure():
    totals = Totals(disordered=3)
    (failure,) = fill_in(result(Load(groups=2)), measured(deliveries=1, totals=totals), Used()).failures
    assert failure == "3 messages came out of order, or to another consumer than others of their group"


def test_nothing_at_all_is_a_failure():
    (failure,) = fill_in(result(), measured(sends=1), Used()).failures
    assert failure == "nothing came through in the 2 s that were measured, or after"


def test_what_came_after_the_window_was_only_late():
    assert not fill_in(result(), measured(sends=1, totals=Totals(received=1)), Used()).failures


HISTOGRAMS = {"latency": [(10_000, 5)], "receipt": [(20_000, 5)], "send_delay": [(500, 98), (1_100_000, 2)]}


def test_a_late_generator_makes_a_result_invalid():
    found = fill_in(result(Load(rate=10)), measured(deliveries=1, histograms=HISTOGRAMS), Used())
    assert found.invalid == "the generator itself was late: p99 of its send delay is 1.10 ms, more than 1 ms"
    assert found.send_delay_p99_us == pytest.approx(1100, rel=0.001)
    on_time = HISTOGRAMS | {"send_delay": [(500, 100), (1_100_000, 1)]}
    assert not fill_in(result(Load(rate=10)), measured(deliveries=1, histograms=on_time), Used()).invalid


def test_a_flood_has_no_latency_and_cannot_be_late():
    found = fill_in(result(), measured(deliveries=1, histograms=HISTOGRAMS), Used())
    assert (found.latency, found.send_delay_p99_us, found.invalid) == (None, None, "")
    assert found.receipt.count == 5


@pytest.mark.parametrize(
    ("load", "cpu", "bound"), [(Load(), 1.95, True), (Load(), 1.9, False), (Load(rate=1), 2, False)]
)
def test_a_busy_generator_is_told(load, cpu, bound):
    assert fill_in(result(load), measured(deliveries=1, cpu_seconds=cpu), Used()).generator_bound is bound


# ---- numbers as they are written ----


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rate(4_412_345), "4.41 M"),
        (rate(999_600), "1.00 M"),
        (rate(95), "95.0"),
        (time_us(84.12), "84.1 µs"),
        (time_us(1320), "1.32 ms"),
        (time_us(2.5e6), "2.50 s"),
        (size(3175), "3.10 KiB"),
        (size(12), "12 B"),
        (cost(0.0842), "0.0842"),
        (cost(17159), "17,159"),
        (share(0.5), "50%"),
    ],
)
def test_three_digits(written, text):
    assert written == text


def test_every_metric_can_be_asked_for():
    full = result(latency=latency([(1000, 1)]), deliveries_per_s=10.0)
    values = {name: metric.value(full) for name, metric in METRICS.items()}
    assert (values["latency_p50_us"], values["megabytes_per_s"], values["receipt_p50_us"]) == (1, 0.001, None)


def test_one_failed_run_leaves_no_spread():
    runs = [result(deliveries_per_s=rate) for rate in (3.0, 1.0, 2.0)]
    assert spread(runs, "deliveries_per_s") == (2, 1, 3)
    assert spread(runs, "sends_per_s") is None
    runs[0].failures.append("lost")
    assert spread(runs, "deliveries_per_s") is None


def test_tables_have_what_there_is():
    flow = result(sends_per_s=2e6, deliveries_per_s=4e6, generator_cpu=0.99, generator_bound=True)
    ping = result(Load(kind="ping"), "ping", latency=latency([(84_000, 10)]), operations_per_s=1e4)
    many, long = tables([flow, ping])
    assert [column.title for column in many.columns] == ["sent", "delivered", "operations", "generator"]
    assert [[cell.text for cell in row.cells] for row in many.rows] == [
        ["2.00 M", "4.00 M", "", "99%*"],
        ["", "", "10.0 k", ""],
    ]
    assert [(row.name, row.cells[0].text, row.cells[1].text) for row in long.rows] == [("ping", "message", "84.0 µs")]


def test_the_range_has_its_unit_once():
    slow, fast, last = (result(deliveries_per_s=rate) for rate in (4.0e6, 4.2e6, 0.9e6))
    assert tables([slow, fast])[0].rows[0].cells[0] == ("4.10 M", "4.00–4.20 M")
    assert tables([slow, last])[0].rows[0].cells[0].span == "900 k–4.00 M"
    assert tables([slow, slow])[0].rows[0].cells[0].span == "4.00 M"


def test_of_a_scenario_the_worst_run_is_told():
    late = [result(invalid=f"late by {delay}", send_delay_p99_us=delay) for delay in (2000.0, 5000.0, 3000.0)]
    assert problems(late) == ["flood-1-1: not valid: late by 5000.0"]


def test_problems_are_told_once_with_their_places():
    wrong = [result(failures=["x", "x"]), result(name="ping", failures=["x"], invalid="late"), result()]
    assert problems(wrong) == ["flood-1-1, ping: x", "ping: not valid: late"]
    assert [row.wrong for row in tables(wrong)[0].rows] == ["failed", "failed"]


# ---- the file ----


def test_what_is_written_is_read(tmp_path):
    full = report(result(latency=latency([(1000, 1)]), beside=[result(name="other")], failures=["x"]), result())
    write(full, tmp_path / "report.json")
    assert read(tmp_path / "report.json") == full
    assert json.loads((tmp_path / "report.json").read_bytes())["format"] == FORMAT


def test_a_passcode_is_in_no_result():
    assert not {"login", "passcode"} & {field.name for field in msgspec.structs.fields(Server)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is no result of a benchmark"),
        ("{}", "is no result of a benchmark"),
        (f'{{"format": {FORMAT + 1}}}', f"has format {FORMAT + 1}; this program reads format {FORMAT}"),
        (f'{{"format": {FORMAT}}}', "is no result of a benchmark"),
    ],
)
def test_another_file_is_refused(tmp_path, text, complaint):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(UnknownFormat, match=complaint):
        read(tmp_path / "other.json")


def test_the_machine():
    facts = machine()
    assert facts.cores > 0
    assert facts.memory > 2**20
    assert {"fastbroker", "uvloop"} <= set(facts.versions)
    assert facts.processor in in_words(facts)
