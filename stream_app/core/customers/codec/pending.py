"""Waiting decisions as bytes: what the models said of each, and what they saw where nothing else tells it.

What the models saw of the latest decisions, made on the facts as they still are, is computed again from those. Of an
older one the features are stored that differ from those of the decision after it. Decisions leave at the old end, so
that the one after is always there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats
from stream_app.core.customers.codec.ragged import Counts, Reader, cut, narrow, widen
from stream_app.core.customers.customer import Customer
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.features import NAMES, features
from stream_app.core.model.labels import Pending
from stream_app.core.state.frame import StateFrame
from stream_app.core.units import DAY_US, SECOND_US

EXPERTS: Final = ChurnModel(DAY_US, DAY_US, seed=0).names  # the columns of Pending.log_odds
_SAID: Final = np.dtype([
    ("decided_at", "u1", (5,)),  # seconds
    ("model", "<u4"),  # 24 bits version, 7 bits source, 1 bit whether the customer has returned
    ("probability", "<f4"),
    ("log_odds", "<f2", (len(EXPERTS),)),
])  # fmt: skip
_MAP_BYTES: Final = (len(NAMES) + 7) // 8
DECISION_BYTES: Final = _SAID.itemsize
MAX_FEATURE_BYTES: Final = _MAP_BYTES + 2 * len(NAMES)
_VERSION_BITS: Final = 24  # a version a day for 45,000 years
_RETURNED: Final = 1 << 31
_CHUNK: Final = 1_024  # rows whose features are computed at once: 1.7 µs a row, and 3 with eight times as many

Halves = npt.NDArray[np.uint16]  # float16, whose bits are what counts here


def encode_pending(customers: Sequence[Customer]) -> list[bytes]:
    """A piece for each customer: what was said of his decisions, which features are stored, and those.

    It changes when a decision is made, ends or hears of an order, and seldom with an event: it is kept until then.
    """
    stale = [customer for customer in customers if customer.packed is None]
    if stale:
        counts: Counts = np.array([len(customer.waiting) for customer in stale], dtype=np.int64)
        said = _said([pending for customer in stale for pending in customer.waiting])
        pieces = [cut(said.tobytes(), counts * DECISION_BYTES), *_seen(stale, counts)]
        for customer, packed in zip(stale, map(b"".join, zip(*pieces, strict=True)), strict=True):
            customer.packed = packed
    return [customer.packed or b"" for customer in customers]


def decode_pending(
    names: Sequence[str], vector: Floats, counts: Counts, fresh: Counts, reader: Reader, horizon: int
) -> list[list[Pending]]:
    """The waiting decisions of `encode_pending`, whose pieces stand next in the reader.

    Args:
        names: of the customers.
        vector: theirs, shape (n, len(SLOTS)).
        counts: of their waiting decisions.
        fresh: how many of them were made on these facts.
        reader: of the stored values.
        horizon: microseconds.
    """
    said = np.frombuffer(reader.take(counts * DECISION_BYTES), dtype=_SAID)
    decided_at = widen(said["decided_at"]) * SECOND_US
    stored = counts - fresh
    maps = np.frombuffer(reader.take(stored * _MAP_BYTES), dtype=np.uint8).reshape(-1, _MAP_BYTES)
    differs = np.unpackbits(maps, axis=1, count=len(NAMES)).astype(bool)
    kept = np.frombuffer(reader.take(2 * _sums(differs.sum(axis=1), stored)), dtype="<u2")
    seen = _seen_again(vector, decided_at, counts, fresh, horizon)
    _fill(seen, counts, fresh, differs, kept)
    return _decisions(names, counts, said, decided_at, seen)


def _said(flat: Sequence[Pending]) -> npt.NDArray[np.void]:
    rows = np.empty(len(flat), dtype=_SAID)
    decided_at: Counts = np.array([pending.decided_at for pending in flat], dtype=np.int64)
    versions: Counts = np.array([pending.version for pending in flat], dtype=np.int64)
    sources: Counts = np.array([pending.source for pending in flat], dtype=np.int64)
    if (decided_at % SECOND_US).any() or (versions >> _VERSION_BITS).any() or (sources >> 7).any():
        raise ValueError("a decision lies between two seconds, or its version or source is out of range")
    returned = np.array([pending.returned for pending in flat], dtype=bool)
    rows["decided_at"] = narrow(decided_at // SECOND_US)
    rows["model"] = versions | sources << _VERSION_BITS | np.where(returned, _RETURNED, 0)
    rows["probability"] = [pending.probability for pending in flat]
    log_odds = np.frombuffer(b"".join([pending.log_odds for pending in flat]), dtype=np.float16)
    rows["log_odds"] = log_odds.reshape(len(flat), len(EXPERTS))
    return rows


def _seen(customers: Sequence[Customer], counts: Counts) -> list[list[bytes]]:
    """Of the decisions that are not fresh, which features differ from those of the next one, and their values."""
    sizes: Counts = counts - np.array([customer.fresh for customer in customers], dtype=np.int64)
    shown: Counts = np.where(sizes > 0, np.minimum(sizes + 1, counts), 0)  # with the one that the last is compared with
    rows = [
        pending.features
        for customer, end in zip(customers, shown.tolist(), strict=True)
        for pending in customer.waiting[:end]
    ]
    table: Halves = np.frombuffer(b"".join(rows), dtype=np.uint16).reshape(len(rows), len(NAMES))
    ends = np.cumsum(shown)
    following = np.zeros_like(table)
    following[:-1] = table[1:]
    following[ends[shown > 0] - 1] = 0  # the latest of a customer has none after it
    kept = np.arange(len(table)) < np.repeat(ends - shown + sizes, shown)
    differs = table[kept] != following[kept]
    maps = np.packbits(differs, axis=1)
    values = _sums(differs.sum(axis=1), sizes)
    return [cut(maps.tobytes(), sizes * _MAP_BYTES), cut(table[kept][differs].astype("<u2").tobytes(), 2 * values)]


def _sums(values: Counts, sizes: Counts) -> Counts:
    """The sum over each customer's rows."""
    total = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(sizes)
    return total[ends] - total[ends - sizes]


