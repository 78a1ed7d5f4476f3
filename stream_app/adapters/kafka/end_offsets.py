"""Where partitions end, asked of Kafka by a client that has nothing to do with our consumer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # it says so at run time only

from stream_app.adapters.kafka.refusals import ConnectionErrors, refusal
from stream_app.config import Kafka, confluent_options
from stream_app.errors import NoBroker

ANSWER_SECONDS: Final = 3.0
_END: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call] # its library has types for all but this
Place = tuple[str, int]  # topic and partition


class KafkaEnds:
    """One client, one request a question; for one thread."""

    def __init__(self, kafka: Kafka) -> None:
        self._bootstrap = kafka.bootstrap
        self._errors = ConnectionErrors(kafka.bootstrap)
        self._admin = AdminClient(confluent_options(kafka) | {"error_cb": self._errors})

    def __call__(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Where these partitions end; one without a leader is left out. Raises NoBroker if nothing is answered."""
        self._admin.poll(0)  # what the client has to say goes to its logger
        try:
            try:
                found = self._ends(places)
            except KafkaException:
                # After an outage librdkafka finds no leader in what it remembers, and connects again for metadata only.
                self._admin.list_topics(timeout=ANSWER_SECONDS)
                found = self._ends(places)
        except KafkaException as error:
            self._admin.poll(0)
            raise self._errors.cause or NoBroker(bootstrap=self._bootstrap, problem=error.args[0].str()) from error
        self._errors.cause = None
        return found

    def _ends(self, places: Collection[Place]) -> Mapping[Place, int]:
        if not places:
            self._admin.list_topics(timeout=ANSWER_SECONDS)
            return {}
        asked = {TopicPartition(*place): _END for place in places}
        return self._gathered(self._admin.list_offsets(asked, request_timeout=ANSWER_SECONDS))

    def _gathered(self, answers: Mapping[TopicPartition, Future[Any]]) -> Mapping[Place, int]:
        found, refused = {}, None
        for place, answer in answers.items():
            try:
                found[place.topic, place.partition] = answer.result(timeout=2 * ANSWER_SECONDS).offset
            except KafkaException as error:
                denied = refusal(error, "Describe", place.topic)
                if denied is not None:
                    raise denied from error
                refused = error
            except TimeoutError:
                refused = KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if refused is not None and not found:
            raise refused
        return found
