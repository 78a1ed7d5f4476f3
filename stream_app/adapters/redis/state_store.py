"""States, positions and outboxes in Redis. See keys.py for the keys and commit.lua for a commit.

Each partition has one hash for the states of all its customers, which takes less memory than a key per customer and is
read without scanning other partitions. Notes on open alerts are in a separate hash, so that listing
them does not scan states.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import chain

from stream_app.adapters.redis.completeness import OTHER_VALUES, Digest
from stream_app.adapters.redis.connection import Client, ask, to_the_end, translated
from stream_app.adapters.redis.keys import (
    EPISODES,
    EPOCH,
    META,
    OUTBOX,
    PARTITION_KINDS,
    POSITION,
    STATES,
    Keys,
)
from stream_app.adapters.redis.packing import pack_strings
from stream_app.adapters.redis.store import INCOMPLETE, RedisStore, decoded, encoded
from stream_app.core.partition.commit import Commit
from stream_app.errors import StoreIncomplete
from stream_app.ports import INSTANCES, Opened, Outcome, StateStore


class RedisStateStore(RedisStore, StateStore):
    """Implementation of `ports.StateStore` on Redis.

    Args:
        client: client made by `make_client`; the caller closes it.
        prefix: prefix of all keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        super().__init__(client, "state store", POSITION, PARTITION_KINDS)
        self._prefix = prefix
        self._opened: dict[int, bytes] = {}  # by partition: the position at which it was opened
        self._digests: dict[int, Digest] = {}  # by partition, if all of its states are in memory

    async def claim(self, instance: str) -> int:
        epoch = int(await self._run("claim", [f"{self._prefix}:{EPOCH}"]))
        self._life = (instance, epoch)
        return epoch

    async def open(self, partition: int) -> Opened:
        instance, epoch = self._claimed()
        ours, *stored = await self._run("open", [self._keys(partition)(META)], instance, epoch, INSTANCES)
        await self._require_ours(self._keys(partition), ours, *stored)
        position, summary, sequence = stored
        await self._verify(self._keys(partition))
        if not position:
            self._digests[partition] = Digest()
        elif self._opened.get(partition) != position:
            self._digests.pop(partition, None)
        self._opened[partition] = position
        return Opened(position, summary, int(sequence) + 1)

    async def keep_topics(self, partition: int, ids: Mapping[str, str]) -> dict[str, str]:
        return await self._keep_topics(self._keys(partition), ids)

    async def accept_topic(self, partition: int, role: str, topic_id: str) -> None:
        await self._accept_topic(self._keys(partition), role, topic_id)

    def close(self, partition: int) -> None:
        self._opened.pop(partition, None)
        self._digests.pop(partition, None)

    async def states(self, partition: int) -> AsyncIterator[list[tuple[str, bytes]]]:
        digest = Digest()
        async for chunk in self._entries(self._keys(partition)(STATES)):
            states = [(decoded(customer), state) for customer, state in chunk.items()]
            if states:
                digest.put([customer for customer, _ in states], list(chain.from_iterable(chunk.items())))
                yield states
        await self._compare(partition, digest)

    async def _compare(self, partition: int, digest: Digest) -> None:
        """Compare the states that were read with the stored digest, and keep the digest up to date from now on."""
        position, stored = await ask(self._client, "HMGET", self._keys(partition)(META), POSITION, "digest")
        if self._opened.get(partition) != (position or b""):
            return  # another process has opened it and may have replaced states meanwhile
        if stored is not None and stored.decode() != str(digest):
            raise StoreIncomplete(what=self._keys(partition).owner, problem=OTHER_VALUES)
        self._digests[partition] = digest

    async def state(self, partition: int, customer: str) -> bytes | None:
        return await ask(self._client, "HGET", self._keys(partition)(STATES), encoded(customer))

    async def alerts(self, partition: int) -> dict[str, bytes]:
        found: dict[bytes, bytes] = await ask(self._client, "HGETALL", self._keys(partition)(EPISODES))
        return {decoded(key): note for key, note in found.items()}

    async def commit(self, commit: Commit, batch: str, relayed: int) -> tuple[Outcome, int]:
        instance, epoch = self._claimed()
        partition = commit.partition
        flat: list[bytes] = []
        digest = self._digests.pop(partition, None)  # unknown until the commit is stored
        for customer, state in commit.states.items():
            flat += (encoded(customer), state)
        if digest is not None:
            digest.put(commit.states, flat)
        keys = self._keys(partition).all(META, *PARTITION_KINDS)
        batch_args = (commit.base, commit.position, commit.summary, relayed)
        notes = [part for key, note in commit.alerts.items() for part in (encoded(key), note)]
        packed = (pack_strings(flat), pack_strings(commit.outbox), pack_strings(notes), str(digest or ""))
        outcome, first = await to_the_end(
            self._run.together("commit", keys, instance, epoch, batch, *batch_args, *packed)
        )
        if outcome == INCOMPLETE:
            raise await self._incomplete(self._keys(partition))
        if digest is not None and Outcome(outcome).stored:
            self._digests[partition], self._opened[partition] = digest, commit.position
        return Outcome(outcome), first

    async def outbox(self, partition: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        keys = self._keys(partition).all(META, OUTBOX)
        first, records = await self._run("outbox", keys, after, limit)
        return list(enumerate(records, first))

    async def trim(self, partition: int, through: int) -> None:
        instance, epoch = self._claimed()
        keys = self._keys(partition).all(META, OUTBOX)
        await self._require_ours(self._keys(partition), *await self._run("trim", keys, instance, epoch, through))

    async def skip(self, partition: int, seen: int, first_void: int, records: Sequence[bytes]) -> int:
        instance, epoch = self._claimed()
        keys = self._keys(partition).all(META, OUTBOX)
        ours, first = await self._run("skip", keys, instance, epoch, seen, first_void, pack_strings(records))
        await self._require_ours(self._keys(partition), ours, first)
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
        owner = f"partition {partition}" if partition >= 0 else "the allocator"
        return Keys(self._prefix, f"p{partition}", owner)
