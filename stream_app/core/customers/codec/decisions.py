"""Encoding of unlabelled decisions: the models' predictions, and any features that cannot be recomputed.

Features of decisions made on the current state are recomputed from that state. For earlier decisions, only the features
that differ from those of the next decision are stored. Decisions are removed oldest first, so the next decision is
always available.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from operator import add
from typing import Final

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.customers.codec.ragged import Reader, cut, narrow, widen
from stream_app.core.customers.customer import Customer
from stream_app.core.model.features import NAMES, features
from stream_app.core.model.labels import Pending
from stream_app.core.model.scores import EXPERTS, IMPORTED
from stream_app.core.state.frame import StateFrame
from stream_app.core.units import DAY_US, SECOND_US

_DECISION: Final = np.dtype([
    ("decided_at", "u1", (5,)),  # seconds
    ("model", "<u4"),  # 24 bits: version; 1 bit: source; flag _IMPORTED; 4 bits: copies; flags _COUNTED and _RETURNED
    ("probability", "<f4"),
    ("log_odds", "<f2", (len(EXPERTS),)),
])  # fmt: skip
_MAP_BYTES: Final = (len(NAMES) + 7) // 8
DECISION_BYTES: Final = _DECISION.itemsize
MAX_FEATURE_BYTES: Final = _MAP_BYTES + 2 * len(NAMES)
_LOG_ODDS_BYTES: Final = 2 * len(EXPERTS)
_VERSION_BITS: Final = 24  # enough for one version per day for 45,000 years
_SOURCE_BITS: Final = 1
_IMPORTED: Final = 1 << 25  # whether predictions of imported models are stored after the features
_COPIES: Final = 26  # stored with 0 and 1 exchanged, since 1 is the usual number
_COUNTED: Final = 1 << 30
_RETURNED: Final = 1 << 31
_CHUNK: Final = 1_024  # rows whose features are computed at once: 1.7 µs per row, compared with 3 µs for 8,192

Halves = npt.NDArray[np.uint16]  # the bits of float16 numbers


def encode_decisions(customers: Sequence[Customer]) -> list[bytes]:
    """Return the encoded decisions, one bytes object per customer.

    The encoded bytes rarely change with an event: only when a decision is made, is labelled, or is followed by an
    order. They are cached until then.
    """
    stale = [customer for customer in customers if customer.packed is None]
    if stale:
        counts: Ints = np.array([len(customer.waiting) for customer in stale], dtype=np.int64)
        rows = _rows([pending for customer in stale for pending in customer.waiting])
        pieces = [cut(rows.tobytes(), counts * DECISION_BYTES), *_changed_features(stale, counts)]
        if (rows["model"] & _IMPORTED).any():
            pieces.append(_imported(stale))
        for customer, packed in zip(stale, map(b"".join, zip(*pieces, strict=True)), strict=True):
            customer.packed = packed
    return [customer.packed or b"" for customer in customers]


def decode_decisions(
    names: Sequence[str], vector: Floats, counts: Ints, fresh: Ints, reader: Reader, horizon: int
) -> list[list[Pending]]:
    """Decode the decisions at the reader's position; the inverse of `encode_decisions`.

    Args:
        names: customer ids.
        vector: state vectors, shape (n, len(SLOTS)).
        counts: number of decisions per customer.
        fresh: number of decisions made on the current state, per customer.
        reader: reads the stored values.
        horizon: microseconds.
    """
    rows = np.frombuffer(reader.take(counts * DECISION_BYTES), dtype=_DECISION)
    decided_at = widen(rows["decided_at"]) * SECOND_US
    stored = counts - fresh
    maps = np.frombuffer(reader.take(stored * _MAP_BYTES), dtype=np.uint8).reshape(-1, _MAP_BYTES)
    differs = np.unpackbits(maps, axis=1, count=len(NAMES)).astype(bool)
    kept = np.frombuffer(reader.take(2 * _sums(differs.sum(axis=1), stored)), dtype="<u2")
    seen = _recomputed(vector, decided_at, counts, fresh, horizon)
    _fill(seen, counts, fresh, differs, kept)
    flags = rows["model"] & _IMPORTED != 0
    return _decisions(names, counts, rows, decided_at, seen, _read_imported(flags, counts, reader))


def _rows(decisions: Sequence[Pending]) -> npt.NDArray[np.void]:
    rows = np.empty(len(decisions), dtype=_DECISION)
    decided_at: Ints = np.array([pending.decided_at for pending in decisions], dtype=np.int64)
    versions: Ints = np.array([pending.version for pending in decisions], dtype=np.int64)
    sources: Ints = np.array([pending.source for pending in decisions], dtype=np.int64)
    copies: Ints = np.array([pending.copies for pending in decisions], dtype=np.int64)
    bits = ((versions, _VERSION_BITS), (sources, _SOURCE_BITS), (copies, 4))
    if (decided_at % SECOND_US).any() or any((values >> width).any() for values, width in bits):
        raise ValueError("the time of a decision is not a whole second, or a number is out of range")
    returned = np.array([pending.returned for pending in decisions], dtype=bool)
    rows["decided_at"] = narrow(decided_at // SECOND_US)
    counted = np.array([pending.counted for pending in decisions], dtype=bool)
    imported = np.array([len(pending.log_odds) > _LOG_ODDS_BYTES for pending in decisions], dtype=bool)
    flags = np.where(returned, _RETURNED, 0) | np.where(counted, _COUNTED, 0) | np.where(imported, _IMPORTED, 0)
    rows["model"] = versions | sources << _VERSION_BITS | np.where(copies < 2, 1 - copies, copies) << _COPIES | flags
    rows["probability"] = [pending.probability for pending in decisions]
    log_odds = np.frombuffer(b"".join([pending.log_odds[:_LOG_ODDS_BYTES] for pending in decisions]), dtype=np.float16)
    rows["log_odds"] = log_odds.reshape(len(decisions), len(EXPERTS))
    return rows


def _imported(customers: Sequence[Customer]) -> list[bytes]:
    """Return the predictions of imported models: of each decision that has any, their number; then they themselves."""
    found = []
    for customer in customers:
        pieces = [pending.log_odds[_LOG_ODDS_BYTES:] for pending in customer.waiting]
        numbers = bytes(len(piece) // IMPORTED.itemsize for piece in pieces if piece)
        found.append(numbers + b"".join(pieces))
    return found


def _read_imported(flags: Bools, counts: Ints, reader: Reader) -> list[bytes]:
    """Return the predictions of imported models for each decision; the inverse of `_imported`."""
    flagged = _sums(flags.astype(np.int64), counts)
    numbers = np.frombuffer(reader.take(flagged), dtype=np.uint8).astype(np.int64) * IMPORTED.itemsize
    sizes = np.zeros(len(flags), dtype=np.int64)
    sizes[flags] = numbers
    return cut(bytes(reader.take(_sums(sizes, counts))), sizes)


def _changed_features(customers: Sequence[Customer], counts: Ints) -> list[list[bytes]]:
    """Return bitmaps of the features that differ from those of the next decision, and their values.

    Decisions made on the current state are omitted.
    """
    sizes: Ints = counts - np.array([customer.fresh for customer in customers], dtype=np.int64)
    shown: Ints = np.where(sizes > 0, np.minimum(sizes + 1, counts), 0)  # including the decision after the last one
    rows = [
        pending.features
        for customer, end in zip(customers, shown.tolist(), strict=True)
        for pending in customer.waiting[:end]
    ]
    table: Halves = np.frombuffer(b"".join(rows), dtype=np.uint16).reshape(len(rows), len(NAMES))
    ends = np.cumsum(shown)
    following = np.zeros_like(table)
    following[:-1] = table[1:]
    following[ends[shown > 0] - 1] = 0  # a customer's latest decision has no successor
    kept = np.arange(len(table)) < np.repeat(ends - shown + sizes, shown)
    differs = table[kept] != following[kept]
    maps = np.packbits(differs, axis=1)
    values = _sums(differs.sum(axis=1), sizes)
    return [cut(maps.tobytes(), sizes * _MAP_BYTES), cut(table[kept][differs].astype("<u2").tobytes(), 2 * values)]


def _sums(values: Ints, sizes: Ints) -> Ints:
    total = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(sizes)
    return total[ends] - total[ends - sizes]


def _is_stored(counts: Ints, fresh: Ints) -> Bools:
    """Return a mask of the decisions that were not made on the current state."""
    ends = np.cumsum(counts)
    return np.arange(int(counts.sum())) < np.repeat(ends - fresh, counts)


def _recomputed(vector: Floats, decided_at: Ints, counts: Ints, fresh: Ints, horizon: int) -> Halves:
    """Return a feature table for all decisions, with only the rows of decisions made on the current state filled in."""
    seen: Halves = np.zeros((len(decided_at), len(NAMES)), dtype=np.uint16)
    places = np.flatnonzero(~_is_stored(counts, fresh))
    owner = np.repeat(np.arange(len(vector)), counts)
    for start in range(0, len(places), _CHUNK):
        chosen = places[start : start + _CHUNK]
        now = decided_at[chosen].astype(np.float64) / DAY_US  # as in ScoreBatch.score
        seen[chosen] = features(StateFrame(vector[owner[chosen]], now, horizon / DAY_US)).view(np.uint16)
    return seen


def _fill(seen: Halves, counts: Ints, fresh: Ints, differs: Bools, kept: Halves) -> None:
    """Fill in the features of the other decisions, copying unchanged values from the next decision."""
    held = np.zeros(differs.shape, dtype=np.uint16)
    held[differs] = kept
    ends, stored = np.cumsum(counts), counts - fresh
    places = np.flatnonzero(_is_stored(counts, fresh))
    depth = np.repeat(ends - fresh, stored) - places  # 1: the latest decision not made on the current state
    latest = places + 1 == np.repeat(ends, stored)
    for step in range(1, int(stored.max(initial=0)) + 1):
        rows = np.flatnonzero(depth == step)
        after = np.where(latest[rows, None], 0, seen[places[rows] + 1 - latest[rows]])
        seen[places[rows]] = np.where(differs[rows], held[rows], after)


def _decisions(
    names: Sequence[str],
    counts: Ints,
    rows: npt.NDArray[np.void],
    decided_at: Ints,
    seen: Halves,
    imported: Sequence[bytes],
) -> list[list[Pending]]:
    model = rows["model"].astype(np.int64)
    copies = model >> _COPIES & 0xF
    table, odds = seen.astype("<u2").tobytes(), np.ascontiguousarray(rows["log_odds"]).tobytes()
    columns = zip(
        decided_at.tolist(),
        cut(table, np.full(len(rows), 2 * len(NAMES))),
        map(add, cut(odds, np.full(len(rows), _LOG_ODDS_BYTES)), imported),
        rows["probability"].astype(np.float64).tolist(),
        (model >> _VERSION_BITS & (1 << _SOURCE_BITS) - 1).tolist(),
        (model & (1 << _VERSION_BITS) - 1).tolist(),
        (model & _RETURNED != 0).tolist(),
        (model & _COUNTED != 0).tolist(),
        np.where(copies < 2, 1 - copies, copies).tolist(),
        strict=True,
    )
    return [
        [Pending(name, *values) for values in islice(columns, count)]
        for name, count in zip(names, counts.tolist(), strict=True)
    ]
