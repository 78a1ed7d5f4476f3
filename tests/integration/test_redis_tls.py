"""A Redis with TLS whose certificate a private CA has signed; and every way in which that goes wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.live.system import STREAM_APP
from benchmarks.servers import RedisServer
from benchmarks.servers.process import free_port, program


class Authority:
    """A CA of this test, which signs certificates; made with the openssl command."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.file, self._key = folder, folder / f"{name}.pem", folder / f"{name}.key"
        new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        openssl(*new, "-keyout", str(self._key), "-out", str(self.file))

    def signed(self, name: str) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1, and its key."""
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
    """A Redis with a TLS port beside its plain one, and the CA of its certificate."""

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

    def ask(self, url: str = "", **settings: object) -> tuple[int, str]:
        """Exit status and words of a command that asks Redis."""
        given = {f"STREAM_APP_REDIS__{name.upper()}": str(value) for name, value in settings.items() if name != "env"}
        environ = {**os.environ, "COLUMNS": "400", "STREAM_APP_REDIS__URL": url or self.url, **given}
        environ |= settings.get("env", {})  # type: ignore[arg-type,operator]
        command = [str(STREAM_APP), "model", "list"]
        asked = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
        assert "Traceback" not in asked.stderr
        return asked.returncode, asked.stdout + asked.stderr


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
    assert door.ask(ca_file=door.authority.file) == (0, door.ask(url=door.server.url)[1])


def test_without_the_setting_the_systems_certificates_are_trusted(door: Door) -> None:
    status, said = door.ask()
    assert (status, "CERTIFICATE_VERIFY_FAILED" in said, "Give redis.ca_file" in said) == (5, True, True)
    assert door.ask(env={"SSL_CERT_FILE": str(door.authority.file)})[0] == 0


def test_another_ca_is_not_trusted(door: Door, tmp_path: Path) -> None:
    status, said = door.ask(ca_file=Authority(tmp_path, "stranger").file)
    assert (status, "CERTIFICATE_VERIFY_FAILED" in said) == (5, True)


def test_the_certificate_must_bear_the_name_of_the_host(door: Door) -> None:
    status, said = door.ask(f"rediss://localhost:{door.tls_port}/0", ca_file=door.authority.file)
    assert (status, "localhost" in said, "one of the certificate's names" in said) == (5, True, True)


def test_tls_is_not_spoken_with_a_plain_port_nor_without_tls(door: Door) -> None:
    status, said = door.ask(door.server.url.replace("redis://", "rediss://"), ca_file=door.authority.file)
    assert (status, "speaks no TLS" in said) == (5, True), said
    status, said = door.ask(f"redis://127.0.0.1:{door.tls_port}/0")
    assert (status, "rediss://" in said) == (5, True), said


def test_a_client_proves_who_it_is_with_a_certificate(strict: Door) -> None:
    cert, key = strict.authority.signed("client")
    assert strict.ask(ca_file=strict.authority.file, cert_file=cert, key_file=key)[0] == 0
    status, said = strict.ask(ca_file=strict.authority.file)
    assert (status, "redis.cert_file" in said) == (5, True), said


@pytest.mark.parametrize("name", ["ca_file", "cert_file"])
def test_a_file_that_is_missing_or_holds_no_certificate_is_named(door: Door, tmp_path: Path, name: str) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    for path, words in ((tmp_path / "absent.pem", "no file is there"), (empty, str(empty))):
        status, said = door.ask(**{name: path})
        assert (status, f"STREAM_APP_REDIS__{name.upper()}" in said, words in said) == (2, True, True), said
