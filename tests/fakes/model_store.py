"""The fake of the model store."""

from __future__ import annotations

from collections.abc import Mapping

from stream_app.errors import NotClaimed, UnknownVersion, VersionOutOfOrder
from stream_app.ports import VERSIONS_INDEXED, ModelVersion, Outcome
from tests.fakes.memory_server import MemoryServer


class MemoryModelStore:
    """A `ports.ModelStore` in memory; the port documents the methods.

    Args:
        server: content of the store.
        keep: number of versions to keep in addition to the pinned one; at least 1.
        indexed: number of versions whose effective time is kept.
    """

    def __init__(self, server: MemoryServer, keep: int, indexed: int = VERSIONS_INDEXED) -> None:
        self._models = server.models
        self._keep, self._indexed = max(keep, 1), indexed
        self._epoch: int | None = None

    async def claim(self, instance: str) -> int:  # noqa: ARG002 - the latest claim wins, of any instance
        self._models.epoch += 1
        self._epoch = self._models.epoch
        await self.verify()
        return self._epoch

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        return self._models.keep_topics(ids, committed=bool(self._models.number))

    async def accept_topic(self, role: str, topic_id: str) -> None:
        self._models.topics[role] = topic_id

    async def verify(self) -> None:
        self._models.require_complete("the trainer", committed=bool(self._models.number))

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
        # The steps are those of checkpoint.lua.
        if self._epoch is None:
            raise NotClaimed(store="model store")
        if (version is None) != (snapshot is None):
            raise ValueError("a version and its snapshot belong together")
        models = self._models
        if models.epoch > self._epoch:
            return Outcome.FENCED
        if (models.number, models.written_in) == (number, self._epoch):
            return Outcome.ALREADY_DONE
        if models.number != base:
            return Outcome.WRONG_BASE
        await self.verify()
        if version is not None and version.number <= models.newest:
            raise VersionOutOfOrder(number=version.number, newest=models.newest)
        models.number, models.written_in = number, self._epoch
        models.checkpoint, models.through = checkpoint, through
        if version is not None and snapshot is not None:
            models.newest = version.number
            models.versions[version.number] = (version, snapshot)
            models.index = sorted([*models.index, (version.effective_at, version.number)])
            models.prune(self._keep, self._indexed)
        models.counts = models.sizes
        return Outcome.DONE

    async def latest(self) -> tuple[int, bytes] | None:
        return (self._models.number, self._models.checkpoint) if self._models.number else None

    async def through(self) -> int:
        return self._models.through

    async def snapshot(self, number: int) -> bytes | None:
        found = self._models.versions.get(number)
        return None if found is None else found[1]

    async def versions(self) -> list[ModelVersion]:
        return [self._models.versions[number][0] for number in sorted(self._models.versions)]

    async def pin(self, number: int | None) -> None:
        if number is not None and number not in self._models.versions:
            raise UnknownVersion(number=number, kept=", ".join(map(str, sorted(self._models.versions))) or "none")
        self._models.pinned = number

    async def pinned(self) -> int | None:
        return self._models.pinned

    async def version_at(self, moment: int) -> int | None:
        if not self._models.index:  # a lost index would put the prior in force
            await self.verify()
        return next((number for effective_at, number in reversed(self._models.index) if effective_at <= moment), None)
