"""The frame parser: what every stream means, however it is cut, and that it agrees with the plainest of parsers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference_parser import Frame, ReferenceReader
from streams import BROKEN, GOLDEN, LIMITS, SMALL, Broken, Stream

from fastbroker.core.parser import FrameReader

golden = pytest.mark.parametrize("case", [*GOLDEN, *LIMITS], ids=lambda case: case.name)
broken = pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
every_version = pytest.mark.parametrize("version", [0, 10, 11, 12])

Outcome = tuple[list[Frame], str]


def outcome(reader: FrameReader | ReferenceReader, pieces: Iterable[bytes]) -> Outcome:
    """All frames, and how the stream ended: "" or the message of an error."""
    frames: list[Frame] = []
    try:
        for piece in pieces:
            frames += reader.feed(piece)
    except ValueError as error:
        return frames, str(error)
    return frames, ""


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """The stream in pieces, cut at these places."""
    ends = [*sorted({place % (len(stream) + 1) for place in places}), len(stream)]
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def every_cut(stream: bytes) -> Iterator[list[bytes]]:
    """In two pieces, in every way; of long streams only the ends and some in between."""
    step = max(1, len(stream) // 500)
    for at in {*range(0, len(stream), step), *range(len(stream) - 20, len(stream))}:
        yield [stream[: max(at, 0)], stream[max(at, 0) :]]


# ---- golden streams ------------------------------------------------------------------------------


@golden
def test_whole(case: Stream) -> None:
    assert outcome(FrameReader(**case.options), [case.stream]) == (case.frames, "")


@golden
def test_byte_by_byte(case: Stream) -> None:
    assert outcome(FrameReader(**case.options), bytewise(case.stream)) == (case.frames, "")


@golden
def test_cut_at_every_position(case: Stream) -> None:
    for pieces in every_cut(case.stream):
        assert outcome(FrameReader(**case.options), pieces) == (case.frames, ""), pieces


@golden
def test_the_reference_agrees(case: Stream) -> None:
    assert outcome(ReferenceReader(**case.options), [case.stream]) == (case.frames, "")


@broken
def test_broken(case: Broken) -> None:
    assert outcome(FrameReader(**case.options), [case.stream])[1] == case.message
    assert outcome(ReferenceReader(**case.options), [case.stream])[1] == case.message


@broken
def test_broken_however_it_is_cut(case: Broken) -> None:
    """The frames in front come whole, none comes after, and every cut gives the same error."""
    frames, error = outcome(FrameReader(**case.options), bytewise(case.stream))
    assert (len(frames), error) == (case.frames, case.message)
    for pieces in every_cut(case.stream):
        frames, error = outcome(FrameReader(**case.options), pieces)
        assert error == case.message, pieces
        assert len(frames) <= case.frames


# ---- the face ------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_latest_version() -> None:
    assert FrameReader().version == 12


def test_the_version_holds_from_the_next_frame_on() -> None:
    reader = FrameReader(0)
    assert reader.feed(b"CONNECT\nlogin: a\n\n\0") == [("CONNECT", [(b"login", b"a")], b"")]
    reader.version = 12
    assert reader.feed(b"SEND\nx: a\\n\n\n\0") == [("SEND", [(b"x", b" a\n")], b"")]
    reader.version = 10
    assert reader.feed(b"SEND\nx: a\\n\n\n\0") == [("SEND", [(b"x", b"a\\n")], b"")]


def test_a_broken_stream_stays_broken() -> None:
    reader = FrameReader()
    for _ in range(3):
        with pytest.raises(ValueError, match="malformed frame"):
            reader.feed(b"SEND\nx\n\n\0ABORT\n\n\0")


def test_only_bytes() -> None:
    with pytest.raises(TypeError):
        FrameReader().feed("SEND\n\n\0")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        FrameReader().feed(None)  # type: ignore[arg-type]


# ---- lengths -------------------------------------------------------------------------------------

FAKE = b"SEND\ndestination:/queue/b\n\nforged\0DISCONNECT\n\n\0"


@settings(max_examples=2 * settings.default.max_examples)
@given(number=st.integers() | st.text(max_size=30).map(lambda text: text.replace("\n", "").replace("\0", "")))
@pytest.mark.parametrize("lenient", [False, True])
def test_any_count(lenient: bool, number: object) -> None:
    """Digits that count right, or an error: the rest of a body never runs as frames."""
    stream = f"SEND\ncontent-length:{number}\n\n".encode() + FAKE
    options = {"lenient_content_length": lenient}
    frames, error = outcome(FrameReader(**options), [stream])
    assert (frames, error) == outcome(ReferenceReader(**options), [stream])
    value = str(number)
    if not lenient and value.isascii() and value.isdigit():
        assert all(command == "SEND" for command, _, _ in frames) or int(value) in (FAKE.find(b"\0"), len(FAKE) - 1)


@given(body=st.binary(max_size=200), places=st.lists(st.integers(0, 300), max_size=8))
def test_a_counted_body_is_never_looked_into(body: bytes, places: list[int]) -> None:
    body = FAKE + body + FAKE
    stream = b"SEND\ncontent-length:%d\n\n%b\0ABORT\n\n\0" % (len(body), body)
    expected = [("SEND", [(b"content-length", b"%d" % len(body))], body), ("ABORT", [], b"")]
    assert outcome(FrameReader(), cut(stream, places)) == (expected, "")


# ---- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "flood", "message"),
    [
        (b"SEND\n", b"x:1\n", "too many headers"),
        (b"SEND\n", b"x:" + b"y" * 8000 + b"\n", "headers too large"),
        (b"SEND\n", b"x", "header line too long"),
        (b"", b"A", "unknown command"),
        (b"SEND\n\n", b"x" * 1000, "frame too large"),
        (b"SEND\ncontent-length:4194303\n\n", b"x", "frame too large"),
    ],
)
def test_floods_end_at_the_limit(head: bytes, flood: bytes, message: str) -> None:
    """A gigabyte would follow: it is refused as soon as the limit is reached."""
    reader = FrameReader()
    piece = flood * (65536 // len(flood))
    assert outcome(reader, [head, *[piece] * 65]) == ([], message)


def seconds(stream: bytes, size: int, **options: Any) -> float:
    reader = FrameReader(**options)
    start = time.process_time()
    for at in range(0, len(stream), size):
        reader.feed(stream[at : at + size])
    return time.process_time() - start


@pytest.mark.parametrize(
    ("head", "unit", "tail"),
    [
        (b"SEND\n", b"x:1\n", b"\n\0"),
        (b"SEND\nx:", b":", b"\n\n\0"),
        (b"SEND\nx:", b"\\c", b"\n\n\0"),
        (b"SEND\n\n", b"\n", b"\0"),
        (b"", b"\n", b""),
        (b"", b"\r\n\0", b""),
    ],
    ids=["headers", "colons", "escapes", "body", "line ends", "stray bytes"],
)
def test_time_grows_no_faster_than_the_input(head: bytes, unit: bytes, tail: bytes) -> None:
    options = {"max_headers": 1_000_000, "max_header_line": 1 << 24, "max_header_block": 1 << 24}

    def fastest(count: int) -> float:
        return min(seconds(head + unit * count + tail, 1 << 30, **options) for _ in range(5))

    assert fastest(400_000) < 20 * fastest(50_000) + 0.01


def test_a_large_body_in_small_pieces() -> None:
    """Neither its header lines nor its bytes are looked at again with each piece."""
    size = 4_000_000
    counted = b"SEND\ncontent-length:%d\n\n%b\0" % (size, bytes(size))
    plain = b"SEND\n\n" + b"x" * size + b"\0"
    for stream in (counted, plain):
        assert seconds(stream, 1000) < 2


# ---- differential --------------------------------------------------------------------------------

COMMANDS = st.sampled_from(
    [b"SEND"] * 6
    + [
        b"ACK",
        b"CONNECT",
        b"STOMP",
        b"SUB",
        b"MESSAGE",
        b"CONNECTED",
        b"BEGIN",
        b"FOO",
        b"send",
        b"SEND ",
        b"",
        b"A" * 32,
        b"A" * 33,
    ]
)
NAMES = st.sampled_from(
    [
        b"destination",
        b"content-length",
        b"id",
        b"x",
        b" x ",
        b"x\\c",
        b"x\\",
        b"\\r",
        b"\xc3\xa9",
        b"\xff",
        b"",
        b"\r",
        b"\t",
    ]
)
TEXTS = st.lists(
    st.sampled_from(
        [
            b"a",
            b"/queue/a",
            b" ",
            b"\t",
            b":",
            b"\\n",
            b"\\c",
            b"\\\\",
            b"\\r",
            b"\\",
            b"\\t",
            b"\r",
            b"\xc3\xa9",
            b"\xff",
            b"12345678901234567",
        ]
    ),
    max_size=4,
).map(b"".join)
LINE_ENDS = st.sampled_from([b"\n"] * 8 + [b"\r\n", b"\r\r\n", b"\0", b"\n\0"])
BODIES = st.lists(
    st.sampled_from([b"a", b"body", b"\0", b"\n", b"\r\n", b"\n\n", b"SEND\n\n", b"\xff", b"0123456789abcdef"]),
    max_size=5,
).map(b"".join)
BETWEEN = st.lists(st.sampled_from([b"\n", b"\r\n", b"\0", b"\r"]), max_size=2).map(b"".join)
COUNTS = st.sampled_from([0, 0, 0, 0, 1, -1, 3])


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Bytes that are nearly always close to a frame, and mostly are one."""
    body = draw(BODIES)
    headers = draw(st.lists(st.tuples(NAMES, TEXTS), max_size=3))
    if draw(st.booleans()):
        count = b"%d" % (len(body) + draw(COUNTS))
        headers.insert(
            draw(st.integers(0, len(headers))),
            (b"content-length", draw(st.sampled_from([count] * 5 + [b"", b"x", b" 2"]))),
        )
    lines = [
        draw(COMMANDS),
        *(name + draw(st.sampled_from([b":"] * 9 + [b""])) + value for name, value in headers),
        b"",
    ]
    head = b"".join(line + draw(LINE_ENDS) for line in lines)
    return (head + body + draw(st.sampled_from([b"\0"] * 9 + [b""]))) * draw(st.sampled_from([1, 1, 1, 2, 3])) + draw(
        BETWEEN
    )


