"""Queues with so much that most of it is only in the journal: it is as if it were in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from test_journal import PERSISTENT, Life

from fastbroker.core.disk import Disk

MEMORY = 16_384  # bytes of a queue that stay
BODY = b"x" * 200
CLIENT = b"ack:client-individual\nprefetch-count:5\n"


@pytest.fixture
def life(face: Any) -> Life:
    return Life(face, queue_memory=MEMORY, redelivery_delay=0)


def fill(life: Life, count: int, queue: bytes = b"/queue/a", headers: bytes = b"", begin: int = 0) -> None:
    """Bodies say their numbers; `headers` may, too."""
    client = life.client()
    for number in range(begin, begin + count):
        lines = headers % number if b"%d" in headers else headers
        client.say(send(queue, b"%d " % number + BODY, PERSISTENT + lines))
        if number % 20 == 0:
            life.settle()
            life.face.spill(life.house)
    spill(life)


def spill(life: Life) -> None:
    """All that may leave memory has left it."""
    life.settle()
    for _ in range(40):
        life.house.advance(600)
        life.face.spill(life.house)


def numbers(heard: list[Message]) -> list[int]:
    return [int(each.body.split()[0]) for each in heard]


def drain(life: Life, client: Any, most: int = 10_000) -> list[Message]:
    """All that comes, each acknowledged."""
    found: list[Message] = []
    while len(found) < most:
        life.settle()
        heard = messages(client.hear())
        if not heard:
            break
        found += heard
        client.say(b"".join(ack(each.ack) for each in heard))
    return found


@pytest.mark.parametrize("crashes", [False, True])
def test_most_of_it_is_not_in_memory_and_comes_in_order(life: Life, crashes: bool) -> None:
    before = life.house.stats["memory"]
    fill(life, 1000, headers=b"n:%d\n")
    assert life.house.bytes_in(b"a") > 300_000
    assert life.face.away_in(life.house, b"a") > 250_000
    assert life.house.stats["memory"] - before < 250_000
    if crashes:
        life.crash()
        assert life.face.away_in(life.house, b"a") == life.house.bytes_in(b"a")
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", CLIENT))
    found = drain(life, client)
    assert numbers(found) == list(range(1000))
    assert all(each.headers[b"n"] == each.body.split()[0] and each.body.endswith(BODY) for each in found)
    assert not any(each.redelivered for each in found)
    assert life.face.away_in(life.house, b"a") == life.house.bytes_in(b"a") == 0
    life.crash()
    assert life.waiting() == []


def test_of_what_was_fetched_not_much_is_in_memory(life: Life) -> None:
    fill(life, 3000)
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", CLIENT))
    least = life.house.stats["memory"]
    for _ in range(2000):
        life.settle()
        client.say(b"".join(ack(each.ack) for each in messages(client.hear())))
        assert life.house.stats["memory"] < least + 1_500_000


def test_priorities_hold(life: Life) -> None:
    for number in range(600):
        fill(life, 1, headers=b"priority:%d\n" % (number % 10), begin=number)
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", CLIENT))
    assert life.face.away_in(life.house, b"a") > 100_000
    wanted = sorted(range(600), key=lambda number: (-(number % 10), number))
    assert numbers(drain(life, client)) == wanted


def test_a_shelf_that_was_emptied_may_be_deep_again(life: Life) -> None:
    """All that is there is looked at every ten seconds, whatever was there before."""
    fill(life, 600, headers=b"priority:6\n")
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", CLIENT))
    drain(life, client)
    client.leave()
    client = life.client()
    for number in range(600):
        client.say(send(b"/queue/a", b"%d " % number + BODY, PERSISTENT + b"priority:6\n"))
        if number % 20 == 0:
            life.settle()
    life.settle()
    life.house.advance(11_000)
    for _ in range(40):
        life.face.spill(life.house)
    assert life.face.away_in(life.house, b"a") > 100_000


def test_selectors_find_what_is_deep_down(life: Life) -> None:
    fill(life, 600, headers=b"n:%d\n")
    for sought in (599, 300, 5):
        client = life.client()
        client.say(subscribe(b"1", b"/queue/a", CLIENT + b"selector:n = '%d'\n" % sought))
        assert numbers(drain(life, client)) == [sought]
        client.leave()
    spill(life)
    assert life.face.away_in(life.house, b"a") > 100_000
    assert numbers(life.waiting()) == [number for number in range(600) if number not in (599, 300, 5)]


def test_what_a_selector_looked_at_leaves_memory_again(life: Life) -> None:
    fill(life, 2000)
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", CLIENT + b"selector:nothing = 'such'\n"))
    for _ in range(60):
        life.settle()
        spill(life)
    assert client.hear() == b""
    assert life.face.away_in(life.house, b"a") > life.house.bytes_in(b"a") - 2 * MEMORY


def test_groups_are_kept_together(life: Life) -> None:
    for number in range(400):
        fill(life, 1, headers=b"JMSXGroupID:g%d\n" % (number % 7), begin=number)
    life.crash()
    one, other = life.client(), life.client()
    for client in (one, other):
        client.say(subscribe(b"1", b"/queue/a", CLIENT))
    found: dict[Any, list[Message]] = {one: [], other: []}
    for _ in range(400):
        life.settle()
        for client, heard in found.items():
            new = messages(client.hear())
            heard += new
            client.say(b"".join(ack(each.ack) for each in new))
    groups = [{number % 7 for number in numbers(heard)} for heard in found.values()]
    assert not groups[0] & groups[1]
    assert sorted(numbers(found[one] + found[other])) == list(range(400))
    assert all(numbers(heard) == sorted(numbers(heard)) for heard in found.values())


def test_browsers_see_all_of_it_and_take_nothing(life: Life) -> None:
    fill(life, 1000)
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", b"browser:true\nselector:true\n"))
    heard = b""
    for _ in range(100):
        life.settle()
        heard += client.hear()
    found = messages(heard)
    assert found[-1].headers[b"browser"] == b"end"
    assert numbers(found[:-1]) == list(range(1000))
    spill(life)
    assert life.house.bytes_in(b"a") > 300_000
    assert numbers(life.waiting()) == list(range(1000))


def test_last_values_replace_what_is_away(life: Life) -> None:
    fill(life, 400, headers=b"_AMQ_LVQ_NAME:%d\n")
    life.crash()
    fill(life, 50, headers=b"_AMQ_LVQ_NAME:%d\n", begin=100)
    assert numbers(life.waiting()) == list(range(400))
    assert life.house.queue(b"a")[0] == 400


def test_what_is_away_expires(face: Any) -> None:
    life = Life(face, queue_memory=MEMORY, queues=[("dead", {"dead_letter_expired": True, "dead_letter": "DLQ"})])
    fill(life, 300, headers=b"ttl:100000\n")
    fill(life, 300, queue=b"/queue/dead", headers=b"ttl:100000\n")
    life.crash()
    life.house.advance(200_000)
    assert life.waiting() == []
    for _ in range(20):
        life.settle()
        life.house.advance(60_000)
    buried = life.waiting(b"/queue/DLQ")
    assert sorted(numbers(buried)) == list(range(300))
    assert all(each.headers[b"dead-letter-reason"] == b"expired" for each in buried)


def test_while_it_comes_others_go_on(life: Life) -> None:
    fill(life, 300)
    life.crash()
    life.store.slow = True
    client, other = life.client(), life.client()
    client.say(subscribe(b"1", b"/queue/a", CLIENT))
    other.say(subscribe(b"2", b"/queue/b", CLIENT) + send(b"/queue/b", b"here"))
    life.settle()
    assert client.hear() == b""
    assert bodies(other.hear()) == [b"here"]
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    other.say(subscribe(b"1", b"/queue/a", CLIENT))
    client.leave()
    life.settle()
    assert other.hear() == b""
    life.store.slow = False
    assert numbers(drain(life, other)) == list(range(300))


def test_where_there_is_no_memory_for_it_it_comes_later(life: Life) -> None:
    fill(life, 300)
    life.crash()
    life.store.short = True
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", CLIENT))
    life.settle()
    fetches = life.store.fetches
    life.settle()
    assert (client.hear(), life.store.fetches) == (b"", fetches)  # it is not tried again and again
    life.store.short = False
    life.face.spill(life.house)
    assert numbers(drain(life, client)) == list(range(300))


def test_a_file_that_cannot_be_opened_costs_nothing(face: Any, tmp_path: Path) -> None:
    """There may be too many open ones for a moment: nothing is lost for that."""
    store = Disk(tmp_path, bytes(16), 1 << 17)
    house = face.House(store=store)
    client = face.Client(house)
    client.say(b"".join(send(b"/queue/a", b"%d" % number, PERSISTENT) for number in range(20)))
    while not face.store_is_idle(house):
        house.turn()
    store.close()
    store = Disk(tmp_path, bytes(16), 1 << 17)
    house = face.House(store=store)
    segment = tmp_path / "segment-0000000000000001"
    away = segment.rename(tmp_path / "away")
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", CLIENT))
    house.turn()
    assert client.hear() == b""
    assert house.bytes_in(b"a") > 0
    away.rename(segment)
    face.spill(house)
    house.turn()
    assert bodies(client.hear()) == [b"0", b"1", b"2", b"3", b"4"]
    assert house.log == []
    store.close()


def test_what_nobody_takes_is_not_held_for_long(life: Life) -> None:
    """Clients want one of each queue, and more of it is fetched."""
    queues = [b"/queue/%d" % number for number in range(80)]
    for queue in queues:
        client = life.client()
        for _ in range(40):
            client.say(send(queue, BODY * 50, PERSISTENT))
        life.settle()
    life.crash()
    before = life.house.stats["memory"]
    client = life.client()
    for number, queue in enumerate(queues):
        client.say(subscribe(b"%d" % number, queue, b"ack:client-individual\nprefetch-count:1\n"))
        life.settle()
        client.hear()
    assert life.house.stats["memory"] - before < 22_000_000  # there are 32 MB
    found = 0
    for number, queue in enumerate(queues):
        client.say(b"UNSUBSCRIBE\nid:%d\n\n\0" % number)
        found += len(life.waiting(queue))
    assert found == 80 * 40


def test_a_queue_may_go_while_it_is_fetched(life: Life) -> None:
    fill(life, 300)
    life.crash()
    life.store.slow = True
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", CLIENT + b"auto-delete:true\n"))
    life.settle()
    client.leave()
    for _ in range(5):
        life.house.advance(400_000)
        life.settle()
    life.store.slow = False
    life.settle()
    if life.house.queue(b"a") is not None:
        assert numbers(life.waiting()) == list(range(300))


def test_what_cannot_be_read_goes_and_is_told(life: Life) -> None:
    fill(life, 30)
    life.crash()
    client = life.client()
    life.store.lost = {life.store.place_of_body(b"%d " % number) for number in (0, 7)}
    client.say(subscribe(b"1", b"/queue/a", CLIENT))
    assert numbers(drain(life, client)) == [number for number in range(30) if number not in (0, 7)]
    assert [event for _, event, _ in life.house.log].count("message unreadable") == 2
    life.crash()
    assert life.waiting() == []


@pytest.mark.parametrize("headers", [b"selector:true\n", b"browser:true\n"])
def test_others_pass_what_cannot_be_read(life: Life, headers: bytes) -> None:
    fill(life, 30)
    life.crash()
    life.store.lost = {life.store.place_of_body(b"%d " % number) for number in (0, 7)}
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", headers + CLIENT * (b"browser" not in headers)))
    heard = drain(life, client) if b"browser" not in headers else messages(client.hear())
    if b"browser" in headers:
        for _ in range(10):
            life.settle()
            heard += messages(client.hear())
        heard.pop()
    assert numbers(heard) == [number for number in range(30) if number not in (0, 7)]


def test_what_is_away_is_recorded_again_where_segments_are_left(life: Life) -> None:
    client = life.client()
    for number in range(400):
        client.say(send(b"/queue/a", b"%d " % number + BODY, PERSISTENT) if number % 10 == 0 else b"")
        client.say(send(b"/queue/gone", BODY * 3, PERSISTENT))
        if number % 10 == 0:
            life.settle()
    life.crash()
    other = life.client()
    other.say(subscribe(b"g", b"/queue/gone", CLIENT))
    drain(life, other)
    before = len(life.store.segments)
    for _ in range(80):
        life.house.carry_on()
        life.settle()
        life.house.advance(100)
    assert len(life.store.segments) <= before // 4
    life.crash()
    assert numbers(life.waiting()) == list(range(0, 400, 10))


def test_deep_durable_subscriptions_share_what_is_kept(life: Life) -> None:
    client = life.client()
    for name in (b"d", b"e"):
        client.say(subscribe(name, b"/topic/t", b"durable:true\nauto-delete:false\nack:client\n"))
        client.say(b"UNSUBSCRIBE\nid:%b\n\n\0" % name)
    fill(life, 500, queue=b"/topic/t")
    life.crash()
    for name in (b"d", b"e"):
        client = life.client()
        client.say(subscribe(name, b"/topic/t", b"durable:true\nauto-delete:false\n" + CLIENT))
        assert numbers(drain(life, client)) == list(range(500))
