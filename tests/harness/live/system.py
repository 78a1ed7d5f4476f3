"""A broker, a Redis, topics, and services as processes of the real command."""

from __future__ import annotations

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
from typing import IO, Any, Final, Self

import msgspec
import redis

from stream_app.config import INPUTS, LiveConfig, load_config, reader_options
from stream_app.core.allocation.allocator import NUMBER as DESK
from stream_app.demo.secrets import write_missing
from tests.harness.servers import KafkaServer, RedisServer
from tests.harness.servers.process import with_parent

STREAM_APP: Final = Path(sys.executable).parent / "stream-app"
STOP_SECONDS: Final = 30.0
COMMAND_SECONDS: Final = 600.0


class Process:
    """One service, whose log is kept."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.command, self.log = list(command), log
        self._environ = dict(environ)
        self._file: IO[bytes] = log.open("ab")
        self.popen = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            with_parent(self.command),
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
        )

    @property
    def pid(self) -> int:
        """Of the process as it is now."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def kill(self) -> None:
        """As a crash of the machine: kill -9."""
        self.popen.kill()
        self.popen.wait(STOP_SECONDS)

    def restart(self) -> None:
        """Start the same command again, after it has ended."""
        self.popen = self._started()

    def stop(self) -> int:
        """As its supervisor does: SIGTERM, then wait. Returns the exit status."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4_000:]

    def close(self) -> None:
        """End it, whatever it is doing."""
        if self.running:
            self.popen.kill()
            self.popen.wait(STOP_SECONDS)
        self._file.close()


class LiveSystem:
    """Real servers and real processes; everything ends with the block.

    Args:
        settings: of the service, by their names in docs/settings.md: {"shop.horizon": "30d"}.
        kafka: a broker to use; None: an own one.
        redis_url: a Redis to use; None: an own one.

    ```python
    with LiveSystem({"kafka.partitions": "4"}) as live:
        live.run("topics", "create")
        live.run("publish", "shop.jsonl")
        for name in ("trainer", "desk", "worker"):
            live.start(name)
        live.wait_until_done()
    ```
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, kafka: str | None = None, redis_url: str | None = None
    ) -> None:
        self._bootstrap, self._redis_url = kafka, redis_url
        self.processes: list[Process] = []
        self._servers: list[KafkaServer | RedisServer] = []
        self._closing = ExitStack()
        self._folder = tempfile.TemporaryDirectory(prefix="live-")
        self.folder = Path(self._folder.name)
        key = self.folder / "model.key"
        write_missing(key, "password", shared=False)
        # River imports scikit-learn where it is installed, a third of a service's start; users have none.
        (self.folder / "sklearn.py").write_text('raise ImportError("not for services")\n', encoding="utf-8")
        self.settings = {"ticks.clock": "log", "health.port": "0", "model.key_file": str(key), **(settings or {})}

    def __enter__(self) -> Self:
        if self._bootstrap is None:
            kafka = KafkaServer()
            self._servers.append(kafka)
            kafka.start()
            self._bootstrap = kafka.bootstrap
        if self._redis_url is None:
            server = RedisServer()
            self._servers.append(server)
            server.start()
            self._redis_url = server.url
        self.redis = redis.Redis.from_url(self._redis_url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.close()
        self._closing.close()
        if hasattr(self, "redis"):
            self.redis.close()
        for server in self._servers:
            server.close()
        self._folder.cleanup()

    @property
    def environ(self) -> dict[str, str]:
        """What every process of the system has in its environment."""
        given = {f"STREAM_APP_{name.upper().replace('.', '__')}": value for name, value in self.settings.items()}
        servers = {
            "STREAM_APP_KAFKA__BOOTSTRAP": str(self._bootstrap),
            "STREAM_APP_REDIS__URL": str(self._redis_url),
        }
        path = os.pathsep.join(filter(None, (str(self.folder), os.environ.get("PYTHONPATH"))))
        return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path, **given, **servers}

    @cached_property
    def config(self) -> LiveConfig:
        """The settings as the processes see them."""
        return load_config(environ=self.environ)

    def run(self, *command: str) -> str:
        """Run a command to its end; returns what it said. Raises AssertionError if it failed."""
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
            name: worker, trainer or desk.
            instance: of a worker; by default its number among the processes.
            program: what to start instead of the command, such as one that crashes it; `name` is its last argument.
        """
        log = self.folder / f"{len(self.processes)}-{name}.log"
        environ = {**self.environ, "STREAM_APP_WORKER__INSTANCE": instance or f"{name}-{len(self.processes)}"}
        process = Process([*(program or [str(STREAM_APP)]), name], environ, log)
        self.processes.append(process)
        return process

    def positions(self) -> list[dict[str, int] | None]:
        """The committed offsets of every partition number by role; None: nothing was committed yet."""
        stored = [self._stored(number, "position") for number in range(self.partitions)]
        return [msgspec.json.decode(one)["offsets"] if one else None for one in stored]

    def consumed(self) -> int:
        """How many records of the input topics are in stored commits, over all partitions."""
        return sum(sum(offsets.values()) for offsets in self.positions() if offsets is not None)

    def hold(self, number: int) -> dict[str, Any] | None:
        """The tick at which a partition waits for trainer or desk, as stored; None: it goes on."""
        summary = self._stored(number, "summary")
        hold: dict[str, Any] | None = msgspec.json.decode(summary)["hold"] if summary else None
        return hold

    def outbox_sequence(self, number: int) -> int:
        """The sequence number of the last record in a partition's outbox, or of the desk's (desk.NUMBER)."""
        return int(self._stored(number, "sequence") or 0)

    def _stored(self, number: int, name: str) -> bytes | None:
        found: bytes | None = self.redis.hget(f"{self.config.redis.prefix}:{{p{number}}}:meta", name)  # type: ignore[assignment]
        return found

    @property
    def partitions(self) -> int:
        """Of every topic."""
        return self.config.kafka.partitions

    def wait(self, what: str, until: Callable[[], bool], seconds: float, every: float = 0.1) -> float:
        """Wait until something holds; returns the seconds that it took. Fails when a process has died, or in time."""
        started = time.monotonic()
        while not until():
            for process in self.processes:
                if process.popen.poll() not in (None, 0, -signal.SIGKILL, -signal.SIGTERM):
                    raise AssertionError(f"{process.command} ended with {process.popen.returncode}:\n{process.said()}")
            if time.monotonic() - started > seconds:
                logs = "\n\n".join(f"{process.command}:\n{process.said()}" for process in self.processes)
                raise AssertionError(f"not in {seconds} s: {what}\n{self.positions()}\n{logs}")
            time.sleep(every)
        return time.monotonic() - started

    def wait_until_done(self, seconds: float = 300.0) -> float:
        """Wait until a log that was published to its end is worked off, learned from, and told of."""
        return self.wait("the log is worked off", self.done, seconds, every=0.25)

    def done(self) -> bool:
        """Whether every lane is at the end of its topics, holds no more, and its outbox is empty."""
        prefix = self.config.redis.prefix
        positions = self.positions()
        if None in positions or any(self.hold(number) is not None for number in range(self.partitions)):
            return False
        if any(self.redis.llen(f"{prefix}:{{p{number}}}:outbox") for number in (*range(self.partitions), DESK)):
            return False
        return all((positions[number] or {})[role] == end for (role, number), end in self.ends().items())

    def ends(self) -> dict[tuple[str, int], int]:
        """The end of every input partition, by role and number."""
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - only where a broker is

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