OPTIONS = st.fixed_dictionaries(
    {"version": st.sampled_from([0, 10, 11, 12]), "strict": st.booleans(), "lenient_content_length": st.booleans()},
    optional={
        "max_frame": st.integers(8, 100),
        "max_header_line": st.integers(1, 40),
        "max_header_block": st.integers(8, 80),
        "max_headers": st.integers(1, 4),
    },
)


@settings(max_examples=5 * settings.default.max_examples)
@given(parts=st.lists(frames(), max_size=5), options=OPTIONS, places=st.lists(st.integers(0, 500), max_size=6))
@example(parts=[b"foo\n\n\0"], options={}, places=[])
@example(parts=[b"SEND\r\n\n\0"], options={"version": 11}, places=[])
@example(parts=[b"\r\0"], options={}, places=[])
def test_agrees_with_the_plainest_parser(parts: list[bytes], options: dict[str, Any], places: list[int]) -> None:
    stream = b"".join(parts)
    for pieces in ([stream], cut(stream, places), bytewise(stream)):
        assert outcome(FrameReader(**options), pieces) == outcome(ReferenceReader(**options), pieces), pieces


@settings(max_examples=3 * settings.default.max_examples)
@given(stream=st.binary(max_size=200), options=OPTIONS)
def test_agrees_about_noise(stream: bytes, options: dict[str, Any]) -> None:
    for pieces in ([stream], bytewise(stream)):
        assert outcome(FrameReader(**options), pieces) == outcome(ReferenceReader(**options), pieces), pieces


