"""Processes of tests and benchmarks. They never outlive the process that starts them."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from random import randrange
from types import TracebackType
from typing import Final, Self

START_SECONDS: Final = 60.0  # a cold Java on a busy machine took 12
STOP_SECONDS: Final = 30.0
_PORTS_IN_A_ROW: Final = 4  # of the four services of a system
_FIRST_PORT, _PORTS = 20_000, 1_500  # per worker of pytest-xdist, up to eight of them
_OWNERSHIP: Final = re.compile(r'"event": "(Partition task (?:opened|closed))".*?"partition": (\d+)')


class Missing(Exception):
    """A program that a server needs is missing on this machine."""


class Process:
    """A process with a log file. It can be restarted after its end.

    Args:
        command: program and arguments.
        environ: its environment.
        log: file to which its output is appended.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.command, self.log = list(command), log
        self._environ = dict(environ)
        self.restart()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def restart(self) -> None:
        """Start the command again."""
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                with_parent(self.command), env=self._environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def kill(self) -> None:
        """Send SIGKILL."""
        self.popen.kill()
        self.popen.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise

    def close(self) -> None:
        if self.running:
            self.kill()

    def tail(self, characters: int = 4_000) -> str:
        return self.log.read_text(errors="replace")[-characters:]

    def partitions(self) -> set[int]:
        """Return the partitions that a worker owns according to its log."""
        latest = {int(number): event for event, number in _OWNERSHIP.findall(self.log.read_text(errors="replace"))}
        return {number for number, event in latest.items() if event == "Partition task opened"}


class Server(ABC):
    """A server process on loopback with a data folder.

    After `kill` or `terminate`, `start` brings it back on the same port with the same folder, as after a crash. Leaving
    the `with` block kills the server and removes the folder.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))
        self._process: Process | None = None

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Return the command to start. Raise `Missing` if a program is missing."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether the server answers."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            Missing: a program is missing.
            RuntimeError: the server did not start. The message has the end of its log.
        """
        self._process = Process(self._command(), os.environ, self.log)
        until = time.monotonic() + START_SECONDS
        while not self._ready():
            if not self._process.running or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"{type(self).__name__} did not start:\n{self._process.tail(2_000)}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Send SIGKILL. Data outside its folder is lost."""
        if self._process is not None:
            self._process.kill()

    def terminate(self) -> None:
        """Send SIGTERM and wait for the end."""
        if self._process is not None:
            self._process.stop()

    def close(self) -> None:
        """End the server and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def free_port() -> int:
    """Return a free loopback port whose next three are free as well: services add up to three to it.

    It is below the ports that the system assigns to clients, so no connection takes it meanwhile, and in the range of
    this worker of pytest-xdist, so no other worker takes it.
    """
    first = _FIRST_PORT + _PORTS * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
    while True:
        port = randrange(first, first + _PORTS - _PORTS_IN_A_ROW)
        with ExitStack() as stack:
            try:
                for offset in range(_PORTS_IN_A_ROW):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            except OSError:
                continue
        return port


def program(name: str, package: str) -> str:
    """Return the path of a program. Raise `Missing` with the name of its Debian package."""
    path = shutil.which(name)
    if path is None:
        raise Missing(f"the program {name}: apt-get install {package}")
    return path


def with_parent(command: Sequence[str]) -> list[str]:
    """Wrap a command so that the kernel kills it when the starting thread ends.

    `setpriv` is part of util-linux, hence of every Debian; without it, a process survives a crash of the test.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else list(command)


def answers(port: int, path: str) -> bool:
    """Whether a loopback server answers a request with 200."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
