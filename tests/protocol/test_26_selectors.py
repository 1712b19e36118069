"""`selector` and `no-local` on SUBSCRIBE: subscribers of a topic that choose; test_30 has those of queues."""

import pytest
from harness.frames import every_version, frame, receipt

MODES = ["auto", "client", "client-individual"]


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("mode", MODES)
def test_only_what_is_selected_comes(talk, publish, topic, version, mode):
    client = talk(version)
    client.subscribe(topic, "selector:price > 10 AND colour IN ('red', 'blue')", ack=mode)
    sent = [("a", "12", "red"), ("b", "10", "red"), ("c", "11.5", "blue"), ("d", "99", "green"), ("e", "x", "red")]
    for body, price, colour in sent:
        publish(topic, body, f"price:{price}", f"colour:{colour}")
    client.expect_message(topic, "a", "price:12", "colour:red")
    client.expect_message(topic, "c", "price:11.5", "colour:blue")
    client.expect_nothing()


@every_version
@pytest.mark.item(74)
def test_a_selector_may_hold_anything(talk, publish, topic, version):
    """In the encoding of the version, as the headers that it looks at."""
    colon = ":" if version == "1.0" else "\\c"
    client = talk(version)
    client.subscribe(topic, f"selector:content-type LIKE 'text/%' AND \"where\" = 'a{colon}b' -- ż", ack="client")
    publish(topic, "no", "content-type:text/plain", "where:a")
    publish(topic, "yes", "content-type:text/plain", "where:a\\cb")
    client.expect_message(topic, "yes", "content-type:text/plain", f"where:a{colon}b")
    client.expect_nothing()


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("prefix", ["convert_string_expressions:", "hyphenated_props:"])
def test_prefixes_of_activemq(talk, publish, topic, version, prefix):
    client = talk(version)
    client.subscribe(topic, f"selector:{prefix if version == '1.0' else prefix.replace(':', chr(92) + 'c')}x-y > 1")
    publish(topic, "no", "x-y:1")
    publish(topic, "yes", "x-y:2")
    client.expect_message(topic, "yes", "x-y:2")


@every_version
@pytest.mark.item(74)
def test_one_that_is_wrong(talk, topic, version):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", "selector:a = 1 AND XPATH '//b'", "receipt:1"))
    text = client.expect_error("bad selector", receipt="1")
    assert text.startswith(
        "The selector is wrong at character 11, before `XPATH '//b'`: XPATH and XQUERY are not supported"
    )


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("header", ["no-local:true", "activemq.noLocal:True"])
def test_ones_own_do_not_come(talk, publish, topic, version, header, mode):
    client = talk(version)
    client.subscribe(topic, header, ack=mode)
    client.publish(topic, "own")
    client.send(frame("BEGIN", "transaction:t"), frame("SEND", f"destination:{topic}", "transaction:t", body="own"))
    client.send(frame("COMMIT", "transaction:t", "receipt:done"))
    client.expect(receipt("done"))
    publish(topic, "other")
    client.expect_message(topic, "other")
    client.expect_nothing()


@every_version
@pytest.mark.item(77)
def test_after_unsubscribe_another_selector_may_come(talk, publish, topic, version):
    client = talk(version)
    for wanted in "12":
        client.subscribe(topic, f"selector:a = {wanted}", ack="client")
        for value in "12":
            publish(topic, value, f"a:{value}")
        client.expect_message(topic, wanted, f"a:{wanted}")
        client.unsubscribe()
    client.expect_nothing()


@pytest.mark.item(94)
def test_one_who_chooses_and_goes_away_in_the_middle(talk, publish, topic):
    staying, leaving = talk(), talk()
    for client in (staying, leaving):
        client.subscribe(topic, "selector:a = 1", ack="client")
    publish(topic, "1", "a:1")
    leaving.reset()
    publish(topic, "2", "a:2")
    publish(topic, "3", "a:1")
    staying.expect_message(topic, "1", "a:1")
    staying.expect_message(topic, "3", "a:1")
