"""Destinations: topics and patterns, queues, and the names that clients of other brokers use."""

import pytest
from harness.frames import VERSIONS, every_version, frame, receipt, unique
from harness.waiting import eventually

# Pattern, destinations that it matches, destinations that it does not match; {} is a word that no other test uses.
PATTERNS = [
    ("{}", ["{}"], ["{}.a", "{}/a", "a.{}", "{}a"]),
    ("{}.a", ["{}.a"], ["{}/a", "{}", "{}.a.b", "{}.b"]),
    ("{}/a", ["{}/a"], ["{}.a"]),
    ("{}.*", ["{}.a", "{}.a-b c"], ["{}", "{}/a", "{}.a.b", "{}.a/b"]),
    ("{}/*", ["{}/a"], ["{}.a", "{}/a/b"]),
    ("{}.*.c", ["{}.a.c", "{}.b.c"], ["{}.c", "{}.a.b.c", "{}.a/c", "{}/a.c"]),
    ("*.{}", ["a.{}", "b.{}"], ["{}", "a/{}", "a.b.{}"]),
    ("*/{}", ["a/{}"], ["a.{}"]),
    ("{}.#", ["{}", "{}.a", "{}.a.b", "{}.a/b"], ["{}/a", "{}a", "a.{}"]),
    ("{}.**", ["{}", "{}.a", "{}.a.b", "{}.a/b"], ["{}/a"]),
    ("{}/#", ["{}", "{}/a", "{}/a.b"], ["{}.a"]),
    ("#.{}", ["{}", "a.{}", "a.b.{}", "a/b.{}"], ["a/{}", "{}.a"]),
    ("#/{}", ["{}", "a/{}"], ["a.{}"]),
    ("{}.#.c", ["{}.c", "{}.a.c", "{}.a.b.c", "{}.c.c"], ["{}", "{}/c", "{}.c.a"]),
    ("{}.#.*", ["{}.a", "{}.a.b"], ["{}"]),
    ("{}.#.b.#", ["{}.b", "{}.a.b", "{}.b.a", "{}.a.b.c"], ["{}", "{}.a"]),
    ("{}.>", ["{}.a", "{}.a.b", "{}.a/b"], ["{}", "{}/a"]),
    ("{}/>", ["{}/a", "{}/a.b"], ["{}", "{}.a"]),
    ("{}.a*", ["{}.a*"], ["{}.a", "{}.ab"]),
    ("{}.a#", ["{}.a#"], ["{}.a", "{}.a.b"]),
    ("{}.a>", ["{}.a>"], ["{}.a", "{}.a.b"]),
    ("{}.ż.*", ["{}.ż.ó"], ["{}.z.o"]),
]


@pytest.mark.parametrize(("pattern", "matching", "other"), PATTERNS, ids=[case[0] for case in PATTERNS])
def test_patterns(talk, publish, pattern, matching, other):
    word = unique("word")
    client = talk()
    client.subscribe("/topic/" + pattern.format(word))
    for name in [*other, *matching]:
        publish("/topic/" + name.format(word), name)
    for name in matching:
        client.expect_message("/topic/" + name.format(word), name)
    client.expect_nothing()


@pytest.mark.parametrize("pattern", ["#", "**", ">"])
def test_pattern_of_all_topics(talk, publish, topic, pattern):
    client = talk()
    client.subscribe(f"/topic/{pattern}")
    for name in (topic, f"{topic}.a/b", "/exchange/amq.topic/any"):
        publish(name, "x")
        client.expect_message(name, "x")


def test_pattern_of_all_topics_with_one_word(talk, publish):
    name = unique("/topic/word")
    client = talk()
    client.subscribe("/topic/*")
    publish(f"{name}.a", "x")
    publish(name, "x")
    client.expect_message(name, "x")


@every_version
@pytest.mark.parametrize("pattern", ["*", "a.*", "a.#", "a.**", "a.>", "#.a", "a/*/b"])
def test_no_message_to_a_pattern(talk, version, pattern):
    client = talk(version)
    client.send(frame("SEND", f"destination:/topic/{pattern}", "receipt:1"))
    client.expect_error("pattern not allowed", receipt="1")


@pytest.mark.parametrize("name", ["a.>.b", ">.a", "#.a.#.b.#", "a.**.b.#.>", "x" * 256, ".".join("x" * 33)])
def test_bad_patterns(talk, name):
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:/topic/{name}"))
    client.expect_error("bad destination")


@pytest.mark.parametrize("name", ["x" * 255, ".".join("x" * 32), "#.a.#", "a.#.b.>"])
def test_patterns_at_the_limit(talk, name):
    talk().subscribe(f"/topic/{name}")


