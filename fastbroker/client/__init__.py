"""A small STOMP 1.2 client: that of the commands `send` and `subscribe`.

frames  →  stream  →  dial (websocket)  →  session  →  sending (input), receiving (output)  →  commands (options)
"""

from fastbroker.client.dial import Trust
from fastbroker.client.errors import Lost, StompError
from fastbroker.client.frames import Frame
from fastbroker.client.session import Client, connected

__all__ = ["Client", "Frame", "Lost", "StompError", "Trust", "connected"]
