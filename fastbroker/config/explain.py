"""What the configuration says of one destination: which table decides, and where each of its values comes from."""

from collections.abc import Iterator, Mapping, Sequence

from fastbroker.config.keys import keys_of
from fastbroker.config.policies import deciding, own_queues, usual_queue
from fastbroker.config.profiles import of_each_queue
from fastbroker.config.schema import Config, Queue, Topic
from fastbroker.config.toml import with_origin
from fastbroker.core.destination import policy_asked

_NO_TABLE = "No table [[{array}]] matches it: these are the defaults."
_FIRST = "The first table that matches it: [[{array}]], {origin}."
_OWN = "No table [[queues]] of the configuration matches it; this is the broker's own."
_NOBODYS = "No table is for it: these are the defaults."


def explained(config: Config, origins: Mapping[str, str], destination: str) -> str:
    """Its canonical name, and its policy as a table of TOML. Raises Refused for what is no destination."""
    array, name_bytes, canonical = policy_asked(destination.encode(), config.limits.max_levels)
    name, profile = name_bytes.decode(), config.compat.profile
    changed = dict.fromkeys(of_each_queue(profile), f"profile {profile}")
    usual = usual_queue(profile)
    if array == "topics":
        lines = _decided("topics", config.topics, name, origins) or _shown(
            _NO_TABLE.format(array=array), "topics", Topic(pattern="#"), {}
        )
    elif array == "queues":
        lines = (
            _decided("queues", config.queues, name, origins)
            or _own(own_queues(profile), usual, name, changed)
            or _shown(_NO_TABLE.format(array=array), "queues", usual, changed)
        )
    else:
        lines = _shown(_NOBODYS, "queues", usual, changed)
    return "".join(f"{line}\n" for line in [f"# {canonical.decode()}", *lines])


def _decided(
    array: str, tables: Sequence[Queue | Topic], name: str, origins: Mapping[str, str]
) -> Iterator[str] | None:
    """The first table of the configuration that matches, if one does."""
    number = deciding(tables, name)
    if number is None:
        return None
    path = f"{array}[{number}]"
    inside = {key.removeprefix(f"{path}."): origin for key, origin in origins.items() if key.startswith(f"{path}.")}
    return _shown(_FIRST.format(array=array, origin=origins[path]), array, tables[number], inside, table=True)


def _own(own: Sequence[Queue], usual: Queue, name: str, changed: Mapping[str, str]) -> Iterator[str] | None:
    """The table of the broker itself that matches, if one does."""
    number = deciding(own, name)
    if number is None:
        return None
    origins = dict.fromkeys(_unusual(own[number], usual), "the broker's own")
    return _shown(_OWN, "queues", own[number], {**changed, **origins}, table=True)


def _unusual(table: Queue | Topic, usual: Queue | Topic) -> Iterator[str]:
    return (key.path for key in keys_of(type(table)) if getattr(table, key.path) != getattr(usual, key.path))


def _shown(
    sentence: str, array: str, values: Queue | Topic, origins: Mapping[str, str], *, table: bool = False
) -> Iterator[str]:
    yield f"# {sentence}"
    if table:
        yield f"[[{array}]]"
    for key in keys_of(type(values)):
        if table or key.path != "pattern":
            value = key.in_toml(getattr(values, key.path))
            yield with_origin(f"{key.path} = {value}", origins.get(key.path, "default"))