@every_version
def test_every_subscriber_of_a_topic_gets_each_message(talk, publish, topic, version):
    clients = [talk(version) for _ in range(5)]
    for client in clients:
        client.subscribe(topic)
    for body in "abc":
        publish(topic, body)
    for client in clients:
        client.expect_bodies(topic, "abc")


def test_topic_keeps_nothing(talk, publish, topic):
    publish(topic, "before")
    client = talk()
    client.subscribe(topic)
    publish(topic, "after")
    client.expect_message(topic, "after")


@every_version
def test_queue_is_first_in_first_out_and_each_message_goes_to_one(talk, publish, queue, version):
    for n in range(10):
        publish(queue, str(n))
    client, other = talk(version), talk(version)
    client.subscribe(queue)
    other.subscribe(queue)
    client.expect_bodies(queue, map(str, range(10)))
    other.expect_nothing()


@pytest.mark.parametrize("name", ["a*", "a.b#", "a**.c", "c#", "a/b.c", "a//b", "."])
def test_queue_names_are_plain(talk, publish, queue, name):
    client = talk()
    client.subscribe(f"{queue}/{name}")
    publish(f"{queue}/a.b", "never")
    publish(f"{queue}/{name}", "x")
    client.expect_message(f"{queue}/{name}", "x")
    client.expect_nothing()


def test_queue_outlives_its_consumer_while_it_holds_messages(talk, broker_with, queue):
    broker = broker_with(limits={"queue_idle_timeout": 0.1})
    client = talk(to=broker)
    client.publish(queue, "x")
    client.publish(f"{queue}.other", "y")
    client.subscribe(f"{queue}.other")
    client.expect_message(f"{queue}.other", "y")
    client.unsubscribe()
    eventually(lambda: is_gone(talk(to=broker), f"{queue}.other"), "the queue is gone", pause=0.2)
    client.subscribe(f"/amq{queue}")
    client.expect_message(queue, "x")


def is_gone(client, queue):
    """Whether a queue exists no more, as /amq/queue tells; to ask counts as using it."""
    client.send(frame("SUBSCRIBE", "id:1", f"destination:/amq{queue}", "receipt:1"))
    answer = client.read_frame()
    client.close()
    return answer.startswith(b"ERROR\nmessage:no such queue\n")


@every_version
def test_bare_name_is_a_queue(talk, publish, version):
    name = unique("bare")
    client = talk(version)
    client.subscribe(name)
    publish(f"/queue/{name}", "a")
    publish(name, "b")
    client.expect_message(f"/queue/{name}", "a")
    client.expect_message(name, "b")


@every_version
@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
@pytest.mark.parametrize(
    "destination", ["/nowhere/x", "/", "//", "/Topic/a", "/topics/a", "/temp-topi/a", "/dsub/a", "/exchange/a/b", "/x"]
)
def test_unknown_destinations_are_told_what_exists(talk, version, command, destination):
    client = talk(version)
    client.send(frame(command, "id:1", f"destination:{destination}", "receipt:1"))
    text = client.expect_error("unknown destination", receipt="1")
    for kind in ("/topic/", "/queue/", "/temp-queue/", "/temp-topic/", "/exchange/amq.topic/", "/amq/queue/"):
        assert kind in text


@every_version
@pytest.mark.parametrize("name", ["topic/x", "queue/x"])
def test_bare_name_with_a_slash_gets_a_hint(talk, version, name):
    for command in ("SEND", "SUBSCRIBE"):
        client = talk(version)
        client.send(frame(command, "id:1", f"destination:{name}", "receipt:1"))
        assert f"Did you mean /{name}?" in client.expect_error("unknown destination", receipt="1")


@every_version
@pytest.mark.parametrize("kind", ["/topic/", "/queue/", "/temp-queue/", "/amq/queue/", "/exchange/amq.topic/"])
def test_name_may_not_be_empty(talk, version, kind):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{kind}"))
    client.expect_error("unknown destination")


def test_exchange_amq_topic_is_a_topic(talk, publish):
    key = unique("key")
    client = talk()
    client.subscribe(f"/exchange/amq.topic/{key}.*", id="1")
    client.subscribe(f"/topic/{key}.#", id="2")
    publish(f"/topic/{key}.a", "x")
    client.expect_message(f"/topic/{key}.a", "x", id="1")
    client.expect_message(f"/topic/{key}.a", "x", id="2")
    publish(f"/exchange/amq.topic/{key}", "y")
    client.expect_message(f"/exchange/amq.topic/{key}", "y", id="2")


