"""The data directory: private, for one broker, with the bound addresses in it."""

import os
import stat

import pytest

from fastbroker.datadir import DataDir
from fastbroker.errors import StartError


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_created_private(tmp_path):
    path = tmp_path / "data"
    with DataDir(str(path)):
        assert mode(path) == 0o700
        assert mode(path / "lock") == 0o600
        assert (path / "lock").read_text() == f"{os.getpid()}\n"


def test_it_says_where_the_broker_listens_while_it_does(tmp_path):
    with DataDir(str(tmp_path)) as data_dir:
        data_dir.announce(["tcp://127.0.0.1:1", "tcp://[::1]:2"])
        assert (tmp_path / "listening").read_text() == "tcp://127.0.0.1:1\ntcp://[::1]:2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


def test_two_brokers_never_share_one(tmp_path):
    with DataDir(str(tmp_path)) as first:
        first.announce(["tcp://127.0.0.1:1"])
        with (
            pytest.raises(StartError, match=rf"in use by another broker \(process {os.getpid()}\)"),
            DataDir(str(tmp_path)),
        ):
            pass
        assert (tmp_path / "listening").exists(), "the one that was refused left the other's file alone"
    with DataDir(str(tmp_path)):
        pass


def test_a_crashed_broker_leaves_nothing_that_stops_the_next(tmp_path):
    (tmp_path / "lock").write_text("123456789012345\n")
    (tmp_path / "listening").write_text("tcp://127.0.0.1:1\n")
    with DataDir(str(tmp_path)):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("name", ["listening", "listening.new"])
def test_a_list_of_addresses_that_cannot_be_written(tmp_path, name):
    (tmp_path / name).mkdir()
    with (
        pytest.raises(StartError, match=f"cannot use the data directory {tmp_path}: Is a directory; "),
        DataDir(str(tmp_path)) as data_dir,
    ):
        data_dir.announce(["tcp://127.0.0.1:1"])


def test_a_list_of_addresses_that_cannot_be_taken_away(tmp_path):
    with DataDir(str(tmp_path)):
        (tmp_path / "listening").mkdir()
    with DataDir(str(tmp_path)):
        pass


def test_a_file_in_its_place(tmp_path):
    path = tmp_path / "data"
    path.write_text("")
    with pytest.raises(StartError, match=f"cannot use the data directory {path}: "), DataDir(str(path)):
        pass


def test_the_lock_is_no_link_to_somewhere_else(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lock").symlink_to(victim)
    with pytest.raises(StartError, match="cannot use the data directory"), DataDir(str(tmp_path / "data")):
        pass
    assert victim.read_text() == "precious"
