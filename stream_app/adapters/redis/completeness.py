"""Completeness checks: each key of a store must contain everything that the last commit stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from operator import add
from typing import Final

from xxhash import xxh3_64_intdigest

from stream_app.errors import StoreIncomplete

OTHER_VALUES: Final = "`states` has the expected number of entries, but their values differ from those stored"
_MASK: Final = (1 << 64) - 1
Counts = Mapping[str, tuple[int | None, int]]  # kind -> entries stored (None: not counted yet), entries found


def require_complete(what: str, committed: bool, counts: Counts) -> None:
    """Raise StoreIncomplete unless each key has as many entries as after the last commit.

    Args:
        what: owner of the keys, for the error message.
        committed: whether `meta` contains a commit.
        counts: entries stored and found, by key. Keys stored by earlier versions have no count and pass.

    >>> require_complete("partition 3", committed=True, counts={"states": (2, 2), "outbox": (None, 5)})
    >>> require_complete("partition 3", committed=True, counts={"states": (2, 0)})
    Traceback (most recent call last):
    stream_app.errors.StoreIncomplete: Redis lacks data of partition 3: `states` has 0 entries, but 2 were stored. ...
    """
    problems = []
    for kind, (stored, found) in counts.items():
        if stored is not None and stored != found:
            problems.append(f"`{kind}` has {found:,} entries, but {stored:,} were stored")
        elif not committed and found:
            problems.append(f"`{kind}` has {found:,} entries, but `meta` with their position is missing")
    if problems:
        raise StoreIncomplete(what=what, problem="; ".join(problems))


def digest_of(customer: bytes, state: bytes) -> int:
    """Return a customer's part of the partition's digest, which is the sum of all parts modulo 2^64."""
    return xxh3_64_intdigest(customer + state)


def written(total: int) -> str:
    """Return a sum of parts in the form in which it is stored.

    >>> written(-1)
    'ffffffffffffffff'
    """
    return f"{total & _MASK:016x}"


class Digest:
    """Digest over all states of a partition, updated when states are replaced."""

    def __init__(self) -> None:
        self._parts: dict[str, int] = {}
        self._total = 0

    def put(self, customers: Collection[str], flat: Sequence[bytes]) -> None:
        """Update the digest with the new states of customers.

        Args:
            customers: customer ids.
            flat: the customers' encoded ids and states, alternating.


        >>> digest = Digest()
        >>> digest.put(["ann"], [b"ann", b"state"])
        >>> str(digest) == written(digest_of(b"ann", b"state"))
        True
        """
        # No Python loop: this runs for every state of every commit.
        parts = list(map(xxh3_64_intdigest, map(add, flat[::2], flat[1::2])))
        self._total += sum(parts) - sum(map(self._parts.get, customers, repeat(0)))
        self._parts.update(zip(customers, parts, strict=True))

    def __str__(self) -> str:
        return written(self._total)
