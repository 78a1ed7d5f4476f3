"""Sends events and ticks exactly once and in order. A header of each record contains its place in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec.structs import replace

from stream_app.adapters.kafka.admin import Partition
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.adapters.kafka.refusals import refusal
from stream_app.config import LiveConfig, confluent_options
from stream_app.core.events.schema import Browsing, Cart, Complaint, Contact, Event, Order, encode
from stream_app.core.messages.schema import Tick, encode_message
from stream_app.errors import NotDelivered
from stream_app.publish.watermarks import LOG_HEADER, PLACE_BYTES, PLACE_HEADER

ROLES: Final[dict[type[Event], str]] = {
    Browsing: "browsing",
    Cart: "cart",
    Complaint: "complaints",
    Contact: "contacts",
    Order: "orders",
}
# No compression, because not every consumer of these topics has the codecs.
_PRODUCER: Final[dict[str, Any]] = {
    "acks": "all",
    "enable.idempotence": True,
    "enable.gapless.guarantee": True,
    # Longer than our own timeout: a single record that times out would leave a gap that later runs do not fill.
    "message.timeout.ms": 600_000,
    "compression.type": "none",
    "batch.size": 1_000_000,
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 131_072,
    "delivery.report.only.error": True,
}
_Header = tuple[str, str | bytes | None]  # as in the type hints of confluent-kafka
_DISCARDED: Final = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}
_LINGER_FLAT_OUT_MS: Final = 20
_LINGER_PACED_MS: Final = 2
_STALLED_SECONDS: Final = 60.0
_REMEMBERED_CUSTOMERS: Final = 200_000
_quiet: Final = logging.getLogger(__name__)  # silences the client, whose errors are raised as exceptions instead
_quiet.addHandler(logging.NullHandler())


class Sender:
    """Sends the records that earlier runs have not sent.

    Args:
        config: Kafka settings.
        log: id of the log.
        places: position up to which earlier runs have published to each partition.
        flat_out: whether to optimize for throughput rather than latency.
        begins: offset at which each partition begins for this sender. Ticks then contain the end offsets of the topics,
            and partition tasks wait for the records before them.
    """

    def __init__(
        self,
        config: LiveConfig,
        log: bytes,
        places: Mapping[Partition, int],
        *,
        flat_out: bool,
        begins: Mapping[Partition, int] | None = None,
    ) -> None:
        self.resumes_after = max(places.values(), default=0)  # place after which no records have been published
        self._log: _Header = (LOG_HEADER, log)
        self._partitions = config.kafka.partitions
        self._ticks, self._begins = config.kafka.topics.ticks, begins
        self._roles = config.kafka.topics.of(*ROLES.values())
        self._topics = {kind: self._roles[role] for kind, role in ROLES.items()}
        self._done = {
            topic: [places[topic, number] for number in range(self._partitions)]
            for topic in (*self._topics.values(), self._ticks)
        }
        self._counts = {topic: [0] * self._partitions for topic in self._done}
        self._refused: tuple[str, KafkaError] | None = None  # the topic and its error
        self._fatal: KafkaError | None = None
        options = {
            "on_delivery": self._delivered,
            "error_cb": self._on_error,
            "linger.ms": _LINGER_FLAT_OUT_MS if flat_out else _LINGER_PACED_MS,
            "logger": _quiet,
        }

        @lru_cache(maxsize=_REMEMBERED_CUSTOMERS)
        def key_of(customer: str) -> tuple[bytes, int]:
            return customer.encode("utf-8", "surrogatepass"), partition_of(customer, config.kafka.partitions)

        self._key_of = key_of
        self._producer = Producer(confluent_options(config.kafka) | _PRODUCER | options)

    def events(self, events: Sequence[Event], place: int) -> None:
        """Send events; `place` is the place of the first one in the stream."""
        key_of, topics, done, produce = self._key_of, self._topics, self._done, self._produce
        for here, event in enumerate(events, place):
            key, partition = key_of(event.customer_id)
            topic = topics[type(event)]
            if here > done[topic][partition]:
                produce(here, topic, partition, key, encode(event))
        self.serve()

    def tick(self, tick: Tick, place: int) -> None:
        """Send a tick to every partition."""
        for partition in range(self._partitions):
            if place > self._done[self._ticks][partition]:
                value = encode_message(replace(tick, ends=self._ends(partition)))
                self._produce(place, self._ticks, partition, None, value)
        self.serve()

    def _produce(self, place: int, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        """Send a record, waiting while the client's queue is full. Raises NotDelivered."""
        headers: list[_Header] = [self._log, (PLACE_HEADER, place.to_bytes(PLACE_BYTES, "big"))]
        stalled: _Stalled | None = None
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=headers)
            except BufferError:
                stalled = stalled or _Stalled(self._producer)
                self._poll(0.05)
                self.serve()
                stalled.check()
            except KafkaException as error:
                self._poll(0.05)
                self.serve()
                problem = f"the record with key {key!r} and {len(value):,} bytes was rejected: {error}"
                raise NotDelivered(topic=topic, problem=problem, remedy=_RESUME) from error
            else:
                break
        self._counts[topic][partition] += 1

    def _ends(self, partition: int) -> dict[str, int] | None:
        """Return the next offset of each topic of a partition number, including records in flight."""
        if self._begins is None:
            return None
        return {
            role: self._begins[topic, partition] + self._counts[topic][partition] for role, topic in self._roles.items()
        }

    def serve(self) -> None:
        """Process delivery reports. Raises NotDelivered if the broker rejected a record."""
        self._poll(0.0)
        if (self._fatal is not None or self._refused is not None) and not self._explained():
            self._await_cause()
        topic, refused = self._refused or ("Kafka", self._fatal)
        for error in (refused, self._fatal):  # after a fatal denial all other records are reported as "purged"
            if error is not None and (denied := refusal(KafkaException(error), "Write", topic)):
                raise denied
        if refused is not None:
            raise NotDelivered(topic=topic, problem=refused.str(), remedy=_RESUME)

    def flush(self) -> None:
        """Wait until all records are acknowledged. Raises NotDelivered."""
        stalled = _Stalled(self._producer)
        while len(self._producer):
            self._poll(0.2, self._producer.flush)
            self.serve()
            stalled.check()
        self.serve()

    def counts(self) -> dict[Partition, int]:
        """Return the number of records sent to each partition."""
        return {(topic, number): count for topic, counts in self._counts.items() for number, count in enumerate(counts)}

    def abandon(self) -> None:
        """Discard records that have not been sent yet."""
        self._producer.purge()

    def _poll(self, seconds: float, call: Callable[[float], int] | None = None) -> None:
        """Run the client's callbacks and record fatal errors, which the client raises or passes to `_on_error`."""
        try:
            (call or self._producer.poll)(seconds)
        except KafkaException as error:
            self._fatal = error.args[0]
        except SystemError as error:  # raised inside a callback
            if not isinstance(error.__cause__, KafkaException):
                raise
            self._fatal = error.__cause__.args[0]

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        """Delivery report: record the first failure with a cause of its own. Successes are not reported."""
        if error is not None and not self._explained():
            self._refused = message.topic() or "", error

    def _explained(self) -> bool:
        """Return whether the rejected record itself was reported, and not only records that were discarded with it."""
        return self._refused is not None and self._refused[1].code() not in _DISCARDED

    def _await_cause(self) -> None:
        """Wait up to a second for the report of the rejected record, which may follow those of purged records."""
        until = time.monotonic() + 1.0
        while not self._explained() and (left := until - time.monotonic()) > 0:
            self._poll(left)

    def _on_error(self, error: KafkaError) -> None:
        """Record a fatal error. Ignore others: an unreachable broker may come back, or is detected as a stall."""
        if error.fatal():
            self._fatal = error


_RESUME: Final = "Fix the cause, then run the command again: it continues where this run stopped, without duplicates."


class _Stalled:
    """Detects a producer that has delivered nothing for a minute."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._waiting, self._since = len(producer), time.monotonic()

    def check(self) -> None:
        """Raise NotDelivered if the producer is stalled."""
        if len(self._producer) < self._waiting:
            self._waiting, self._since = len(self._producer), time.monotonic()
        elif time.monotonic() - self._since > _STALLED_SECONDS:
            problem = f"no record was acknowledged for {_STALLED_SECONDS:.0f} s; {self._waiting:,} are waiting"
            raise NotDelivered(topic="Kafka", problem=problem, remedy=f"Check that the broker is up. {_RESUME}")
