"""The configuration: what is accepted, what is refused and in which words, and which source wins."""

from pathlib import Path
from unittest.mock import ANY

import msgspec
import pytest

from fastbroker.config import Config, History, Queue, Topic, conflicts, hub_settings
from fastbroker.config.keys import keys_of
from fastbroker.config.lines import Lines
from fastbroker.config.overlay import FLAGS, HINTED, KEYS, VARIABLES, load, misspelt
from fastbroker.config.policies import doubts
from fastbroker.config.reference import reference
from fastbroker.config.toml import all_defaults, as_toml
from fastbroker.errors import ConfigError

TABLES = [key.path for key in keys_of(Config) if key.table]
DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "fastbroker.toml"
        path.write_text(text)
        return str(path)

    return write


def problems(file=None, environ=None, flags=None):
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {}, flags or {})
    return caught.value.problems


# ---- defaults ----


def test_nothing_given_means_the_defaults():
    assert load(None, {}, {}) == (Config(), {})


def test_an_empty_file_means_the_defaults(file):
    assert load(file(""), {}, {}).config == Config()


def test_the_defaults_are_closed():
    """S12: without a word from the operator only this machine is let in."""
    config = Config()
    assert config.listen == ("tcp://127.0.0.1:61613",)
    assert config.auth.allow_anonymous is False


def leaves(table, prefix):
    """The keys of a table that can come several times, and of those that are values in it."""
    for key in keys_of(table, prefix):
        yield key
        if key.inline:
            yield from keys_of(key.inline, f"{key.path}.")


OF_TABLES = [*leaves(Queue, "queues[]."), *leaves(Topic, "topics[].")]
SINGLE = [*(key for key in KEYS.values() if not key.item_table), *(key for key in OF_TABLES if not key.required)]


@pytest.mark.parametrize("key", [key for key in SINGLE if not key.inline], ids=lambda key: key.path)
def test_every_default_is_in_its_own_range_and_every_key_is_explained(key):
    assert key.convert(msgspec.to_builtins(key.default)) == key.default
    assert key.meta.description
    assert key.meta.description.endswith(".")


@pytest.mark.parametrize("key", [key for key in SINGLE if key.kind in (int, float)], ids=lambda key: key.path)
def test_every_number_has_a_smallest_and_a_largest_value(key):
    assert key.convert(key.meta.ge) == key.meta.ge
    assert key.convert(key.meta.le) == key.meta.le
    for outside in (key.meta.ge - 1, key.meta.le + 1):
        with pytest.raises(ValueError, match="Expected"):
            key.convert(outside)


def test_the_settings_of_the_core_are_flat():
    settings = hub_settings(Config())
    assert settings["max_frame"] == 4 * 2**20
    assert settings["heart_beat_margin"] == 2.0
    assert settings["login_timeout"] == 10_000
    assert settings["nack_delay"] == 50
    assert settings["heart_beat_send"] == 1000, "which counts milliseconds in the configuration, too"
    assert settings["lenient_content_length"] is False
    assert settings["strict"] is False
    leaves = [
        key for key in KEYS if key.split(".")[0] in ("limits", "subscriptions", "heart_beat", "compat", "journal")
    ]
    assert len(settings) == len(leaves) + 2, "no two tables have a key of the same name"


# ---- values ----


def test_a_file_is_read(file):
    text = """
        listen = ["tcp://127.0.0.1:1", "tcp://[::1]:2"]
        drain_timeout = "500ms"
        [limits]
        max_frame = "2 MiB"
        idle_timeout = 30
        [heart_beat]
        send = "10s"
        [[topics]]
        pattern = "prices.>"
        slow_consumer = "drop-oldest"
        [[topics]]
        pattern = "logs/*"
        slow_consumer = "drop-newest"
        history = {count = 5, age = "10m"}
    """
    config = load(file(text), {}, {}).config
    assert config.listen == ("tcp://127.0.0.1:1", "tcp://[::1]:2")
    assert config.drain_timeout == 0.5
    assert config.limits.max_frame == 2 * 2**20
    assert config.limits.idle_timeout == 30.0
    assert config.limits.max_headers == 100
    assert config.heart_beat.send == 10_000
    assert config.topics == (
        Topic(pattern="prices.>", slow_consumer="drop-oldest"),
        Topic(pattern="logs/*", slow_consumer="drop-newest", history=History(count=5, age=600.0)),
    )


