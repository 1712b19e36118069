"""One SUBSCRIBE to several destinations: queues that match a pattern, and composites."""

import pytest
from harness.frames import frame, receipt, unique

PATTERNS = ["{}.*", "{}.>", "{}.#", "{}.**"]
modes = pytest.mark.parametrize("mode", ["client", "client-individual"])
versions = pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
ends = pytest.mark.parametrize("end", ["unsubscribe", "reset", "close"])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_queues_that_are_there_and_those_to_come(talk, publish, queue, pattern):
    publish(f"{queue}.a", "1")
    client = talk()
    client.subscribe(pattern.format(queue))
    client.expect_message(f"{queue}.a", "1")
    publish(f"{queue}.b", "2")
    client.expect_message(f"{queue}.b", "2")
    publish(f"{queue}x.b", "elsewhere")
    client.expect_nothing()


def test_slashes_are_separators_too(talk, publish, queue):
    client = talk()
    client.subscribe(f"{queue}/*")
    publish(f"{queue}.a", "1")
    publish(f"{queue}/a", "2")
    client.expect_message(f"{queue}/a", "2")
    client.expect_nothing()


def test_it_takes_turns_with_others(talk, publish, queue):
    all_of_them, only = talk(), talk()
    only.subscribe(f"{queue}.a")
    all_of_them.subscribe(f"{queue}.*")
    for body in "abcd":
        publish(f"{queue}.a", body)
    only.expect_bodies(f"{queue}.a", "ac")
    all_of_them.expect_bodies(f"{queue}.a", "bd")


@modes
@versions
def test_one_credit_for_all(talk, publish, queue, mode, version):
    client = talk(version)
    client.subscribe(f"{queue}.*", "prefetch-count:2", ack=mode)
    for name in "abc":
        publish(f"{queue}.{name}", name)
    held = [client.expect_message(f"{queue}.{name}", name) for name in "ab"]
    client.expect_nothing()
    client.ack(held[1])
    client.expect_message(f"{queue}.c", "c")
    client.expect_nothing()


@versions
def test_client_mode_is_for_all_queues_in_the_order_of_delivery(talk, publish, queue, version):
    client, heir = talk(version), talk()
    client.subscribe(f"{queue}.*", ack="client")
    held = []
    for name in "abacb":
        publish(f"{queue}.{name}", name)
        held.append(client.expect_message(f"{queue}.{name}", name))
    client.ack(held[3])
    client.roundtrip()
    client.close()
    heir.subscribe(f"{queue}.*")
    heir.expect_message(f"{queue}.b", "b", redelivered=True)
    heir.expect_nothing()


@ends
@modes
def test_what_is_not_settled_goes_back_to_its_own_queue(talk, publish, queue, end, mode):
    client = talk()
    client.subscribe(f"{queue}.*", "prefetch-count:3", ack=mode)
    for body in ("a1", "b1", "a2", "b2", "a3"):
        publish(f"{queue}.{body[0]}", body)
    held = [client.expect_message(f"{queue}.{body[0]}", body) for body in ("a1", "b1", "a2")]
    client.ack(held[0])
    client.expect_message(f"{queue}.b", "b2")
    getattr(client, end)()
    for name, bodies in (("a", ["a2", "a3"]), ("b", ["b1", "b2"])):
        heir = talk()
        heir.subscribe(f"{queue}.{name}")
        for body in bodies:
            heir.expect_message(f"{queue}.{name}", body, redelivered=body != "a3")


def test_a_nack_is_for_its_own_queue(talk, publish, queue):
    client, dead = talk(), talk()
    client.subscribe(f"{queue}.*", ack="client-individual")
    dead.subscribe("/queue/DLQ." + queue.removeprefix("/queue/") + ".a")
    publish(f"{queue}.a", "1")
    publish(f"{queue}.b", "2")
    held = client.expect_message(f"{queue}.a", "1")
    client.expect_message(f"{queue}.b", "2")
    client.send(frame("NACK", f"id:{held.ack}", "requeue:false"))
    assert f"original-destination:{queue}.a\n".encode() in dead.read_frame()


@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_transactions(talk, publish, queue, end):
    client = talk()
    client.subscribe(f"{queue}.*", ack="client")
    for name in "ab":
        publish(f"{queue}.{name}", name)
    held = [client.expect_message(f"{queue}.{name}", name) for name in "ab"]
    client.send(frame("BEGIN", "transaction:t"))
    client.ack(held[1], "transaction:t")
    client.send(frame(end, "transaction:t", "receipt:end"))
    client.expect(receipt("end"))
    client.reset()
    heir = talk()
    heir.subscribe(f"{queue}.*")
    if end == "ABORT":
        heir.expect_message(f"{queue}.a", "a", redelivered=True)
        heir.expect_message(f"{queue}.b", "b", redelivered=True)
    heir.expect_nothing()


