import pytest

from fastbroker.transports.address import LONGEST_PATH, parse, parse_target


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port"),
    [
        ("tcp://127.0.0.1:61613", "tcp", "127.0.0.1", 61613),
        ("tcp://127.0.0.1:0", "tcp", "127.0.0.1", 0),
        ("tcp://[::1]:7", "tcp", "::1", 7),
        ("tcp://broker.example", "tcp", "broker.example", 61613),
        ("tcp://broker.example/", "tcp", "broker.example", 61613),
        ("tls://broker.example", "tls", "broker.example", 61614),
        ("ws://broker.example", "ws", "broker.example", 15674),
        ("wss://[::]:443", "wss", "::", 443),
    ],
)
def test_addresses(text, scheme, host, port):
    address = parse(text)
    assert (address.scheme, address.host, address.port, address.path) == (scheme, host, port, "")
    assert parse(str(address)) == address == parse_target(text)


def test_unix_sockets():
    address = parse("unix:///run/fast broker.sock")
    assert (address.scheme, address.path, address.is_local) == ("unix", "/run/fast broker.sock", True)
    assert parse(str(address)) == address == parse_target(str(address))
    assert parse("unix:///" + "x" * (LONGEST_PATH - 1))


@pytest.mark.parametrize("text", ["tcp://[::1]:7?proxy_protocol", "unix:///run/x?proxy_protocol"])
def test_behind_a_load_balancer(text):
    address = parse(text)
    assert address.proxied
    assert str(address) == text


@pytest.mark.parametrize("text", ["ws://localhost:80/a/b", "wss://localhost:443/?token=x", "ws://[::1]:7/ws"])
def test_where_a_websocket_is(text):
    assert str(parse_target(text)) == text
    with pytest.raises(ValueError, match="holds more than a host and a port"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("127.0.0.1:61613", "write it as tcp://127.0.0.1:61613"),
        ("", "write it as tcp://"),
        ("stomp://127.0.0.1:61613", "not supported; supported: tcp, tls, unix, ws, wss"),
        ("TCP://127.0.0.1:1", "not supported; supported: tcp"),
        ("tcp://:61613", "the host is missing"),
        ("tcp://", "the host is missing"),
        ("tcp://127.0.0.1:port", "is no address"),
        ("tcp://127.0.0.1:65536", "is no address"),
        ("tcp://127.0.0.1:-1", "is no address"),
        ("tcp://::1:61613", "stands in brackets"),
        ("tcp://[::1:61613", "is no address"),
        ("tcp://127.0.0.1:1/path", "write it as tcp://host:port"),
        ("tls://127.0.0.1:1/path", "write it as tls://host:port"),
        ("tcp://127.0.0.1:1?x", "write it as tcp://host:port"),
        ("tcp://127.0.0.1:1?proxy_protocol=1", "the only thing that may follow is [?]proxy_protocol"),
        ("tcp://user@127.0.0.1:1", "write it as tcp://host:port"),
        ("tcp://127.0.0.1 :1", "write it as tcp://host:port"),
        ("tcp://127.0.0.1:1\n", "write it as tcp://host:port"),
        ("unix://run/x", "three slashes"),
        ("unix:///", "names no file"),
        ("unix://", "names no file"),
        ("unix:///" + "x" * LONGEST_PATH, "longer than"),
    ],
)
def test_what_is_no_address(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(text)
