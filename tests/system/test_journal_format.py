"""A journal and an export that an earlier broker has written are read as they were meant, for ever.

The broker of journal-version-1 was killed with something of everything in it; journal-version-1.jsonl is what that was,
as it was exported then. journal-version-2 is the same in the next version of the format. Whoever changes that adds
another beside them, and says what becomes of these.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.broker import Broker
from harness.client import Client
from test_journal_tools import FEATURES, journal, said

HERE = Path(__file__).parent
DIRECTORIES = [HERE / "journal-version-1", HERE / "journal-version-2"]
EXPORT = HERE / "journal-version-1.jsonl"


def content(export: str) -> list[object]:
    """All but the version of fastbroker that has exported it."""
    return [{key: value for key, value in json.loads(line).items() if key != "version"} for line in export.splitlines()]


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_it_is_exported_as_it_was_then(directory: Path) -> None:
    assert content(journal("export", directory)) == content(EXPORT.read_text())


def test_an_export_is_the_same_again(tmp_path: Path) -> None:
    journal("import", tmp_path / "new", EXPORT)
    assert sorted(map(str, content(journal("export", tmp_path / "new")))) == sorted(
        map(str, content(EXPORT.read_text()))
    )


@pytest.mark.parametrize("of", [*DIRECTORIES, EXPORT])
def test_a_broker_goes_on_with_it(tmp_path: Path, of: Path, talk: Callable[..., Client]) -> None:
    if of == EXPORT:
        journal("import", tmp_path / "data", EXPORT)
    else:
        shutil.copytree(of, tmp_path / "data")
    broker = Broker(tmp_path, {"listen": ["tcp://127.0.0.1:0"], **FEATURES})
    try:
        assert not [record for record in broker.log if record.get("level") == "error"]
        client = talk(to=broker)
        client.subscribe("/queue/jobs")
        heads, bodies = zip(*(said(client) for _ in range(3)), strict=True)
        assert bodies == (b"together", b"job 1", b"job 0")
        assert all(b"message-id:v4jg27hs-" in head and b"delivery-count:3" in head for head in heads)
        for name in ("one", "two"):
            client.subscribe("/topic/news", "durable:true", "auto-delete:false", id=name)
            assert [said(client)[1] for _ in range(4)] == [b"news 0", b"news 1", b"news 2", b"together"]
        client.publish("/queue/once", b"again", "message-dedup-id:2")
        for queue, bodies in (("once", [b"once 0", b"once 1", b"once 2"]), ("large", [b"y" * 70_000])):
            client.subscribe(f"/queue/{queue}", id=queue)
            assert [said(client)[1] for _ in bodies] == list(bodies)
        client.subscribe("/queue/binary", id="binary")
        assert said(client)[1] == bytes(range(256))
        client.subscribe("/topic/kept", "last:9", id="kept")
        assert [said(client)[1] for _ in range(3)] == [b"kept 0", b"kept 1", b"kept 2"]
        client.expect_nothing()
        assert broker.census()["scheduled"] == 1
    finally:
        broker.process.kill()
        broker.process.wait()
