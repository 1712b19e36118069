"""Scenarios, and how the command line chooses and changes them."""

import tomllib

import pytest

from fastbroker.bench.choose import HOW, MEANS, WrongChoice, choose, flood
from fastbroker.bench.durability import DURABILITY
from fastbroker.bench.every import EVERY
from fastbroker.bench.load import LEAST_SIZE, Load
from fastbroker.bench.messaging import MESSAGING, SETTINGS
from fastbroker.bench.metrics import METRICS
from fastbroker.bench.options import OPTIONS
from fastbroker.bench.result import Result, Server, Totals
from fastbroker.bench.scenarios import FLOOD, SCENARIOS, USUAL
from fastbroker.bench.series import in_order, sustained

NAMES = """sink flood-1-1 fan-out-10 fan-out-100 fan-out-1000 fan-in-10 fan-in-100 n-n-shared n-n-separate topics-100k
wildcards queue-auto queue-client queue-client-individual queue-credit-1 queue-credit-10 queue-credit-100
competing-consumers receipts-1 receipts-100 receipts-unbounded transactions body-16 body-1k body-16k body-128k body-1m
ping request-reply latency-10 latency-50 latency-80 slow-subscriber firehose-ping connect-rate connect-storm idle
churn"""
MORE = """priority-queue select-topic-1 select-queue-1 select-topic-10 select-queue-10 select-topic-100 select-queue-100
groups replay-100k scheduled-100k scheduled-1m"""

DURABLE = """durable-1-1-receipts-1 durable-1-1-receipts-10 durable-1-1-receipts-100 durable-4-4-receipts-1
durable-4-4-receipts-10 durable-4-4-receipts-100 durable-1-1-receipts-1000 durable-body-16k durable-fan-out-10
durable-drain-100k durable-latency-1k durable-latency-10k"""


def names(scenarios):
    return [scenario.name for scenario in scenarios]


def test_the_scenarios_have_the_names_that_people_know():
    assert list(SCENARIOS) == NAMES.split()
    assert list(MESSAGING) == MORE.split()
    assert list(DURABILITY) == DURABLE.split()
    assert all(name == scenario.name for name, scenario in EVERY.items())


@pytest.mark.parametrize("scenario", EVERY.values(), ids=EVERY)
def test_a_scenario_is_whole(scenario):
    assert scenario.title
    assert set(scenario.measures) <= set(METRICS)
    assert scenario.load.size >= LEAST_SIZE
    assert scenario.load.backlog == 0 or scenario.load.queue


@pytest.mark.parametrize("scenario", EVERY.values(), ids=EVERY)
def test_a_load_sets_nothing_that_means_nothing(scenario):
    default = Load()
    changed = {field for field in Load.__struct_fields__ if getattr(scenario.load, field) != getattr(default, field)}
    assert changed - {"kind", "name", "bystanders"} <= MEANS[scenario.load.kind]


def test_each_option_of_a_load_is_a_field_of_it():
    fields = set().union(*MEANS.values())
    assert fields == set(Load.__struct_fields__) - {"kind", "name", "bystanders"}
    assert fields <= {option.name for option in OPTIONS}


def test_without_anything_the_usual_scenarios_are_chosen():
    assert names(choose([], {})) == list(USUAL)
    assert names(choose([], {"seconds": 1.0})) == list(USUAL)


def test_options_alone_describe_a_load():
    (scenario,) = choose([], {"queue": True, "subscribers": 3, "seconds": 1.0})
    assert scenario.name == "custom"
    assert scenario.load == Load(queue=True, subscribers=3, seconds=1.0)


def test_options_change_the_loads_to_which_they_mean_something():
    ping, flow = choose(["ping", FLOOD], {"publishers": 5, "size": 50})
    assert (ping.load.publishers, ping.load.size) == (1, 50)
    assert (flow.load.publishers, flow.load.size) == (5, 50)


def test_an_option_that_means_nothing_is_a_mistake():
    with pytest.raises(WrongChoice, match="--publishers changes nothing for ping, churn"):
        choose(["ping", "churn"], {"publishers": 5})


def test_a_name_that_does_not_exist_gets_the_nearest():
    with pytest.raises(WrongChoice, match="no scenario 'fanout-10'; the nearest is fan-out-10"):
        choose(["fanout-10"], {})


def test_all_and_names_given_twice():
    assert names(choose(["all"], {})) == NAMES.split()
    assert names(choose(["ping", "ping"], {})) == ["ping"]
    assert names(choose(["messaging"], {})) == MORE.split()
    assert names(choose(["durability"], {})) == DURABLE.split()
    others = [name for name in MORE.split() if name != "groups"]
    assert names(choose(["groups", "messaging", "ping"], {})) == ["groups", *others, "ping"]


def test_a_server_can_be_told_by_its_name_what_a_topic_keeps():
    (topic,) = tomllib.loads(SETTINGS)["topics"]
    load = MESSAGING["replay-100k"].load
    assert topic["pattern"] == f"{load.name}.#"
    assert topic["history"]["count"] == load.messages


def test_a_share_needs_the_flood_first():
    assert names(in_order(choose(["ping", "latency-50"], {}), flood({}))) == [FLOOD, "ping", "latency-50"]
    assert names(in_order(choose(["latency-50", FLOOD], {}), flood({}))) == [FLOOD, "latency-50"]
    assert names(in_order(choose(["ping"], {}), flood({}))) == ["ping"]


def test_a_given_rate_takes_the_place_of_a_share():
    chosen = choose(["latency-50"], {"rate": 1000.0})
    assert names(in_order(chosen, flood({"rate": 1000.0}))) == ["latency-50"]
    assert chosen[0].load.rate == 1000


def test_the_flood_of_a_share_has_its_load_but_what_makes_it_special():
    assert flood({"size": 1000, "slow": 2, "rate": 5.0}).load == Load(size=1000)


def test_how_to_measure_means_something_to_all():
    assert all(known >= HOW for known in MEANS.values())


def test_a_share_is_never_a_flood():
    assert SCENARIOS["latency-10"].rate_of(0.0) > 0
    assert SCENARIOS["latency-10"].rate_of(1e6) == 1e5


def test_a_flood_sustains_what_it_delivers():
    load, server = SCENARIOS[FLOOD].load, Server(name="", host="", port=1)
    flooded = Result(scenario=FLOOD, server=server, load=load, sends_per_s=900.0, deliveries_per_s=1000.0)
    flooded.totals = Totals(sent=1000, due=2000)
    assert sustained(flooded) == 500
    flooded.failures.append("lost")
    assert sustained(flooded) == 0


@pytest.mark.parametrize("scenario", DURABILITY.values(), ids=DURABILITY)
def test_what_must_survive_says_so_and_is_confirmed(scenario):
    load = scenario.load
    assert load.persistent
    assert load.receipts
    assert load.ack == "client-individual"
    assert load.queue is not load.durable
