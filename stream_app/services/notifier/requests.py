"""Carries out what people ask for on the command line. They ask through the store, since only one process writes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from stream_app.core.delivery.records import Delivery, OutboundMessage, Request, readable
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.ports import DeliveryStore
from stream_app.services.notifier.commits import Commits

ENABLE: Final = "enable"
REDRIVE: Final = "redrive"
_AT_ONCE: Final = 100
_REDRIVEN_AT_ONCE: Final = 500
_log = logging.getLogger(__name__)
_RecordT = TypeVar("_RecordT", Delivery, OutboundMessage, Request)


class Requests:
    """The deliverer's ear."""

    def __init__(self, scheduler: DeliveryScheduler, store: DeliveryStore, commits: Commits) -> None:
        self._book, self._store, self._commits = scheduler, store, commits

    async def answer(self, now: int) -> bool:
        """Carry out what has been asked for; whether there was anything. A crash in between carries it out again."""
        asked = await self._store.asked(_AT_ONCE)
        for value in asked:
            for request in _readable([value], Request):
                if request.action == ENABLE:
                    self._book.enable(request.name)
                elif request.action == REDRIVE:
                    await self._redrive([request.name] if request.name else await self._store.dead(), now)
                _log.info("asked for", extra={"action": request.action, "subject": request.name or "all"})
        if asked:
            self._book.complete_requests(len(asked))
            await self._commits.store()
        return bool(asked)

    async def _redrive(self, names: Sequence[str], now: int) -> None:
        for start in range(0, len(names), _REDRIVEN_AT_ONCE):
            deliveries, messages = await self._with_letters(names[start : start + _REDRIVEN_AT_ONCE])
            self._book.redrive(deliveries, messages, now)
            await self._commits.store()

    async def _with_letters(self, names: Sequence[str]) -> tuple[list[Delivery], Mapping[str, OutboundMessage]]:
        """Deliveries and all others that went with them, and the letters in which they were."""
        found = _readable((await self._store.deliveries(names)).values(), Delivery)
        stored = await self._store.messages(sorted({one.message for one in found} - {""}))
        messages = {message.id: message for message in _readable(stored.values(), OutboundMessage)}
        together = sorted({name for message in messages.values() for name in message.deliveries})
        deliveries = await self._store.deliveries(together)
        return _readable(deliveries.values(), Delivery), messages


def _readable(values: Iterable[bytes], kind: type[_RecordT]) -> list[_RecordT]:
    """What can be read of stored values; the rest is logged and left alone."""
    found, problems = readable(values, kind)
    for problem in problems:
        _log.error("a stored record cannot be read: it is left alone", extra={"problem": problem})
    return found
