"""A Kafka of our own, in this process: librdkafka's mock cluster. In memory only, for a first look and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaException, Producer

from stream_app.errors import NoEmbeddedServer

PARTITIONS: Final = 4  # what a topic gets there; nobody can ask for another number
# It keeps 5 MiB of a partition, so whoever feeds it must not run far ahead of those who read.
_ANSWER_SECONDS: Final = 10.0
_REMEDY: Final = "Use `stream-app topics create` and the services on a real Kafka instead."
_quiet: Final = logging.getLogger(__name__)
_quiet.addHandler(logging.NullHandler())


class EmbeddedBroker:
    """Runs from its making until `close`.

    >>> broker = EmbeddedBroker(["shop.orders"])
    >>> broker.bootstrap.startswith("127.0.0.1:")
    True
    >>> broker.close()
    """

    def __init__(self, topics: Iterable[str]) -> None:
        options = {"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "logger": _quiet}
        self._owner: Producer | None = Producer(options)
        try:
            address = next(iter(self._owner.list_topics(timeout=_ANSWER_SECONDS).brokers.values()))
            for topic in topics:  # to ask for a topic makes it
                made = self._owner.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic]
                if len(made.partitions) != PARTITIONS:
                    problem = f"{topic} has {len(made.partitions)} partitions"
                    raise NoEmbeddedServer(server="Kafka", problem=problem, remedy=_REMEDY)
        except KafkaException as error:
            raise NoEmbeddedServer(server="Kafka", problem=error.args[0].str(), remedy=_REMEDY) from error
        self.bootstrap = f"{address.host}:{address.port}"

    def close(self) -> None:
        """Let it go, with all that it holds."""
        self._owner = None
