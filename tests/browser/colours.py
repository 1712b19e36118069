"""The colours of a page as it is shown: what stands on what, and how well it can be seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Page

Colour = tuple[float, float, float]
"""Red, green and blue in linear light, from 0 to 1."""

TEXTS = """() => {
    const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const paint = (colours) => {
        for (const colour of colours) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
        return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const grounds = (spot) => spot ? [...grounds(spot.parentElement), getComputedStyle(spot).backgroundColor] : [];
    const own = (spot) => [...spot.childNodes].filter((each) => each.nodeType === 3).map(({ data }) => data).join("");
    const isSeen = (spot) => spot.checkVisibility({ visibilityProperty: true }) && !spot.matches(".unseen");
    return [...document.body.querySelectorAll("*")].filter(isSeen).flatMap((spot) => {
        const text = own(spot).trim() || spot.placeholder;
        const ink = getComputedStyle(spot, own(spot).trim() ? "" : "::placeholder").color;
        const ground = grounds(spot);
        return text ? [[text, paint([...ground, ink]), paint(ground)]] : [];
    });
}"""


class Text(NamedTuple):
    """What can be read in a page, its colour, and the colour behind it."""

    text: str
    ink: Colour
    ground: Colour


def texts(page: Page) -> list[Text]:
    """All texts that a page shows now."""
    return [Text(text, linear(ink), linear(ground)) for text, ink, ground in page.evaluate(TEXTS)]


def linear(channels: list[int]) -> Colour:
    """A colour of the screen, whose channels go to 255."""
    red, green, blue = (c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels)
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """From 1 to 21, as WCAG 2 defines it; text needs 4.5."""
    low, high = sorted(0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in (one, other))
    return (high + 0.05) / (low + 0.05)


def distance(one: Colour, other: Colour) -> float:
    """How different two colours look, in OKLab: below 0.02 nobody can tell, from black to white it is 1."""
    return math.dist(oklab(*one), oklab(*other))


def oklab(red: float, green: float, blue: float) -> Colour:
    """Lightness and two axes of hue: https://bottosson.github.io/posts/oklab/."""
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )
