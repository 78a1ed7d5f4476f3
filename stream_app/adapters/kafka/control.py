"""Producer of control messages for commands, which waits for the acknowledgement of each."""

from __future__ import annotations

import logging
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.adapters.kafka.refusals import ConnectionErrors, refusal
from stream_app.config import LiveConfig, confluent_options
from stream_app.core.messages.schema import AlertStep, PolicyRecord, encode_message
from stream_app.errors import NotDelivered

_SECONDS: Final = 20.0
_quiet: Final = logging.getLogger(__name__)  # silences the client, whose errors are raised as exceptions instead
_quiet.addHandler(logging.NullHandler())
_REMEDY: Final = "Check that the broker is up (kafka.bootstrap), then try again. Duplicates count once."


class ControlProducer:
    """Producer for the control topic, for commands that write few records.

    Args:
        config: service settings.
    """

    def __init__(self, config: LiveConfig) -> None:
        self._errors = ConnectionErrors(config.kafka.bootstrap, "Write")
        self._topic, self._partitions = config.kafka.topics.control, config.kafka.partitions
        self._options: dict[str, Any] = confluent_options(config.kafka) | {
            "acks": "all",
            # Duplicates are harmless, so idempotence is not needed. Without permission, an idempotent producer raises
            # inside a callback, which the library turns into a SystemError.
            "enable.idempotence": False,
            "compression.type": "none",
            "linger.ms": 0,
            "message.timeout.ms": round(_SECONDS * 1_000),
            "logger": _quiet,
            "error_cb": self._errors,
        }
        self._producer: Producer | None = None

    def send(self, message: AlertStep | PolicyRecord) -> None:
        """Write a step of an alert to the partition of its customer, or a policy. Raises NotDelivered."""
        results: list[KafkaError | None] = []
        key, number = None, 0
        if isinstance(message, AlertStep):
            key, number = message.customer_id.encode(), partition_of(message.customer_id, self._partitions)
        try:
            if self._producer is None:
                self._errors.cause = None
                self._producer = Producer(self._options)
            self._producer.produce(
                self._topic,
                encode_message(message),
                key,
                number,
                on_delivery=lambda error, _: results.append(error),
            )
            waiting = self._producer.flush(_SECONDS + 1.0)
        except KafkaException as error:
            raise self._failed(error.args[0].str()) from error
        failures = [error for error in results if error is not None]
        if not failures and not waiting:
            return
        denied = refusal(KafkaException(failures[0]), "Write", self._topic) if failures else None
        cause = denied or self._errors.cause
        if cause is not None:
            self._producer = None
            raise cause
        raise self._failed(failures[0].str() if failures else "no answer in time")

    def _failed(self, problem: str) -> NotDelivered:
        self._producer = None  # a producer with a fatal error cannot recover
        return NotDelivered(topic=self._topic, problem=problem, remedy=_REMEDY)
