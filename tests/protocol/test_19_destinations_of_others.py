"""Destinations of other brokers: exchanges, types, several at once, options, virtual topics, temporary topics."""

import pytest
from harness.frames import every_version, frame, receipt, unique

DIRECT, FANOUT = "/exchange/amq.direct/", "/exchange/amq.fanout"


@pytest.fixture
def key():
    return unique("key")


# ---- RabbitMQ's exchanges ------------------------------------------------------------------------


@every_version
@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
def test_who_subscribes_to_a_key_of_amq_direct_gets_what_is_sent_to_it(talk, publish, key, version, mode):
    clients = [talk(version), talk(version)]
    for client in clients:
        client.subscribe(f"{DIRECT}{key}", ack=mode)
    publish(f"{DIRECT}{key}", "x", "h:1")
    publish(f"{DIRECT}{key}.other", "never")
    for client in clients:
        client.expect_message(f"{DIRECT}{key}", "x", "h:1")
        client.unsubscribe()
    publish(f"{DIRECT}{key}", "too late")
    for client in clients:
        client.expect_nothing()


@every_version
def test_amq_fanout_has_one_audience_whatever_the_key(talk, publish, key, version):
    clients = [talk(version), talk(version)]
    clients[0].subscribe(FANOUT)
    clients[1].subscribe(f"{FANOUT}/{key}")
    for destination in (FANOUT, f"{FANOUT}/{key}", f"{FANOUT}/a.*"):
        publish(destination, key)
        for client in clients:
            client.expect_message(destination, key)


def test_exchanges_are_apart_from_topics_and_queues(talk, publish, key):
    client = talk()
    for n, destination in enumerate([f"{DIRECT}{key}", f"/topic/{key}", f"/queue/{key}", "/topic/#"]):
        client.subscribe(destination, id=str(n))
    publish(f"{DIRECT}{key}", "direct")
    client.expect_message(f"{DIRECT}{key}", "direct", id="0")
    client.expect_nothing()


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
@pytest.mark.parametrize("pattern", ["*", "a.*", "#", "a.>"])
def test_keys_of_amq_direct_are_no_patterns(talk, command, pattern):
    client = talk()
    client.send(frame(command, "id:1", f"destination:{DIRECT}{pattern}", "receipt:1"))
    client.expect_error("pattern not allowed", receipt="1")


@pytest.mark.parametrize("header", ["durable:true", "persistent:true", "durable:true\nauto-delete:false"])
@pytest.mark.parametrize("destination", [f"{DIRECT}a", FANOUT, "/temp-topic/a"])
def test_what_no_pattern_reaches_keeps_nothing_and_says_so(talk, destination, header):
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{destination}", header))
    assert "Only /topic/ has durable" in client.expect_error("bad header")


# ---- x-queue-name --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "client-individual"])
@pytest.mark.parametrize(
    ("subscribed", "sent"),
    [("/topic/{}.*", "/topic/{}.a"), (DIRECT + "{}", DIRECT + "{}"), ("/exchange/amq.topic/{}.#", "/topic/{}")],
)
def test_consumers_of_a_named_queue_share_the_messages_of_a_topic(talk, publish, key, subscribed, sent, mode):
    name, destination = unique("shared"), sent.format(key)
    first, second, beside = talk(), talk(), talk()
    for client in (first, second):
        client.subscribe(subscribed.format(key), f"x-queue-name:{name}", ack=mode)
    beside.subscribe(subscribed.format(key))
    for body in "abcd":
        publish(destination, body)
    beside.expect_bodies(destination, "abcd")
    first.expect_bodies(destination, "ac")
    second.expect_bodies(destination, "bd")
    publish(f"/queue/{name}", "to the queue itself")
    first.expect_message(f"/queue/{name}", "to the queue itself")


def test_a_named_queue_goes_with_its_last_consumer(talk, publish, topic):
    name = unique("shared")
    first, second = talk(), talk()
    for client in (first, second):
        client.subscribe(topic, f"x-queue-name:{name}", "prefetch-count:1", ack="client")
    for body in "abc":
        publish(topic, body)
    first.expect_message(topic, "a")
    second.expect_message(topic, "b")
    first.unsubscribe()
    second.close()
    publish(topic, "nobody is there")
    late = talk()
    late.send(frame("SUBSCRIBE", "id:1", f"destination:/amq/queue/{name}", "receipt:1"))
    late.expect_error("no such queue", receipt="1")


