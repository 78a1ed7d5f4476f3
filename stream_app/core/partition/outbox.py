"""Builds the records that a step sends to the rest of the system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.messages.batches import (
    CandidateBatch,
    LabelledBatch,
    LabelledExample,
    ScoreRecord,
    ScoreRecords,
)
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES, RECORD_OVERHEAD, Outgoing, pack
from stream_app.core.messages.schema import encode_message
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.labels import Matured
from stream_app.core.partition.alert_records import record_of_candidate
from stream_app.core.units import from_micros

LABELLED: Final = "labelled"
NOMINATIONS: Final = "nominations"
SCORES: Final = "scores"
DEAD_LETTERS: Final = "dead_letters"
MAX_EXAMPLES: Final = 600  # per record: 0.7 MB with ids of the maximum length (256 characters of 4 bytes)
MAX_SCORES: Final = 800  # per record
_PayloadT = TypeVar("_PayloadT")


def labelled(partition: int, matured: Sequence[Matured], cohorts: Cohorts, moment: int) -> list[Outgoing]:
    """Return the records with labelled examples for the trainer; empty if there is nothing to send.

    Examples are split over several records if necessary, since brokers accept at most a megabyte. The last record has
    the marker.

    Args:
        partition: partition number.
        matured: decisions with their labels.
        cohorts: expected and observed returns, and feedback from staff.
        moment: time of the watermark marker, microseconds, or 0 for no marker.
    """
    if not (matured or cohorts or moment):
        return []
    parts = [matured[start : start + MAX_EXAMPLES] for start in range(0, len(matured), MAX_EXAMPLES)] or [[]]
    records = []
    for number, part in enumerate(parts, start=1):
        last = number == len(parts)
        message = LabelledBatch(
            examples=[_example(one) for one in part],
            expected=cohorts.expected if last else {},
            returns=[(day, age, count) for (day, age), count in sorted(cohorts.returns.items())] if last else [],
            moment=moment if last else 0,
            steps=cohorts.steps.rows() if last else [],
            confirmed=cohorts.feedback.confirmed if last else [],
            filed=cohorts.feedback.filed if last else [],
        )
        records += [Outgoing(LABELLED, partition, None, value) for value in _split(message, pack, _halves_of_labelled)]
    return records


def _split(
    message: _PayloadT,
    encode: Callable[[_PayloadT], bytes],
    halves: Callable[[_PayloadT], tuple[_PayloadT, _PayloadT]],
) -> list[bytes]:
    """Encode a message as payloads that each fit into a record, in order, splitting it in halves as needed."""
    value = encode(message)
    if len(value) + RECORD_OVERHEAD <= MAX_RECORD_BYTES:
        return [value]
    return [part for half in halves(message) for part in _split(half, encode, halves)]


def _halves_of_labelled(message: LabelledBatch) -> tuple[LabelledBatch, LabelledBatch]:
    examples, returns, expected = len(message.examples) // 2, len(message.returns) // 2, list(message.expected.items())
    days, steps = len(expected) // 2, len(message.steps) // 2
    confirmed, filed = len(message.confirmed) // 2, len(message.filed) // 2
    first = LabelledBatch(
        message.examples[:examples],
        dict(expected[:days]),
        message.returns[:returns],
        steps=message.steps[:steps],
        confirmed=message.confirmed[:confirmed],
        filed=message.filed[:filed],
    )
    last = LabelledBatch(
        message.examples[examples:],
        dict(expected[days:]),
        message.returns[returns:],
        message.moment,
        steps=message.steps[steps:],
        confirmed=message.confirmed[confirmed:],
        filed=message.filed[filed:],
    )
    return first, last


def _example(matured: Matured) -> LabelledExample:
    pending = matured.pending
    return LabelledExample(
        customer=pending.customer,
        decided_at=pending.decided_at,
        features=pending.features,
        log_odds=pending.log_odds,
        probability=pending.probability,
        label=matured.label,
        source=pending.source,
        version=pending.version,
        copies=pending.copies,
    )


def candidate_batches(
    partition: int, moment: int, candidates: Iterable[AlertCandidate], policy: str = ""
) -> list[Outgoing]:
    """Return the records with a moment's alert candidates for the allocator; at least one, even for an empty list."""
    message = CandidateBatch(moment, [record_of_candidate(one) for one in candidates], policy=policy)
    return [Outgoing(NOMINATIONS, partition, None, value) for value in _split(message, pack, _halves_of_candidates)]


def _halves_of_candidates(message: CandidateBatch) -> tuple[CandidateBatch, CandidateBatch]:
    half = len(message.candidates) // 2
    first = msgspec.structs.replace(message, candidates=message.candidates[:half], more=True)
    return first, msgspec.structs.replace(message, candidates=message.candidates[half:])


def retractions(partition: int, since: int) -> list[Outgoing]:
    """Return records that retract everything sent after a sequence number, since a rollback causes it to be resent."""
    return [
        Outgoing(LABELLED, partition, None, pack(LabelledBatch(voids=since))),
        Outgoing(NOMINATIONS, partition, None, pack(CandidateBatch(0, [], voids=since))),
    ]


def scores(partition: int, stream_time: int, version: int, latest: Sequence[tuple[str, float]]) -> list[Outgoing]:
    """Return customers' latest scores in as few records as brokers accept."""
    records = []
    for start in range(0, len(latest), MAX_SCORES):
        part = [ScoreRecord(*one) for one in latest[start : start + MAX_SCORES]]
        message = ScoreRecords(partition, from_micros(stream_time), version, part)
        parts = _split(message, encode_message, _halves_of_scores)
        records += [Outgoing(SCORES, partition, None, value) for value in parts]
    return records


def _halves_of_scores(message: ScoreRecords) -> tuple[ScoreRecords, ScoreRecords]:
    half = len(message.scores) // 2
    first, last = message.scores[:half], message.scores[half:]
    return msgspec.structs.replace(message, scores=first), msgspec.structs.replace(message, scores=last)
