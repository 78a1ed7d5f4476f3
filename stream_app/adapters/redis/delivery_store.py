"""Deliveries in Redis. See keys.py for the keys and commit_deliveries.lua for a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import chain
from typing import Final
from uuid import uuid4

from stream_app.adapters.redis.connection import Client, Script, Topics, Verify, ask, to_the_end
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
    delivery_keys,
)
from stream_app.adapters.redis.packing import pack_strings, unpack_strings
from stream_app.core.delivery.records import Delivery, DeliveryChanges, DeliveryState, readable
from stream_app.errors import Fenced, NotClaimed
from stream_app.ports import DeliveryStore, Outcome

PAGE: Final = 1_000  # number of records per read and per deleting call
_WHAT: Final = "the notifier"
_INCOMPLETE: Final = 4  # reply of commit_deliveries.lua that is not an Outcome
_LACKS: Final = 2  # reply of delete_deliveries.lua


class RedisDeliveryStore(DeliveryStore):
    """Implementation of `ports.DeliveryStore` on Redis.

    Args:
        client: from `make_client`; the caller closes it.
        prefix: prefix of all keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self._client, self._key = client, delivery_keys(prefix)
        self._life: tuple[str, int] | None = None
        self._claim = Script(client, "claim_owner")
        self._commit = Script(client, "commit_deliveries")
        self._forget = Script(client, "delete_deliveries")
        self._scan = Script(client, "scan")
        self._verify = Verify(client, NUMBER, DELIVERY_KINDS)
        self._topics = Topics(client, NUMBER)

    async def claim(self, instance: str) -> int:
        epoch = int(await self._claim([self._key(META)], instance, uuid4().hex, "deliverer"))
        self._life = (instance, epoch)
        await self._verify(_WHAT, self._key)
        return epoch

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        return await self._topics.keep(self._key(META), ids)

    async def accept_topic(self, role: str, topic_id: str) -> None:
        await self._topics.accept(self._key(META), role, topic_id)

    async def load(self) -> DeliveryState:
        number, position = await ask(self._client, "HMGET", self._key(META), "number", "position")
        pending = [_text(one) for one in await ask(self._client, "SMEMBERS", self._key(OPEN))]
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
        outcome = await to_the_end(self._commit(keys, *args, *packed))
        if outcome == _INCOMPLETE:
            raise await self._verify.refusal(_WHAT, self._key)
        return Outcome(outcome)

    async def known(self, ids: Sequence[str]) -> set[str]:
        return set(await self.deliveries(ids))

    async def deliveries(self, ids: Sequence[str]) -> dict[str, bytes]:
        return await self._some(DELIVERIES, ids)

    async def messages(self, ids: Sequence[str]) -> dict[str, bytes]:
        return await self._some(LETTERS, ids)

    async def channels(self) -> dict[str, bytes]:
        found = await ask(self._client, "HGETALL", self._key(CHANNELS))
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {_text(name): value for name, value in pairs}

    async def all_deliveries(self) -> AsyncIterator[list[bytes]]:
        cursor, seen = b"0", set[bytes]()
        while True:
            cursor, page = await self._scan([self._key(DELIVERIES)], cursor, PAGE)
            values = iter(unpack_strings(page))
            # HSCAN may return a field twice while the hash is resized.
            chunk = {name: value for name, value in zip(values, values, strict=True) if name not in seen}
            seen.update(chunk)
            yield list(chunk.values())
            if cursor == b"0":
                return

    async def dead(self) -> list[str]:
        return sorted(map(_text, await ask(self._client, "SMEMBERS", self._key(DEAD))))

    async def ask(self, request: bytes) -> None:
        await ask(self._client, "RPUSH", self._key(REQUESTS), request)

    async def asked(self, limit: int) -> list[bytes]:
        found: list[bytes] = await ask(self._client, "LRANGE", self._key(REQUESTS), 0, limit - 1)
        return found

    async def forget(self, before: int, keep: int) -> int:
        instance, epoch = self._claimed()
        keys = self._key.all(META, DELIVERIES, LETTERS, ENDED, DEAD)
        ours, found = await self._forget(keys, epoch, before, keep, PAGE)
        if ours == _LACKS:
            raise await self._verify.refusal(_WHAT, self._key)
        if not ours:
            raise Fenced(instance=instance, epoch=epoch, later=int(found), what="the deliveries")
        return int(found)

    async def _some(self, kind: str, ids: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(ids), PAGE):
            names = ids[start : start + PAGE]
            values = await ask(self._client, "HMGET", self._key(kind), *map(_bytes, names))
            found |= {name: value for name, value in zip(names, values, strict=True) if value is not None}
        return found

    def _claimed(self) -> tuple[str, int]:
        if self._life is None:
            raise NotClaimed(store="delivery store")
        return self._life


def _pairs(values: Mapping[str, bytes]) -> bytes:
    return pack_strings([part for name, value in values.items() for part in (_bytes(name), value)])


def _strings(values: Sequence[str]) -> bytes:
    return pack_strings([_bytes(value) for value in values])


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")
