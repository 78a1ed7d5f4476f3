"""Builds the records about alerts: their openings and ends, and candidates for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import UNEXPLAINED, Alert, AlertCandidate, AlertClosing
from stream_app.core.alerts.sla import SlaBreach, SlaBreachEnded
from stream_app.core.causes.explanation import sendable, sendable_or_none
from stream_app.core.causes.inference import without_causes
from stream_app.core.messages.alerts import AlertClosed, AlertHeldOut, AlertMessage, AlertOpened
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES, Outgoing
from stream_app.core.messages.schema import AlertAction, AlertOpening, AlertStep, CandidateRecord, encode_message
from stream_app.core.model.scores import MODEL_SOURCE
from stream_app.core.units import from_micros

ALERTS: Final = "alerts"
CONTROL: Final = "control"


def closed_alerts(partition: int, closed: Iterable[AlertClosing]) -> list[Outgoing]:
    """Return the records for closed alerts."""
    return [
        _alert_record(partition, one.alert.customer, _closed(one.alert.alert_id, one.alert.customer, one))
        for one in closed
    ]


def urgent_alerts(partition: int, breaches: Iterable[SlaBreach], ended: Iterable[SlaBreachEnded]) -> list[Outgoing]:
    """Return the records for urgent alerts, which a partition opens and closes without the allocator."""
    opened = [_alert_record(partition, one.candidate.customer, urgent_alert(one)) for one in breaches]
    return opened + [_alert_record(partition, one.customer, _closed(one.alert_id, one.customer, one)) for one in ended]


def _closed(alert_key: str, customer: str, end: AlertClosing | SlaBreachEnded) -> AlertClosed:
    at = from_micros(end.at)
    return AlertClosed(alert_key, customer, at, end.reason, end.outcome, end.cause, end.staff)


def _alert_record(partition: int, customer: str, message: AlertMessage) -> Outgoing:
    return Outgoing(ALERTS, partition, _key(customer), encode_message(message))


def urgent_alert(breach: SlaBreach) -> AlertOpened:
    """Return the alert message for a missed service target."""
    opened = _opened(breach.alert_id, breach.candidate, breach.expires_at, rank=0, urgent=True)
    return msgspec.structs.replace(opened, contact_rules=breach.contact_rules)


def _opened(
    alert_key: str, candidate: AlertCandidate, expires_at: int, rank: int, urgent: bool = False, policy: str = ""
) -> AlertOpened:
    record = record_of_candidate(candidate)
    return AlertOpened(
        alert_id=alert_key,
        customer_id=record.customer,
        opened_at=from_micros(candidate.at),
        expires_at=from_micros(expires_at),
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
        lost_probability=record.lost_probability if record.act_by else None,
        act_by=from_micros(record.act_by) if record.act_by else None,
        expected_value=record.expected_value if record.act_by else None,
        next_order_from=from_micros(record.next_order_from) if record.next_order_from else None,
        next_order_to=from_micros(record.next_order_to) if record.next_order_to else None,
        policy=policy,
    )


def opening(partition: int, alert: Alert, sequence: int) -> list[Outgoing]:
    """Return the records for a newly opened alert: one for the staff, and one for the customer's partition.

    For a held-out customer, the first one is for the shop's other tools only, which should leave the customer alone.

    Args:
        partition: partition of the customer.
        alert: the opened alert.
        sequence: sequence number of the message to the partition.
    """
    records = _opening(partition, alert, sequence)
    if any(one.size > MAX_RECORD_BYTES for one in records):  # explanations from workers are always shorter
        candidate = replace(alert.candidate, explanation=UNEXPLAINED)
        records = _opening(partition, replace(alert, candidate=candidate), sequence)
    return records


def _opening(partition: int, alert: Alert, sequence: int) -> list[Outgoing]:
    candidate, customer = record_of_candidate(alert.candidate), alert.customer
    step = AlertStep(
        event_id=alert.alert_id,
        customer_id=customer,
        occurred_at=from_micros(alert.opened_at),
        action=AlertAction.OPENED,
        sequence=sequence,
        shop_id=candidate.shop_id,
        opening=AlertOpening(
            alert.alert_id,
            alert.opened_at,
            alert.expires_at,
            alert.rank,
            alert.bar,
            candidate,
            alert.contact_rules,
            alert.experiment,
            alert.blind,
        ),
    )
    return [
        _alert_record(partition, customer, _announcement(alert)),
        Outgoing(CONTROL, partition, _key(customer), encode_message(step)),
    ]


def _announcement(alert: Alert) -> AlertMessage:
    opened = _opened(alert.alert_id, alert.candidate, alert.expires_at, alert.rank, policy=alert.policy)
    opened = msgspec.structs.replace(opened, contact_rules=alert.contact_rules)
    if alert.blind:
        opened = msgspec.structs.replace(opened, explanation=without_causes(opened.explanation), find_out=True)
    if not alert.candidate.arm:
        return opened
    if not alert.is_held_out:
        return msgspec.structs.replace(opened, experiment=alert.experiment, holdout_share=alert.candidate.share)
    return AlertHeldOut(
        alert_id=opened.alert_id,
        customer_id=opened.customer_id,
        opened_at=opened.opened_at,
        expires_at=opened.expires_at,
        experiment=alert.experiment,
        probability=opened.probability,
        monthly_worth=opened.monthly_worth,
        lost_probability=opened.lost_probability or 0.0,
        shop_id=opened.shop_id,
        cause="" if alert.blind else alert.likeliest_cause,  # as for those who are called, who are compared by cause
        policy=alert.policy,
        holdout_share=alert.candidate.share,
        segments=alert.candidate.explanation.segments,
    )


def record_of_candidate(candidate: AlertCandidate) -> CandidateRecord:
    """Convert an alert candidate to its wire form; see `sendable`."""
    return CandidateRecord(
        customer=candidate.customer,
        rank_value=sendable(candidate.rank_value),
        probability=candidate.probability,
        monthly_worth=sendable(candidate.monthly_worth),
        silent_days=sendable(candidate.silent_days),
        usual_gap_days=sendable_or_none(candidate.usual_gap_days),
        source=candidate.source,
        version=candidate.version,
        shop_id=candidate.shop_id,
        explanation=candidate.explanation,
        lost_probability=candidate.lost_probability,
        act_by=candidate.act_by,
        expected_value=sendable(candidate.expected_value),
        next_order_from=candidate.next_order_from,
        next_order_to=candidate.next_order_to,
        arm=candidate.arm,
        share=candidate.share,
    )


def candidate_of(record: CandidateRecord, moment: int) -> AlertCandidate:
    """Convert an alert candidate from its wire form; the inverse of `record_of_candidate`, except for NaN."""
    fields = msgspec.structs.asdict(record)
    fields["usual_gap_days"] = float("nan") if record.usual_gap_days is None else record.usual_gap_days
    return AlertCandidate(at=moment, **fields)


def alert_of(opening: AlertOpening, customer: str) -> Alert:
    """Convert an alert from its wire form."""
    return Alert(
        opening.alert_id,
        customer,
        opening.opened_at,
        opening.expires_at,
        opening.rank,
        opening.bar,
        candidate_of(opening.candidate, opening.opened_at),
        contact_rules=opening.contact_rules,
        experiment=opening.experiment,
        blind=opening.blind,
    )


def _key(customer: str) -> bytes:
    return customer.encode("utf-8", "surrogatepass")
