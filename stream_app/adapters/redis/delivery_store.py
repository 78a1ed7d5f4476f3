"""Deliveries in Redis. See keys.py for the keys and commit_deliveries.lua for a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import chain

from stream_app.adapters.redis.connection import Client, ask, to_the_end
from stream_app.adapters.redis.keys import (
    CHANNELS,
    DEAD,
    DELIVERIES,
    DELIVERY_KINDS,
    ENDED,
    LETTERS,
    META,
    NUMBER,
    OPEN,
    REQUESTS,
    Keys,
)
from stream_app.adapters.redis.packing import pack_strings
from stream_app.adapters.redis.store import INCOMPLETE, PAGE, OwnedStore, decoded, encoded
from stream_app.core.delivery.records import Delivery, DeliveryChanges, DeliveryState, readable
from stream_app.ports import DeliveryStore, Outcome


class RedisDeliveryStore(OwnedStore, DeliveryStore):
    """Implementation of `ports.DeliveryStore` on Redis.

    Args:
        client: client made by `make_client`; the caller closes it.
        prefix: prefix of all keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        keys = Keys(prefix, "deliver", "the notifier")
        super().__init__(client, "delivery store", NUMBER, DELIVERY_KINDS, keys, "deliverer")

    async def load(self) -> DeliveryState:
        number, position = await ask(self._client, "HMGET", self._key(META), "number", "position")
        pending = [decoded(one) for one in await ask(self._client, "SMEMBERS", self._key(OPEN))]
        deliveries = await self.deliveries(pending)
        wanted = {one.message for one in readable(deliveries.values(), Delivery)[0]} - {""}
        return DeliveryState(
            int(number or 0),
            position or b"",
            [deliveries[name] for name in sorted(deliveries)],
            list((await self.messages(sorted(wanted))).values()),
            await self.channels(),
            await ask(self._client, "SCARD", self._key(DEAD)),
        )

    async def commit(self, changes: DeliveryChanges, batch: str) -> Outcome:
        _, epoch = self._claimed()
        kept = {name: value for name, value in changes.messages.items() if value is not None}
        gone = [name for name, value in changes.messages.items() if value is None]
        ended = chain.from_iterable((str(at), name) for name, at in changes.ended.items())
        packed = (
            _pairs(changes.deliveries),
            _pairs(kept),
            _strings(gone),
            _pairs(changes.channels),
            _strings(changes.opened),
            _strings(list(ended)),
            _strings(changes.dead),
        )
        keys = self._key.all(META, *DELIVERY_KINDS, REQUESTS)
        args = (epoch, batch, changes.base, changes.position, changes.answered)
        outcome = await to_the_end(self._run("commit_deliveries", keys, *args, *packed))
        if outcome == INCOMPLETE:
            raise await self._incomplete(self._key)
        return Outcome(outcome)

    async def deliveries(self, ids: Sequence[str]) -> dict[str, bytes]:
        return await self._some(DELIVERIES, ids)

    async def messages(self, ids: Sequence[str]) -> dict[str, bytes]:
        return await self._some(LETTERS, ids)

    async def channels(self) -> dict[str, bytes]:
        found = await ask(self._client, "HGETALL", self._key(CHANNELS))
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {decoded(name): value for name, value in pairs}

    async def all_deliveries(self) -> AsyncIterator[list[bytes]]:
        async for chunk in self._entries(self._key(DELIVERIES)):
            yield list(chunk.values())

    async def dead(self) -> list[str]:
        return sorted(map(decoded, await ask(self._client, "SMEMBERS", self._key(DEAD))))

    async def ask(self, request: bytes) -> None:
        await ask(self._client, "RPUSH", self._key(REQUESTS), request)

    async def asked(self, limit: int) -> list[bytes]:
        return await ask(self._client, "LRANGE", self._key(REQUESTS), 0, limit - 1)

    async def forget(self, before: int, keep: int) -> int:
        _, epoch = self._claimed()
        keys = self._key.all(META, DELIVERIES, LETTERS, ENDED, DEAD)
        ours, found = await self._run("delete_deliveries", keys, epoch, before, keep, PAGE)
        await self._require_ours(self._key, ours, found)
        return int(found)

    async def _some(self, kind: str, ids: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(ids), PAGE):
            names = ids[start : start + PAGE]
            values = await ask(self._client, "HMGET", self._key(kind), *map(encoded, names))
            found |= {name: value for name, value in zip(names, values, strict=True) if value is not None}
        return found


def _pairs(values: Mapping[str, bytes]) -> bytes:
    return pack_strings([part for name, value in values.items() for part in (encoded(name), value)])


def _strings(values: Sequence[str]) -> bytes:
    return pack_strings([encoded(value) for value in values])
