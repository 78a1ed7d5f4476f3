"""The trainer's checkpoint and the last versions of the model in Redis, in keys that share the hash tag `{model}`.

`PREFIX:{model}:meta`, `:versions`, `:snapshots` (hashes) and `:index` (sorted set): see checkpoint.lua.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

import msgspec

from stream_app.adapters.redis.connection import Client, Script, Topics, Verify, ask, to_the_end
from stream_app.errors import NotClaimed, UnknownVersion, VersionOutOfOrder
from stream_app.ports import NOTHING_LEARNED, VERSIONS_INDEXED, ModelVersion, Outcome

_INCOMPLETE: Final = 4  # what checkpoint.lua says beside the outcomes
_OUT_OF_ORDER: Final = 5
_WHAT: Final = "the trainer"
_decoder: Final = msgspec.json.Decoder(ModelVersion)


class RedisModelStore:
    """A `ports.ModelStore` on Redis.

    Args:
        client: from `make_client`; the caller closes it.
        prefix: of all keys.
        keep: so many versions are kept, and the pinned one; at least 1.
        indexed: of so many versions it is remembered when they came into force.
    """

    def __init__(self, client: Client, prefix: str, keep: int, indexed: int = VERSIONS_INDEXED) -> None:
        self._client = client
        self._kept = (max(keep, 1), indexed)
        self._epoch: int | None = None
        self._prefix = prefix
        kinds = ("versions", "snapshots", "index")
        self._meta, self._versions, self._snapshots, self._index = map(self._key, ("meta", *kinds))
        self._claim = Script(client, "claim_trainer")
        self._checkpoint = Script(client, "checkpoint")
        self._pin = Script(client, "pin")
        self._verify = Verify(client, "checkpoint", kinds)
        self._topics = Topics(client, "checkpoint")

    async def claim(self, instance: str) -> int:
        """See `ModelStore.claim`."""
        self._epoch = int(await self._claim([self._meta], instance, uuid.uuid4().hex))
        await self.verify()
        return self._epoch

    async def checkpoint(
        self,
        *,
        base: int,
        number: int,
        checkpoint: bytes,
        through: int,
        version: ModelVersion | None = None,
        snapshot: bytes | None = None,
    ) -> Outcome:
        """See `ModelStore.checkpoint`. A cancellation waits until Redis has answered."""
        if self._epoch is None:
            raise NotClaimed(store="model store")
        if (version is None) != (snapshot is None):
            raise ValueError("a version and its snapshot belong together")
        made: tuple[bytes | str | int, ...] = ("",)
        if version is not None and snapshot is not None:
            made = (version.number, version.effective_at, msgspec.json.encode(version), snapshot)
        keys = [self._meta, self._versions, self._snapshots, self._index]
        stands = (self._epoch, base, number, checkpoint, through)
        outcome, newest = await to_the_end(self._checkpoint(keys, *stands, *self._kept, *made))
        if outcome == _INCOMPLETE:
            raise await self._verify.refusal(_WHAT, self._key)
        if outcome == _OUT_OF_ORDER:
            raise VersionOutOfOrder(number=made[0], newest=newest)
        return Outcome(outcome)

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        """See `ModelStore.keep_topics`."""
        return await self._topics.keep(self._meta, ids)

    async def accept_topic(self, role: str, topic_id: str) -> None:
        """See `ModelStore.accept_topic`."""
        await self._topics.accept(self._meta, role, topic_id)

    async def verify(self) -> None:
        """See `ModelStore.verify`."""
        await self._verify(_WHAT, self._key)

    async def latest(self) -> tuple[int, bytes] | None:
        """See `ModelStore.latest`."""
        number, checkpoint = await ask(self._client, "HMGET", self._meta, "number", "checkpoint")
        return None if number is None else (int(number), checkpoint)

    async def through(self) -> int:
        """See `ModelStore.through`."""
        moment = await self._field("through")
        return NOTHING_LEARNED if moment is None else moment

    async def snapshot(self, number: int) -> bytes | None:
        """See `ModelStore.snapshot`."""
        found: bytes | None = await ask(self._client, "HGET", self._snapshots, number)
        return found

    async def versions(self) -> list[ModelVersion]:
        """See `ModelStore.versions`."""
        kept: list[bytes] = await ask(self._client, "HVALS", self._versions)
        return sorted(map(_decoder.decode, kept), key=lambda version: version.number)

    async def pin(self, number: int | None) -> None:
        """See `ModelStore.pin`."""
        known, *kept = await self._pin([self._meta, self._versions], "" if number is None else number)
        if not known:
            raise UnknownVersion(number=number, kept=", ".join(map(str, sorted(map(int, kept[0])))) or "none")

    async def pinned(self) -> int | None:
        """See `ModelStore.pinned`."""
        return await self._field("pinned")

    async def version_at(self, moment: int) -> int | None:
        """See `ModelStore.version_at`."""
        await self.verify()
        found = await ask(self._client, "ZREVRANGEBYSCORE", self._index, moment, "-inf", "LIMIT", 0, 1)
        return int(found[0]) if found else None

    def _key(self, kind: str) -> str:
        return f"{self._prefix}:{{model}}:{kind}"

    async def _field(self, name: str) -> int | None:
        found = await ask(self._client, "HGET", self._meta, name)
        return None if found is None else int(found)