def test_dead_letters_match_as_any_queue(talk, publish):
    name = unique("dead")
    client = talk()
    client.subscribe(f"/queue/DLQ.{name}.>")
    other = talk()
    other.subscribe(f"/queue/{name}.a", ack="client-individual")
    publish(f"/queue/{name}.a", "bad")
    held = other.expect_message(f"/queue/{name}.a", "bad")
    other.send(frame("NACK", f"id:{held.ack}", "requeue:false"))
    assert b"\n\nbad" in client.read_frame()


def test_a_send_to_a_pattern_is_an_error(talk, queue):
    client = talk()
    client.subscribe(f"{queue}.*")
    client.send(frame("SEND", f"destination:{queue}.*", "receipt:1"))
    client.expect_error("pattern not allowed", receipt="1")


@pytest.mark.parametrize("header", ["x-expires:1000", "auto-delete:true", "x-max-length:1"])
def test_what_is_said_of_one_queue(talk, queue, header):
    client = talk()
    client.send(frame("SUBSCRIBE", f"destination:{queue}.*", "id:1", header, "receipt:1"))
    assert header.partition(":")[0] in client.expect_error("bad header", receipt="1")


def test_a_pattern_that_is_none(talk, queue):
    client = talk()
    client.send(frame("SUBSCRIBE", f"destination:{queue}.#.#.#", "id:1", "receipt:1"))
    client.expect_error("bad destination", receipt="1")


# ---- composites ----


@modes
def test_a_composite_is_one_subscription(talk, publish, queue, topic, mode):
    client = talk()
    client.subscribe(f"{queue},{topic},{queue}.x.*", "prefetch-count:10", ack=mode)
    for place in (queue, topic, f"{queue}.x.1"):
        publish(place, "x")
    held = [client.expect_message(place, "x") for place in (queue, topic, f"{queue}.x.1")]
    for each in held:
        client.ack(each)
    client.unsubscribe()
    for place in (queue, topic, f"{queue}.x.1"):
        publish(place, "y")
    client.expect_nothing()


def test_parts_need_no_prefix(talk, publish, queue, topic):
    name, other = queue.removeprefix("/queue/"), topic.removeprefix("/topic/")
    client = talk()
    client.subscribe(f"queue://{name},{name}.2,topic://{other},{other}.2")
    for place in (queue, f"{queue}.2", topic, f"{topic}.2"):
        publish(place, "x")
        client.expect_message(place, "x")
    client.expect_nothing()


def test_what_matches_two_topics_comes_once(talk, publish, topic):
    client = talk()
    client.subscribe(f"{topic}.*,{topic}.a")
    publish(f"{topic}.a", "1")
    publish(f"{topic}.b", "2")
    client.expect_message(f"{topic}.a", "1")
    client.expect_message(f"{topic}.b", "2")
    client.expect_nothing()


def test_a_comma_may_be_part_of_a_name(talk, publish, queue):
    client = talk()
    client.subscribe(f"{queue},b")
    publish(f"{queue},b", "x")
    client.expect_message(f"{queue},b", "x")


def test_options_stand_at_the_end(talk, publish, queue, topic):
    client = talk()
    client.subscribe(f"{topic},{queue}?consumer.prefetchSize=1", ack="client-individual")
    publish(queue, "1")
    publish(topic, "2")
    held = client.expect_message(queue, "1")
    client.expect_nothing()
    client.ack(held)
    client.expect_message(topic, "2")


def test_options_in_the_middle_are_an_error(talk, queue, topic):
    client = talk()
    client.send(frame("SUBSCRIBE", f"destination:{queue}?consumer.prefetchSize=1,{topic}", "id:1", "receipt:1"))
    client.expect_error("bad destination", receipt="1")


@pytest.mark.parametrize(
    "header",
    [
        "durable:true",
        "persistent:true",
        "activemq.subscriptionName:x",
        "durable-subscription-name:x",
        "subscription-group:x",
        "since:x-1",
        "last:1",
        "from-seq:1",
        "x-queue-name:x",
        "auto-delete:true",
        "browser:true",
        "conflate:x",
    ],
)
def test_what_a_composite_cannot_be(talk, queue, topic, header):
    client = talk("1.2", "client-id:c")
    client.send(frame("SUBSCRIBE", f"destination:{topic},{queue}", "id:1", header, "receipt:1"))
    assert header.partition(":")[0] in client.expect_error("bad header", receipt="1")


@pytest.mark.parametrize("part", ["/reply-queue/x", "/presence/x", "/amq/queue/nowhere", "/exchange/amq.direct/a.*"])
def test_a_part_that_cannot_be(talk, queue, part):
    client = talk()
    client.send(frame("SUBSCRIBE", f"destination:{queue},{part}", "id:1", "receipt:1"))
    assert client.read_frame().startswith(b"ERROR")
    other = talk()
    other.send(frame("SUBSCRIBE", f"destination:/amq{queue}", "id:1", "receipt:1"))
    other.expect_error("no such queue", receipt="1")


def test_more_than_32_parts(talk, queue):
    client = talk()
    places = ",".join(f"{queue}.{number}" for number in range(33))
    client.send(frame("SUBSCRIBE", f"destination:{places}", "id:1", "receipt:1"))
    client.expect_error("bad destination", receipt="1")
