"""Certificates to begin with: an authority for one certificate, whose key is thrown away."""

import errno
import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ALL = AUTHORITY, CERTIFICATE, KEY = "ca.pem", "certificate.pem", "key.pem"


# Labels of letters, digits, hyphens and the underscores that some machines have; a * may be the first of them.
_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.IGNORECASE)


def default_hosts() -> list[str]:
    """This machine, as it is called from itself and from its neighbours."""
    own = socket.gethostname()
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *([own] if _HOST.fullmatch(own) else [])]))


def are_there(directory: Path) -> bool:
    """Whether all three files are."""
    return all(os.path.lexists(directory / name) for name in ALL)


def hosts(directory: Path) -> list[str]:
    """For whom the certificate is that is there. Raises OSError, also when it is none."""
    path = directory / CERTIFICATE
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [str(name.value) for name in names]
    except (ValueError, x509.ExtensionNotFound):
        raise _in_the_way(path) from None


def make(directory: Path, hosts: Sequence[str], days: int) -> Sequence[str]:
    """Write the three files into the directory, and return the hosts. Raises OSError, also when one is there already.

    Raises ValueError for a host. Nobody has the authority's key afterwards, so trusting it trusts this one certificate
    and never another.
    """
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, days)
    certificate = _certificate(authority, authority_key, key, hosts, days)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (directory / name for name in ALL):
        if os.path.lexists(path):
            raise _in_the_way(path)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(directory / KEY, private, 0o600)
    write(directory / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    write(directory / AUTHORITY, authority.public_bytes(serialization.Encoding.PEM), 0o644)
    return hosts


def _in_the_way(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "it is there already, and is left alone; name another directory", str(path))


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file so that it is there whole or not at all. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(unfinished, flags, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority(key: ec.EllipticCurvePrivateKey, days: int) -> x509.Certificate:
    name = f"fastbroker development authority {datetime.now(UTC):%Y-%m-%d %H:%M}"
    builder = _builder(name, _named(name), key.public_key(), days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_may(certify=True), critical=True).sign(key, hashes.SHA256())


def _certificate(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str],
    days: int,
) -> x509.Certificate:
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_may(certify=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False),
        (x509.SubjectAlternativeName([_host(host) for host in hosts]), False),
    ]
    builder = _builder(hosts[0][:64], authority.subject, key.public_key(), days)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(authority_key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(_name(host))


def _name(host: str) -> str:
    """As it stands in certificates, and as clients ask for it."""
    try:
        name = host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise ValueError(f"{host!r} is no host name and no address")
    return name


def _may(*, certify: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certify,
        key_cert_sign=certify,
        crl_sign=certify,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
