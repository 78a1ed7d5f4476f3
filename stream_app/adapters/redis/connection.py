"""A client of Redis with bounded patience, and the one place where its errors become ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, Union
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from stream_app.adapters.redis.completeness import require_complete
from stream_app.errors import BadStoreAddress, StoreIncomplete, StoreUnavailable

Client: TypeAlias = Union[Redis, RedisCluster]  # noqa: UP007 - evaluated when the module is loaded
T = TypeVar("T")

TIMEOUT_SECONDS: Final = 5.0  # for one reply; a commit of 1,000 states takes 10 ms
RETRIES: Final = 4  # of a call that got no reply: harmless, since every write may be repeated
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

_CALLED: Final = re.compile(r"\b(?:redis\.call|write)\('([A-Z]+)'")
_TABLE: Final = re.compile(r"\bSIZES = \{(.*?)\}")  # commands that a script calls by a name from a table
_GRANT: Final = "Grant its user the command and the keys: `stream-app acls redis` prints all that a service needs."
_TRUST: Final = (
    "Give redis.ca_file the certificate of the CA that signed the server's; the host in redis.url must be one of the "
    "certificate's names."
)
# What to do, from the particular to the general: by a word in the message, since Redis before version 7 wraps what goes
# wrong inside a script, and by type.
_REMEDIES: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (exceptions.AuthenticationError, "", "Check user and password."),
    (exceptions.AuthenticationWrongNumberOfArgsError, "", "Check user and password."),
    (exceptions.NoPermissionError, "", _GRANT),
    (exceptions.ResponseError, "The user executing the script can't", _GRANT),
    (exceptions.ConnectionError, "CERTIFICATE_VERIFY_FAILED", _TRUST),
    (
        exceptions.ConnectionError,
        "CERTIFICATE_REQUIRED",
        "It wants a client's certificate: give redis.cert_file and key_file.",
    ),
    (exceptions.TimeoutError, "Timeout connecting", "Check its address; a port without TLS never answers rediss://."),
    (exceptions.BusyLoadingError, "", "It is loading its data: wait."),
    (exceptions.ReadOnlyError, "", "This is a replica: give the address of the primary."),
    (exceptions.ResponseError, "READONLY", "This is a replica: give the address of the primary."),
    (exceptions.OutOfMemoryError, "", "Raise its maxmemory, and leave its maxmemory-policy at noeviction."),
    (exceptions.ResponseError, "OOM command", "Raise its maxmemory, and leave its maxmemory-policy at noeviction."),
    (exceptions.ResponseError, "MISCONF", "It cannot save to its disk: make room there, and look into its log."),
    (exceptions.TimeoutError, "", "It does not answer in time: look at its load (SLOWLOG GET) and at the network."),
    # A server that wants a client's certificate may close the connection before its answer has arrived.
    (
        exceptions.ConnectionError,
        "",
        (
            "Check its address, and that it runs. A port with TLS needs rediss://; if it wants a client's certificate,"
            " give redis.cert_file and key_file."
        ),
    ),
    (exceptions.RedisClusterException, "", "Check that all slots of the cluster are covered (CLUSTER INFO)."),
    (exceptions.ResponseError, "", "Look into its log, and that no other program writes to this prefix."),
)


class TlsFiles(NamedTuple):
    """PEM files of a connection with encryption."""

    ca_file: Path | None = None  # trusted besides the system's certificates
    cert_file: Path | None = None  # the client's own
    key_file: Path | None = None


def make_client(
    url: str,
    *,
    password: str | None = None,
    cluster: bool = False,
    tls: TlsFiles | None = None,
    connect_timeout_seconds: float = TIMEOUT_SECONDS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    retries: int = RETRIES,
) -> Client:
    """A client that has not connected yet. Close it with `await client.aclose()`.

    Args:
        url: like redis://host:6379/0; rediss:// for TLS, unix:// for a socket.
        password: if it does not stand in the address.
        cluster: whether the address is one of a Redis Cluster.
        tls: files for a rediss:// address; by default the system's certificates are trusted.
        connect_timeout_seconds: for a connection.
        timeout_seconds: for each reply.
        retries: of a call that got no reply, after pauses that grow from 50 ms to 1 s.

    Raises `BadStoreAddress` for an address that cannot be read.
    """
    backoff = ExponentialWithJitterBackoff(base=_FIRST_PAUSE_SECONDS, cap=_LONGEST_PAUSE_SECONDS)
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": connect_timeout_seconds,
        "retry": Retry(backoff, retries),
        "protocol": 2,  # of the two the parser in pure Python reads it faster, and no push messages come in between
    }
    if password is not None:
        options["password"] = password
    if tls is not None:
        files_of = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file}
        options |= {name: str(path) for name, path in files_of.items() if path is not None}
    try:
        urlsplit(url).port  # noqa: B018 - reading it checks it
        return RedisCluster.from_url(url, **options) if cluster else Redis.from_url(url, **options)
    except ValueError as error:
        raise BadStoreAddress(problem=str(error).rstrip(".")) from error


@contextmanager
def translated(client: Client, call: str = "") -> Iterator[None]:
    """Turn what redis-py raises inside the block into `StoreUnavailable`, without the password.

    Args:
        client: that is used inside.
        call: what is sent, for the error if the user lacks a right: command or script, and keys.
    """
    try:
        yield
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        problem = (str(error) or type(error).__name__).strip().rstrip(".")
        fitting = (text for kind, word, text in _REMEDIES if isinstance(error, kind) and word in problem)
        remedy = next(fitting, "Check its address, and look into its log.")
        if remedy is _GRANT:
            problem = f"{problem} ({call})"
        raise StoreUnavailable(address=address(client), problem=problem, remedy=remedy) from error


def address(client: Client) -> str:
    """Where a client connects to, for people: host and port or a path, never user or password."""
    if isinstance(client, RedisCluster):
        return ", ".join(sorted(f"{node.host}:{node.port}" for node in client.nodes_manager.startup_nodes.values()))
    options = client.connection_pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")


class Script:
    """A Lua script of this package.

    Args:
        client: on which it runs.
        name: of its file, without `.lua`.
    """

    def __init__(self, client: Client, name: str) -> None:
        text = (files(__package__) / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
        self._client, self._run = client, client.register_script(text)
        self._told = f"EVALSHA of {name}.lua, which calls {', '.join(sorted(commands_in(text)))}"

    async def __call__(self, keys: Sequence[str], *args: bytes | str | int) -> Any:
        """Run it and return its reply. Raises `StoreUnavailable`."""
        with translated(self._client, f"{self._told}, on {', '.join(keys)}"):
            return await self._run(keys=keys, args=args)


class Verify:
    """Compares the keys of a store with what its last commit left in them.

    Args:
        client: on which it runs.
        committed: the field of meta that every commit writes.
        kinds: of the other keys.
    """

    def __init__(self, client: Client, committed: str, kinds: Sequence[str]) -> None:
        self._run, self._committed, self._kinds = Script(client, "verify"), committed, kinds

    async def __call__(self, what: str, key_of: Callable[[str], str]) -> None:
        """Raise StoreIncomplete if a key lacks entries; `what`: whose keys; `key_of`: names one by its kind."""
        kinds = self._kinds
        committed, *sizes = await self._run(list(map(key_of, ("meta", *kinds))), self._committed, *kinds)
        stored = (None if count < 0 else count for count in sizes[::2])
        require_complete(what, bool(committed), dict(zip(kinds, zip(stored, sizes[1::2], strict=True), strict=True)))

    async def refusal(self, what: str, key_of: Callable[[str], str]) -> StoreIncomplete:
        """The error for a commit that was refused because a key lacks entries."""
        try:
            await self(what, key_of)
        except StoreIncomplete as error:
            return error
        return StoreIncomplete(what=what, problem="something else writes to its keys")


class Topics:
    """Keeps the ids of the topics in which the positions of a store count.

    Args:
        client: on which it runs.
        committed: the field of meta that every commit writes.
    """

    def __init__(self, client: Client, committed: str) -> None:
        self._client, self._committed = client, committed
        self._run = Script(client, "topics")

    async def keep(self, meta: str, ids: Mapping[str, str]) -> dict[str, str]:
        """Keep ids by role where none is kept yet; returns those that are."""
        pairs = [part for pair in ids.items() for part in pair]
        kept = await self._run([meta], self._committed, *pairs)
        return {role: one.decode() for role, one in zip(ids, kept, strict=True)}

    async def accept(self, meta: str, role: str, topic_id: str) -> None:
        """Replace the id that is kept."""
        await ask(self._client, "HSET", meta, f"topic:{role}", topic_id)


def commands_in(script: str) -> set[str]:
    """Return the commands that a Lua script calls: its caller needs the right for each.

    >>> commands_in("local now = redis.call('TIME')")
    {'TIME'}
    """
    tables = " ".join(_TABLE.findall(script))
    return {*_CALLED.findall(script), *re.findall(r"'([A-Z]+)'", tables)}


async def ask(client: Client, command: str, key: str, *args: bytes | str | int) -> Any:
    """Send a plain command that may be repeated, and return its reply. Raises `StoreUnavailable`."""
    with translated(client, f"{command} {key}"):
        return await client.execute_command(command, key, *args)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await something that must not be left halfway: a cancellation takes effect when it is through."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody else asks for it: the caller is being cancelled
        raise
