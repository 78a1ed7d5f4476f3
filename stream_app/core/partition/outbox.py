"""What a step tells the rest of the system, as records of the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import msgspec

from stream_app.core.alerts.lifecycle import UNEXPLAINED, Closing, Episode, Nomination
from stream_app.core.alerts.sla import Breach, BreachEnded
from stream_app.core.causes.explanation import sendable
from stream_app.core.messages.schema import (
    MAX_RECORD_BYTES,
    RECORD_OVERHEAD,
    AlertClosed,
    AlertOpened,
    Contact,
    ContactAction,
    Example,
    Labelled,
    Nominated,
    Nominee,
    Opening,
    Outgoing,
    Scored,
    ScoreTold,
    encode_message,
    pack,
)
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
        message = Labelled(
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


def _halves_of_labelled(message: Labelled) -> tuple[Labelled, Labelled]:
    examples, returns, expected = len(message.examples) // 2, len(message.returns) // 2, list(message.expected.items())
    days = len(expected) // 2
    first = Labelled(message.examples[:examples], dict(expected[:days]), message.returns[:returns])
    last = Labelled(message.examples[examples:], dict(expected[days:]), message.returns[returns:], message.moment)
    return first, last


def _example(matured: Matured) -> Example:
    pending = matured.pending
    return Example(
        customer=pending.customer,
        decided_at=pending.decided_at,
        features=pending.features,
        log_odds=pending.log_odds,
        probability=pending.probability,
        label=matured.label,
        source=pending.source,
        version=pending.version,
    )


def nominations(partition: int, moment: int, nominated: Iterable[Nomination]) -> list[Outgoing]:
    """What the desk is told at a moment, also when nobody was nominated; a long list takes several records."""
    message = Nominated(moment, [nominee_of(one) for one in nominated])
    return [Outgoing(NOMINATIONS, partition, None, value) for value in _split(message, pack, _halves_of_nominated)]


def _halves_of_nominated(message: Nominated) -> tuple[Nominated, Nominated]:
    half = len(message.nominees) // 2
    first = Nominated(message.moment, message.nominees[:half], more=True)
    return first, Nominated(message.moment, message.nominees[half:], more=message.more)


def voids(partition: int, since: int) -> list[Outgoing]:
    """What trainer and desk are told when the store was set back: records after this sequence number are told again."""
    return [
        Outgoing(LABELLED, partition, None, pack(Labelled(voids=since))),
        Outgoing(NOMINATIONS, partition, None, pack(Nominated(0, [], voids=since))),
    ]


def scores(partition: int, stream_time: int, version: int, told: Sequence[tuple[str, float]]) -> list[Outgoing]:
    """The latest scores of customers, as few records as a broker takes."""
    records = []
    for start in range(0, len(told), MAX_SCORES):
        part = [ScoreTold(*one) for one in told[start : start + MAX_SCORES]]
        message = Scored(partition, EPOCH + stream_time * MICROSECOND, version, part)
        parts = _split(message, encode_message, _halves_of_scored)
        records += [Outgoing(SCORES, partition, None, value) for value in parts]
    return records


def _halves_of_scored(message: Scored) -> tuple[Scored, Scored]:
    half = len(message.scores) // 2
    first, last = message.scores[:half], message.scores[half:]
    return msgspec.structs.replace(message, scores=first), msgspec.structs.replace(message, scores=last)


def closings(partition: int, closed: Iterable[Closing]) -> list[Outgoing]:
    """The episodes that have ended."""
    return [
        Outgoing(
            ALERTS,
            partition,
            _key(one.episode.customer),
            encode_message(_closed(one)),
        )
        for one in closed
    ]


def _closed(one: Closing) -> AlertClosed:
    at, episode = EPOCH + one.at * MICROSECOND, one.episode
    return AlertClosed(episode.alert_id, episode.customer, at, one.reason, one.outcome, one.cause, one.staff)


def urgent(partition: int, breaches: Iterable[Breach], ended: Iterable[BreachEnded]) -> list[Outgoing]:
    """The urgent alerts that a partition opens and closes itself, without the desk."""
    records = [
        Outgoing(ALERTS, partition, _key(one.nomination.customer), encode_message(alarm(one))) for one in breaches
    ]
    for one in ended:
        at = EPOCH + one.at * MICROSECOND
        closed = AlertClosed(one.alert_id, one.customer, at, one.reason, one.outcome, one.cause, one.staff)
        records.append(Outgoing(ALERTS, partition, _key(one.customer), encode_message(closed)))
    return records


def alarm(breach: Breach) -> AlertOpened:
    """An urgent alert as the staff gets it."""
    return _alert(breach.alert_id, breach.nomination, breach.expires_at, rank=0, urgent=True)


def _alert(told_as: str, nomination: Nomination, expires_at: int, rank: int, urgent: bool = False) -> AlertOpened:
    nominee = nominee_of(nomination)
    return AlertOpened(
        alert_id=told_as,
        customer_id=nominee.customer,
        opened_at=EPOCH + nomination.at * MICROSECOND,
        expires_at=EPOCH + expires_at * MICROSECOND,
        rank=rank,
        probability=nominee.probability,
        monthly_worth=nominee.monthly_worth,
        silent_days=nominee.silent_days,
        usual_gap_days=nominee.usual_gap_days,
        source="model" if nominee.source == MODEL_SOURCE else "prior",
        version=nominee.version,
        shop_id=nominee.shop_id,
        urgent=urgent,
        explanation=nominee.explanation,
    )


def opening(partition: int, episode: Episode, sequence: int) -> list[Outgoing]:
    """An episode that the desk opens: the alert for the staff, and the contact for the customer's own partition."""
    records = _opening(partition, episode, sequence)
    if any(one.size > MAX_RECORD_BYTES for one in records):  # an explanation that no partition of ours has made
        nomination = replace(episode.nomination, explanation=UNEXPLAINED)
        records = _opening(partition, replace(episode, nomination=nomination), sequence)
    return records


