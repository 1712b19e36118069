"""Screenshots of the chat, for people to look at, and the picture of the README.

`python -m pytest tests/browser -k pictures` writes them to build/screenshots; chat.png there is docs/images/chat.png.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from chatter import Chatter

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DARK = {"color_scheme": "dark"}

TALK = (
    (0, "Good morning! The broker is up. Who is here?"),
    (1, "I am, from my phone."),
    (2, "Me too. What do I need to install?"),
    (0, "Nothing. It is STOMP over WebSocket, in any browser."),
    (0, "Pull the plug of your network and see: it comes back by itself, and what you wrote meanwhile is sent."),
    (1, "That is what just happened to me in the tunnel. Nothing was lost."),
    (2, "Does it mind if I write <b>markup</b> & <script>?"),
    (0, "No. It stays text."),
)


def take(enter: Callable[..., Chatter], directory: Path) -> list[Path]:
    """Let three people talk, and take pictures of how it looks."""
    directory.mkdir(parents=True, exist_ok=True)
    ana = enter("Ana Ruiz")
    welcome = shot(welcome_of(ana), directory / "welcome.png")
    tom, wei = enter("Tomás", **PHONE, **DARK), enter("Li Wei", **PHONE)
    talk([ana, tom, wei])
    desk, phone = shot(ana.page, directory / "desk.png"), shot(tom.page, directory / "phone-dark.png")
    wei.page.get_by_role("button", name="Rooms and people").click()
    side = shot(wei.page, directory / "phone-side.png")
    return [welcome, desk, phone, side, together(ana.page, desk, phone, directory / "chat.png")]


def welcome_of(somebody: Chatter) -> Page:
    """The page on which one picks a name, with the name that was picked the last time."""
    page = somebody.page.context.new_page()
    page.goto(somebody.page.url)
    return page


def talk(people: list[Chatter]) -> None:
    """A conversation in the room, one private message to the first, and somebody who types."""
    ana, tom, wei = people
    for speaker, text in TALK:
        people[speaker].say(text)
        for person in people:
            person.expect_message(text)
    wei.page.get_by_role("button", name="Rooms and people").click()
    wei.talk_to("Ana Ruiz")
    wei.say("Lunch at one?")
    wei.open_side_and("lobby")
    expect(ana.page.locator("#private .unread")).to_have_text("1")
    tom.write("And on")
    expect(ana.page.locator("#typing")).not_to_be_empty()


def shot(page: Page, path: Path) -> Path:
    """A screenshot, when all that moves has come to rest."""
    page.screenshot(path=path, animations="disabled", caret="hide")
    return path


BOARD = """<!doctype html><style>
body {{ margin: 0; height: 780px; display: flex; gap: 30px; align-items: center; justify-content: center;
       background: linear-gradient(135deg, #c9d0f2, #e9ddf0); }}
.desk {{ width: 1140px; border-radius: 12px; }}
.phone {{ width: 320px; border: 6px solid #05060a; border-radius: 34px; }}
</style><img class="desk" src="{}"><img class="phone" src="{}">"""


def together(page: Page, desk: Path, phone: Path, path: Path) -> Path:
    """Both pictures in one, with few colours, so that it is small enough to be committed."""
    board = page.context.new_page()
    board.set_viewport_size({"width": 1560, "height": 780})
    board.set_content(BOARD.format(*map(as_url, (desk, phone))))
    board.wait_for_function("[...document.images].every(image => image.complete)")
    picture = Image.open(io.BytesIO(board.screenshot())).convert("RGB")
    picture.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def as_url(path: Path) -> str:
    """A picture as a URL that holds it."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
