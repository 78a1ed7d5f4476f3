"""A server of ours: a process with a folder and a log file, that never outlives the process which started it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from random import randrange
from types import TracebackType
from typing import Self

START_SECONDS = 60.0  # a cold Java on a busy machine took 12
STOP_SECONDS = 30.0
_PORTS_IN_A_ROW = 4  # worker, trainer, desk and deliverer of one system
_FIRST_PORT, _PORTS = 20_000, 1_500  # of one worker of pytest-xdist, up to eight of them


class Missing(Exception):
    """A program that a server needs is not on this machine."""


class Server(ABC):
    """One server process on loopback, and its data, which lives as long as this object is open.

    `start` and `kill` may be called again and again: the server comes back on the same port with the same folder, as
    after a crash. Leaving the `with` block kills it and removes the folder.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """What to start; raises `Missing`."""

    @abstractmethod
    def _ready(self) -> bool:
        """Does it answer?"""

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        """What the server printed."""
        return self.folder / "server.log"

    def start(self) -> None:
        """Start the server and wait until it answers. Raises `Missing`, or `RuntimeError` with the end of its log."""
        command = with_parent(self._command())
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        until = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"{type(self).__name__} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a crash would; what it had not yet written to its folder is gone."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """Let it stop in good order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_SECONDS)
            self._process = None

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
    """Return a loopback port that was free a moment ago, as were those behind it: a service adds up to three to it.

    It lies below the ports that the system gives to clients, so that no connection takes it meanwhile, and among those
    of this worker of pytest-xdist, so that no other worker takes it.
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
    """The path of a program. Raises `Missing` with Debian's name of the package that brings it."""
    path = shutil.which(name)
    if path is None:
        raise Missing(f"the program {name}: apt-get install {package}")
    return path


def with_parent(command: Sequence[str]) -> list[str]:
    """The command, killed by the kernel when the thread that starts it ends: a crash of a test leaves no server.

    `setpriv` is part of util-linux, so on every Debian; elsewhere only an orderly end of the starter stops the server.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else list(command)
