"""Errors of Kafka: brokers, topics, positions and record batches."""

from __future__ import annotations

from stream_app.errors.base import BAD_INPUT, UNREACHABLE, UNUSABLE_DATA, ChurnMonitorError


class NoBroker(ChurnMonitorError):
    """Kafka at {bootstrap} does not answer: {problem}. Check kafka.bootstrap, kafka.security and the broker."""

    exit_code = UNREACHABLE


class KafkaDenied(NoBroker):
    """Kafka denies {right} on {resource}. Grant it to the user in kafka.security. `stream-app acls kafka` prints all
    permissions that a service needs.
    """


class LoginRefused(NoBroker):
    """Kafka refuses the login: {problem}. Check username, password and sasl_mechanism in kafka.security."""


class WrongTopics(ChurnMonitorError):
    """{count} topics would lose or reorder events: {problems}. Run `stream-app topics check` for the remedies."""


class OtherLog(ChurnMonitorError):
    """{topic}, partition {partition} ends with {found}. {remedy}"""

    exit_code = BAD_INPUT


class NotDelivered(ChurnMonitorError):
    """Cannot write to {topic}: {problem}. {remedy}"""

    exit_code = UNREACHABLE


class AlignmentGap(ChurnMonitorError):
    """{topic}: a fetch starts at offset {start} instead of {expected}, so the events between would be lost. Restart the
    process.
    """

    exit_code = UNREACHABLE


class HistoryGone(ChurnMonitorError):
    """Kafka no longer has {topic}[{partition}] from offset {position}: the earliest offset is {earliest}.

    The events between would be missing from the customers' states. Restore a Redis backup whose offsets Kafka still
    has, or restore the older segments of the topic. Then set a retention longer than the age of your oldest backup.
    """

    exit_code = UNUSABLE_DATA


class PositionAhead(ChurnMonitorError):
    """Redis has read {topic}[{partition}] up to offset {position}, but the topic ends at offset {end}.

    Redis and Kafka do not belong together, or the topic was recreated or lost records. Check the addresses of both.
    Then restore the topic, restore an older Redis backup, or start over with an empty Redis.
    """

    exit_code = UNUSABLE_DATA


class OtherTopic(ChurnMonitorError):
    """{topic} is not the topic that was read before: its id is {present}, but the offsets in Redis belong to {stored}.
    It was deleted and created again, or kafka.bootstrap or kafka.topics has changed. Its first records would be
    skipped. Restore the topic or the settings, run `stream-app topics accept {topic}` to read it from the beginning, or
    start over with a new redis.prefix and new topics.
    """

    exit_code = UNUSABLE_DATA


class SplitPartition(ChurnMonitorError):
    """Partition {partition} was assigned without {topics}, so its events cannot be merged. Give all input topics the
    same number of partitions (`stream-app topics check`), and keep other programs out of the consumer group.
    """

    exit_code = UNREACHABLE


class MissingCodec(ChurnMonitorError):
    """Record batches compressed with {codec} cannot be read: {problem}. Run `make env` in the checkout of the
    project, or `pip install "cramjam>=2.11,<3"`.
    """

    exit_code = BAD_INPUT


class TooManyUnreadable(ChurnMonitorError):
    """More than {limit} record batches within {minutes:.0f} minutes could not be read, the latest in
    {topic}[{partition}], offsets {first} to {last}: {problem}. Either a producer writes corrupt batches or a broker
    loses data. The log names each skipped batch. Stop the producer, or check the broker with `kafka-dump-log.sh`, then
    restart the process.
    """

    exit_code = UNUSABLE_DATA