LONG = "expected a time in seconds or with a unit, from 0 to 3650d"
HISTORY = (
    "{ count = a whole number from 0 to 100000000, bytes = a size in bytes or with a unit, from 0 to 1024 GiB, "
    "age = a time in seconds or with a unit, from 0 to 3650d }, one of them or more"
)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("strict = 1", "strict: expected true or false; found 1"),
        (
            'listen = "tcp://127.0.0.1:1"',
            'listen: expected a list of strings that is not empty; found "tcp://127.0.0.1:1"',
        ),
        ("listen = []", "listen: expected a list of strings that is not empty; found []"),
        ("data_dir = 7", "data_dir: expected a string; found 7"),
        ("limits = 3", "limits: expected a table [limits]; found 3"),
        ("topics = 3", "topics: expected tables [[topics]]; found 3"),
        ("topics = [3]", "topics[0]: expected a table [topics[0]]; found 3"),
        (
            'limits.max_frame = "much"',
            'limits.max_frame: expected a size in bytes or with a unit, from 1 KiB to 1 GiB; found "much"',
        ),
        (
            "limits.max_frame = 1",
            "limits.max_frame: expected a size in bytes or with a unit, from 1 KiB to 1 GiB; found 1",
        ),
        (
            "limits.max_frame = 4096.5",
            "limits.max_frame: expected a size in bytes or with a unit, from 1 KiB to 1 GiB; found 4096.5",
        ),
        ("limits.linger = nan", "limits.linger: expected a time in seconds or with a unit, from 0 to 60s; found NaN"),
        (
            "limits.linger = inf",
            "limits.linger: expected a time in seconds or with a unit, from 0 to 60s; found Infinity",
        ),
        ("limits.linger = true", "limits.linger: expected a time in seconds or with a unit, from 0 to 60s; found true"),
        (
            "limits.linger = 1979-05-27",
            'limits.linger: expected a time in seconds or with a unit, from 0 to 60s; found "1979-05-27"',
        ),
        ("subscriptions.prefetch = 0", "subscriptions.prefetch: expected a whole number from 1 to 65535; found 0"),
        ("heart_beat.margin = 0.9", "heart_beat.margin: expected a number from 1 to 100; found 0.9"),
        ('log.format = "xml"', 'log.format: expected "text" or "json"; found "xml"'),
        ('log.level = "warn"', 'log.level: expected "debug", "info", "warning" or "error"; found "warn"'),
        ("lisen = []", "lisen: unknown key; the nearest is listen"),
        ("limits.max_fram = 1", "limits.max_fram: unknown key; the nearest is limits.max_frame"),
        ("max_frame = 1", "max_frame: unknown key; the nearest is limits.max_frame"),
        ("limit.max_frame = 1", "limit: unknown key; the nearest is limits"),
        ("queue_idle_timeout = 1", "queue_idle_timeout: unknown key; the nearest is limits.queue_idle_timeout"),
        ("queues.idle_timeout = 1", 'queues: expected tables [[queues]]; found {"idle_timeout": 1}'),
        ('queues = [{pattern = "a", ttl = -1}]', f"queues[0].ttl: {LONG}; found -1"),
        ('queues = [{pattern = "a", mirror = "b"}]', 'queues[0].mirror: expected a list of strings; found "b"'),
        (
            'topics = [{pattern = "a", history = {counts = 1}}]',
            "topics[0].history.counts: unknown key; the nearest is topics[0].history.count",
        ),
        ('topics = [{pattern = "a", history = {}}]', f"topics[0].history: expected {HISTORY}; found {{}}"),
        ('topics = [{pattern = "a", history = 3}]', f"topics[0].history: expected {HISTORY}; found 3"),
        ('topics = [{pattern = "a", history.age = -1}]', f"topics[0].history.age: {LONG}; found -1"),
        ('"limits.max_frame" = 5000', "limits.max_frame: unknown key; the nearest is limits.max_frame"),
        (
            'topics = [{pattern = "a", slow_consumer = "drop-oldest", patern = "b"}]',
            "topics[0].patern: unknown key; the nearest is topics[0].pattern",
        ),
        (
            'topics = [{slow_consumer = "disconnect"}]',
            "topics[0].pattern: is missing; expected a string that is not empty",
        ),
    ],
)
def test_what_is_refused_is_named_with_its_file_and_key(file, line, complaint):
    path = file(line)
    assert problems(path) == [f"{path}:1: {complaint}"]


