"""What the configuration says of one destination: which table decides, and where each of its values comes from."""

from collections.abc import Iterator, Mapping, Sequence

from fastbroker.config.keys import keys_of
from fastbroker.config.policies import deciding, own_queues
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
    name = name_bytes.decode()
    if array == "topics":
        lines = _decided("topics", config.topics, Topic(pattern="#"), name, origins)
    elif array == "queues":
        lines = _decided("queues", config.queues, Queue(pattern="#"), name, origins)
    else:
        lines = _shown(_NOBODYS, "queues", Queue(pattern="#"), {})
    return "".join(f"{line}\n" for line in [f"# {canonical.decode()}", *lines])


def _decided(
    array: str, tables: Sequence[Queue | Topic], usual: Queue | Topic, name: str, origins: Mapping[str, str]
) -> Iterator[str]:
    number = deciding(tables, name)
    if number is not None:
        path = f"{array}[{number}]"
        inside = {key.removeprefix(f"{path}."): origin for key, origin in origins.items() if key.startswith(f"{path}.")}
        return _shown(_FIRST.format(array=array, origin=origins[path]), array, tables[number], inside)
    own = own_queues() if array == "queues" else ()
    number = deciding(own, name)
    if number is not None:
        return _shown(_OWN, array, own[number], dict.fromkeys(_unusual(own[number], usual), "the broker's own"))
    return _shown(_NO_TABLE.format(array=array), array, usual, {})


def _unusual(table: Queue | Topic, usual: Queue | Topic) -> Iterator[str]:
    return (key.path for key in keys_of(type(table)) if getattr(table, key.path) != getattr(usual, key.path))


def _shown(sentence: str, array: str, table: Queue | Topic, origins: Mapping[str, str]) -> Iterator[str]:
    yield f"# {sentence}"
    if origins:
        yield f"[[{array}]]"
    for key in keys_of(type(table)):
        if origins or key.path != "pattern":
            value = key.in_toml(getattr(table, key.path))
            yield with_origin(f"{key.path} = {value}", origins.get(key.path, "default"))
