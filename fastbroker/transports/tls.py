"""TLS contexts from the files of the configuration, and who a client's certificate says that it is."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastbroker.errors import StartError
from fastbroker.transports import address

if TYPE_CHECKING:
    from fastbroker.config import Config, Conflict, Tls

# For TLS 1.2; those of 1.3 are all good. Forward secrecy and authenticated encryption, or nothing.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!SHA1"
LONGEST_IDENTITY = 256

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
# OpenSSL's reasons that say nothing to whoever has not met them before.
_REASONS = {"KEY_VALUES_MISMATCH": "the key is not that of the certificate"}
_NO_KEY = "private key, and no other file is named that does"
_ALTERNATIVES = {"dns": "DNS", "email": "email", "uri": "URI"}


class Contexts(NamedTuple):
    """What the addresses of a broker use: TLS alone, and TLS under WebSocket."""

    stomp: ssl.SSLContext
    websocket: ssl.SSLContext
    doubts: tuple[str, ...]
    """Sentences about certificates that no client will take, though the broker can use them."""


def load(settings: "Tls") -> Contexts:
    """Read all files. Raises StartError if anything is wrong with one of them."""
    doubts: list[str] = []
    return Contexts(_load(settings, (), doubts), _load(settings, ("http/1.1",), []), tuple(doubts))


def doubts(config: "Config") -> tuple[str, ...]:
    """Those of `Contexts`, where there is an address that needs one. Raises StartError like `load`."""
    return load(config.tls).doubts if _is_spoken(config) else ()


def _is_spoken(config: "Config") -> bool:
    return any(written.how.secure for _, _, written in address.parsed(config.listen))


def check(config: "Config") -> Iterator["Conflict"]:
    """Find all that is wrong with the files, where there is an address that needs them."""
    settings = config.tls
    if not _is_spoken(config):
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    hosts = ((f"tls.hosts[{number}]", host.certificate, host.key) for number, host in enumerate(settings.hosts))
    for path, certificate, key in [("tls", settings.certificate, settings.key), *hosts]:
        try:
            if certificate:
                _load_chain(context, certificate, key)
        except StartError as error:
            keys = {f"{path}.certificate": certificate, f"{path}.key": key}
            yield str(error), {name: value for name, value in keys.items() if value}
    try:
        if settings.client_ca:
            _ask_clients(context, settings)
    except StartError as error:
        yield str(error), {"tls.client_ca": settings.client_ca}


def _load(settings: "Tls", protocols: tuple[str, ...], doubts: list[str]) -> ssl.SSLContext:
    by_name: dict[str, ssl.SSLContext] = {}
    context = _context(settings, settings.certificate, settings.key, protocols, doubts)
    for host in settings.hosts:
        other = _context(settings, host.certificate, host.key, protocols, doubts)
        by_name |= {name.lower(): other for name in host.names}
    if by_name:
        context.sni_callback = lambda connection, name, _: _choose(connection, name, by_name)
    return context


def _context(
    settings: "Tls", certificate: str, key: str, protocols: tuple[str, ...], doubts: list[str]
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.set_ciphers(CIPHERS)
    context.num_tickets = 1  # one is enough to come back with; each costs as much as a twentieth of a handshake
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    _load_chain(context, certificate, key)
    doubts += _doubts(context, certificate)
    _ask_clients(context, settings)
    return context


def _load_chain(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        _look_into(certificate, b"CERTIFICATE-----", "certificate in PEM format")
        _look_into(key or certificate, b"PRIVATE KEY-----", "private key in PEM format" if key else _NO_KEY)
        context.load_cert_chain(certificate, key or None, password=_no_password)
    except (OSError, ValueError) as error:
        raise _unusable(" and ".join(filter(None, [certificate, key])), error) from None


def _look_into(file: str, mark: bytes, what: str) -> None:
    """Say which file it is and what it lacks; OpenSSL says `PEM lib`."""
    try:
        found = mark in Path(file).read_bytes()
    except OSError as error:
        raise _unusable(file, error) from None
    if not found:
        raise StartError(f"cannot use {file} for TLS: it holds no {what}")


def _doubts(context: ssl.SSLContext, certificate: str) -> list[str]:
    """What every client will say about a certificate, whatever authorities it trusts."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client.load_verify_locations(certificate)
        ends = client.wrap_bio(up, down), context.wrap_bio(down, up, server_side=True)
        for end in (*ends, ends[0]):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", None) or words(error)
        return [f"clients will not take the certificate in {certificate}: {reason}"]
    return []


def _ask_clients(context: ssl.SSLContext, settings: "Tls") -> None:
    context.verify_mode = _VERIFY[settings.client_certificates]
    if context.verify_mode == ssl.CERT_NONE:
        return
    _look_into(settings.client_ca, b"CERTIFICATE-----", "certificate in PEM format")
    try:
        context.load_verify_locations(settings.client_ca)
        if not context.get_ca_certs():
            raise ValueError("it holds no certificate of an authority")
    except (OSError, ValueError) as error:
        raise _unusable(settings.client_ca, error) from None


def _no_password() -> str:
    raise ValueError("the key is encrypted; the broker asks for no password")


def _unusable(files: str, error: Exception) -> StartError:
    reason = words(error) if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None) or str(error)
    return StartError(f"cannot use {files} for TLS: {reason}")


def words(error: ssl.SSLError) -> str:
    """OpenSSL's reason, without its shouting."""
    return _REASONS.get(error.reason, (error.reason or str(error)).replace("_", " ").lower())


def _choose(connection: ssl.SSLObject, name: str | None, by_name: Mapping[str, ssl.SSLContext]) -> None:
    """The certificate for the host name that a client asks for (SNI); without one for it, the first stays."""
    asked = (name or "").lower()
    above = asked.partition(".")[2]
    if found := by_name.get(asked) or by_name.get(f"*.{above}"):
        connection.context = found


class NoIdentity(Exception):
    """A certificate does not say who its holder is, or says it in a way that may be misread."""


def identity(certificate: Mapping[str, Any], kind: str) -> str:
    """The one name of that kind in a certificate that was verified. Raises NoIdentity."""
    if kind == "common-name":
        found = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    else:
        found = [value for name, value in certificate.get("subjectAltName", ()) if name == _ALTERNATIVES[kind]]
    if len(found) != 1:
        raise NoIdentity(f"the certificate has {len(found) or 'no'} {kind}")
    (name,) = found
    # A name with a NUL, a line end or a blank at its end looks like another one to somebody.
    if not name or len(name) > LONGEST_IDENTITY or not name.isprintable() or name != name.strip():
        raise NoIdentity(f"the {kind} of the certificate is no name: {name!r}")
    return str(name)


def client_certificate(certificate: Mapping[str, Any] | None, settings: "Tls") -> dict[str, Any] | None:
    """What is handed to the authenticator of a client's certificate; None when it showed none. Raises NoIdentity."""
    if not certificate:
        return None
    return {**certificate, "identity": identity(certificate, settings.client_identity)}


def client_context(ca: str | None, insecure: bool, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """What `send` and `subscribe` connect with. Raises StartError."""
    if ca:
        _look_into(ca, b"CERTIFICATE-----", "certificate in PEM format")
    try:
        # OpenSSL looks for the certificate's authority also where nobody asks whether it is trusted, and that is a
        # search through all of the system's at each connection.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if insecure else ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise _unusable(str(ca), error) from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        _load_chain(context, certificate, key)
    elif key:
        raise StartError(f"cannot use {key} for TLS: it is the key of which --certificate?")
    return context
