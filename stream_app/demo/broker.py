"""Embedded Kafka for demos: librdkafka's mock cluster, which runs in this process and stores records in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaException, Producer

from stream_app.config import Kafka, confluent_options
from stream_app.errors import NoEmbeddedServer

PARTITIONS: Final = 4  # partitions per topic; the mock cluster supports no other number
# The mock cluster keeps only 5 MiB per partition, so a producer must not run far ahead of the consumers.
_TIMEOUT_SECONDS: Final = 10.0
_REMEDY: Final = "Use a real Kafka: run `stream-app topics create`, then start the services."


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
            address = next(iter(self._cluster.list_topics(timeout=_TIMEOUT_SECONDS).brokers.values()))
            for topic in topics:  # requesting a topic's metadata creates the topic
                created = self._cluster.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
                if len(created.partitions) != PARTITIONS:
                    problem = f"{topic} has {len(created.partitions)} partitions"
                    raise NoEmbeddedServer(server="Kafka", problem=problem, remedy=_REMEDY)
        except KafkaException as error:
            raise NoEmbeddedServer(server="Kafka", problem=error.args[0].str(), remedy=_REMEDY) from error
        self.bootstrap = f"{address.host}:{address.port}"

    def close(self) -> None:
        """Stop the broker and discard its records."""
        self._cluster = None
