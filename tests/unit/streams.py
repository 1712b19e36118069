"""Byte streams and what they mean: the golden tests of the parser, and where fuzzing starts from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Stream(NamedTuple):
    """Bytes, and the frames in them; `options` are those of FrameReader."""

    name: str
    stream: bytes
    frames: list[tuple[str, list[tuple[bytes, bytes]], bytes]]
    options: Mapping[str, Any] = MappingProxyType({})


class Broken(NamedTuple):
    """Bytes that end in an ERROR with this message, and how many frames come before."""

    name: str
    stream: bytes
    message: str
    options: Mapping[str, Any] = MappingProxyType({})
    frames: int = 0


V0, V10, V11, V12 = ({"version": version} for version in (0, 10, 11, 12))
STRICT: dict[str, Any] = {"strict": True}
LENIENT: dict[str, Any] = {"lenient_content_length": True}

QUEUE_A = (b"destination", b"/queue/a")
GUEST = [(b"login", b"guest"), (b"passcode", b"guest")]

# What real clients write (numbers 12 to 18 of the rules for clients). Before CONNECTED the version is not known.
CLIENTS = [
    Stream(
        "an empty content-length on CONNECT",
        b"CONNECT\npasscode:guest\ncontent-length:\nlogin:guest\n\n\0",
        [("CONNECT", [(b"passcode", b"guest"), (b"content-length", b""), (b"login", b"guest")], b"")],
        V0,
    ),
    Stream(
        "an empty content-length on ACK",
        b"ACK\ncontent-length:\nmessage-id:X\n\n\0",
        [("ACK", [(b"content-length", b""), (b"message-id", b"X")], b"")],
        V10,
    ),
    Stream("a line feed as the body of DISCONNECT", b"DISCONNECT\n\n\n\0", [("DISCONNECT", [], b"\n")], V10),
    Stream("a line feed as the body of CONNECT", b"CONNECT\n\n\n\0", [("CONNECT", [], b"\n")], V0),
    Stream(
        "blanks around values on CONNECT",
        b"CONNECT\npasscode: guest\nlogin: guest\n\n\0",
        [("CONNECT", [(b"passcode", b"guest"), (b"login", b"guest")], b"")],
        V0,
    ),
    Stream(
        "blanks around values in 1.0",
        b"SUBSCRIBE\ndestination: /queue/poe\nack: client\n\n\0"
        b"SEND\ndestination: /queue/poe\ncontent-length: 3\n\nhi1\0",
        [
            ("SUBSCRIBE", [(b"destination", b"/queue/poe"), (b"ack", b"client")], b""),
            ("SEND", [(b"destination", b"/queue/poe"), (b"content-length", b"3")], b"hi1"),
        ],
        V10,
    ),
    Stream(
        "a counted body on CONNECT",
        b"CONNECT\nlogin: guest\npasscode: guest\ncontent-length: 0\n\n\0\n",
        [("CONNECT", [*GUEST, (b"content-length", b"0")], b"")],
        V0,
    ),
    Stream(
        "a counted body on ACK",
        b"ACK\nmessage-id: X\ncontent-length: 0\n\n\0\n",
        [("ACK", [(b"message-id", b"X"), (b"content-length", b"0")], b"")],
        V10,
    ),
    Stream(
        "None as the body of CONNECT",
        b"CONNECT\npasscode:guest\nx-client:127.0.0.1\nlogin:guest\n\nNone\0",
        [("CONNECT", [(b"passcode", b"guest"), (b"x-client", b"127.0.0.1"), (b"login", b"guest")], b"None")],
        V0,
    ),
    Stream(
        "None as the body of ACK",
        b"ACK\nx-client:127.0.0.1\nmessage-id:X\n\nNone\0",
        [("ACK", [(b"x-client", b"127.0.0.1"), (b"message-id", b"X")], b"None")],
        V10,
    ),
    Stream(
        "a content-length that lies on ACK",
        b"ACK\ndestination:/queue/fuse\nmessage-id:X\ncontent-length:3\n\n\0",
        [("ACK", [(b"destination", b"/queue/fuse"), (b"message-id", b"X"), (b"content-length", b"3")], b"")],
        V10,
    ),
    Stream(
        "a NUL too many on CONNECT",
        b"CONNECT\nlogin:guest\npasscode:guest\ncontent-length:1\n\n\0\0\n",
        [("CONNECT", [*GUEST, (b"content-length", b"1")], b"")],
        V0,
    ),
    Stream(
        "a NUL too many on SUB",
        b"SUB\ndestination:/queue/apr\ncontent-length:1\n\n\0\0\n",
        [("SUB", [(b"destination", b"/queue/apr"), (b"content-length", b"1")], b"")],
        V10,
    ),
    Stream("no blank line", b"DISCONNECT\nreceipt:4711\n\0", [("DISCONNECT", [(b"receipt", b"4711")], b"")], V10),
    Stream(
        "a content-type on CONNECT",
        b"CONNECT\nlogin:guest\npasscode:guest\ncontent-length:0\ncontent-type:text/plain; charset=UTF-8\n\n\0",
        [("CONNECT", [*GUEST, (b"content-length", b"0"), (b"content-type", b"text/plain; charset=UTF-8")], b"")],
        V0,
    ),
    Stream(
        "heart-beats without a version",
        b"CONNECT\nheart-beat:60000,0\nhost:/\nlogin:guest\npasscode:guest\n\n\0",
        [("CONNECT", [(b"heart-beat", b"60000,0"), (b"host", b"/"), *GUEST], b"")],
        V0,
    ),
    Stream(
        "STOMP without a host",
        b"STOMP\naccept-version:1.1\nlogin:guest\npasscode:guest\n\n\0",
        [("STOMP", [(b"accept-version", b"1.1"), *GUEST], b"")],
        V0,
    ),
    Stream(
        "frames right behind CONNECT",
        b"CONNECT\naccept-version:1.1\nheart-beat:1000,1000\nlogin:guest\npasscode:guest\n\n\0"
        b"SUBSCRIBE\nid:0\ndestination:/queue/a\n\n\0SEND\ndestination:/queue/a\n\nhello\0",
        [
            ("CONNECT", [(b"accept-version", b"1.1"), (b"heart-beat", b"1000,1000"), *GUEST], b""),
            ("SUBSCRIBE", [(b"id", b"0"), QUEUE_A], b""),
            ("SEND", [QUEUE_A], b"hello"),
        ],
        V0,
    ),
    Stream(
        "ACK with the ids of two versions",
        b"ACK\nsubscription:1\nmessage-id:X\nid:X\n\n\0\n",
        [("ACK", [(b"subscription", b"1"), (b"message-id", b"X"), (b"id", b"X")], b"")],
    ),
    Stream(
        "all in one write",
        b"CONNECT\nlogin:guest\npasscode:guest\nvirtual-host:/\nrealm:/data\n\n\0"
        b"SEND\ndestination:/queue/simp\nreceipt:ok\n\nhello\0DISCONNECT\n\n\0",
        [
            ("CONNECT", [*GUEST, (b"virtual-host", b"/"), (b"realm", b"/data")], b""),
            ("SEND", [(b"destination", b"/queue/simp"), (b"receipt", b"ok")], b"hello"),
            ("DISCONNECT", [], b""),
        ],
        V0,
    ),
    Stream(
        "colons in the values of CONNECT",
        b"CONNECT\nclient-id:ID:h-1-1:0\nlogin:\npasscode:\n\n\0\n",
        [("CONNECT", [(b"client-id", b"ID:h-1-1:0"), (b"login", b""), (b"passcode", b"")], b"")],
        V0,
    ),
    Stream(
        "colons in the values of 1.0",
        b"SUBSCRIBE\nreceipt:4\ndestination:/queue/a\nid:ID:h-1-1:0:0:0\nack:client\n"
        b"activemq.dispatchAsync:true\nactivemq.prefetchSize:1000\n\n\0\n"
        b"ACK\nreceipt:ignore:7\nmessage-id:X\n\n\0\n",
        [
            (
                "SUBSCRIBE",
                [
                    (b"receipt", b"4"),
                    QUEUE_A,
                    (b"id", b"ID:h-1-1:0:0:0"),
                    (b"ack", b"client"),
                    (b"activemq.dispatchAsync", b"true"),
                    (b"activemq.prefetchSize", b"1000"),
                ],
                b"",
            ),
            ("ACK", [(b"receipt", b"ignore:7"), (b"message-id", b"X")], b""),
        ],
        V10,
    ),
    Stream(
        "escaped colons in 1.1",
        b"SUBSCRIBE\nreceipt:3\ndestination:/queue/a\nid:ID\\ch-1-2\\c0\\c1\\c1\nack:client\n"
        b"transformation:jms-xml\nactivemq.dispatchAsync:False\n\n\0",
        [
            (
                "SUBSCRIBE",
                [
                    (b"receipt", b"3"),
                    QUEUE_A,
                    (b"id", b"ID:h-1-2:0:1:1"),
                    (b"ack", b"client"),
                    (b"transformation", b"jms-xml"),
                    (b"activemq.dispatchAsync", b"False"),
                ],
                b"",
            )
        ],
        V11,
    ),
    Stream(
        "a content-length of characters, leniently",
        b"SEND\ndestination:/queue/a\ncontent-length:4\n\n\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87\0DISCONNECT\n\n\0",
        [
            ("SEND", [QUEUE_A, (b"content-length", b"4")], b"\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87"),
            ("DISCONNECT", [], b""),
        ],
        LENIENT,
    ),
    Stream(
        "a line feed at the end of the body stays in it",
        b"SEND\ndestination:/queue/a\n\nbody\n\0",
        [("SEND", [QUEUE_A], b"body\n")],
    ),
]

SEND_A = b"SEND\ndestination:/queue/a\n\n"

GOLDEN = [
    *CLIENTS,
    Stream("nothing", b"", []),
    Stream("line ends", b"\n\r\n\n\0\0\r\n\n", []),
    Stream("line ends between frames", b"\n\nABORT\n\n\0\n\r\n\0\n\0ABORT\n\n\0\r\n", [("ABORT", [], b"")] * 2),
    Stream("line ends between frames, strictly", b"\nABORT\n\n\0\n\nABORT\n\n\0", [("ABORT", [], b"")] * 2, STRICT),
    Stream("CR LF between frames of 1.1", b"\r\nABORT\n\n\0\r\n\r\nABORT\n\n\0", [("ABORT", [], b"")] * 2, V11),
    Stream("CR LF ends lines", b"SEND\r\nx:1\r\ny:2\n\r\nz\r\n\0", [("SEND", [(b"x", b"1"), (b"y", b"2")], b"z\r\n")]),
    Stream(
        "CR LF ends lines of CONNECT", b"CONNECT\r\nlogin:a\r\n\r\n\0\r\n", [("CONNECT", [(b"login", b"a")], b"")], V0
    ),
    Stream(
        "CR is part of a value in 1.1",
        b"SEND\nx:1\r\n\r:2\n\nz\0",
        [("SEND", [(b"x", b"1\r"), (b"\r", b"2")], b"z")],
        V11,
    ),
    Stream(
        "CR LF ends lines of 1.0",
        b"\r\nSEND\r\nx: 1 \r\ny:2\r3\n\r\nz\r\n\0\r\nABORT\r\n\r\n\0",
        [("SEND", [(b"x", b"1"), (b"y", b"2\r3")], b"z\r\n"), ("ABORT", [], b"")],
        V10,
    ),
    Stream("only one CR ends a line of 1.0", b"SEND\nx:1\r\r\n\nz\0", [("SEND", [(b"x", b"1\r")], b"z")], V10),
    Stream(
        "CR is part of a value in 1.0, strictly",
        b"SEND\nx:1\r\n\nz\0",
        [("SEND", [(b"x", b"1\r")], b"z")],
        {**V10, **STRICT},
    ),
    Stream("only one CR ends a line", b"SEND\nx:1\r\r\n\nz\0", [("SEND", [(b"x", b"1\r")], b"z")]),
    Stream("a CR within a value", b"SEND\nx:1\r2\n\n\0", [("SEND", [(b"x", b"1\r2")], b"")]),
    Stream("no headers, no body", b"COMMIT\n\n\0", [("COMMIT", [], b"")]),
    Stream("a NUL behind the command", b"DISCONNECT\0DISCONNECT\n\0", [("DISCONNECT", [], b"")] * 2),
    Stream(
        "a NUL behind a header",
        b"BEGIN\ntransaction:t\0SEND\nx:1\n\0",
        [("BEGIN", [(b"transaction", b"t")], b""), ("SEND", [(b"x", b"1")], b"")],
    ),
    *(
        Stream(
            f"the unknown command {command!r}",
            command + b"\nx:1\n\nbody\0",
            [(command.decode(), [(b"x", b"1")], b"body")],
        )
        for command in (b"FOO", b"send", b"SEND ", b"A B", b"A" * 32)
    ),
    Stream("a command that is no text", b"S\xc3\x89ND\n\n\0", [("S\ufffd\ufffdND", [], b"")]),
    Stream(
        "names are case-sensitive", b"SEND\nContent-Length:9\n\nabc\0", [("SEND", [(b"Content-Length", b"9")], b"abc")]
    ),
    Stream("an empty value", b"SEND\nx:\n\n\0", [("SEND", [(b"x", b"")], b"")]),
    Stream("values with colons", b"SEND\nx:1:2::\n\n\0", [("SEND", [(b"x", b"1:2::")], b"")]),
    Stream(
        "repeated headers", b"SEND\nx:1\ny:2\nx:3\n\n\0", [("SEND", [(b"x", b"1"), (b"y", b"2"), (b"x", b"3")], b"")]
    ),
    Stream("blanks are data from 1.1 on", b"SEND\n x : 1\t\n\n\0", [("SEND", [(b" x ", b" 1\t")], b"")], V11),
    Stream(
        "blanks are trimmed in 1.0", b"SEND\n \tx : 1\t\ny: \n\n\0", [("SEND", [(b"x", b"1"), (b"y", b"")], b"")], V10
    ),
    Stream("escapes of 1.2", b"SEND\na\\cb:\\r\\n\\\\n\\c\n\n\0", [("SEND", [(b"a:b", b"\r\n\\n:")], b"")]),
    Stream("escapes of 1.1", b"SEND\na\\nb:\\\\\\c\\n\n\n\0", [("SEND", [(b"a\nb", b"\\:\n")], b"")], V11),
    Stream("no escapes in 1.0", b"SEND\na\\nb:\\t\\\n\n\0", [("SEND", [(b"a\\nb", b"\\t\\")], b"")], V10),
    Stream("no escapes in CONNECT", b"CONNECT\nlogin:a\\b\\\n\n\0", [("CONNECT", [(b"login", b"a\\b\\")], b"")]),
    Stream("no escapes in STOMP", b"STOMP\npasscode:\\q\n\n\0", [("STOMP", [(b"passcode", b"\\q")], b"")], V11),
    Stream(
        "UTF-8", "SEND\nzażółć:😀\n\ngęśl\0".encode(), [("SEND", [("zażółć".encode(), "😀".encode())], "gęśl".encode())]
    ),
    Stream("a body that is not UTF-8", b"SEND\n\n\xff\xfe\x80\0", [("SEND", [], b"\xff\xfe\x80")]),
    Stream(
        "a counted body", b"SEND\ncontent-length:5\n\na\0b\0c\0", [("SEND", [(b"content-length", b"5")], b"a\0b\0c")]
    ),
    Stream("a counted empty body", b"SEND\ncontent-length:0\n\n\0", [("SEND", [(b"content-length", b"0")], b"")]),
    Stream(
        "leading zeros",
        b"SEND\ncontent-length:0000000003\n\nabc\0",
        [("SEND", [(b"content-length", b"0000000003")], b"abc")],
    ),
    Stream(
        "only the first content-length counts",
        b"SEND\ncontent-length:3\ncontent-length:x\n\na\0b\0",
        [("SEND", [(b"content-length", b"3"), (b"content-length", b"x")], b"a\0b")],
    ),
    Stream(
        "a first content-length that is empty",
        b"SEND\ncontent-length:\ncontent-length:3\n\na\0",
        [("SEND", [(b"content-length", b""), (b"content-length", b"3")], b"a")],
    ),
    Stream(
        "a frame within a counted body",
        b"SEND\ncontent-length:14\n\nx\0DISCONNECT\n\n\0ABORT\n\n\0",
        [("SEND", [(b"content-length", b"14")], b"x\0DISCONNECT\n\n"), ("ABORT", [], b"")],
    ),
    Stream(
        "too small a count, leniently",
        b"SEND\ncontent-length:3\n\na\0bcd\0ABORT\n\n\0",
        [("SEND", [(b"content-length", b"3")], b"a\0bcd"), ("ABORT", [], b"")],
        LENIENT,
    ),
    Stream(
        "a count that lies, then the same with one that is right",
        b"SEND\ncontent-length:3\n\nabcd\0SEND\ncontent-length:3\n\na\0c\0",
        [("SEND", [(b"content-length", b"3")], b"abcd"), ("SEND", [(b"content-length", b"3")], b"a\0c")],
        LENIENT,
    ),
    Stream(
        "a count of 0 and no blank line", b"SEND\ncontent-length:0\n\0", [("SEND", [(b"content-length", b"0")], b"")]
    ),
    Stream(
        "a count and no blank line, leniently",
        b"SEND\ncontent-length:5\0",
        [("SEND", [(b"content-length", b"5")], b"")],
        LENIENT,
    ),
    Stream(
        "the same header lines again and again",
        SEND_A + b"1\0" + SEND_A + b"\0\n" + SEND_A + b"333\0",
        [("SEND", [QUEUE_A], b"1"), ("SEND", [QUEUE_A], b""), ("SEND", [QUEUE_A], b"333")],
    ),
    Stream(
        "the same header lines with a count",
        b"SEND\nx:1\ncontent-length:2\n\n\0\0\0" * 2 + b"SEND\nx:2\ncontent-length:2\n\nab\0",
        [("SEND", [(b"x", b"1"), (b"content-length", b"2")], b"\0\0")] * 2
        + [("SEND", [(b"x", b"2"), (b"content-length", b"2")], b"ab")],
    ),
    Stream(
        "the same header lines after another frame",
        SEND_A + b"x\0BEGIN\ntransaction:t\n\n\0" + SEND_A + b"y\0",
        [("SEND", [QUEUE_A], b"x"), ("BEGIN", [(b"transaction", b"t")], b""), ("SEND", [QUEUE_A], b"y")],
    ),
    Stream(
        "header lines that begin like the last ones",
        SEND_A + b"x\0SEND\ndestination:/queue/a\nx:1\n\ny\0SEND\ndestination:/queue/ab\n\nz\0",
        [
            ("SEND", [QUEUE_A], b"x"),
            ("SEND", [QUEUE_A, (b"x", b"1")], b"y"),
            ("SEND", [(b"destination", b"/queue/ab")], b"z"),
        ],
    ),
    Stream(
        "a long line",
        b"SEND\n" + b"n" * 4000 + b":" + b"v" * 4000 + b"\n\n\0",
        [("SEND", [(b"n" * 4000, b"v" * 4000)], b"")],
    ),
]

# Frames that are too large in one way or another: the limit itself is fine.
SMALL: dict[str, Any] = {"max_frame": 64, "max_header_line": 20, "max_header_block": 40, "max_headers": 3}

LIMITS = [
    Stream("as large as a frame may be", b"SEND\n\n" + b"x" * 57 + b"\0", [("SEND", [], b"x" * 57)], SMALL),
    Stream(
        "as large as a counted frame may be",
        b"SEND\ncontent-length:39\n\n" + b"x" * 39 + b"\0",
        [("SEND", [(b"content-length", b"39")], b"x" * 39)],
        SMALL,
    ),
    Stream(
        "as many headers as there may be",
        b"SEND\na:1\na:2\nb:3\n\n\0",
        [("SEND", [(b"a", b"1"), (b"a", b"2"), (b"b", b"3")], b"")],
        SMALL,
    ),
    Stream(
        "as long as a line may be", b"SEND\nx:" + b"y" * 18 + b"\n\n\0", [("SEND", [(b"x", b"y" * 18)], b"")], SMALL
    ),
    Stream(
        "as long as all lines may be",
        b"SEND\n" + (b"x:" + b"y" * 15 + b"\n") * 1 + b"x:" + b"y" * 14 + b"\n\n\0",
        [("SEND", [(b"x", b"y" * 15), (b"x", b"y" * 14)], b"")],
        SMALL,
    ),
]

BAD_NUMBERS = [
    b"-1",
    b"+1",
    b"1.0",
    b"0x1",
    b"1 ",
    b" 1",
    b"1,1",
    b"abc",
    b"\xd9\xa1",
    b"00000000001",
    b"9" * 11,
    b"9" * 40,
    b"-9223372036854775808",
]

BROKEN = [
    Broken(
        "a content-length of characters",
        b"SEND\ndestination:/queue/a\ncontent-length:4\n\n\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87\0",
        "malformed frame",
    ),
    Broken("too large a count", b"SEND\ncontent-length:4\n\nabc\0ABORT\n\n\0", "malformed frame"),
    Broken("too small a count", b"ABORT\n\n\0SEND\ncontent-length:2\n\nabc\0ABORT\n\n\0", "malformed frame", frames=1),
    Broken("a count and no blank line", b"SEND\ncontent-length:5\n\0abcd\0", "malformed frame"),
    *(
        Broken(f"a count of {number!r}", b"SEND\ncontent-length:" + number + b"\n\nabc\0", "malformed frame")
        for number in BAD_NUMBERS
    ),
    Broken("such a count on another frame", b"ACK\ncontent-length:abc\n\n\0", "malformed frame"),
    Broken("a count near the end of all numbers", b"SEND\ncontent-length:9999999999\n\nabc\0", "frame too large"),
    Broken("a line without a colon", b"SEND\nx:1\nabc\n\n\0", "malformed frame"),
    Broken("a line without a name", b"SEND\n:abc\n\n\0", "malformed frame"),
    Broken("a name of blanks in 1.0", b"SEND\n \t:abc\n\n\0", "malformed frame", V10),
    Broken("blanks in place of the blank line", b"SEND\n \n\nx\0", "malformed frame", V10),
    Broken("CR LF in place of the blank line of 1.1", b"SEND\n\r\n\nx\0", "malformed frame", V11),
    Broken("CR LF behind the command of 1.1", b"SEND\r\nx:1\n\nbody\0", "malformed frame", V11),
    Broken("CR LF behind every line of 1.1", b"SEND\r\nx:1\r\n\r\nbody\0", "malformed frame", V11),
    Broken("CR LF behind every line of 1.0, strictly", b"SEND\r\nx:1\r\n\r\n\0", "malformed frame", {**V10, **STRICT}),
    Broken(
        "CR LF in place of the blank line of 1.0, strictly", b"SEND\n\r\n\n\0", "malformed frame", {**V10, **STRICT}
    ),
    Broken("CR LF between frames of 1.0, strictly", b"\r\nABORT\n\n\0", "malformed frame", {**V10, **STRICT}),
    *(
        Broken(f"the escape {escape!r} in 1.2", b"SEND\nx:" + escape + b"\n\n\0", "malformed frame")
        for escape in (b"\\t", b"\\0", b"\\", b"a\\\\\\", b"\\C", b"\\:")
    ),
    Broken("an escape in a name", b"SEND\nx\\t:1\n\n\0", "malformed frame"),
    Broken("a backslash in front of the colon", b"SEND\nx\\:1\n\n\0", "malformed frame"),
    Broken("the escape of CR in 1.1", b"SEND\nx:\\r\n\n\0", "malformed frame", V11),
    *(
        Broken(f"{text!r} is no UTF-8", b"SEND\nx:" + text + b"\n\n\0", "malformed frame")
        for text in (
            b"\xff",
            b"\xc3",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe0\x80\xaf",
            b"\x80",
            b"\xf0\x9f\x98",
        )
    ),
    Broken("a name that is no UTF-8", b"SEND\n\xff:1\n\n\0", "malformed frame"),
    Broken("half a character in the name, half in the value", b"SEND\nx\xc3:\xa9\n\n\0", "malformed frame"),
    Broken("UTF-8 in 1.0 is checked too", b"SEND\nx:\xff\n\n\0", "malformed frame", V10),
    Broken("a command in small letters", b"connect\n\n\0", "unknown command", V0),
    Broken("a command with a blank", b"CONNECT \n\n\0", "unknown command", V0),
    Broken("a command that is no text", b"\xff\xfe\n\n\0", "unknown command", V0),
    Broken("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "unknown command", V0),
    Broken("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "unknown command", V0),
    Broken("a command without end", b"A" * 33, "unknown command"),
    Broken("an unknown command before CONNECT", b"FOO\n\n\0", "unknown command", V0),
    Broken("a frame too large", b"SEND\n\n" + b"x" * 58 + b"\0", "frame too large", SMALL),
    Broken("a frame without end", b"SEND\n\n" + b"x" * 200, "frame too large", SMALL),
    Broken(
        "a counted frame too large, when nothing of its body is there",
        b"SEND\ncontent-length:40\n\n",
        "frame too large",
        SMALL,
    ),
    Broken(
        "headers without end", b"SEND\na:1\nb:2\n" + b"c:" + b"x" * 18, "frame too large", {**SMALL, "max_frame": 32}
    ),
    Broken("too many headers", b"SEND\na:1\na:2\na:3\na:4\n\n\0", "too many headers", SMALL),
    Broken("a header line too long", b"SEND\nx:" + b"y" * 19 + b"\n\n\0", "header line too long", SMALL),
    Broken("a header line without end", b"SEND\n" + b"x" * 21, "header line too long", SMALL),
    Broken("header lines too large", b"SEND\n" + (b"x:" + b"y" * 15 + b"\n") * 2 + b"\n\0", "headers too large", SMALL),
    Broken(
        "a frame without a body too large",
        b"DISCONNECT\nreceipt:" + b"y" * 12 + b"\n\0",
        "frame too large",
        {**SMALL, "max_frame": 32},
    ),
    Broken("a stray NUL, strictly", b"ABORT\n\n\0\0", "malformed frame", STRICT, frames=1),
    Broken("a NUL among the headers, strictly", b"BEGIN\ntransaction:t\n\0", "malformed frame", STRICT),
    Broken("a body on another frame, strictly", b"BEGIN\ntransaction:t\n\nx\0", "malformed frame", STRICT),
    Broken(
        "a count that lies on another frame, strictly", b"ABORT\ncontent-length:1\n\n\0\0", "malformed frame", STRICT
    ),
    Broken("CR LF between frames of 1.1, strictly", b"\r\nABORT\n\n\0", "malformed frame", {**V11, **STRICT}),
]
