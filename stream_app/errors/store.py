"""Errors from Redis and in the data in it: connection, ownership, states, and model versions."""

from __future__ import annotations

from stream_app.errors.base import ChurnMonitorError, InvalidInput, Replaced, Unreachable, UnusableData


class StoreUnavailable(Unreachable):
    """Redis at {address} cannot be used: {problem}. {remedy}"""


class EvictingStore(Unreachable):
    """Redis at {address} may evict customers when its memory is full: maxmemory-policy is {policy}. Set it to
    noeviction (`CONFIG SET maxmemory-policy noeviction`, and in redis.conf), or use another Redis.
    """


class BadStoreAddress(InvalidInput):
    """Invalid Redis address: {problem}. Use redis://host:6379/0 or rediss://user:password@host:6380/0."""


class Fenced(Replaced):
    """Another process with the instance id {instance} has taken over {what}; this one ends. Give each process its own
    instance id.
    """


class CommitRefused(Replaced):
    """Redis refused the commit of partition {partition} ({outcome}): another process has committed since. Nothing of
    this batch was stored. Restart the process. If the error returns, two processes share an instance id.
    """


class NotClaimed(ChurnMonitorError):
    """The {store} was written to before it was claimed. Call claim(instance) once at the start of the process."""


class UnusableState(UnusableData):
    """The stored state of a customer cannot be read: {problem}. {remedy}"""


class UnknownCustomer(ChurnMonitorError):
    """No state for customer {customer} (expected in partition {partition}). Check the id, redis.prefix and
    kafka.partitions. A new customer appears once a worker has processed their first event.
    """


class StoreBehind(UnusableData):
    """Redis has no data for partition {partition}, but Kafka has record {found} of its outbox. Either redis.prefix is
    new and the topics are not, or Redis has lost its data. Restore any Redis backup; the rest is read again from Kafka.
    Or start over with new topics for labelled, nominations, alerts, control and scores (kafka.topics); the shop's
    events are then processed again.
    """


class StoreIncomplete(UnusableData):
    """Redis lacks data of {what}: {problem}. It was deleted, evicted or overwritten, and the rest would give wrong
    results. Restore a backup of the whole Redis, however old; the rest is read again from Kafka. Or start over with a
    new redis.prefix and new topics for labelled, nominations, alerts, control and scores (kafka.topics). Keep
    maxmemory-policy at noeviction.
    """


class UnusablePolicy(UnusableData):
    """The contact policy {version} cannot be read: {problem}. Use the release that published it, or a newer one."""


class UnknownPolicy(UnusableData):
    """The contact policy {version} is neither in Redis nor in the settings of this process. Publish its file again
    (`stream-app policy publish FILE`), or restore a backup of Redis.
    """


class UnusableSnapshot(UnusableData):
    """The model snapshot {source} cannot be used: {problem}. {remedy}"""


class UnknownVersion(InvalidInput):
    """Model version {number} is not kept. Available versions: {kept}."""


class VersionOutOfOrder(UnusableData):
    """Model version {number} cannot follow version {newest}: version numbers must increase. Resume from the latest
    checkpoint.
    """
