"""The last record that our outbox has left on a topic: whether Redis still knows of all that was sent."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_app.config import LiveConfig, confluent_options
from stream_app.errors import NoBroker, StoreBehind

SEQUENCE: Final = "sequence"  # the header of a relayed record
_LOOK_BACK: Final = 16  # the last offsets may hold what others have written
_ANSWER_SECONDS: Final = 10.0


def refuse_if_behind(config: LiveConfig, topic: str, partition: int, known: int) -> None:
    """Raise StoreBehind if a topic has a record of our outbox with a higher number than the store knows of.

    Whoever went on from there would give the same numbers to other records, and their receivers would drop them.

    Args:
        config: where Kafka is.
        topic: one that the outbox is relayed to.
        partition: its number.
        known: the number of the last record that the store has given.
    """
    found = last_sequence(config, topic, partition)
    if found > known:
        raise StoreBehind(topic=topic, partition=partition, found=found, known=known, prefix=config.redis.prefix)


def last_sequence(config: LiveConfig, topic: str, partition: int) -> int:
    """The highest sequence number among the last records of a partition; 0 if there is none. Raises NoBroker."""
    options = {"group.id": "stream-app-last", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({**confluent_options(config.kafka), **options})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_SECONDS)
        consumer.assign([TopicPartition(topic, partition, max(low, high - _LOOK_BACK))])
        return _read(consumer, high) if high > low else 0
    except KafkaException as error:
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=str(error)) from error
    finally:
        consumer.close()


def _read(consumer: Consumer, high: int) -> int:
    last, until = 0, time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is None or message.error() is not None:
            continue
        told = dict(message.headers() or []).get(SEQUENCE)
        last = max(last, int(told)) if told else last
        if (message.offset() or 0) >= high - 1:
            break
    return last
