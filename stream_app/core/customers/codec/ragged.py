"""Ragged byte arrays: split into one bytes object per customer, and read back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Bools, Ints
from stream_app.errors import UnusableState

Bytes = npt.NDArray[np.uint8]


def cut(whole: bytes, sizes: Ints) -> list[bytes]:
    """Split bytes into consecutive pieces of the given lengths.

    >>> cut(b"abcdef", np.array([2, 0, 4]))
    [b'ab', b'', b'cdef']
    """
    ends = list(accumulate(sizes.tolist(), initial=0))
    return [whole[start:end] for start, end in pairwise(ends)]


def narrow(values: Ints) -> Bytes:
    """Encode integers with an absolute value below 2^39 in 5 bytes each, shape (n, 5)."""
    return values.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :5]


def widen(stored: Bytes) -> Ints:
    """Decode integers encoded by `narrow`.

    >>> widen(narrow(np.array([-1, 2**39 - 1]))).tolist()
    [-1, 549755813887]
    """
    wide = np.zeros((len(stored), 8), dtype=np.uint8)
    wide[:, 3:] = stored  # the sign is in the highest byte
    return (wide.view("<i8").ravel() >> 24).astype(np.int64)


class Reader:
    """Reads the same part of many stored values at once.

    Args:
        names: customer ids, for error messages.
        stored: one stored value per customer.
        lengths: number of bytes to read from each value.
        remedy: advice for the error message if a value cannot be read.
    """

    def __init__(self, names: Sequence[str], stored: Sequence[bytes], lengths: Ints, remedy: str) -> None:
        self._names, self._stored, self._lengths, self._remedy = names, stored, lengths, remedy
        self._at = np.zeros(len(stored), dtype=np.int64)

    def take(self, sizes: Ints) -> bytearray:
        """Return the next bytes of all values, concatenated. Raise UnusableState if any value is too short."""
        ends = self._at + sizes
        self.refuse(ends > self._lengths, "is too short for its content")
        pieces = zip(self._stored, self._at.tolist(), ends.tolist(), strict=True)
        self._at = ends
        return bytearray().join([value[start:end] for value, start, end in pieces])

    def finish(self) -> None:
        """Raise UnusableState if any value has bytes left."""
        self.refuse(self._at != self._lengths, "is longer than its content")

    def refuse(self, wrong: Bools, problem: str) -> None:
        """Raise UnusableState for the first invalid value."""
        if wrong.any():
            first = int(wrong.argmax())
            value = f"that of {self._names[first]!r}, {len(self._stored[first])} bytes,"
            raise UnusableState(problem=f"{value} {problem}", remedy=self._remedy)
