"""Creates Redis clients with bounded timeouts and retries, and translates their errors."""

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

TIMEOUT_SECONDS: Final = 5.0  # per reply; a commit of 1,000 states takes 10 ms
RETRIES: Final = 4  # number of retries of a call without a reply; safe, because every write is idempotent
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

FAILURES: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError)  # all that redis-py raises
_CALLED: Final = re.compile(r"\b(?:redis\.call|write)\('([A-Z]+)'")
_TABLE: Final = re.compile(r"\bSIZES = \{(.*?)\}")  # dynamic commands of a script: it takes their names from a table
_GRANT: Final = (
    "Grant the user this command and these keys; `stream-app acls redis` prints the rights that each service needs."
)
_TRUST: Final = (
    "Set redis.ca_file to the certificate of the CA that signed the server certificate. The host in redis.url must be "
    "one of the names in that certificate."
)
# Remedies, most specific first, by exception type and by text in the message: Redis before version 7 wraps errors that
# occur inside a script.
_REMEDIES: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (exceptions.AuthenticationError, "", "Check the user name and password."),
    (exceptions.AuthenticationWrongNumberOfArgsError, "", "Check the user name and password."),
    (exceptions.NoPermissionError, "", _GRANT),
    (exceptions.ResponseError, "The user executing the script can't", _GRANT),
    (exceptions.ConnectionError, "CERTIFICATE_VERIFY_FAILED", _TRUST),
    (
        exceptions.ConnectionError,
        "CERTIFICATE_REQUIRED",
        "The server requires a client certificate: set redis.cert_file and redis.key_file.",
    ),
    (exceptions.TimeoutError, "Timeout connecting", "Check the address. A port without TLS never answers rediss://."),
    (exceptions.BusyLoadingError, "", "Redis is loading its data: wait."),
    (exceptions.ReadOnlyError, "", "This is a replica: use the address of the primary."),
    (exceptions.ResponseError, "READONLY", "This is a replica: use the address of the primary."),
    (exceptions.OutOfMemoryError, "", "Raise maxmemory and keep maxmemory-policy at noeviction."),
    (exceptions.ResponseError, "OOM command", "Raise maxmemory and keep maxmemory-policy at noeviction."),
    (exceptions.ResponseError, "MISCONF", "Redis cannot save to disk: free disk space and check its log."),
    (exceptions.TimeoutError, "", "Redis does not answer in time: check its load (SLOWLOG GET) and the network."),
    # A server that requires a client certificate may close the connection before its alert arrives.
    (
        exceptions.ConnectionError,
        "",
        (
            "Check the address, and that the server is running. A TLS port needs rediss://. If the server requires a"
            " client certificate, set redis.cert_file and redis.key_file."
        ),
    ),
    (exceptions.RedisClusterException, "", "Check that all slots of the cluster are covered (CLUSTER INFO)."),
    (exceptions.ResponseError, "", "Check its log, and that no other program writes keys with this prefix."),
)


class TlsFiles(NamedTuple):
    """PEM files for TLS connections."""

    ca_file: Path | None = None  # trusted in addition to the system's certificates
    cert_file: Path | None = None  # client certificate
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
    """Return a client that connects on first use. The caller closes it with `await client.aclose()`.

    Args:
        url: for example redis://host:6379/0; rediss:// for TLS, unix:// for a socket.
        password: password, if it is not part of the URL.
        cluster: whether the server is a Redis Cluster.
        tls: files for a rediss:// URL; by default the system's certificates are trusted.
        connect_timeout_seconds: timeout for connecting.
        timeout_seconds: timeout for each reply.
        retries: number of retries of a call without a reply, with a backoff of 50 ms to 1 s.

    Raises:
        BadStoreAddress: the URL is invalid.
    """
    backoff = ExponentialWithJitterBackoff(base=_FIRST_PAUSE_SECONDS, cap=_LONGEST_PAUSE_SECONDS)
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": connect_timeout_seconds,
        "retry": Retry(backoff, retries),
        "protocol": 2,  # RESP2: the pure Python parser reads it faster than RESP3, and push messages are not needed
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
    """Convert exceptions of redis-py inside the block to `StoreUnavailable`, without the password.

    Args:
        client: client that the block uses.
        call: command or script with its keys, shown if the user lacks a right.
    """
    try:
        yield
    except FAILURES as error:
        problem = (str(error) or type(error).__name__).strip().rstrip(".")
        fitting = (text for kind, word, text in _REMEDIES if isinstance(error, kind) and word in problem)
        remedy = next(fitting, "Check the address and the log of the server.")
        if remedy is _GRANT:
            problem = f"{problem} ({call})"
        raise StoreUnavailable(address=address(client), problem=problem, remedy=remedy) from error


