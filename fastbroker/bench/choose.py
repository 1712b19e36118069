"""From what the command line says to scenarios: names, options that change their loads, a load of one's own."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from fastbroker.bench.durability import DURABILITY
from fastbroker.bench.every import EVERY
from fastbroker.bench.load import Kind, Load, Target
from fastbroker.bench.messaging import MESSAGING
from fastbroker.bench.scenarios import FLOOD, LATENCY, RATE, SCENARIOS, USUAL, Scenario

# Names of several at once.
TOGETHER = {"all": SCENARIOS, "messaging": MESSAGING, "durability": DURABILITY}
CUSTOM = "custom"

# They say how to measure, not what: no load is described by them alone.
HOW = {"seconds", "warm_up", "patience"}
_MESSAGE = HOW | {"size", "persistent", "content_length", "rate", "verify", "ack", "credit", "ramp"}
# Which fields of a load mean something for its kind.
MEANS: Mapping[Kind, set[str]] = {
    "flow": _MESSAGE
    | {"publishers", "subscribers", "destinations", "queue", "pattern", "slow"}
    | {"receipts", "transaction", "window", "backlog", "priorities", "selecting", "groups", "durable"},
    "ping": _MESSAGE | {"connections", "queue"},
    "request": _MESSAGE | {"publishers", "subscribers"},
    "connect": HOW | {"connections"},
    "storm": HOW | {"connections", "ramp"},
    "churn": HOW | {"connections", "ramp", "destinations"},
    "idle": HOW | {"connections", "ramp"},
    "replay": HOW | {"connections", "size", "content_length", "verify", "messages"},
    "schedule": HOW | {"size", "content_length", "verify", "queue", "messages", "delay"},
    "drain": HOW | {"queue", "size", "content_length", "verify", "ack", "credit", "persistent", "receipts", "messages"},
}
# What `FLOOD` does not share with the scenarios that send a share of its rate.
OWN = {"rate", "slow"}

Fields = Mapping[str, Any]


class WrongChoice(Exception):
    """The command line asks for what cannot be; the message says what."""


def choose(names: Iterable[str], given: Fields) -> list[Scenario]:
    """The scenarios of these names, each with the given fields that mean something to it. Raises WrongChoice."""
    wanted = list(dict.fromkeys(each for name in names for each in TOGETHER.get(name, (name,))))
    if wanted:
        chosen = [_named(name) for name in wanted]
    elif given.keys() - HOW:
        chosen = [_custom(given)]
    else:
        chosen = [SCENARIOS[name] for name in USUAL]
    meaningless = given.keys() - set().union(*(MEANS[scenario.load.kind] for scenario in chosen))
    if meaningless:
        raise WrongChoice(f"{_options(meaningless)} changes nothing for {', '.join(each.name for each in chosen)}")
    return [_changed(scenario, given) for scenario in chosen]


def flood(given: Fields) -> Scenario:
    """`FLOOD` as scenarios with a share of its rate need it."""
    return _changed(SCENARIOS[FLOOD], {field: value for field, value in given.items() if field not in OWN})


def check(scenarios: Iterable[Scenario], target: Target) -> None:
    """Ask the generator whether it can do all of it; it opens no connection for that. Raises WrongChoice."""
    # Imported here, as a help text needs no generator.
    from fastbroker.bench.generator import Generator, GeneratorError
    from fastbroker.bench.secure import sessions_of
    from fastbroker.errors import StartError

    try:
        sessions = sessions_of(target)
    except StartError as error:
        raise WrongChoice(str(error)) from None
    for scenario in scenarios:
        for load in (scenario.load, *scenario.beside):
            try:
                Generator(target, load, sessions)
            except GeneratorError as error:
                raise WrongChoice(f"{scenario.name}: {error}") from None
            except UnicodeEncodeError as error:
                raise WrongChoice(f"{scenario.name}: {error.object!r} is not UTF-8") from None


def _named(name: str) -> Scenario:
    if name in EVERY:
        return EVERY[name]
    nearest = get_close_matches(name, EVERY, n=1)
    hint = f"; the nearest is {nearest[0]}" if nearest else ""
    raise WrongChoice(f"there is no scenario {name!r}{hint}; --list shows all of them")


def _custom(given: Fields) -> Scenario:
    measures = LATENCY if given.get("rate") else RATE
    return Scenario(name=CUSTOM, title="the load that the options describe", load=Load(), measures=measures)


def _changed(scenario: Scenario, given: Fields) -> Scenario:
    known = MEANS[scenario.load.kind]
    return scenario.with_load(**{field: value for field, value in given.items() if field in known})


def _options(fields: Iterable[str]) -> str:
    spelled = {"seconds": "--duration", "queue": "--queue or --topic", "content_length": "--no-content-length"}
    return ", ".join(sorted(spelled.get(field, f"--{field.replace('_', '-')}") for field in fields))
