"""What must hold within and between the tables of queues and of topics, of which the first that matches decides."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fastbroker.config.profiles import of_each_queue
from fastbroker.config.schema import NO_DATA_DIR, Config, Queue, Topic
from fastbroker.core.policy import LAST_QUEUES, asked_about
from fastbroker.core.trie import PatternTable, check_pattern, has_wildcard, matches_pattern

_EVERYTHING = ("#", "**", ">")
_OPEN = ("#", "**", ">")
_MOST_LEVELS = 63

Wrong = Iterator[tuple[str, Mapping[str, object]]]


class _Array(NamedTuple):
    """An array of tables, and what it is for."""

    path: str
    tables: Sequence[Queue | Topic]
    most_levels: int

    @property
    def prefix(self) -> str:
        return f"/{self.path[:-1]}/"


def own_queues(profile: str = "") -> tuple[Queue, ...]:
    """The tables of the broker itself, behind all others."""
    changed = of_each_queue(profile)
    own = list(LAST_QUEUES)
    if name := changed.get("dead_letter"):
        own.append((name, own[0][1]))
    return tuple(Queue(pattern=pattern, **settings, **changed) for pattern, settings in own)


def usual_queue(profile: str = "") -> Queue:
    """What queues have that no table is for."""
    return Queue(pattern="#", **of_each_queue(profile))


def deciding(tables: Sequence[Queue | Topic], name: str) -> int | None:
    """The number of the first table that matches a name, as the core finds it."""
    asked = asked_about(name.encode())
    return next((number for number, table in enumerate(tables) if matches_pattern(table.pattern.encode(), asked)), None)


def wrong_policies(config: Config) -> Wrong:
    """Find what is wrong with the tables, although every value on its own is right."""
    queues = _Array("queues", config.queues, _MOST_LEVELS)
    topics = _Array("topics", config.topics, config.limits.max_levels)
    for array in (queues, topics):
        yield from _wrong_patterns(array)
        yield from _never_reached(array)
        yield from _wrong_copies(array)
        yield from _kept_nowhere(array, config.data_dir)
    for number, queue in enumerate(config.queues):
        yield from _wrong_queue(f"queues[{number}]", queue)


def _wrong_patterns(array: _Array) -> Wrong:
    for number, table in enumerate(array.tables):
        reason = check_pattern(table.pattern.encode(), array.most_levels)
        if table.pattern.startswith(array.prefix):
            reason = f"it is written without {array.prefix}"
        if reason:
            yield f"this is no pattern of {array.path}: {reason}", {f"{array.path}[{number}].pattern": table.pattern}


def _never_reached(array: _Array) -> Wrong:
    """Tables behind one that is for all that they are for."""
    before = PatternTable()
    same: dict[str, int] = {}
    for number, table in enumerate(array.tables):
        pattern = table.pattern
        if check_pattern(pattern.encode(), _MOST_LEVELS):
            continue
        first = min(_before(pattern, same, before), default=None)
        if first is not None:
            keys = {f"{array.path}[{each}].pattern": array.tables[each].pattern for each in (first, number)}
            yield "the second of these can never decide, as the first one matches all that it does", keys
        before.add(pattern.encode(), number)
        same.setdefault(pattern, number)


def _before(pattern: str, same: Mapping[str, int], before: PatternTable) -> Iterator[int]:
    """The tables that match all that a pattern does. A pattern without open wildcards stands for its names: where it
    has a `*`, only a wildcard matches that."""
    yield from (same[each] for each in (*_EVERYTHING, pattern) if each in same)
    if not set(pattern.replace("/", ".").split(".")).intersection(_OPEN):
        yield from before.find(pattern.encode())


def _wrong_copies(array: _Array) -> Wrong:
    for number, table in enumerate(array.tables):
        name, copies = ("mirror", table.mirror) if isinstance(table, Queue) else ("forward", table.forward)
        for each in copies:
            kind, slash, rest = each[1:].partition("/")
            is_one = each[:1] == slash == "/" and kind in ("queue", "topic") and rest
            if not is_one or (kind == "topic" and has_wildcard(rest.encode())):
                sentence = "this is no destination for copies; write it as /queue/name or /topic/name"
                yield sentence, {f"{array.path}[{number}].{name}": each}


def _kept_nowhere(array: _Array, data_dir: str) -> Wrong:
    for number, table in enumerate(array.tables):
        if data_dir == NO_DATA_DIR and table.persistent == "always" and table.durability != "memory":
            path = f"{array.path}[{number}].persistent"
            yield f"{path} needs a data directory", {path: table.persistent, "data_dir": data_dir}


def _wrong_queue(path: str, queue: Queue) -> Wrong:
    if 0 < queue.max_ttl < queue.ttl:
        yield f"{path}.ttl must not be more than max_ttl", {f"{path}.ttl": queue.ttl, f"{path}.max_ttl": queue.max_ttl}
    if queue.redelivery_delay > queue.redelivery_max_delay:
        keys = ("redelivery_delay", "redelivery_max_delay")
        values = {f"{path}.{key}": getattr(queue, key) for key in keys}
        yield f"{path}.redelivery_delay must not be more than redelivery_max_delay", values
    if queue.dead_letter.startswith("/"):
        yield "a dead-letter queue is written without /queue/", {f"{path}.dead_letter": queue.dead_letter}
    if not queue.dead_letter:
        needing = {"overflow": queue.overflow == "dead-letter", "dead_letter_expired": queue.dead_letter_expired}
        for key in (key for key, needs in needing.items() if needs):
            values = {f"{path}.{key}": getattr(queue, key), f"{path}.dead_letter": queue.dead_letter}
            yield f"{path}.{key} needs a dead-letter queue", values


def doubts(config: Config) -> Iterator[str]:
    """Find what is allowed, and still seldom meant: dead letters may fill the memory."""
    queues = (*config.queues, *own_queues(config.compat.profile))
    for queue in config.queues:
        name = queue.dead_letter.replace("{name}", queue.pattern)
        found = deciding(queues, name) if name else None
        there = usual_queue(config.compat.profile) if found is None else queues[found]
        if name and not (there.max_messages or there.max_bytes):
            yield (
                f"[[queues]] {queue.pattern}: the dead letters go to /queue/{name}, which has no limit; a [[queues]] "
                "table in front, for that name and with max_messages, gives it one"
            )
