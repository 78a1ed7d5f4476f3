"""Run a service that kills itself with SIGKILL at planned steps and is restarted at once.

    crash_at_steps.py decide:3 sent:5 worker

kills the first process the third time that it is about to decide, and the second one in its fifth commit; the third one
runs on. A step is one that the services report (`on_step`), or one inside the call in which Redis stores a commit:

- `torn`: half of the request is sent to Redis, and the rest is not.
- `sent`: the whole request is sent; the reply is not read.
- `stored`: Redis has executed it and replied; the reply is not read.

Every run is a fork of a process that has imported the service: an import takes seconds, a fork milliseconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry
from redis.asyncio.connection import AbstractConnection

from stream_app.config import LiveConfig, load_config
from stream_app.services.allocator.service import AllocatorService
from stream_app.services.notifier.service import NotifierService
from stream_app.services.runtime.consumer_service import ConsumerService
from stream_app.services.runtime.crash import Crash
from stream_app.services.runtime.process import run_service
from stream_app.services.trainer.service import TrainerService
from stream_app.services.worker.service import WorkerService

SERVICES: dict[str, Any] = {
    "worker": WorkerService,
    "trainer": TrainerService,
    "allocator": AllocatorService,
    "notifier": NotifierService,
}
# The step before the call to Redis.
COMMITS = {"worker": "commit", "allocator": "commit", "trainer": "checkpoint", "notifier": "commit"}
PR_SET_PDEATHSIG = 1  # Linux kills this process when its parent ends
FLUSHED_SECONDS = 0.001  # uvloop writes at the end of its iteration
ANSWERED_SECONDS = 0.05  # Redis needs one or two milliseconds for a commit


def die() -> NoReturn:
    """Kill this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


class Planned:
    """Counts steps, and kills the process at the planned one."""

    def __init__(self, plan: str, commit: str) -> None:
        self._step, _, count = plan.partition(":")
        self._left = int(count or 0)
        self._commit = commit
        self._inside = False
        if self._step in {"torn", "sent", "stored"}:
            _patch(self)

    def on_step(self, step: str) -> None:
        """Count a step of the service."""
        if step == self._commit:
            self._inside = True
        if step == self._step:
            self._count()

    async def send(self, connection: Any, command: list[bytes], send: Callable[..., Any]) -> None:
        """Send a command to Redis, or what is left of it before the kill."""
        if not (self._inside and b"EVALSHA" in command[0][:32]):
            await send(connection, command)
            return
        self._inside = False
        self._left -= 1
        if self._left:
            await send(connection, command)
            return
        whole = b"".join(command)
        if self._step == "torn":
            whole = whole[: len(whole) // 2]
        await send(connection, [whole])
        # The reply is not read: the caller waits here.
        await asyncio.sleep(ANSWERED_SECONDS if self._step == "stored" else FLUSHED_SECONDS)
        die()

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            die()


def _patch(planned: Planned) -> None:
    """Pass every request to the plan."""
    send = AbstractConnection.send_packed_command

    async def watched(self: Any, command: Any, check_health: bool = True) -> None:
        parts = [command] if isinstance(command, bytes) else list(command)
        await planned.send(self, parts, lambda connection, rest: send(connection, rest, check_health))

    AbstractConnection.send_packed_command = watched  # type: ignore[method-assign]


def live(name: str, plan: str) -> int:
    """Run the service in this process until it ends or is killed, and return its exit status."""
    planned = Planned(plan, COMMITS[name])

    def make(config: LiveConfig, registry: CollectorRegistry, crash: Crash) -> ConsumerService:
        service: ConsumerService = SERVICES[name](config, registry, crash, planned.on_step)
        return service

    return run_service(name, load_config(), make)


def fork(name: str, plan: str) -> int:
    """Run the service in a new process, which ends with this one, and return its pid."""
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os._exit(live(name, plan))


def _forward(pid: int, number: int, _: FrameType | None) -> None:
    os.kill(pid, number)


def main(name: str, plans: list[str]) -> int:
    """Run the service again after each planned kill, and return the last exit status."""
    for plan in [*plans, ""]:
        started = time.monotonic()
        pid = fork(name, plan)
        signal.signal(signal.SIGTERM, partial(_forward, pid))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != -signal.SIGKILL or not plan:
            return status
        sys.stderr.write(f"killed at {plan} after {time.monotonic() - started:.1f} s\n")
        sys.stderr.flush()
    raise AssertionError("unreachable")


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1], sys.argv[1:-1]))
