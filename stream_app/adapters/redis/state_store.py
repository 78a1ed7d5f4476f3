"""States, positions and outboxes in Redis. See keys.py for the keys and commit.lua for a commit.

Each partition has one hash for the states of all its customers, which takes less memory than a key per customer and is
read without scanning other partitions. Notes on open alerts are in a separate hash, so that listing
them does not scan states.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Final

from stream_app.adapters.redis.completeness import OTHER_VALUES, Digest
from stream_app.adapters.redis.connection import Client, Script, Topics, Verify, ask, to_the_end, translated
from stream_app.adapters.redis.keys import (
    EPISODES,
    META,
    OUTBOX,
    PARTITION_KINDS,
    POSITION,
    STATES,
    Keys,
    epoch_key,
    partition_keys,
)
from stream_app.adapters.redis.packing import pack_strings, unpack_strings
from stream_app.core.partition.commit import Commit
from stream_app.errors import Fenced, NotClaimed, StoreIncomplete
from stream_app.ports import INSTANCES, Opened, Outcome, StateStore

PAGE: Final = 1_000  # states per read, which blocks Redis for 5 ms
_INCOMPLETE: Final = 4  # reply of commit.lua that is not an Outcome
_LACKS: Final = 2  # reply of trim.lua and skip.lua


class RedisStateStore(StateStore):
    """Implementation of `ports.StateStore` on Redis.

    Args:
        client: from `make_client`; the caller closes it.
        prefix: prefix of all keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._life: tuple[str, int] | None = None
        self._opened: dict[int, bytes] = {}  # by partition: the position at which it was opened
        self._digests: dict[int, Digest] = {}  # by partition, if all of its states are in memory
        self._claim = Script(client, "claim")
        self._open = Script(client, "open")
        self._commit = Script(client, "commit")
        self._scan = Script(client, "scan")
        self._outbox = Script(client, "outbox")
        self._trim = Script(client, "trim")
        self._skip = Script(client, "skip")
        self._verify = Verify(client, POSITION, PARTITION_KINDS)
        self._topics = Topics(client, POSITION)

    async def claim(self, instance: str) -> int:
        epoch = int(await self._claim([epoch_key(self._prefix)]))
        self._life = (instance, epoch)
        return epoch

    async def open(self, partition: int) -> Opened:
        instance, epoch = self._claimed()
        ours, *stored = await self._open([self._keys(partition)(META)], instance, epoch, INSTANCES)
        if not ours:
            raise self._fenced(partition, stored[0])
        position, summary, sequence = stored
        await self._verify(_what(partition), self._keys(partition))
        if not position:
            self._digests[partition] = Digest()
        elif self._opened.get(partition) != position:
            self._digests.pop(partition, None)
        self._opened[partition] = position
        return Opened(position, summary, int(sequence) + 1)

    async def keep_topics(self, partition: int, ids: Mapping[str, str]) -> dict[str, str]:
        return await self._topics.keep(self._keys(partition)(META), ids)

    async def accept_topic(self, partition: int, role: str, topic_id: str) -> None:
        await self._topics.accept(self._keys(partition)(META), role, topic_id)

    def close(self, partition: int) -> None:
        self._opened.pop(partition, None)
        self._digests.pop(partition, None)

    async def states(self, partition: int) -> AsyncIterator[list[tuple[str, bytes]]]:
        cursor, seen, digest = b"0", set[str](), Digest()
        while True:
            cursor, page = await self._scan([self._keys(partition)(STATES)], cursor, PAGE)
            values = iter(unpack_strings(page))
            # HSCAN may return a field twice while the hash is resized.
            chunk = {_name(customer): state for customer, state in zip(values, values, strict=True)}
            new = [(customer, state) for customer, state in chunk.items() if customer not in seen]
            if new:
                seen.update(customer for customer, _ in new)
                digest.put(
                    [customer for customer, _ in new], [part for one in new for part in (_field(one[0]), one[1])]
                )
                yield new
            if cursor == b"0":
                break
        await self._compare(partition, digest)

    async def _compare(self, partition: int, digest: Digest) -> None:
        """Compare the states that were read with the stored digest, and keep the digest up to date from now on."""
        position, stored = await ask(self._client, "HMGET", self._keys(partition)(META), POSITION, "digest")
        if self._opened.get(partition) != (position or b""):
            return  # another process has opened it and may have replaced states meanwhile
        if stored is not None and stored.decode() != str(digest):
            raise StoreIncomplete(what=_what(partition), problem=OTHER_VALUES)
        self._digests[partition] = digest

    async def state(self, partition: int, customer: str) -> bytes | None:
        key = self._keys(partition)(STATES)
        found: bytes | None = await ask(self._client, "HGET", key, _field(customer))
        return found

    async def alerts(self, partition: int) -> dict[str, bytes]:
        found: dict[bytes, bytes] = await ask(self._client, "HGETALL", self._keys(partition)(EPISODES))
        return {_name(key): note for key, note in found.items()}

    async def commit(self, commit: Commit, batch: str, relayed: int) -> tuple[Outcome, int]:
        instance, epoch = self._claimed()
        partition = commit.partition
        flat: list[bytes] = []
        digest = self._digests.pop(partition, None)  # unknown until the commit is stored
        for customer, state in commit.states.items():
            flat += (_field(customer), state)
        if digest is not None:
            digest.put(commit.states, flat)
        keys = self._keys(partition).all(META, *PARTITION_KINDS)
        batch_args = (commit.base, commit.position, commit.summary, relayed)
        notes = [part for key, note in commit.alerts.items() for part in (_field(key), note)]
        packed = (pack_strings(flat), pack_strings(commit.outbox), pack_strings(notes), str(digest or ""))
        outcome, first = await to_the_end(self._commit(keys, instance, epoch, batch, *batch_args, *packed))
        if outcome == _INCOMPLETE:
            raise await self._verify.refusal(_what(partition), self._keys(partition))
        if digest is not None and Outcome(outcome).stored:
            self._digests[partition], self._opened[partition] = digest, commit.position
        return Outcome(outcome), first

    async def outbox(self, partition: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        keys = self._keys(partition).all(META, OUTBOX)
        first, records = await self._outbox(keys, after, limit)
        return list(enumerate(records, first))

    async def trim(self, partition: int, through: int) -> None:
        instance, epoch = self._claimed()
        keys = self._keys(partition).all(META, OUTBOX)
        ours, *later = await self._trim(keys, instance, epoch, through)
        if ours == _LACKS:
            raise await self._verify.refusal(_what(partition), self._keys(partition))
        if not ours:
            raise self._fenced(partition, later[0])

    async def skip(self, partition: int, seen: int, first_void: int, records: Sequence[bytes]) -> int:
        instance, epoch = self._claimed()
        keys = self._keys(partition).all(META, OUTBOX)
        ours, first = await self._skip(keys, instance, epoch, seen, first_void, pack_strings(records))
        if ours == _LACKS:
            raise await self._verify.refusal(_what(partition), self._keys(partition))
        if not ours:
            raise self._fenced(partition, first)
        return int(first)

    async def positions(self, partitions: Iterable[int]) -> dict[int, bytes]:
        return await self._fields(partitions, POSITION)

    async def summaries(self, partitions: Iterable[int]) -> dict[int, bytes]:
        return await self._fields(partitions, "summary")

    async def _fields(self, partitions: Iterable[int], name: str) -> dict[int, bytes]:
        wanted = list(partitions)
        with translated(self._client, f"HGET {self._prefix}:{{p*}}:meta"):
            async with self._client.pipeline(transaction=False) as pipeline:
                for partition in wanted:
                    pipeline.hget(self._keys(partition)(META), name)
                found = await pipeline.execute()
        return {partition: value or b"" for partition, value in zip(wanted, found, strict=True)}

    def _keys(self, partition: int) -> Keys:
        return partition_keys(self._prefix, partition)

    def _claimed(self) -> tuple[str, int]:
        if self._life is None:
            raise NotClaimed(store="state store")
        return self._life

    def _fenced(self, partition: int, later: bytes) -> Fenced:
        instance, epoch = self._claimed()
        return Fenced(instance=instance, epoch=epoch, later=int(later), what=f"partition {partition}")


def _what(partition: int) -> str:
    return f"partition {partition}" if partition >= 0 else "the allocator"


def _field(customer: str) -> bytes:
    return customer.encode("utf-8", "surrogatepass")


def _name(field: bytes) -> str:
    return field.decode("utf-8", "surrogatepass")
