"""Frames. The public face is for Cython; Python meets the reason why a frame was not processed."""

class Refused(Exception):
    """A frame that cannot be processed, raised as ``Refused(message, body)``.

    ``message`` becomes the ERROR frame's short ``message`` header, which stays the same from release to release;
    ``body`` says in a sentence or two what was wrong and what to do.
    """

    def __init__(self, message: bytes, body: bytes) -> None: ...
    @property
    def args(self) -> tuple[bytes, bytes]: ...
    @args.setter
    def args(self, args: tuple[bytes, bytes]) -> None: ...
