"""STOMP over WebSocket: the WebSocket as the stream that the client reads and writes."""

import asyncio
import ssl

from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from fastbroker.client.dial import Writer
from fastbroker.client.errors import NotSpoken
from fastbroker.transports.address import Address

DEFAULT_PATH = "/ws"
LONGEST = 128 * 2**20


class _Feeder(WSListener):
    """Puts what comes into a stream reader; frames of STOMP may be cut anywhere."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.connected = False
        self.room = asyncio.Event()
        self.room.set()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.connected = True
        # The reader pauses and resumes it.
        self._reader.set_transport(transport.underlying_transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._reader.feed_data(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._reader.feed_eof()
        self.room.set()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()


class _WebSocketWriter:
    """One message for each write: a frame of STOMP, or a heart-beat."""

    def __init__(self, transport: WSTransport, room: asyncio.Event) -> None:
        self._transport = transport
        self._room = room

    def write(self, data: bytes) -> None:
        # On WebSocket a message ends with the frame's NUL.
        message = data.removesuffix(b"\n") if data.endswith(b"\0\n") else data
        self._transport.send(WSMsgType.TEXT if _is_text(message) else WSMsgType.BINARY, message)

    async def drain(self) -> None:
        await self._room.wait()
        if self._transport.is_disconnected:
            raise ConnectionResetError

    def close(self) -> None:
        self._transport.send_close(WSCloseCode.OK)  # the default is a code that nobody may send
        self._transport.disconnect()


def _is_text(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


async def connect(address: Address, context: ssl.SSLContext | None, reader: asyncio.StreamReader) -> Writer:
    """Connect; what comes is fed to `reader`. Raises OSError."""
    url = str(address if address.path else address._replace(path=DEFAULT_PATH))
    feeder = _Feeder(reader)
    offer = {"Sec-WebSocket-Protocol": "v12.stomp"}
    try:
        transport, _ = await ws_connect(
            lambda: feeder,
            url,
            ssl_context=context,
            extra_headers=offer,
            max_frame_size=LONGEST,
            use_aiofastnet=False,
        )
    except WSError as error:
        raise NotSpoken(_no_websocket(str(error))) from None
    if not feeder.connected:  # picows tells this in no other way
        raise NotSpoken(_no_websocket("it ended the connection"))
    return _WebSocketWriter(transport, feeder.room)


def _no_websocket(reason: str) -> str:
    return f"there is a server, but no WebSocket of a broker: {reason}; are the port and the path right?"
