"""A person who uses the chat: a page in a browser of its own, and what can be done and seen there."""

from __future__ import annotations

import re

from harness.waiting import DEADLINE
from playwright.sync_api import ConsoleMessage, Dialog, Error, Locator, Page, expect

expect.set_options(timeout=DEADLINE * 1000)

# What a browser says by itself when a connection cannot be made.
NETWORK = re.compile(r"^(WebSocket connection to .* failed|Failed to load resource: net::ERR_)")


class Chatter:
    """Somebody in the chat."""

    def __init__(self, page: Page, url: str, name: str, *, room: str = "") -> None:
        self.page = page
        self.name = name
        self.faults: list[str] = []
        """Whatever ran or failed in the page that should not have."""
        page.set_default_timeout(DEADLINE * 1000)
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        page.on("dialog", self._on_dialog)
        page.goto(url + (f"#{room}" if room else ""))
        page.get_by_role("textbox", name="Your name").fill(name)
        page.get_by_role("button", name="Start chatting").click()
        self.expect_state("Online")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not NETWORK.match(message.text):
            self.faults.append(message.text)

    def _on_error(self, error: Error) -> None:
        self.faults.append(str(error))

    def _on_dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    # What a person does

    def say(self, text: str) -> None:
        """Write something and send it."""
        self.write(text)
        self.page.keyboard.press("Enter")

    def write(self, text: str) -> None:
        """Write something and do not send it."""
        self.page.get_by_role("textbox", name="Message").fill(text)

    def join(self, room: str) -> None:
        """Join a room by its name."""
        self.page.get_by_role("textbox", name="Name of a room").fill(room)
        self.page.get_by_role("button", name="Join").click()

    def talk_to(self, name: str) -> None:
        """Begin a private conversation with somebody who is in the room."""
        self.person(name).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)

    def open(self, name: str) -> None:
        """Go to a room or a private conversation."""
        self.conversation(name).click()

    def open_side_and(self, name: str) -> None:
        """On a phone: go to a room or a private conversation."""
        self.page.get_by_role("button", name="Rooms and people").click()
        self.open(name)

    # What a person sees

    def messages(self, text: str) -> Locator:
        """The messages with exactly this text."""
        return self.page.locator("#log .message").filter(
            has=self.page.locator(".text", has_text=re.compile(f"^{re.escape(text)}$"))
        )

    def person(self, name: str) -> Locator:
        """Somebody in the list of people."""
        return self.page.get_by_role("region", name="In this room").get_by_role("button", name=name)

    def conversation(self, name: str) -> Locator:
        """A room or a private conversation in the list."""
        return self.page.get_by_role("navigation").get_by_role("link", name=name)

    def expect_message(self, text: str, *, of: str = "") -> None:
        """There is one message with this text."""
        found = self.messages(text)
        expect(found).to_have_count(1)
        if of:
            expect(found.locator(".name")).to_have_text(of)

    def expect_tick(self, text: str, tick: str) -> None:
        """One's own message has come this far."""
        expect(self.messages(text).locator(".tick")).to_have_text(tick)

    def expect_state(self, state: str) -> None:
        """What the page says of the connection."""
        expect(self.page.get_by_role("status")).to_have_text(state)
