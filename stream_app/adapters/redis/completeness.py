"""Whether the keys of a store belong together: each holds what the last commit left in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import repeat
from operator import add
from typing import Final

from xxhash import xxh3_64_intdigest

from stream_app.errors import StoreIncomplete

OTHER_VALUES: Final = "`states` holds as many entries as were stored, but other values"
_MASK: Final = (1 << 64) - 1
Counts = Mapping[str, tuple[int | None, int]]  # kind -> entries that were stored (None: not counted yet), entries found


def require_complete(what: str, committed: bool, counts: Counts) -> None:
    """Raise StoreIncomplete unless each key holds as many entries as the last commit left.

    Args:
        what: whose keys, for the error.
        committed: whether the key that says how far the store has come is there.
        counts: of all other keys. What an earlier version stored was not counted, and passes.

    >>> require_complete("partition 3", committed=True, counts={"states": (2, 2), "outbox": (None, 5)})
    >>> require_complete("partition 3", committed=True, counts={"states": (2, 0)})
    Traceback (most recent call last):
    stream_app.errors.StoreIncomplete: Redis lacks data of partition 3: `states` holds 0 entries, and 2 were stored. ...
    """
    if problems := list(_problems(committed, counts)):
        raise StoreIncomplete(what=what, problem="; ".join(problems))


def _problems(committed: bool, counts: Counts) -> Iterator[str]:
    for kind, (stored, found) in counts.items():
        if stored is not None and stored != found:
            yield f"`{kind}` holds {found:,} entries, and {stored:,} were stored"
        elif not committed and found:
            yield f"`{kind}` holds {found:,} entries, and `meta`, which says how far they reach, is gone"


def digest_of(customer: bytes, state: bytes) -> int:
    """A customer's part of the digest over all states of a partition: the sum of all parts, modulo 2^64."""
    return xxh3_64_intdigest(customer + state)


def written(total: int) -> str:
    """A sum of parts as it is stored.

    >>> written(-1)
    'ffffffffffffffff'
    """
    return f"{total & _MASK:016x}"


class Digest:
    """The digest over all states of one partition, kept up to date as states are replaced."""

    def __init__(self) -> None:
        self._parts: dict[str, int] = {}
        self._total = 0

    def put(self, customers: Collection[str], flat: Sequence[bytes]) -> None:
        """Replace some customers' states; `flat` has their encoded names and states in turn.

        >>> digest = Digest()
        >>> digest.put(["ann"], [b"ann", b"state"])
        >>> str(digest) == written(digest_of(b"ann", b"state"))
        True
        """
        # Without a loop in Python: this runs for every state of every commit.
        parts = list(map(xxh3_64_intdigest, map(add, flat[::2], flat[1::2])))
        self._total += sum(parts) - sum(map(self._parts.get, customers, repeat(0)))
        self._parts.update(zip(customers, parts, strict=True))

    def __str__(self) -> str:
        return written(self._total)
