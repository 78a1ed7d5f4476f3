"""MessagePack encoding of a customer's alert, urgent cases, consent, our contacts, draw for a holdout, and amounts."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from stream_app.core.alerts.contact_history import ContactHistory
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate, alert_id
from stream_app.core.alerts.sla import COMPLAINT, LOW_REVIEW, UNANSWERED, UNSOLVED, CaseKey, UrgentCase, breach_id
from stream_app.core.customers.customer import Customer
from stream_app.core.policy.policy import MAX_PER_WEEK
from stream_app.core.state.order_amounts import KEY_BYTES, REMEMBERED, OrderAmounts
from stream_app.core.state.vector import CASES
from stream_app.core.uplift.holdout import FirstDraw

_KINDS: Final = (UNANSWERED, UNSOLVED, COMPLAINT, LOW_REVIEW)  # stored as indices
_ALERT_BYTES: Final = 412  # 160 of this are the owner's name: 40 characters of 4 bytes
_BLIND: Final = "?"  # before the causes of a blind alert
_CASE_BYTES: Final = 240
_HISTORY_BYTES: Final = 3 + 9 * (3 + 2 * MAX_PER_WEEK)  # times of 9 bytes
_DRAW_BYTES: Final = 26
_AMOUNTS_BYTES: Final = 1 + REMEMBERED * (1 + KEY_BYTES + 9)
# Each complaint has two targets.
MAX_BYTES: Final = _ALERT_BYTES + 2 * CASES * _CASE_BYTES + _HISTORY_BYTES + _DRAW_BYTES + _AMOUNTS_BYTES


class _StoredCase(msgspec.Struct, array_like=True, gc=False):
    """Stored form of an urgent case, without the fields that can be derived from its customer and key."""

    due: int  # or when the complaint was opened
    kind: int
    expires_at: int
    owner: str
    acked_at: int
    snoozed_until: int
    resolved: bool


class _MovedCase(_StoredCase, array_like=True, gc=False):
    """Stored form of a case that went on when its complaint was opened again, so that its id belongs to another key."""

    alert_id: str = ""


class _StoredAlert(msgspec.Struct, array_like=True, gc=False):
    """Stored form of an alert, without the fields that can be derived. Rank 0: no alert, only cases or contacts."""

    alert_id: str  # empty if equal to the result of `lifecycle.alert_id`
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
    causes: str = ""  # separated by blanks; releases before 0.3 stored the first one only
    cases: list[_MovedCase] = []  # those that have not moved are stored without an id
    segment: str = ""  # "" in states stored before this field existed


class _StoredTrial(_StoredAlert, array_like=True, gc=False):
    """Stored form of an alert with the arm of a holdout experiment, which most shops do not have."""

    arm: str = ""


class _StoredConsent(_StoredTrial, array_like=True, gc=False):
    """An alert, followed by the customer's consent if there is any: few customers have one."""

    consent: int = 0


class _StoredWithHistory(_StoredConsent, array_like=True, gc=False):
    """Stored form for a customer with a history. Others are stored without this field, as before it existed."""

    history: ContactHistory | None = None


class _StoredWithDraw(_StoredWithHistory, array_like=True, gc=False):
    """Stored form for a customer who was drawn in a holdout experiment."""

    draw: FirstDraw | None = None


class _StoredWithAmounts(_StoredWithDraw, array_like=True, gc=False):
    """Stored form for a customer with amounts of orders. Others are stored without this field."""

    amounts: dict[int, float] = {}


def encode_alerts(customer: Customer) -> bytes:
    """Return what is encoded of a customer, or b"" if there is nothing."""
    consent, history, draw = customer.consent, customer.history, customer.draw
    amounts = customer.amounts.left if customer.amounts is not None else {}
    if not (customer.alert or customer.has_cases or consent or history or draw or amounts):
        return b""
    found = customer.cases.items() if customer.has_cases else ()
    cases = [_stored_case(customer.name, key, one) for key, one in found]
    stored = _stored(customer.alert, cases, 0 if amounts else 0.0)
    fields = {**msgspec.structs.asdict(stored), "consent": consent}
    if amounts:
        stored = _StoredWithAmounts(**fields, history=history, draw=draw, amounts=amounts)
    elif draw is not None:
        stored = _StoredWithDraw(**fields, history=history, draw=draw)
    elif history is not None:
        stored = _StoredWithHistory(**fields, history=history)
    elif consent:
        stored = _StoredConsent(**fields)
    return msgspec.msgpack.encode(stored)


def _stored_case(name: str, key: CaseKey, one: UrgentCase) -> _MovedCase:
    due, kind = key
    stored = (due, _KINDS.index(kind), one.expires_at, one.owner, one.acked_at, one.snoozed_until, one.resolved)
    if one.alert_id != breach_id(name, key):
        return _MovedCase(*stored, one.alert_id)
    return cast("_MovedCase", _StoredCase(*stored))


def _stored(alert: Alert | None, cases: list[_MovedCase], zero: float) -> _StoredAlert:
    """Return the stored form. As zero, an integer takes 1 byte instead of 9; earlier forms are written as they were."""
    if alert is None:
        return _StoredAlert("", 0, 0, 0, zero, 0, zero, zero, zero, zero, zero, 0, 0, cases=cases)
    one, key = alert.candidate, alert_id(alert.customer, alert.opened_at)
    stored = _StoredAlert(
        alert_id="" if alert.alert_id == key else alert.alert_id,
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
        causes=(_BLIND if alert.blind else "") + " ".join(alert.causes),
        cases=cases,
        segment=alert.segment,
    )
    return _StoredTrial(**msgspec.structs.asdict(stored), arm=one.arm) if one.arm else stored


def decode_alerts(customer: Customer, packed: bytes) -> None:
    """Set what `encode_alerts` encodes. Raise msgspec.MsgspecError or IndexError if malformed."""
    one, name = msgspec.msgpack.decode(packed, type=_StoredWithAmounts), customer.name
    if one.cases:
        customer.cases.update({(case.due, _KINDS[case.kind]): _case(name, case) for case in one.cases})
    customer.alert = _alert(name, one) if one.rank else None
    customer.consent, customer.history, customer.draw = one.consent, one.history, one.draw
    customer.amounts = OrderAmounts(one.amounts) if one.amounts else None


def _case(name: str, one: _MovedCase) -> UrgentCase:
    key = one.alert_id or breach_id(name, (one.due, _KINDS[one.kind]))
    return UrgentCase(key, one.expires_at, one.owner, one.acked_at, one.snoozed_until, one.resolved)


def _alert(name: str, one: _StoredTrial) -> Alert:
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
        arm=one.arm,
    )
    return Alert(
        one.alert_id or alert_id(name, one.opened_at),
        name,
        one.opened_at,
        one.expires_at,
        one.rank,
        one.bar,
        candidate,
        one.owner,
        one.acked_at,
        one.snoozed_until,
        tuple(one.causes.removeprefix(_BLIND).split()),
        one.segment,
        blind=one.causes.startswith(_BLIND),
    )
