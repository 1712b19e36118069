"""Durable and shared subscriptions that choose: what is not wanted is not kept."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
ME, OTHER = b"client-id:me\n", b"client-id:other\n"
ACTIVEMQ, ARTEMIS = b"activemq.subscriptionName:n\n", b"durable-subscription-name:n\n"
RABBIT, APOLLO, GROUP = b"durable:true\nauto-delete:false\n", b"persistent:true\n", b"subscription-group:g\n"
NAMES = {
    ACTIVEMQ: b"dsub/me/n",
    ARTEMIS: b"dsub/me/n",
    RABBIT: b"dsub/1/topic/a",
    APOLLO: b"dsub/1",
    GROUP: b"group/g/a",
}
LASTING = [ACTIVEMQ, ARTEMIS, RABBIT, APOLLO]
OF_A_CLIENT = [ACTIVEMQ, ARTEMIS]
SHARED = [ARTEMIS, RABBIT, APOLLO, GROUP]
SMALL, LARGE = b"selector:size < 5\n", b"selector:size >= 5\n"
LEAVE = b"UNSUBSCRIBE\nid:1\n\n\0"


@pytest.fixture
def house(face: Face) -> Face:
    return face.House()


def client(face: Face, house: Face, words: bytes = b"", headers: bytes = ME) -> Face:
    new = face.Client(house, headers=headers)
    if words:
        new.say(subscribe(b"1", b"/topic/a", words))
    return new


def publish(house: Face, *sizes: int) -> None:
    for size in sizes:
        house.publish(b"/topic/a", b"%d" % size, b"size:%d\n" % size)
    house.settle()


def refusal(client: Face, words: bytes) -> tuple[bytes, bytes]:
    with pytest.raises(Refused) as refused:
        client.say(subscribe(b"1", b"/topic/a", words))
    message, text = refused.value.args
    return message, text


def delete(words: bytes) -> bytes:
    return b"UNSUBSCRIBE\nid:1\ndestination:/topic/a\n%b\n\0" % words


@pytest.mark.parametrize("words", LASTING)
@pytest.mark.parametrize("mode", [b"auto", b"client", b"client-individual"])
def test_what_is_not_wanted_is_not_kept(face: Face, house: Face, words: bytes, mode: bytes) -> None:
    there = words + SMALL + b"ack:%b\n" % mode
    one, all_of_it = client(face, house, there), client(face, house, b"x:y\n")
    publish(house, 1, 9, 2)
    assert bodies(one.hear()) == [b"1", b"2"]
    assert bodies(all_of_it.hear()) == [b"1", b"9", b"2"]
    if mode == b"auto":
        one.leave()
        publish(house, 8, 3, 7, 4)
        assert house.durable(NAMES[words]) == (2, 0, 0)
        again = client(face, house, there)
        house.turn()
        assert bodies(again.hear()) == [b"3", b"4"]


def test_what_a_redelivery_is_asks_nobody_again(face: Face, house: Face) -> None:
    """It was selected when it came."""
    first = client(face, house, APOLLO + b"ack:client\nselector:JMSRedelivered = FALSE AND JMSXDeliveryCount = 1\n")
    publish(house, 1)
    assert bodies(first.hear()) == [b"1"]
    first.leave()
    again = client(face, house, APOLLO + b"selector:JMSRedelivered = FALSE AND JMSXDeliveryCount = 1\n")
    house.turn()
    assert [(each.body, each.redelivered) for each in messages(again.hear())] == [(b"1", True)]


# ---- another selector ----


@pytest.mark.parametrize("words", OF_A_CLIENT)
@pytest.mark.parametrize("choices", [(SMALL, LARGE), (SMALL, b""), (b"", SMALL), (b"no-local:true\n", b"")])
def test_with_another_one_it_begins_anew_as_in_jms(
    face: Face, house: Face, words: bytes, choices: tuple[bytes, bytes]
) -> None:
    one = client(face, house, words + choices[0])
    one.say(LEAVE)
    publish(house, 1, 9)
    kept = house.durable(NAMES[words])[0]
    assert kept == (1 if choices[0] == SMALL else 2)
    one.say(subscribe(b"1", b"/topic/a", words + choices[0]) + LEAVE)
    house.turn()
    one.say(subscribe(b"1", b"/topic/a", words + choices[1]))
    house.turn()
    assert one.hear() == b"" or choices[0] == choices[1]
    publish(house, 2, 8)
    wanted = {SMALL: [b"2"], LARGE: [b"8"], b"": [b"2", b"8"]}[choices[1]]
    assert bodies(one.hear()) == wanted


@pytest.mark.parametrize("words", [RABBIT, APOLLO])
def test_with_another_one_the_others_keep_what_they_hold(face: Face, house: Face, words: bytes) -> None:
    one = client(face, house, words + SMALL)
    one.say(LEAVE)
    publish(house, 1, 9)
    one.say(subscribe(b"1", b"/topic/a", words + LARGE))
    house.turn()
    assert bodies(one.hear()) == [b"1"]
    publish(house, 2, 8)
    assert bodies(one.hear()) == [b"8"]
    one.say(LEAVE + subscribe(b"1", b"/topic/a", words))
    publish(house, 3, 7)
    assert bodies(one.hear()) == [b"3", b"7"]


@pytest.mark.parametrize("words", SHARED)
@pytest.mark.parametrize(("first", "second"), [(SMALL, LARGE), (SMALL, b""), (b"", SMALL)])
def test_all_who_share_one_have_the_same(face: Face, house: Face, words: bytes, first: bytes, second: bytes) -> None:
    one, other = client(face, house, words + first), client(face, house)
    before, charged = house.stats, other.charged
    message, text = refusal(other, words + second)
    assert message == b"subscription in use"
    assert text.startswith(b"All who share '/%b' have the same selector, word for word" % NAMES[words])
    assert (house.stats["subscriptions"], other.charged) == (before["subscriptions"], charged)
    other.say(subscribe(b"1", b"/topic/a", words + first))
    publish(house, 1, 9, 2, 8)
    heard = bodies(one.hear()) + bodies(other.hear())
    wanted = [b"1", b"2"] if first == SMALL else [b"1", b"2", b"8", b"9"]
    assert sorted(heard) == wanted


def test_one_that_is_held_is_not_changed(face: Face, house: Face) -> None:
    one, other = client(face, house, ACTIVEMQ + SMALL), client(face, house)
    assert refusal(other, ACTIVEMQ + LARGE)[0] == b"subscription in use"
    publish(house, 1, 9)
    assert bodies(one.hear()) == [b"1"]


def test_one_that_cannot_be_understood_changes_nothing(face: Face, house: Face) -> None:
    one = client(face, house, ACTIVEMQ + SMALL)
    one.say(LEAVE)
    publish(house, 1)
    assert refusal(one, ACTIVEMQ + b"selector:size <\n")[0] == b"bad selector"
    assert house.durable(b"dsub/me/n") == (1, 0, 0)


# ---- no-local ----


@pytest.mark.parametrize("words", OF_A_CLIENT)
@pytest.mark.parametrize("header", [b"no-local:true\n", b"activemq.noLocal:true\n"])
def test_nothing_of_the_same_client_id(face: Face, house: Face, words: bytes, header: bytes) -> None:
    """As JMS 2.0 has it: also of another connection with that client-id, and while nobody is subscribed."""
    one, same, other, nameless = (
        client(face, house, words + header),
        client(face, house),
        client(face, house, headers=OTHER),
        client(face, house, headers=b""),
    )
    for each, body in ((one, b"own"), (same, b"same"), (other, b"other"), (nameless, b"nobody")):
        each.say(send(b"/topic/a", body))
    assert bodies(one.hear()) == [b"other", b"nobody"]
    one.leave()
    for each, body in ((same, b"same"), (other, b"other 2")):
        each.say(send(b"/topic/a", body))
    again = client(face, house, words + header)
    house.turn()
    assert bodies(again.hear()) == [b"other 2"]
    again.say(b"BEGIN\ntransaction:t\n\n\0" + send(b"/topic/a", b"x", b"transaction:t\n"))
    again.say(b"COMMIT\ntransaction:t\n\n\0")
    assert again.hear() == b""


@pytest.mark.parametrize("words", [RABBIT, APOLLO, GROUP])
def test_where_nobody_can_say_whose_they_are_it_is_refused(face: Face, house: Face, words: bytes) -> None:
    message, text = refusal(client(face, house), words + b"no-local:true\n")
    assert message == b"bad header"
    assert text.startswith(b"no-local is for a durable subscription with a client-id")
    assert house.durables == []


# ---- what it costs ----


def test_a_selector_is_charged_to_the_subscription_that_keeps_it(face: Face, house: Face) -> None:
    one = client(face, house)
    one.say(subscribe(b"0", b"/topic/x"))
    publish(house, 1)
    before, charged = house.stats["memory"], one.charged
    long = b"selector:a = '%b'\n" % (b"x" * 4000)
    one.say(subscribe(b"1", b"/topic/a", APOLLO + long) + LEAVE)
    assert one.charged == charged
    kept = house.stats["memory"] - before
    assert kept > 8000
    one.say(subscribe(b"1", b"/topic/a", APOLLO) + LEAVE)
    assert house.stats["memory"] - before < kept - 8000
    one.say(subscribe(b"1", b"/topic/a", APOLLO + long) + delete(APOLLO))
    house.turn()
    assert house.stats["memory"] - before < 2000


def test_what_is_too_much_goes_to_the_dead_letters(face: Face) -> None:
    house = face.House(topics=[("#", {"durable_messages": 2, "durable_overflow": "dead-letter"})])
    one = client(face, house, APOLLO + SMALL)
    one.say(LEAVE)
    publish(house, 1, 9, 2, 3, 4)
    assert house.durable(b"dsub/1") == (2, 0, 0)
    assert house.queue(b"DLQ.dsub/1") == (2, 0, 0)
    reader = client(face, house)
    reader.say(subscribe(b"d", b"/queue/DLQ.dsub/1"))
    house.turn()
    heard = messages(reader.hear())
    assert [each.body for each in heard] == [b"3", b"4"]
    assert {each.headers[b"dead-letter-reason"] for each in heard} == {b"overflow"}
    assert heard[0].headers[b"original-destination"] == b"/topic/a"


# ---- beside a model ----

CHOICES = {b"": lambda size: True, SMALL: lambda size: size < 5, LARGE: lambda size: size >= 5}
STEPS = st.one_of(st.integers(0, 9), st.sampled_from([*CHOICES, "leave", "other"]))


@given(st.sampled_from([ARTEMIS, APOLLO]), st.lists(STEPS, max_size=50))
def test_beside_a_model(face: Face, words: bytes, steps: list[Any]) -> None:
    house = face.House()
    one, other = client(face, house), client(face, house)
    kept: list[int] = []
    chosen: bytes | None = None
    held, heard, expected = False, [], []
    for step in steps:
        if isinstance(step, int):
            publish(house, step)
            if chosen is not None and CHOICES[chosen](step):
                kept.append(step)
        elif step == "leave" and held:
            one.say(LEAVE)
            held = False
        elif step == "other" and held and chosen is not None:
            different = next(choice for choice in CHOICES if choice != chosen)
            assert refusal(other, words + different)[0] == b"subscription in use"
        elif isinstance(step, bytes) and not held:
            one.say(subscribe(b"1", b"/topic/a", words + step))
            kept = [] if words == ARTEMIS and step != chosen else kept
            held, chosen = True, step
        house.turn()
        if held:
            expected += kept
            kept = []
        heard += [int(body) for body in bodies(one.hear())]
        assert heard == expected
    assert house.durable(NAMES[words]) == (None if chosen is None else (len(kept), 0, int(held)))
