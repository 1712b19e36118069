"""Certificates: one for the brokers of all tests, and an authority that signs what a test of certificates wants."""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fastbroker.transports.certificate import AUTHORITY, CERTIFICATE, KEY, make


@cache
def directory() -> tempfile.TemporaryDirectory[str]:
    """Where they are, for as long as this process runs."""
    made = tempfile.TemporaryDirectory(prefix="fastbroker-certificates-")
    make(Path(made.name), ["127.0.0.1"], 2)
    return made


def certificates() -> Path:
    """A directory with a certificate for 127.0.0.1, one for all tests of a run."""
    return Path(directory().name)


def authority() -> str:
    """The file that clients trust."""
    return str(certificates() / AUTHORITY)


def tls_table() -> dict[str, str]:
    """What a broker needs in `[tls]`."""
    return {"certificate": str(certificates() / CERTIFICATE), "key": str(certificates() / KEY)}


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
