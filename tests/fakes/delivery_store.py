"""The fake of the delivery store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from stream_app.core.delivery.records import Delivery, DeliveryChanges, DeliveryState, readable
from stream_app.errors import Fenced, NotClaimed
from stream_app.ports import Outcome
from tests.fakes.memory_server import Counted

PAGE = 1_000


@dataclass
class StoredDeliveries(Counted):
    """Deliveries on a server. Several stores on it act like the connections of several processes."""

    epoch: int = 0
    number: int = 0
    position: bytes = b""
    last_batch: tuple[int, str] | None = None
    deliveries: dict[str, bytes] = field(default_factory=dict)
    messages: dict[str, bytes] = field(default_factory=dict)
    channels: dict[str, bytes] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    ended: dict[str, int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    requests: list[bytes] = field(default_factory=list)

    @property
    def sizes(self) -> dict[str, int]:
        kinds = ("deliveries", "channels", "open", "ended", "dead")
        return {kind: len(getattr(self, kind)) for kind in kinds} | {"letters": len(self.messages)}


class MemoryDeliveryStore:
    """A `ports.DeliveryStore` in memory; the port documents the methods.

    >>> import asyncio
    >>> async def first() -> int:
    ...     store = MemoryDeliveryStore(StoredDeliveries())
    ...     await store.claim("notifier")
    ...     await store.commit(DeliveryChanges(base=0, position=b"{}"), "batch 1")
    ...     return (await store.load()).number
    >>> asyncio.run(first())
    1
    """

    def __init__(self, server: StoredDeliveries) -> None:
        self._server = server
        self._life: tuple[str, int] | None = None

    async def claim(self, instance: str) -> int:
        self._server.epoch += 1
        self._life = (instance, self._server.epoch)
        self._require_complete()
        return self._server.epoch

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        return self._server.keep_topics(ids, committed=bool(self._server.number))

    async def accept_topic(self, role: str, topic_id: str) -> None:
        self._server.topics[role] = topic_id

    async def load(self) -> DeliveryState:
        server = self._server
        deliveries = [server.deliveries[name] for name in sorted(server.open)]
        wanted = {one.message for one in readable(deliveries, Delivery)[0]} - {""}
        messages = [server.messages[name] for name in sorted(wanted) if name in server.messages]
        return DeliveryState(
            server.number, server.position, deliveries, messages, dict(server.channels), len(server.dead)
        )

    async def commit(self, changes: DeliveryChanges, batch: str) -> Outcome:
        # The steps are those of deliver.lua.
        _, epoch = self._claimed()
        server = self._server
        if server.epoch > epoch:
            return Outcome.FENCED
        if server.last_batch == (epoch, batch):
            return Outcome.ALREADY_DONE
        if server.number != changes.base:
            return Outcome.WRONG_BASE
        self._require_complete()
        server.number, server.position, server.last_batch = changes.base + 1, changes.position, (epoch, batch)
        server.deliveries |= changes.deliveries
        for name, value in changes.messages.items():
            if value is None:
                server.messages.pop(name, None)
            else:
                server.messages[name] = value
        server.channels |= changes.channels
        self._move(changes)
        del server.requests[: changes.answered]
        server.counts = server.sizes
        return Outcome.DONE

    def _move(self, changes: DeliveryChanges) -> None:
        server = self._server
        for name in changes.opened:
            server.open.add(name)
            server.ended.pop(name, None)
            server.dead.discard(name)
        for name, at in changes.ended.items():
            server.ended[name] = at
            server.open.discard(name)
        server.dead |= set(changes.dead)

    async def deliveries(self, ids: Sequence[str]) -> dict[str, bytes]:
        return {name: self._server.deliveries[name] for name in ids if name in self._server.deliveries}

    async def messages(self, ids: Sequence[str]) -> dict[str, bytes]:
        return {name: self._server.messages[name] for name in ids if name in self._server.messages}

    async def channels(self) -> dict[str, bytes]:
        return dict(self._server.channels)

    async def all_deliveries(self) -> AsyncIterator[list[bytes]]:
        values = list(self._server.deliveries.values())
        for start in range(0, len(values), PAGE):
            yield values[start : start + PAGE]

    async def dead(self) -> list[str]:
        return sorted(self._server.dead)

    async def ask(self, request: bytes) -> None:
        self._server.requests.append(request)

    async def asked(self, limit: int) -> list[bytes]:
        return self._server.requests[:limit]

    async def forget(self, before: int, keep: int) -> int:
        # The steps are those of forget.lua.
        instance, epoch = self._claimed()
        server = self._server
        if server.epoch > epoch:
            raise Fenced(instance=instance, epoch=epoch, later=server.epoch, what="the notifier")
        self._require_complete()
        by_age = sorted(server.ended, key=lambda name: (server.ended[name], name))
        old = [name for name in by_age if server.ended[name] < before][:PAGE]
        surplus = by_age[: min(max(len(by_age) - keep, 0), PAGE)]
        for name in max(old, surplus, key=len):
            for gone in readable([server.deliveries.pop(name)], Delivery)[0]:
                server.messages.pop(gone.message, None)
            server.dead.discard(name)
            del server.ended[name]
        if server.counts:
            server.counts = server.sizes
        return len(max(old, surplus, key=len))

    def _require_complete(self) -> None:
        self._server.require_complete("the notifier", committed=bool(self._server.number))

    def _claimed(self) -> tuple[str, int]:
        if self._life is None:
            raise NotClaimed(store="delivery store")
        return self._life
