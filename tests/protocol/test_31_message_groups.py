"""Message groups: what has the same group goes to one consumer of a queue, in order."""

import pytest
from harness.frames import every_version

MODES = ["auto", "client", "client-individual"]


def bodies(client, count):
    return [client.read_frame().rstrip(b"\n\0").rpartition(b"\n\n")[2].decode() for _ in range(count)]


@every_version
@pytest.mark.parametrize("header", ["JMSXGroupID", "message_group"])
@pytest.mark.parametrize("mode", MODES)
def test_each_group_goes_to_one(talk, publish, queue, version, header, mode):
    one, two = talk(version), talk(version)
    for client in (one, two):
        client.subscribe(queue, ack=mode)
    for number in range(6):
        publish(queue, f"{'ab'[number % 2]}{number}", f"{header}:{'ab'[number % 2]}")
    assert {tuple(bodies(client, 3)) for client in (one, two)} == {("a0", "a2", "a4"), ("b1", "b3", "b5")}


def test_a_group_moves_in_order_when_its_consumer_is_lost(talk, publish, queue):
    lost = talk()
    lost.subscribe(queue, "prefetch-count:3", ack="client")
    for number in range(6):
        publish(queue, f"{number}", "JMSXGroupID:a")
    assert bodies(lost, 3) == ["0", "1", "2"]
    heir = talk()
    heir.subscribe(queue, ack="client")
    heir.expect_nothing()
    lost.reset()
    assert bodies(heir, 6) == ["0", "1", "2", "3", "4", "5"]


def test_a_group_that_is_closed_goes_to_the_next(talk, publish, queue):
    one, two = talk(), talk()
    one.subscribe(queue, "prefetch-count:2", ack="client")
    publish(queue, "0", "JMSXGroupID:a")
    publish(queue, "1", "JMSXGroupID:a", "JMSXGroupSeq:-1")
    assert bodies(one, 2) == ["0", "1"]
    two.subscribe(queue, ack="client")
    publish(queue, "2", "JMSXGroupID:a")
    assert bodies(two, 1) == ["2"]
