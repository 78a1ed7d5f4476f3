"""A broker, a Redis, and services as processes of the real command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import redis

from stream_app.config import INPUTS, PORT_OFFSETS, LiveConfig, load_config, reader_options
from stream_app.core.allocation.allocator import NUMBER as DESK
from stream_app.demo.secrets import new_secret, write_missing
from tests.harness.servers import KafkaServer, RedisServer
from tests.harness.servers.process import Process, free_port

STREAM_APP: Final = Path(sys.executable).parent / "stream-app"
COMMAND_SECONDS: Final = 600.0


class LiveSystem:
    """Real servers and processes of the real command. All of them end with the block.

    Args:
        settings: of the services, by their names in docs/reference/settings.md: {"shop.horizon": "30d"}.
        kafka: address of a broker; None starts one.
        redis_url: address of a Redis; None starts one.

    ```python
    with LiveSystem({"kafka.partitions": "4"}) as live:
        live.run("topics", "create")
        live.run("publish", "shop.jsonl")
        for name in ("trainer", "allocator", "worker"):
            live.start(name)
        live.wait_until_done()
    ```
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, kafka: str | None = None, redis_url: str | None = None
    ) -> None:
        self._bootstrap, self._redis_url = kafka, redis_url
        self.processes: list[Process] = []
        self._closing = ExitStack()
        self.folder = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="live-")))
        key = self.folder / "model.key"
        write_missing(key, "password", shared=False)
        # River imports scikit-learn if it is installed, a third of a service's start; users do not have it.
        (self.folder / "sklearn.py").write_text('raise ImportError("not for services")\n', encoding="utf-8")
        self.settings = {"ticks.clock": "log", "health.port": "0", "model.key_file": str(key), **(settings or {})}

    def __enter__(self) -> Self:
        if self._bootstrap is None:
            self._bootstrap = self._closing.enter_context(KafkaServer()).bootstrap
        if self._redis_url is None:
            self._redis_url = self._closing.enter_context(RedisServer()).url
        self.redis = redis.Redis.from_url(self._redis_url)
        self._closing.callback(self.redis.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.close()
        self._closing.close()

    @property
    def environ(self) -> dict[str, str]:
        """Environment of all processes."""
        settings = {**self.settings, "kafka.bootstrap": str(self._bootstrap), "redis.url": str(self._redis_url)}
        given = {f"STREAM_APP_{name.upper().replace('.', '__')}": value for name, value in settings.items()}
        path = os.pathsep.join(filter(None, (str(self.folder), os.environ.get("PYTHONPATH"))))
        return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path, **given}

    @cached_property
    def config(self) -> LiveConfig:
        return load_config(environ=self.environ)

    def run(self, *command: str) -> str:
        """Run a command, and return its output. Raise AssertionError if it fails."""
        done = subprocess.run(
            [str(STREAM_APP), *command],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout + done.stderr

    def start(self, name: str, *, instance: str | None = None, program: Sequence[str] | None = None) -> Process:
        """Start a service.

        Args:
            name: of the service.
            instance: name of a worker's instance; by default its number among the processes.
            program: a program to start instead of the command, such as one that crashes it, with `name` as its last
                argument.
        """
        log = self.folder / f"{len(self.processes)}-{name}.log"
        environ = {**self.environ, "STREAM_APP_WORKER__INSTANCE": instance or f"{name}-{len(self.processes)}"}
        process = Process([*(program or [str(STREAM_APP)]), name], environ, log)
        self.processes.append(process)
        return process

    def start_with_metrics(self, name: str) -> tuple[Process, int]:
        """Start a service with a health server. Return its process and the port."""
        port = free_port()
        self.settings["health.port"] = str(port - PORT_OFFSETS[name])
        return self.start(name), port

    def write_channels(self, **channels: dict[str, Any]) -> None:
        """Deliver alerts to webhooks on loopback. Each channel needs a `url`."""
        secret, file = self.folder / "secret", self.folder / "channels.yml"
        secret.write_text(new_secret("webhook"), encoding="utf-8")
        common = {"kind": "webhook", "secret": f"file:{secret}", "allow_private": True}
        named = {name: {**common, **channel} for name, channel in channels.items()}
        file.write_text(json.dumps({"mode": "live", "channels": named}), encoding="utf-8")
        self.settings["delivery.config"] = str(file)

    def positions(self) -> list[dict[str, int] | None]:
        """Return the committed offsets of each partition by role, or None before its first commit."""
        stored = [self._stored(number, "position") for number in range(self.partitions)]
        return [msgspec.json.decode(one)["offsets"] if one else None for one in stored]

    def consumed(self) -> int:
        """Return the number of committed input records, over all partitions."""
        return sum(sum(offsets.values()) for offsets in self.positions() if offsets is not None)

    def hold(self, number: int) -> dict[str, Any] | None:
        """Return the stored tick at which a partition waits for trainer or allocator, or None."""
        summary = self._stored(number, "summary")
        hold: dict[str, Any] | None = msgspec.json.decode(summary)["hold"] if summary else None
        return hold

    def outbox_sequence(self, number: int) -> int:
        """Return the sequence number of the last outbox record of a partition, or of the allocator (`DESK`)."""
        return int(self._stored(number, "sequence") or 0)

    def _stored(self, number: int, name: str) -> bytes | None:
        found: bytes | None = self.redis.hget(f"{self.config.redis.prefix}:{{p{number}}}:meta", name)  # type: ignore[assignment]
        return found

    @property
    def partitions(self) -> int:
        return self.config.kafka.partitions

    def wait(self, what: str, until: Callable[[], bool], seconds: float, every: float = 0.1) -> float:
        """Wait for a condition, and return the seconds that it took.

        Raises:
            AssertionError: a process has failed, or the time has passed.
        """
        started = time.monotonic()
        while not until():
            for process in self.processes:
                if process.popen.poll() not in (None, 0, -signal.SIGKILL, -signal.SIGTERM):
                    raise AssertionError(f"{process.command} ended with {process.popen.returncode}:\n{process.tail()}")
            if time.monotonic() - started > seconds:
                logs = "\n\n".join(f"{process.command}:\n{process.tail()}" for process in self.processes)
                raise AssertionError(f"timed out after {seconds} s: {what}\n{self.positions()}\n{logs}")
            time.sleep(every)
        return time.monotonic() - started

    def wait_until_done(self, seconds: float = 300.0) -> float:
        """Wait until `done`; the log must be published completely."""
        return self.wait("the log is processed", self.done, seconds, every=0.25)

    def done(self) -> bool:
        """Whether all partitions have reached the end of their topics, none waits, and all outboxes are empty."""
        prefix = self.config.redis.prefix
        positions = self.positions()
        if None in positions or any(self.hold(number) is not None for number in range(self.partitions)):
            return False
        if any(self.redis.llen(f"{prefix}:{{p{number}}}:outbox") for number in (*range(self.partitions), DESK)):
            return False
        return all((positions[number] or {}).get(role, 0) == end for (role, number), end in self.ends().items())

    def ends(self) -> dict[tuple[str, int], int]:
        """Return the end offset of each input partition, by role and number."""
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - only where a broker runs

        return {
            (role, number): self._consumer.get_watermark_offsets(TopicPartition(name, number), timeout=10)[1]
            for role, name in self.config.kafka.topics.of(*INPUTS).items()
            for number in range(self.partitions)
        }

    @cached_property
    def _consumer(self) -> Any:
        from confluent_kafka import Consumer  # noqa: PLC0415

        consumer = Consumer(reader_options(self.config.kafka, "live-ends"))
        self._closing.callback(consumer.close)
        return consumer
