"""What a step tells the rest of the system, as records of the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import msgspec

from stream_app.core.alerts.lifecycle import UNEXPLAINED, Alert, AlertCandidate, AlertClosing
from stream_app.core.alerts.sla import SlaBreach, SlaBreachEnded
from stream_app.core.causes.explanation import sendable
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch, LabelledExample, ScoreRecord, ScoreRecords
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES, RECORD_OVERHEAD, Outgoing, pack
from stream_app.core.messages.schema import AlertOpening, CandidateRecord, Contact, ContactAction, encode_message
from stream_app.core.model.churn_model import MODEL_SOURCE
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.labels import Matured
from stream_app.core.units import EPOCH, MICROSECOND

LABELLED: Final = "labelled"
NOMINATIONS: Final = "nominations"
SCORES: Final = "scores"
ALERTS: Final = "alerts"
CONTACTS: Final = "contacts"
DEAD_LETTERS: Final = "dead_letters"
MAX_EXAMPLES: Final = 600  # a record; with the longest ids, of 256 characters of 4 bytes, 0.7 MB
MAX_SCORES: Final = 800
_PayloadT = TypeVar("_PayloadT")


def labelled(partition: int, matured: Sequence[Matured], cohorts: Cohorts, moment: int) -> list[Outgoing]:
    """What the trainer is told; nothing, if there is nothing to tell. `moment`: of a watermark marker, 0 for none.

    Many examples are spread over several records, since a broker takes no more than a megabyte; the marker comes last.
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
        )
        records += [Outgoing(LABELLED, partition, None, value) for value in _split(message, pack, _halves_of_labelled)]
    return records


def _split(
    message: _PayloadT,
    encode: Callable[[_PayloadT], bytes],
    halves: Callable[[_PayloadT], tuple[_PayloadT, _PayloadT]],
) -> list[bytes]:
    """Return a message as payloads that fit into a record each, in order: it is halved until they do."""
    value = encode(message)
    if len(value) + RECORD_OVERHEAD <= MAX_RECORD_BYTES:
        return [value]
    return [part for half in halves(message) for part in _split(half, encode, halves)]


def _halves_of_labelled(message: LabelledBatch) -> tuple[LabelledBatch, LabelledBatch]:
    examples, returns, expected = len(message.examples) // 2, len(message.returns) // 2, list(message.expected.items())
    days = len(expected) // 2
    first = LabelledBatch(message.examples[:examples], dict(expected[:days]), message.returns[:returns])
    last = LabelledBatch(message.examples[examples:], dict(expected[days:]), message.returns[returns:], message.moment)
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
    )


def candidate_batches(partition: int, moment: int, nominated: Iterable[AlertCandidate]) -> list[Outgoing]:
    """What the desk is told at a moment, also when nobody was nominated; a long list takes several records."""
    message = CandidateBatch(moment, [record_of_candidate(one) for one in nominated])
    return [Outgoing(NOMINATIONS, partition, None, value) for value in _split(message, pack, _halves_of_nominated)]


def _halves_of_nominated(message: CandidateBatch) -> tuple[CandidateBatch, CandidateBatch]:
    half = len(message.candidates) // 2
    first = CandidateBatch(message.moment, message.candidates[:half], more=True)
    return first, CandidateBatch(message.moment, message.candidates[half:], more=message.more)


def retractions(partition: int, since: int) -> list[Outgoing]:
    """What trainer and desk are told when the store was set back: records after this sequence number are told again."""
    return [
        Outgoing(LABELLED, partition, None, pack(LabelledBatch(voids=since))),
        Outgoing(NOMINATIONS, partition, None, pack(CandidateBatch(0, [], voids=since))),
    ]


def scores(partition: int, stream_time: int, version: int, told: Sequence[tuple[str, float]]) -> list[Outgoing]:
    """The latest scores of customers, as few records as a broker takes."""
    records = []
    for start in range(0, len(told), MAX_SCORES):
        part = [ScoreRecord(*one) for one in told[start : start + MAX_SCORES]]
        message = ScoreRecords(partition, EPOCH + stream_time * MICROSECOND, version, part)
        parts = _split(message, encode_message, _halves_of_scored)
        records += [Outgoing(SCORES, partition, None, value) for value in parts]
    return records


def _halves_of_scored(message: ScoreRecords) -> tuple[ScoreRecords, ScoreRecords]:
    half = len(message.scores) // 2
    first, last = message.scores[:half], message.scores[half:]
    return msgspec.structs.replace(message, scores=first), msgspec.structs.replace(message, scores=last)


def closings(partition: int, closed: Iterable[AlertClosing]) -> list[Outgoing]:
    """The episodes that have ended."""
    return [
        Outgoing(
            ALERTS,
            partition,
            _key(one.alert.customer),
            encode_message(_closed(one)),
        )
        for one in closed
    ]


