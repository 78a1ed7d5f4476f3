"""Writes a contact to the partition of its customer, and waits until Kafka has it."""

from __future__ import annotations

import logging
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_app.adapters.partitioner import partition_of
from stream_app.config import LiveConfig, confluent_options
from stream_app.core.messages import Contact, encode_message
from stream_app.errors import NotDelivered

_SECONDS: Final = 20.0
_quiet: Final = logging.getLogger(__name__)  # the client's own words; what matters comes as an error of ours
_quiet.addHandler(logging.NullHandler())
_REMEDY: Final = "Check that the broker is up (kafka.bootstrap), and try again: a contact that comes twice counts once."


def send_contact(config: LiveConfig, contact: Contact) -> None:
    """Produce a contact to `shop.contacts`, keyed by the customer. Raises NotDelivered."""
    topic, customer = config.kafka.topics.contacts, contact.customer_id
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    options: dict[str, Any] = confluent_options(config.kafka) | {
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "none",
        "linger.ms": 0,
        "message.timeout.ms": round(_SECONDS * 1_000),
        "logger": _quiet,
    }
    try:
        producer = Producer(options)
        number = partition_of(customer, config.kafka.partitions)
        producer.produce(topic, encode_message(contact), customer.encode(), number, on_delivery=delivered)
        waiting = producer.flush(_SECONDS + 1.0)
    except KafkaException as error:
        raise NotDelivered(topic=topic, problem=error.args[0].str(), remedy=_REMEDY) from error
    if failures or waiting:
        problem = failures[0].str() if failures else "no answer in time"
        raise NotDelivered(topic=topic, problem=problem, remedy=_REMEDY)
