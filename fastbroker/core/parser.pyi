"""The frame parser's face to Python."""

from typing import Self

from typing_extensions import disjoint_base

@disjoint_base
class FrameReader:
    """Bytes in, whole frames out: reads what clients write, exactly as the broker does.

    ``version`` is 10, 11 or 12 for STOMP 1.0, 1.1 or 1.2; 0 is that of a client that has not
    connected yet. The other arguments are the configuration keys of the same names. What is
    lenient, and what ``strict`` changes, is in docs/protocol.md ("What we accept").

    It is for tests and tools. The broker itself makes no Python objects of frames, and of frames
    that a broker writes it would cut a MESSAGE at the first NUL: only of a SEND is the
    content-length relied on.
    """

    version: int
    """By whose rules the next frame is read."""

    def __new__(
        cls,
        version: int = 12,
        *,
        strict: bool = False,
        lenient_content_length: bool = False,
        max_frame: int = 4194304,
        max_header_line: int = 8192,
        max_header_block: int = 65536,
        max_headers: int = 100,
    ) -> Self: ...
    def feed(self, data: bytes) -> list[tuple[str, list[tuple[bytes, bytes]], bytes]]:
        """Take the next piece of the stream and return the frames that are complete now.

        A frame is its command, its headers (unescaped, in their order, repeated ones included) and
        its body. Raises ValueError with the ``message`` that an ERROR frame would have when the
        stream is broken; the frames in front of that in this piece are lost then, and there is no
        going on.
        """
