"""Policies of queues and topics: from the file to what the core has understood, and what says so to people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench.micro.compiled import compiled
from fastbroker.cli import main
from fastbroker.config import Config, Queue, Topic, conflicts, policies_of
from fastbroker.config.keys import keys_of
from fastbroker.config.policies import deciding, doubts, own_queues
from fastbroker.core.policy import LAST_QUEUES, Policies, asked_about
from fastbroker.core.trie import matches_pattern

Face = Any

# Everything that a table can say, as none of the defaults says it, and as the core has it then.
QUEUE = {
    "max_deliveries": (7, 7),
    "redelivery_delay": ("2s", 2000),
    "redelivery_multiplier": (3, 3.0),
    "redelivery_max_delay": ("5m", 300_000),
    "redelivery_jitter": (0.5, 0.5),
    "dead_letter": ("graveyard", "graveyard"),
    "dead_letter_expired": (True, True),
    "ttl": ("1d", 86_400_000),
    "max_ttl": ("2d", 172_800_000),
    "max_messages": (5, 5),
    "max_bytes": ("5 GiB", 5 * 2**30),
    "overflow": ("dead-letter", "dead-letter"),
    "idle_timeout": ("500ms", 500),
    "auto_delete": (True, True),
    "dies_with_consumer": (True, True),
    "exclusive": (True, True),
    "duplicate_window": (3, 3),
    "persistent": ("always", "always"),
    "durability": ("written", "written"),
    "mirror": (["/topic/a", "/queue/b"], ["/topic/a", "/queue/b"]),
}
TOPIC = {
    "slow_consumer": ("drop-newest", {"slow_consumer": "drop-newest"}),
    "retain": (False, {"retain": False}),
    "history": (
        {"count": 3, "bytes": "1 MiB", "age": "10m"},
        {"history_messages": 3, "history_bytes": 2**20, "history_age": 600_000},
    ),
    "durable": (
        {"messages": 4, "bytes": 5, "overflow": "dead-letter"},
        {"durable_messages": 4, "durable_bytes": 5, "durable_overflow": "dead-letter"},
    ),
    "persistent": ("never", {"persistent": "never"}),
    "durability": ("memory", {"durability": "memory"}),
    "presence": (True, {"presence": True}),
    "forward": (["/queue/x"], {"forward": ["/queue/x"]}),
}


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("policy_face.pyx"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "broker.toml"


def config_of(tmp_path: Path, **tables: object) -> Config:
    from fastbroker.config.overlay import load

    return load(None, {f"FASTBROKER__{name.upper()}": _toml(tables[name]) for name in tables}, {}).config


def _toml(value: object) -> str:
    """Of JSON's kinds of values, tables between braces."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return msgspec.json.encode(value).decode()


# ---- from the file to the core ----


def test_every_key_arrives(face: Face, tmp_path: Path) -> None:
    assert {key.path for key in keys_of(Queue)} == {"pattern", *QUEUE}
    assert {key.path for key in keys_of(Topic)} == {"pattern", *TOPIC}
    config = config_of(
        tmp_path,
        queues=[{"pattern": "a", **{name: written for name, (written, _) in QUEUE.items()}}],
        topics=[{"pattern": "b", **{name: written for name, (written, _) in TOPIC.items()}}],
    )
    policies = policies_of(config)
    assert face.queue(policies, b"a") == {name: value for name, (_, value) in QUEUE.items()}
    there = {name: value for _, values in TOPIC.values() for name, value in values.items()}
    assert face.topic(policies, b"b") == there
    usual = Policies()
    assert all(face.queue(usual, b"a")[name] != value for name, (_, value) in QUEUE.items())
    assert all(face.topic(usual, b"b")[name] != value for name, value in there.items())


def test_the_defaults_of_a_table_are_those_of_the_core(face: Face) -> None:
    policies = policies_of(Config(queues=(Queue(pattern="a"),), topics=(Topic(pattern="a"),)))
    assert face.queue(policies, b"a") == face.queue(policies, b"b") == face.queue(Policies(), b"a")
    assert face.topic(policies, b"a") == face.topic(policies, b"b") == face.topic(Policies(), b"a")


