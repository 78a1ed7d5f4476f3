"""The versions of the model that lanes score with."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Final

from stream_app.core.learner import Learner
from stream_app.core.settings import Settings
from stream_app.core.snapshot import restore
from stream_app.ports import ModelStore

_KEPT: Final = 8  # lanes of one worker are seldom more than a few versions apart
_log = logging.getLogger(__name__)


class Models:
    """Models by version, fetched from the store once. Version 0 is the prior, of which nothing is stored."""

    def __init__(self, store: ModelStore, settings: Settings) -> None:
        self._store = store
        self.effective_at: dict[int, int] = {}  # of the versions that were fetched, microseconds
        self._kept: OrderedDict[int, Learner] = OrderedDict()
        self._untaught = Learner(settings.horizon, settings.decide_every, settings.seed)

    async def get(self, version: int) -> Learner:
        """The model of a version; of the nearest earlier one, or the prior, if it is not kept any more.

        A worker that catches up over more versions than are kept must not take one from its future.
        """
        if version == 0:
            return self._untaught
        if version not in self._kept:
            self._kept[version] = await self._fetch(version)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(version)
        return self._kept[version]

    async def _fetch(self, version: int) -> Learner:
        stored, versions = await self._store.snapshot(version), await self._store.versions()
        self.effective_at |= {kept.number: kept.effective_at for kept in versions}
        if stored is None:
            earlier = [kept.number for kept in versions if kept.number < version]
            _log.warning("model version is not kept any more", extra={"version": version, "instead": earlier[-1:]})
            return await self.get(earlier[-1]) if earlier else self._untaught
        return await asyncio.to_thread(restore, stored, f"of version {version}")
