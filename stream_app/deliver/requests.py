"""Carries out what people ask for on the command line. They ask through the store, since only one process writes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from stream_app.core.delivery.book import Book
from stream_app.core.delivery.records import Delivery, Letter, Request, decode_record
from stream_app.deliver.commits import Commits
from stream_app.ports import DeliveryStore

ENABLE: Final = "enable"
REDRIVE: Final = "redrive"
_AT_ONCE: Final = 100
_REDRIVEN_AT_ONCE: Final = 500
_log = logging.getLogger(__name__)


class Requests:
    """The deliverer's ear."""

    def __init__(self, book: Book, store: DeliveryStore, commits: Commits) -> None:
        self._book, self._store, self._commits = book, store, commits

    async def answer(self, now: int) -> bool:
        """Carry out what has been asked for; whether there was anything. A crash in between carries it out again."""
        asked = await self._store.asked(_AT_ONCE)
        for value in asked:
            try:
                request = decode_record(value, Request)
            except msgspec.MsgspecError:
                continue
            if request.action == ENABLE:
                self._book.enable(request.name)
            elif request.action == REDRIVE:
                await self._redrive([request.name] if request.name else await self._store.dead(), now)
            _log.info("asked for", extra={"action": request.action, "subject": request.name or "all"})
        if asked:
            self._book.answered(len(asked))
            await self._commits.store()
        return bool(asked)

    async def _redrive(self, names: Sequence[str], now: int) -> None:
        for start in range(0, len(names), _REDRIVEN_AT_ONCE):
            deliveries, letters = await self._with_letters(names[start : start + _REDRIVEN_AT_ONCE])
            self._book.redrive(deliveries, letters, now)
            await self._commits.store()

    async def _with_letters(self, names: Sequence[str]) -> tuple[list[Delivery], Mapping[str, Letter]]:
        """Deliveries and all others that went with them, and the letters in which they were."""
        found = [decode_record(value, Delivery) for value in (await self._store.deliveries(names)).values()]
        stored = await self._store.letters(sorted({one.letter for one in found} - {""}))
        letters = {name: decode_record(value, Letter) for name, value in stored.items()}
        together = sorted({name for letter in letters.values() for name in letter.deliveries})
        deliveries = await self._store.deliveries(together)
        return [decode_record(value, Delivery) for value in deliveries.values()], letters
