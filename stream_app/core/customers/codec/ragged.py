"""Bytes of many customers side by side: cut into a piece for each, and read back piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from stream_app.errors import UnusableState

Counts = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def cut(whole: bytes, sizes: Counts) -> list[bytes]:
    """Cut bytes into pieces.

    >>> cut(b"abcdef", np.array([2, 0, 4]))
    [b'ab', b'', b'cdef']
    """
    ends = list(accumulate(sizes.tolist(), initial=0))
    return [whole[start:end] for start, end in pairwise(ends)]


def narrow(values: Counts) -> Bytes:
    """Integers below 2^39 in size as 5 bytes each, shape (n, 5)."""
    return values.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :5]


def widen(stored: Bytes) -> Counts:
    """The integers of `narrow`.

    >>> widen(narrow(np.array([-1, 2**39 - 1]))).tolist()
    [-1, 549755813887]
    """
    wide = np.zeros((len(stored), 8), dtype=np.uint8)
    wide[:, 3:] = stored  # the sign is in the highest byte
    return (wide.view("<i8").ravel() >> 24).astype(np.int64)


class Reader:
    """Reads the same part of many stored values at once.

    Args:
        names: of those whose values they are, for refusals.
        stored: their values.
        lengths: how much of each is to be read, bytes.
        remedy: what to do about a value that cannot be read.
    """

    def __init__(self, names: Sequence[str], stored: Sequence[bytes], lengths: Counts, remedy: str) -> None:
        self._names, self._stored, self._lengths, self._remedy = names, stored, lengths, remedy
        self._at = np.zeros(len(stored), dtype=np.int64)

    def take(self, sizes: Counts) -> bytearray:
        """The next bytes of every value, joined; raises UnusableState where one is too short."""
        ends = self._at + sizes
        self.refuse(ends > self._lengths, "is too short for what it should hold")
        pieces = zip(self._stored, self._at.tolist(), ends.tolist(), strict=True)
        self._at = ends
        return bytearray().join([value[start:end] for value, start, end in pieces])

    def finish(self) -> None:
        """Raise UnusableState where a value goes on."""
        self.refuse(self._at != self._lengths, "is longer than what it should hold")

    def refuse(self, wrong: npt.NDArray[np.bool_], problem: str) -> None:
        """Raise UnusableState for the first value with which something is wrong."""
        if wrong.any():
            first = int(wrong.argmax())
            said = f"that of {self._names[first]!r}, {len(self._stored[first])} bytes, {problem}"
            raise UnusableState(problem=said, remedy=self._remedy)
