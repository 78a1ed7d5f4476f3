"""The last records that our outbox has left on topics: whether Redis still knows of all that was sent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from stream_app.adapters.kafka_refusals import failure, refusals
from stream_app.config import LiveConfig, reader_options
from stream_app.core.events import EPOCH, MICROSECOND
from stream_app.core.messages import Contact, DeskDone, decode_message
from stream_app.errors import NoBroker

SEQUENCE: Final = "sequence"  # the header of a relayed record
_LOOK_BACK: Final = 16  # the last offsets may hold what others have written
_FURTHER: Final = 8  # times as far back, where nothing of ours was found: the shop's own tools write contacts too
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
    look_back = _LOOK_BACK
    while True:
        sequence, contact, moment, seen = 0, 0, -1, 0
        for message in _tail(config, [topic], partition, look_back):
            seen += 1
            told = decode_message(message.value() or b"")
            if isinstance(told, DeskDone) or (isinstance(told, Contact) and told.opening is not None):
                sequence, contact = max(sequence, _sequence(message)), max(contact, told.sequence)
            if isinstance(told, DeskDone):
                moment = max(moment, (told.occurred_at - EPOCH) // MICROSECOND)
        if moment >= 0 or seen < look_back:  # else what others have written may hide it
            return sequence, contact, moment
        look_back *= _FURTHER


def _tail(config: LiveConfig, topics: Sequence[str], partition: int, look_back: int) -> Iterator[Message]:
    """The last records of a partition of some topics."""
    consumer = Consumer(reader_options(config.kafka, "last") | {"auto.offset.reset": "earliest"})
    try:
        ends: dict[str, int] = {}
        places = []
        for topic in topics:
            with refusals("Describe", topic):
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_SECONDS)
            if high > low:
                ends[topic] = high
                places.append(TopicPartition(topic, partition, max(low, high - look_back)))
        if places:
            consumer.assign(places)
            yield from _read(consumer, ends, partition)
    except (KafkaException, TimeoutError) as error:
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=str(error)) from error
    finally:
        consumer.close()


def _read(consumer: Consumer, ends: dict[str, int], partition: int) -> Iterator[Message]:
    """Up to these ends. Raises TimeoutError when nothing comes: what was not read must not count as not there."""
    until = time.monotonic() + _ANSWER_SECONDS
    while ends:
        message = consumer.poll(0.2)
        if message is not None:
            until = time.monotonic() + _ANSWER_SECONDS
            if (error := message.error()) is None:
                yield message
            elif (failed := failure(error, message.topic() or "")) is not None:
                raise failed
        elif time.monotonic() > until:
            raise TimeoutError(f"nothing came of {', '.join(sorted(ends))}")
        # A log may end in a marker of a transaction, which is no message.
        for place in consumer.position([TopicPartition(topic, partition) for topic in ends]):
            if place.offset >= ends[place.topic]:
                del ends[place.topic]


def _sequence(message: Message) -> int:
    told = dict(message.headers() or []).get(SEQUENCE)
    return int(told) if told else 0
