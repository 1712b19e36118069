"""What STOMP means for one client."""

from typing import final

@final
class Session:
    """The STOMP state of one client. It is made with its connection and cannot be made from Python."""

    @property
    def peer(self) -> str:
        """Where the client is, as in the log."""
    @property
    def login(self) -> str | None:
        """The login it came with, made safe for a log; None when it named none."""
    @property
    def reason(self) -> str | None:
        """Why the session is closing, as in the log; None while it is not."""
