"""The ids of topics (KIP-516): a topic that was deleted and created again has another one, and other offsets."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from stream_app.config import Kafka, confluent_options
from stream_app.errors import NoBroker

ANSWER_SECONDS: Final = 10.0
_NO_ID: Final = str(Uuid(0, 0))  # of brokers before 2.8


class KafkaIds:
    """One client; for one thread at a time.

    Args:
        kafka: where it is.
        seconds: how long an answer is waited for.
    """

    def __init__(self, kafka: Kafka, seconds: float = ANSWER_SECONDS) -> None:
        self._bootstrap, self._seconds = kafka.bootstrap, seconds
        self._admin = AdminClient(confluent_options(kafka))

    def __call__(self, topics: Collection[str]) -> dict[str, str | None]:
        """The ids of topics by name; None: the broker gives none. A topic that does not exist is left out.

        Raises NoBroker if Kafka does not answer or refuses.
        """
        try:
            answers = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._seconds)
            found = {name: self._id_of(answer) for name, answer in answers.items()}
        except KafkaException as error:
            raise NoBroker(bootstrap=self._bootstrap, problem=error.args[0].str()) from error
        except TimeoutError as error:
            raise NoBroker(bootstrap=self._bootstrap, problem="no answer in time") from error
        return {name: None if one == _NO_ID else one for name, one in found.items() if one}

    def _id_of(self, answer: Future[Any]) -> str:
        try:
            return str(answer.result(timeout=2 * self._seconds).topic_id)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return ""
            raise
