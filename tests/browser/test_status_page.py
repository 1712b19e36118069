"""The status page, in a real browser: what it shows to be pasted works as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import chromium
import pytest

if why_not := chromium.missing():
    pytest.skip(why_not, allow_module_level=True)

from harness.broker import Broker
from harness.waiting import DEADLINE

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_what_it_shows_works(browser: Browser, broker: Broker, scheme: str) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{scheme.replace('ws', 'http')}://127.0.0.1:{broker.ports[scheme]}/")
    snippet = page.locator("pre").inner_text()
    with page.expect_console_message(lambda said: "hello, world" in said.text, timeout=DEADLINE * 1000):
        page.evaluate(f"() => {{ {snippet} }}")
    context.close()
