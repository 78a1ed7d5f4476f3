"""Generates a Redis ACL file with the minimal rights of each service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from stream_app.adapters.redis.connection import commands_in
from stream_app.config import Redis

# To export the memory usage, and to check maxmemory-policy, because a Redis that evicts keys would lose states.
_ABOUT_THE_SERVER: Final = ("info", "config|get")
_OF_A_CLUSTER: Final = ("cluster|slots", "command")  # for locating keys
_STATES: Final = "{p*}:*"  # includes the allocator, which has a partition number


@dataclass(frozen=True)
class Needs:
    """Rights of one service.

    Attributes:
        scripts: Lua scripts that it runs.
        commands: commands that it sends directly, outside scripts.
        writes: patterns of keys that it reads and writes, after the prefix; they include every key of its scripts.
        reads: patterns of keys that it only reads.
    """

    scripts: Sequence[str]
    commands: Sequence[str]
    writes: Sequence[str]
    reads: Sequence[str] = ()


_OPEN: Final = ("topics", "verify")  # checks of topic ids and completeness
_OUTBOX: Final = ("claim", "open", *_OPEN, "commit", "outbox", "skip", "trim")
_POLICIES: Final = ("{clock}:contents", "{clock}:policies", "{clock}:last")
_CLOCK: Final = ("acquire", "advance", "now", "release")
NEEDS: Final = {
    "worker": Needs(
        (*_OUTBOX, "scan", *_CLOCK),
        ("get", "hget", "hvals", "zcard", "zrange", "zrevrangebyscore"),
        ("epoch", _STATES, "{clock}:*"),
        ("{model}:*",),
    ),
    "trainer": Needs(("claim_owner", *_OPEN, "checkpoint"), ("hget", "hmget"), ("{model}:*",)),
    "allocator": Needs(_OUTBOX, ("hget",), ("epoch", "{p-1}:*"), ("{clock}:contents",)),
    "notifier": Needs(
        ("claim_owner", *_OPEN, "commit_deliveries", "delete_deliveries", "scan"),
        ("hgetall", "hmget", "lrange", "scard", "smembers"),
        ("{deliver}:*",),
    ),
    # the commands state, model, policy, alerts and deliveries, and the staff of the simulated shop
    "operator": Needs(
        ("pin", "publish_policy", "scan"),
        ("hget", "hgetall", "hmget", "hvals", "rpush", "smembers", "zrange"),
        ("{model}:meta", "{model}:versions", "{deliver}:deliveries", "{deliver}:requests", *_POLICIES),
        (_STATES, "{model}:*", "{deliver}:*"),
    ),
    # of a log with policies
    "publish": Needs(("publish_policy",), (), _POLICIES),
    # the command `topics accept`, which moves the positions of the service that reads the topic
    "accept": Needs(
        (*_OUTBOX, "scan", "claim_owner", "checkpoint", "commit_deliveries"),
        ("hget", "hgetall", "hmget", "hset", "scard", "smembers"),
        ("epoch", _STATES, "{model}:*", "{deliver}:*"),
    ),
}


def redis_acls(redis: Redis, user: str | None = None) -> str:
    """Return an ACL file for Redis 7 or newer. It contains no passwords; users cannot log in until they get one.

    Args:
        redis: settings with the key prefix and whether Redis is a cluster.
        user: name of one user for all services; None creates a user `PREFIX-SERVICE` for each.

    >>> print(redis_acls(Redis()).splitlines()[2])
    user churn-trainer on resetchannels -@all ... ~churn:{model}:*
    """
    users = {f"{redis.prefix}-{name}": needs for name, needs in NEEDS.items()}
    if user is not None:
        scripts = {script for one in NEEDS.values() for script in one.scripts}
        commands = {command for one in NEEDS.values() for command in one.commands}
        users = {user: Needs(sorted(scripts), sorted(commands), ("*",))}
    # The user `default` has all rights and needs no login.
    return "\n".join(["user default off", *(_line(name, redis, needs) for name, needs in users.items()), ""])


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
    keys += [f"%R~{redis.prefix}:{pattern}" for pattern in needs.reads]
    return f"user {user} on resetchannels -@all {commands} {' '.join(keys)}"


def commands_of(script: str) -> set[str]:
    """Return the commands that a Lua script of this package calls.

    >>> sorted(commands_of("claim"))
    ['get', 'set', 'time']
    """
    text = (files(__package__) / "scripts" / f"{script}.lua").read_text(encoding="utf-8")
    return {command.lower() for command in commands_in(text)}
