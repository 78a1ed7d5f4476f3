"""Translates errors with which Kafka refuses a request, a login or a record into messages for operators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka import errors as aiokafka_errors
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from kafka.errors import KafkaError as KafkaPythonError

from stream_app.config import Kafka, confluent_options
from stream_app.errors import KafkaDenied, LoginRefused, NoBroker

# Kinds of resources by the protocol error code that denies access to them, the same in all three client libraries.
_RESOURCES: Final = {29: "topic", 30: "group", 31: "cluster", 53: "transactional id"}
_LOGIN_CODES: Final = {33, 34, 58, KafkaError._AUTHENTICATION}  # mechanism, state, password; librdkafka's own code
_SENTENCES: Final = {code: KafkaError(code).str().removeprefix("Broker: ") for code in _RESOURCES}
_PRODUCED: Final = re.compile(r"ProduceRequest for (\S+) \[")
_REFUSED: Final = _RESOURCES.keys() | _LOGIN_CODES
_LOGIN_WORDS: Final = ("AuthenticationFailed", "SaslAuthentication", "UnsupportedSaslMechanism")
_PROBE_SECONDS: Final = 3.0
_LIBRARIES: Final = (KafkaException, AiokafkaError, KafkaPythonError)


class InvalidRecordError(aiokafka_errors.BrokerResponseError):  # type: ignore[misc]  # aiokafka has no types
    """Broker error for a record that its topic cannot store, such as one without a key on a compacted topic."""

    errno = 87
    message = "INVALID_RECORD"
    description = "The broker rejected the record."


# aiokafka has no class for this error, and treats unknown broker errors as transient.
aiokafka_errors.kafka_errors.setdefault(InvalidRecordError.errno, InvalidRecordError)
TOO_LARGE: Final = (aiokafka_errors.MessageSizeTooLargeError, aiokafka_errors.RecordListTooLargeError)
# Errors that retrying a record does not resolve. A missing right is not among them, because it may be granted later.
REFUSED: Final = (
    *TOO_LARGE,
    InvalidRecordError,
    aiokafka_errors.PolicyViolationError,
    aiokafka_errors.InvalidTimestampError,
)
FIX_TOPIC: Final = "Fix the topic (max.message.bytes, cleanup.policy; see `stream-app topics check`)"


def refusal(error: BaseException, right: str, topic: str = "") -> NoBroker | None:
    """Return KafkaDenied or LoginRefused if Kafka denied a right or refused the login, or None for any other error.

    Args:
        error: exception of aiokafka, confluent-kafka or kafka-python.
        right: attempted operation, as it is called in kafka-acls.sh.
        topic: topic of the operation, if the exception does not contain it.

    >>> from aiokafka.errors import TopicAuthorizationFailedError
    >>> print(refusal(TopicAuthorizationFailedError("shop.orders"), "Read"))
    Kafka denies Read on the topic shop.orders. ...
    """
    error = next((one for one in _chain(error) if _code(one) in _REFUSED), error)
    code = _code(error)
    if code in _LOGIN_CODES or any(word in type(error).__name__ for word in _LOGIN_WORDS):
        text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        return LoginRefused(problem=(text or type(error).__name__).rstrip("."))
    kind = _RESOURCES.get(code)
    if kind is None:
        return None
    if kind == "group":  # all group operations need the same right
        right = "Read"
    elif kind == "cluster" and right == "Write":  # only an idempotent producer needs a right on the cluster
        right = "IdempotentWrite (granted with Write on any topic)"
    named = _named(error) or (topic if kind == "topic" else "")
    return KafkaDenied(right=right, resource=f"the {kind} {named}".strip())


@contextmanager
def refusals(right: str, topic: str = "") -> Iterator[None]:
    """Convert refusals raised inside the block to KafkaDenied or LoginRefused; see `refusal`."""
    try:
        yield
    except _LIBRARIES as error:
        if (refused := refusal(error, right, topic)) is not None:
            raise refused from error
        raise


class ConnectionErrors:
    """Error callback (`error_cb`) for librdkafka that records why a connection fails; calls only report a timeout.

    >>> errors = ConnectionErrors("kafka:9092")
    >>> errors(KafkaError(KafkaError._AUTHENTICATION, "Invalid username or password"))
    >>> print(errors.cause)
    Kafka refuses the login: Invalid username or password. ...
    """

    def __init__(self, bootstrap: str, right: str = "Describe") -> None:
        self._bootstrap, self._right = bootstrap, right
        self.cause: NoBroker | None = None  # latest known reason why there is no connection

    def __call__(self, error: KafkaError) -> None:
        """Record an error if it gives a reason."""
        if error.code() == KafkaError._SSL:
            self.cause = NoBroker(bootstrap=self._bootstrap, problem=error.str())
        else:
            self.cause = refusal(KafkaException(error), self._right) or self.cause


def why_no_connection(kafka: Kafka) -> NoBroker | None:
    """Connect again and return the reason for a failure, or None if it succeeds or the reason is unknown."""
    errors = ConnectionErrors(kafka.bootstrap)
    admin = AdminClient(confluent_options(kafka) | {"error_cb": errors})
    try:
        admin.list_topics(timeout=_PROBE_SECONDS)
    except KafkaException:
        admin.poll(0)
    return errors.cause


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Iterate over an error and its causes: aiokafka's producer wraps unexpected errors."""
    while error is not None:
        yield error
        error = error.__cause__


def _code(error: BaseException) -> int:
    if isinstance(error, KafkaException):
        cause = error.args[0]
        # A fatal producer error has its own code; only its text names the broker's error.
        return next((code for code, words in _SENTENCES.items() if words in cause.str()), int(cause.code()))
    return int(getattr(error, "errno", None) or 0)


def _named(error: BaseException) -> str:
    """Return the topics or the group named by an error of aiokafka, or the topic of a fatal error of librdkafka."""
    if isinstance(error, KafkaException) and (found := _PRODUCED.search(error.args[0].str())):
        return found[1]
    if not isinstance(error, AiokafkaError) or not error.args:
        return ""
    named = error.args[0]
    return ", ".join(sorted(map(str, named))) if isinstance(named, set | frozenset | list | tuple) else str(named)