def test_a_named_queue_is_as_it_is_declared(talk, publish, topic):
    name, headers = unique("shared"), ["x-max-length:3", "auto-delete:true"]
    client, other = talk(), talk()
    client.subscribe(topic, f"x-queue-name:{name}", "prefetch-count:1", *headers, ack="client-individual")
    for body in "abcde":
        publish(topic, body)
    client.ack(client.expect_message(topic, "a"))
    client.ack(client.expect_message(topic, "d"))
    client.expect_message(topic, "e")
    other.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", f"x-queue-name:{name}", "x-max-length:4"))
    assert "x-max-length" in other.expect_error("bad header")


def test_what_is_declared_of_a_queue_that_is_bound_elsewhere_is_refused_as_a_whole(talk, publish, topic):
    name = topic[7:]
    first, client = talk(), talk()
    first.subscribe(topic, f"x-queue-name:{name}", "prefetch-count:1", ack="client-individual")
    headers = [f"destination:{topic}.other", f"x-queue-name:{name}", "x-max-length:1"]
    client.send(frame("SUBSCRIBE", "id:1", *headers))
    assert "x-queue-name" in client.expect_error("bad header")
    for body in "abcd":
        publish(topic, body)
    for body in "abcd":
        first.ack(first.expect_message(topic, body))


def test_a_queue_that_was_there_before_stays(talk, publish, queue, topic):
    publish(queue, "before")
    client = talk()
    client.subscribe(topic, f"x-queue-name:{queue.removeprefix('/queue/')}", ack="client")
    client.expect_message(queue, "before")
    publish(topic, "a")
    client.expect_message(topic, "a")
    client.unsubscribe()
    publish(topic, "nobody is there")
    client.subscribe(queue)
    client.expect_message(queue, "before", redelivered=True)
    client.expect_message(topic, "a", redelivered=True)
    client.expect_nothing()


def test_a_named_queue_belongs_to_one_destination(talk, topic):
    talk_first, client = talk(), talk()
    talk_first.subscribe(topic, "x-queue-name:" + topic[7:])
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}.other", "x-queue-name:" + topic[7:]))
    assert "x-queue-name" in client.expect_error("bad header")


# ---- ANYCAST, MULTICAST --------------------------------------------------------------------------


def test_a_bare_name_is_a_topic_when_it_is_multicast(talk, publish):
    name = unique("bare")
    first, second = talk(), talk()
    first.subscribe(name, "subscription-type:MULTICAST")
    second.subscribe(f"/topic/{name}")
    publish(name, "x", "destination-type:MULTICAST")
    for client in (first, second):
        client.expect_message(name, "x", "destination-type:MULTICAST")
    publish(f"/topic/{name}", "y")
    first.expect_message(f"/topic/{name}", "y")


def test_types_may_alternate_for_one_name(talk, publish):
    """Each message goes where its own header says, also in one write, and in a transaction."""
    name, client = unique("bare"), talk()
    client.subscribe(name, "subscription-type:ANYCAST", id="q")
    client.subscribe(name, "subscription-type:MULTICAST", id="t")
    sender = talk()
    for more in ([], ["transaction:t"]):
        typed = frame("SEND", f"destination:{name}", *more, "destination-type:MULTICAST")
        plain = frame("SEND", f"destination:{name}", *more, "h:queue")
        if more:
            sender.send(frame("BEGIN", *more))
        sender.send(typed, typed, plain, plain, typed)
        if more:
            sender.send(frame("COMMIT", *more))
        for id in "ttqqt":
            client.expect_message(name, "", "destination-type:MULTICAST" if id == "t" else "h:queue", id=id)


