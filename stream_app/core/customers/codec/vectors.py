"""Encoding of the state vectors of many customers: predictable values are omitted, small counts take a byte or two.

Two bits per slot show how its value is stored: omitted (equal to its prediction), in one byte, in two bytes, or as a
float64. The prediction is the value in an empty state, or the value of a related slot that is equal for most customers:
for example, first and last order are the same for a customer with one order. The related slots were chosen from
statistics of simulated and recorded logs (docs/adr/0010-state-codec.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.customers.codec.ragged import Bytes, Reader, cut
from stream_app.core.state.vector import DECAYED, EMPTY, HALF_LIVES, LAST_SEEN, SLOT, SLOTS, StateVector

PREDICTED, ONE_BYTE, TWO_BYTES, DOUBLE = range(4)
_COUNTED: Final = {"order": "orders", "browsing": "browsings", "cart": "carts", "complaint": "complaints"}
_RELATED: Final = {  # slot -> related slot, ordered so that related slots are decoded first
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
_PLACES: Final = [SLOT[name] for name in _RELATED]
_RELATED_PLACES: Final = [SLOT[name] for name in _RELATED.values()]
_LASTS: Final = [SLOT[f"last_{kind}"] for kind in _COUNTED]  # the maximum of these predicts last_seen
_EMPTY: Final = np.array(EMPTY)
_SIZES: Final = np.array([0, 1, 2, 8])  # number of stored bytes, by code
_USED: Final = np.array(
    [(1 << 64) // 255 & (1 << 8 * int(size)) - 1 for size in _SIZES], dtype="<u8"
)  # by code: eight bytes of 1 or 0, which show the bytes of a slot that are stored
MAX_VALUE: Final = 1e30  # far above any realistic sum of amounts
CODE_BYTES: Final = (2 * len(SLOTS) + 7) // 8
MAX_BYTES: Final = CODE_BYTES + 8 * len(SLOTS)


def encode_vectors(vector: Floats) -> tuple[Bytes, list[bytes]]:
    """Encode state vectors.

    Args:
        vector: shape (n, len(SLOTS)).

    Returns:
        The codes of all slots, shape (n, CODE_BYTES), and one bytes object per customer.
    """
    codes, small = _codes(vector)
    used = _USED[codes].view(bool)
    stored = np.where(codes == DOUBLE, vector.view(np.int64), small).astype("<i8").view(np.uint8)
    bits = np.concatenate([codes & 1, codes >> 1], axis=1)
    return np.packbits(bits, axis=1), cut(stored[used].tobytes(), used.sum(axis=1))


def decode_vectors(packed: Bytes, reader: Reader) -> Floats:
    """Decode the state vectors at the reader's position; the inverse of `encode_vectors`."""
    bits = np.unpackbits(packed, axis=1, count=2 * len(SLOTS))
    codes: Bytes = np.bitwise_or(bits[:, : len(SLOTS)], bits[:, len(SLOTS) :] << 1, dtype=np.uint8)
    stored = np.zeros((len(codes), 8 * len(SLOTS)), dtype=np.uint8)
    used = _USED[codes].view(bool)
    stored[used] = np.frombuffer(reader.take(used.sum(axis=1)), dtype=np.uint8)
    numbers = stored.view("<i8").astype(np.int64)
    vector = np.where(codes == DOUBLE, numbers.view(np.float64), numbers)
    predicted = codes == PREDICTED
    vector[predicted] = np.broadcast_to(_EMPTY, vector.shape)[predicted]
    for place, related in zip(_PLACES, _RELATED_PLACES, strict=True):
        vector[:, place] = np.where(predicted[:, place], vector[:, related], vector[:, place])
    vector[:, LAST_SEEN] = np.where(predicted[:, LAST_SEEN], vector[:, _LASTS].max(axis=1), vector[:, LAST_SEEN])
    # Earlier versions accepted any amount, so stored values may be infinite or overflow later.
    if not (np.abs(vector) <= MAX_VALUE).all():
        vector = np.clip(np.nan_to_num(vector, nan=0.0), -MAX_VALUE, MAX_VALUE)
    return vector


def _codes(vector: Floats) -> tuple[Bytes, Ints]:
    """Return the codes, and all values as integers; an integer is valid only where its code is that of an integer."""
    predicted = np.tile(_EMPTY, (len(vector), 1))
    predicted[:, _PLACES] = vector[:, _RELATED_PLACES]
    predicted[:, LAST_SEEN] = vector[:, _LASTS].max(axis=1)
    with np.errstate(invalid="ignore"):  # values too large for int64 are detected by the comparison below
        small = vector.astype(np.int64)
    bits = vector.view(np.int64)  # compared as bits, since -0.0 == 0.0 but must be preserved
    whole = (small.astype(np.float64).view(np.int64) == bits) & (small >= 0) & (small < 1 << 16)
    codes = np.where(whole, np.where(small < 1 << 8, ONE_BYTE, TWO_BYTES), DOUBLE).astype(np.uint8)
    codes[predicted.view(np.int64) == bits] = PREDICTED
    return codes, small


def matrix(rows: Sequence[StateVector[float] | bytes]) -> Floats:
    """Return state vectors as one matrix, shape (n, len(SLOTS))."""
    return np.frombuffer(b"".join(rows), dtype=np.float64).reshape(len(rows), len(SLOTS))
