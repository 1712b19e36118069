"""Messages that come later: over the wire, in real time, and very many of them."""

import time

import pytest
from harness.frames import frame, receipt

DELAY = 0.3


@pytest.mark.parametrize("header", ["delay", "AMQ_SCHEDULED_DELAY"])
def test_a_message_comes_later(talk, publish, queue, header):
    client = talk()
    client.subscribe(queue)
    begun = time.monotonic()
    publish(queue, "later", f"{header}:{int(DELAY * 1000)}")
    publish(queue, "now")
    client.expect_message(queue, "now")
    client.expect_message(queue, "later", f"{header}:{int(DELAY * 1000)}")
    assert time.monotonic() - begun >= DELAY


def test_its_sender_need_not_be_there(talk, queue):
    sender = talk()
    sender.send(frame("SEND", f"destination:{queue}", f"delay:{int(DELAY * 1000)}", "receipt:r", body="later"))
    sender.expect(receipt("r"))
    sender.close()
    client = talk()
    client.subscribe(queue)
    client.expect_message(queue, "later", f"delay:{int(DELAY * 1000)}")


def test_bad_delays_name_their_header(talk, queue):
    client = talk()
    client.send(frame("SEND", f"destination:{queue}", "delay:soon", body="x"))
    assert "delay is a number" in client.expect_error("bad header")