@pytest.mark.parametrize(
    ("command", "destination", "header"),
    [
        ("SEND", "/queue/a", "destination-type:MULTICAST"),
        ("SEND", "/topic/a", "destination-type:ANYCAST"),
        ("SEND", "/temp-queue/a", "destination-type:MULTICAST"),
        ("SEND", "/queue/a,/topic/a", "destination-type:ANYCAST"),
        ("SUBSCRIBE", "/queue/a", "subscription-type:MULTICAST"),
        ("SUBSCRIBE", f"{DIRECT}a", "subscription-type:ANYCAST"),
        ("SEND", "a", "destination-type:multicast"),
        ("SUBSCRIBE", "a", "subscription-type:"),
    ],
)
def test_a_type_that_contradicts_the_destination(talk, command, destination, header):
    client = talk()
    client.send(frame(command, "id:1", f"destination:{destination}", header, "receipt:1"))
    assert header.split(":")[0] in client.expect_error("bad header", receipt="1")


# ---- several at once -----------------------------------------------------------------------------


@every_version
def test_each_part_of_a_composite_destination_gets_the_message(talk, publish, queue, topic, key, version):
    composite = f"{queue},{topic}, {DIRECT}{key},{queue}.b"
    client, other = talk(version), talk(version)
    for id, destination in enumerate(composite.split(",")):
        client.subscribe(destination.strip(), id=str(id))
    other.subscribe(topic)
    for body in "ab":
        publish(composite, body, "h:1")
        ids = set()
        for _ in range(4):
            got = client.expect(
                f"MESSAGE\nsubscription:<length>\nmessage-id:<message-id>\ndestination:{composite}\nh:1\n\n{body}\0\n"
            )
            ids.add((got["length"], got["message_id"]))
        assert {id for id, _ in ids} == {"0", "1", "2", "3"}
        assert len({number for _, number in ids}) == 1
        other.expect_message(composite, body, "h:1")


def test_parts_have_activemqs_prefixes_or_that_of_the_one_before(talk, publish):
    a, b, c, d = (unique("name") for _ in "abcd")
    composite = f"queue://{a},{b},topic://{c},{d}"
    client = talk()
    for destination in (f"/queue/{a}", f"/queue/{b}", f"/topic/{c}", f"/topic/{d}"):
        client.subscribe(destination, id=destination)
    publish(composite, "x")
    for destination in (f"/queue/{a}", f"/queue/{b}", f"/topic/{c}", f"/topic/{d}"):
        client.expect_message(composite.replace(":", r"\c"), "x", id=destination)


def test_a_part_that_comes_twice_gets_one_message(talk, publish, queue):
    client = talk()
    client.subscribe(queue)
    composite = f"{queue},/amq{queue},queue:/{queue.removeprefix('/queue')}"
    publish(composite, "x")
    client.expect_message(composite.replace(":", r"\c"), "x")
    client.expect_nothing()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("/nowhere/a", None),
        ("/topic/*", "pattern not allowed"),
        ("/queue/#", "pattern not allowed"),
        ("/amq/queue/there-is-none", "no such queue"),
        (",/queue/b", "unknown destination"),
        ("/temp-queue/,/topic/b", "unknown destination"),
        ("/topic/" + "x" * 256, "bad destination"),
        (",".join(f"/queue/{n}" for n in range(32)), "bad destination"),
    ],
)
def test_one_part_that_leads_nowhere_refuses_all(talk, queue, part, message):
    client, witness = talk(), talk()
    witness.subscribe(queue)
    client.send(frame("SEND", f"destination:{queue},{part}", "receipt:1"))
    if message is None:  # a comma that no destination follows is a part of the name
        client.expect(receipt("1"))
    else:
        client.expect_error(message, receipt="1")
    witness.expect_nothing()


def test_a_comma_in_a_name_is_a_comma(talk, publish, queue):
    client = talk()
    client.subscribe(f"{queue},a")
    publish(f"{queue},a", "x")
    client.expect_message(f"{queue},a", "x")


def test_a_composite_destination_in_a_transaction_and_with_a_temporary_part(talk, queue, topic):
    client = talk()
    client.subscribe(queue, id="q")
    client.subscribe("/temp-topic/mine", id="t")
    composite = f"{queue},/temp-topic/mine,/temp-queue/mine"
    client.subscribe("/temp-queue/mine", id="m", ack="client")
    client.send(frame("BEGIN", "transaction:1"), frame("SEND", f"destination:{composite}", "transaction:1", body="x"))
    client.expect_nothing()
    client.send(frame("COMMIT", "transaction:1"))
    for id in "qtm":
        client.expect_message(composite, "x", id=id)


