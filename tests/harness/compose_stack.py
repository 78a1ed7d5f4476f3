"""docker-compose.yml without an engine: reads it, and starts every service's command as a process of this machine.

A process gets what the file gives its container: command, environment, mounted files, start order, health check.
Only host names, ports and the paths of mounts are replaced by those of the machine.
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
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from tests.harness.processes import Process
from tests.harness.servers.kafka import fetch_jars
from tests.harness.servers.process import free_port, program

PROJECT: Final = Path(__file__).resolve().parents[2]
STREAM_APP: Final = Path(sys.executable).parent / "stream-app"
OUR_IMAGE: Final = "stream-app:local"
HEALTH_PORT: Final = "STREAM_APP_HEALTH__PORT"
HEALTHY_SECONDS: Final = 240.0  # at least; on a machine that does other things as well
ONCE_SECONDS: Final = 60.0
CHECK_SECONDS: Final = 10.0
_KAFKA_SETUP: Final = ("kafka.docker.KafkaDockerWrapper", "setup")  # what the image runs before the broker
_KAFKA_DEFAULTS: Final = ("server.properties", "log4j2.yaml", "tools-log4j2.yaml")


class NotHere(Exception):
    """A service cannot be started on this machine, and why."""


@dataclass(frozen=True)
class Service:
    """One service of the file."""

    name: str
    spec: Mapping[str, Any]

    @property
    def image(self) -> str:
        return str(self.spec["image"])

    @property
    def ours(self) -> bool:
        """Whether it is a process of this project."""
        return self.image == OUR_IMAGE

    @property
    def command(self) -> list[str]:
        return list(self.spec.get("command", []))

    @property
    def environment(self) -> dict[str, str]:
        return dict(self.spec.get("environment", {}))

    @property
    def once(self) -> bool:
        """Whether it runs to its end, before others start."""
        return self.spec.get("restart") == "no"

    @property
    def check(self) -> list[str]:
        """The health check as a command."""
        kind, *command = self.spec["healthcheck"]["test"]
        assert kind == "CMD", "a shell is one more thing that an image must have"
        return command

    @property
    def healthy_within(self) -> float:
        """Seconds in which its health check must be well."""
        period = str(self.spec["healthcheck"]["start_period"])
        return max(float(period.removesuffix("s")), HEALTHY_SECONDS)

    @property
    def needs(self) -> dict[str, str]:
        """Which services come before it, and how far they must be."""
        return {name: one["condition"] for name, one in self.spec.get("depends_on", {}).items()}

    @property
    def ports(self) -> list[int]:
        """Those that it listens on in its container."""
        published = [int(str(one).rpartition(":")[2]) for one in self.spec.get("ports", [])]
        return sorted({*map(int, self.spec.get("expose", [])), *published})

    @property
    def mounts(self) -> list[tuple[str, str, str]]:
        """(source, path in the container, mode) of each volume."""
        parts = [str(one).split(":") for one in self.spec.get("volumes", [])]
        return [(part[0], part[1], part[2] if len(part) > 2 else "rw") for part in parts]

    @property
    def temporary(self) -> list[str]:
        """Paths of its file systems in memory."""
        return [str(one).partition(":")[0] for one in self.spec.get("tmpfs", [])]


class ComposeFile:
    """All of the file, with its anchors and merges resolved."""

    def __init__(self, path: Path = PROJECT / "docker-compose.yml") -> None:
        self.folder = path.parent
        self.raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.services = {name: Service(name, spec) for name, spec in self.raw["services"].items()}

    def order(self) -> list[Service]:
        """The services as `docker compose up` starts them: each after those that it needs."""
        ordered: dict[str, Service] = {}

        def add(name: str, above: tuple[str, ...] = ()) -> None:
            assert name not in above, f"a circle: {' -> '.join([*above, name])}"
            for needed in self.services[name].needs:
                add(needed, (*above, name))
            ordered.setdefault(name, self.services[name])

        for name in self.services:
            add(name)
        return list(ordered.values())


class Stack:
    """The services as processes.

    Args:
        file: what is started.
        folder: for volumes, mounts and logs; the same folder again is the same volumes.
    """

    def __init__(self, file: ComposeFile, folder: Path) -> None:
        self.file, self.folder = file, folder
        self.running: dict[str, Process] = {}
        self.healthy_after: dict[str, float] = {}  # seconds, of the services with a health check
        self.not_here: dict[str, str] = {}
        self._ports = {(one.name, port): free_port() for one in file.services.values() for port in one.ports}

    def up(self) -> None:
        """Start all that this machine has, in the file's order; returns when every health check is well."""
        for service in self.file.order():
            absent = [name for name in service.needs if name in self.not_here]
            if absent:
                self.not_here[service.name] = f"needs {', '.join(absent)}"
                continue
            try:
                self._start(service)
            except NotHere as reason:
                self.not_here[service.name] = str(reason)

    def down(self) -> dict[str, int]:
        """Stop all as `docker compose down` does, the last first; their exit statuses."""
        statuses = {name: process.stop() for name, process in reversed(self.running.items())}
        self.close()
        return statuses

    def close(self) -> None:
        """End whatever runs."""
        for process in reversed(self.running.values()):
            process.close()
        self.running = {}

    def address(self, service: str, port: int) -> str:
        """Where a port of a container is on this machine."""
        return f"127.0.0.1:{self._ports[service, port]}"

    def said(self, service: str) -> str:
        """The log of a service."""
        return (self.folder / f"{service}.log").read_text(errors="replace")

    def environ(self, service: Service) -> dict[str, str]:
        """What a container has: nothing of this machine but where programs are."""
        words = _Words(self, service)
        given = {name: words.said(value) for name, value in service.environment.items()}
        if HEALTH_PORT in given and (offset := self._health_offset(service)) is not None:
            port, base = offset
            given[HEALTH_PORT] = str(self._ports[service.name, port] - (port - base))
        passed = ("PATH", "COV_CORE_SOURCE", "COV_CORE_CONFIG", "COV_CORE_DATAFILE", "COVERAGE_PROCESS_START")
        return {name: os.environ[name] for name in passed if name in os.environ} | given

    def is_healthy(self, service: Service) -> bool:
        """One run of the health check."""
        name, *rest = [_Words(self, service).said(word) for word in service.check]
        match name:
            case "nc":
                return _listens(rest[-2], int(rest[-1]))
            case "wget":
                return _answers(rest[-1])
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
        command = self._program(service)
        environ = self.environ(service)
        process = Process(command, environ, self.folder / f"{service.name}.log")
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
        assert status == 0, f"{service.name} ended with {status}:\n{self.said(service.name)[-2_000:]}"

    def wait(self, what: str, until: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds; fails when a process has ended, or in time."""
        deadline = time.monotonic() + seconds
        while not until():
            for name, process in self.running.items():
                assert process.running, f"{name} ended with {process.popen.returncode}:\n{process.tail()}"
            assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}\n{self._all_said()}"
            time.sleep(0.5)

    def _all_said(self) -> str:
        return "\n\n".join(f"{name}:\n{process.tail()[-1_500:]}" for name, process in self.running.items())

    # --- what stands for the containers ---------------------------------------------------------------------------

    def _program(self, service: Service) -> list[str]:
        """The command line: what the image's entry point makes of the command."""
        words = [_Words(self, service).said(word) for word in service.command]
        match service.image.partition(":")[0]:
            case "stream-app":
                if service.command[0] not in our_commands():
                    raise NotHere(f"the command `stream-app {service.command[0]}` is not there yet")
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
                raise NotHere(f"there is no program for {other} outside of its image")

    def _broker(self, service: Service) -> list[str]:
        """As the image does: the environment becomes a file by Kafka's own code, which also formats the storage."""
        java = [program("java", "default-jre-headless"), *service.environment["KAFKA_HEAP_OPTS"].split()]
        java += ["-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{fetch_jars()}/*"]
        defaults, given = self.folder / "kafka-defaults", self.folder / "kafka-given"
        final = self._path_of(service, "/opt/kafka/config")
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
            there = self.file.folder / source
            if not there.exists():
                raise NotHere(f"{source} is not there yet")
            self._copy(there, self._path_of(service, target), _Words(self, service))
        for path in service.temporary:
            shutil.rmtree(self._path_of(service, path), ignore_errors=True)  # a new container's memory is empty
            self._path_of(service, path).mkdir(parents=True)

    def _copy(self, source: Path, target: Path, words: _Words) -> None:
        """A mounted file or folder, with the machine's names in it."""
        for file in [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file()):
            copy = target if source.is_file() else target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(words.said(file.read_text(encoding="utf-8")), encoding="utf-8")

    def _path_of(self, service: Service, path: str) -> Path:
        """Where a path of a container is on this machine."""
        return dict(self.paths(service))[path]

    def paths(self, service: Service) -> Iterator[tuple[str, Path]]:
        """Each mounted path of a container, and where it is on this machine."""
        for source, target, _ in service.mounts:
            own = self.folder / "mounts" / service.name / target.strip("/")
            yield target, own if source.startswith(".") else self.folder / "volumes" / source
        for path in service.temporary:
            yield path, self.folder / "memory" / service.name / path.strip("/")

    def _health_offset(self, service: Service) -> tuple[int, int] | None:
        """The port at which a service of ours tells how it is, and the one that its settings count from."""
        base = int(service.environment[HEALTH_PORT])
        near = [port for port in service.ports if base <= port < base + 10]
        return (near[0], base) if near else None


class _Words:
    """Replaces what a container calls otherwise than this machine."""

    def __init__(self, stack: Stack, service: Service) -> None:
        self._stack, self._service = stack, service

    def said(self, text: str) -> str:
        """A value, an argument or a mounted file, as this machine has it."""
        if text == "0.0.0.0":  # noqa: S104 - what containers listen on
            return "127.0.0.1"
        if text.isdigit() and int(text) in self._service.ports:
            return str(self._stack.address(self._service.name, int(text)).rpartition(":")[2])
        text = self._addresses.sub(self._address, text)
        return self._mounted.sub(lambda found: str(self._paths[found[0]]), text)

    @cached_property
    def _paths(self) -> dict[str, Path]:
        return dict(self._stack.paths(self._service))

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


def our_commands() -> Sequence[str]:
    """The commands that `stream-app` knows."""
    from typer.main import get_command  # noqa: PLC0415

    from stream_app.cli import app  # noqa: PLC0415

    return list(get_command(app).commands)  # type: ignore[attr-defined]  # a group


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2.0).close()
    except OSError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5.0) as answer:  # noqa: S310 - an address of ours
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


TERMINATED: Final = {0, -signal.SIGTERM, 128 + signal.SIGTERM}  # Java ends with 143