@pytest.mark.parametrize("name", ["prefetch", "prefetch_bytes", "max_prefetch", "nack_delay"])
def test_a_key_that_has_moved_is_told_where(file, name):
    path = file(f"strict = true\n[queues]\n{name} = 10\nanything = 1")
    told, rest = problems(path)
    assert told == f"{path}:3: queues.{name}: is subscriptions.{name} now"
    assert f"subscriptions.{name}" in KEYS
    assert rest == f'{path}:2: queues: expected tables [[queues]]; found {{"anything": 1}}'
    variable = f"FASTBROKER__QUEUES__{name.upper()}"
    assert problems(environ={variable: "10"}) == [f"{variable}: is subscriptions.{name} now"]


@pytest.mark.parametrize(
    ("name", "now"),
    [
        ("max_deliveries", 'a key of the tables [[queues]] now; one with pattern = "#" is for all queues, those of '),
        ("dead_letter", 'a key of the tables [[queues]] now; one with pattern = "#" is for all queues, those of '),
        ("dead_letter_limit", 'max_messages of a table [[queues]] now; one with pattern = "DLQ.>" and '),
    ],
)
def test_a_key_that_is_one_of_queues_now(file, name, now):
    path = file(f"queues.{name} = 10")
    (line,) = problems(path)
    assert line.startswith(f"{path}:1: queues.{name}: is {now}")
    (line,) = problems(environ={f"FASTBROKER__QUEUES__{name.upper()}": "10"})
    assert f": is {now}" in line


def test_all_problems_are_reported_at_once(file):
    path = file("strict = 1\nlisen = []\n[limits]\nmax_frame = 1\n[log]\nlevel = 3\n")
    assert [line.split(": ")[:2] for line in problems(path)] == [
        [f"{path}:1", "strict"],
        [f"{path}:2", "lisen"],
        [f"{path}:4", "limits.max_frame"],
        [f"{path}:6", "log.level"],
    ]


def test_long_values_are_not_repeated_whole(file):
    (line,) = problems(file(f'strict = "{"x" * 5000}"'))
    assert len(line) < 300


@pytest.mark.parametrize("text", ["= 3", "[limits", "a = 1\na = 2", "x = " + "[" * 5000, "\udc80"])
def test_a_file_that_is_not_toml(tmp_path, text):
    path = tmp_path / "broken.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    (line,) = problems(str(path))
    assert line.startswith(f"{path}: is not valid TOML: ")


