"""Trainer checkpoint and model versions in Redis. See keys.py for the keys and checkpoint.lua for a checkpoint.

Checkpoints and snapshots are signed when they are written and verified when they are read (core/model/signature.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

import msgspec

from stream_app.adapters.redis.completeness import require_complete
from stream_app.adapters.redis.connection import Client, ask, to_the_end
from stream_app.adapters.redis.keys import CHECKPOINT, INDEX, META, MODEL_KINDS, NUMBER, SNAPSHOTS, VERSIONS, Keys
from stream_app.adapters.redis.store import INCOMPLETE, OwnedStore
from stream_app.core.model.signature import Keys as SigningKeys, sign, verify
from stream_app.errors import UnknownVersion, UnusableSnapshot, VersionOutOfOrder
from stream_app.ports import NOTHING_LEARNED, VERSIONS_INDEXED, ModelStore, ModelVersion, Outcome

_OUT_OF_ORDER: Final = 5  # reply of checkpoint.lua that is not an Outcome
_decoder: Final = msgspec.json.Decoder(ModelVersion)


class RedisModelStore(OwnedStore, ModelStore):
    """Implementation of `ports.ModelStore` on Redis.

    Args:
        client: client made by `make_client`; the caller closes it.
        prefix: prefix of all keys.
        keep: number of versions to keep besides the pinned one; at least 1.
        keys: returns the signing keys; called only when bytes of a model are written or read.
        indexed: number of versions whose effective time is kept.
    """

    def __init__(
        self, client: Client, prefix: str, keep: int, keys: Callable[[], SigningKeys], indexed: int = VERSIONS_INDEXED
    ) -> None:
        super().__init__(
            client, "model store", CHECKPOINT, MODEL_KINDS, Keys(prefix, "model", "the trainer"), "trainer"
        )
        self._prefix, self._keys = prefix, keys
        self._kept = (max(keep, 1), indexed)
        self._meta = self._key(META)

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
        _, epoch = self._claimed()
        if (version is None) != (snapshot is None):
            raise ValueError("a version and its snapshot belong together")
        made: tuple[bytes | str | int, ...] = ("",)
        if version is not None and snapshot is not None:
            signed = sign(snapshot, self._signed("version", version.number), self._keys())
            made = (version.number, version.effective_at, msgspec.json.encode(version), signed)
        keys = self._key.all(META, *MODEL_KINDS)
        stands = (epoch, base, number, sign(checkpoint, self._signed("checkpoint", number), self._keys()), through)
        outcome, newest = await to_the_end(self._run("checkpoint", keys, *stands, *self._kept, *made))
        if outcome == INCOMPLETE:
            raise await self._incomplete(self._key)
        if outcome == _OUT_OF_ORDER:
            raise VersionOutOfOrder(number=made[0], newest=newest)
        return Outcome(outcome)

    async def verify(self) -> None:
        await self._verify(self._key)

    async def latest(self) -> tuple[int, bytes] | None:
        stored, checkpoint = await ask(self._client, "HMGET", self._meta, NUMBER, CHECKPOINT)
        if stored is None:
            return None
        number = self._number(NUMBER, stored)
        return number, verify(
            checkpoint or b"", self._signed("checkpoint", number), self._keys(), "in the trainer's checkpoint"
        )

    async def through(self) -> int:
        moment = await self._field("through")
        return NOTHING_LEARNED if moment is None else moment

    async def snapshot(self, number: int) -> bytes | None:
        found: bytes | None = await ask(self._client, "HGET", self._key(SNAPSHOTS), number)
        if found is None:
            return None
        return verify(found, self._signed("version", number), self._keys(), f"of version {number}")

    async def versions(self) -> list[ModelVersion]:
        kept: list[bytes] = await ask(self._client, "HVALS", self._key(VERSIONS))
        try:
            return sorted(map(_decoder.decode, kept), key=lambda version: version.number)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._refuse(self._key(VERSIONS), f"it is not a model version ({error})", error)

    async def pin(self, number: int | None) -> None:
        known, *kept = await self._run("pin", self._key.all(META, VERSIONS), "" if number is None else number)
        if not known:
            raise UnknownVersion(number=number, kept=", ".join(map(str, sorted(map(int, kept[0])))) or "none")

    async def pinned(self) -> int | None:
        return await self._field("pinned")

    async def version_at(self, moment: int) -> int | None:
        found = await ask(self._client, "ZREVRANGEBYSCORE", self._key(INDEX), moment, "-inf", "LIMIT", 0, 1)
        if found:
            return self._number(INDEX, found[0])
        # A lost index would activate the prior. Plain commands instead of a script: a worker may not write these keys.
        stored = await self._field("count:index")
        if stored and not await ask(self._client, "ZCARD", self._key(INDEX)):
            require_complete(self._key.owner, committed=True, counts={INDEX: (stored, 0)})
        return None

    async def _field(self, name: str) -> int | None:
        found = await ask(self._client, "HGET", self._meta, name)
        return None if found is None else self._number(name, found)

    def _signed(self, what: str, number: int) -> str:
        """Return the context in which the bytes of a version or a checkpoint are signed."""
        return f"{self._prefix} {what} {number}"

    def _number(self, name: str, stored: bytes) -> int:
        try:
            return int(stored)
        except ValueError as error:
            self._refuse(f"{self._meta} ({name})", f"it is not a number: {stored[:40]!r}", error)

    def _refuse(self, where: str, problem: str, cause: Exception) -> NoReturn:
        remedy = "Restore these keys from a backup, or delete PREFIX:{model}:* to train the model again."
        raise UnusableSnapshot(source=f"under {where}", problem=problem, remedy=remedy) from cause
