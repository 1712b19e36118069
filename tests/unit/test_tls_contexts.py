"""Who a certificate says that somebody is, and the files that `fastbroker certificate` makes."""

import contextlib
import errno
import os
import ssl
import stat
import tomllib

import pytest
from click.testing import CliRunner

from fastbroker import config
from fastbroker.cli import main
from fastbroker.errors import StartError
from fastbroker.transports import tls
from fastbroker.transports.tls import NoIdentity, client_certificate, identity


def subject(*names):
    return {"subject": tuple((("commonName", name),) for name in names)}


def alternatives(*pairs):
    return {"subject": (), "subjectAltName": pairs}


@pytest.mark.parametrize(
    ("certificate", "kind", "name"),
    [
        (subject("sensor"), "common-name", "sensor"),
        ({"subject": ((("organizationName", "x"), ("commonName", "sensor")),)}, "common-name", "sensor"),
        (alternatives(("DNS", "a.example"), ("URI", "x:y")), "dns", "a.example"),
        (alternatives(("email", "a@b.example"), ("DNS", "a")), "email", "a@b.example"),
        (alternatives(("URI", "spiffe://a/b")), "uri", "spiffe://a/b"),
    ],
)
def test_one_name(certificate, kind, name):
    assert identity(certificate, kind) == name


@pytest.mark.parametrize(
    ("certificate", "kind"),
    [
        (subject(), "common-name"),
        (subject("a", "b"), "common-name"),
        ({}, "dns"),
        (alternatives(("DNS", "a"), ("DNS", "b")), "dns"),
        (alternatives(("DNS", "a")), "email"),
        *((subject(name), "common-name") for name in ("", " a", "a ", "a\0b", "a\nb", "a\x7f", "a\u200b", "x" * 257)),
    ],
)
def test_no_name_or_one_that_may_be_misread(certificate, kind):
    with pytest.raises(NoIdentity):
        identity(certificate, kind)


def test_what_an_authenticator_is_shown():
    settings = config.Tls(client_identity="common-name")
    assert client_certificate(None, settings) is None
    assert client_certificate({}, settings) is None
    shown = {**subject("sensor"), "serialNumber": "01"}
    assert client_certificate(shown, settings) == {**shown, "identity": "sensor"}


@pytest.fixture
def made(tmp_path):
    directory = tmp_path / "made"
    result = CliRunner().invoke(main, ["certificate", str(directory), "--host", "broker.example", "--host", "::1"])
    assert result.exit_code == 0, result.output
    return directory, result.stdout