def test_a_mark_in_front_of_a_file_is_none_of_it(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_text("strict = true", encoding="utf-8-sig")
    assert load(str(path), {}, {}).config.strict


def test_ten_thousand_wrong_keys_are_told_in_no_time(file):
    found = problems(file("\n".join(f"key{number} = 1" for number in range(10_000))))
    assert len(found) == 10_000
    assert [number for number, line in enumerate(found) if "; the nearest is " in line] == list(range(HINTED))


@pytest.mark.parametrize(
    "key", ["data_dir", "listen", "websocket.pages", "tls.certificate", "tls.client_ca", "unix.user"]
)
def test_nothing_holds_a_nul(file, key):
    value = '["a\\u0000b"]' if key == "listen" else '"a\\u0000b"'
    (line,) = problems(file(f"{key} = {value}"))
    assert f": {key}: expected a" in line


def test_a_file_that_cannot_be_read(tmp_path):
    assert problems(str(tmp_path / "none.toml")) == [f"{tmp_path}/none.toml: cannot be read: No such file or directory"]
    assert problems(str(tmp_path)) == [f"{tmp_path}: cannot be read: Is a directory"]


# ---- what must hold between keys ----


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("limits.outbound_soft = '8 MiB'", "limits.outbound_hard must not be less than limits.outbound_soft, "),
        ("limits.max_frame = '9 MiB'", "limits.outbound_hard must not be less than limits.outbound_soft, "),
        ("limits.max_frame = '4 KiB'", "limits.max_frame_before_login must not be more than limits.max_frame"),
        ("limits.memory = '2 MiB'", "limits.max_frame must not be more than limits.memory"),
        (
            "subscriptions.max_prefetch = 10",
            "subscriptions.prefetch must not be more than subscriptions.max_prefetch",
        ),
        ("listen = ['tcp://[::1]:1', 'ws://[::1]:1']", "one address cannot be listened on twice (listen[0] = "),
        ("listen = ['unix:///a', 'unix:///a']", "one address cannot be listened on twice (listen[0] = "),
        ("listen = ['udp://127.0.0.1:1']", "the scheme of 'udp://127.0.0.1:1' is not supported; supported: tcp"),
        ("topics = [{pattern = 'a.>.b', slow_consumer = 'disconnect'}]", "this is no pattern of topics: "),
        ("topics = [{pattern = '/topic/a', slow_consumer = 'disconnect'}]", "this is no pattern of topics: "),
        (
            "topics = [{pattern = 'a.b.c', slow_consumer = 'disconnect'}]\nlimits.max_levels = 2",
            "this is no pattern of topics: ",
        ),
    ],
)
def test_values_that_contradict_each_other(file, lines, complaint):
    path = file(lines)
    (line,) = problems(path)
    assert line.startswith(complaint)
    assert path in line, "it says where the value came from"


PREFETCH = "subscriptions.prefetch must not be more than subscriptions.max_prefetch"
SOURCES = "subscriptions.prefetch = 10, FILE:8; subscriptions.max_prefetch = 5, FILE:9"


def test_contradictions_are_found_beside_wrong_values(file):
    """All in one pass; but nothing is said of what a value may be in conflict with that is wrong itself."""
    text = """
        limits.max_frame = "much"
        limits.memory = "1 MiB"
        tls.hosts = 7
        listen = ["tcp://127.0.0.1:1", "udp://", "tls://127.0.0.1:2"]
        tls.certificate = 3
        [subscriptions]
        prefetch = 10
        max_prefetch = 5
        [[topics]]
        pattern = "a.>.b"
        slow_consumer = "dropp"
        [[topics]]
        slow_consumer = "disconnect"
        [[topics]]
        pattern = "c.>.d"
        slow_consumer = "disconnect"
    """
    path = file(text)
    assert sorted(line.replace(path, "FILE").partition(": expected")[0] for line in problems(path)) == [
        "FILE:12: topics[0].slow_consumer",
        "FILE:13: topics[1].pattern: is missing; expected a string that is not empty",
        "FILE:2: limits.max_frame",
        "FILE:4: tls.hosts",
        "FILE:6: tls.certificate",
        f"{PREFETCH} ({SOURCES})",
        "the scheme of 'udp://' is not supported; supported: tcp, tls, unix, ws, wss (listen[1] = \"udp://\", FILE:5)",
        "this is no pattern of topics: '>' must be its last word (topics[0].pattern = \"a.>.b\", FILE:11)",
        "this is no pattern of topics: '>' must be its last word (topics[2].pattern = \"c.>.d\", FILE:16)",
    ]


@pytest.mark.parametrize(
    ("text", "path", "number"),
    [
        ("a = 1\n\n[t]\nb=2", "t.b", 4),
        ("[t]\r\n  b . c = 2\r\n", "t.b.c", 2),
        ('[ "t" ]\n"b" = 2', "t.b", 2),
        ("[[t]]\nb = 1\n[[t]]\nb = 2\n[[ t.u ]]\nc = 3", "t[1].b", 4),
        ("[[t]]\nb = 1\n[[t]]\nc = 2", "t[1].b", 3),
        ("t = [\n{b = 1}]", "t[0].b", 1),
        ("[[t]]\nb = 1\nu.v = 2", "t[0].u", 3),
        ("[[t]]\nb = 1\n[t.u]\nc = 1\n[[t]]\n[t.u]\nc = 2", "t[1].u.c", 7),
        ("# a = 1\na = 2", "a", 2),
        ("b = 1", "a", None),
    ],
)
def test_where_a_key_stands(text, path, number):
    assert Lines(text).number(path) == number


