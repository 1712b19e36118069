"""A small STOMP 1.2 client: that of the commands `send` and `subscribe`.

frames  →  stream  →  dial (websocket)  →  session  →  commands (output)
"""

from fastbroker.client.dial import Trust
from fastbroker.client.errors import Ended, StompError
from fastbroker.client.frames import Frame
from fastbroker.client.session import Client, connected

__all__ = ["Client", "Ended", "Frame", "StompError", "Trust", "connected"]
