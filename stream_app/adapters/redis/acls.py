"""The rights in Redis that each service needs, and no more, as lines of an ACL file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from stream_app.adapters.redis.connection import commands_in
from stream_app.config import Redis

# Memory, for the metrics; and maxmemory-policy, since a Redis that evicts would lose states.
_ABOUT_THE_SERVER: Final = ("info", "config|get")
_OF_A_CLUSTER: Final = ("cluster|slots", "command")  # where each key is
_STATES: Final = "{p*}:*"  # the desk is a partition among the others
_READ: Final = "%R~"


@dataclass(frozen=True)
class Needs:
    """What a service does in Redis.

    Attributes:
        scripts: that it runs.
        commands: that it sends beside them.
        writes: patterns of the keys that it reads and writes, after the prefix; every key of a script is one.
        reads: patterns of keys that it only reads.
    """

    scripts: Sequence[str]
    commands: Sequence[str]
    writes: Sequence[str]
    reads: Sequence[str] = ()


_OPEN: Final = ("topics", "verify")  # do the positions count in these topics, and does each key hold what was stored?
_OUTBOX: Final = ("claim", "open", *_OPEN, "commit", "outbox", "skip", "trim")
_CLOCK: Final = ("acquire", "advance", "now", "release")
NEEDS: Final = {
    "worker": Needs(
        (*_OUTBOX, "scan", *_CLOCK),
        ("get", "hget", "hvals", "zcard", "zrevrangebyscore"),
        ("epoch", _STATES, "{clock}:*"),
        ("{model}:*",),
    ),
    "trainer": Needs(("claim_trainer", *_OPEN, "checkpoint"), ("hget", "hmget"), ("{model}:*",)),
    "desk": Needs(_OUTBOX, (), ("epoch", "{p-1}:*")),
    "deliver": Needs(
        ("claim_deliverer", *_OPEN, "deliver", "forget", "scan"),
        ("hgetall", "hmget", "lrange", "scard", "smembers"),
        ("{deliver}:*",),
    ),
    # state, model, episode, alerts; and the staff of the simulated shop, which asks as `alert` does
    "operator": Needs(
        ("pin", "scan"),
        ("hget", "hgetall", "hmget", "hvals", "rpush", "smembers"),
        ("{model}:meta", "{model}:versions", "{deliver}:deliveries", "{deliver}:requests"),
        (_STATES, "{model}:*", "{deliver}:*"),
    ),
    # topics accept: it moves the positions of whoever reads the topic
    "accept": Needs(
        (*_OUTBOX, "scan", "claim_trainer", "checkpoint", "claim_deliverer", "deliver"),
        ("hget", "hgetall", "hmget", "hset", "scard", "smembers"),
        ("epoch", _STATES, "{model}:*", "{deliver}:*"),
    ),
}


def redis_acls(redis: Redis, user: str | None = None) -> str:
    """Return an ACL file for Redis 7 or newer, without passwords: until a user is given one, nobody can log in as it.

    Args:
        redis: the prefix of the keys, and whether it is a cluster.
        user: the one user of all services; None: each has its own, `PREFIX-SERVICE`.

    >>> print(redis_acls(Redis()).splitlines()[2])
    user churn-trainer on resetchannels -@all ... ~churn:{model}:*
    """
    if user is not None:
        everything = Needs(
            sorted({script for one in NEEDS.values() for script in one.scripts}),
            sorted({command for one in NEEDS.values() for command in one.commands}),
            ("*",),
        )
        return _file([_line(user, redis, everything)])
    return _file([_line(f"{redis.prefix}-{name}", redis, needs) for name, needs in NEEDS.items()])


def _file(users: list[str]) -> str:
    """The lines. Whoever does not log in is the user `default`, who may do everything unless it is off."""
    return "\n".join(["user default off", *users, ""])


def _line(user: str, redis: Redis, needs: Needs) -> str:
    given = {*needs.commands, *_ABOUT_THE_SERVER, "evalsha", "script|load"}
    for script in needs.scripts:
        given |= commands_of(script)
    if redis.cluster:
        given |= set(_OF_A_CLUSTER)
    if urlsplit(redis.url).path.strip("/") not in {"", "0"}:
        given.add("select")
    commands = " ".join(f"+{command}" for command in sorted(given))
    keys = [f"~{redis.prefix}:{pattern}" for pattern in needs.writes]
    keys += [f"{_READ}{redis.prefix}:{pattern}" for pattern in needs.reads]
    return f"user {user} on resetchannels -@all {commands} {' '.join(keys)}"


def commands_of(script: str) -> set[str]:
    """Return the commands that a Lua script of this package calls.

    >>> sorted(commands_of("claim"))
    ['get', 'set', 'time']
    """
    text = (files(__package__) / "scripts" / f"{script}.lua").read_text(encoding="utf-8")
    return {command.lower() for command in commands_in(text)}
