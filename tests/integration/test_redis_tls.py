"""A Redis with TLS whose certificate is signed by a private CA, and everything that can go wrong."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_app.config import load_config
from stream_app.errors import BadConfig, StoreUnavailable
from stream_app.services.runtime.stores import Stores
from tests.harness.servers import RedisServer
from tests.harness.servers.process import free_port, program


class Authority:
    """A CA for this test, made with the openssl command."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.file, self._key = folder, folder / f"{name}.pem", folder / f"{name}.key"
        new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        openssl(*new, "-keyout", str(self._key), "-out", str(self.file))

    def signed(self, name: str) -> tuple[Path, Path]:
        """Return a certificate for 127.0.0.1, and its key."""
        key, request, cert = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=IP:127.0.0.1\n")
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request)
        )
        by = ["-CA", str(self.file), "-CAkey", str(self._key), "-CAcreateserial", "-extfile", str(extensions)]
        openssl("x509", "-req", "-days", "2", "-in", str(request), "-out", str(cert), *by)
        return cert, key


def openssl(*arguments: str) -> None:
    subprocess.run([program("openssl", "openssl"), *arguments], check=True, capture_output=True)


class Door:
    """Provide a Redis with a TLS port beside its plain one, and the CA of its certificate."""

    def __init__(self, folder: Path, *, clients: bool) -> None:
        self.authority = Authority(folder, "authority")
        cert, key = self.authority.signed("server")
        self.tls_port = free_port()
        files = [
            "--tls-cert-file",
            str(cert),
            "--tls-key-file",
            str(key),
            "--tls-ca-cert-file",
            str(self.authority.file),
        ]
        wanted = "yes" if clients else "no"
        self.server = RedisServer(options=["--tls-port", str(self.tls_port), "--tls-auth-clients", wanted, *files])
        self.url = f"rediss://127.0.0.1:{self.tls_port}/0"

    def ask(self, url: str = "", **settings: object) -> str:
        """List the versions of the model, and return the error, if any."""
        given = {f"STREAM_APP_REDIS__{name.upper()}": str(value) for name, value in settings.items()}
        environ = {"STREAM_APP_REDIS__URL": url or self.url, "STREAM_APP_REDIS__CONNECT_TIMEOUT": "1s", **given}

        async def versions() -> None:
            stores = Stores(load_config(environ=environ))
            try:
                assert await stores.models.versions() == []
            finally:
                await stores.close()

        try:
            asyncio.run(versions())
        except (StoreUnavailable, BadConfig) as error:
            return str(error)
        return ""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("tls"), clients=False)
    with made.server:
        yield made


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("strict"), clients=True)
    with made.server:
        yield made


def test_a_private_ca_is_trusted_if_the_setting_names_it(door: Door) -> None:
    assert door.ask(ca_file=door.authority.file) == ""


def test_without_the_setting_the_systems_certificates_are_trusted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    said = door.ask()
    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert "Set redis.ca_file" in said
    monkeypatch.setenv("SSL_CERT_FILE", str(door.authority.file))  # where OpenSSL looks for the system's CAs
    assert door.ask() == ""


def test_another_ca_is_not_trusted(door: Door, tmp_path: Path) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in door.ask(ca_file=Authority(tmp_path, "stranger").file)


def test_the_certificate_must_match_the_host(door: Door) -> None:
    said = door.ask(f"rediss://localhost:{door.tls_port}/0", ca_file=door.authority.file)
    assert "'localhost'" in said
    assert "one of the names in that certificate" in said


def test_mismatches_of_port_and_scheme_are_reported(door: Door) -> None:
    plain = door.server.url.replace("redis://", "rediss://")
    assert "A port without TLS never answers rediss://" in door.ask(plain, ca_file=door.authority.file)
    assert "A TLS port needs rediss://" in door.ask(f"redis://127.0.0.1:{door.tls_port}/0")
    with_file = door.ask(f"redis://127.0.0.1:{door.tls_port}/0", ca_file=door.authority.file)
    assert "REDIS__CA_FILE (environment): it has no effect with redis://" in with_file


def test_a_client_certificate_is_presented(strict: Door) -> None:
    cert, key = strict.authority.signed("client")
    assert strict.ask(ca_file=strict.authority.file, cert_file=cert, key_file=key) == ""
    assert "set redis.cert_file" in strict.ask(ca_file=strict.authority.file)


def test_a_file_that_cannot_be_used_is_named(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing, absent = tmp_path / "empty.pem", tmp_path / "absent.pem"
    nothing.write_text("nothing\n")
    ours, stranger = door.authority.signed("ours"), Authority(tmp_path, "stranger").signed("theirs")
    for settings, words in (
        ({"ca_file": absent}, f"REDIS__CA_FILE (environment): it is '{absent}', which does not exist"),
        ({"ca_file": nothing}, f"it is '{nothing}', which contains no certificate"),
        (
            {"cert_file": nothing},
            f"REDIS__CERT_FILE (environment): it is '{nothing}', which does not work with its key",
        ),
        ({"cert_file": ours[0], "key_file": stranger[1]}, "KEY_VALUES_MISMATCH"),
        ({"key_file": ours[1]}, "REDIS__KEY_FILE (environment): it is set without cert_file"),
    ):
        assert words in door.ask("", **settings), settings

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # tests may run as root, who can read every file
    assert "which cannot be read: permission denied. Give the user" in door.ask(ca_file=door.authority.file)
