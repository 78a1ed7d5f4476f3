"""One tree of exceptions. The docstring of a class is its message: the names in braces are filled with the facts."""

from __future__ import annotations

import inspect
from typing import ClassVar


class ChurnMonitorError(Exception):
    """The churn monitor cannot go on."""

    exit_code: ClassVar[int] = 1

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.__class__.__name__, facts)

    def __str__(self) -> str:
        """The docstring with the facts in it; under `python -OO`, where docstrings are gone, name and facts.

        >>> str(EmptyLog(file="log.jsonl"))
        'log.jsonl holds no events: nothing can be replayed. Check the path, and that the export is complete.'
        """
        template = inspect.getdoc(self.__class__)
        if template is None:
            return f"{self.__class__.__name__}: {self.facts}"
        return " ".join(template.format(**self.facts).split())


class UnusableLog(ChurnMonitorError):
    """{file}: {problem}. {remedy}"""

    exit_code = 2


class EmptyLog(UnusableLog):
    """{file} holds no events: nothing can be replayed. Check the path, and that the export is complete."""


class NoSuchLog(UnusableLog):
    """{file} cannot be opened: {problem}. Check the path and its permissions."""


class WrongFormat(UnusableLog):
    """{file} does not read as {expected}: {found}. {remedy}"""


class NoSuchColumn(UnusableLog):
    """{file} has no column `{column}` for the field `{field}`. The columns there: {columns}. {remedy}"""


class NothingReadable(UnusableLog):
    """{file}: none of the first {lines} lines could be read; line {line}, field `{field}`: {reason}. {remedy}"""


class NotSorted(ChurnMonitorError):
    """The log could not be sorted within {memory} of memory and the room in {folder}: {problem}. Give it more."""


class BadMapping(ChurnMonitorError):
    """The mapping {file} cannot be used: at `{key}`: {problem}. {remedy}"""

    exit_code = 2


class NoOrders(UnusableLog):
    """{file}: none of {events} events counts as an order ({action}).{unknown} Check --kinds, --kind, --order-action."""


class ShortLog(UnusableLog):
    """{file} covers {days:.0f} days, the horizon is {horizon:.0f}: no label would come. Give a shorter --horizon."""


class TooManyRejected(ChurnMonitorError):
    """{rejected} of {lines} lines were rejected, more than {limit:.2%}. They are kept, with reasons, in {file}."""

    exit_code = 3


class ContradictorySettings(ChurnMonitorError):
    """The setting `{name}` cannot be used: it {problem}. {remedy}"""

    exit_code = 2


class UnusableSnapshot(ChurnMonitorError):
    """The model snapshot {source} cannot be used: {problem}. {remedy}"""

    exit_code = 4


class UnusableState(ChurnMonitorError):
    """The stored state of a customer cannot be read: {problem}. {remedy}"""

    exit_code = 4


class BadOption(ChurnMonitorError):
    """{option} cannot be {value!r}. {remedy}"""

    exit_code = 2


class MissingExtra(ChurnMonitorError):
    """`stream-app {command}` needs the package {package}. Install it with: pip install "stream-app[replay]"."""

    exit_code = 2


class BadConfig(ChurnMonitorError):
    """The setting {name} cannot be used: it {problem}. {remedy}"""

    exit_code = 2


class NoBroker(ChurnMonitorError):
    """Kafka at {bootstrap} does not answer: {problem}. Check kafka.bootstrap, kafka.security and the broker."""

    exit_code = 5


class KafkaDenied(NoBroker):
    """Kafka denies {right} on {resource}. Grant it to the user of kafka.security: `stream-app acls kafka` prints every
    right that a service needs.
    """


class LoginRefused(NoBroker):
    """Kafka refuses the login: {problem}. Check kafka.security: username, password and sasl_mechanism."""


class WrongTopics(ChurnMonitorError):
    """{count} of the topics would lose or mix up events: {problems}. See `stream-app topics check` for each remedy."""

    exit_code = 1


