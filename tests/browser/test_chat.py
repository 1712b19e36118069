"""The chat of the examples, in a real browser and with a real broker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import chromium
import pytest

if why_not := chromium.missing():
    pytest.skip(why_not, allow_module_level=True)

import colours
import pictures
from harness.broker import Broker
from harness.frames import frame
from harness.plain import dial, greet, is_served, read_frame
from harness.waiting import DEADLINE
from playwright.sync_api import Page, expect
from relay import Relay, relayed

if TYPE_CHECKING:
    from chatter import Chatter
    from playwright.sync_api import Browser

Enter = Callable[..., "Chatter"]

SENT, WAITING, DELIVERED = "Sent: the broker has it", "Waiting for the connection", "Delivered"


def crowd(chat: Broker) -> None:
    """Eleven people whose ids all ask for the same colour say a word each."""
    with dial(chat.ports["tcp"]) as connection:
        greet(connection)
        for number in range(11):
            person = {"id": f"{12 * number:04x}{'c' * 12}", "name": f"{number} Person"}
            said = json.dumps({"kind": "text", "from": person, "text": f"Word {number}"})
            connection.sendall(frame("SEND", "destination:/topic/chat.lobby", body=said))
        is_served(connection)


def talkative(enter: Enter, chat: Broker) -> Chatter:
    """Somebody with a phone, and more in the room than it can show; no clock of the page puts anything right later."""
    ana = enter("Ana", script="window.setInterval = () => 0", **pictures.PHONE)
    ana.say("I hear all")
    ana.expect_tick("I hear all", SENT)
    crowd(chat)
    expect(ana.page.locator("#log .message")).to_have_count(12)
    return ana


# ---- talking ----


def test_two_talk(enter: Enter) -> None:
    ana, tom = enter("Ana"), enter("Tom")
    ana.say("Hello, Tom.")
    tom.expect_message("Hello, Tom.", of="Ana")
    ana.expect_tick("Hello, Tom.", SENT)
    tom.say("Hello\nyourself")
    ana.expect_message("Hello\nyourself", of="Tom")
    expect(ana.person("Tom")).to_be_visible()
    expect(tom.person("Ana")).to_be_visible()


def test_typing_is_seen_until_the_message_comes(enter: Enter) -> None:
    ana, tom = enter("Ana"), enter("Tom")
    ana.write("I th")
    expect(tom.page.get_by_text("Ana is typing…")).to_be_visible()
    ana.say("I think.")
    tom.expect_message("I think.")
    assert tom.page.locator("#typing").inner_text() == ""


def test_rooms_are_apart(enter: Enter) -> None:
    ana, tom = enter("Ana", room="garden"), enter("Tom")
    ana.say("Only in the garden")
    tom.say("Only in the lobby")
    tom.expect_message("Only in the lobby")
    expect(tom.messages("Only in the garden")).to_have_count(0)
    tom.join("#Garden")
    tom.say("I am here now.")
    ana.expect_message("I am here now.", of="Tom")
    assert tom.page.url.endswith("#garden")
    ana.say("Look into the lobby!")
    tom.expect_message("Look into the lobby!")


def test_what_was_not_read_is_counted(enter: Enter) -> None:
    ana, tom = enter("Ana"), enter("Tom")
    tom.open("help")
    for text in ("one", "two"):
        ana.say(text)
    expect(tom.conversation("lobby").locator(".unread")).to_have_text("2")
    expect(tom.page).to_have_title("(2) #help · Chat")
    tom.open("lobby")
    expect(tom.page).to_have_title("#lobby · Chat")
    tom.expect_message("two")


def test_a_person_who_leaves_is_gone(enter: Enter) -> None:
    ana, tom = enter("Ana"), enter("Tom")
    expect(ana.person("Tom")).to_be_visible()
    tom.page.close(run_before_unload=True)
    expect(ana.person("Tom")).to_have_count(0)


def test_the_name_is_remembered(enter: Enter) -> None:
    ana, tom = enter("Ana"), enter("Tom")
    ana.page.get_by_role("button", name="Change your name").click()
    ana.page.get_by_role("textbox", name="Your name").fill("Anabel")
    ana.page.get_by_role("button", name="Start chatting").click()
    expect(tom.person("Anabel")).to_be_visible()
    again = ana.page.context.new_page()
    again.goto(ana.page.url)
    expect(again.get_by_role("textbox", name="Your name")).to_have_value("Anabel")


def test_who_comes_later_sees_what_was_said_before(enter: Enter) -> None:
    """The last fifty lines, once, and not as news."""
    ana = enter("Ana")
    for number in range(52):
        ana.say(f"line {number}")
    ana.expect_tick("line 51", SENT)
    tom = enter("Tom", room="help")
    tom.open("lobby")
    tom.expect_message("line 51", of="Ana")
    expect(tom.page.locator("#log .message")).to_have_count(50)
    expect(tom.messages("line 2")).to_have_count(1)
    ben = enter("Ben", room="help")
    ana.say("line 52")
    expect(ben.conversation("lobby").locator(".unread")).to_have_text("1")


def test_programs_are_nobody_in_a_room(enter: Enter, chat: Broker) -> None:
    """Who is there is whose login says so, as that of a page does; whatever a login says is a name at most."""
    ana = enter("Ana")
    with dial(chat.ports["tcp"]) as robot, dial(chat.ports["tcp"]) as odd:
        greet(robot)
        login = f"{'d' * 16} {IMAGE}"
        odd.sendall(frame("CONNECT", "accept-version:1.2", "host:x", f"login:{login}"))
        assert read_frame(odd).startswith(b"CONNECTED\n")
        for connection in (robot, odd):
            connection.sendall(frame("SUBSCRIBE", "id:1", "destination:/topic/chat.lobby"))
            is_served(connection)
        expect(ana.person(IMAGE)).to_be_visible()
        expect(ana.page.locator("#people li")).to_have_count(2)
    expect(ana.page.locator("#people li")).to_have_count(1)


def test_a_program_joins(enter: Enter, chat: Broker) -> None:
    ana = enter("Ana")
    text = json.dumps({"kind": "text", "from": {"id": "00000000000000aa", "name": "Robot"}, "text": "Hello!"})
    url = f"tcp://127.0.0.1:{chat.ports['tcp']}"
    command = [sys.executable, "-m", "fastbroker", "send", "--url", url, "/topic/chat.lobby", text]
    subprocess.run(command, cwd=chromium.ROOT, check=True, timeout=2 * DEADLINE)
    ana.expect_message("Hello!", of="Robot")


# ---- between two ----


def test_private_messages_reach_one_person_of_two_with_the_same_name(enter: Enter) -> None:
    """Their queues have different names, or they would share what is sent to either."""
    ana, first, second = enter("Ana"), enter("Tom"), enter("Tom")
    expect(ana.person("Tom")).to_have_count(2)
    ana.person("Tom").first.click()
    texts = [f"secret {number}" for number in range(6)]
    for text in texts:
        ana.say(text)
    for text in texts:
        ana.expect_tick(text, DELIVERED)
    unread = [tom.page.locator("#private .unread:visible").all_inner_texts() for tom in (first, second)]
    assert sorted(unread) == [[], ["6"]]
    tom = first if unread[0] else second
    tom.open("Ana")
    tom.say("I keep it to myself.")
    ana.expect_message("I keep it to myself.", of="Tom")
    ana.write("Than")
    expect(tom.page.get_by_text("Ana is typing…")).to_be_visible()


# ---- when the connection is lost ----


def test_one_loses_its_network_and_comes_back_by_itself(enter: Enter) -> None:
    ana, tom = enter("Ana"), enter("Tom")
    ana.talk_to("Tom")
    ana.open("lobby")
    tom.page.evaluate("document.body.dataset.same = 'page'")
    tom.page.context.set_offline(True)
    tom.expect_state("Offline")
    expect(tom.page.locator("#countdown")).to_contain_text("Next try in")
    tom.say("Does anybody hear me?")
    tom.expect_tick("Does anybody hear me?", WAITING)
    expect(tom.page.locator("#countdown")).to_contain_text("One message waits.")
    ana.say("Said meanwhile")
    ana.open("Tom")
    ana.say("This waits in a queue.")
    ana.expect_tick("This waits in a queue.", SENT)
    tom.page.context.set_offline(False)
    tom.expect_state("Online")
    tom.expect_tick("Does anybody hear me?", SENT)
    tom.expect_message("Said meanwhile", of="Ana")
    expect(tom.page.locator("#log .note")).to_have_count(0)
    ana.expect_tick("This waits in a queue.", DELIVERED)
    ana.open("lobby")
    ana.expect_message("Does anybody hear me?", of="Tom")
    tom.open("Ana")
    tom.expect_message("This waits in a queue.", of="Ana")
    assert tom.page.evaluate("document.body.dataset.same") == "page"


def says_once(enter: Enter, relay: Relay, to: Chatter) -> Chatter:
    """Tom, who says something that arrives, and does not hear of it."""
    tom = enter("Tom", url=f"http://127.0.0.1:{relay.port}/")
    relay.to_browser.clear()
    tom.say("once")
    to.expect_message("once")
    tom.expect_tick("once", WAITING)
    return tom


def test_a_message_whose_receipt_was_lost_is_there_once(enter: Enter, chat: Broker) -> None:
    """It is sent again, as nobody can know that it had arrived; the others see it once."""
    ana = enter("Ana")
    with relayed(chat.ports["ws"]) as relay:
        tom = says_once(enter, relay, ana)
        relay.cut()
        tom.expect_state("Offline")
        relay.mend()
        tom.page.get_by_role("button", name="Try now").click()
        tom.expect_tick("once", SENT)
        tom.say("twice")
        ana.expect_message("twice")
        ana.expect_message("once")
        tom.expect_message("once")


def test_a_connection_that_is_silent_is_given_up(enter: Enter, chat: Broker) -> None:
    """Nothing is closed and nothing comes, as with a phone that leaves its network: only the heart-beats tell."""
    with relayed(chat.ports["ws"]) as relay:
        tom = enter("Tom", url=f"http://127.0.0.1:{relay.port}/")
        relay.to_browser.clear()
        relay.is_open = False
        expect(tom.page.get_by_role("status")).to_have_text("Offline", timeout=2 * DEADLINE * 1000)
        relay.cut()
        relay.mend()
        tom.expect_state("Online")
        tom.say("Here again")
        tom.expect_tick("Here again", SENT)


def test_the_broker_is_restarted(enter: Enter, serve_chat: Callable[..., Broker]) -> None:
    """What it remembered is lost with it, and the pages say so, once."""
    old = serve_chat()
    with relayed(old.ports["ws"]) as relay:
        url = f"http://127.0.0.1:{relay.port}/"
        ana, tom = enter("Ana", url=url), enter("Tom", url=url)
        ana.say("Before")
        tom.expect_message("Before")
        relay.is_open = False
        old.stop()
        for person in (ana, tom):
            person.expect_state("Offline")
        tom.say("Said without a broker")
        relay.mend(serve_chat().ports["ws"])
        for person in (ana, tom):
            person.expect_state("Online")
        tom.expect_tick("Said without a broker", SENT)
        ana.say("And heard")
        tom.expect_message("And heard")
        ana.expect_message("Said without a broker")
        for person in (ana, tom):
            expect(person.page.locator("#log .note")).to_have_text(
                re.compile("^You are back. Some of what .* missing.$")
            )


# ---- when the page is loaded anew ----


def test_a_reload_loses_nothing_of_what_was_there(enter: Enter) -> None:
    ana, tom = enter("Ana"), enter("Tom")
    ana.join("garden")
    ana.open("lobby")
    ana.say("Before")
    tom.say("Said to Ana")
    ana.talk_to("Tom")
    ana.say("secret")
    ana.expect_tick("secret", DELIVERED)
    ana.write("half a")
    ana.page.reload()
    ana.expect_state("Online")
    expect(ana.page.get_by_role("heading", level=1)).to_have_text("Tom")
    expect(ana.page.get_by_role("textbox", name="Message")).to_have_value("half a")
    ana.expect_tick("secret", DELIVERED)
    expect(ana.conversation("garden")).to_be_visible()
    ana.open("lobby")
    ana.expect_tick("Before", SENT)
    ana.expect_message("Said to Ana", of="Tom")
    expect(ana.page.locator("#log .note")).to_have_count(0)
    tom.open("Ana")
    tom.say("The same queue")
    ana.open("Tom")
    ana.expect_message("The same queue")


def test_what_waits_is_sent_after_a_reload(enter: Enter, chat: Broker) -> None:
    ana = enter("Ana")
    with relayed(chat.ports["ws"]) as relay:
        tom = says_once(enter, relay, ana)
        relay.to_browser.set()
        relay.cut()
        tom.expect_state("Offline")
        tom.say("late")
        relay.mend()
        tom.page.reload()
        for text in ("once", "late"):
            tom.expect_tick(text, SENT)
            ana.expect_message(text, of="Tom")


def test_a_copy_of_the_window_is_somebody_else(enter: Enter) -> None:
    """Browsers copy what is kept, too; two pages of one id would share the messages in its queue."""
    ana = enter("Ana")
    ana.page.reload()
    ana.expect_state("Online")
    with ana.page.expect_popup() as opened:
        ana.page.evaluate("void open(location.href)")
    expect(opened.value.get_by_role("textbox", name="Your name")).to_have_value("Ana")
    assert "Ana" not in opened.value.evaluate("JSON.stringify(sessionStorage)")


IMAGE = "<img src=x onerror=alert(1)>"
NAME = "\u202eX" * 10_000
LINE: dict[str, Any] = {"kind": "text", "id": "a" * 16, "from": {"id": "b" * 16, "name": NAME}, "text": "x"}
LINES = [{**LINE, "id": f"{number:016x}", "from": {"id": "b" * 16, "name": "Ben"}} for number in range(10_000)]
ODD_LINES = [*LINES, LINE, None, 1, {}, {"note": [1]}, {"note": "odd", "at": "x"}, {**LINE, "kind": "got"}, IMAGE]
ODD_ROOMS = [None, 7, "x", {"name": {}}, {"name": IMAGE, "unread": 1e300, "draft": {}, "entries": {"length": 9}}]
ODD_PAGE = {
    "me": {"id": "c" * 16, "name": NAME},
    "conversations": [
        *ODD_ROOMS,
        {"person": {"id": 7, "name": "x"}},
        {"name": "lobby", "seen": "no id", "entries": ODD_LINES},
        {"name": "help", "seen": "abcdefgh-" + "9" * 400},
    ],
}
BROKEN = ("", "{", "null", "7", "[]", '{"me":7}', '{"me":{"id":["cccccccccccccccc"],"name":"x"}}', "[" * 100_000)


def reload_with(somebody: Chatter, kept: str) -> None:
    """Load a page anew as if this had been kept."""
    value = json.dumps(kept)
    somebody.page.add_init_script(f"sessionStorage.setItem('chat.page', {value})")
    somebody.page.reload()


def test_what_was_kept_is_not_trusted(enter: Enter) -> None:
    ana = enter("Ana")
    for broken in BROKEN:
        reload_with(ana, broken)
        expect(ana.page.get_by_role("textbox", name="Your name")).to_have_value("Ana")
    reload_with(ana, json.dumps(ODD_PAGE))
    ana.expect_state("Online")
    expect(ana.page.locator("#my-name")).to_have_text("X" * 32)
    ana.open("lobby")
    expect(ana.page.locator("#log .message")).to_have_count(143)
    expect(ana.page.locator("#log .name").last).to_have_text("X" * 32)
    assert ana.page.locator("#chat img").count() == 0


FORBIDDEN = """for (const storage of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, storage, { get() { throw new DOMException("denied", "SecurityError"); } });"""


def test_storage_is_forbidden(enter: Enter) -> None:
    ana = enter("Ana", script=FORBIDDEN)
    ana.join("garden")
    ana.say("All the same")
    ana.expect_tick("All the same", SENT)
    ana.page.reload()
    expect(ana.page.get_by_role("textbox", name="Your name")).to_have_value("")


FILL = """left => {
    sessionStorage.room = "x".repeat(left);
    for (let size = 2 ** 23; size >= 1; size /= 2) try { sessionStorage[size] = "x".repeat(size); } catch {}
    sessionStorage.removeItem("room");
}"""


@pytest.mark.parametrize("left", [0, 1500])
def test_storage_is_full(enter: Enter, chat: Broker, left: int) -> None:
    """As many of the last lines are kept as there is room for, down to none."""
    ana = talkative(enter, chat)
    ana.page.evaluate(FILL, left)
    ana.page.reload()
    if left:
        ana.expect_state("Online")
        expect(ana.messages("Word 10")).to_be_in_viewport()
        assert 0 < ana.page.locator("#log .message").count() < 12
    else:
        expect(ana.page.get_by_role("textbox", name="Your name")).to_have_value("Ana")


# ---- what others may do to it ----

SCRIPT = "<script>alert(2)</script>"
REFERENCES = "&amp; &lt;b&gt; \"quotes\" 'both' <!-- --> </p></ol> ${alert(3)} {{alert(4)}} javascript:alert(5)"


def test_markup_stays_text(enter: Enter) -> None:
    room = f'"><svg onload=alert(6)> {IMAGE}'
    name = '"><b onclick=alert(7)>&amp;</b>'
    ana, tom = enter(IMAGE), enter(name)
    for person in (ana, tom):
        person.join(room)
        expect(person.page.get_by_role("heading", level=1)).to_have_text(f"#{room.lower()[:40]}")
    for text in (IMAGE, SCRIPT, REFERENCES):
        ana.say(text)
        tom.expect_message(text, of=IMAGE)
    tom.talk_to(IMAGE)
    tom.say(SCRIPT)
    ana.conversation(name).click()
    ana.expect_message(SCRIPT, of=name)
    for person in (ana, tom):
        assert person.page.locator("#chat :is(img, script, b, svg[onload])").count() == 0


RELATIONS = "links => links.map(({ rel }) => rel)"
LINKS = {
    "See https://example.com/a?b=c&d=%20#e.": ["https://example.com/a?b=c&d=%20#e"],
    "(HTTP://example.com, or https://example.com/x_(y))!": ["http://example.com/", "https://example.com/x_(y)"],
    "https://example.com/<b>1</b>": ["https://example.com/"],
    'https://example.com/"onclick="alert(1)': ["https://example.com/"],
    "אbא https://example.com/אבג": ["https://example.com/%D7%90%D7%91%D7%92"],
    "javascript:alert(1) data:text/html,x vbscript:x file:///etc ftp://example.com //example.com www.example.com": [],
    "https://example.com@evil.example https://u:p@evil.example https:// http://... https://[::1 https://a b": [
        "https://a/"
    ],
    "https://example.com " * 99: ["https://example.com/"] * 50,
}


def test_links_are_links_and_texts_stay_texts(enter: Enter) -> None:
    ana, tom = enter("Ana"), enter("Tom")
    for text, addresses in LINKS.items():
        ana.say(text)
        for person in (ana, tom):
            person.expect_message(text.strip(), of="Ana")
            links = person.messages(text.strip()).locator(".text a")
            assert links.evaluate_all("links => links.map(({ href }) => href)") == addresses
            assert all(set(kind.split()) == {"noopener", "noreferrer"} for kind in links.evaluate_all(RELATIONS))
    assert set(tom.page.locator(".text *").evaluate_all("spots => spots.map(({ tagName }) => tagName)")) == {"A"}


def test_a_link_opens_a_page_of_its_own(enter: Enter, elsewhere: str) -> None:
    ana = enter("Ana")
    ana.say(elsewhere)
    with ana.page.expect_popup() as opened:
        ana.page.get_by_role("link", name=elsewhere).click()
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("[document.title, opener, document.referrer]") == ["elsewhere", None, ""]
    ana.expect_state("Online")


GARBAGE = (
    "",
    "no JSON",
    "null",
    "[]",
    '"text"',
    "{}",
    '{"kind":"text"}',
    json.dumps({"kind": "text", "id": "0" * 16, "from": {"id": {"toString": 1}, "name": ["x"]}, "text": "bad id"}),
    json.dumps({"kind": "text", "id": "0" * 16, "from": {"id": ["1" * 16], "name": "x"}, "text": "bad id"}),
    json.dumps({"kind": "text", "id": "0" * 16, "from": {"id": "1" * 16, "name": " \u202e\0 "}, "text": "no name"}),
    json.dumps({"kind": "text", "id": "0" * 16, "from": {"id": "1" * 16, "name": "x"}, "text": {"a": 1}}),
    json.dumps({"kind": "text", "id": "0" * 16, "from": {"id": "1" * 16, "name": "x"}, "text": "\u200b \u200d\n"}),
    json.dumps({"kind": "__proto__", "id": "0" * 16, "from": {"id": "1" * 16, "name": "x"}, "text": "bad kind"}),
    json.dumps({"kind": "text", "id": "0" * 16, "from": {"id": "1" * 16, "name": "x"}, "text": "x" * 70_000}),
    "[" * 60_000,
)
ODD = {
    "kind": "text",
    "id": "a" * 16,
    "from": {"id": "b" * 16, "name": "N" * 99},
    "text": "odd\u202e\ud800",
    "at": -1e300,
}


def test_garbage_is_ignored(enter: Enter, chat: Broker) -> None:
    ana = enter("Ana")
    with dial(chat.ports["tcp"]) as connection:
        greet(connection)
        for destination in ("/topic/chat.lobby", "/topic/chat-signs.room.lobby"):
            for body in (*GARBAGE, json.dumps(ODD)):
                length = f"content-length:{len(body)}"
                connection.sendall(frame("SEND", f"destination:{destination}", length, body=body))
            connection.sendall(frame("SEND", f"destination:{destination}", "content-length:2", body=b"\xff\0"))
        is_served(connection)
    ana.expect_message("odd", of="N" * 32)
    expect(ana.page.locator("#log .message")).to_have_count(1)
    ana.expect_state("Online")


def test_a_flood_does_not_pile_up(enter: Enter, chat: Broker) -> None:
    ana = enter("Ana")
    said = [{**ODD, "id": f"{number:016x}", "text": f"{number}"} for number in range(600)]
    with dial(chat.ports["tcp"]) as connection:
        greet(connection)
        for each in said:
            connection.sendall(frame("SEND", "destination:/topic/chat.lobby", body=json.dumps(each)))
        is_served(connection)
    ana.expect_message("599")
    expect(ana.page.locator("#log .message")).to_have_count(500)
    expect(ana.messages("599")).to_be_in_viewport()


# ---- from where ----


@pytest.fixture
def elsewhere(tmp_path: Path) -> Any:
    """Another web server, with a page of its own: another origin."""
    (tmp_path / "index.html").write_text("<!doctype html><link rel=icon href='data:,'><title>elsewhere</title>")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


TRY = """port => new Promise(resolve => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ["v12.stomp"]);
    socket.onopen = () => resolve("open");
    socket.onclose = event => resolve(`closed ${event.code}`);
})"""


def test_pages_of_other_origins_are_refused(
    browser: Browser, chat: Broker, elsewhere: str, serve_chat: Callable[..., Broker]
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(elsewhere)
        since = len(chat.log)
        assert page.evaluate(TRY, chat.ports["ws"]) == "closed 1006"
        chat.wait_log(lambda record: elsewhere in str(record.get("reason", "")) or "403" in str(record), since=since)
        assert page.evaluate(TRY, serve_chat(allowed_origins=[elsewhere]).ports["ws"]) == "open"


def test_over_tls(enter: Enter, chat: Broker) -> None:
    ana = enter("Ana", url=f"https://127.0.0.1:{chat.ports['wss']}/", ignore_https_errors=True)
    tom = enter("Tom")
    ana.say("encrypted")
    tom.expect_message("encrypted", of="Ana")


# ---- how it looks ----

LONG = "Donaudampfschifffahrtsgesellschaft" * 6


SPOTS = ("html", "#main", "#log", "#log .text", ".bar", "#composer")
EXCESS = "spots => Math.max(...spots.map(spot => spot.scrollWidth - spot.clientWidth))"


def test_nothing_is_wider_than_the_window(enter: Enter) -> None:
    ana = enter("N" * 32, room=LONG[:40])
    for text in (LONG, "שלום " * 40, "a\n" * 30):
        ana.say(text)
        ana.expect_tick(text.strip(), SENT)
    for width in (320, 390, 760, 761, 1280):
        ana.page.set_viewport_size({"width": width, "height": 700})
        assert {spot: ana.page.locator(spot).evaluate_all(EXCESS) for spot in SPOTS} == dict.fromkeys(SPOTS, 0), width
        expect(ana.page.get_by_role("textbox", name="Message")).to_be_in_viewport(ratio=1)
        expect(ana.page.get_by_role("status")).to_be_in_viewport(ratio=1)


def test_the_side_of_a_phone(enter: Enter) -> None:
    ana = enter("Ana", **pictures.PHONE)
    expect(ana.conversation("help")).not_to_be_visible()
    ana.open_side_and("help")
    expect(ana.page.get_by_role("heading", level=1)).to_have_text("#help")
    expect(ana.conversation("help")).not_to_be_visible()
    ana.say("said")
    ana.expect_tick("said", SENT)


KEYBOARD_OVER_PAGE = """() => {
    Object.defineProperties(visualViewport, { height: { value: 420 }, offsetTop: { value: 60 } });
    visualViewport.dispatchEvent(new Event("resize"));
}"""
KEYBOARDS: dict[str, Callable[[Page], Any]] = {
    "takes from the window": lambda page: page.set_viewport_size({"width": 390, "height": 420}),
    "covers the page and moves it": lambda page: page.evaluate(KEYBOARD_OVER_PAGE),
}
IS_SEEN = """spots => {
    const { height, offsetTop } = visualViewport;
    const rectangles = spots.map((spot) => document.querySelector(spot).getBoundingClientRect());
    return rectangles.every(({ top, bottom }) => top >= offsetTop && bottom <= offsetTop + height);
}"""
AROUND = [".bar", "#composer"]
FIRST, LAST = "#log .message:first-child", "#log .message:last-child"


@pytest.mark.parametrize("keyboard", KEYBOARDS)
def test_the_newest_lines_stay_in_sight(enter: Enter, chat: Broker, keyboard: str) -> None:
    ana = talkative(enter, chat)
    KEYBOARDS[keyboard](ana.page)
    ana.page.wait_for_function(IS_SEEN, arg=[*AROUND, LAST])
    ana.write("several\nlines\n" * 3)
    ana.page.wait_for_function(IS_SEEN, arg=[*AROUND, LAST])
    ana.say("And one more")
    ana.expect_tick("And one more", SENT)
    ana.page.wait_for_function(IS_SEEN, arg=[*AROUND, LAST])
    ana.page.get_by_role("button", name="Rooms and people").click()
    ana.page.wait_for_function(IS_SEEN, arg=["#sidebar"])


@pytest.mark.parametrize("keyboard", KEYBOARDS)
def test_who_reads_what_is_older_is_left_there(enter: Enter, chat: Broker, keyboard: str) -> None:
    ana = talkative(enter, chat)
    ana.page.locator("#log").evaluate("log => new Promise(done => { log.onscroll = done; log.scrollTop = 0; })")
    KEYBOARDS[keyboard](ana.page)
    ana.page.wait_for_function(IS_SEEN, arg=[*AROUND, FIRST])
    crowd(chat)
    expect(ana.page.get_by_role("button", name="New messages")).to_be_visible()
    ana.page.wait_for_function(IS_SEEN, arg=[*AROUND, FIRST])
    ana.page.get_by_role("button", name="New messages").click()
    ana.page.wait_for_function(IS_SEEN, arg=[*AROUND, LAST])


MANY = ["lobby", *(f"room {number:02}" for number in range(29))]


def with_rooms(chat: Broker) -> dict[str, Any]:
    """A browser in which somebody has joined thirty rooms before."""
    kept = [{"name": "chat.rooms", "value": json.dumps(MANY)}]
    return {"storage_state": {"origins": [{"origin": f"http://127.0.0.1:{chat.ports['ws']}", "localStorage": kept}]}}


def test_thirty_rooms(enter: Enter, chat: Broker) -> None:
    """The list scrolls, all else of the side stays in sight, and so does the room that is shown."""
    ana, tom = enter("Ana", room=MANY[-1], **with_rooms(chat)), enter("Tom")
    expect(ana.conversation(MANY[-1])).to_be_in_viewport(ratio=1)
    tom.say("Anybody here?")
    expect(ana.conversation("lobby").locator(".unread")).to_have_text("1")
    ana.join("one more")
    expect(ana.conversation("one more")).to_be_in_viewport(ratio=1)
    ana.page.evaluate("location.hash = '#lobby'")
    ana.expect_message("Anybody here?")
    for seen in (ana.conversation("lobby"), ana.person("Tom"), ana.page.get_by_role("textbox", name="Name of a room")):
        expect(seen).to_be_in_viewport(ratio=1)
    assert ana.page.evaluate("[scrollX, scrollY, document.querySelector('#sidebar').scrollTop]") == [0, 0, 0]


def test_thirty_rooms_on_a_phone(enter: Enter, chat: Broker) -> None:
    ana = enter("Ana", room=MANY[-1], **pictures.PHONE, **with_rooms(chat))
    ana.page.get_by_role("button", name="Rooms and people").click()
    expect(ana.conversation(MANY[-1])).to_be_in_viewport(ratio=1)
    ana.open("lobby")
    expect(ana.page.get_by_role("heading", level=1)).to_have_text("#lobby")
    assert ana.page.evaluate("[scrollX, scrollY]") == [0, 0]


def test_thirty_rooms_by_the_keyboard(enter: Enter, chat: Broker) -> None:
    ana = enter("Ana", **with_rooms(chat))
    ana.conversation("lobby").focus()
    for key, reached in (("ArrowDown", MANY[1]), ("ArrowDown", MANY[2]), ("End", MANY[-1]), ("ArrowUp", MANY[-2])):
        ana.page.keyboard.press(key)
        expect(ana.conversation(reached)).to_be_focused()
        expect(ana.conversation(reached)).to_be_in_viewport(ratio=1)
    ana.page.keyboard.press("Enter")
    expect(ana.page.get_by_role("heading", level=1)).to_have_text(f"#{MANY[-2]}")
    expect(ana.page.get_by_role("textbox", name="Message")).to_be_focused()
    ana.conversation(MANY[-2]).focus()
    ana.page.keyboard.press("Tab")
    ana.page.keyboard.press("Enter")
    expect(ana.conversation(MANY[-2])).to_have_count(0)


def test_who_comes_does_not_take_the_focus_away(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    enter("Tom")
    ana.person("Tom").focus()
    ben.page.close(run_before_unload=True)
    expect(ana.person("Ben")).to_have_count(0)
    enter("Cem")
    expect(ana.person("Cem")).to_be_visible()
    expect(ana.person("Tom")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours(enter: Enter, chat: Broker, scheme: str) -> None:
    """All that is written can be read, and twelve people can be told apart."""
    ana = enter("Ana", room="help", color_scheme=scheme)
    ana.say("I hear all")
    ana.expect_tick("I hear all", SENT)
    crowd(chat)
    expect(ana.conversation("lobby").locator(".unread")).to_have_text("11")
    texts = colours.texts(ana.page)
    ana.open("lobby")
    ana.say("And I")
    ana.expect_tick("And I", SENT)
    texts += colours.texts(ana.page)
    ana.page.context.set_offline(True)
    ana.expect_state("Offline")
    texts += colours.texts(ana.page)
    assert not [text for text in texts if colours.contrast(text.ink, text.ground) < 4.5]
    portraits = {text.ground for text in texts if re.fullmatch(r"A|\d+P", text.text)}
    assert len(portraits) == 12
    assert min(colours.distance(*pair) for pair in combinations(portraits, 2)) > 0.08


def test_pictures_are_taken(enter: Enter) -> None:
    taken = pictures.take(enter, chromium.ROOT / "build" / "screenshots")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in taken)
    assert len(taken) == 5
