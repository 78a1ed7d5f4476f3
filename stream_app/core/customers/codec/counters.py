"""Encoding of the counters of many customers. Most counters are 0 and take less than one bit of a bitmap.

The low bytes of all counters come first, then the high bytes. A bitmap marks the nonzero bytes, and a summary bitmap
marks the nonzero bytes of the bitmap. The summary is stored in the header of the customer's state, followed by the
nonzero bytes of the bitmap and of the counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from stream_app.core.customers.codec.ragged import Bytes, Reader, cut
from stream_app.core.state.counters import COUNTERS, Counters

COUNTER_BYTES: Final = 2 * len(COUNTERS)
MAP_BYTES: Final = (COUNTER_BYTES + 7) // 8
SUMMARY_BYTES: Final = (MAP_BYTES + 7) // 8
MAX_BYTES: Final = MAP_BYTES + COUNTER_BYTES


def encode_counters(counters: Sequence[Counters[int]]) -> tuple[Bytes, list[bytes]]:
    """Encode counters. Return their summaries, shape (n, SUMMARY_BYTES), and one bytes object per customer."""
    numbers = np.frombuffer(b"".join(counters), dtype=np.uint16).reshape(len(counters), len(COUNTERS))
    table = np.concatenate([numbers & 0xFF, numbers >> 8], axis=1).astype(np.uint8)
    used = table != 0
    maps = np.packbits(used, axis=1)
    kept = maps != 0
    heads, values = cut(maps[kept].tobytes(), kept.sum(axis=1)), cut(table[used].tobytes(), used.sum(axis=1))
    return np.packbits(kept, axis=1), [head + value for head, value in zip(heads, values, strict=True)]


def decode_counters(summaries: Bytes, reader: Reader) -> list[bytes]:
    """Decode the counters at the reader's position; the inverse of `encode_counters`."""
    kept = np.unpackbits(summaries, axis=1, count=MAP_BYTES).astype(bool)
    maps: Bytes = np.zeros(kept.shape, dtype=np.uint8)
    maps[kept] = np.frombuffer(reader.take(kept.sum(axis=1)), dtype=np.uint8)
    used = np.unpackbits(maps, axis=1, count=COUNTER_BYTES).astype(bool)
    table = np.zeros(used.shape, dtype=np.uint16)
    table[used] = np.frombuffer(reader.take(used.sum(axis=1)), dtype=np.uint8)
    numbers = table[:, : len(COUNTERS)] | table[:, len(COUNTERS) :] << 8
    return cut(numbers.tobytes(), np.full(len(numbers), COUNTER_BYTES))
