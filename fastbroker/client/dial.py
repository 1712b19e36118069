"""From an address to a connection: over TCP, TLS, a Unix socket or WebSocket; and why there is none."""

import asyncio
import errno
import os
import socket
import ssl
from typing import NamedTuple, Protocol

from fastbroker.client.errors import Lost, NotSpoken, StompError
from fastbroker.client.stream import Reader, Streams
from fastbroker.transports.address import Address

TIMEOUT = 30.0

# What to do about OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH.
_TRUST_HINTS = {
    9: "is the clock of this machine right?",
    10: "the broker needs a new one",
    62: "connect to a name that it is for",
    64: "connect to a name that it is for",
}


class Writer(Protocol):
    """What the client needs of an asyncio.StreamWriter."""

    def write(self, data: bytes, /) -> None:
        """Send this, in its time."""

    async def drain(self) -> None:
        """Wait while too much is to be sent."""

    def close(self) -> None:
        """End the connection."""


class Trust(NamedTuple):
    """How the broker is known, where it speaks TLS, and how it knows us."""

    ca: str | None = None
    insecure: bool = False
    certificate: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext:
        """What TLS needs. Raises StompError for a file that is not what it should be."""
        from fastbroker.errors import StartError
        from fastbroker.transports.tls import client_context

        try:
            return client_context(*self)
        except StartError as error:
            raise StompError(str(error)) from None


async def dial(address: Address, trust: Trust) -> tuple[Reader, Writer]:
    """Connect. Raises Lost, or StompError where trying again would change nothing."""
    context = trust.context() if address.how.secure else None
    reader = Reader()
    try:
        async with asyncio.timeout(TIMEOUT):
            return reader, await _connect(address, context, reader)
    except OSError as error:
        lasting = isinstance(error, ssl.SSLCertVerificationError)
        raise (StompError if lasting else Lost)(f"cannot connect to {address}{_reason(error)}") from None
    except UnicodeError:
        raise StompError(f"cannot connect to {address}: a part of this name is empty or too long") from None


async def _connect(address: Address, context: ssl.SSLContext | None, reader: Reader) -> Writer:
    if address.how.websocket:
        from fastbroker.client.websocket import connect

        return await connect(address, context, reader)
    loop = asyncio.get_running_loop()
    protocol = Streams(reader)
    if address.is_local:
        transport, _ = await loop.create_unix_connection(lambda: protocol, address.path)
    else:
        transport, _ = await loop.create_connection(lambda: protocol, address.host, address.port, ssl=context)
    return asyncio.StreamWriter(transport, protocol, reader, loop)


def _reason(error: OSError) -> str:
    """Why a connection came to nothing, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _TRUST_HINTS.get(error.verify_code, "--ca names the authority that it is from")
        reason = error.verify_message.rstrip(".")
        return f": its certificate is not trusted: {reason}; {hint}; --insecure takes it as it is"
    if isinstance(error, ssl.SSLError):
        from fastbroker.transports.tls import words

        return f": TLS failed: {words(error)}; does the broker speak TLS at this address?"
    if isinstance(error, socket.gaierror):
        return f": {error.strerror}"
    if isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return ": the connection was closed before it was established; is this what the broker speaks there?"
    if isinstance(error, TimeoutError):
        return f": no answer within {TIMEOUT:g} seconds"
    if error.errno not in (None, errno.ECONNREFUSED, errno.ENOENT):
        return f": {os.strerror(error.errno)}"
    if isinstance(error, NotSpoken):
        return f": {error}"
    return "; is the broker running? `fastbroker serve` starts one on this machine"
