"""What goes wrong between a client and its broker."""


class StompError(Exception):
    """The broker said ERROR, spoke no STOMP, or went away."""


class Ended(StompError):
    """The broker closed the connection."""


class NotSpoken(ConnectionError):
    """There is a server, but it does not speak what the address says."""
