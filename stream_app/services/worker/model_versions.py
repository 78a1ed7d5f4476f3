"""Cache of model versions."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from stream_app.core.expert_spec import SETTING, is_same_list
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import listed_experts, restore
from stream_app.core.settings import Settings
from stream_app.errors import UnusableSnapshot
from stream_app.ports import ModelStore

_KEPT: Final = 8  # a worker's partitions are rarely more than a few versions apart
_POLL_SECONDS: Final = 0.5
_POLLS: Final = 60  # how long to wait for a version that does not exist yet
_AHEAD: Final = 1_000  # number of versions after the newest one; a tick that names a later version is invalid
_OTHER_LIST: Final = (
    f"Use the same {SETTING} for the trainer and all workers. After a change, start the trainer too: it stores a"
    " version with the new list as soon as it starts."
)
_log = logging.getLogger(__name__)


class ModelVersions:
    """Cache of models by version, with the experts of the settings; each is fetched once.

    Version 0 is the untrained prior, which is not stored.

    Args:
        store: store to fetch from.
        settings: the shop's settings, for the prior.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self, store: ModelStore, settings: Settings, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._store, self._sleep = store, sleep
        self.effective_at: dict[int, int] = {}  # by version, microseconds
        self._given_up: set[int] = set()  # versions that never appeared; they are not waited for again
        self._kept: OrderedDict[int, ChurnModel] = OrderedDict()
        self._settings = settings
        self._prior = ChurnModel.of(settings)

    async def check(self) -> None:
        """Wait until the newest version has the experts of the settings, as after a restart with another list.

        Raises UnusableSnapshot if the trainer does not store one.
        """
        for _ in range(_POLLS):
            with suppress(UnusableSnapshot):
                await self._check()
                return
            await self._sleep(_POLL_SECONDS)
        await self._check()

    async def _check(self) -> None:
        versions = await self._store.versions()
        stored = await self._store.snapshot(versions[-1].number) if versions else None
        if stored is not None:
            self._require_list(stored, versions[-1].number)

    def _require_list(self, stored: bytes, version: int) -> None:
        """Earlier versions may have other experts: `restore` gives them those of the settings."""
        source = f"of version {version}"
        listed = listed_experts(stored, source)
        if not is_same_list(listed, self._settings.experts):
            theirs, ours = (", ".join(one.name for one in experts) for experts in (listed, self._settings.experts))
            problem = f"the trainer lists other experts ({theirs}) in {SETTING} than this worker ({ours})"
            if theirs == ours:
                problem = f"the trainer gives its experts other settings in {SETTING} than this worker"
            raise UnusableSnapshot(source=source, problem=problem, remedy=_OTHER_LIST)

    async def get(self, version: int) -> ChurnModel:
        """Return the model of a version, or the nearest earlier one if it is no longer kept.

        A worker that is catching up may need a version that is no longer kept. It must not use a later one, which was
        trained on later events. A version newer than all those stored means that Redis was restored from a backup: wait
        until the trainer has created the version again.
        """
        if version == 0:
            return self._prior
        if version not in self._kept:
            found = await self._find(version)
            if found is None:
                return await self._fallback(version)
            self._kept[version] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(version)
        return self._kept[version]

    async def _find(self, version: int) -> ChurnModel | None:
        """Return the model of a version, waiting for a new one. Return None if it was deleted or never appears."""
        for _ in range(1 if version in self._given_up else _POLLS):
            stored, versions = await self._store.snapshot(version), await self._store.versions()
            self.effective_at |= {kept.number: kept.effective_at for kept in versions}
            if stored is not None:
                if versions and version == versions[-1].number:
                    self._require_list(stored, version)
                found = await asyncio.to_thread(restore, stored, f"of version {version}", self._settings.experts)
                found.track_lost(self._settings)
                return found
            newest = versions[-1].number if versions else 0
            if newest > version or version > newest + _AHEAD:
                return None
            if version not in self._given_up:
                await self._sleep(_POLL_SECONDS)
        self._given_up.add(version)
        return None

    async def _fallback(self, version: int) -> ChurnModel:
        """Return the nearest earlier version, without caching it."""
        earlier = [kept.number for kept in await self._store.versions() if kept.number < version]
        _log.warning("Model version not found", extra={"version": version, "fallback": earlier[-1:]})
        return await self.get(earlier[-1]) if earlier else self._prior
