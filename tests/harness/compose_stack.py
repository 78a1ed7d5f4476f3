"""docker-compose.yml without a container engine: every service runs as a process of this machine.

A process gets what the file gives its container: command, environment, mounted files, start order, health check. Only
host names, ports and paths of mounts are replaced by those of this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.harness.compose_file import HEALTH_PORT, ComposeFile, Service
from tests.harness.processes import Process
from tests.harness.servers.kafka import fetch_jars
from tests.harness.servers.process import answers, free_port, program

STREAM_APP: Final = Path(sys.executable).parent / "stream-app"
ONCE_SECONDS: Final = 60.0
CHECK_SECONDS: Final = 10.0
_KAFKA_SETUP: Final = ("kafka.docker.KafkaDockerWrapper", "setup")  # runs before the broker in the image
_KAFKA_DEFAULTS: Final = ("server.properties", "log4j2.yaml", "tools-log4j2.yaml")


class NotAvailable(Exception):
    """A service cannot be started on this machine."""


class Stack:
    """The services as processes.

    Args:
        file: the compose file.
        folder: for volumes, mounts and logs; volumes persist if the same folder is used again.
    """

    def __init__(self, file: ComposeFile, folder: Path) -> None:
        self.file, self.folder = file, folder
        self.running: dict[str, Process] = {}
        self.healthy_after: dict[str, float] = {}  # seconds, by service
        self.unavailable: dict[str, str] = {}
        self._ports = {(one.name, port): free_port() for one in file.services.values() for port in one.ports}

    def up(self) -> None:
        """Start all services that this machine can run, in the file's order, and wait for their health checks."""
        for service in self.file.order():
            absent = [name for name in service.needs if name in self.unavailable]
            if absent:
                self.unavailable[service.name] = f"needs {', '.join(absent)}"
                continue
            try:
                self._start(service)
            except NotAvailable as reason:
                self.unavailable[service.name] = str(reason)

    def down(self) -> dict[str, int]:
        """Stop all services as `docker compose down` does, the last one first. Return their exit statuses."""
        statuses = {name: process.stop() for name, process in reversed(self.running.items())}
        self.close()
        return statuses

    def close(self) -> None:
        for process in reversed(self.running.values()):
            process.close()
        self.running = {}

    def address(self, service: str, port: int) -> str:
        return f"127.0.0.1:{self._ports[service, port]}"

    def log_of(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text(errors="replace")

    def environ(self, service: Service) -> dict[str, str]:
        """Return the environment of a container, plus this machine's PATH and the variables of coverage."""
        words = _Words(self, service)
        given = {name: words.local(value) for name, value in service.environment.items()}
        if HEALTH_PORT in given:  # the base from which each service counts its own port
            base = int(service.environment[HEALTH_PORT])
            for port in [port for port in service.ports if base <= port < base + 10][:1]:
                given[HEALTH_PORT] = str(self._ports[service.name, port] - (port - base))
        passed = ("PATH", "COV_CORE_SOURCE", "COV_CORE_CONFIG", "COV_CORE_DATAFILE", "COVERAGE_PROCESS_START")
        return {name: os.environ[name] for name in passed if name in os.environ} | given

    def is_healthy(self, service: Service) -> bool:
        name, *rest = [_Words(self, service).local(word) for word in service.check]
        match name:
            case "nc":
                return _listens(rest[-2], int(rest[-1]))
            case "wget":
                url = urlsplit(rest[-1])
                return answers(int(url.port or 80), url.path)
            case "stream-app":
                name = str(STREAM_APP)
            case _:
                name = program(name, name)
        command, environ = [name, *rest], self.environ(service)
        return not subprocess.run(
            command, env=environ, capture_output=True, timeout=CHECK_SECONDS, check=False
        ).returncode

    def _start(self, service: Service) -> None:
        self._mount(service)
        process = Process(self._program(service), self.environ(service), self.folder / f"{service.name}.log")
        if service.once:
            self._finish(service, process)
            return
        self.running[service.name] = process
        started = time.monotonic()
        self.wait(f"{service.name} is healthy", lambda: self.is_healthy(service), service.healthy_within)
        self.healthy_after[service.name] = time.monotonic() - started

    def _finish(self, service: Service, process: Process) -> None:
        try:
            status = process.popen.wait(ONCE_SECONDS)
        finally:
            process.close()
        assert status == 0, f"{service.name} ended with {status}:\n{self.log_of(service.name)[-2_000:]}"

    def wait(self, what: str, until: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition. Raise AssertionError if a process has ended, or the time has passed."""
        deadline = time.monotonic() + seconds
        while not until():
            for name, process in self.running.items():
                assert process.running, f"{name} ended with {process.popen.returncode}:\n{process.tail()}"
            logs = "\n\n".join(f"{name}:\n{process.tail(1_500)}" for name, process in self.running.items())
            assert time.monotonic() < deadline, f"timed out after {seconds:.0f} s: {what}\n{logs}"
            time.sleep(0.5)

    # --- containers as processes ----------------------------------------------------------------------------------

    def _program(self, service: Service) -> list[str]:
        """Return the command line that the image's entry point runs."""
        words = [_Words(self, service).local(word) for word in service.command]
        match service.image.partition(":")[0]:
            case "stream-app":
                return [str(STREAM_APP), *words]
            case "redis":
                return [program("redis-server", "redis-server"), *words[1:]]
            case "prom/prometheus":
                return [program("prometheus", "prometheus"), *words]
            case "prom/alertmanager":
                return [program("prometheus-alertmanager", "prometheus-alertmanager"), *words]
            case "apache/kafka":
                return self._broker(service)
            case other:
                raise NotAvailable(f"{other} has no program outside of its image")

    def _broker(self, service: Service) -> list[str]:
        """Run Kafka's set-up as the image does: it writes the environment to a file and formats the storage."""
        java = [program("java", "default-jre-headless"), *service.environment["KAFKA_HEAP_OPTS"].split()]
        java += ["-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{fetch_jars()}/*"]
        defaults, given = self.folder / "kafka-defaults", self.folder / "kafka-given"
        final = self.paths(service)["/opt/kafka/config"]
        for folder in (defaults, given):
            folder.mkdir(exist_ok=True)
        for name in _KAFKA_DEFAULTS:
            (defaults / name).touch()
        folders = {"default": defaults, "mounted": given, "final": final}
        options = [word for name, path in folders.items() for word in (f"--{name}-configs-dir", str(path))]
        done = subprocess.run(
            [*java, *_KAFKA_SETUP, *options], env=self.environ(service), capture_output=True, text=True, check=False
        )
        already = "already formatted" in done.stdout + done.stderr
        assert not done.returncode or already, (
            f"the set-up of Kafka failed:\n{done.stdout[-1_000:]}{done.stderr[-2_000:]}"
        )
        return [*java, "kafka.Kafka", str(final / "server.properties")]

    def _mount(self, service: Service) -> None:
        for source, target, _ in service.mounts:
            if not source.startswith("."):
                (self.folder / "volumes" / source).mkdir(parents=True, exist_ok=True)
                continue
            self._copy(self.file.folder / source, self.paths(service)[target], _Words(self, service))
        for path in service.temporary:
            shutil.rmtree(self.paths(service)[path], ignore_errors=True)  # empty in a new container
            self.paths(service)[path].mkdir(parents=True)

    def _copy(self, source: Path, target: Path, words: _Words) -> None:
        """Copy a mounted file or folder, and replace the names in it by those of this machine."""
        for file in [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file()):
            copy = target if source.is_file() else target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(words.local(file.read_text(encoding="utf-8")), encoding="utf-8")

    def paths(self, service: Service) -> dict[str, Path]:
        """Return the paths on this machine of a container's mounts, by path in the container."""
        mounts, memory = self.folder / "mounts" / service.name, self.folder / "memory" / service.name
        return {
            target: mounts / target.strip("/") if source.startswith(".") else self.folder / "volumes" / source
            for source, target, _ in service.mounts
        } | {path: memory / path.strip("/") for path in service.temporary}


class _Words:
    """Replaces the names in a container by those of this machine."""

    def __init__(self, stack: Stack, service: Service) -> None:
        self._stack, self._service = stack, service

    def local(self, text: str) -> str:
        """Replace container names in a value, an argument or the text of a file by those of this machine."""
        if text == "0.0.0.0":  # noqa: S104 - in a container
            return "127.0.0.1"
        if text.isdigit() and int(text) in self._service.ports:
            return str(self._stack.address(self._service.name, int(text)).rpartition(":")[2])
        text = self._addresses.sub(self._address, text)
        return self._mounted.sub(lambda found: str(self._paths[found[0]]), text)

    @cached_property
    def _paths(self) -> dict[str, Path]:
        return self._stack.paths(self._service)

    @cached_property
    def _mounted(self) -> re.Pattern[str]:
        longest_first = sorted(self._paths, key=len, reverse=True)
        names = "|".join(map(re.escape, longest_first)) or r"(?!)"
        return re.compile(rf"(?<![\w/.-])(?:{names})(?=/|$|[\s\"',])", re.MULTILINE)

    @cached_property
    def _addresses(self) -> re.Pattern[str]:
        names = "|".join(map(re.escape, self._stack.file.services))
        return re.compile(rf"(?<![\w.-])({names}|localhost|127\.0\.0\.1|0\.0\.0\.0|(?<=://)):(\d+)\b")

    def _address(self, found: re.Match[str]) -> str:
        name = found[1] if found[1] in self._stack.file.services else self._service.name
        known = int(found[2]) in self._stack.file.services[name].ports
        return self._stack.address(name, int(found[2])) if known else found[0]


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2.0).close()
    except OSError:
        return False
    return True


TERMINATED: Final = {0, -signal.SIGTERM, 128 + signal.SIGTERM}  # Java ends with 143