def test_a_composite_destination_of_topics_with_many_subscribers_keeps_the_order(talk, topic):
    clients = [talk() for _ in range(5)]
    for client in clients:
        client.subscribe(f"{topic}.a", id="a")
        client.subscribe(f"{topic}.b", id="b", ack="client")
    composite = f"{topic}.a,{topic}.b"
    sends = [frame("SEND", f"destination:{composite}", body=str(n)) for n in range(20)]
    talk().send(*sends, frame("SEND", f"destination:{topic}.a", body="last"))
    for client in clients:
        got = {"a": [], "b": []}
        for _ in range(41):
            head, _, body = client.read_frame().decode().partition("\n\n")
            got[head.split("subscription:")[1][0]].append(body.removesuffix("\0\n"))
        assert got == {"a": [*map(str, range(20)), "last"], "b": [*map(str, range(20))]}


# ---- options behind a destination ----------------------------------------------------------------


def test_options_of_activemq_are_no_part_of_the_name(talk, publish, queue):
    client = talk()
    client.subscribe(f"{queue}?consumer.prefetchSize=2&consumer.dispatchAsync=true", ack="client")
    for body in "abc":
        publish(f"{queue}?consumer.prefetchSize=1" if body == "b" else queue, body)
    client.expect_message(queue, "a")
    client.expect_message(f"{queue}?consumer.prefetchSize=1", "b")
    client.expect_nothing()
    other = talk()
    other.subscribe(queue)
    other.expect_message(queue, "c")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("consumer.nonsense=1", "bad destination"),
        ("consumer.prefetchSize", "bad destination"),
        ("consumer.prefetchSize=1&other=2", "bad destination"),
        ("consumer.prefetchSize=many", "bad header"),
        ("consumer." + "&".join(["prefetchSize=1"] * 40), "bad destination"),
    ],
)
def test_options_that_say_nothing(talk, queue, options, message):
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}?{options}", "receipt:1"))
    client.expect_error(message, receipt="1")


def test_other_question_marks_are_part_of_a_name(talk, publish, queue):
    client = talk()
    client.subscribe(f"{queue}?a=b")
    publish(f"{queue}?a=b", "x")
    client.expect_message(f"{queue}?a=b", "x")


# ---- patterns of queues --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["/queue/a.*", "/queue/#", "*", "queue://a.>", "/queue/*/a"])
def test_no_message_to_a_pattern_of_queues(talk, name):
    client = talk()
    client.send(frame("SEND", f"destination:{name}", "receipt:1"))
    client.expect_error("pattern not allowed", receipt="1")


# ---- virtual topics ------------------------------------------------------------------------------


@every_version
def test_each_queue_of_a_virtual_topic_gets_what_is_sent_to_it(talk, publish, version):
    name = unique("VirtualTopic.")
    first, second, other, plain = talk(version), talk(version), talk(version), talk(version)
    first.subscribe(f"/queue/Consumer.A.{name}", ack="client-individual")
    second.subscribe(f"/queue/Consumer.A.{name}")
    other.subscribe(f"/queue/Consumer.B.{name}")
    plain.subscribe(f"/topic/{name}")
    for body in "abcd":
        publish(f"/topic/{name}", body)
    other.expect_bodies(f"/topic/{name}", "abcd")
    plain.expect_bodies(f"/topic/{name}", "abcd")
    first.expect_bodies(f"/topic/{name}", "ac")
    second.expect_bodies(f"/topic/{name}", "bd")


def test_a_queue_of_a_virtual_topic_keeps_messages_while_nobody_is_there(talk, publish, broker_with):
    broker = broker_with(limits={"queue_idle_timeout": 0.1})
    name, sender = unique("VirtualTopic.a."), talk(to=broker)
    client = talk(to=broker)
    client.subscribe(f"/queue/Consumer.A.{name}")
    client.unsubscribe()
    sender.publish(f"/topic/{name}", "a")
    client.subscribe(f"/queue/Consumer.A.{name}")
    client.expect_message(f"/topic/{name}", "a")
    sender.publish(f"/queue/Consumer.A.{name}", "to it alone")
    client.expect_message(f"/queue/Consumer.A.{name}", "to it alone")


