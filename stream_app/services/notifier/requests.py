"""Requests from the command line, passed through the store because only the notifier writes deliveries."""

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
    """Executes pending requests.

    Args:
        scheduler: scheduler whose deliveries the requests change.
        store: store with the requests.
        commits: stores the changes.
    """

    def __init__(self, scheduler: DeliveryScheduler, store: DeliveryStore, commits: Commits) -> None:
        self._scheduler, self._store, self._commits = scheduler, store, commits

    async def answer(self, now: int) -> bool:
        """Execute pending requests and return whether there were any. After a crash they are executed again."""
        asked = await self._store.asked(_AT_ONCE)
        for request in _readable(asked, Request):
            if request.action == ENABLE:
                self._scheduler.enable(request.name)
            elif request.action == REDRIVE:
                await self._redrive([request.name] if request.name else await self._store.dead(), now)
            _log.info("Request executed", extra={"action": request.action, "subject": request.name or "all"})
        if asked:
            self._scheduler.complete_requests(len(asked))
            await self._commits.store()
        return bool(asked)

    async def _redrive(self, names: Sequence[str], now: int) -> None:
        for start in range(0, len(names), _REDRIVEN_AT_ONCE):
            deliveries, messages = await self._with_messages(names[start : start + _REDRIVEN_AT_ONCE])
            self._scheduler.redrive(deliveries, messages, now)
            await self._commits.store()

    async def _with_messages(self, names: Sequence[str]) -> tuple[list[Delivery], Mapping[str, OutboundMessage]]:
        """Return the given deliveries and all others that share a message with them, and those messages by id."""
        found = _readable((await self._store.deliveries(names)).values(), Delivery)
        stored = await self._store.messages(sorted({one.message for one in found} - {""}))
        messages = {message.id: message for message in _readable(stored.values(), OutboundMessage)}
        together = sorted({name for message in messages.values() for name in message.deliveries})
        deliveries = await self._store.deliveries(together)
        return _readable(deliveries.values(), Delivery), messages


def _readable(values: Iterable[bytes], kind: type[_RecordT]) -> list[_RecordT]:
    """Decode stored values. Unreadable ones are logged and left unchanged in the store."""
    found, problems = readable(values, kind)
    for problem in problems:
        _log.error("Unreadable record in the store ignored", extra={"problem": problem})
    return found
