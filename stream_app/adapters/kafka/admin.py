"""Reads topic ids and partition offsets with an admin client that is independent of the consumer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition, Uuid
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # exists at run time only

from stream_app.adapters.kafka.refusals import ConnectionErrors, refusal, refusals
from stream_app.config import Kafka, confluent_options
from stream_app.errors import NoBroker

_BEGINNING: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # the library has no types for it
_END: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NO_ID: Final = str(Uuid(0, 0))  # returned by brokers before 2.8
Partition = tuple[str, int]  # topic, partition number


class _Reader:
    """Base class of the readers. Use each instance from one thread at a time.

    Args:
        kafka: connection settings.
        seconds: timeout of a request; by default that of the class.
    """

    default_seconds: ClassVar[float]

    def __init__(self, kafka: Kafka, seconds: float | None = None) -> None:
        self._bootstrap, self._seconds = kafka.bootstrap, seconds or self.default_seconds
        self._errors = ConnectionErrors(kafka.bootstrap)
        self._admin = AdminClient(confluent_options(kafka) | {"error_cb": self._errors})

    @contextmanager
    def _no_broker(self) -> Iterator[None]:
        """Convert errors inside the block to NoBroker, with the reason if the connection reports one."""
        self._admin.poll(0)  # deliver pending errors and log lines of the client
        try:
            yield
        except (KafkaException, TimeoutError) as error:
            self._admin.poll(0)
            problem = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
            raise self._errors.cause or NoBroker(bootstrap=self._bootstrap, problem=problem) from error
        self._errors.cause = None


class TopicIds(_Reader):
    """Reads topic ids (KIP-516). A recreated topic has a new id, and its offsets start again from 0."""

    default_seconds = 10.0

    def __call__(self, topics: Collection[str]) -> dict[str, str | None]:
        """Return the ids of topics by name, or None if the broker does not support ids. Missing topics are omitted.

        Raises:
            NoBroker: Kafka does not answer.
            KafkaDenied, LoginRefused: Kafka refuses the request or the login.
        """
        with self._no_broker():
            answers = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._seconds)
            found = {name: self._id_of(name, answer) for name, answer in answers.items()}
        return {name: None if one == _NO_ID else one for name, one in found.items() if one}

    def _id_of(self, topic: str, answer: Future[Any]) -> str:
        try:
            with refusals("Describe", topic):
                return str(answer.result(timeout=2 * self._seconds).topic_id)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return ""
            raise


class PartitionOffsets(_Reader):
    """Reads the first and the next offsets of partitions."""

    default_seconds = 3.0

    def ends(self, partitions: Collection[Partition], *, complete: bool = False) -> Mapping[Partition, int]:
        """Return the next offset of each partition.

        Args:
            partitions: partitions to look up; if empty, only the connection is checked.
            complete: whether every partition must answer. By default, partitions without a leader are left out.

        Raises:
            NoBroker: no partition answers or, if `complete`, not all of them.
        """
        return self._offsets(partitions, _END, complete)

    def beginnings(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Return the first offset of each partition. Raises NoBroker unless all answer."""
        return self._offsets(partitions, _BEGINNING, complete=True)

    def _offsets(self, partitions: Collection[Partition], spec: OffsetSpec, complete: bool) -> Mapping[Partition, int]:
        with self._no_broker():
            try:
                found = self._listed(partitions, spec)
            except KafkaException:
                # After an outage librdkafka has no leader in its cache and reconnects only to fetch metadata.
                self._admin.list_topics(timeout=self._seconds)
                found = self._listed(partitions, spec)
        if complete and (missing := sorted(set(partitions) - found.keys())):
            topic, number = missing[0]
            raise NoBroker(bootstrap=self._bootstrap, problem=f"no offsets for {topic}, partition {number}")
        return found

    def _listed(self, partitions: Collection[Partition], spec: OffsetSpec) -> dict[Partition, int]:
        if not partitions:
            self._admin.list_topics(timeout=self._seconds)
            return {}
        requests = {TopicPartition(*partition): spec for partition in partitions}
        found, refused = {}, None
        for tp, answer in self._admin.list_offsets(requests, request_timeout=self._seconds).items():
            try:
                found[tp.topic, tp.partition] = answer.result(timeout=2 * self._seconds).offset
            except KafkaException as error:
                denied = refusal(error, "Describe", tp.topic)
                if denied is not None:
                    raise denied from error
                refused = error
            except TimeoutError:
                refused = KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if refused is not None and not found:
            raise refused
        return found
