"""Malformed and malicious records of every known kind, reproducible by seed.

They use customers of their own, and contain no valid orders, no complaints and no times in the future, so they do not
affect the other customers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from random import Random
from typing import Final

from tests.harness.hostile.batches import BATCHES, BOMBS
from tests.harness.hostile.maker import EVENTS, PACKED, PREFIX, ROLES, Maker, Record
from tests.harness.hostile.values import LARGE, VALUES

__all__ = ["EVENTS", "KINDS", "PREFIX", "ROLES", "Record", "few", "many"]

_LONG_AGO: Final = "1990-01-01T00:00:00Z"
SEQUENCES: Final = (
    b"",
    None,
    b"abc",
    b"-1",
    b"0",
    b"1e9",
    b"9" * 5_000,
    b"\xff",
    b"99999999999999999999",
    b" 7 ",
)


def _numbered(maker: Maker) -> Record:
    """Return a record with one or two invalid sequence headers."""
    headers = [("sequence", maker.rng.choice(SEQUENCES))] * maker.rng.choice([1, 2])
    return maker.record("sequence header", maker.rng.choice([b"{}", b"\x90", b"\x92\x00\x90"]), headers=headers)


_RECORDS: Final[dict[str, Callable[[Maker], Record]]] = {
    "many headers": lambda maker: maker.record("many headers", b"{}", headers=[("", b"")] * 2_000),
    "large key": lambda maker: maker.record("large key", b"{}", key=b"k" * 70_000),
    "binary key": lambda maker: maker.record("binary key", b"{}", key=b"\xff\x00\xfe" + maker.rng.randbytes(5)),
    "sequence header": _numbered,
    # A number that an outbox may reach, on a value that is no message.
    "forged number": lambda maker: maker.record("forged number", b"{}", headers=[("sequence", b"999999")]),
}
_EVENT_RECORDS: Final[dict[str, Callable[[Maker], Record]]] = {
    "misplaced": lambda maker: maker.record("misplaced", maker.json(), strays=True),
    "compressed": lambda maker: maker.record(
        "compressed", maker.json(), codec=maker.rng.choice(["gzip", "snappy", "lz4", "zstd"])
    ),
}
KINDS: Final = (
    *dict.fromkeys(name for values in VALUES.values() for name in values),
    *LARGE, *_RECORDS, *_EVENT_RECORDS, "wide", *BATCHES, *BOMBS,
)  # fmt: skip


def few(seed: int, kinds: Collection[str] = KINDS, roles: Collection[str] = ROLES) -> Iterator[Record]:
    """Yield two records of each kind and role that is large or tolerated only in limited number."""
    for role in roles:
        rng = Random(f"{seed} {role} few")
        for _ in range(2):
            maker = Maker(role, rng, _LONG_AGO)
            for name, value in LARGE.items():
                if name in kinds:
                    yield maker.record(name, value(maker))
            if "wide" in kinds:
                headers = [("h" * 30_000, b"v" * 200_000), ("null", None)]
                yield maker.record("wide", b"z" * 200_000, key=b"k" * 400_000, headers=headers)
            yield from (Record(name, role, batch=batch(maker)) for name, batch in BATCHES.items() if name in kinds)
        maker, bombs = Maker(role, rng, _LONG_AGO), BOMBS if role in ("orders", "alerts", *PACKED) else {}
        yield from (Record(name, role, batch=bomb(maker)) for name, bomb in bombs.items() if name in kinds)


def many(
    seed: int, count: int, at: Callable[[], str], kinds: Collection[str] = KINDS, roles: Collection[str] = ROLES
) -> Iterator[Record]:
    """Yield small records, the kinds of each role in turn.

    Args:
        seed: of all randomness.
        count: number of records.
        at: returns the current time, RFC 3339.
        kinds: kinds to yield.
        roles: roles of topics to yield records for.
    """
    makers: list[tuple[str, str]] = []
    for role in roles:
        of_role = [*VALUES[role], *_RECORDS, *(_EVENT_RECORDS if role in EVENTS else ())]
        makers += [(role, name) for name in of_role if name in kinds]
    for place in range(count if makers else 0):
        role, name = makers[place % len(makers)]
        maker = Maker(role, Random(f"{seed} {place}"), at())
        if name in VALUES[role]:
            yield maker.record(name, VALUES[role][name](maker))
        else:
            yield {**_RECORDS, **_EVENT_RECORDS}[name](maker)
