"""Reads the first and the next offsets of partitions with an admin client that is independent of the consumer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # exists at run time only

from stream_app.adapters.kafka.refusals import ConnectionErrors, refusal
from stream_app.config import Kafka, confluent_options
from stream_app.errors import NoBroker

ANSWER_SECONDS: Final = 3.0
_BEGINNING: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # the library has no types for it
_END: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]
Partition = tuple[str, int]  # topic, partition number


class PartitionOffsets:
    """Reads partition offsets. Use each instance from one thread only.

    Args:
        kafka: connection settings.
        seconds: timeout of a request.
    """

    def __init__(self, kafka: Kafka, seconds: float = ANSWER_SECONDS) -> None:
        self._bootstrap, self._seconds = kafka.bootstrap, seconds
        self._errors = ConnectionErrors(kafka.bootstrap)
        self._admin = AdminClient(confluent_options(kafka) | {"error_cb": self._errors})

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
        self._admin.poll(0)  # deliver pending errors of the client
        try:
            try:
                found = self._listed(partitions, spec)
            except KafkaException:
                # After an outage librdkafka has no leader in its cache and reconnects only to fetch metadata.
                self._admin.list_topics(timeout=self._seconds)
                found = self._listed(partitions, spec)
        except KafkaException as error:
            self._admin.poll(0)
            raise self._errors.cause or NoBroker(bootstrap=self._bootstrap, problem=error.args[0].str()) from error
        self._errors.cause = None
        if complete and (missing := sorted(set(partitions) - found.keys())):
            topic, number = missing[0]
            raise NoBroker(bootstrap=self._bootstrap, problem=f"no offsets for {topic}, partition {number}")
        return found

    def _listed(self, partitions: Collection[Partition], spec: OffsetSpec) -> dict[Partition, int]:
        if not partitions:
            self._admin.list_topics(timeout=self._seconds)
            return {}
        requests = {TopicPartition(*partition): spec for partition in partitions}
        return self._gathered(self._admin.list_offsets(requests, request_timeout=self._seconds))

    def _gathered(self, answers: Mapping[TopicPartition, Future[Any]]) -> dict[Partition, int]:
        found, refused = {}, None
        for tp, answer in answers.items():
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
