"""Table of all Redis keys and all fields of the `meta` hashes, with type, owner and content.

All keys start with `PREFIX:` (`redis.prefix`). The part in braces is a hash tag, which puts related keys on one node of
a cluster. The names are stored in running installations and therefore never change: `{deliver}` belongs to the
notifier, `letters` are messages, `episodes` are notes on open alerts, and `{p-1}` belongs to the allocator.

The Lua scripts that read and write them are in `adapters/redis/scripts/`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

META: Final = "meta"
STATES, OUTBOX, EPISODES = "states", "outbox", "episodes"
VERSIONS, SNAPSHOTS, INDEX = "versions", "snapshots", "index"
DELIVERIES, LETTERS, CHANNELS, OPEN, ENDED, DEAD, REQUESTS = (
    "deliveries",
    "letters",
    "channels",
    "open",
    "ended",
    "dead",
    "requests",
)
HOLDER, LAST = "holder", "last"
POLICIES, POLICY_CONTENTS = "policies", "contents"
EPOCH: Final = "epoch"

# Kinds of keys under one hash tag whose entries are counted in `meta`, in the order in which the scripts take them.
PARTITION_KINDS: Final = (STATES, OUTBOX, EPISODES)
MODEL_KINDS: Final = (VERSIONS, SNAPSHOTS, INDEX)
DELIVERY_KINDS: Final = (DELIVERIES, LETTERS, CHANNELS, OPEN, ENDED, DEAD)

# The field of `meta` that every commit writes. Without it, nothing has ever been committed.
POSITION, CHECKPOINT, NUMBER = "position", "checkpoint", "number"


class Key(NamedTuple):
    """One row of the table: a key after the prefix (`*`: a partition number), or a field of a `meta` hash."""

    name: str
    type: str  # Redis type; "field" for a field of the `meta` hash above it
    owner: str  # services that write the key
    content: str


_TASKS: Final = "worker, allocator"
TABLE: Final = (
    Key("epoch", "string", _TASKS, "Last epoch given to a process."),
    Key("{p*}:meta", "hash", _TASKS, "Position of a partition and bookkeeping; the allocator has number -1."),
    Key("position", "field", _TASKS, "Offsets and time up to which everything is stored."),
    Key("summary", "field", _TASKS, "Variables of the partition besides its customers."),
    Key("sequence", "field", _TASKS, "Sequence number of the last outbox record."),
    Key("last_epoch", "field", _TASKS, "Epoch of the process that committed last."),
    Key("last_batch", "field", _TASKS, "Id of the last batch, to recognize a repeated commit."),
    Key("last_first", "field", _TASKS, "Sequence number of the first outbox record of that batch."),
    Key("digest", "field", _TASKS, "Digest of all states."),
    Key("epoch:INSTANCE", "field", _TASKS, "Epoch of each instance that opened the partition: the fence."),
    Key("{p*}:states", "hash", "worker", "Encoded state of each customer."),
    Key("{p*}:outbox", "list", _TASKS, "Records that are not in Kafka yet; the last one has the number `sequence`."),
    Key("{p*}:episodes", "hash", "worker", "Notes on open alerts (core/alerts/staff_actions.py)."),
    Key("{model}:meta", "hash", "trainer", "Checkpoint of the trainer and bookkeeping."),
    Key("epoch", "field", "trainer", "Epoch of the latest claim: the fence."),
    Key("claim", "field", "trainer", "Token of that claim, to recognize a repeated call."),
    Key("trainer", "field", "trainer", "Instance that claimed, for display."),
    Key("number", "field", "trainer", "Number of the checkpoint."),
    Key("written_in", "field", "trainer", "Epoch in which it was written."),
    Key("checkpoint", "field", "trainer", "The checkpoint, signed."),
    Key("through", "field", "trainer", "Event time up to which the trainer has learned, microseconds."),
    Key("newest", "field", "trainer", "Number of the newest version."),
    Key("pinned", "field", "operator", "Version that ticks activate, if it is not the newest."),
    Key("{model}:versions", "hash", "trainer", "Metadata of each kept version, by number."),
    Key("{model}:snapshots", "hash", "trainer", "Bytes of each kept version, signed, by number."),
    Key("{model}:index", "sorted set", "trainer", "Zero-padded version numbers by effective time."),
    Key("{deliver}:meta", "hash", "notifier", "Position of the notifier and bookkeeping."),
    Key("epoch", "field", "notifier", "Epoch of the latest claim: the fence."),
    Key("claim", "field", "notifier", "Token of that claim, to recognize a repeated call."),
    Key("deliverer", "field", "notifier", "Instance that claimed, for display."),
    Key("number", "field", "notifier", "Number of the last commit."),
    Key("position", "field", "notifier", "Offsets up to which alerts are processed."),
    Key("last_epoch", "field", "notifier", "Epoch of the process that committed last."),
    Key("last_batch", "field", "notifier", "Id of the last batch, to recognize a repeated commit."),
    Key("{deliver}:deliveries", "hash", "notifier", "Deliveries by id."),
    Key("{deliver}:letters", "hash", "notifier", "Messages by id."),
    Key("{deliver}:channels", "hash", "notifier", "State of each channel by name."),
    Key("{deliver}:open", "set", "notifier", "Ids of pending deliveries."),
    Key("{deliver}:ended", "sorted set", "notifier", "Ids of all other deliveries by the time they ended."),
    Key("{deliver}:dead", "set", "notifier", "Ids of dead deliveries."),
    Key("{deliver}:requests", "list", "operator, notifier", "Requests of users, oldest first."),
    Key("{clock}:holder", "string", "worker", "Worker that writes the ticks; expires."),
    Key("{clock}:last", "string", "worker", "Moment of the last tick, microseconds."),
    Key("{clock}:policies", "sorted set", "operator, publish", "Published contact policies, `TIME:VERSION` by time."),
    Key("{clock}:contents", "hash", "operator, publish", "Content of each published contact policy, by version."),
)
# Fields that every `meta` hash may have besides those of the table.
SHARED_FIELDS: Final = (
    Key("count:KIND", "field", "owner of the hash", "Number of entries of another key under the same hash tag."),
    Key("topic:ROLE", "field", "owner of the hash", "Id of the topic that the offsets refer to."),
)


class Keys:
    """Names of the keys under one hash tag.

    Args:
        prefix: `redis.prefix`.
        tag: hash tag.
        owner: partition or service that owns the data, for error messages.

    >>> Keys("churn", "model", "the trainer")("meta")
    'churn:{model}:meta'
    """

    def __init__(self, prefix: str, tag: str, owner: str) -> None:
        self._start = f"{prefix}:{{{tag}}}:"
        self.owner = owner

    def __call__(self, kind: str) -> str:
        """Return the name of a key."""
        return self._start + kind

    def all(self, *kinds: str) -> list[str]:
        """Return the names of several keys."""
        return [self._start + kind for kind in kinds]
