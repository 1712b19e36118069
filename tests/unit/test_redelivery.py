"""What comes back: how often, after which pauses, and where it goes when that was often enough."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
TICK = 10
MINUTE = 60_000
INDIVIDUAL = b"ack:client-individual\n"
MANY = 60_000
WIDE = dict.fromkeys(("prefetch_bytes", "outbound_soft", "outbound_hard"), 1 << 30)


def new_house(face: Face, **more: Any) -> Face:
    return face.House(**{"dead_letter": "DLQ.{name}", **more})


def nack(message: Message, headers: bytes = b"") -> bytes:
    return ack(message.ack, b"NACK", headers)


def held(face: Face, house: Face, body: bytes = b"x", headers: bytes = b"", destination: bytes = b"/queue/a") -> Any:
    """A client, and the message that it has."""
    client = face.Client(house)
    client.say(subscribe(b"1", destination, INDIVIDUAL + headers) + send(destination, body))
    return client, one(client)


def one(client: Face) -> Message:
    (message,) = messages(client.hear())
    return message


def test_without_a_pause_and_a_limit_it_comes_again_for_ever(face: Face) -> None:
    """Also when doubling has come to more than there are numbers."""
    house = new_house(face, redelivery_delay=0, max_deliveries=0, nack_delay=0)
    client, message = held(face, house)
    for _ in range(1100):
        client.say(nack(message))
        house.advance(1)
        message = one(client)
    assert message.headers[b"delivery-count"] == b"1101"


def pauses_until_dead(house: Face, client: Face) -> list[int]:
    """Milliseconds between the hand-overs of the one message, which is refused at once each time."""
    pauses, since = [], 0
    while not house.stats["dead_lettered"]:
        since += TICK
        house.advance(TICK)
        for message in messages(client.hear()):
            client.say(nack(message))
            pauses.append(since)
            since = 0
    return pauses


# ---- pauses --------------------------------------------------------------------------------------


def about(pause: int) -> tuple[float, float]:
    return pause * 0.9, pause * 1.1 + 3 * TICK


@pytest.mark.parametrize("consumers", [1, 30])
def test_nothing_spins_with_the_defaults(face: Face, consumers: int) -> None:
    """However many refuse in turn, what fails because all is broken is tried for ten minutes; the first time soon."""
    house = new_house(face)
    client = face.Client(house)
    for number in range(consumers):
        client.say(subscribe(b"%d" % number, b"/queue/a", INDIVIDUAL))
    client.say(send(b"/queue/a", b"x"))
    client.say(nack(one(client)))
    pauses = pauses_until_dead(house, client)
    assert len(pauses) == 19, "it was given out twenty times"
    for at, pause in enumerate(pauses):
        least, most = about(min(50 * 2**at, MINUTE))
        assert least <= pause <= most
    assert 8 * MINUTE < sum(pauses) < 11 * MINUTE


def test_pauses_of_the_policy(face: Face) -> None:
    house = new_house(
        face,
        nack_delay=0,
        max_deliveries=6,
        redelivery_delay=100,
        redelivery_multiplier=3.0,
        redelivery_max_delay=2000,
        redelivery_jitter=0.0,
    )
    client, message = held(face, house)
    client.say(nack(message))
    assert pauses_until_dead(house, client) == [pause + TICK for pause in (100, 300, 900, 2000, 2000)]


def test_consumers_that_failed_together_do_not_try_together_again(face: Face) -> None:
    """But what one of them has refused comes in order."""
    house = new_house(face, nack_delay=0, redelivery_delay=10_000, redelivery_jitter=0.5)
    client = face.Client(house)
    for number in range(20):
        client.say(subscribe(b"%d" % number, b"/queue/a", INDIVIDUAL))
    client.say(send(b"/queue/a", b"x") * 60)
    for message in messages(client.hear()):
        client.say(nack(message))
    came: dict[int, list[int]] = {}
    for now in range(0, 16_000, TICK):
        house.advance(TICK)
        for message in messages(client.hear()):
            came.setdefault(now, []).append(message.number)
    assert 5 < len(came) <= 20
    assert sum(map(len, came.values())) == 60
    assert all(numbers == sorted(numbers) for numbers in came.values())
    assert 5000 <= min(came) < max(came) <= 15_000 + 2 * TICK


def test_what_rests_blocks_nobody_and_comes_back_to_its_place(face: Face) -> None:
    house = new_house(face, nack_delay=0, redelivery_delay=1000, redelivery_jitter=0.0)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", INDIVIDUAL + b"prefetch-count:1\n") + send(b"/queue/a", b"a"))
    client.say(nack(one(client)) + send(b"/queue/a", b"b") + send(b"/queue/a", b"c"))
    house.advance(TICK)  # the consumer itself has rested
    b = one(client)
    assert b.body == b"b"
    house.advance(1000 + TICK)
    client.say(ack(b.ack))
    house.turn()
    assert one(client).body == b"a", "in front of c, which was sent later"


@pytest.mark.parametrize("delay", [0, 30, 500, 100_000])
def test_a_nack_says_when(face: Face, delay: int) -> None:
    house = new_house(face, nack_delay=0)
    client, message = held(face, house)
    client.say(nack(message, b"delay:%d\n" % delay))
    house.advance(max(delay - TICK, TICK))
    assert bool(messages(client.hear())) == (delay == 0)
    house.advance(2 * TICK)
    assert (delay == 0) == (not client.hear())
    assert house.queue(b"a") == (0, 1, 1)


@pytest.mark.parametrize("how", ["unsubscribes", "is lost"])
def test_what_comes_back_because_its_consumer_has_gone_is_there_at_once(face: Face, how: str) -> None:
    """And that counts, too, until it was often enough."""
    house = new_house(face, max_deliveries=3)
    client, message = held(face, house)
    for count in (2, 3, None):
        if how == "is lost":
            client.leave()
            client = face.Client(house)
        else:
            client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
        client.say(subscribe(b"1", b"/queue/a", INDIVIDUAL))
        house.turn()
        heard = messages(client.hear())
        assert [each.headers[b"delivery-count"] for each in heard] == ([b"%d" % count] if count else [])
    assert house.stats["dead_lettered"] == 1
    client.say(subscribe(b"dead", b"/queue/DLQ.a"))
    house.turn()
    letter = one(client)
    assert letter.headers[b"dead-letter-reason"] == b"max-deliveries"
    assert letter.headers[b"original-message-id"] == b"epoch-%d" % message.number


@pytest.mark.parametrize("limit", [0, 2])
def test_no_limit_of_deliveries(face: Face, limit: int) -> None:
    house = new_house(face, max_deliveries=limit, nack_delay=0)
    client, message = held(face, house)
    for _ in range(100):
        client.say(nack(message, b"delay:0\n"))
        house.advance(TICK)
        heard = messages(client.hear())
        if not heard:
            break
        message = heard[0]
    assert message.headers[b"delivery-count"] == (b"%d" % (limit or 101))


# ---- a consumer of ActiveMQ ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"maximumRedeliveries": "2", "redeliveryDelay": "200"}, [200, 200]),
        ({"maximumRedeliveries": "3", "initialRedeliveryDelay": "0", "redeliveryDelay": "300"}, [0, 300, 300]),
        ({"maximumRedeliveries": "2", "initialRedeliveryDelay": "100"}, [100, 100]),
        (
            {
                "initialRedeliveryDelay": "100",
                "useExponentialBackOff": "true",
                "backOffMultiplier": "1.5",
                "maximumRedeliveryDelay": "200",
            },
            [100, 150, 200, 200],
        ),
        ({"useExponentialBackOff": "True", "maximumRedeliveryDelay": "-1"}, [1000, 5000, 25_000, 125_000]),
        ({"useExponentialBackOff": "false"}, [1000] * 4),
        ({"maximumRedeliveries": "2"}, [50, 100]),
        ({"maximumRedeliveries": "-1"}, [50, 100, 200, 400]),
        ({"maximumRedeliveries": "9", "redeliveryDelay": "0"}, [0] * 4),
    ],
)
def test_redelivery_in_the_words_of_activemq(face: Face, headers: dict[str, str], expected: list[int]) -> None:
    """It may ask for fewer attempts than the policy has, not for more."""
    house = new_house(face, nack_delay=0, max_deliveries=5, redelivery_jitter=0.0)
    lines = "".join(f"activemq.{name}:{value}\n" for name, value in headers.items()).encode()
    client, message = held(face, house, headers=lines)
    client.say(nack(message))
    pauses = pauses_until_dead(house, client)
    assert pauses == [pause + TICK if pause else TICK for pause in expected]


@pytest.mark.parametrize(
    "line",
    [
        b"activemq.maximumRedeliveries:many",
        b"activemq.redeliveryDelay:-2",
        b"activemq.redeliveryDelay:12345678901",
        b"activemq.useExponentialBackOff:yes",
        b"activemq.useExponentialBackOff:true\nactivemq.backOffMultiplier:2e9",
        b"activemq.useExponentialBackOff:true\nactivemq.backOffMultiplier:.",
    ],
)
def test_words_of_activemq_that_say_nothing(face: Face, line: bytes) -> None:
    client = face.Client(new_house(face))
    with pytest.raises(Refused, match="bad header") as refused:
        client.say(subscribe(b"1", b"/queue/a", line + b"\n"))
    assert line.rpartition(b"\n")[2].partition(b":")[0] in refused.value.args[1]


# ---- dead letters --------------------------------------------------------------------------------


def buried(face: Face, house: Face, name: bytes, version: bytes = b"1.2") -> bytes:
    """All dead letters of that queue, as a client hears them."""
    client = face.Client(house, version)
    client.say(subscribe(b"d", b"/queue/" + name))
    house.turn()
    return bytes(client.hear())


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (b"1.2", b"dead-letter-text:a\\cb\\n\\rc\\\\\n"),
        (b"1.1", b"dead-letter-text:a\\cb\\n c\\\\\n"),
        (b"1.0", b"dead-letter-text:a:b  c\\\n"),
    ],
)
def test_a_dead_letter_as_each_version_reads_it(face: Face, version: bytes, expected: bytes) -> None:
    house = new_house(face)
    client, message = held(face, house, b"body", destination=b"/queue/x\\cy")
    client.say(nack(message, b"requeue:false\nreason:a\\cb\\n\\rc\\\\\n"))
    heard = buried(face, house, b"DLQ.x\\cy" if version != b"1.0" else b"DLQ.x:y", version)
    name = b"x:y" if version == b"1.0" else b"x\\cy"
    lines = (
        b"MESSAGE\nsubscription:d\nmessage-id:epoch-%d\ndestination:/queue/DLQ.%b\noriginal-destination:/queue/%b\n"
        b"original-message-id:epoch-%d\ndead-letter-reason:rejected\n%bdelivery-count:1\n\nbody\0\n"
    )
    assert heard == lines % ((1 << 62) + 1, name, name, message.number, expected)


def test_what_the_sender_wrote_stays_beside_it(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", INDIVIDUAL))
    client.say(b"SEND\nfirst:1\ndestination:/queue/a\nexpires:9999999999999\nsecond:\ndestination:again\n\nbody\0")
    client.say(nack(one(client), b"requeue:false\n"))
    _, _, rest = buried(face, house, b"DLQ.a").partition(b"delivery-count:1\n")
    assert rest == b"first:1\nexpires:9999999999999\nsecond:\ndestination:again\n\nbody\0\n"


@pytest.mark.parametrize("name", [b"dead-letter-reason", b"dead-letter-text", b"delivery-count"])
@pytest.mark.parametrize("old", [b"original-destination", b"original-message-id"])
def test_nobody_forges_a_dead_letter(face: Face, name: bytes, old: bytes) -> None:
    house = new_house(face)
    client, message = held(face, house)
    client.say(ack(message.ack) + send(b"/queue/a", b"y", b"%b:forged\n%b:forged\n" % (name, old)))
    message = one(client)
    assert b"forged" not in b"".join(message.headers.values())
    client.say(nack(message, b"requeue:false\n"))
    assert b"forged" not in buried(face, house, b"DLQ.a")


@pytest.mark.parametrize(
    ("text", "kept"),
    [(b"x" * 1024, b"x" * 1024), (b"x" * 1025, b"x" * 1024), (b"x" * 1023 + "é".encode(), b"x" * 1023)],
)
def test_a_long_reason_is_cut_off(face: Face, text: bytes, kept: bytes) -> None:
    house = new_house(face)
    client, message = held(face, house)
    client.say(nack(message, b"requeue:false\nreason:%b\n" % text))
    assert b"dead-letter-text:%b\n" % kept in buried(face, house, b"DLQ.a")


@pytest.mark.parametrize("line", [b"delay:soon", b"delay:-1", b"delay:12345678901", b"delay:", b"requeue:no"])
def test_a_nack_that_says_nothing_changes_nothing(face: Face, line: bytes) -> None:
    house = new_house(face)
    client, message = held(face, house)
    with pytest.raises(Refused, match="bad header") as refused:
        client.say(nack(message, line + b"\n"))
    assert line.partition(b":")[0] in refused.value.args[1]
    assert house.queue(b"a") == (0, 1, 1)


@pytest.mark.parametrize(
    ("destination", "grave"), [(b"/topic/a.b", b"DLQ.topic"), (b"/temp-queue/a", b"DLQ.temporary")]
)
def test_queues_that_nobody_knows_by_name_have_one_for_all(face: Face, destination: bytes, grave: bytes) -> None:
    house = new_house(face)
    for _ in range(2):
        client, message = held(face, house, destination=destination)
        client.say(nack(message, b"requeue:false\n"))
        client.leave()
    heard = messages(buried(face, house, grave))
    assert [each.headers[b"original-destination"] for each in heard] == [destination] * 2
    assert len({each.number for each in heard}) == 2


def test_a_dead_letter_does_not_die_of_deliveries(face: Face) -> None:
    """Whoever looks at it, and gives it back, is not a consumer that cannot handle it."""
    house = new_house(face, max_deliveries=2)
    client, message = held(face, house)
    client.say(nack(message, b"requeue:false\n"))
    for round in range(5):
        client.say(subscribe(b"d", b"/queue/DLQ.a", INDIVIDUAL))
        house.turn()
        letter = one(client)
        assert letter.headers[b"delivery-count"] == b"1", "how often it was given out before it died"
        assert letter.redelivered == (round > 0)
        client.say(nack(letter, b"delay:0\n") if round % 2 else b"")
        client.say(b"UNSUBSCRIBE\nid:d\n\n\0")
    assert house.queue(b"DLQ.a") == (1, 0, 0)


def refuse_letter(face: Face, house: Face, name: bytes) -> None:
    client = face.Client(house)
    client.say(subscribe(b"d", b"/queue/" + name, INDIVIDUAL))
    house.turn()
    client.say(nack(one(client), b"requeue:false\n"))


@pytest.mark.parametrize("name", ["DLQ.{name}", "dead"])
def test_there_are_no_dead_letters_of_dead_letters(face: Face, name: str) -> None:
    house = new_house(face, dead_letter=name)
    client, message = held(face, house)
    client.say(nack(message, b"requeue:false\n"))
    refuse_letter(face, house, name.replace("{name}", "a").encode())
    client.leave()
    stats = house.stats
    assert (stats["dead_lettered"], stats["dead_dropped"], stats["messages"]) == (2, 1, 0)
    assert house.queue(b"DLQ.DLQ.a") is None
    assert [fields["to"] for _, _, fields in house.log][1] == "nowhere: it died in a dead-letter queue"


def test_what_is_sent_to_the_dead_letter_queue_and_dies_there_is_gone(face: Face) -> None:
    house = new_house(face, dead_letter="dead")
    client, message = held(face, house, destination=b"/queue/dead")
    client.say(nack(message, b"requeue:false\n"))
    assert (house.stats["dead_dropped"], house.stats["messages"]) == (1, 0)
    assert [fields["to"] for _, _, fields in house.log] == ["nowhere: it died in a dead-letter queue"]


def test_an_ack_for_a_dead_letter_that_needed_none(face: Face) -> None:
    """Its number is not one of those that the counter has given."""
    house = new_house(face)
    client, message = held(face, house)
    client.say(nack(message, b"requeue:false\n") + subscribe(b"d", b"/queue/DLQ.a"))
    house.turn()
    number = one(client).number
    client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % number)
    with pytest.raises(Refused, match="unknown ack"):
        client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % (number + 1))


def test_at_the_memory_ceiling_what_would_die_waits(face: Face) -> None:
    """A dead letter is larger than what has died, and there is no room; nothing is lost for that."""
    house = new_house(face, memory=4 << 20)
    client, message = held(face, house)
    hoard = face.Client(house)
    hoard.say(subscribe(b"1", b"/queue/b", b"ack:client\nprefetch-count:1\n"))
    while not house.is_full[1]:
        house.publish(b"/queue/b", b"x" * 100_000)
    client.say(nack(message, b"requeue:false\n"))
    assert house.queue(b"a") == (1, 0, 1)
    assert (house.stats["dead_lettered"], house.log) == (0, [])
    while house.queue(b"b")[0]:
        hoard.say(ack(one(hoard).ack))
        house.turn()
    assert not house.is_full[1]
    house.advance(MINUTE + TICK)
    client.say(nack(one(client), b"requeue:false\n"))
    assert house.stats["dead_lettered"] == 1
    assert bodies(buried(face, house, b"DLQ.a")) == [b"x"]


@pytest.mark.parametrize("how", ["commit", "abort", "is lost"])
def test_a_nack_in_a_transaction(face: Face, how: str) -> None:
    house = new_house(face, nack_delay=0, dead_letter="dead")
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\n"))
    client.say(b"".join(send(b"/queue/a", b"%d" % number) for number in range(6)) + b"BEGIN\ntransaction:t\n\n\0")
    had = messages(client.hear())
    before = client.charged
    client.say(nack(had[2], b"transaction:t\nrequeue:false\nreason:%b\n" % (b"x" * 900)))
    assert 900 < client.charged - before < 900 + 1000, "the text once"
    client.say(nack(had[4], b"transaction:t\ndelay:700\n") + nack(had[5], b"transaction:t\n"))
    assert house.queue(b"a") == (0, 6, 1)
    if how == "is lost":
        client.leave()
        client = face.Client(house)
    else:
        client.say(b"%b\ntransaction:t\n\n\0" % how.upper().encode())
        assert client.charged < before
    waiting = {"commit": 3, "abort": 0, "is lost": 6}[how]
    assert house.queue(b"a")[0] == waiting
    assert house.stats["dead_lettered"] == (3 if how == "commit" else 0)
    if how == "commit":
        assert buried(face, house, b"dead").count(b"\ndead-letter-text:%b\n" % (b"x" * 900)) == 3
        house.advance(100)
        assert bodies(client.hear()) == [b"5"]
        house.advance(700)
        assert bodies(client.hear()) == [b"3", b"4"]


# ---- many ----------------------------------------------------------------------------------------


def refuse_many(face: Face, house: Face, headers: bytes = b"", destination: bytes = b"/queue/a") -> Face:
    """By one NACK."""
    client = face.Client(house)
    client.say(subscribe(b"1", destination, b"ack:client\nprefetch-count:65535\n"))
    client.say(send(destination, b"x") * MANY)
    house.turn()
    client.say(nack(messages(client.hear())[-1], headers))
    return client


def test_many_that_rest(face: Face) -> None:
    """They are charged, and come when it is time, all of them and in order."""
    house = new_house(face, **WIDE, nack_delay=0, redelivery_delay=1000, redelivery_jitter=0.0)
    client = refuse_many(face, house)
    assert house.queue(b"a") == (MANY, 0, 1)
    before = house.stats["memory"]
    house.advance(1000 + TICK)
    heard = messages(client.hear())
    while house.queue(b"a")[0]:
        house.turn()
        heard += messages(client.hear())
    assert [each.number for each in heard] == list(range(1, MANY + 1))
    client.say(ack(heard[-1].ack))
    assert house.stats["messages"] == 0
    assert before - house.stats["memory"] > MANY * 32


@pytest.mark.parametrize("destination", [b"/topic/a", b"/temp-queue/a"])
@pytest.mark.parametrize("how", ["unsubscribes", "is lost"])
def test_a_queue_that_goes_while_much_rests(face: Face, destination: bytes, how: str) -> None:
    house = new_house(face, **WIDE)
    before = house.stats["memory"]
    client = refuse_many(face, house, destination=destination)
    assert client.backlog > 0 or destination != b"/topic/a"
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    if how == "is lost":
        client.leave()
    elif destination == b"/topic/a":
        assert client.backlog == 0
    for _ in range(20):
        house.turn()
    if how == "is lost" or destination == b"/topic/a":
        assert (house.stats["messages"], house.stats["deliveries"]) == (0, 0)
    client.leave()
    for _ in range(20):
        house.advance(MINUTE)
    assert house.stats["messages"] == 0
    assert house.stats["memory"] - before < 10_000, "routes"


def test_many_that_die_at_once(face: Face) -> None:
    """One after the other, however one frame names them; the oldest go when there are too many."""
    house = new_house(face, **WIDE, queues=[("DLQ.#", {"max_messages": 1000}), ("dead", {"max_messages": 1000})])
    work = house.stats["work"]
    refuse_many(face, house, b"requeue:false\nreason:all of them\n")
    assert house.stats["work"] - work > MANY * 1000, "others may be served first"
    assert (house.stats["dead_lettered"], house.stats["dead_dropped"]) == (MANY, MANY - 1000)
    assert house.queue(b"DLQ.a") == (1000, 0, 0)
