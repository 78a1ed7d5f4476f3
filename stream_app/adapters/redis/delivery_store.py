"""Deliveries in Redis: keys that begin with `PREFIX:{deliver}:`, so that a cluster works. See deliver.lua."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import chain
from typing import Final
from uuid import uuid4

from stream_app.adapters.redis.connection import Client, Script, Topics, Verify, ask, to_the_end
from stream_app.adapters.redis.packing import pack_strings, unpack_strings
from stream_app.core.delivery.records import Delivery, DeliveryChanges, DeliveryState, readable
from stream_app.errors import Fenced, NotClaimed
from stream_app.ports import Outcome

PAGE: Final = 1_000  # records of one read, and of one call that forgets
_COMMITTED: Final = ("meta", "deliveries", "letters", "channels", "open", "ended", "dead", "requests")
_COUNTED: Final = _COMMITTED[1:-1]  # anybody may leave a request
_WHAT: Final = "the deliverer"
_INCOMPLETE: Final = 4  # what deliver.lua says beside the outcomes
_LACKS: Final = 2  # what forget.lua says


class RedisDeliveryStore:
    """A `ports.DeliveryStore` on Redis.

    Args:
        client: from `make_client`; the caller closes it.
        prefix: of all keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self._life: tuple[str, int] | None = None
        self._claim = Script(client, "claim_deliverer")
        self._commit = Script(client, "deliver")
        self._forget = Script(client, "forget")
        self._scan = Script(client, "scan")
        self._verify = Verify(client, "number", _COUNTED)
        self._topics = Topics(client, "number")

    async def claim(self, instance: str) -> int:
        """See `DeliveryStore.claim`."""
        epoch = int(await self._claim([self._key("meta")], instance, uuid4().hex))
        self._life = (instance, epoch)
        await self._verify(_WHAT, self._key)
        return epoch

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        """See `DeliveryStore.keep_topics`."""
        return await self._topics.keep(self._key("meta"), ids)

    async def accept_topic(self, role: str, topic_id: str) -> None:
        """See `DeliveryStore.accept_topic`."""
        await self._topics.accept(self._key("meta"), role, topic_id)

    async def load(self) -> DeliveryState:
        """See `DeliveryStore.load`."""
        number, position = await ask(self._client, "HMGET", self._key("meta"), "number", "position")
        pending = [_text(one) for one in await ask(self._client, "SMEMBERS", self._key("open"))]
        deliveries = await self.deliveries(pending)
        wanted = {one.message for one in readable(deliveries.values(), Delivery)[0]} - {""}
        return DeliveryState(
            int(number or 0),
            position or b"",
            [deliveries[name] for name in sorted(deliveries)],
            list((await self.messages(sorted(wanted))).values()),
            await self.channels(),
            await ask(self._client, "SCARD", self._key("dead")),
        )

    async def commit(self, changes: DeliveryChanges, batch: str) -> Outcome:
        """See `DeliveryStore.commit`. A cancellation waits until Redis has answered."""
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
        keys = [self._key(kind) for kind in _COMMITTED]
        args = (epoch, batch, changes.base, changes.position, changes.answered)
        outcome = await to_the_end(self._commit(keys, *args, *packed))
        if outcome == _INCOMPLETE:
            raise await self._verify.refusal(_WHAT, self._key)
        return Outcome(outcome)

    async def known(self, ids: Sequence[str]) -> set[str]:
        """See `DeliveryStore.known`."""
        return set(await self.deliveries(ids))

    async def deliveries(self, ids: Sequence[str]) -> dict[str, bytes]:
        """See `DeliveryStore.deliveries`."""
        return await self._some("deliveries", ids)

    async def messages(self, ids: Sequence[str]) -> dict[str, bytes]:
        """See `DeliveryStore.letters`."""
        return await self._some("letters", ids)

    async def channels(self) -> dict[str, bytes]:
        """See `DeliveryStore.channels`."""
        found = await ask(self._client, "HGETALL", self._key("channels"))
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {_text(name): value for name, value in pairs}

    async def all_deliveries(self) -> AsyncIterator[list[bytes]]:
        """See `DeliveryStore.all_deliveries`."""
        cursor, seen = b"0", set[bytes]()
        while True:
            cursor, page = await self._scan([self._key("deliveries")], cursor, PAGE)
            values = iter(unpack_strings(page))
            # A hash that grows or shrinks while it is read shows some of its fields twice.
            chunk = {name: value for name, value in zip(values, values, strict=True) if name not in seen}
            seen.update(chunk)
            yield list(chunk.values())
            if cursor == b"0":
                return

    async def dead(self) -> list[str]:
        """See `DeliveryStore.dead`."""
        return sorted(map(_text, await ask(self._client, "SMEMBERS", self._key("dead"))))

    async def ask(self, request: bytes) -> None:
        """See `DeliveryStore.ask`."""
        await ask(self._client, "RPUSH", self._key("requests"), request)

    async def asked(self, limit: int) -> list[bytes]:
        """See `DeliveryStore.asked`."""
        found: list[bytes] = await ask(self._client, "LRANGE", self._key("requests"), 0, limit - 1)
        return found

    async def forget(self, before: int, keep: int) -> int:
        """See `DeliveryStore.forget`."""
        instance, epoch = self._claimed()
        keys = [self._key(kind) for kind in ("meta", "deliveries", "letters", "ended", "dead")]
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

    def _key(self, kind: str) -> str:
        return f"{self._prefix}:{{deliver}}:{kind}"


def _pairs(values: Mapping[str, bytes]) -> bytes:
    return pack_strings([part for name, value in values.items() for part in (_bytes(name), value)])


def _strings(values: Sequence[str]) -> bytes:
    return pack_strings([_bytes(value) for value in values])


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")