class OtherLog(ChurnMonitorError):
    """{topic}, partition {partition} ends with {found}. {remedy}"""

    exit_code = 2


class NotDelivered(ChurnMonitorError):
    """{topic} did not take what was published: {problem}. {remedy}"""

    exit_code = 5


class AlignmentGap(ChurnMonitorError):
    """{topic}: a fetch begins at offset {start}, but {expected} is next: events between would be lost. Start again."""

    exit_code = 5


class StoreUnavailable(ChurnMonitorError):
    """Redis at {address} cannot be used: {problem}. {remedy}"""

    exit_code = 5


class EvictingStore(ChurnMonitorError):
    """Redis at {address} may evict customers when its memory is full: its maxmemory-policy is {policy}. Set it to
    noeviction (CONFIG SET maxmemory-policy noeviction, and in redis.conf), or use another Redis.
    """

    exit_code = 5


class BadStoreAddress(ChurnMonitorError):
    """The address of Redis cannot be used: {problem}. Give one like redis://host:6379/0 or rediss://user:password@host:6380/0."""

    exit_code = 2


class Fenced(ChurnMonitorError):
    """{instance} was started again elsewhere: this process leaves {what} to it. Give each process an instance id."""

    exit_code = 6


class NotClaimed(ChurnMonitorError):
    """The {store} was written to before it was claimed. Call claim(instance) once when the process starts."""


class UnknownVersion(ChurnMonitorError):
    """The model version {number} is not kept. Kept: {kept}. Name one of them."""

    exit_code = 2


class VersionOutOfOrder(ChurnMonitorError):
    """The model version {number} cannot follow {newest}: numbers only grow. Continue from the latest checkpoint."""

    exit_code = 4


class HistoryGone(ChurnMonitorError):
    """Kafka no longer has {topic}[{partition}] from position {position} on: it begins at {earliest}.

    What lies between would be missing from the customers' states. Restore a Redis backup whose positions Kafka still
    has, or the topic's older segments; then give the topic a longer retention than your oldest backup.
    """

    exit_code = 4


class PositionAhead(ChurnMonitorError):
    """Redis has read {topic}[{partition}] up to position {position}, but in Kafka it ends at {end}.

    Redis and Kafka do not belong together, or the topic was made anew or lost records. Check the addresses of both;
    restore the topic, or a Redis backup from before; or start over with an empty Redis.
    """

    exit_code = 4


class MissingCodec(ChurnMonitorError):
    """Record batches packed with {codec} cannot be read: {problem}. Install it with: pip install "cramjam>=2.11,<3"."""

    exit_code = 2


class TooManyUnreadable(ChurnMonitorError):
    """More than {limit} record batches within {minutes:.0f} minutes could not be read; the last one is
    {topic}[{partition}], offsets {first} to {last}: {problem}. Either a producer writes broken batches, or a disk of
    Kafka loses data: the log names each batch that was skipped. Stop the producer, or check the broker with
    `kafka-dump-log.sh`; then start again.
    """

    exit_code = 4


class OtherTopic(ChurnMonitorError):
    """{topic} is another topic than the one that was read: its id is {present}, and the positions in Redis count in
    {stored}. It was deleted and created again, or kafka.bootstrap or kafka.topics name another one. Its first records
    would be skipped. Restore the topic or the settings; or run `stream-app topics accept {topic}`, which reads it from
    its beginning; or start over with a fresh redis.prefix and fresh topics.
    """

    exit_code = 4


class Stalled(ChurnMonitorError):
    """The position has not moved for {seconds:.0f} s while {lag} records wait. The process ends: restart it."""

    exit_code = 75  # EX_TEMPFAIL: a supervisor may try again


class StopCutShort(ChurnMonitorError):
    """The stop was cut short after {seconds:.0f} s: Kafka or Redis does not answer. What is stored is whole, and the
    next start goes on from there.
    """

    exit_code = 5


