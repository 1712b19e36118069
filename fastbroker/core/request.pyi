"""The request that opens a WebSocket, in the one shape that clients give it."""

def read_upgrade(head: bytes, /) -> tuple[str, str, str, str | None, str | None] | None:
    """Read a request, given without the blank line behind it: path, host, key, origin if there is one, subprotocols if
    there are any. None for every other request, and for whatever could be understood in two ways."""