def test_dead_letters_have_a_bound_until_somebody_says_otherwise(face: Face) -> None:
    ours = face.queue(Policies(), b"DLQ.a.b")
    assert (ours["max_messages"], ours["overflow"]) == (10_000, "drop-oldest")
    assert face.queue(Policies(), b"a")["max_messages"] == 0
    theirs = face.queue(policies_of(Config(queues=(Queue(pattern="DLQ.#", max_messages=5),))), b"DLQ.a.b")
    assert (theirs["max_messages"], theirs["overflow"]) == (5, "reject"), "one table decides for all"


def test_the_tables_of_the_broker_itself_are_explained() -> None:
    assert [table.pattern for table in own_queues()] == [pattern for pattern, _ in LAST_QUEUES] == ["DLQ.>"]
    for name, value in LAST_QUEUES[0][1].items():
        assert f"`{name} = {msgspec.json.encode(value).decode()}`" in (Queue.__doc__ or "").replace("\n    ", " ")


WORDS = st.lists(st.sampled_from(["a", "b", "DLQ", "*", "#", ">"]), min_size=1, max_size=3)
PATTERNS = st.builds(".".join, WORDS.filter(lambda words: ">" not in words[:-1] and words.count("#") < 2))
NAMES = st.builds(".".join, st.lists(st.sampled_from(["a", "b", "DLQ"]), min_size=1, max_size=4))
MANY_WORDS = "a." * 99 + "a"


@given(st.lists(PATTERNS, max_size=4), NAMES)
def test_the_first_table_that_matches_decides(face: Face, patterns: list[str], name: str) -> None:
    tables = tuple(Queue(pattern=pattern, max_deliveries=number) for number, pattern in enumerate(patterns))
    number = deciding(tables, name)
    assert number == next((n for n, each in enumerate(patterns) if matches_pattern(each.encode(), name.encode())), None)
    found = face.queue(policies_of(Config(queues=tables)), name.encode())["max_deliveries"]
    assert found == (20 if number is None else number)


def test_limits_hold_for_names_of_very_many_words(face: Face) -> None:
    """Patterns know 63 words, and a client may name a queue as it likes."""
    tables = (Queue(pattern="b.#"), Queue(pattern="a/#"), Queue(pattern="a.>", max_messages=7))
    assert face.queue(policies_of(Config(queues=tables)), MANY_WORDS.encode())["max_messages"] == 7
    assert deciding(tables, MANY_WORDS) == 2
    for name in (f"DLQ.{MANY_WORDS}", f"DLQ/{MANY_WORDS}".replace(".", "/")):
        assert face.queue(Policies(), name.encode())["max_messages"] == (10_000 if name[3] == "." else 0)


@pytest.mark.parametrize("words", [1, 62, 63, 64, 100])
def test_the_first_words_of_a_name_are_asked_about(words: int) -> None:
    name = b"/".join([b"", b"ab"] * 100).split(b"/")[:words]
    assert asked_about(b"/".join(name)) == b"/".join(name[:63])


def test_what_is_looked_at_counts_as_work(face: Face) -> None:
    few, many = Policies(), Policies([(f"q{number}", {}) for number in range(1000)], [("a", {}), ("b", {}), ("c", {})])
    (queues_of_few, topics_of_few), (queues_of_many, topics_of_many) = (
        face.work_of(each, b"b") for each in (few, many)
    )
    assert topics_of_few == 0
    assert queues_of_many == 1001 * queues_of_few > 0
    assert topics_of_many == 2 * queues_of_few, "up to the one that matches"


def test_a_broker_counts_it_for_each_new_queue_and_topic() -> None:
    tables = [(f"q{number}", {}) for number in range(1000)]
    house = compiled(Path(__file__).with_name("broker_face.pyx")).House(queues=tables)

    def work_of(destination: bytes) -> int:
        before = house.stats["work"]
        house.publish(destination, b"x")
        return int(house.stats["work"]) - before

    assert work_of(b"/queue/a") > 100_000
    assert work_of(b"/queue/a") < 1000, "which is there now"
    assert work_of(b"/queue/b") > 100_000
    assert work_of(b"/topic/b") < 10_000


# ---- what cannot be meant ----