# ---- the ACK that nearly all are -----------------------------------------------------------------

ids = st.one_of(st.text("0123456789-", max_size=60), st.text("01-:\\ \r\tx\xe9", max_size=5))
ends = st.sampled_from(
    ["\n\n\0", "\r\n\r\n\0", "\n\r\n\0", "\n\nx\0", "\n\n\n\0", "\nreceipt:1\n\n\0", "\n\0", "\0", "\n"]
)


@every_version
@pytest.mark.parametrize("strict", [False, True])
@given(data=st.data())
def test_short_acks_mean_what_all_frames_mean(version: int, strict: bool, data: st.DataObject) -> None:
    """They are read by a way of their own, which nobody may notice, between SENDs whose header lines repeat."""
    send = st.just("SEND\ndestination:/queue/a\n\nbody\0")
    ack = st.builds("ACK\nid:{}{}".format, ids, ends)
    stream = "".join(data.draw(st.lists(st.one_of(send, ack), min_size=1, max_size=6))).encode()
    expected = outcome(ReferenceReader(version, strict=strict), bytewise(stream))
    assert outcome(FrameReader(version, strict=strict), bytewise(stream)) == expected
    frames, error = outcome(FrameReader(version, strict=strict), [stream])
    assert error == expected[1]
    assert frames == expected[0] or error  # what came before an error in one piece is not shown


# ---- what was written comes back -----------------------------------------------------------------

LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
ESCAPED = {
    10: {},
    11: {"\\": "\\\\", "\n": "\\n", ":": "\\c"},
    12: {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"},
}


@settings(max_examples=3 * settings.default.max_examples)
@given(
    version=st.sampled_from([11, 12]),
    headers=st.lists(st.tuples(st.text(LETTERS, min_size=1), st.text(LETTERS)), max_size=10),
    body=st.binary(),
    places=st.lists(st.integers(0, 1000), max_size=6),
)
def test_any_headers_and_any_body(version: int, headers: list[tuple[str, str]], body: bytes, places: list[int]) -> None:
    headers = [("content-length", str(len(body))), *headers]
    escapes = str.maketrans(ESCAPED[version])
    lines = [f"{name.translate(escapes)}:{value.translate(escapes)}" for name, value in headers]
    stream = "\n".join(["SEND", *lines, "", ""]).encode() + body + b"\0"
    expected = ("SEND", [(name.encode(), value.encode()) for name, value in headers], body)
    options: dict[str, Any] = {"max_header_line": 1 << 20, "max_header_block": 1 << 24}
    assert outcome(FrameReader(version, **options), cut(stream, places)) == ([expected], "")


@every_version
def test_small_limits_do_not_depend_on_the_version(version: int) -> None:
    stream = b"SEND\na:1\na:2\na:3\na:4\n\n\0"
    assert outcome(FrameReader(version, **SMALL), [stream])[1] == "too many headers"