@pytest.mark.parametrize(
    "name", ["Consumer.{}", "Consumer.VirtualTopic.{}", "consumer.A.VirtualTopic.{}", "A.VirtualTopic.{}"]
)
def test_other_queues_follow_nothing(talk, publish, name):
    word = unique("word")
    client = talk()
    client.subscribe("/queue/" + name.format(word))
    publish(f"/topic/VirtualTopic.{word}", "x")
    publish(f"/topic/{word}", "x")
    client.expect_nothing()


# ---- temporary topics, replies -------------------------------------------------------------------


@every_version
def test_replies_to_a_temporary_topic(talk, queue, version):
    """All subscriptions of its owner get each; nobody else can subscribe, by any name."""
    worker, asker = talk(version), talk(version)
    worker.subscribe(queue)
    worker.subscribe("/topic/#", id="all")
    worker.subscribe("/temp-topic/answers", id="own")
    asker.subscribe("/temp-topic/answers", id="a")
    asker.subscribe("/temp-topic/answers", id="b", ack="client")
    asker.send(frame("SEND", f"destination:{queue}", "reply-to:/temp-topic/answers", body="question"))
    lines = f"message-id:<message-id>\ndestination:{queue}\nreply-to:/reply-topic/<token>"
    token = worker.expect(f"MESSAGE\nsubscription:1\n{lines}\n\nquestion\0\n")["token"]
    for name in (f"/reply-topic/{token}", f"/remote-temp-topic/{token}"):
        worker.publish(name, "answer")
        asker.expect_message(name, "answer", id="a")
        asker.expect_message(name, "answer", id="b")
    worker.expect_nothing()
    worker.send(frame("SUBSCRIBE", "id:x", f"destination:/reply-topic/{token}", "receipt:1"))
    assert "/temp-topic/" in worker.expect_error("bad destination", receipt="1")


def test_who_speaks_with_activemq_is_told_its_name_of_a_reply_topic(talk, queue):
    worker, asker = talk(), talk()
    worker.subscribe(queue, "activemq.dispatchAsync:true")
    asker.send(frame("SEND", f"destination:{queue}", "reply-to:/temp-topic/a"))
    worker.expect(
        f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\ndestination:{queue}\n"
        "reply-to:/remote-temp-topic/<token>\n\n\0\n"
    )


def test_a_temporary_topic_belongs_to_its_connection(talk):
    owner, other = talk(), talk()
    owner.subscribe("/temp-topic/mine")
    other.subscribe("/temp-topic/mine")
    owner.send(frame("SEND", "destination:/temp-topic/mine", body="x"))
    owner.expect_message("/temp-topic/mine", "x")
    other.expect_nothing()


@pytest.mark.parametrize("kind", ["queue", "topic"])
@pytest.mark.parametrize("leaves", ["disconnect", "reset"])
def test_an_answer_to_a_client_that_has_gone_is_dropped_and_counted(talk, broker_with, queue, kind, leaves):
    """Also by a worker that has answered it before, and found its way then."""
    broker = broker_with()
    before = broker.census()["replies_dropped"]
    worker, asker = talk(to=broker), talk(to=broker)
    worker.subscribe(queue)
    asker.subscribe(f"/temp-{kind}/a")
    asker.send(frame("SEND", f"destination:{queue}", f"reply-to:/temp-{kind}/a"))
    lines = f"message-id:<message-id>\ndestination:{queue}\nreply-to:/reply-{kind}/<token>"
    token = worker.expect(f"MESSAGE\nsubscription:1\n{lines}\n\n\0\n")["token"]
    worker.publish(f"/reply-{kind}/{token}", "while it is there")
    asker.expect_message(f"/reply-{kind}/{token}", "while it is there")
    if leaves == "reset":
        asker.reset()
    else:
        asker.send(frame("DISCONNECT", "receipt:bye"))
        asker.expect(receipt("bye"))
        asker.expect_end()
    for _ in range(100):
        worker.publish(f"/reply-{kind}/{token}", "too late")
        if broker.census()["replies_dropped"] > before:
            break
    worker.publish(unique("/topic/another"), "in between")
    dropped = broker.census()["replies_dropped"]
    worker.publish(f"/reply-{kind}/{token}", "too late")
    assert broker.census()["replies_dropped"] == dropped + 1