def address(client: Client) -> str:
    """Return the address of a client for display: host and port, or a path; never the user or the password."""
    if isinstance(client, RedisCluster):
        return ", ".join(sorted(f"{node.host}:{node.port}" for node in client.nodes_manager.startup_nodes.values()))
    options = client.connection_pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")


class Script:
    """A Lua script of this package.

    Args:
        client: client to run the script on.
        name: file name without `.lua`.
    """

    def __init__(self, client: Client, name: str) -> None:
        text = (files(__package__) / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
        self._client, self._run = client, client.register_script(text)
        self._call = f"EVALSHA of {name}.lua, which calls {', '.join(sorted(commands_in(text)))}"

    async def __call__(self, keys: Sequence[str], *args: bytes | str | int) -> Any:
        """Run the script and return its reply. Raises `StoreUnavailable`."""
        with translated(self._client, f"{self._call}, on {', '.join(keys)}"):
            return await self._run(keys=keys, args=args)


class Verify:
    """Checks that the keys under one hash tag are complete.

    Args:
        client: client to run the script on.
        committed: field of `meta` that every commit writes.
        kinds: kinds of the other keys.
    """

    def __init__(self, client: Client, committed: str, kinds: Sequence[str]) -> None:
        self._run, self._committed, self._kinds = Script(client, "verify"), committed, kinds

    async def __call__(self, what: str, key_of: Callable[[str], str]) -> None:
        """Raise StoreIncomplete if a key lacks entries.

        Args:
            what: owner of the keys, for the error message.
            key_of: returns the name of a key by kind.
        """
        kinds = self._kinds
        committed, *sizes = await self._run(list(map(key_of, ("meta", *kinds))), self._committed, *kinds)
        stored = (None if count < 0 else count for count in sizes[::2])
        require_complete(what, bool(committed), dict(zip(kinds, zip(stored, sizes[1::2], strict=True), strict=True)))

    async def refusal(self, what: str, key_of: Callable[[str], str]) -> StoreIncomplete:
        """Return the error for a commit refused because a key lacks entries."""
        try:
            await self(what, key_of)
        except StoreIncomplete as error:
            return error
        return StoreIncomplete(what=what, problem="another program writes to its keys")


class Topics:
    """Stored ids of the topics to which a store's positions refer.

    Args:
        client: client to run the script on.
        committed: field of `meta` that every commit writes.
    """

    def __init__(self, client: Client, committed: str) -> None:
        self._client, self._committed = client, committed
        self._run = Script(client, "topics")

    async def keep(self, meta: str, ids: Mapping[str, str]) -> dict[str, str]:
        """Store the ids of roles that have none yet. Return the stored ids by role."""
        pairs = [part for pair in ids.items() for part in pair]
        kept = await self._run([meta], self._committed, *pairs)
        return {role: one.decode() for role, one in zip(ids, kept, strict=True)}

    async def accept(self, meta: str, role: str, topic_id: str) -> None:
        """Replace a stored id."""
        await ask(self._client, "HSET", meta, f"topic:{role}", topic_id)


def commands_in(script: str) -> set[str]:
    """Return the commands that a Lua script calls. Its user needs permission for each of them.

    >>> commands_in("local now = redis.call('TIME')")
    {'TIME'}
    """
    tables = " ".join(_TABLE.findall(script))
    return {*_CALLED.findall(script), *re.findall(r"'([A-Z]+)'", tables)}


async def ask(client: Client, command: str, key: str, *args: bytes | str | int) -> Any:
    """Send an idempotent command and return its reply. Raises `StoreUnavailable`."""
    with translated(client, f"{command} {key}"):
        return await client.execute_command(command, key, *args)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine that must not be interrupted. A cancellation takes effect after it has finished."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # retrieve the exception, because the cancelled caller does not
        raise