def test_contradictions_name_both_sources(file):
    path = file("subscriptions.prefetch = 50")
    (line,) = problems(path, {"FASTBROKER__SUBSCRIPTIONS__MAX_PREFETCH": "49"})
    assert line == (
        f"{PREFETCH} (subscriptions.prefetch = 50, {path}:1; "
        "subscriptions.max_prefetch = 49, FASTBROKER__SUBSCRIPTIONS__MAX_PREFETCH)"
    )


# ---- environment and flags ----


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("LIMITS__MAX_FRAME", "2097152", lambda config: config.limits.max_frame == 2097152),
        ("LIMITS__MAX_FRAME", "2 MiB", lambda config: config.limits.max_frame == 2097152),
        ("LIMITS__MAX_FRAME", '"2 MiB"', lambda config: config.limits.max_frame == 2097152),
        ("DRAIN_TIMEOUT", "1.5", lambda config: config.drain_timeout == 1.5),
        ("STRICT", "true", lambda config: config.strict is True),
        ("LOG__LEVEL", "debug", lambda config: config.log.level == "debug"),
        ("DATA_DIR", "/var/lib/fastbroker", lambda config: config.data_dir == "/var/lib/fastbroker"),
        ("DATA_DIR", '"/var/lib/x"', lambda config: config.data_dir == "/var/lib/x"),
        ("DATA_DIR", "42", lambda config: config.data_dir == "42"),
        ("DATA_DIR", "x\nstrict = true", lambda config: config.data_dir == "x\nstrict = true"),
        ("DATA_DIR", "1\nstrict = true", lambda config: config.data_dir == "1\nstrict = true"),
        ("QUEUES", '[{pattern="a", ttl="5m"}]', lambda config: config.queues[0].ttl == 300),
        ("LISTEN", "tcp://127.0.0.1:1", lambda config: config.listen == ("tcp://127.0.0.1:1",)),
        ("LISTEN", "tcp://127.0.0.1:1, tcp://[::1]:2", lambda config: config.listen[1] == "tcp://[::1]:2"),
        ("LISTEN", '["tcp://127.0.0.1:1"]', lambda config: config.listen == ("tcp://127.0.0.1:1",)),
        ("TOPICS", '[{pattern="a", slow_consumer="drop-newest"}]', lambda config: config.topics[0].pattern == "a"),
    ],
)
def test_environment(name, text, read):
    assert read(load(None, {f"FASTBROKER__{name}": text, "FASTBROKER_URL": "tcp://x:1", "HOME": "/"}, {}).config)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("FASTBROKER__LIMITS__MAX_FRAM", "1", ": unknown key; the nearest is FASTBROKER__LIMITS__MAX_FRAME"),
        ("FASTBROKER__LIMITS", "{max_frame = 1}", ": unknown key; the nearest is "),
        ("FASTBROKER__limits__max_frame", "1", ": unknown key; the nearest is "),
        ("FASTBROKER__STRICT", "yes", ': strict: expected true or false; found "yes"'),
        ("FASTBROKER__STRICT", "\udc80", ': strict: expected true or false; found "\\udc80"'),
        ("FASTBROKER__DATA_DIR", "\udc80", ': data_dir: expected a string; found "\\udc80"'),
        ("FASTBROKER__LISTEN", "tcp://\udc80", ": listen: expected a list of strings that is not empty; found "),
        ("FASTBROKER__LISTEN", "[1]", ": listen: expected a list of strings that is not empty; found [1]"),
    ],
)
def test_a_wrong_variable_is_named(name, text, complaint):
    (line,) = problems(environ={name: text})
    assert line.startswith(name + complaint)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FASTBROKER_LIMITS_MEMORY", "FASTBROKER__LIMITS__MEMORY"),
        ("FASTBROKER_LIMITS__MEMORY", "FASTBROKER__LIMITS__MEMORY"),
        ("FASTBROKER_HEART_BEAT_SEND", "FASTBROKER__HEART_BEAT__SEND"),
        ("FASTBROKER_DATA_DIR", "FASTBROKER__DATA_DIR"),
        ("FASTBROKER__DATA_DIR", None),
        *((f"FASTBROKER_{name}", None) for name in ("URL", "LOGIN", "PASSCODE", "TEST_DEADLINE", "DEBUG", "SANITIZE")),
        *((f"FASTBROKER_{name}", None) for name in ("COVERAGE", "NATIVE", "THIN", "JOBS", "FUZZ_SECONDS")),
        *((f"FASTBROKER_{name}", None) for name in ("PORT", "SERVICE_HOST", "PORT_61613_TCP")),  # Kubernetes sets these
        ("_FASTBROKER_COMPLETE", None),
    ],
)
def test_a_variable_with_too_few_underscores_is_told(name, meant):
    assert list(misspelt({name: "1"})) == ([(name, meant)] if meant else [])


