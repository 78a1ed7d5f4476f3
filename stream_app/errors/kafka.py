"""Kafka errors: brokers, topics, positions and record batches."""

from __future__ import annotations

from stream_app.errors.base import ChurnMonitorError, InvalidInput, Unreachable, UnusableData


class NoBroker(Unreachable):
    """Kafka at {bootstrap} does not answer: {problem}. Check kafka.bootstrap, kafka.security and the broker."""


class KafkaDenied(NoBroker):
    """Kafka denies {right} on {resource}. Grant it to the user in kafka.security. `stream-app acls kafka` prints all
    permissions that a service needs.
    """


class LoginRefused(NoBroker):
    """Kafka refuses the login: {problem}. Check username, password and sasl_mechanism in kafka.security."""


class WrongTopics(ChurnMonitorError):
    """{count} topics would lose or reorder events: {problems}. Run `stream-app topics check` for the remedies."""


class OtherLog(InvalidInput):
    """{topic}, partition {partition} ends with {found}. {remedy}"""


class NotDelivered(Unreachable):
    """Cannot write to {topic}: {problem}. {remedy}"""


class AlignmentGap(Unreachable):
    """{topic}: a fetch starts at offset {start} instead of {expected}, so the events between would be lost. Restart the
    process.
    """


class HistoryGone(UnusableData):
    """Kafka no longer has offset {position} of {topic}[{partition}]: the earliest offset is {earliest}.

    The events between would be missing from the customers' states. Restore a Redis backup whose offsets Kafka still
    has, or restore the older segments of the topic. Then set a retention longer than the age of your oldest backup.
    """


class PositionAhead(UnusableData):
    """Redis has read {topic}[{partition}] up to offset {position}, but the topic ends at offset {end}.

    Redis and Kafka do not belong together, or the topic was recreated or lost records. Check the addresses of both.
    Then restore the topic, restore an older Redis backup, or start over with an empty Redis.
    """


class OtherTopic(UnusableData):
    """{topic} is not the topic that was read before: its id is {present}, but the offsets in Redis belong to {stored}.
    It was deleted and created again, or kafka.bootstrap or kafka.topics has changed. Its first records would be
    skipped. Restore the topic or the settings, run `stream-app topics accept {topic}` to read it from the beginning, or
    start over with a new redis.prefix and new topics.
    """


class SplitPartition(Unreachable):
    """Partition {partition} was assigned without {topics}, so its events cannot be merged. Give all input topics the
    same number of partitions (`stream-app topics check`), and keep other programs out of the consumer group.
    """


class MissingCodec(InvalidInput):
    """Record batches compressed with {codec} cannot be read: {problem}. Run `make env` in the checkout of the
    project, or `pip install "cramjam>=2.11,<3"`.
    """


class TooManyUnreadable(UnusableData):
    """More than {limit} record batches within {minutes:.0f} minutes could not be read, the latest in
    {topic}[{partition}], offsets {first} to {last}: {problem}. Either a producer writes corrupt batches or a broker
    loses data. The log names each skipped batch. Stop the producer, or check the broker with `kafka-dump-log.sh`, then
    restart the process.
    """