class NoHealthAddress(ChurnMonitorError):
    """Health and metrics cannot be served on {host}, port {port}: {problem}. Give another; 0: not served."""

    exit_code = 2


class SplitPartition(ChurnMonitorError):
    """Partition {partition} was assigned without {topics}: its events would be decided on apart. Give all input topics
    the same number of partitions (`stream-app topics check`), and let no other program join the consumer group.
    """

    exit_code = 5


class CommitRefused(ChurnMonitorError):
    """The commit of partition {partition} was refused ({outcome}): another process has worked on it since. Nothing of
    this batch was stored. Start again; if it comes back, two processes have the same instance id.
    """

    exit_code = 6


class UnknownCustomer(ChurnMonitorError):
    """Nothing is stored of the customer {customer} (he would be in partition {partition}). Check the id, redis.prefix
    and kafka.partitions; a new customer appears with the first event that is worked off.
    """

    exit_code = 1


class NoEmbeddedServer(ChurnMonitorError):
    """The demo's own {server} does not start: {problem}. {remedy}"""

    exit_code = 5


class NoPageAddress(ChurnMonitorError):
    """The demo's page cannot be served on port {port}: {problem}. Give another with --port; 0: any that is free."""

    exit_code = 2


class DemoFailed(ChurnMonitorError):
    """The demo ended: {part} {problem}. Its last words: {words} All logs are in {folder}."""

    exit_code = 1


class NotTheClock(ChurnMonitorError):
    """The simulated shop brings its own ticks, but ticks.clock is {clock}. Set it to log for it and for the workers."""

    exit_code = 2


class NoReceiverAddress(ChurnMonitorError):
    """The receiver cannot listen on {host}, port {port}: {problem}. Give another."""

    exit_code = 2


class BadSecret(ChurnMonitorError):
    """The secret {source} cannot be used: it {problem}. {remedy}"""

    exit_code = 2


class StoreBehind(ChurnMonitorError):
    """Redis knows nothing of partition {partition}, but Kafka holds record {found} of its outbox: the prefix is fresh
    and the topics are not, or Redis has lost everything. Restore a file of Redis, however old: what it lacks is caught
    up from Kafka. Or begin anew with fresh topics for labelled, nominations, alerts, contacts and scores
    (kafka.topics): the shop's events are then worked off again.
    """

    exit_code = 4


class StoreIncomplete(ChurnMonitorError):
    """Redis lacks data of {what}: {problem}. It was deleted, evicted or overwritten by something else, and what is left
    would give wrong results. Restore a backup of the whole Redis, however old: what it lacks is read again from Kafka.
    Or start over with a fresh redis.prefix and fresh topics for labelled, nominations, alerts, contacts and scores
    (kafka.topics). Keep its maxmemory-policy at noeviction.
    """

    exit_code = 4


class BadPlaybook(ChurnMonitorError):
    """{file}, line {line}, {field}: {problem}. {remedy}"""

    exit_code = 2


class BadTemplate(ChurnMonitorError):
    """The template {file}, line {line}, cannot be used: {problem}. {remedy}"""

    exit_code = 2


class NoSuchAlert(ChurnMonitorError):
    """No open episode has the id {alert_id}. {remedy}"""

    exit_code = 1


class AlertTaken(ChurnMonitorError):
    """The episode {alert_id} belongs to {owner}. Ask {owner}, or add --take-over to make it yours."""

    exit_code = 1


class BadChannels(ChurnMonitorError):
    """{file}, line {line}: {field} {problem}. {remedy}"""

    exit_code = 2


class UnknownChannel(ChurnMonitorError):
    """There is no channel {channel}. The channels: {known}. They stand in the file that delivery.config names."""

    exit_code = 2


class UnknownDelivery(ChurnMonitorError):
    """No delivery {delivery} is dead. See `stream-app alerts list --state dead` for those that are."""

    exit_code = 1


class PrivateAddress(ChurnMonitorError):
    """{host} leads to {address}, which is not public. Write allow_private: true if it is a receiver of yours."""

    exit_code = 2
