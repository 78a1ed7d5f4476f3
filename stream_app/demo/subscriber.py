"""What the services tell: alerts and scores from their topics, health and metrics over HTTP."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Final

import msgspec
from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from stream_app.config import LiveConfig, reader_options
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.batches import ScoreRecords
from stream_app.demo.state import Part

_AT_ONCE: Final = 500  # records
_HTTP_SECONDS: Final = 0.5  # for an answer; a service that is busy is asked again
_alerts: Final = msgspec.json.Decoder(AlertOpened | AlertClosed)
_scores: Final = msgspec.json.Decoder(ScoreRecords)


class Subscriber:
    """Reads alerts and scores from their beginning."""

    def __init__(self, config: LiveConfig) -> None:
        self._alerts, self._scores = config.kafka.topics.alerts, config.kafka.topics.scores
        self._consumer = Consumer(reader_options(config.kafka, "demo") | {"log_level": 0})
        numbers = range(config.kafka.partitions)
        self._consumer.assign([TopicPartition(name, n, 0) for name in (self._alerts, self._scores) for n in numbers])

    def heard(self, seconds: float) -> Iterator[AlertOpened | AlertClosed | ScoreRecords]:
        """What has come; waits for the first of it."""
        for message in self._consumer.consume(_AT_ONCE, seconds):
            value = message.value()
            if message.error() is None and value is not None:
                decoder = _alerts if message.topic() == self._alerts else _scores
                try:
                    told = decoder.decode(value)
                except (ValueError, RecursionError):  # a record of somebody else
                    continue
                yield told

    def close(self) -> None:
        """Listen no more."""
        self._consumer.close()


def ask(port: int) -> Part:
    """How a service is; not ready while it does not answer."""
    try:
        status, _ = _get(port, "/readyz")
        _, metrics = _get(port, "/metrics")
    except (OSError, http.client.HTTPException):
        return Part()
    figures: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if not sample.name.endswith("_bucket"):
                figures[sample.name] = figures.get(sample.name, 0.0) + sample.value
    return Part(ready=status == http.HTTPStatus.OK, figures=figures)


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_HTTP_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
