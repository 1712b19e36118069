"""`selector` and `no-local` on SUBSCRIBE to a queue: consumers that choose, and what they leave to others."""

import pytest
from harness.frames import every_version, frame, receipt

MODES = ["auto", "client", "client-individual"]


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("mode", MODES)
def test_each_gets_what_it_selects(talk, publish, queue, version, mode):
    red, blue = talk(version), talk(version)
    red.subscribe(queue, "selector:colour = 'red'", ack=mode)
    blue.subscribe(queue, "selector:colour = 'blue' AND price < 10", ack=mode)
    for body, colour, price in [("a", "blue", 5), ("b", "red", 1), ("c", "blue", 50), ("d", "blue", 7)]:
        publish(queue, body, f"colour:{colour}", f"price:{price}")
    red.expect_message(queue, "b", "colour:red", "price:1")
    blue.expect_message(queue, "a", "colour:blue", "price:5")
    blue.expect_message(queue, "d", "colour:blue", "price:7")
    red.expect_nothing()
    blue.expect_nothing()
    rest = talk(version)
    rest.subscribe(queue)
    rest.expect_message(queue, "c", "colour:blue", "price:50")


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("destination", ["{0}.*", "{0}.a,{0}.b"])
def test_of_each_of_several_queues(talk, publish, queue, version, mode, destination):
    destination = destination.format(queue)
    for body, colour in [("1", "blue"), ("2", "red"), ("3", "blue")]:
        publish(f"{queue}.a", body, f"colour:{colour}")
    red, rest = talk(version), talk(version)
    red.subscribe(destination, "selector:colour = 'red'", ack=mode)
    red.expect_message(f"{queue}.a", "2", "colour:red")
    publish(f"{queue}.b", "4", "colour:red")
    red.expect_message(f"{queue}.b", "4", "colour:red")
    red.expect_nothing()
    rest.subscribe(destination)
    rest.expect_message(f"{queue}.a", "1", "colour:blue")
    rest.expect_message(f"{queue}.a", "3", "colour:blue")


@every_version
@pytest.mark.item(74)
def test_what_waited_is_chosen_from(talk, publish, queue, version):
    for number in range(100):
        publish(queue, f"{number}", f"number:{number}")
    client = talk(version)
    client.subscribe(queue, "selector:number % 10 = 7", ack="client")
    for number in range(7, 100, 10):
        client.expect_message(queue, f"{number}", f"number:{number}")
    client.expect_nothing()


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("header", ["no-local:true", "activemq.noLocal:True"])
def test_ones_own_are_for_others(talk, queue, version, header):
    one, two = talk(version), talk(version)
    one.publish(queue, "before")
    one.subscribe(queue, header)
    one.publish(queue, "own")
    one.send(frame("BEGIN", "transaction:t"), frame("SEND", f"destination:{queue}", "transaction:t", body="done"))
    one.send(frame("COMMIT", "transaction:t", "receipt:done"))
    one.expect(receipt("done"))
    two.publish(queue, "other")
    one.expect_message(queue, "other")
    one.expect_nothing()
    two.subscribe(queue, header)
    for body in ("before", "own", "done"):
        two.expect_message(queue, body)


@pytest.mark.item(74, 94)
def test_what_one_had_who_is_lost_goes_to_who_wants_it(talk, publish, queue):
    lost, small, large = talk(), talk(), talk()
    lost.subscribe(queue, "selector:x > 0", ack="client")
    for number in range(1, 7):
        publish(queue, f"{number}", f"x:{number}")
    for number in range(1, 7):
        lost.expect_message(queue, f"{number}", f"x:{number}")
    small.subscribe(queue, "selector:x <= 3 AND JMSRedelivered", ack="client")
    large.subscribe(queue, "selector:x > 3 AND JMSXDeliveryCount = 2", ack="client")
    small.expect_nothing()
    lost.reset()
    for client, numbers in ((small, range(1, 4)), (large, range(4, 7))):
        for number in numbers:
            message = client.read_frame().decode()
            assert message.rstrip("\n").endswith(f"\n\n{number}\0")
            assert "\nredelivered:true\ndelivery-count:2\n" in message


@pytest.mark.item(74)
def test_a_temporary_queue_is_chosen_from(talk):
    client, answers = talk(), "/temp-queue/answers"
    client.subscribe(answers, "selector:kind = 'good'")
    for kind in ("bad", "good"):
        client.send(frame("SEND", f"destination:{answers}", f"kind:{kind}", body=kind))
    client.expect_message(answers, "good", "kind:good")
    client.expect_nothing()


@every_version
@pytest.mark.item(74)
def test_one_that_is_wrong(talk, queue, version):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", "selector:a = 1 AND", "receipt:1"))
    assert "at character 10" in client.expect_error("bad selector", receipt="1")


@pytest.mark.item(74)
def test_options_of_activemq_choose_as_well(talk, publish, queue):
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}?consumer.selector=a=1", "receipt:1"))
    client.expect(receipt("1"))
    publish(queue, "no", "a:2")
    publish(queue, "yes", "a:1")
    assert b"\na:1\n\nyes\0" in client.read_frame()
