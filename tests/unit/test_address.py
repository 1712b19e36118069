import pytest

from fastbroker.address import parse


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp://127.0.0.1:61613", "127.0.0.1", 61613),
        ("tcp://127.0.0.1:0", "127.0.0.1", 0),
        ("tcp://[::1]:7", "::1", 7),
        ("tcp://broker.example", "broker.example", 61613),
        ("tcp://broker.example/", "broker.example", 61613),
    ],
)
def test_addresses(text, host, port):
    address = parse(text)
    assert (address.scheme, address.host, address.port) == ("tcp", host, port)
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("127.0.0.1:61613", "write it as tcp://127.0.0.1:61613"),
        ("", "write it as tcp://"),
        ("stomp://127.0.0.1:61613", "not supported; supported: tcp"),
        ("unix:///run/fastbroker", "not supported; supported: tcp"),
        ("TCP://127.0.0.1:1", "not supported; supported: tcp"),
        ("tcp://:61613", "the host is missing"),
        ("tcp://", "the host is missing"),
        ("tcp://127.0.0.1:port", "is no address"),
        ("tcp://127.0.0.1:65536", "is no address"),
        ("tcp://127.0.0.1:-1", "is no address"),
        ("tcp://::1:61613", "stands in brackets"),
        ("tcp://[::1:61613", "is no address"),
        ("tcp://127.0.0.1:1/path", "write it as tcp://host:port"),
        ("tcp://127.0.0.1:1?x", "write it as tcp://host:port"),
        ("tcp://user@127.0.0.1:1", "write it as tcp://host:port"),
        ("tcp://127.0.0.1 :1", "write it as tcp://host:port"),
        ("tcp://127.0.0.1:1\n", "write it as tcp://host:port"),
    ],
)
def test_what_is_no_address(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(text)
