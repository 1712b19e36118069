"""What goes wrong between a client and its broker."""


class StompError(Exception):
    """The broker said ERROR, spoke no STOMP, or is not there."""


class Lost(StompError):
    """The broker is not there, or not any more; it may be later."""


class Ended(Lost):
    """The broker closed the connection."""


class NotSpoken(ConnectionError):
    """There is a server, but it does not speak what the address says."""
