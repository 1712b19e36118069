"""The data directory: private, for one broker, with the bound addresses in it."""

import os
import stat
from pathlib import Path

import pytest

from fastbroker.datadir import DataDir, data_dir_of
from fastbroker.errors import StartError


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("environ", "platform", "found"),
    [
        ({"STATE_DIRECTORY": "/var/lib/x:/var/lib/y", "XDG_DATA_HOME": "/data"}, "linux", "/var/lib/x"),
        ({"STATE_DIRECTORY": "", "XDG_DATA_HOME": "/data"}, "linux", "/data/fastbroker"),
        ({"XDG_DATA_HOME": "data"}, "linux", "/people/me/.local/share/fastbroker"),
        ({}, "linux", "/people/me/.local/share/fastbroker"),
        ({}, "darwin", "/people/me/Library/Application Support/fastbroker"),
        ({"XDG_DATA_HOME": "/data"}, "darwin", "/data/fastbroker"),
    ],
)
def test_where_it_is_if_nobody_says(monkeypatch, environ, platform, found):
    monkeypatch.setenv("HOME", "/people/me")
    assert data_dir_of("", environ, platform) == Path(found)


def test_where_it_is_if_somebody_says(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    environ = {"STATE_DIRECTORY": "/var/lib/x", "XDG_DATA_HOME": "/data"}
    assert data_dir_of("none", environ) is None
    assert data_dir_of("data", environ) == tmp_path / "data"
    assert data_dir_of("./none", environ) == tmp_path / "none"


def test_nobody_who_could_have_one(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    complaint = r"no home directory .* --data-dir DIR .* --data-dir none"
    with pytest.raises(StartError, match=complaint):
        data_dir_of("", {})
    monkeypatch.setattr(Path, "home", lambda: Path("people"))
    with pytest.raises(StartError, match=r"no home directory .* --data-dir DIR .* --data-dir none"):
        data_dir_of("", {})


def test_it_is_created_private(tmp_path):
    path = tmp_path / "data"
    with DataDir(path):
        assert mode(path) == 0o700
        assert mode(path / "lock") == 0o600
        assert (path / "lock").read_text() == f"{os.getpid()}\n"


def test_each_new_directory_is_on_the_disk_before_anything_is_in_it(tmp_path, monkeypatch):
    """By the one that it is in, and the identity by the data directory."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("what is synced is seen in /proc")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(str(Path(f"/proc/self/fd/{file}").readlink())))
    with DataDir(tmp_path / "a" / "b") as data_dir:
        assert synced == [f"{tmp_path}/a", str(tmp_path)]
        synced.clear()
        identity = data_dir.identity()
        assert synced == [f"{tmp_path}/a/b/identity.new", f"{tmp_path}/a/b"]
        synced.clear()
        assert data_dir.identity() == identity
    with DataDir(tmp_path / "a" / "b"):
        assert not synced


def test_it_says_where_the_broker_listens_while_it_does(tmp_path):
    with DataDir(tmp_path) as data_dir:
        data_dir.announce(["tcp://127.0.0.1:1", "tcp://[::1]:2"])
        assert (tmp_path / "listening").read_text() == "tcp://127.0.0.1:1\ntcp://[::1]:2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


def test_two_brokers_never_share_one(tmp_path):
    with DataDir(tmp_path) as first:
        first.announce(["tcp://127.0.0.1:1"])
        with (
            pytest.raises(StartError, match=rf"in use by another broker \(process {os.getpid()}\)"),
            DataDir(tmp_path),
        ):
            pass
        assert (tmp_path / "listening").exists(), "the one that was refused left the other's file alone"
    with DataDir(tmp_path):
        pass


def test_a_crashed_broker_leaves_nothing_that_stops_the_next(tmp_path):
    (tmp_path / "lock").write_text("123456789012345\n")
    (tmp_path / "listening").write_text("tcp://127.0.0.1:1\n")
    with DataDir(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("name", ["listening", "listening.new"])
def test_a_list_of_addresses_that_cannot_be_written(tmp_path, name):
    (tmp_path / name).mkdir()
    with (
        pytest.raises(StartError, match=f"cannot use the data directory {tmp_path}: Is a directory; "),
        DataDir(tmp_path) as data_dir,
    ):
        data_dir.announce(["tcp://127.0.0.1:1"])


def test_a_list_of_addresses_that_cannot_be_taken_away(tmp_path):
    with DataDir(tmp_path):
        (tmp_path / "listening").mkdir()
    with DataDir(tmp_path):
        pass


def test_a_file_in_its_place(tmp_path):
    path = tmp_path / "data"
    path.write_text("")
    with pytest.raises(StartError, match=f"cannot use the data directory {path}: "), DataDir(path):
        pass


def test_the_lock_is_no_link_to_somewhere_else(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lock").symlink_to(victim)
    with pytest.raises(StartError, match="cannot use the data directory"), DataDir(tmp_path / "data"):
        pass
    assert victim.read_text() == "precious"
