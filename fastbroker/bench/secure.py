"""TLS for the load generator: ciphertext and plain text go in and out in chunks, and no socket is touched here."""

import ssl
from functools import cache
from typing import cast

from fastbroker.bench.load import Target
from fastbroker.transports.tls import client_context

SECURE = ("tls", "wss")
FAILED, NEEDS_MORE, DONE = -2, -1, 1


class Sessions:
    """Makes the sessions of one load: all with one server."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        """`host` is whom the certificate of the server must be for."""
        self._context, self._host = context, host

    def open(self) -> "Session":
        """One more."""
        return Session(self._context, self._host)


def sessions_of(target: Target) -> Sessions | None:
    """What a load on this server needs, if it speaks TLS. Raises StartError for a wrong file."""
    if target.scheme not in SECURE:
        return None
    return Sessions(_context(target.ca, target.insecure, target.certificate, target.key), target.host)


@cache
def _context(ca: str | None, insecure: bool, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """One for all loads: the authorities of the system take their time to be read."""
    return client_context(ca, insecure, certificate, key)


class Session:
    """The client's end of one connection. What fails says so, and why in `reason`."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        """Nothing has been said yet."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        self.reason = b""
        self._output = b""

    def shake(self, came: memoryview) -> int:
        """Go on with the handshake: DONE, NEEDS_MORE or FAILED."""
        self._in.write(came)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return NEEDS_MORE
        except (ssl.SSLError, ssl.CertificateError) as error:
            return self._failed(error)
        return DONE

    def decrypt(self, came: memoryview, room: memoryview) -> int:
        """How many bytes of plain text are in the room now; 0 at the end, NEEDS_MORE or FAILED."""
        self._in.write(came)
        got = 0
        try:
            while self._in.pending:
                one = cast("int", self._tls.read(len(room) - got, room[got:]))
                if not one:
                    return got
                got += one
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            return self._failed(error)
        return got or NEEDS_MORE

    def encrypt(self, plain: memoryview) -> int:
        """DONE or FAILED."""
        try:
            self._tls.write(plain)
        except ssl.SSLError as error:
            return self._failed(error)
        return DONE

    def output(self) -> bytes:
        """What must be sent now; it is kept until the next call."""
        self._output = self._out.read()
        return self._output

    def _failed(self, error: ssl.SSLError) -> int:
        self.reason = _in_words(error).encode()
        return FAILED


def _in_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}; --ca names the authority that it is from, "
            "--insecure takes it as it is"
        )
    return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
