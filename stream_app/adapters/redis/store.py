"""Base class of the Redis stores: Lua scripts, claims, completeness checks and topic ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, NamedTuple
from uuid import uuid4

from redis.asyncio import Redis, RedisCluster
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError

from stream_app.adapters.redis.completeness import require_complete
from stream_app.adapters.redis.connection import Client, ask, commands_in, translated
from stream_app.adapters.redis.keys import META, Keys
from stream_app.adapters.redis.packing import unpack_strings
from stream_app.errors import Fenced, NotClaimed, StoreIncomplete

PAGE: Final = 1_000  # entries per read, which blocks Redis for 5 ms
INCOMPLETE: Final = 4  # reply of a commit that is not an Outcome
_LACKS: Final = 2  # reply of the other scripts if a key lacks entries


class _Call(NamedTuple):
    name: str
    keys: Sequence[str]
    args: tuple[bytes | str | int, ...]
    reply: asyncio.Future[Any]


class Scripts:
    """The Lua scripts of this package, each registered on first use.

    Args:
        client: client to run the scripts on.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._scripts: dict[str, tuple[AsyncScript, str]] = {}
        self._waiting: list[_Call] = []

    async def __call__(self, name: str, keys: Sequence[str], *args: bytes | str | int) -> Any:
        """Run a script and return its reply. Raises `StoreUnavailable`.

        Args:
            name: file name without `.lua`.
            keys: KEYS of the script.
            args: ARGV of the script.
        """
        script, call = self._script(name)
        with translated(self._client, f"{call}, on {', '.join(keys)}"):
            return await script(keys=keys, args=args)

    async def together(self, name: str, keys: Sequence[str], *args: bytes | str | int) -> Any:
        """Run a script like a call, in one round trip with all calls of this method that are made at the same time.

        The calls are independent: each fails or succeeds alone, and they may be executed in any order. A caller must
        not cancel its call before the others are sent.
        """
        if isinstance(self._client, RedisCluster):
            return await self(name, keys, *args)
        call = _Call(name, keys, args, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if len(self._waiting) == 1:
            await asyncio.sleep(0)  # let the others call
            calls, self._waiting = self._waiting, []
            replies = await self._replies(self._client, calls)
            for one, reply in zip(calls, replies, strict=True):
                if not one.reply.done():  # its caller was cancelled
                    one.reply.set_result(reply)
        reply = await call.reply
        if isinstance(reply, NoScriptError):  # the first call, or Redis has restarted
            return await self(name, keys, *args)
        with translated(self._client, f"{self._script(name)[1]}, on {', '.join(keys)}"):
            if isinstance(reply, Exception):
                raise reply
        return reply

    async def _replies(self, client: Redis, calls: Sequence[_Call]) -> Sequence[Any]:
        """Send calls in one round trip. Return a reply or an exception for each."""
        try:
            async with client.pipeline(transaction=False) as pipeline:
                for one in calls:
                    sha = self._script(one.name)[0].sha
                    pipeline.execute_command("EVALSHA", sha, len(one.keys), *one.keys, *one.args)
                return await pipeline.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001 - raised by every call
            return [error] * len(calls)

    def _script(self, name: str) -> tuple[AsyncScript, str]:
        """Return a script, and a description for error messages."""
        if name not in self._scripts:
            text = (files(__package__) / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
            call = f"EVALSHA of {name}.lua, which calls {', '.join(sorted(commands_in(text)))}"
            self._scripts[name] = self._client.register_script(text), call
        return self._scripts[name]


class RedisStore:
    """Base class of the stores.

    Args:
        client: client made by `make_client`; the caller closes it.
        name: name of the store, for error messages.
        committed: field of `meta` that every commit writes.
        kinds: kinds of the other keys whose entries are counted in `meta`.
    """

    def __init__(self, client: Client, name: str, committed: str, kinds: Sequence[str]) -> None:
        self._client, self._name, self._committed, self._kinds = client, name, committed, kinds
        self._life: tuple[str, int] | None = None  # instance and epoch of the claim
        self._run = Scripts(client)

    def _claimed(self) -> tuple[str, int]:
        if self._life is None:
            raise NotClaimed(store=self._name)
        return self._life

    async def _verify(self, keys: Keys) -> None:
        """Raise StoreIncomplete if a key lacks entries."""
        kinds = self._kinds
        committed, *sizes = await self._run("verify", keys.all(META, *kinds), self._committed, *kinds)
        stored = (None if count < 0 else count for count in sizes[::2])
        counts = dict(zip(kinds, zip(stored, sizes[1::2], strict=True), strict=True))
        require_complete(keys.owner, bool(committed), counts)

    async def _incomplete(self, keys: Keys) -> StoreIncomplete:
        """Return the error for a call refused because a key lacks entries."""
        try:
            await self._verify(keys)
        except StoreIncomplete as error:
            return error
        return StoreIncomplete(what=keys.owner, problem="another program writes to its keys")

    async def _require_ours(self, keys: Keys, ours: int, *later: bytes | int) -> None:
        """Check the reply of a script. Raises Fenced if a newer process owns the keys, and StoreIncomplete."""
        if ours == _LACKS:
            raise await self._incomplete(keys)
        if not ours:
            instance, epoch = self._claimed()
            raise Fenced(instance=instance, epoch=epoch, later=int(later[0]), what=keys.owner)

    async def _keep_topics(self, keys: Keys, ids: Mapping[str, str]) -> dict[str, str]:
        pairs = [part for pair in ids.items() for part in pair]
        kept = await self._run("topics", [keys(META)], self._committed, *pairs)
        return {role: one.decode() for role, one in zip(ids, kept, strict=True)}

    async def _accept_topic(self, keys: Keys, role: str, topic_id: str) -> None:
        await ask(self._client, "HSET", keys(META), f"topic:{role}", topic_id)

    async def _entries(self, key: str) -> AsyncIterator[dict[bytes, bytes]]:
        """Iterate over the fields and values of a hash in chunks, some of which may be empty."""
        cursor, seen = b"0", set[bytes]()
        while True:
            cursor, page = await self._run("scan", [key], cursor, PAGE)
            values = iter(unpack_strings(page))
            # HSCAN may return a field twice while the hash is resized.
            chunk = {field: value for field, value in zip(values, values, strict=True) if field not in seen}
            seen.update(chunk)
            yield chunk
            if cursor == b"0":
                return


class OwnedStore(RedisStore):
    """Base class of the stores that a single process owns: the one with the latest claim.

    Args:
        client: client made by `make_client`; the caller closes it.
        name: name of the store, for error messages.
        committed: field of `meta` that every commit writes.
        kinds: kinds of the other keys whose entries are counted in `meta`.
        keys: keys of the store.
        owner: field of `meta` for the name of the owner.
    """

    def __init__(self, client: Client, name: str, committed: str, kinds: Sequence[str], keys: Keys, owner: str) -> None:
        super().__init__(client, name, committed, kinds)
        self._key, self._owner = keys, owner

    async def claim(self, instance: str) -> int:
        epoch = int(await self._run("claim_owner", [self._key(META)], instance, uuid4().hex, self._owner))
        self._life = (instance, epoch)
        await self._verify(self._key)
        return epoch

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        return await self._keep_topics(self._key, ids)

    async def accept_topic(self, role: str, topic_id: str) -> None:
        await self._accept_topic(self._key, role, topic_id)


def encoded(name: str) -> bytes:
    """Return the bytes of an id or a name in Redis."""
    return name.encode("utf-8", "surrogatepass")


def decoded(name: bytes) -> str:
    """Return the id or name from its bytes in Redis."""
    return name.decode("utf-8", "surrogatepass")