def test_amq_queue_is_a_queue_that_exists(talk, publish, queue):
    client = talk()
    client.subscribe(queue)
    publish(f"/amq{queue}", "x")
    client.expect_message(f"/amq{queue}", "x")


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
def test_amq_queue_must_exist(talk, queue, command):
    client = talk()
    client.send(frame(command, "id:1", f"destination:/amq{queue}", "receipt:1"))
    client.expect_error("no such queue", receipt="1")


@every_version
def test_reply_to_a_temp_queue_without_a_subscription(talk, queue, version):
    worker, asker = talk(version), talk(version)
    worker.subscribe(queue)
    asker.send(frame("SEND", f"destination:{queue}", "reply-to:/temp-queue/answers", body="question"))
    reply_to = worker.expect(
        f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\ndestination:{queue}\n"
        "reply-to:/reply-queue/<token>\n\nquestion\0\n"
    )["token"]
    worker.send(frame("SEND", f"destination:/reply-queue/{reply_to}", "x:1", body="answer"))
    asker.ack_modes["/temp-queue/answers"] = "auto"
    asker.expect_message(f"/reply-queue/{reply_to}", "answer", "x:1", id="/temp-queue/answers")


@every_version
@pytest.mark.parametrize("mode", ["auto", "client-individual"])
def test_reply_to_a_temp_queue_with_a_subscription(talk, queue, version, mode):
    worker, asker = talk(version), talk(version)
    worker.subscribe(queue)
    asker.subscribe("/temp-queue/answers", id="7", ack=mode)
    for body in "ab":
        asker.send(frame("SEND", f"destination:{queue}", "reply-to:/temp-queue/answers", body=body))
        lines = f"destination:{queue}\nreply-to:/reply-queue/<token>"
        token = worker.expect(f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\n{lines}\n\n{body}\0\n")["token"]
        worker.send(frame("SEND", f"destination:/reply-queue/{token}", body=f"answer {body}"))
        asker.expect_message(f"/reply-queue/{token}", f"answer {body}", id="7")


@every_version
def test_each_reply_to_is_answered_to_its_own_queue(talk, queue, version):
    """Again and again the same, others in between, and after a subscription of its own has gone."""
    worker, asker = talk(version), talk(version)
    worker.subscribe(queue)
    tokens = {}
    for body, name in enumerate(["a", "a", "b", "a", "b", "long" * 50, "long" * 50, "-", "a", "a"]):
        if name == "-":
            asker.subscribe("/temp-queue/a", id="7")
            asker.send(frame("UNSUBSCRIBE", "id:7"))
            continue
        asker.send(frame("SEND", f"destination:{queue}", f"reply-to:/temp-queue/{name}", body=str(body)))
        lines = f"destination:{queue}\nreply-to:/reply-queue/<token>"
        token = worker.expect(f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\n{lines}\n\n{body}\0\n")["token"]
        assert tokens.setdefault(name, token) == token
        worker.send(frame("SEND", f"destination:/reply-queue/{token}", body=f"answer {body}"))
        asker.ack_modes[f"/temp-queue/{name}"] = "auto"
        asker.expect_message(f"/reply-queue/{token}", f"answer {body}", id=f"/temp-queue/{name}")
    assert len(set(tokens.values())) == 3


@every_version
def test_temp_queue_belongs_to_its_connection(talk, publish, version):
    owner, other = talk(version), talk(version)
    owner.subscribe("/temp-queue/mine")
    other.subscribe("/temp-queue/mine")
    owner.send(frame("SEND", "destination:/temp-queue/mine", body="x"))
    owner.expect_message("/temp-queue/mine", "x")
    other.expect_nothing()


def test_reply_to_other_destinations_stays(talk, publish, queue):
    client = talk()
    client.subscribe(queue)
    publish(queue, "x", "reply-to:/queue/answers")
    client.expect_message(queue, "x", "reply-to:/queue/answers")


@every_version
def test_answer_to_a_client_that_left_is_dropped(talk, queue, version):
    worker, asker = talk(version), talk(version)
    worker.subscribe(queue)
    asker.send(frame("SEND", f"destination:{queue}", "reply-to:/temp-queue/answers"))
    token = worker.expect(
        f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\ndestination:{queue}\nreply-to:/reply-queue/<token>\n\n\0\n"
    )["token"]
    asker.send(frame("DISCONNECT", "receipt:bye"))
    asker.expect(receipt("bye"))
    asker.expect_end()
    worker.publish(f"/reply-queue/{token}", "answer")
    worker.expect_nothing()


REPLY_QUEUES = ["/reply-queue/", "/remote-temp-queue/", "/queue//reply-queue/", "/queue//remote-temp-queue/"]
"""What one and the same reply queue is called: by us, by ActiveMQ, and by clients that know neither."""


@pytest.mark.parametrize("token", ["nobody", "0" * 16])
@pytest.mark.parametrize("prefix", REPLY_QUEUES)
def test_made_up_reply_queues_lead_nowhere(talk, publish, prefix, token):
    publish(f"{prefix}{token}", "x")


@pytest.mark.parametrize("prefix", REPLY_QUEUES)
def test_a_reply_queue_is_only_sent_to(talk, prefix):
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{prefix}orders", "receipt:1"))
    assert "/temp-queue/" in client.expect_error("bad destination", receipt="1")


def asked(worker, asker, queue, prefix):
    """Have the asker ask, and the worker see where the answer is to go; the token of that."""
    asker.send(frame("SEND", f"destination:{queue}", "reply-to:/temp-queue/a", body="question"))
    lines = f"message-id:<message-id>\ndestination:{queue}\nreply-to:{prefix}<token>"
    return worker.expect(f"MESSAGE\nsubscription:1\n{lines}\n\nquestion\0\n")["token"]


@every_version
@pytest.mark.parametrize("prefix", REPLY_QUEUES)
def test_a_reply_by_any_name_arrives(talk, queue, version, prefix):
    worker, asker = talk(version), talk(version)
    worker.subscribe(queue)
    token = asked(worker, asker, queue, "/reply-queue/")
    worker.publish(f"{prefix}{token}", "answer")
    asker.ack_modes["/temp-queue/a"] = "auto"
    asker.expect_message(f"{prefix}{token}", "answer", id="/temp-queue/a")


@every_version
@pytest.mark.parametrize("where", ["queue", "topic"])
def test_who_speaks_with_activemq_is_told_its_name_of_a_reply_queue(talk, request, version, where):
    destination = request.getfixturevalue(where)
    worker, asker = talk(version), talk()
    worker.subscribe(destination, "activemq.dispatchAsync:true")
    for _ in range(2):
        token = asked(worker, asker, destination, "/remote-temp-queue/")
        worker.publish(f"/remote-temp-queue/{token}", "answer")
        asker.ack_modes["/temp-queue/a"] = "auto"
        asker.expect_message(f"/remote-temp-queue/{token}", "answer", id="/temp-queue/a")


@pytest.mark.parametrize("mode", ["auto", "client"])
def test_each_of_many_receivers_is_told_its_own_name_of_a_reply_queue(talk, topic, mode):
    """Also in another version, and beside header lines that need another form themselves."""
    asker = talk()
    audience = [(version, name, talk(version)) for version in VERSIONS for name in ("activemq.x:1", "x:1") * 2]
    for _, name, client in audience:
        client.subscribe(topic, name, ack=mode)
    sends = [
        frame("SEND", f"destination:{topic}", "reply-to:/temp-queue/a", r"x:a\rb\n"),
        frame("SEND", f"destination:{topic}"),
    ]
    asker.send(*sends * 3)
    values = {"1.0": "a b ", "1.1": r"a b\n", "1.2": r"a\rb\n"}
    for version, name, client in audience:
        prefix = "/remote-temp-queue/" if name.startswith("activemq.") else "/reply-queue/"
        for _ in range(3):
            assert f"\nx:{values[version]}\nreply-to:{prefix}".encode() in client.read_frame()
            assert b"reply-to" not in client.read_frame()


@pytest.mark.parametrize("name", ["activemq", "Activemq.x", "x.activemq.y", "activemq."])
def test_no_other_header_speaks_with_activemq(talk, queue, name):
    worker, asker = talk(), talk()
    worker.subscribe(queue, f"{name}:1")
    asked(worker, asker, queue, "/reply-queue/")


def test_what_waited_for_a_client_of_activemq_is_told_in_its_words(talk, queue):
    """Within a transaction, before anybody was there, and again after NACK."""
    asker, worker = talk(), talk()
    asker.send(frame("BEGIN", "transaction:t"))
    asker.send(frame("SEND", f"destination:{queue}", "transaction:t", "reply-to:/temp-queue/a"))
    asker.send(frame("COMMIT", "transaction:t", "receipt:1"))
    asker.expect(receipt("1"))
    worker.subscribe(queue, "activemq.prefetchSize:1", ack="client-individual")
    line = f"destination:{queue}\nreply-to:/remote-temp-queue/<token>"
    ack = worker.expect(f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\nack:<ack>\n{line}\n\n\0\n")["ack"]
    worker.send(frame("NACK", f"id:{ack}"))
    head = "MESSAGE\nsubscription:1\nmessage-id:<message-id>\nack:<ack>\nredelivered:true\ndelivery-count:2"
    worker.expect(f"{head}\n{line}\n\n\0\n")
