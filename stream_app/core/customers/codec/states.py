"""Compact codec of customers: encodes everything that a running partition holds of them, bit for bit.

Many customers are encoded at once, column by column. Layout of a value (numbers are little-endian):

    head               version, lengths of the parts, how each slot and counter is stored
    ranking            scores in the partition's ranking, if any
    ids                5 bytes per recent event
    vector             values of one, two and eight bytes (vectors.py)
    counters           nonzero counters (counters.py)
    decisions          27 bytes per unlabelled decision (decisions.py)
    features           of decisions not made on the current state: a bitmap, then the features that differ
    imported           of imported models: the number of predictions of each decision that has any, then these
    alert              MessagePack, if there is an open alert, an urgent case, consent or a history (alerts.py)
    checksum           xxh32 of everything before it

Other releases may have different slots, counters, features or experts. CODEC_SCHEMA is a hash of their names. It is
stored once per partition rather than with every customer.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import xxhash

from stream_app.core.alerts.ranking import Ranking, Ranks
from stream_app.core.arrays import Bools, Ints
from stream_app.core.customers.codec.alerts import MAX_BYTES as MAX_ALERT_BYTES, decode_alerts, encode_alerts
from stream_app.core.customers.codec.counters import (
    MAX_BYTES as MAX_COUNTER_BYTES,
    SUMMARY_BYTES,
    decode_counters,
    encode_counters,
)
from stream_app.core.customers.codec.decisions import (
    DECISION_BYTES,
    MAX_FEATURE_BYTES,
    decode_decisions,
    encode_decisions,
)
from stream_app.core.customers.codec.ragged import Bytes, Reader, cut, narrow, widen
from stream_app.core.customers.codec.vectors import (
    CODE_BYTES,
    MAX_BYTES as MAX_VECTOR_BYTES,
    decode_vectors,
    encode_vectors,
    matrix,
)
from stream_app.core.customers.customer import ID_BYTES, Customer
from stream_app.core.model.features import NAMES
from stream_app.core.model.scores import EXPERTS, IMPORTED
from stream_app.core.state.counters import COUNTERS
from stream_app.core.state.vector import ID_RING, SLOTS
from stream_app.core.units import SECOND_US
from stream_app.core.versions import STATE_SCHEMAS, STATE_STEPS, is_readable, upgraded
from stream_app.errors import UnusableState

VERSION: Final = 3  # see docs/state-formats.md
CODEC_SCHEMA: Final = xxhash.xxh3_64_hexdigest(repr((VERSION, SLOTS, COUNTERS, NAMES, EXPERTS)))
_HEAD: Final = np.dtype([
    ("version", "u1"),
    ("ranked", "u1"),
    ("ids", "u1"),
    ("waiting", "<u2"),
    ("fresh", "<u2"),
    ("alert", "<u2"),  # bytes; 0: none
    ("due", "u1", (5,)),  # seconds; 0: no decision is due
    ("codes", "u1", (CODE_BYTES,)),
    ("counters", "u1", (SUMMARY_BYTES,)),
])  # fmt: skip
_RANKS: Final = np.dtype([
    ("earlier", "<f4"),
    ("last", "<f4"),
    ("latest", "<f4"),
    ("last_at", "u1", (5,)),  # seconds
])  # fmt: skip
_CHECKSUM_BYTES: Final = 4
_REMEDY: Final = (
    f"This release reads version {VERSION}: use the release that wrote it, or start with a fresh prefix and let the"
    " worker catch up from Kafka."
)


@dataclass(frozen=True)
class Restored:
    """Restored customers that have no index yet, and their ranking rows."""

    customers: list[Customer]
    ranks: Ranks

    def rank(self, ranking: Ranking) -> None:
        """Set the ranking rows. Call this after `WorkingSet.add` has assigned the customers' indices."""
        ranking.set_rows(_indices(self.customers), self.ranks)


def max_bytes(waiting: int, imported: int = 0) -> int:
    """Return the maximum encoded size of a customer, in bytes.

    Args:
        waiting: number of unlabelled decisions.
        imported: number of imported models in the list of experts.
    """
    ranking_and_ids = _RANKS.itemsize + ID_BYTES * ID_RING
    vector = MAX_VECTOR_BYTES - CODE_BYTES
    decisions = waiting * (DECISION_BYTES + MAX_FEATURE_BYTES + (1 + imported * IMPORTED.itemsize if imported else 0))
    return _HEAD.itemsize + ranking_and_ids + vector + MAX_COUNTER_BYTES + decisions + MAX_ALERT_BYTES + _CHECKSUM_BYTES