def _is_stored(counts: Counts, fresh: Counts) -> npt.NDArray[np.bool_]:
    """Which of all decisions are not fresh."""
    ends = np.cumsum(counts)
    return np.arange(int(counts.sum())) < np.repeat(ends - fresh, counts)


def _seen_again(vector: Floats, decided_at: Counts, counts: Counts, fresh: Counts, horizon: int) -> Halves:
    """What the models saw of the fresh decisions, in a table of all."""
    seen: Halves = np.zeros((len(decided_at), len(NAMES)), dtype=np.uint16)
    places = np.flatnonzero(~_is_stored(counts, fresh))
    owner = np.repeat(np.arange(len(vector)), counts)
    for start in range(0, len(places), _CHUNK):
        chosen = places[start : start + _CHUNK]
        now = decided_at[chosen].astype(np.float64) / DAY_US  # as moments.Moments does it
        seen[chosen] = features(StateFrame(vector[owner[chosen]], now, horizon / DAY_US)).view(np.uint16)
    return seen


def _fill(seen: Halves, counts: Counts, fresh: Counts, differs: npt.NDArray[np.bool_], kept: Halves) -> None:
    """Fill in the features of the decisions that are not fresh: where they do not differ, those of the one after."""
    held = np.zeros(differs.shape, dtype=np.uint16)
    held[differs] = kept
    ends, stored = np.cumsum(counts), counts - fresh
    places = np.flatnonzero(_is_stored(counts, fresh))
    depth = np.repeat(ends - fresh, stored) - places  # 1: the latest that is not fresh
    latest = places + 1 == np.repeat(ends, stored)
    for step in range(1, int(stored.max(initial=0)) + 1):
        rows = np.flatnonzero(depth == step)
        after = np.where(latest[rows, None], 0, seen[places[rows] + 1 - latest[rows]])
        seen[places[rows]] = np.where(differs[rows], held[rows], after)


def _decisions(
    names: Sequence[str], counts: Counts, said: npt.NDArray[np.void], decided_at: Counts, seen: Halves
) -> list[list[Pending]]:
    model = said["model"].astype(np.int64)
    table, odds = seen.astype("<u2").tobytes(), np.ascontiguousarray(said["log_odds"]).tobytes()
    columns = zip(
        decided_at.tolist(),
        cut(table, np.full(len(said), 2 * len(NAMES))),
        cut(odds, np.full(len(said), 2 * len(EXPERTS))),
        said["probability"].astype(np.float64).tolist(),
        (model >> _VERSION_BITS & 0x7F).tolist(),
        (model & (1 << _VERSION_BITS) - 1).tolist(),
        (model & _RETURNED != 0).tolist(),
        strict=True,
    )
    found = []
    for name, count in zip(names, counts.tolist(), strict=True):
        waiting = []
        for _ in range(count):
            at, is_duplicate, log_odds, probability, source, version, returned = next(columns)
            pending = Pending(name, at)
            pending.features, pending.log_odds, pending.probability = is_duplicate, log_odds, probability
            pending.source, pending.version, pending.returned = source, version, returned
            waiting.append(pending)
        found.append(waiting)
    return found