@pytest.mark.parametrize(
    ("queues", "complaint", "keys"),
    [
        ([{"pattern": "a.>.b"}], "this is no pattern of queues: '>' must be its last word", ["[0].pattern"]),
        ([{"pattern": "/queue/a"}], "this is no pattern of queues: it is written without /queue/", ["[0].pattern"]),
        ([{"pattern": "a", "ttl": 9, "max_ttl": 8}], "queues[0].ttl must not be more than", ["[0].ttl", "[0].max_ttl"]),
        (
            [{"pattern": "a", "redelivery_delay": 61}],
            "queues[0].redelivery_delay must not be more than redelivery_max_delay",
            ["[0].redelivery_delay", "[0].redelivery_max_delay"],
        ),
        (
            [{"pattern": "a", "dead_letter": "", "overflow": "dead-letter"}],
            "queues[0].overflow needs a dead-letter queue",
            ["[0].overflow", "[0].dead_letter"],
        ),
        (
            [{"pattern": "a", "dead_letter": "", "dead_letter_expired": True}],
            "queues[0].dead_letter_expired needs a dead-letter queue",
            ["[0].dead_letter_expired", "[0].dead_letter"],
        ),
        ([{"pattern": "a", "dead_letter": "/queue/x"}], "a dead-letter queue is written without", ["[0].dead_letter"]),
        *(
            ([{"pattern": "a", "mirror": ["/queue/a", wrong]}], "this is no destination for copies; ", ["[0].mirror"])
            for wrong in ("a", "/queue/", "queue/a", "/topic/a.*", "/temp-queue/a", "", "/")
        ),
        *(
            ([{"pattern": first}, {"pattern": second}], "the second of these can never", ["[0].pattern", "[1].pattern"])
            for first, second in [("#", "a"), (">", "a.#"), ("**", ">"), ("a", "a"), ("a.*", "a.b"), ("a.#", "a.*.c")]
        ),
        (
            [{"pattern": "a"}, {"pattern": "b.>"}, {"pattern": "c"}, {"pattern": "#.z"}, {"pattern": "b.*"}],
            "the second of these can never",
            ["[1].pattern", "[4].pattern"],
        ),
    ],
)
def test_queues_that_contradict_themselves(queues: list[object], complaint: str, keys: list[str]) -> None:
    ((sentence, values),) = conflicts(msgspec.convert({"queues": queues}, Config))
    assert sentence.startswith(complaint)
    assert list(values) == [f"queues{key}" for key in keys]


@pytest.mark.parametrize(
    "patterns",
    [
        ["a.*", "a.#"],
        ["a", "b", "#"],
        ["*.b", "a.*"],
        ["a/*", "a.b"],
        ["a.b", "a.*", "a.>", "#"],
        [".".join("a" * 40)],
    ],
)
def test_tables_that_all_may_decide(patterns: list[str]) -> None:
    assert not list(conflicts(Config(queues=tuple(Queue(pattern=pattern) for pattern in patterns))))


@given(st.lists(PATTERNS, min_size=1, max_size=4), NAMES)
def test_who_is_told_that_it_never_decides_does_not(patterns: list[str], name: str) -> None:
    tables = tuple(Topic(pattern=pattern) for pattern in patterns)
    told = {list(values)[-1] for _, values in conflicts(Config(topics=tables))}
    assert f"topics[{deciding(tables, name)}].pattern" not in told


def test_a_thousand_tables_are_looked_through_in_no_time() -> None:
    tables = tuple(Queue(pattern=f"a.*.{number}") for number in range(3000))
    assert not list(conflicts(Config(queues=tables)))


@pytest.mark.parametrize("array", ["queues", "topics"])
def test_what_shall_always_be_kept_needs_a_directory(array: str) -> None:
    tables = [
        {"pattern": "a", "persistent": "always", "durability": "memory"},
        {"pattern": "b"},
        {"pattern": "c", "persistent": "always"},
    ]
    ((sentence, values),) = conflicts(msgspec.convert({array: tables, "data_dir": "none"}, Config))
    path = f"{array}[2].persistent"
    assert sentence == f"{path} needs a data directory"
    assert values == {path: "always", "data_dir": "none"}
    assert not list(conflicts(msgspec.convert({array: tables}, Config)))


@pytest.mark.parametrize("forward", ["x", "/topic/#"])
def test_topics_that_lead_nowhere(forward: str) -> None:
    ((sentence, values),) = conflicts(Config(topics=(Topic(pattern="a", forward=("/topic/b", forward)),)))
    assert sentence.startswith("this is no destination for copies")
    assert values == {"topics[0].forward": forward}