def _closed(one: AlertClosing) -> AlertClosed:
    at, alert = EPOCH + one.at * MICROSECOND, one.alert
    return AlertClosed(alert.alert_id, alert.customer, at, one.reason, one.outcome, one.cause, one.staff)


def urgent_alert(partition: int, breaches: Iterable[SlaBreach], ended: Iterable[SlaBreachEnded]) -> list[Outgoing]:
    """The urgent alerts that a partition opens and closes itself, without the desk."""
    records = [
        Outgoing(ALERTS, partition, _key(one.candidate.customer), encode_message(alert_records(one)))
        for one in breaches
    ]
    for one in ended:
        at = EPOCH + one.at * MICROSECOND
        closed = AlertClosed(one.alert_id, one.customer, at, one.reason, one.outcome, one.cause, one.staff)
        records.append(Outgoing(ALERTS, partition, _key(one.customer), encode_message(closed)))
    return records


def alert_records(breach: SlaBreach) -> AlertOpened:
    """An urgent alert as the staff gets it."""
    return _alert(breach.alert_id, breach.candidate, breach.expires_at, rank=0, urgent=True)


def _alert(alert_key: str, candidate: AlertCandidate, expires_at: int, rank: int, urgent: bool = False) -> AlertOpened:
    record = record_of_candidate(candidate)
    return AlertOpened(
        alert_id=alert_key,
        customer_id=record.customer,
        opened_at=EPOCH + candidate.at * MICROSECOND,
        expires_at=EPOCH + expires_at * MICROSECOND,
        rank=rank,
        probability=record.probability,
        monthly_worth=record.monthly_worth,
        silent_days=record.silent_days,
        usual_gap_days=record.usual_gap_days,
        source="model" if record.source == MODEL_SOURCE else "prior",
        version=record.version,
        shop_id=record.shop_id,
        urgent=urgent,
        explanation=record.explanation,
    )


def opening(partition: int, alert: Alert, sequence: int) -> list[Outgoing]:
    """An episode that the desk opens: the alert for the staff, and the contact for the customer's own partition."""
    records = _opening(partition, alert, sequence)
    if any(one.size > MAX_RECORD_BYTES for one in records):  # an explanation that no partition of ours has made
        candidate = replace(alert.candidate, explanation=UNEXPLAINED)
        records = _opening(partition, replace(alert, candidate=candidate), sequence)
    return records


def _opening(partition: int, alert: Alert, sequence: int) -> list[Outgoing]:
    candidate, customer = record_of_candidate(alert.candidate), alert.customer
    announcement = _alert(alert.alert_id, alert.candidate, alert.expires_at, alert.rank)
    contact = Contact(
        event_id=alert.alert_id,
        customer_id=customer,
        occurred_at=EPOCH + alert.opened_at * MICROSECOND,
        action=ContactAction.ALERT_OPENED,
        sequence=sequence,
        shop_id=candidate.shop_id,
        opening=AlertOpening(alert.alert_id, alert.opened_at, alert.expires_at, alert.rank, alert.bar, candidate),
    )
    return [
        Outgoing(ALERTS, partition, _key(customer), encode_message(announcement)),
        Outgoing(CONTACTS, partition, _key(customer), encode_message(contact)),
    ]


def record_of_candidate(candidate: AlertCandidate) -> CandidateRecord:
    """A nomination as it is sent: see `sendable`."""
    gap = candidate.usual_gap_days
    return CandidateRecord(
        customer=candidate.customer,
        rank_value=sendable(candidate.rank_value),
        probability=candidate.probability,
        monthly_worth=sendable(candidate.monthly_worth),
        silent_days=sendable(candidate.silent_days),
        usual_gap_days=sendable(gap) if gap == gap else None,  # noqa: PLR0124 - NaN alone differs from itself
        source=candidate.source,
        version=candidate.version,
        shop_id=candidate.shop_id,
        explanation=candidate.explanation,
    )


def candidate_of(candidate: CandidateRecord, moment: int) -> AlertCandidate:
    """The nomination that was sent; `candidate_of(nominee_of(n), n.at)` equals n but for NaN."""
    return AlertCandidate(
        customer=candidate.customer,
        at=moment,
        rank_value=candidate.rank_value,
        probability=candidate.probability,
        monthly_worth=candidate.monthly_worth,
        silent_days=candidate.silent_days,
        usual_gap_days=float("nan") if candidate.usual_gap_days is None else candidate.usual_gap_days,
        source=candidate.source,
        version=candidate.version,
        shop_id=candidate.shop_id,
        explanation=candidate.explanation,
    )


def alert_of(told: AlertOpening, customer: str) -> Alert:
    """The episode that the desk told a partition of."""
    candidate = candidate_of(told.candidate, told.opened_at)
    return Alert(told.alert_id, customer, told.opened_at, told.expires_at, told.rank, told.bar, candidate)


def _key(customer: str) -> bytes:
    return customer.encode("utf-8", "surrogatepass")