def test_every_key_has_a_variable():
    assert len(VARIABLES) == len(KEYS)
    assert VARIABLES["FASTBROKER__LIMITS__MAX_FRAME"] == "limits.max_frame"


def test_flags_win_over_the_environment_and_that_over_the_file(file):
    path = file("listen = ['tcp://127.0.0.1:1']\nlog.level = 'error'\nlog.format = 'json'\ndata_dir = 'a'\n")
    environ = {"FASTBROKER__LISTEN": "tcp://127.0.0.1:2", "FASTBROKER__LOG__LEVEL": "warning"}
    config, origins = load(path, environ, {"listen": ["tcp://127.0.0.1:3"]})
    assert config.listen == ("tcp://127.0.0.1:3",)
    assert (config.log.level, config.log.format, config.data_dir) == ("warning", "json", "a")
    assert origins["listen"] == "--listen"
    assert origins["log.level"] == "FASTBROKER__LOG__LEVEL"
    assert origins["data_dir"] == f"{path}:4"


@pytest.mark.parametrize("path", FLAGS)
def test_a_wrong_flag_is_named(path):
    (line,) = problems(flags={path: 7})
    assert line.startswith(f"{FLAGS[path]}: {path}: expected ")


def test_an_overlaid_list_takes_the_place_of_the_lower_one(file):
    path = file("[[topics]]\npattern = 'a'\nslow_consumer = 'drop-oldest'\n")
    config, origins = load(path, {"FASTBROKER__TOPICS": "[{pattern = 'b'}]"}, {})
    assert config.topics == (Topic(pattern="b"),)
    assert [origins.get(f"topics[0].{name}") for name in ("pattern", "slow_consumer")] == ["FASTBROKER__TOPICS", None]


# ---- documents ----


def test_what_is_in_force_is_a_file_that_says_the_same(file):
    text = """
        strict = true
        limits.linger = 0.25
        limits.memory = 1073741825
        data_dir = "a\\u007f\\"b"
        [heart_beat]
        send = 1500
        [[topics]]
        pattern = 'a."b'
        slow_consumer = 'drop-oldest'
        [[topics]]
        pattern = 'c'
        slow_consumer = 'drop-newest'
        history.age = '90s'
        [[queues]]
        pattern = '#'
        mirror = ['/topic/audit', '/queue/b']
    """
    path = file(text)
    config, origins = load(path, {"FASTBROKER__SUBSCRIPTIONS__NACK_DELAY": "0.0123456789"}, {"log.level": "debug"})
    written = as_toml(config, origins)
    for line, origin in (
        ('linger = "250ms"', f"{path}:3"),
        ("memory = 1073741825", f"{path}:4"),
        ('send = "1500ms"', f"{path}:7"),
        ('max_frame = "4 MiB"', "default"),
        ("nack_delay = 0.0123456789", "FASTBROKER__SUBSCRIPTIONS__NACK_DELAY"),
        ('level = "debug"', "--log-level"),
        ('pattern = "a.\\"b"', f"{path}:9"),
        ('pattern = "c"', f"{path}:12"),
        ('mirror = ["/topic/audit","/queue/b"]', f"{path}:17"),
        ('history = { count = 0, bytes = 0, age = "90s" }', f"{path}:14"),
        ("retain = true", "default"),
    ):
        assert f"\n{line:<46}  # {origin}\n" in written
    assert load(file(written), {}, {}).config == config


