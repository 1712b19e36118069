"""Brokers of the transport tests: with addresses of their own, certificates made for the test, and sockets to them."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from wire import DEADLINE, ROOT, Broker, toml

CONNECT = b"CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\n\n\0"


class Served(Broker):
    """A `fastbroker serve` process with the addresses that its configuration names."""

    def __init__(
        self, directory: Path, config: Mapping[str, Any], *, run: Callable[..., Any] | None = None, **options: Any
    ):
        path = directory / "served.toml"
        path.write_text(toml({"drain_timeout": 2, **config}))
        command = [sys.executable, "-m", "fastbroker", "serve", "-c", str(path), "--log-format", "json"]
        self.log = []
        self._news = threading.Condition()
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = (run or subprocess.Popen)(command, cwd=ROOT, **pipes, **options)
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._collect, args=(stream,), daemon=True).start()
        try:
            self.wait_log(lambda record: record["event"] == "started", timeout=3 * DEADLINE)
            self.wait_log(lambda record: str(record["event"]).startswith("listening on "))
        except AssertionError:
            self.process.kill()
            raise

    @property
    def urls(self) -> list[str]:
        """Where it listens, in the order of the configuration."""
        started = self.wait_log(lambda record: record["event"] == "started")
        return str(started["addresses"]).split()

    def port(self, scheme: str) -> int:
        """The port of its first address with this scheme."""
        url = next(url for url in self.urls if url.startswith(f"{scheme}://"))
        return int(re.search(r":([0-9]+)(?:[/?]|$)", url.partition("://")[2])[1])  # type: ignore[index]

    def refusal(self, reason: str, *, since: int = 0) -> dict[str, Any]:
        """Wait for the log record of a connection that was refused for this reason."""
        return self.wait_log(
            lambda record: record["event"] == "refused" and reason in record["reason"],
            since=since,
            timeout=2 * DEADLINE,
        )


def dial(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A TCP connection."""
    connection = socket.create_connection((host, port), timeout=DEADLINE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_frame(connection: socket.socket) -> bytes:
    """One frame with the LF behind it; nothing at the end of the stream."""
    received = b""
    while not received.endswith(b"\0\n"):
        if not (more := connection.recv(1)):
            return received
        received += more
    return received


def greet(connection: socket.socket) -> None:
    """Log in."""
    connection.sendall(CONNECT)
    assert read_frame(connection).startswith(b"CONNECTED\n")


def is_served(connection: socket.socket) -> None:
    """Show that the broker still does what this connection asks for."""
    connection.sendall(b"SEND\ndestination:/topic/served\nreceipt:r\n\nx\0")
    assert read_frame(connection) == b"RECEIPT\nreceipt-id:r\n\n\0\n"


def ended(connection: socket.socket) -> bool:
    """Whether the broker ends the connection, in whatever way, without another byte."""
    try:
        return connection.recv(4096) == b""
    except (ConnectionError, ssl.SSLError):
        return True


class Authority:
    """Signs certificates for a test and writes them where the broker reads them."""

    def __init__(self, directory: Path, name: str = "test authority"):
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._serial = 0
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
        self.path = directory / f"{name.replace(' ', '-')}.pem"
        self.path.write_bytes(self._signed(builder))

    def certify(self, file: str, *names: str, subject: x509.Name | None = None, days: int = 1, **more: Any) -> Path:
        """Write a certificate and its key into one file; `names` are hosts, addresses and `scheme:` URIs."""
        key = ec.generate_private_key(ec.SECP256R1())
        common = subject if subject is not None else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = self._builder(common, key, days)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if alternatives := more.get("alternatives", [general_name(name) for name in names]):
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.directory / file
        path.write_bytes(private + self._signed(builder))
        return path

    def forge(self, path: Path, old: bytes, new: bytes) -> None:
        """Put other bytes of the same length into a certificate of ours, and sign it again."""
        private, mark, certificate = path.read_bytes().partition(b"-----BEGIN CERTIFICATE")
        body = x509.load_pem_x509_certificate(mark + certificate).tbs_certificate_bytes.replace(old, new)
        ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
        signature = self._key.sign(body, ec.ECDSA(hashes.SHA256()))
        whole = asn1(0x30, body + ecdsa_with_sha256 + asn1(0x03, b"\0" + signature))
        path.write_bytes(private + ssl.DER_cert_to_PEM_cert(whole).encode())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int = 1) -> x509.CertificateBuilder:
        self._serial += 1
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(subject_name=subject, issuer_name=self._name, public_key=key.public_key())
            .serial_number(self._serial)
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def trusting(self, certificate: Path | None = None) -> ssl.SSLContext:
        """What a client connects with that trusts this authority and may have a certificate."""
        context = ssl.create_default_context(cafile=str(self.path))
        if certificate:
            context.load_cert_chain(certificate)
        return context


def asn1(tag: int, content: bytes) -> bytes:
    """An element of DER."""
    length = len(content)
    size = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    return bytes([tag]) + size + content


def general_name(name: str) -> x509.GeneralName:
    """A name as a certificate has it."""
    if ":/" in name:
        return x509.UniformResourceIdentifier(name)
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
