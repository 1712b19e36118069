"""The header of the PROXY protocol as bytes; tests/system/test_proxy_protocol.py has the connections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.transports.proxy import LONGEST, SIGNATURE, Malformed, missing, source


def read(stream):
    """What a reader takes that never reads more than the header has for certain: the header, and what is left."""
    header = b""
    while wanted := missing(header):
        if len(header) + wanted > len(stream):
            raise EOFError
        header += stream[len(header) : len(header) + wanted]
    return header, stream[len(header) :]


addresses = st.one_of(
    st.tuples(st.just(b"TCP4"), st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.just(b"TCP6"), st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
ports = st.integers(0, 65_535)


@given(addresses, ports, ports, st.binary(max_size=50))
def test_version_1(addresses, port, other, rest):
    family, here, there = addresses
    line = b"PROXY %s %s %s %d %d\r\n" % (family, str(here).encode(), str(there).encode(), port, other)
    assert read(line + rest) == (line, rest)
    assert source(line) == (f"{here}:{port}" if family == b"TCP4" else f"[{here}]:{port}")


@given(addresses, ports, ports, st.binary(max_size=300), st.binary(max_size=50))
def test_version_2(addresses, port, other, more, rest):
    family, here, there = addresses
    content = here.packed + there.packed + port.to_bytes(2, "big") + other.to_bytes(2, "big") + more
    code = 0x11 if family == b"TCP4" else 0x21
    header = SIGNATURE + bytes([0x21, code]) + len(content).to_bytes(2, "big") + content
    assert read(header + rest) == (header, rest)
    assert source(header) == (f"{here}:{port}" if family == b"TCP4" else f"[{here}]:{port}")


beginnings = st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 1.1.1.1 ", SIGNATURE, SIGNATURE + b"\x21\x11"])


@given(beginnings, st.binary(max_size=200))
def test_anything_is_a_header_or_is_not(beginning, rest):
    try:
        header, _ = read(beginning + rest)
        assert len(header) <= LONGEST
        assert source(header) is None or source(header)
    except (Malformed, EOFError):
        pass


def test_a_header_that_would_be_huge_is_refused_before_it_comes():
    with pytest.raises(Malformed, match="too long"):
        missing(SIGNATURE + b"\x21\x11\xff\xff")
