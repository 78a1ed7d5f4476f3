"""Checks that the last records of the shop's topics are in their customers' partitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

from faust.types import TP

from stream_app.adapters.kafka.last_records import read_last
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.adapters.kafka.topics import Mismatch, Severity
from stream_app.config import SHOP_TOPICS, LiveConfig
from stream_app.core.events.schema import Rejected, decode
from stream_app.core.messages.dead_letters import Record
from stream_app.core.messages.unreadable import Unreadable
from stream_app.core.partition.placement import KEY_REMEDY, PARTITIONER_REMEDY

LOOK_BACK: Final = 200  # records per partition
_ALL, _OTHER_KEY, _SAME_KEY = "all", "the key is not customer_id", "the partitioner is not murmur2"
_REMEDIES: Final = {
    _OTHER_KEY: (
        f"{KEY_REMEDY} Debezium: message.key.columns, with ExtractField$Key and StringConverter for a plain string."
    ),
    _SAME_KEY: (
        f"{PARTITIONER_REMEDY} Sarama: NewCustomPartitioner with a murmur2 hash. kafka-go: Murmur2Balancer."
        " KafkaJS: DefaultPartitioner of version 2, JavaCompatiblePartitioner before it. Producers that set the"
        " partition: murmur2(customer_id) & 0x7fffffff, modulo kafka.partitions."
    ),
}
_AFTERWARDS: Final = "Misplaced records stay where they are: publish to new topics, with a new redis.prefix."


def check_placement(config: LiveConfig, without: Collection[str] = ()) -> list[Mismatch]:
    """Check the last records of each topic and return the mismatches between keys and partitions.

    Args:
        config: Kafka settings.
        without: names of topics to skip because they are missing or have the wrong number of partitions.

    Raises:
        NoBroker: Kafka does not answer.
    """
    names = [name for name in config.kafka.topics.of(*SHOP_TOPICS).values() if name not in without]
    found: dict[str, Counter[str]] = {name: Counter() for name in names}

    def take(tp: TP, taken: list[Record]) -> None:
        for record in taken:
            if not isinstance(record, Unreadable):
                _count(found[tp.topic], tp.partition, record, config.kafka.partitions)

    tps = [TP(name, number) for name in names for number in range(config.kafka.partitions)]
    read_last(config, tps, LOOK_BACK, take)
    return [mismatch for topic, counts in found.items() for mismatch in _mismatches(topic, counts)]


def _count(counts: Counter[str], partition: int, record: Record, partitions: int) -> None:
    event = decode(record.value or b"")
    if isinstance(event, Rejected):
        return
    customer = event.customer_id
    counts[_ALL] += 1
    if partition_of(customer, partitions) != partition:
        counts[_SAME_KEY if record.key == customer.encode("utf-8", "surrogatepass") else _OTHER_KEY] += 1


def _mismatches(topic: str, counts: Counter[str]) -> Iterator[Mismatch]:
    for why, remedy in _REMEDIES.items():
        if counts[why]:
            problem = f"has {counts[why]} of its last {counts[_ALL]} records in a partition other than their customer's"
            yield Mismatch(topic, Severity.WARNING, f"{problem}: {why}", f"{remedy} {_AFTERWARDS}")