def encode_customers(customers: Sequence[Customer], ranking: Ranking) -> list[bytes]:
    """Encode customers. All of their decisions must have been scored.

    Batches of hundreds of customers are cheapest per customer; see the figures in docs/adr/0010-state-codec.md.

    >>> customers, ranking = [Customer("c1", 0)], Ranking(agreement=0)
    >>> stored = encode_customers(customers, ranking)
    >>> decode_customers([("c1", stored[0])], horizon=1).customers[0].name
    'c1'
    """
    if not customers:
        return []
    head = np.zeros(len(customers), dtype=_HEAD)
    vector = matrix([customer.vector for customer in customers])
    head["codes"], vector_pieces = encode_vectors(vector)
    head["counters"], counter_pieces = encode_counters([customer.counters for customer in customers])
    ids = [customer.ids for customer in customers]
    head["ids"] = [len(one) // ID_BYTES for one in ids]
    alerts = [encode_alerts(customer) for customer in customers]
    head["version"] = VERSION
    head["waiting"] = [len(customer.waiting) for customer in customers]
    head["fresh"] = [customer.fresh for customer in customers]
    head["alert"] = [len(packed) for packed in alerts]
    head["due"] = narrow(np.array([customer.due for customer in customers], dtype=np.int64) // SECOND_US)
    head["ranked"], ranks = _encode_ranks(ranking.rows(_indices(customers)))
    pieces = [
        cut(head.tobytes(), np.full(len(customers), _HEAD.itemsize)),
        ranks,
        ids,
        vector_pieces,
        counter_pieces,
        encode_decisions(customers),
        alerts,
    ]
    return [whole + xxhash.xxh32_digest(whole) for whole in map(b"".join, zip(*pieces, strict=True))]


def decode_customers(stored: Sequence[tuple[str, bytes]], horizon: int) -> Restored:
    """Decode customers; the inverse of `encode_customers`.

    Args:
        stored: customer ids and encoded states.
        horizon: the shop's horizon when the decisions were made, microseconds.

    Raises:
        UnusableState: a value is incomplete, damaged, or of an unknown version.
    """
    names, values = [name for name, _ in stored], [value for _, value in stored]
    reader = _open(names, values)
    every = np.ones(len(values), dtype=np.int64)
    head = np.frombuffer(reader.take(every * _HEAD.itemsize), dtype=_HEAD)
    ids, waiting, fresh = (head[name].astype(np.int64) for name in ("ids", "waiting", "fresh"))
    reader.refuse((head["ranked"] > 1) | (ids > ID_RING) | (fresh > waiting), "has an invalid head")
    ranks = _decode_ranks(head["ranked"].astype(bool), reader)
    recent = cut(bytes(reader.take(ID_BYTES * ids)), ID_BYTES * ids)
    vector = decode_vectors(head["codes"], reader)
    counters = decode_counters(head["counters"], reader)
    decisions = decode_decisions(names, vector, waiting, fresh, reader, horizon)
    sizes = head["alert"].astype(np.int64)
    alerts = cut(bytes(reader.take(sizes)), sizes)
    reader.finish()
    vector_bytes = cut(vector.tobytes(), every * vector.itemsize * len(SLOTS))
    due = (widen(head["due"]) * SECOND_US).tolist()
    customers = []
    for place, name in enumerate(names):
        customer = Customer(
            name,
            index=-1,
            vector=array("d", vector_bytes[place]),
            ids=recent[place],
            counters=array("H", counters[place]),
            waiting=decisions[place],
            fresh=int(fresh[place]),
            due=due[place],
        )
        if alerts[place]:
            _set_alerts(customer, alerts[place])
        customers.append(customer)
    return Restored(customers, ranks)


def _open(names: Sequence[str], values: Sequence[bytes]) -> Reader:
    """Check that the values are complete, upgrade them to this version, and return a reader for them."""
    lengths: Ints = np.array([len(value) for value in values], dtype=np.int64) - _CHECKSUM_BYTES
    reader = Reader(names, values, lengths, _REMEDY)
    reader.refuse(lengths < _HEAD.itemsize, "is too short")
    versions = [value[0] for value in values]
    other = np.array([not is_readable(one, VERSION, STATE_STEPS) for one in versions], dtype=bool)
    reader.refuse(other, f"has version {versions[int(other.argmax())] if other.any() else VERSION}")
    sums = [xxhash.xxh32_digest(value[:-_CHECKSUM_BYTES]) != value[-_CHECKSUM_BYTES:] for value in values]
    reader.refuse(np.array(sums, dtype=bool), "is incomplete or damaged: its checksum differs")
    if all(one == VERSION for one in versions):
        return reader
    contents = upgraded([value[:-_CHECKSUM_BYTES] for value in values], VERSION)
    return Reader(names, contents, np.array([len(one) for one in contents], dtype=np.int64), _REMEDY)


def is_known_schema(schema: str) -> bool:
    """Return whether states stored with the given CODEC_SCHEMA can be read.

    >>> is_known_schema(CODEC_SCHEMA), is_known_schema("0")
    (True, False)
    """
    version = STATE_SCHEMAS.get(schema)
    return schema == CODEC_SCHEMA or (version is not None and is_readable(version, VERSION, STATE_STEPS))


def _indices(customers: Sequence[Customer]) -> Ints:
    return np.array([customer.index for customer in customers], dtype=np.int64)


def _encode_ranks(ranks: Ranks) -> tuple[Bytes, list[bytes]]:
    """Return a mask of the customers that have scores, and one bytes object per customer."""
    ranked = ~(np.isnan(ranks.earlier) & np.isnan(ranks.last) & np.isnan(ranks.latest))
    rows = np.empty(int(ranked.sum()), dtype=_RANKS)
    rows["earlier"], rows["last"], rows["latest"] = ranks.earlier[ranked], ranks.last[ranked], ranks.latest[ranked]
    rows["last_at"] = narrow(ranks.last_at[ranked] // SECOND_US)
    return ranked.astype(np.uint8), cut(rows.tobytes(), ranked * np.int64(_RANKS.itemsize))


def _decode_ranks(ranked: Bools, reader: Reader) -> Ranks:
    rows = np.frombuffer(reader.take(ranked * np.int64(_RANKS.itemsize)), dtype=_RANKS)
    ranks = Ranks.none(len(ranked))
    ranks.earlier[ranked], ranks.last[ranked], ranks.latest[ranked] = rows["earlier"], rows["last"], rows["latest"]
    ranks.last_at[ranked] = widen(rows["last_at"]) * SECOND_US
    return ranks


def _set_alerts(customer: Customer, packed: bytes) -> None:
    try:
        decode_alerts(customer, packed)
    except (msgspec.MsgspecError, IndexError) as error:
        raise UnusableState(problem=f"that of {customer.name!r} has a malformed alert", remedy=_REMEDY) from error