def test_the_defaults_are_a_file_that_changes_nothing(file):
    assert load(file(all_defaults()), {}, {}) == (Config(), dict.fromkeys(TABLES, ANY))


def test_every_line_of_the_defaults_can_be_taken_as_it_is(file):
    """All of them together, but for tables that have no default."""
    text = all_defaults().replace("\n#[[", "\n[[").replace("\n#", "\n")
    text = "\n".join(line for line in text.split("\n") if not line.startswith(" "))
    config = load(file(text), {}, {}).config
    assert (config.queues, config.topics) == ((Queue(pattern="x"),), (Topic(pattern="x"),))
    assert msgspec.structs.replace(config, queues=(), topics=(), tls=Config().tls) == Config()
    for key in KEYS.values():
        assert key.item_table or f"\n{key.path.rpartition('.')[2]} = " in text
        assert key.item_table or key.meta.description.split()[0] in all_defaults()


def test_the_reference_is_up_to_date():
    assert DOCUMENT.read_text() == reference(), "run: python -m fastbroker.config.reference > docs/configuration.md"


def test_the_reference_names_every_key():
    text = reference()
    for key in KEYS.values():
        if not key.item_table:
            assert f"| `{key.path.rpartition('.')[2]}` |" in text
            assert key.meta.description in text


def test_the_example_of_the_reference_is_valid(file):
    example = reference().split("```toml\n")[1].split("```")[0]
    config = load(file(example), {}, {}).config
    assert config.auth.allow_anonymous
    assert not list(doubts(config))


# ---- transports ----


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"listen": ["tls://127.0.0.1"]}, "tls://127.0.0.1:61614 needs a certificate"),
        ({"listen": ["wss://127.0.0.1"]}, "needs a certificate"),
        (
            {"listen": ["tls://127.0.0.1"], "tls": {"certificate": "x", "client_certificates": "optional"}},
            "needs the authorities of client certificates",
        ),
        ({"listen": ["tcp://127.0.0.1?proxy_protocol"]}, "needs to know its load balancers"),
        ({"proxy_protocol": {"trusted": ["10.0.0.1/8"]}}, "this is no network: 10.0.0.1/8 has host bits set"),
        ({"proxy_protocol": {"trusted": ["lb.example"]}}, "this is no network"),
        ({"unix": {"mode": "0999"}}, "these are no permissions"),
        ({"unix": {"mode": "rw-"}}, "these are no permissions"),
        ({"websocket": {"path": "ws"}}, "this is no path"),
        ({"websocket": {"path": "/a b"}}, "this is no path"),
        ({"websocket": {"path": "/a?b"}}, "this is no path"),
        ({"websocket": {"allowed_origins": ["example.com"]}}, "this is no origin"),
        ({"websocket": {"allowed_origins": ["null"]}}, "(null) need *"),
        ({"websocket": {"allowed_origins": ["https://example.com/"]}}, "this is no origin"),
        ({"tcp": {"user_timeout": 5}}, "tcp.user_timeout must not be less than limits.outbound_timeout"),
    ],
)
def test_what_an_address_needs(settings, complaint):
    found = " ".join(sentence for sentence, _ in conflicts(msgspec.convert(settings, Config)))
    assert complaint in found


@pytest.mark.parametrize(
    "settings",
    [
        {"listen": ["unix:///run/x?proxy_protocol"]},
        {"listen": ["tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "tcp://127.0.0.1", "tcp://[::1]"]},
        {"listen": ["tcp://127.0.0.1?proxy_protocol"], "proxy_protocol": {"trusted": ["127.0.0.1", "fd00::/8"]}},
        {"websocket": {"path": "/", "allowed_origins": ["*", "https://example.com:8443", "app://x"]}},
        {"tcp": {"user_timeout": 0}, "limits": {"outbound_timeout": 100}},
    ],
)
def test_what_is_right(settings):
    assert not list(conflicts(msgspec.convert(settings, Config)))
