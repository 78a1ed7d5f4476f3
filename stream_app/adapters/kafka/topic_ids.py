"""Reads topic ids (KIP-516). A recreated topic has a new id, and its offsets start again from 0."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from stream_app.adapters.kafka.refusals import ConnectionErrors, refusals
from stream_app.config import Kafka, confluent_options
from stream_app.errors import NoBroker

ANSWER_SECONDS: Final = 10.0
_NO_ID: Final = str(Uuid(0, 0))  # returned by brokers before 2.8


class TopicIds:
    """Reads topic ids. Use each instance from one thread at a time.

    Args:
        kafka: connection settings.
        seconds: timeout of a request.
    """

    def __init__(self, kafka: Kafka, seconds: float = ANSWER_SECONDS) -> None:
        self._bootstrap, self._seconds = kafka.bootstrap, seconds
        self._errors = ConnectionErrors(kafka.bootstrap)
        self._admin = AdminClient(confluent_options(kafka) | {"error_cb": self._errors})

    def __call__(self, topics: Collection[str]) -> dict[str, str | None]:
        """Return the ids of topics by name, or None if the broker does not support ids. Missing topics are omitted.

        Raises:
            NoBroker: Kafka does not answer.
            KafkaDenied, LoginRefused: Kafka refuses the request or the login.
        """
        self._admin.poll(0)  # deliver pending errors and log lines of the client
        try:
            answers = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._seconds)
            found = {name: self._id_of(name, answer) for name, answer in answers.items()}
        except (KafkaException, TimeoutError) as error:
            self._admin.poll(0)
            problem = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
            raise self._errors.cause or NoBroker(bootstrap=self._bootstrap, problem=problem) from error
        self._errors.cause = None
        return {name: None if one == _NO_ID else one for name, one in found.items() if one}

    def _id_of(self, topic: str, answer: Future[Any]) -> str:
        try:
            with refusals("Describe", topic):
                return str(answer.result(timeout=2 * self._seconds).topic_id)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return ""
            raise
