"""What Kafka refuses for want of a right or a login, in the words of an operator: the right and its resource."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from kafka.errors import KafkaError as KafkaPythonError

from stream_app.config import Kafka, confluent_options
from stream_app.errors import KafkaDenied, LoginRefused, NoBroker

# What the authorizer of a broker checks, by the error code of the protocol; all three libraries know it by this number.
_RESOURCES: Final = {29: "topic", 30: "group", 31: "cluster", 53: "transactional id"}
_LOGIN_CODES: Final = {33, 34, 58, KafkaError._AUTHENTICATION}  # mechanism, state, password; found by librdkafka itself
_SENTENCES: Final = {code: KafkaError(code).str().removeprefix("Broker: ") for code in _RESOURCES}
_PRODUCED: Final = re.compile(r"ProduceRequest for (\S+) \[")
_REFUSED: Final = _RESOURCES.keys() | _LOGIN_CODES
_LOGIN_WORDS: Final = ("AuthenticationFailed", "SaslAuthentication", "UnsupportedSaslMechanism")
_PROBE_SECONDS: Final = 3.0
_LIBRARIES: Final = (KafkaException, AiokafkaError, KafkaPythonError)


def refusal(error: BaseException, right: str, topic: str = "") -> NoBroker | None:
    """Return what an error of a client library means if Kafka refused a right or the login; None for any other.

    Args:
        error: of aiokafka, confluent-kafka or kafka-python.
        right: what was being done, as kafka-acls.sh names it.
        topic: on which, where the error itself does not say.

    >>> from aiokafka.errors import TopicAuthorizationFailedError
    >>> print(refusal(TopicAuthorizationFailedError("shop.orders"), "Read"))
    Kafka denies Read on the topic shop.orders. ...
    """
    error = next((one for one in _chain(error) if _code(one) in _REFUSED), error)
    code = _code(error)
    if code in _LOGIN_CODES or any(word in type(error).__name__ for word in _LOGIN_WORDS):
        return LoginRefused(problem=_text(error))
    kind = _RESOURCES.get(code)
    if kind is None:
        return None
    if kind == "group":  # whatever is done in a group needs the same right
        right = "Read"
    elif kind == "cluster" and right == "Write":  # only an idempotent producer asks the cluster
        right = "IdempotentWrite (granted with Write on any topic)"
    named = _named(error) or (topic if kind == "topic" else "")
    return KafkaDenied(right=right, resource=f"the {kind} {named}".strip())


@contextmanager
def refusals(right: str, topic: str = "") -> Iterator[None]:
    """Turn a refusal that is raised inside the block into KafkaDenied or LoginRefused; see `refusal`."""
    try:
        yield
    except _LIBRARIES as error:
        if (refused := refusal(error, right, topic)) is not None:
            raise refused from error
        raise


class ConnectionErrors:
    """What librdkafka says of its connections; an `error_cb`. A call that fails for want of one says "timed out" only.

    >>> errors = ConnectionErrors("kafka:9092")
    >>> errors(KafkaError(KafkaError._AUTHENTICATION, "Invalid username or password"))
    >>> print(errors.cause)
    Kafka refuses the login: Invalid username or password. ...
    """

    def __init__(self, bootstrap: str, right: str = "Describe") -> None:
        self._bootstrap, self._right = bootstrap, right
        self.cause: NoBroker | None = None  # the latest that says why there is no connection

    def __call__(self, error: KafkaError) -> None:
        """Note an error if it says why."""
        if error.code() == KafkaError._SSL:
            self.cause = NoBroker(bootstrap=self._bootstrap, problem=error.str())
        else:
            self.cause = refusal(KafkaException(error), self._right) or self.cause


def why_no_connection(kafka: Kafka) -> NoBroker | None:
    """Connect once more, to learn why it fails; None if that is not known, or if it does not fail."""
    errors = ConnectionErrors(kafka.bootstrap)
    admin = AdminClient(confluent_options(kafka) | {"error_cb": errors})
    try:
        admin.list_topics(timeout=_PROBE_SECONDS)
    except KafkaException:
        admin.poll(0)
    return errors.cause


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes: aiokafka's producer wraps what it did not expect."""
    while error is not None:
        yield error
        error = error.__cause__


def _code(error: BaseException) -> int:
    if isinstance(error, KafkaException):
        told = error.args[0]
        # A fatal error of a producer has a code of its own, and that of the broker in its sentence only.
        return next((code for code, words in _SENTENCES.items() if words in told.str()), int(told.code()))
    return int(getattr(error, "errno", None) or 0)


def _named(error: BaseException) -> str:
    """The topics or the group that an error of aiokafka carries; of a fatal one of librdkafka, the topic."""
    if isinstance(error, KafkaException) and (found := _PRODUCED.search(error.args[0].str())):
        return found[1]
    if not isinstance(error, AiokafkaError) or not error.args:
        return ""
    named = error.args[0]
    return ", ".join(sorted(map(str, named))) if isinstance(named, set | frozenset | list | tuple) else str(named)


def _text(error: BaseException) -> str:
    text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
    return (text or type(error).__name__).rstrip(".")
