"""Creates Redis clients with bounded timeouts and retries, and translates their errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar, Union
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from stream_app.errors import BadStoreAddress, StoreUnavailable

Client: TypeAlias = Union[Redis, RedisCluster]  # noqa: UP007 - evaluated when the module is loaded
T = TypeVar("T")

TIMEOUT_SECONDS: Final = 5.0  # per reply; a commit of 1,000 states takes 10 ms
RETRIES: Final = 4  # number of retries of a call without a reply; safe, because every write is idempotent
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

FAILURES: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError)  # all that redis-py raises
_CALLED: Final = re.compile(r"\b(?:redis\.call|write)\('([A-Z]+)'")
_TABLE: Final = re.compile(r"\bSIZES = \{(.*?)\}")  # table from which a script takes the names of commands
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


def make_client(
    url: str,
    *,
    password: str | None = None,
    cluster: bool = False,
    tls: Mapping[str, Path | None] = MappingProxyType({}),
    connect_timeout_seconds: float = TIMEOUT_SECONDS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    retries: int = RETRIES,
) -> Client:
    """Return a client that connects on first use. The caller closes it with `await client.aclose()`.

    Args:
        url: for example redis://host:6379/0; rediss:// for TLS, unix:// for a socket.
        password: password, if it is not part of the URL.
        cluster: whether the server is a Redis Cluster.
        tls: PEM files for a rediss:// URL, by option of redis-py: `ssl_ca_certs` (trusted in addition to the system's
            certificates), `ssl_certfile` and `ssl_keyfile` (client certificate).
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
    options |= {name: str(path) for name, path in tls.items() if path is not None}
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
