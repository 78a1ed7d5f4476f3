"""The versions of the model that lanes score with."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import restore
from stream_app.core.settings import Settings
from stream_app.ports import ModelStore

_KEPT: Final = 8  # lanes of one worker are seldom more than a few versions apart
_LOOK_SECONDS: Final = 0.5
_LOOKS: Final = 60  # for a version that is still to come
_AHEAD: Final = 1_000  # of the newest one; a tick that names a later version is nobody's
_log = logging.getLogger(__name__)


class ModelVersions:
    """ModelVersions by version, fetched from the store once. Version 0 is the prior, of which nothing is stored."""

    def __init__(
        self, store: ModelStore, settings: Settings, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._store, self._sleep = store, sleep
        self.effective_at: dict[int, int] = {}  # of the versions that were fetched, microseconds
        self._given_up: set[int] = set()  # versions that did not come: they are not waited for again
        self._kept: OrderedDict[int, ChurnModel] = OrderedDict()
        self._untaught = ChurnModel(settings.horizon, settings.decide_every, settings.seed)

    async def get(self, version: int) -> ChurnModel:
        """The model of a version; of the nearest earlier one, or the prior, if it is not kept any more.

        A worker that catches up over more versions than are kept must not take one from its future. One that is newer
        than all in the store is waited for: the store was set back, and the trainer is about to make it again.
        """
        if version == 0:
            return self._untaught
        if version not in self._kept:
            found = await self._find(version)
            if found is None:
                return await self._stand_in(version)
            self._kept[version] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(version)
        return self._kept[version]

    async def _find(self, version: int) -> ChurnModel | None:
        """A version's model as soon as it is there; None if it is gone, or has not come for long."""
        for _ in range(1 if version in self._given_up else _LOOKS):
            stored, versions = await self._store.snapshot(version), await self._store.versions()
            self.effective_at |= {kept.number: kept.effective_at for kept in versions}
            if stored is not None:
                return await asyncio.to_thread(restore, stored, f"of version {version}")
            newest = versions[-1].number if versions else 0
            if newest > version or version > newest + _AHEAD:
                return None
            if version not in self._given_up:
                await self._sleep(_LOOK_SECONDS)
        self._given_up.add(version)
        return None

    async def _stand_in(self, version: int) -> ChurnModel:
        """What stands in for a version this time; it is looked for again the next time."""
        earlier = [kept.number for kept in await self._store.versions() if kept.number < version]
        _log.warning("model version is not there", extra={"version": version, "instead": earlier[-1:]})
        return await self.get(earlier[-1]) if earlier else self._untaught