def _opening(partition: int, episode: Episode, sequence: int) -> list[Outgoing]:
    nominee, customer = nominee_of(episode.nomination), episode.customer
    alert = _alert(episode.alert_id, episode.nomination, episode.expires_at, episode.rank)
    contact = Contact(
        event_id=episode.alert_id,
        customer_id=customer,
        occurred_at=EPOCH + episode.opened_at * MICROSECOND,
        action=ContactAction.EPISODE_OPENED,
        sequence=sequence,
        shop_id=nominee.shop_id,
        opening=Opening(episode.alert_id, episode.opened_at, episode.expires_at, episode.rank, episode.bar, nominee),
    )
    return [
        Outgoing(ALERTS, partition, _key(customer), encode_message(alert)),
        Outgoing(CONTACTS, partition, _key(customer), encode_message(contact)),
    ]


def nominee_of(nomination: Nomination) -> Nominee:
    """A nomination as it is sent: see `sendable`."""
    gap = nomination.usual_gap_days
    return Nominee(
        customer=nomination.customer,
        rank_value=sendable(nomination.rank_value),
        probability=nomination.probability,
        monthly_worth=sendable(nomination.monthly_worth),
        silent_days=sendable(nomination.silent_days),
        usual_gap_days=sendable(gap) if gap == gap else None,  # noqa: PLR0124 - NaN alone differs from itself
        source=nomination.source,
        version=nomination.version,
        shop_id=nomination.shop_id,
        explanation=nomination.explanation,
    )


def nomination_of(nominee: Nominee, moment: int) -> Nomination:
    """The nomination that was sent; `nomination_of(nominee_of(n), n.at)` equals n but for NaN."""
    return Nomination(
        customer=nominee.customer,
        at=moment,
        rank_value=nominee.rank_value,
        probability=nominee.probability,
        monthly_worth=nominee.monthly_worth,
        silent_days=nominee.silent_days,
        usual_gap_days=float("nan") if nominee.usual_gap_days is None else nominee.usual_gap_days,
        source=nominee.source,
        version=nominee.version,
        shop_id=nominee.shop_id,
        explanation=nominee.explanation,
    )


def episode_of(told: Opening, customer: str) -> Episode:
    """The episode that the desk told a partition of."""
    nomination = nomination_of(told.nominee, told.opened_at)
    return Episode(told.alert_id, customer, told.opened_at, told.expires_at, told.rank, told.bar, nomination)


def _key(customer: str) -> bytes:
    return customer.encode("utf-8", "surrogatepass")
