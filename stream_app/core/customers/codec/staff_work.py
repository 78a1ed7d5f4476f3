"""What the staff works on of a customer, as MessagePack: the open episode, and the urgent cases that were worked on."""

from __future__ import annotations

from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate, alert_id
from stream_app.core.alerts.sla import UNANSWERED, UNSOLVED, Target, UrgentCase, breach_id
from stream_app.core.customers.customer import Customer
from stream_app.core.state.vector import CASES

_KINDS: Final = (UNANSWERED, UNSOLVED)  # stored by their places
_EPISODE_BYTES: Final = 336  # of which an owner's name, 40 characters of 4 bytes, takes the half
_CASE_BYTES: Final = 200  # here too
MAX_BYTES: Final = _EPISODE_BYTES + 2 * CASES * _CASE_BYTES  # each complaint has two targets


class _StoredCase(msgspec.Struct, array_like=True, gc=False):
    """An urgent case that was worked on, without what its customer and its target tell."""

    due: int
    kind: int
    expires_at: int
    owner: str
    acked_at: int
    snoozed_until: int
    resolved: bool


class _StoredAlert(msgspec.Struct, array_like=True, gc=False):
    """An episode without what its customer and its moment tell; of rank 0: there is none, only cases."""

    alert_id: str  # empty: as alerts.alert_id gives it
    opened_at: int
    expires_at: int
    rank: int
    bar: float
    nominated_at: int
    rank_value: float
    probability: float
    monthly_worth: float
    silent_days: float
    usual_gap_days: float
    source: int
    version: int
    owner: str = ""
    acked_at: int = 0
    snoozed_until: int = 0
    cause: str = ""
    cases: list[_StoredCase] = []
    segment: str = ""  # of one that was stored before there was this field: not known


def encode_work(customer: Customer) -> bytes:
    """What the staff works on: his episode and urgent cases; nothing, if there are none."""
    if customer.alert is None and not customer.cases:
        return b""
    cases = [
        _StoredCase(due, _KINDS.index(kind), one.expires_at, one.owner, one.acked_at, one.snoozed_until, one.resolved)
        for (due, kind), one in customer.cases.items()
    ]
    return msgspec.msgpack.encode(_stored(customer.alert, cases))


def _stored(alert: Alert | None, cases: list[_StoredCase]) -> _StoredAlert:
    if alert is None:
        return _StoredAlert("", 0, 0, 0, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, cases=cases)
    one, told = alert.candidate, alert_id(alert.customer, alert.opened_at)
    return _StoredAlert(
        alert_id="" if alert.alert_id == told else alert.alert_id,
        opened_at=alert.opened_at,
        expires_at=alert.expires_at,
        rank=alert.rank,
        bar=alert.bar,
        nominated_at=one.at,
        rank_value=one.rank_value,
        probability=one.probability,
        monthly_worth=one.monthly_worth,
        silent_days=one.silent_days,
        usual_gap_days=one.usual_gap_days,
        source=one.source,
        version=one.version,
        owner=alert.owner,
        acked_at=alert.acked_at,
        snoozed_until=alert.snoozed_until,
        cause=alert.cause,
        cases=cases,
        segment=alert.segment,
    )


def decode_work(name: str, packed: bytes) -> tuple[Alert | None, dict[Target, UrgentCase]]:
    """The episode and the cases of `encode_work`; raises msgspec.MsgspecError or IndexError for foreign bytes."""
    one = msgspec.msgpack.decode(packed, type=_StoredAlert)
    cases = {(case.due, _KINDS[case.kind]): _case(name, case) for case in one.cases}
    return _episode(name, one) if one.rank else None, cases


def _case(name: str, one: _StoredCase) -> UrgentCase:
    told = breach_id(name, (one.due, _KINDS[one.kind]))
    return UrgentCase(told, one.expires_at, one.owner, one.acked_at, one.snoozed_until, one.resolved)


def _episode(name: str, one: _StoredAlert) -> Alert:
    candidate = AlertCandidate(
        customer=name,
        at=one.nominated_at,
        rank_value=one.rank_value,
        probability=one.probability,
        monthly_worth=one.monthly_worth,
        silent_days=one.silent_days,
        usual_gap_days=one.usual_gap_days,
        source=one.source,
        version=one.version,
    )
    told = one.alert_id or alert_id(name, one.opened_at)
    return Alert(
        told,
        name,
        one.opened_at,
        one.expires_at,
        one.rank,
        one.bar,
        candidate,
        one.owner,
        one.acked_at,
        one.snoozed_until,
        one.cause,
        one.segment,
    )