@pytest.mark.parametrize(
    ("queues", "to"),
    [
        ([], []),
        ([{"pattern": "a.*"}], []),
        ([{"pattern": "#"}], ["DLQ.#"]),
        ([{"pattern": "a", "dead_letter": ""}], []),
        ([{"pattern": "a", "dead_letter": "ActiveMQ.DLQ"}], ["ActiveMQ.DLQ"]),
        ([{"pattern": "ActiveMQ.DLQ", "max_bytes": 9}, {"pattern": "a", "dead_letter": "ActiveMQ.DLQ"}], []),
        ([{"pattern": "DLQ.>", "max_messages": 9}, {"pattern": "#"}], []),
    ],
)
def test_dead_letters_that_may_fill_the_memory_are_doubtful(queues: list[object], to: list[str]) -> None:
    found = list(doubts(msgspec.convert({"queues": queues}, Config)))
    assert len(found) == len(to)
    assert all(f"go to /queue/{name}, which has no limit" in doubt for doubt, name in zip(found, to, strict=True))


def test_check_config_tells_doubts(file: Path) -> None:
    file.write_text("[[queues]]\npattern = '#'\n")
    result = CliRunner().invoke(main, ["check-config", str(file)])
    assert (result.exit_code, result.stdout) == (0, f"{file}: nothing is wrong\n")
    assert result.stderr.startswith("Warning: [[queues]] #: the dead letters go to /queue/DLQ.#, which has no limit;")


# ---- what holds for one destination ----

TABLES = """\
[[queues]]
pattern = "jobs.#"
ttl = "90s"

[[topics]]
pattern = "news.*"
history = { count = 10 }
"""


def explained(file: Path, destination: str) -> list[str]:
    result = CliRunner().invoke(main, ["config", "-c", str(file), "--explain", destination])
    assert result.exit_code == 0, result.stderr
    return [" ".join(line.replace(str(file), "FILE").split()) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        (
            "jobs.a",
            [
                "# /queue/jobs.a",
                "# The first table that matches it: [[queues]], FILE:1.",
                "[[queues]]",
                'pattern = "jobs.#" # FILE:2',
                "max_deliveries = 20 # default",
                'ttl = "90s" # FILE:3',
            ],
        ),
        (
            "/exchange/amq.topic/news.a",
            [
                "# /topic/news.a",
                "# The first table that matches it: [[topics]], FILE:5.",
                "history = { count = 10, bytes = 0, age = 0 } # FILE:7",
                "retain = true # default",
            ],
        ),
        ("/topic/jobs.a", ["# /topic/jobs.a", "# No table [[topics]] matches it: these are the defaults."]),
        ("/queue/news.a", ["# /queue/news.a", "# No table [[queues]] matches it: these are the defaults."]),
        (
            "/amq/queue/DLQ.jobs",
            [
                "# /queue/DLQ.jobs",
                "# No table [[queues]] of the configuration matches it; this is the broker's own.",
                "max_messages = 10000 # the broker's own",
                "max_deliveries = 20 # default",
            ],
        ),
        ("/temp-queue/a", ["# /temp-queue/a", "# No table is for it: these are the defaults."]),
        ("/queue/Müll", ["# /queue/Müll"]),
    ],
)
def test_a_destination_is_explained(file: Path, destination: str, said: list[str]) -> None:
    file.write_text(TABLES)
    lines = explained(file, destination)
    assert [line for line in lines if line in said] == sorted(said, key=lines.index)
    table = Topic if "retain = true # default" in lines else Queue
    keys = [line.split(" = ")[0] for line in lines if " = " in line and not line.startswith("#")]
    assert [key for key in keys if key != "pattern"] == [key.path for key in keys_of(table)][1:]


@pytest.mark.parametrize(
    ("destination", "complaint"),
    [
        ("/topic/a.*", "A SEND needs one topic; 'a.*' is a pattern."),
        ("/foo", "There is no destination '/foo'. Destinations are "),
        ("", "There is no destination ''. "),
        ("a\udc80", "a destination is written in UTF-8"),
    ],
)
def test_what_is_no_destination_is_not_explained(destination: str, complaint: str) -> None:
    result = CliRunner().invoke(main, ["config", "--explain", destination])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {complaint}")


def test_nothing_is_explained_beside_all_defaults() -> None:
    assert CliRunner().invoke(main, ["config", "--defaults", "--explain", "a"]).exit_code == 2
