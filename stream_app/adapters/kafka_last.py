"""The last records that our outbox has left on topics: whether Redis still knows of all that was sent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from stream_app.config import LiveConfig, confluent_options
from stream_app.core.events import EPOCH, MICROSECOND
from stream_app.core.messages import DeskDone, Opening, decode_message
from stream_app.errors import NoBroker

SEQUENCE: Final = "sequence"  # the header of a relayed record
_LOOK_BACK: Final = 16  # the last offsets may hold what others have written
_LOOK_BACK_CONTACTS: Final = 2_000  # the shop's own tools write contacts too
_ANSWER_SECONDS: Final = 10.0


def last_sequence(config: LiveConfig, topics: Sequence[str], partition: int, look_back: int = _LOOK_BACK) -> int:
    """The highest sequence number among the last records of a partition of some topics; 0 if there is none.

    Args:
        config: where Kafka is.
        topics: to which one outbox is relayed, and no other.
        partition: its number.
        look_back: so many offsets.

    Raises NoBroker.
    """
    return max((_sequence(message) for message in _tail(config, topics, partition, look_back)), default=0)


def last_of_the_desk(config: LiveConfig, topic: str, partition: int) -> tuple[int, int, int]:
    """What the desk has told a partition last: the number in its outbox, of its contact, and the moment that is done.

    Microseconds; a moment of -1: none is. Raises NoBroker.
    """
    sequence, contact, moment = 0, 0, -1
    for message in _tail(config, [topic], partition, _LOOK_BACK_CONTACTS):
        told = decode_message(message.value() or b"")
        if isinstance(told, DeskDone) or isinstance(getattr(told, "opening", None), Opening):
            sequence, contact = max(sequence, _sequence(message)), max(contact, getattr(told, "sequence", 0))
        if isinstance(told, DeskDone):
            moment = max(moment, (told.occurred_at - EPOCH) // MICROSECOND)
    return sequence, contact, moment


def _tail(config: LiveConfig, topics: Sequence[str], partition: int, look_back: int) -> Iterator[Message]:
    """The last records of a partition of some topics."""
    options = {"group.id": "stream-app-last", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({**confluent_options(config.kafka), **options})
    try:
        ends: dict[str, int] = {}
        places = []
        for topic in topics:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_SECONDS)
            if high > low:
                ends[topic] = high
                places.append(TopicPartition(topic, partition, max(low, high - look_back)))
        if places:
            consumer.assign(places)
            yield from _read(consumer, ends)
    except KafkaException as error:
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=str(error)) from error
    finally:
        consumer.close()


def _read(consumer: Consumer, ends: dict[str, int]) -> Iterator[Message]:
    until = time.monotonic() + _ANSWER_SECONDS
    while ends and time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is None or message.error() is not None:
            continue
        topic = message.topic() or ""
        yield message
        if (message.offset() or 0) >= ends.get(topic, 0) - 1:
            ends.pop(topic, None)


def _sequence(message: Message) -> int:
    told = dict(message.headers() or []).get(SEQUENCE)
    return int(told) if told else 0
