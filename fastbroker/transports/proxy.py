"""The header of the PROXY protocol, in which a load balancer says whom a connection is from.

version 1    PROXY TCP4 203.0.113.7 192.0.2.1 51234 61613 CR LF       at most 107 bytes
             PROXY UNKNOWN anything CR LF

version 2    12 bytes          CR LF CR LF NUL CR LF QUIT LF
             1 byte            version 2, and a command: 0 LOCAL (of the load balancer itself), 1 PROXY
             1 byte            family: 0 unspecified, 1 IPv4, 2 IPv6, 3 Unix; and transport: 1 is a stream
             2 bytes           length of what follows
             addresses         source, destination, source port, destination port
             the rest          type, length, value: passed over
"""

import socket
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BEGINNING = b"PROXY "
LONGEST_LINE = 107
# What load balancers add are some hundred bytes; a header may say that 65,535 follow.
LONGEST = 4096

_LEAST = {b"TCP4": len("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n"), b"TCP6": len("PROXY TCP6 :: :: 1 1\r\n")}
_ADDRESSES: dict[int, type[IPv4Address | IPv6Address]] = {socket.AF_INET: IPv4Address, socket.AF_INET6: IPv6Address}
_FAMILIES = {1: (socket.AF_INET, 12), 2: (socket.AF_INET6, 36), 3: (socket.AF_UNIX, 216)}
_VERSION_2, _LOCAL, _STREAM = 2, 0, 1


class Malformed(Exception):
    """This is no header; the argument says why."""


def missing(header: bytes) -> int:
    """How many more bytes certainly belong to the header that begins like this; 0 when it is complete."""
    if SIGNATURE.startswith(header[: len(SIGNATURE)]) and header:
        return _missing_2(header)
    if not BEGINNING.startswith(header[: len(BEGINNING)]):
        raise Malformed("it does not begin with one")
    return _missing_1(header)


def _missing_1(line: bytes) -> int:
    if line.endswith(b"\r\n"):
        return 0
    if len(line) >= LONGEST_LINE:
        raise Malformed("its line is too long")
    # No reader may take a byte that is not of the header, and nobody says where it ends.
    least = _LEAST.get(line[6:10], len("PROXY UNKNOWN\r\n"))
    return max(min(least, LONGEST_LINE) - len(line), 1)


def _missing_2(header: bytes) -> int:
    if len(header) < 16:
        return 16 - len(header)
    length = 16 + int.from_bytes(header[14:16], "big")
    if length > LONGEST:
        raise Malformed("it is too long")
    return length - len(header)


def source(header: bytes) -> str | None:
    """Whom the complete header says the connection is from, as peers are written; None when it does not say."""
    return _source_2(header) if header.startswith(SIGNATURE) else _source_1(header)


def _source_1(line: bytes) -> str | None:
    words = line[:-2].split(b" ")
    if words[1] == b"UNKNOWN":
        return None
    families = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}
    if words[1] not in families or len(words) != 6:
        raise Malformed("its line is not as it should be")
    family = families[words[1]]
    _host(family, words[3])
    _port(words[5])
    return _written(_host(family, words[2]), _port(words[4]))


def _host(family: int, text: bytes) -> IPv4Address | IPv6Address:
    try:
        if b"%" in text:
            raise ValueError
        return _ADDRESSES[family](text.decode("ascii"))
    except ValueError:
        raise Malformed("its line has a wrong address") from None


def _port(text: bytes) -> int:
    if not text.isdigit() or len(text) > 5 or (text.startswith(b"0") and text != b"0") or int(text) > 65_535:
        raise Malformed("its line has a wrong port")
    return int(text)


def _source_2(header: bytes) -> str | None:
    version, command = header[12] >> 4, header[12] & 15
    if version != _VERSION_2 or command > 1:
        raise Malformed(f"it has version {version} and command {command}")
    family, transport = header[13] >> 4, header[13] & 15
    if command == _LOCAL or family not in _FAMILIES:
        return None
    kind, length = _FAMILIES[family]
    if transport != _STREAM or len(header) < 16 + length:
        raise Malformed("its addresses are not those of a stream")
    if kind == socket.AF_UNIX:
        return "unix"
    size = (length - 4) // 2
    return _written(_ADDRESSES[kind](header[16 : 16 + size]), int.from_bytes(header[12 + length : 14 + length], "big"))


def _written(host: IPv4Address | IPv6Address, port: int) -> str:
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"
