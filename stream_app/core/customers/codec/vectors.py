"""The facts of many customers as bytes: what another fact tells is left out, small counts take a byte or two.

Two bits a fact say how it is stored: as foretold (nothing), in one byte, in two, or as a float64. What is foretold is
the value of an empty state, or that of the fact's twin, with which it agrees for most customers: a customer with one
order has the first and the last of it at the same time, and what decays has decayed to its last event. The twins were
chosen by counting in simulated and recorded logs (docs/adr/0010-state-codec.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats
from stream_app.core.customers.codec.ragged import Bytes, Counts, Reader, cut
from stream_app.core.state.vector import DECAYED, EMPTY, HALF_LIVES, LAST_SEEN, SLOT, SLOTS, StateVector

FORETOLD, ONE_BYTE, TWO_BYTES, DOUBLE = range(4)
_COUNTED: Final = {"order": "orders", "browsing": "browsings", "cart": "carts", "complaint": "complaints"}
_TWINS: Final = {  # in this order a twin is known before those of whom it tells
    "first_order": "last_order",
    "first_seen": "first_order",
    "decayed_money_at": "last_order",
    **{f"decayed_{kind}_at": f"last_{kind}" for kind in _COUNTED},
    "order_days": "orders",
    "checkouts": "orders",
    "max_amount": "last_amount",
    "money": "max_amount",
    **{
        f"decayed_{kind}_{shorter:g}d": f"decayed_{kind}_{longer:g}d" if longer else _COUNTED.get(kind, "log_money")
        for kind in DECAYED
        for shorter, longer in reversed(list(zip(HALF_LIVES, (*HALF_LIVES[1:], 0.0), strict=True)))
    },
}
_PLACES: Final = [SLOT[name] for name in _TWINS]
_TWIN_PLACES: Final = [SLOT[name] for name in _TWINS.values()]
_LASTS: Final = [SLOT[f"last_{kind}"] for kind in _COUNTED]  # the latest of them is last_seen, unless others stirred
_EMPTY: Final = np.array(EMPTY)
_SIZES: Final = np.array([0, 1, 2, 8])  # bytes, by how it is stored
_USED: Final = np.array(
    [(1 << 64) // 255 & (1 << 8 * int(size)) - 1 for size in _SIZES], dtype="<u8"
)  # bytes of 0 and 1
MAX_FACT: Final = 1e30  # of a fact; no sum of amounts that events may have comes near it
CODE_BYTES: Final = (2 * len(SLOTS) + 7) // 8
MAX_BYTES: Final = CODE_BYTES + 8 * len(SLOTS)


def encode_vectors(vector: Floats) -> tuple[Bytes, list[bytes]]:
    """StateVector as bytes.

    Args:
        vector: shape (n, len(SLOTS)).

    Returns:
        How each is stored, shape (n, CODE_BYTES), and the n pieces.
    """
    codes, small = _codes(vector)
    used = _used(codes)
    stored = np.where(codes == DOUBLE, vector.view(np.int64), small).astype("<i8").view(np.uint8)
    bits = np.concatenate([codes & 1, codes >> 1], axis=1)
    return np.packbits(bits, axis=1), cut(stored[used].tobytes(), used.sum(axis=1))


def decode_vectors(packed: Bytes, reader: Reader) -> Floats:
    """The facts of `encode_vectors`, whose pieces stand next in the reader."""
    bits = np.unpackbits(packed, axis=1, count=2 * len(SLOTS))
    codes: Bytes = np.bitwise_or(bits[:, : len(SLOTS)], bits[:, len(SLOTS) :] << 1, dtype=np.uint8)
    stored = np.zeros((len(codes), 8 * len(SLOTS)), dtype=np.uint8)
    used = _used(codes)
    stored[used] = np.frombuffer(reader.take(used.sum(axis=1)), dtype=np.uint8)
    numbers = stored.view("<i8").astype(np.int64)
    vector = np.where(codes == DOUBLE, numbers.view(np.float64), numbers)
    foretold = codes == FORETOLD
    vector[foretold] = np.broadcast_to(_EMPTY, vector.shape)[foretold]
    for place, twin in zip(_PLACES, _TWIN_PLACES, strict=True):
        vector[:, place] = np.where(foretold[:, place], vector[:, twin], vector[:, place])
    vector[:, LAST_SEEN] = np.where(foretold[:, LAST_SEEN], vector[:, _LASTS].max(axis=1), vector[:, LAST_SEEN])
    # An older version took in any amount: what it stored of them may be infinite, or become it.
    if not (np.abs(vector) <= MAX_FACT).all():
        vector = np.clip(np.nan_to_num(vector, nan=0.0), -MAX_FACT, MAX_FACT)
    return vector


def _used(codes: Bytes) -> npt.NDArray[np.bool_]:
    """Which of the eight bytes of each fact are stored."""
    return _USED[codes].view(bool)


def _codes(vector: Floats) -> tuple[Bytes, Counts]:
    """How each fact is stored, and all facts as small integers, which are wrong where they are not stored as such."""
    foretold = np.tile(_EMPTY, (len(vector), 1))
    foretold[:, _PLACES] = vector[:, _TWIN_PLACES]
    foretold[:, LAST_SEEN] = vector[:, _LASTS].max(axis=1)
    with np.errstate(invalid="ignore"):  # of what is too large for it, which the comparison below finds
        small = vector.astype(np.int64)
    bits = vector.view(np.int64)  # compared as bits: -0.0 equals 0.0 and is not the same
    whole = (small.astype(np.float64).view(np.int64) == bits) & (small >= 0) & (small < 1 << 16)
    codes = np.where(whole, np.where(small < 1 << 8, ONE_BYTE, TWO_BYTES), DOUBLE).astype(np.uint8)
    codes[foretold.view(np.int64) == bits] = FORETOLD
    return codes, small


def matrix(rows: Sequence[StateVector[float]]) -> Floats:
    """Vectors of facts as one matrix."""
    return np.frombuffer(b"".join(rows), dtype=np.float64).reshape(len(rows), len(SLOTS))