def test_a_certificate_for_development(made):
    directory, output = made
    printed = tomllib.loads(output)
    assert printed["listen"] == ["tls://broker.example:61614"]
    assert printed["tls"] == {"certificate": f"{directory}/certificate.pem", "key": f"{directory}/key.pem"}
    assert f"--ca {directory}/ca.pem" in output
    assert stat.S_IMODE((directory / "key.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in directory.iterdir()) == ["ca.pem", "certificate.pem", "key.pem"]
    contexts = tls.load(config.Tls(certificate=f"{directory}/certificate.pem", key=f"{directory}/key.pem"))
    for host in ("broker.example", "::1"):
        assert speak(contexts.stomp, f"{directory}/ca.pem", host)
    for host in ("localhost", "other.example"):
        with pytest.raises(ssl.SSLCertVerificationError):
            speak(contexts.stomp, f"{directory}/ca.pem", host)


def speak(server_context, ca, host):
    """A handshake in memory, as strict as Python makes it."""
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server, client = (
        server_context.wrap_bio(up, down, server_side=True),
        context.wrap_bio(down, up, server_hostname=host),
    )
    for _ in range(3):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return client.version() == "TLSv1.3"


@pytest.mark.parametrize("arguments", [["\udcff"], ["a", "-o", "\udcff.toml"]])
def test_what_no_configuration_can_name_is_refused_before_anything_is_made(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    status, out, err = certificate(*arguments)
    assert (status, out) == (1, "")
    assert "is not UTF-8" in err
    assert not list(tmp_path.iterdir())


def certificate(*arguments):
    result = CliRunner().invoke(main, ["certificate", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_what_is_there_is_left_alone_and_the_configuration_is_for_that(made):
    """So that `fastbroker certificate DIR > FILE` has the same in the file when it is run twice."""
    directory, output = made
    before = contents(directory)
    status, out, err = certificate(directory)
    assert (status, out) == (0, output)
    assert (
        err == f"left alone, as they are there already: {', '.join(f'{directory}/{name}' for name in sorted(before))}\n"
    )
    assert certificate(directory, "--host", "other.example")[1] == output
    assert "--host and --days did nothing" in certificate(directory, "--host", "other.example")[2]
    assert contents(directory) == before


@pytest.mark.parametrize("missing", ["key.pem", "certificate.pem", "ca.pem"])
def test_nothing_is_made_when_not_all_of_it_can_be(made, missing):
    directory, _ = made
    (directory / missing).unlink()
    before = contents(directory)
    status, out, err = certificate(directory)
    assert (status, out) == (1, "")
    assert "it is there already, and is left alone; name another directory" in err
    assert contents(directory) == before


def test_what_is_there_may_be_something_else(made):
    directory, _ = made
    (directory / "certificate.pem").write_text("mine")
    status, out, err = certificate(directory)
    assert (status, out) == (1, "")
    assert f"{directory}/certificate.pem: it is there already, and is left alone; name another directory" in err


def test_the_configuration_may_be_written_into_a_new_file(tmp_path):
    directory, file = tmp_path / "made", tmp_path / "fastbroker.toml"
    status, out, err = certificate(directory, "--host", "broker.example", "-o", file)
    assert (status, out) == (0, "")
    assert err.endswith(f"made {file}; now try: fastbroker serve -c {file}\n")
    written = file.read_text()
    assert tomllib.loads(written)["listen"] == ["tls://broker.example:61614"]
    assert f"fastbroker serve -c {file}\n" in written
    before = contents(directory)
    assert certificate(directory, "-o", file) == (
        1,
        "",
        f"Error: {file} is there already, and is left alone; name another file\n",
    )
    assert certificate(tmp_path / "other", "-o", file)[0] == 1
    assert not (tmp_path / "other").exists()
    assert (file.read_text(), contents(directory)) == (written, before)
    assert certificate(directory, "-o", tmp_path / "again.toml")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.toml", "fastbroker.toml", "made"]


def test_no_file_is_half_there(tmp_path, monkeypatch):
    """Not for a moment either: it gets its name when all of it is on the disk."""
    synced = []

    def fsync(descriptor):
        synced.append(sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    status, out, err = certificate(tmp_path)
    assert (status, out, synced) == (1, "", [[]])
    assert err == f"Error: cannot use {tmp_path}/key.pem: No space left on device\n"
    assert not list(tmp_path.iterdir())


def test_names_as_people_write_them(tmp_path):
    result = CliRunner().invoke(main, ["certificate", str(tmp_path), "--host", "żółw.example", "--host", "*.b.example"])
    assert result.exit_code == 0, result.output
    contexts = tls.load(config.Tls(certificate=f"{tmp_path}/certificate.pem", key=f"{tmp_path}/key.pem"))
    for host in ("żółw.example", "a.b.example"):
        assert speak(contexts.stomp, f"{tmp_path}/ca.pem", host)


@pytest.mark.parametrize("host", ["", "my host", "tls://broker.example", "broker.example:61614", "a..b", "x" * 64])
def test_hosts_that_are_none(tmp_path, host):
    result = CliRunner().invoke(main, ["certificate", str(tmp_path / "made"), "--host", host])
    assert result.exit_code == 1
    assert f"this cannot be certified: {host!r} is no host name and no address" in result.output
    assert not (tmp_path / "made").exists()


def test_a_key_with_a_password_is_not_waited_for(made, tmp_path):
    from cryptography.hazmat.primitives import serialization

    directory, _ = made
    key = serialization.load_pem_private_key((directory / "key.pem").read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (tmp_path / "locked.pem").write_bytes(pem)
    with pytest.raises(StartError, match="the key is encrypted"):
        tls.load(config.Tls(certificate=f"{directory}/certificate.pem", key=f"{tmp_path}/locked.pem"))
