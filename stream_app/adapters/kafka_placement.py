"""Whether the last records of the shop's topics are in the partitions of their customers, and if not, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_app.adapters.kafka_refusals import failure, refusals
from stream_app.adapters.kafka_topics import Mismatch, Severity
from stream_app.adapters.partitioner import partition_of
from stream_app.config import SHOP_TOPICS, LiveConfig, reader_options
from stream_app.core.events import Rejected, decode
from stream_app.core.messages import Contact, decode_message
from stream_app.core.placement import KEY_REMEDY, PARTITIONER_REMEDY
from stream_app.errors import NoBroker

LOOK_BACK: Final = 200  # records of a partition
_ANSWER_SECONDS: Final = 10.0
_CONTACTS: Final = "contacts"
_ALL, _OTHER_KEY, _SAME_KEY = "all", "the key is not customer_id", "the partitioner is not murmur2"
_REMEDIES: Final = {
    _OTHER_KEY: (
        f"{KEY_REMEDY} Debezium: message.key.columns, with ExtractField$Key and StringConverter for the bare string."
    ),
    _SAME_KEY: (
        f"{PARTITIONER_REMEDY} Sarama: NewCustomPartitioner with a murmur2 hash. kafka-go: Murmur2Balancer."
        " KafkaJS: DefaultPartitioner of version 2, JavaCompatiblePartitioner before it. Producers that name the"
        " partition: murmur2(customer_id) & 0x7fffffff, modulo kafka.partitions."
    ),
}
_AFTERWARDS: Final = "Records that are misplaced stay so: publish to fresh topics, under a fresh redis.prefix."


def check_placement(config: LiveConfig) -> list[Mismatch]:
    """Return what is wrong with the keys and the partitions of the last records of each topic. Raises NoBroker."""
    roles = {name: role for role, name in config.kafka.topics.of(*SHOP_TOPICS, _CONTACTS).items()}
    found: dict[str, Counter[str]] = {name: Counter() for name in roles}
    try:
        for record in _last_records(config, list(roles)):
            topic = record.topic() or ""
            _count(found[topic], record, roles[topic], config.kafka.partitions)
    except (KafkaException, TimeoutError) as error:
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=str(error)) from error
    return [mismatch for topic, counts in found.items() for mismatch in _mismatches(topic, counts)]


def _count(counts: Counter[str], record: Message, role: str, partitions: int) -> None:
    customer = _customer_of(role, record.value() or b"")
    if customer is None:
        return
    counts[_ALL] += 1
    if partition_of(customer, partitions) != record.partition():
        counts[_SAME_KEY if record.key() == customer.encode("utf-8", "surrogatepass") else _OTHER_KEY] += 1


def _mismatches(topic: str, counts: Counter[str]) -> Iterator[Mismatch]:
    for why, remedy in _REMEDIES.items():
        if counts[why]:
            problem = f"has {counts[why]} of its last {counts[_ALL]} records in another partition than their customer's"
            yield Mismatch(topic, Severity.WARNING, f"{problem}: {why}", f"{remedy} {_AFTERWARDS}")


def _customer_of(role: str, value: bytes) -> str | None:
    """Return whose record it is; None: nobody's, or the desk's, which says itself where it goes."""
    item = decode_message(value) if role == _CONTACTS else decode(value)
    if isinstance(item, Rejected) or (isinstance(item, Contact) and item.sequence):
        return None
    return getattr(item, "customer_id", None)


def _last_records(config: LiveConfig, topics: list[str]) -> Iterator[Message]:
    """Return the last records of every partition of some topics. Raises TimeoutError when the broker sends nothing."""
    consumer = Consumer(reader_options(config.kafka, "check") | {"enable.partition.eof": True})
    try:
        places = [_start(consumer, topic, number) for topic in topics for number in range(config.kafka.partitions)]
        consumer.assign(places)
        unread = {(place.topic, place.partition) for place in places}
        while unread:
            message = consumer.poll(_ANSWER_SECONDS)
            if message is None:
                raise TimeoutError(f"nothing came of {min(unread)[0]}")
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard((message.topic() or "", message.partition() or 0))
            elif (failed := failure(error, message.topic() or "")) is not None:
                raise failed
    finally:
        consumer.close()


def _start(consumer: Consumer, topic: str, number: int) -> TopicPartition:
    with refusals("Describe", topic):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER_SECONDS)
    return TopicPartition(topic, number, max(low, high - LOOK_BACK))
