"""Subscriber to the services' output: alerts and scores from Kafka, readiness and metrics over HTTP."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Final

from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from stream_app.config import LiveConfig, reader_options
from stream_app.core.messages.alerts import AlertMessage, decode_alert
from stream_app.core.messages.batches import ScoreRecords, decode_scored
from stream_app.core.training.quality import PRODUCT, RECENT
from stream_app.demo.state import ServiceStatus

_MAX_RECORDS: Final = 500  # per poll
_HTTP_SECONDS: Final = 0.5  # timeout; a service that does not answer is polled again


class Subscriber:
    """Reads the alert and score topics from the beginning."""

    def __init__(self, config: LiveConfig) -> None:
        self._alerts, self._scores = config.kafka.topics.alerts, config.kafka.topics.scores
        self._consumer = Consumer(reader_options(config.kafka, "demo") | {"log_level": 0})
        numbers = range(config.kafka.partitions)
        self._consumer.assign([TopicPartition(name, n, 0) for name in (self._alerts, self._scores) for n in numbers])

    def poll(self, seconds: float) -> Iterator[AlertMessage | ScoreRecords]:
        """Yield new records. Wait up to `seconds` for the first one."""
        for message in self._consumer.consume(_MAX_RECORDS, seconds):
            value = message.value()
            if message.error() is None and value is not None:
                decode = decode_alert if message.topic() == self._alerts else decode_scored
                with suppress(ValueError, RecursionError):  # not a record of ours
                    yield decode(value)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


def service_status(port: int) -> ServiceStatus:
    """Return the status of a service. A service that does not answer is reported as not ready."""
    try:
        status, _ = _get(port, "/readyz")
        _, metrics = _get(port, "/metrics")
    except (OSError, http.client.HTTPException):
        return ServiceStatus()
    figures: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            # Figures of other models and periods do not add up.
            is_ours = sample.labels.get("scorer", PRODUCT) == PRODUCT and sample.labels.get("window", RECENT) == RECENT
            if is_ours and not sample.name.endswith("_bucket"):
                figures[sample.name] = figures.get(sample.name, 0.0) + sample.value
    return ServiceStatus(ready=status == http.HTTPStatus.OK, figures=figures)


def _get(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_HTTP_SECONDS)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
