"""Exports of Redis, and the files that keep them."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import redis

Keyspace = dict[str, tuple[str, Any]]  # key without its prefix -> type, entries


def write_packed(path: Path, value: Any) -> None:
    """Write plain values and bytes as compressed MessagePack."""
    path.write_bytes(lzma.compress(msgspec.msgpack.encode(value), preset=9 | lzma.PRESET_EXTREME))


def read_packed(path: Path) -> Any:
    return msgspec.msgpack.decode(lzma.decompress(path.read_bytes()))


def write_json(path: Path, value: Any) -> None:
    """Write plain values as compressed JSON, readable with `xzcat`."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=1)
    path.write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))


def read_json(path: Path) -> Any:
    return msgspec.json.decode(lzma.decompress(path.read_bytes()))


def export(client: redis.Redis, prefix: str) -> Keyspace:
    """Return all keys under a prefix that do not expire."""
    found: Keyspace = {}
    readers: dict[str, Callable[[bytes], Any]] = {
        "string": client.get,
        "hash": lambda key: sorted(client.hgetall(key).items()),
        "list": lambda key: client.lrange(key, 0, -1),
        "set": lambda key: sorted(client.smembers(key)),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    for key in sorted(client.scan_iter(match=f"{prefix}:*")):
        if client.ttl(key) == -1:
            kind = client.type(key).decode()  # type: ignore[union-attr]
            found[key.decode().removeprefix(f"{prefix}:")] = (kind, readers[kind](key))
    return found


def load(client: redis.Redis, prefix: str, keyspace: Mapping[str, Any]) -> None:
    for name, (kind, entries) in keyspace.items():
        key = f"{prefix}:{name}"
        if kind == "string":
            client.set(key, entries)
        elif kind == "hash":
            client.hset(key, mapping=dict(entries))
        elif kind == "list":
            client.rpush(key, *entries)
        elif kind == "set":
            client.sadd(key, *entries)
        else:
            client.zadd(key, dict(entries))


def entries_of(keyspace: Mapping[str, Any], name: str) -> dict[bytes, Any]:
    """Return the fields of an exported hash; empty if it does not exist."""
    return dict(keyspace[name][1]) if name in keyspace else {}
